//! What the daemon did, for status, metrics and tests: shared with whoever shows it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::cycle::Phase;
use super::health::Health;
use crate::interest::Answered;
use crate::log_reader;
use crate::once::LevelCount;
use crate::store::StoreOutcome;
use crate::warming::WarmError;

/// Whether this warmer writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Another one does, or Redis does not answer.
    #[default]
    Standby,
    /// It does.
    Active,
}

/// Counts since the daemon started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Whether it writes.
    pub role: Role,
    /// Whether an operator paused it.
    pub paused: bool,
    /// Where the cycle is.
    pub phase: Phase,
    /// Stores that are ready, and all of them.
    pub stores_ready: usize,
    /// Stores of the directory.
    pub stores: usize,
    /// Stores that wait to be warmed, or are.
    pub waiting: usize,
    /// Documents kept beside those over all stores.
    pub answers_kept: usize,
    /// Order lines read from the source.
    pub lines_read: u64,
    /// Store-days read from the source.
    pub store_days_read: u64,
    /// Stores warmed.
    pub stores_warmed: u64,
    /// Store-days found to have changed.
    pub changes: u64,
    /// Cycles that ended.
    pub cycles: u64,
    /// Bytes and lines of the access logs that were read, and what was wrong with them.
    pub log: log_reader::Counts,
    /// Bytes of the access logs that were not read yet.
    pub log_backlog: u64,
    /// Misses and refreshes that found no place in the queue.
    pub requests_dropped: u64,
    /// Misses and refreshes beyond what their token may ask for in a minute.
    pub requests_limited: u64,
    /// Documents made because somebody missed them.
    pub misses_warmed: u64,
    /// Refreshes seen to.
    pub refreshes: u64,
    /// Requests in the logs since the ranking last changed.
    pub ranking_unchanged_requests: u64,
    /// What answered the requests in the logs.
    pub answered: Answered,
    /// What the plan keeps.
    pub plan: PlanCounts,
    /// Room in Redis.
    pub memory: MemoryCounts,
    /// Stores that slow reads of the source hold back to one at a time.
    pub paced: bool,
    /// Failures of stores, questions, looks and writes.
    pub failures: u64,
    /// The last one.
    pub last_failure: Option<String>,
    /// Entries and bytes written, by level.
    pub written: BTreeMap<Cow<'static, str>, (u64, u64)>,
    /// The last cycle.
    pub last_cycle: Option<CycleReport>,
}

/// What the plan keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanCounts {
    /// Bytes that it may spend.
    pub budget: u64,
    /// Bytes that it takes, as estimated.
    pub bytes: u64,
    /// Documents beside those over all stores.
    pub answers: usize,
    /// Ready responses.
    pub ready: usize,
    /// Stores that are warmed first.
    pub hot: usize,
    /// Stores of which order lines are kept.
    pub orders: usize,
}

/// Room in Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryCounts {
    /// Bytes in use.
    pub used: u64,
    /// Most bytes, if there is a limit.
    pub limit: Option<u64>,
    /// Keys evicted since this warmer began to look.
    pub evicted: u64,
    /// Whether the plan is smaller than its setting, because Redis has no room for it.
    pub shrunk: bool,
    /// Cold stores that are left out because there is no room for them.
    pub stores_left_out: usize,
}

/// One cycle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CycleReport {
    /// When it began, milliseconds since 1970.
    pub began: i64,
    /// How long it took, milliseconds.
    pub duration_ms: i64,
    /// Time until the changes were known, milliseconds.
    pub changes_ms: i64,
    /// Time until the plan was made, milliseconds.
    pub rank_ms: i64,
    /// Time until everything was ready, milliseconds.
    pub warm_ms: i64,
    /// Order lines read.
    pub lines_read: u64,
    /// Stores warmed.
    pub stores_warmed: u64,
    /// Whether the source said what changed, so that the rest is confirmed.
    pub confirmed: bool,
}

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
        });
    }
}
