//! What the daemon did, for status, metrics and tests: shared with whoever shows it.

use std::sync::{Arc, Mutex, PoisonError};

use shared::published::{Counts, Role};
use shared::runtime::now_ms;

use super::health::Health;
use crate::once::LevelCount;
use crate::store::StoreOutcome;
use crate::warming::WarmError;

/// The counts, shared. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    counts: Arc<Mutex<Counts>>,
    health: Health,
}

impl Progress {
    fn with<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The counts now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.with(|counts| counts.clone())
    }

    /// Whether the daemon lives and is ready.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Changes the counts in one step.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Counts)) {
        self.with(change);
    }

    pub(super) fn set_role(&self, role: Role) {
        self.with(|counts| counts.role = role);
    }

    /// Whether this warmer writes.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.with(|counts| counts.role == Role::Active)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.with(|counts| counts.paused)
    }

    /// Whether that is news.
    pub(super) fn set_paused(&self, paused: bool) -> bool {
        self.with(|counts| std::mem::replace(&mut counts.paused, paused) != paused)
    }

    pub(super) fn read(&self, lines: u64, store_days: u64) {
        self.with(|counts| {
            counts.lines_read += lines;
            counts.store_days_read += store_days;
        });
    }

    pub(super) fn wrote(&self, written: &[LevelCount]) {
        self.with(|counts| {
            for level in written {
                let sum = counts.written.entry(level.name.into()).or_default();
                sum.0 += level.entries;
                sum.1 += level.bytes;
            }
        });
    }

    pub(super) fn warmed(&self, outcome: &StoreOutcome) {
        self.wrote(&outcome.counts);
        self.read(outcome.lines_read, outcome.days_read);
        self.with(|counts| counts.stores_warmed += 1);
    }

    pub(super) fn failed(&self, what: &str, error: &WarmError) {
        self.with(|counts| {
            counts.failures += 1;
            counts.last_failure = Some(format!("{what}: {error}"));
            counts.last_failure_at = Some(now_ms());
        });
    }
}
