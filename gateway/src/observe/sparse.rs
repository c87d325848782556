//! Lines of the log that must not flood it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lets one of many through in a while.
#[derive(Debug)]
pub struct Sparse {
    start: Instant,
    every: Duration,
    /// Milliseconds from the start to when the next may pass.
    next: AtomicU64,
    kept_back: AtomicU64,
}

impl Sparse {
    /// One in `every`.
    #[must_use]
    pub fn every(every: Duration) -> Self {
        Self { start: Instant::now(), every, next: AtomicU64::new(0), kept_back: AtomicU64::new(0) }
    }

    /// Whether this one may pass: then how many were kept back before it.
    pub fn pass(&self) -> Option<u64> {
        self.pass_at(self.start.elapsed())
    }

    fn pass_at(&self, now: Duration) -> Option<u64> {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let passes = ms(now) >= next
            && self
                .next
                .compare_exchange(next, ms(now + self.every), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if passes {
            return Some(self.kept_back.swap(0, Ordering::Relaxed));
        }
        self.kept_back.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_while_passes_and_tells_of_the_others() {
        let sparse = Sparse::every(Duration::from_secs(1));
        let passes = |ms| sparse.pass_at(Duration::from_millis(ms));
        let seen: Vec<_> = [0, 1, 999, 1000, 1001, 3000].map(passes).into();
        assert_eq!(seen, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
