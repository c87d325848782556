//! The warmer's metrics: one table, made from its counts when it is asked for. Labels have few values, known beforehand:
//! never stores or questions.

use shared::runtime::metrics::{self, Metric};
use tokio::runtime::Handle;

use crate::publish::Reporter;
use shared::published::{Counts, CycleReport, Phase, Role};

/// Begin of all names.
const PREFIX: &str = "hotshelf_warmer_";

/// All metrics of a warmer.
pub(super) fn text(reporter: &Reporter, runtime: &Handle) -> String {
    let progress = reporter.progress();
    let counts = progress.counts();
    let health = progress.health();
    let mut table = of_counts(&counts);
    table.extend(of_logs(&counts));
    table.extend(of_plan(&counts));
    table.extend(counts.last_cycle.iter().flat_map(of_cycle));
    table.extend(metrics::of_redis(&reporter.monitor().status()));
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
    table.push(metrics::of_tasks([runtime]));
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

/// What the access logs say.
fn of_logs(counts: &Counts) -> Vec<Metric> {
    let log = &counts.log;
    let faults = [
        ("garbage", log.garbage),
        ("unknown_version", log.unknown_version),
        ("no_request", log.no_request),
        ("too_long", log.too_long),
        ("torn", log.torn),
        ("future_time", log.clamped),
    ];
    let answered = counts.answered.outcomes.iter();
    vec![
        Metric::counter("log_bytes_total", "Bytes of access logs read.", log.bytes),
        Metric::counter("log_lines_total", "Lines of access logs read, sound or not.", log.lines),
        Metric::counter("log_faults_total", "Lines of access logs with a fault, by its kind.", 0)
            .by("kind", faults.map(|(kind, count)| (kind, count as f64))),
        Metric::counter("log_files_total", "Files of access logs that began to be read.", log.files),
        Metric::gauge(
            "log_files_unreadable",
            "Files of access logs that cannot be read, or are more than may be open.",
            log.unreadable as f64,
        ),
        Metric::gauge("log_backlog_bytes", "Bytes of access logs not read yet.", counts.log_backlog as f64),
        Metric::counter("answered_total", "Requests in the access logs, by what answered them.", 0)
            .by("outcome", answered.map(|(outcome, count)| (outcome.clone(), *count as f64))),
        Metric::counter(
            "answered_stale_total",
            "Answers past their soft expiry, by the access logs.",
            counts.answered.stale,
        ),
        Metric::counter(
            "answered_failed_total",
            "Requests that failed, by the access logs.",
            counts.answered.failed,
        ),
        Metric::counter(
            "misses_warmed_total",
            "Documents and order lines made because they were missed.",
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
            "Requests in the access logs since the ranking last changed.",
            counts.ranking_unchanged_requests as f64,
        ),
    ]
}

/// What is kept, and how much room there is.
fn of_plan(counts: &Counts) -> Vec<Metric> {
    let gauge = |name, help, value: u64| Metric::gauge(name, help, value as f64);
    let (plan, memory) = (&counts.plan, &counts.memory);
    vec![
        gauge("plan_budget_bytes", "Bytes that the plan may take.", plan.budget),
        gauge("plan_bytes", "Bytes that the plan takes, as estimated.", plan.bytes),
        gauge(
            "plan_answers",
            "Documents that the plan keeps beside those over all stores.",
            plan.answers as u64,
        ),
        gauge("plan_ready_responses", "Ready responses that the plan keeps.", plan.ready as u64),
        gauge("stores_hot", "Stores that are warmed first.", plan.hot as u64),
        gauge("stores_with_order_lines", "Stores of which order lines are kept.", plan.orders as u64),
        Metric::gauge(
            "plan_shrunk",
            "Whether the plan is smaller than warm.budget for want of room: 1, else 0.",
            flag(memory.shrunk),
        ),
        gauge(
            "stores_left_out",
            "Cold stores that are left out for want of room.",
            memory.stores_left_out as u64,
        ),
        Metric::gauge(
            "paced",
            "Whether slow reads hold stores back to one at a time: 1, else 0.",
            flag(counts.paced),
        ),
    ]
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
