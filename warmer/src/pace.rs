//! Gentleness towards the database: when reading gets much slower than it was at its best, stores are read one at a
//! time. Pure.

/// Reads below this many lines tell of round trips, not of how busy the database is.
const LEAST_LINES: u64 = 2_000;
/// How much slower than at its best reading may get.
const SLOWER: f64 = 3.0;
/// How fast the best is forgotten, per read: tables grow and machines change.
const FORGET: f64 = 1.01;
/// Weight of the newest read.
const NEWEST: f64 = 0.3;

/// How fast reading is, and was at its best.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// Milliseconds per line.
    now: Option<f64>,
    best: Option<f64>,
}

impl Pace {
    /// Takes over a read of so many lines.
    #[allow(clippy::cast_precision_loss, reason = "counts of lines far below 2^52")]
    pub fn observe(&mut self, lines: u64, ms: f64) {
        if lines < LEAST_LINES {
            return;
        }
        let per_line = ms / lines as f64;
        let now = self.now.map_or(per_line, |now| now + NEWEST * (per_line - now));
        self.now = Some(now);
        self.best = Some(self.best.map_or(now, |best| now.min(best * FORGET)));
    }

    /// Whether the database is so slow that stores are to be read one at a time.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.now.zip(self.best).is_some_and(|(now, best)| now > best * SLOWER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slows_down_and_recovers() {
        let mut pace = Pace::default();
        (0..10).for_each(|_| pace.observe(10_000, 50.0));
        assert!(!pace.is_slow());
        // A small read that takes long says nothing.
        pace.observe(10, 5_000.0);
        assert!(!pace.is_slow());
        (0..10).for_each(|_| pace.observe(10_000, 500.0));
        assert!(pace.is_slow());
        (0..10).for_each(|_| pace.observe(10_000, 60.0));
        assert!(!pace.is_slow());
    }

    #[test]
    fn what_is_slow_for_good_becomes_the_measure() {
        let mut pace = Pace::default();
        pace.observe(10_000, 50.0);
        (0..200).for_each(|_| pace.observe(10_000, 300.0));
        assert!(!pace.is_slow());
    }
}
