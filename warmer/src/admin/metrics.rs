//! The warmer's metrics: one table, made from its counts when it is asked for. Labels have few values, known beforehand:
//! never stores or questions.

use shared::runtime::metrics::{self, Metric};

use crate::daemon::{Counts, CycleReport, Phase, Role};
use crate::publish::Reporter;

/// Begin of all names.
const PREFIX: &str = "hotshelf_warmer_";

/// All metrics of a warmer.
pub(super) fn text(reporter: &Reporter) -> String {
    let progress = reporter.progress();
    let counts = progress.counts();
    let health = progress.health();
    let mut table = of_counts(&counts);
    table.extend(of_requests(&counts));
    table.extend(of_logs(&counts));
    table.extend(of_plan(&counts));
    table.extend(counts.last_cycle.iter().flat_map(of_cycle));
    table.extend([
        Metric::gauge(
            "ready",
            "Whether Redis answers and the lease is settled: 1, else 0.",
            flag(health.ready().is_ok()),
        ),
        Metric::gauge(
            "loop_silent_seconds",
            "Time since the daemon's loop last came round.",
            health.silent_for().as_secs_f64(),
        ),
    ]);
    table.extend(metrics::of_process());
    metrics::text(PREFIX, &table)
}

fn of_counts(counts: &Counts) -> Vec<Metric> {
    let gauge = |name, help, value: usize| Metric::gauge(name, help, value as f64);
    let roles = [("active", Role::Active), ("standby", Role::Standby)];
    let written = |of: fn(&(u64, u64)) -> u64| {
        counts
            .written
            .iter()
            .map(move |(level, written)| (level.to_lowercase().replace(' ', "_"), of(written) as f64))
    };
    vec![
        Metric::gauge("role", "1 for the role that this warmer has, 0 for the other.", 0.0)
            .by("role", roles.map(|(name, role)| (name, flag(counts.role == role)))),
        Metric::gauge("paused", "Whether an operator paused warming: 1, else 0.", flag(counts.paused)),
        Metric::gauge("cycle_phase", "1 for the phase in which the cycle is, 0 for the others.", 0.0)
            .by("phase", Phase::ALL.map(|phase| (phase.name(), flag(counts.phase == phase)))),
        gauge("stores", "Stores of the directory.", counts.stores),
        gauge("stores_ready", "Stores that are ready.", counts.stores_ready),
        gauge("stores_waiting", "Stores that wait to be warmed, or are.", counts.waiting),
        gauge(
            "answers_kept",
            "Documents that are kept ready beside those over all stores.",
            counts.answers_kept,
        ),
        Metric::counter("lines_read_total", "Order lines read from the source.", counts.lines_read),
        // "dates", since promtool takes "days" for a unit that should be seconds.
        Metric::counter(
            "store_dates_read_total",
            "Store-days (all lines of one store and date) read from the source.",
            counts.store_days_read,
        ),
        Metric::counter("stores_warmed_total", "Stores warmed, whole or in part.", counts.stores_warmed),
        Metric::counter("changes_total", "Store-days found to have changed.", counts.changes),
        Metric::counter("cycles_total", "Cycles that ended.", counts.cycles),
        Metric::counter(
            "failures_total",
            "Failures of stores, questions, looks for changes and writes.",
            counts.failures,
        ),
        Metric::counter("written_entries_total", "Entries written to Redis, by level.", 0)
            .by("level", written(|written| written.0)),
        Metric::counter("written_bytes_total", "Bytes of entries written to Redis, by level.", 0)
            .by("level", written(|written| written.1)),
    ]
}

/// What the access logs tell of requests.
fn of_requests(counts: &Counts) -> Vec<Metric> {
    let answered = &counts.answered;
    let outcomes = answered.outcomes.iter().map(|(outcome, count)| (outcome.clone(), *count as f64));
    vec![
        Metric::counter(
            "requests_answered_total",
            "Requests seen in the access logs, by what answered them.",
            0,
        )
        .by("outcome", outcomes),
        Metric::counter(
            "requests_stale_total",
            "Requests seen in the access logs that were answered past the soft expiry.",
            answered.stale,
        ),
        Metric::counter(
            "requests_failed_total",
            "Requests seen in the access logs that failed.",
            answered.failed,
        ),
        Metric::counter(
            "misses_warmed_total",
            "Documents made because somebody missed them.",
            counts.misses_warmed,
        ),
        Metric::counter("refreshes_total", "Refreshes seen to.", counts.refreshes),
        Metric::counter(
            "requests_dropped_total",
            "Misses and refreshes that found no place in the queue.",
            counts.requests_dropped,
        ),
        Metric::counter(
            "requests_limited_total",
            "Misses and refreshes beyond what their token may ask for in a minute.",
            counts.requests_limited,
        ),
        Metric::gauge(
            "ranking_unchanged_requests",
            "Requests in the logs since the ranking last changed: many mean that it does not follow what is asked.",
            counts.ranking_unchanged_requests as f64,
        ),
    ]
}

/// How the access logs are read.
fn of_logs(counts: &Counts) -> Vec<Metric> {
    let log = &counts.log;
    let faults = [
        ("garbage", log.garbage),
        ("unknown_version", log.unknown_version),
        ("no_request", log.no_request),
        ("too_long", log.too_long),
        ("torn", log.torn),
    ];
    vec![
        Metric::counter("log_read_bytes_total", "Bytes of access logs read.", log.bytes),
        Metric::counter("log_lines_total", "Lines of access logs read, sound or not.", log.lines),
        Metric::counter(
            "log_faults_total",
            "Lines of access logs that could not be used, by what is wrong.",
            0,
        )
        .by("fault", faults.map(|(fault, count)| (fault, count as f64))),
        Metric::gauge("log_unreadable_files", "Access logs that cannot be read now.", log.unreadable as f64),
        Metric::gauge("log_backlog_bytes", "Bytes of access logs not read yet.", counts.log_backlog as f64),
    ]
}

/// What is kept, and the room for it.
fn of_plan(counts: &Counts) -> Vec<Metric> {
    let (plan, memory) = (&counts.plan, &counts.memory);
    let gauge = |name, help, value: usize| Metric::gauge(name, help, value as f64);
    let mut table = vec![
        Metric::gauge("plan_budget_bytes", "Bytes of Redis that the plan may spend.", plan.budget as f64),
        Metric::gauge("plan_bytes", "Bytes of Redis that the plan takes, as estimated.", plan.bytes as f64),
        gauge("plan_answers", "Documents that the plan keeps beside those over all stores.", plan.answers),
        gauge("plan_ready_responses", "Ready responses that the plan keeps.", plan.ready),
        gauge("plan_hot_stores", "Stores that are warmed first.", plan.hot),
        gauge("plan_order_stores", "Stores of which order lines are kept.", plan.orders),
        gauge("stores_left_out", "Cold stores for which Redis has no room.", memory.stores_left_out),
        Metric::gauge(
            "plan_shrunk",
            "Whether the plan is smaller than its setting because Redis has no room: 1, else 0.",
            flag(memory.shrunk),
        ),
        Metric::gauge(
            "paced",
            "Whether slow reads of the source hold stores back: 1, else 0.",
            flag(counts.paced),
        ),
        Metric::gauge("redis_used_bytes", "Memory that Redis uses.", memory.used as f64),
        Metric::counter(
            "redis_evicted_keys_total",
            "Keys that Redis evicted since the start.",
            memory.evicted,
        ),
    ];
    let limit = memory.limit.map(|limit| {
        Metric::gauge("redis_limit_bytes", "Memory that Redis may use (maxmemory).", limit as f64)
    });
    table.extend(limit);
    table
}

fn of_cycle(cycle: &CycleReport) -> [Metric; 6] {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    [
        Metric::gauge(
            "last_cycle_end_timestamp_seconds",
            "When the last cycle ended, seconds since 1970.",
            seconds(cycle.began.saturating_add(cycle.duration_ms)),
        ),
        Metric::gauge(
            "last_cycle_duration_seconds",
            "How long the last cycle took.",
            seconds(cycle.duration_ms),
        ),
        Metric::gauge(
            "last_cycle_changes_seconds",
            "Time from the begin of the last cycle until its changes were known.",
            seconds(cycle.changes_ms),
        ),
        Metric::gauge(
            "last_cycle_rank_seconds",
            "Time from the begin of the last cycle until the plan was made.",
            seconds(cycle.rank_ms),
        ),
        Metric::gauge(
            "last_cycle_warm_seconds",
            "Time from the begin of the last cycle until everything was ready.",
            seconds(cycle.warm_ms),
        ),
        Metric::gauge(
            "last_cycle_lines_read",
            "Order lines read in the last cycle.",
            cycle.lines_read as f64,
        ),
    ]
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
