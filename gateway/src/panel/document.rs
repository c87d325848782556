//! What `/v1/status` says: as much of what is known as its reader may see.

use schemars::JsonSchema;
use serde::Serialize;
use shared::cache::{MonitorState, MonitorStatus};
use shared::published::{Counts, CycleReport, Phase, PlanCounts, Role, Status as Published, Unready};

use super::events::Event;
use super::history::Columns;
use super::traffic::{LevelShare, percent, rounded};

/// Version of the form.
pub(super) const FORM: u32 = 1;

/// How the service is, as one gateway sees it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ServiceStatus")]
pub struct Document {
    /// Version of the form.
    pub v: u32,
    /// When this was true, milliseconds since 1970.
    pub now: i64,
    /// Version of the program.
    pub version: &'static str,
    /// Who reads it.
    pub viewer: Viewer,
    /// The gateway that says it.
    pub gateway: Gateway,
    /// What the answers are made of.
    pub data: Data,
    /// The cache.
    pub redis: Redis,
    /// The database; null for files, and for who is no operator.
    pub postgres: Option<Postgres>,
    /// Requests for documents of late.
    pub requests: Requests,
    /// Which step answered them.
    pub levels: Vec<LevelShare>,
    /// Who asks.
    pub users: Users,
    /// The gateway's machine; null for who is no operator.
    pub system: Option<System>,
    /// Every warmer that tells of itself.
    pub warmers: Vec<Warmer>,
    /// The hottest stores.
    pub hot: Vec<HotStore>,
    /// What happened of late, newest last.
    pub events: Vec<Event>,
    /// What went wrong since the start; null for who is no operator.
    pub errors: Option<Errors>,
    /// The last hour; in a stream, what came since the event before.
    pub history: Columns,
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Viewer {
    /// Whether he may see how the service is.
    pub operator: bool,
    /// Whether tokens are asked for.
    pub token: bool,
    /// Stores that he may see.
    pub stores: usize,
}

/// A gateway.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Gateway {
    /// Where it listens; null for who is no operator.
    pub name: Option<String>,
    /// When it started, milliseconds since 1970.
    pub started_at: i64,
    /// Whether requests are welcome.
    pub ready: bool,
    /// Why not, or what is missing.
    pub problem: Option<String>,
}

/// The data.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Data {
    /// Last day with order lines.
    pub last_day: Option<String>,
    /// Stores that the reader may see.
    pub stores: usize,
    /// When the warmer last confirmed all stores, milliseconds since 1970.
    pub confirmed_at: Option<i64>,
}

/// The cache, as the monitor found it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Redis {
    /// `redis`, or `memory` where this process keeps all.
    pub kind: &'static str,
    /// `online`, `offline`, or `unknown` before the first look.
    pub state: &'static str,
    /// Share of looks that found it.
    pub success_percent: Option<f64>,
    /// Looks.
    pub checks: u64,
    /// Looks that failed.
    pub failures: u64,
    /// Further tries after those.
    pub reconnects: u64,
    /// Time of the last PING.
    pub ping_ms: Option<f64>,
    /// Since when the state is what it is, milliseconds since 1970.
    pub since: Option<i64>,
    /// Last look, milliseconds since 1970.
    pub checked_at: Option<i64>,
    /// Last error; null for who is no operator.
    pub last_error: Option<String>,
    /// When it was, milliseconds since 1970.
    pub last_error_at: Option<i64>,
    /// Version of the server; null, as what follows, if it does not say, and for who is no operator.
    pub version: Option<String>,
    /// Seconds since the server started.
    pub uptime_s: Option<u64>,
    /// Bytes in use.
    pub used_memory: Option<u64>,
    /// `maxmemory` in bytes; null without a limit.
    pub max_memory: Option<u64>,
    /// Share of it in use, for everybody.
    pub memory_percent: Option<f64>,
    /// `maxmemory-policy`.
    pub policy: Option<String>,
    /// Keys evicted since the server started.
    pub evicted_keys: Option<u64>,
    /// Keys in all databases.
    pub keys: Option<u64>,
    /// Connections of clients.
    pub clients: Option<u64>,
    /// What to see to; empty for who is no operator.
    pub warnings: Vec<RedisWarning>,
}

/// A warning on Redis.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RedisWarning {
    /// Which kind, for programs.
    pub kind: &'static str,
    /// What was seen.
    pub seen: String,
    /// What to do.
    pub remedy: String,
}

impl Redis {
    /// This process's memory.
    pub(super) fn memory() -> Self {
        Self { kind: "memory", state: "online", ..Self::default() }
    }

    pub(super) fn of(found: &MonitorStatus, operator: bool) -> Self {
        // How large a chain is, shows here; that is for operators.
        let server = found.server.as_ref().filter(|_| operator);
        let number = |of: fn(&shared::cache::ServerFacts) -> u64| server.map(of);
        let warnings = found.warnings.iter().filter(|_| operator);
        Self {
            kind: "redis",
            state: match found.state {
                MonitorState::Unknown => "unknown",
                MonitorState::Online => "online",
                MonitorState::Offline => "offline",
            },
            success_percent: (found.checks > 0).then(|| rounded(found.success_ratio() * 100.0)),
            checks: found.checks,
            failures: found.failures,
            reconnects: found.reconnects,
            ping_ms: found.ping_us.map(|us| us as f64 / 1000.0),
            since: found.since,
            checked_at: found.checked_at,
            last_error: found.last_error.clone().filter(|_| operator),
            last_error_at: found.last_error_at,
            version: server.map(|server| server.version.to_string()),
            uptime_s: number(|server| server.uptime_s),
            used_memory: number(|server| server.used_memory),
            max_memory: number(|server| server.max_memory).filter(|limit| *limit > 0),
            memory_percent: found
                .server
                .as_ref()
                .and_then(|server| percent(server.used_memory, server.max_memory)),
            policy: server.map(|server| server.policy.clone()),
            evicted_keys: number(|server| server.evicted_keys),
            keys: number(|server| server.databases.values().sum()),
            clients: number(|server| server.clients),
            warnings: warnings
                .map(|warning| RedisWarning {
                    kind: warning.kind.name(),
                    seen: warning.seen.clone(),
                    remedy: warning.remedy.clone(),
                })
                .collect(),
        }
    }
}

/// The database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Postgres {
    /// Open connections.
    pub connections: usize,
    /// Most connections.
    pub max_connections: usize,
    /// Reads that wait for one.
    pub waiting: usize,
    /// Whether reads are let through: false while it does not answer.
    pub admits: bool,
    /// Reads that failed.
    pub errors: u64,
}

/// Requests for documents.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Requests {
    /// The seconds that the rates, shares and times are of.
    pub window_s: u64,
    /// Requests per second.
    pub per_second: f64,
    /// Answers that did not need the source; null if none was given.
    pub hit_percent: Option<f64>,
    /// Half of the requests took no longer.
    pub p50_ms: Option<f64>,
    /// 95 of 100 requests took no longer.
    pub p95_ms: Option<f64>,
    /// 99 of 100 requests took no longer.
    pub p99_ms: Option<f64>,
    /// Requests that failed (5xx).
    pub failed_percent: Option<f64>,
    /// Being answered now.
    pub in_flight: usize,
    /// Since the start.
    pub total: u64,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Users {
    /// Distinct clients (tokens, else addresses) that asked for documents in the window.
    pub online: usize,
    /// Seconds.
    pub window_s: u64,
}

/// The gateway's machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct System {
    /// Its name.
    pub host: String,
    /// All cores together; null before the second look.
    pub cpu_percent: Option<f64>,
    /// Cores.
    pub cpus: usize,
    /// Of all memory, or of what a container may use.
    pub memory_percent: Option<f64>,
    /// Bytes in use.
    pub memory_used: u64,
    /// Bytes that there are.
    pub memory_total: u64,
    /// Bytes that this gateway has; 0 = not known.
    pub process_memory: u64,
}

/// What went wrong since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Errors {
    /// Requests that failed (5xx).
    pub failed: u64,
    /// Turned away because too many were in flight.
    pub shed: u64,
    /// Slower than `gateway.request_timeout`.
    pub timeouts: u64,
    /// Of which the handler panicked.
    pub panics: u64,
    /// Slower than `gateway.slow_request`.
    pub slow: u64,
    /// Stored entries that were a miss because of damage.
    pub entries_unusable: u64,
    /// Records that the access log dropped because its queue was full.
    pub access_log_dropped: u64,
    /// Records that were lost because the disk failed.
    pub access_log_failed: u64,
}

/// A hot store.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct HotStore {
    /// Id.
    pub store_id: String,
    /// Name.
    pub name: String,
    /// Place among all stores that the reader may see, from 1.
    pub rank: usize,
    /// Decayed count of requests that name it.
    pub heat: f64,
    /// Whether it is warmed first.
    pub hot: bool,
    /// Its order lines.
    pub lines: u64,
}

/// A warmer. For who has a list of stores it is as if there were no others: what counts all of them is 0, or left out.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Warmer {
    /// Its name; null, as all texts, for who is no operator.
    pub instance: Option<String>,
    /// `active` writes, `standby` waits.
    pub role: &'static str,
    /// Why it is not ready, if it is not.
    pub problem: Option<String>,
    /// Who paused it and why, if it is paused.
    pub paused: Option<PausedBy>,
    /// When it started, milliseconds since 1970.
    pub started_at: i64,
    /// When it said this, milliseconds since 1970.
    pub told_at: i64,
    /// Version of the program.
    pub version: String,
    /// Resident memory.
    pub memory_bytes: u64,
    /// Stores.
    pub stores: usize,
    /// Stores that are ready.
    pub stores_ready: usize,
    /// Stores that wait to be warmed, or are.
    pub waiting: usize,
    /// Where the cycle is.
    pub phase: &'static str,
    /// Cycles that ended.
    pub cycles: u64,
    /// Failures since the start.
    pub failures: u64,
    /// The last one.
    pub last_failure: Option<String>,
    /// When that was, milliseconds since 1970.
    pub last_failure_at: Option<i64>,
    /// Bytes of the access logs that it has not read yet.
    pub log_backlog: u64,
    /// The last cycle.
    pub last_cycle: Option<CycleReport>,
    /// What it wrote since the start, by level.
    pub written: Vec<Written>,
    /// What it keeps.
    pub plan: PlanCounts,
    /// Keys that Redis evicted since it began to look.
    pub evicted: u64,
    /// Whether Redis has no room for all that it may keep.
    pub shrunk: bool,
    /// Stores that Redis has no room for.
    pub stores_left_out: usize,
    /// Stores that are to be warmed, the first of them, and what they wait for.
    pub unready: Vec<Waiting>,
    /// What all gateways whose access logs it reads answered.
    pub all_gateways: AllGateways,
}

/// Why warming is paused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PausedBy {
    /// Who did it: `user@host`.
    pub by: Option<String>,
    /// Since when, milliseconds since 1970.
    pub since: Option<i64>,
    /// Until when, milliseconds since 1970; null = until it is resumed.
    pub until: Option<i64>,
    /// Why.
    pub reason: Option<String>,
}

/// What was written of a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Written {
    /// Level.
    pub level: String,
    /// Entries.
    pub entries: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A store that is to be warmed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Waiting {
    /// Id.
    pub store_id: String,
    /// Why: `waiting` (with its `place`), `running`, `failing` (with `error`, `tries`, `next_at`), `left_out`.
    pub why: serde_json::Value,
}

/// Answers of all gateways whose logs a warmer reads, since it began to learn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct AllGateways {
    /// Answers that did not need the source.
    pub hit_percent: Option<f64>,
    /// Answers past their soft expiry.
    pub stale_percent: Option<f64>,
    /// Requests that failed.
    pub failed_percent: Option<f64>,
}

impl AllGateways {
    fn of(counts: &Counts) -> Self {
        let answered = &counts.answered;
        let of = |outcome: &str| answered.outcomes.get(outcome).copied().unwrap_or(0);
        let all: u64 = answered.outcomes.values().sum::<u64>() - of("none");
        Self {
            hit_percent: percent(all - of("source"), all),
            stale_percent: percent(answered.stale, all),
            failed_percent: percent(answered.failed, all + answered.failed),
        }
    }
}

impl Warmer {
    /// What a warmer tells somebody who may see all stores.
    pub(super) fn of(status: &Published, paused: Option<&PausedBy>, operator: bool) -> Self {
        let counts = &status.counts;
        let seen = |text: &Option<String>| text.clone().filter(|_| operator);
        let active = status.role == Role::Active;
        Self {
            instance: operator.then(|| status.instance.clone()),
            role: if active { "active" } else { "standby" },
            problem: seen(&status.problem),
            paused: paused.filter(|_| counts.paused).map(|paused| {
                if operator { paused.clone() } else { PausedBy { by: None, reason: None, ..paused.clone() } }
            }),
            started_at: status.started_at,
            told_at: status.now,
            version: status.version.clone(),
            memory_bytes: status.memory_bytes,
            stores: counts.stores,
            stores_ready: counts.stores_ready,
            waiting: counts.waiting,
            phase: if active { counts.phase } else { Phase::Idle }.name(),
            cycles: counts.cycles,
            failures: counts.failures,
            last_failure: seen(&counts.last_failure),
            last_failure_at: counts.last_failure_at,
            log_backlog: counts.log_backlog,
            last_cycle: counts.last_cycle.clone(),
            written: counts
                .written
                .iter()
                .map(|(level, (entries, bytes))| Written {
                    level: level.clone().into_owned(),
                    entries: *entries,
                    bytes: *bytes,
                })
                .collect(),
            plan: counts.plan,
            evicted: counts.memory.evicted,
            shrunk: counts.memory.shrunk,
            stores_left_out: counts.memory.stores_left_out,
            unready: counts.unready.iter().map(|unready| waiting(unready, operator)).collect(),
            all_gateways: AllGateways::of(counts),
        }
    }

    /// The same as if there were only these stores: their number, and which they are.
    pub(super) fn limited(self, stores: usize, visible: impl Fn(&str) -> bool) -> Self {
        let unready: Vec<Waiting> =
            self.unready.into_iter().filter(|unready| visible(&unready.store_id)).collect();
        let waiting = unready.len();
        Self {
            stores,
            stores_ready: stores.saturating_sub(waiting),
            waiting,
            unready,
            memory_bytes: 0,
            failures: 0,
            log_backlog: 0,
            last_cycle: None,
            written: Vec::new(),
            plan: PlanCounts::default(),
            evicted: 0,
            stores_left_out: 0,
            all_gateways: AllGateways::default(),
            ..self
        }
    }
}

fn waiting(unready: &Unready, operator: bool) -> Waiting {
    // Nothing of it cannot be written as JSON.
    let mut why = serde_json::to_value(&unready.why).unwrap_or_default();
    // Nor how many others there are.
    for hidden in ["error", "place"].iter().filter(|_| !operator) {
        if let Some(value) = why.get_mut(*hidden) {
            *value = serde_json::Value::Null;
        }
    }
    Waiting { store_id: unready.store_id.clone(), why }
}
