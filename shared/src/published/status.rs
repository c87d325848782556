//! A warmer's status: JSON at `status:warmer:<instance>`. Fields that an older warmer does not write are as in a fresh one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cache::MonitorStatus;

/// Version of the form.
pub const STATUS_FORM: u32 = 1;

/// A warmer's status, as published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the form.
    pub v: u32,
    /// Name of the warmer.
    pub instance: String,
    /// Whether it writes.
    pub role: Role,
    /// Why it is not ready, if it is not.
    pub problem: Option<String>,
    /// When the process started, milliseconds since 1970.
    pub started_at: i64,
    /// When this was true, milliseconds since 1970.
    pub now: i64,
    /// Process.
    pub pid: u32,
    /// Host.
    pub host: String,
    /// Version of the program.
    pub version: String,
    /// Resident memory, bytes; 0 = unknown.
    pub memory_bytes: u64,
    /// Counts since the start.
    pub counts: Counts,
    /// Redis, as the monitor found it.
    #[serde(default)]
    pub redis: MonitorStatus,
}

impl Status {
    /// Whether this warmer writes.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.role == Role::Active && self.problem.is_none()
    }
}

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
    pub log: LogCounts,
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
    /// When that was, milliseconds since 1970.
    pub last_failure_at: Option<i64>,
    /// Entries and bytes written, by level.
    pub written: BTreeMap<Cow<'static, str>, (u64, u64)>,
    /// The last cycle.
    pub last_cycle: Option<CycleReport>,
    /// The first of the stores that are to be warmed.
    pub unready: Vec<Unready>,
}

impl Counts {
    /// Whether nothing failed since a cycle began that has ended: what failed before was tried again in it.
    #[must_use]
    pub fn is_past_its_failures(&self) -> bool {
        let Some(failed_at) = self.last_failure_at else { return self.last_failure.is_none() };
        self.last_cycle.as_ref().is_some_and(|cycle| cycle.began > failed_at)
    }
}

/// A store that is to be warmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unready {
    /// The store.
    pub store_id: String,
    /// Whether what is in the cache is older than its data, not missing.
    pub changed: bool,
    /// What it waits for.
    pub why: Waits,
}

/// What a store waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "code")]
pub enum Waits {
    /// Others come before it.
    Waiting {
        /// Its place among those that wait, from 1.
        place: usize,
    },
    /// It is being warmed.
    Running,
    /// It failed, and is tried again.
    Failing {
        /// The last error.
        error: String,
        /// How often it failed.
        tries: u32,
        /// When it is tried again, milliseconds since 1970.
        next_at: i64,
    },
    /// Redis has no room for it.
    LeftOut,
}

/// What the plan keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// Where a cycle is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// None is under way.
    #[default]
    Idle,
    /// The source is asked what changed.
    Looking,
    /// A plan is made of what was asked.
    Ranking,
    /// The cache is asked what is there.
    Probing,
    /// What is not ready is warmed.
    Warming,
    /// The rest is confirmed.
    Confirming,
}

impl Phase {
    /// For people and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Looking => "looking",
            Self::Ranking => "ranking",
            Self::Probing => "probing",
            Self::Warming => "warming",
            Self::Confirming => "confirming",
        }
    }

    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Idle, Self::Looking, Self::Ranking, Self::Probing, Self::Warming, Self::Confirming];
}

/// Counts of requests by what answered them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// By outcome, as in `X-Cache`.
    pub outcomes: BTreeMap<String, u64>,
    /// Answers past their soft expiry.
    pub stale: u64,
    /// Requests that failed (5xx, or the client left).
    pub failed: u64,
    /// Requests that asked for nothing that could be kept.
    pub other: u64,
}

/// Counts of one batch, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogCounts {
    /// Bytes taken.
    pub bytes: u64,
    /// Lines taken, sound or not.
    pub lines: u64,
    /// Damaged lines.
    pub garbage: u64,
    /// Lines of unknown versions.
    pub unknown_version: u64,
    /// Lines of other servers without a request.
    pub no_request: u64,
    /// Lines over the limit.
    pub too_long: u64,
    /// Last lines of files that went away before the line was complete.
    pub torn: u64,
    /// Events whose time lay in the future.
    pub clamped: u64,
    /// Files that began to be read.
    pub files: u64,
    /// Files found truncated or replaced.
    pub restarted: u64,
    /// Files that cannot be read, or are more than may be open, at this poll.
    pub unreadable: u64,
}

impl LogCounts {
    /// Adds those of a batch; `unreadable` is not a sum, but how it is now.
    pub fn add(&mut self, batch: &Self) {
        let sums = [
            (&mut self.bytes, batch.bytes),
            (&mut self.lines, batch.lines),
            (&mut self.garbage, batch.garbage),
            (&mut self.unknown_version, batch.unknown_version),
            (&mut self.no_request, batch.no_request),
            (&mut self.too_long, batch.too_long),
            (&mut self.torn, batch.torn),
            (&mut self.clamped, batch.clamped),
            (&mut self.files, batch.files),
            (&mut self.restarted, batch.restarted),
        ];
        for (sum, more) in sums {
            *sum += more;
        }
        self.unreadable = batch.unreadable;
    }
}
