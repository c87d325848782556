//! Signs of life of a loop, for whoever must know that it does not hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When a loop last came round. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    start: Instant,
    /// Milliseconds from the start to the last beat.
    last: Arc<AtomicU64>,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { start: Instant::now(), last: Arc::default() }
    }
}

impl Heartbeat {
    /// The loop came round.
    pub fn beat(&self) {
        self.last.store(self.since_start(), Ordering::Relaxed);
    }

    /// Time since the last beat, or since this was made.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.since_start().saturating_sub(self.last.load(Ordering::Relaxed)))
    }

    fn since_start(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
