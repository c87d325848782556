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

fn of_cycle(cycle: &CycleReport) -> [Metric; 5] {
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
