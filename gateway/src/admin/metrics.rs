//! The gateway's metrics: one table from counts to names, the same as in `docs/gateway-service.md`.

use std::sync::atomic::{AtomicU64, Ordering};

use shared::breaker::{BreakerStatus, State};
use shared::cache::CacheHealth;
use shared::runtime::metrics::{self, Metric};
use shared::source::postgres::SourceHealth;
use tokio::runtime::Handle;

use crate::app::{App, Front};
use crate::observe::Counters;

/// Every name begins with it.
const PREFIX: &str = "hotshelf_gateway_";

/// Everything in Prometheus' text form.
pub(super) fn text(front: &Front, runtime: &Handle) -> String {
    metrics::text(PREFIX, &table(front, runtime))
}

fn table(front: &Front, runtime: &Handle) -> Vec<Metric> {
    let ready = if front.readiness().is_ok() { 1.0 } else { 0.0 };
    let mut table = vec![Metric::gauge("ready", "Whether requests are welcome: 1, else 0.", ready)];
    table.extend(of_requests(front.counters()));
    table.extend(of_connections(front.counters()));
    let online = front.panel().clients().count() as f64;
    table.push(Metric::gauge(
        "users_online",
        "Clients (tokens, else addresses) that asked for documents in the last 5 minutes.",
        online,
    ));
    if let Some(app) = front.app() {
        table.extend(of_compute(app));
        table.extend(of_near_cache(app));
        let entries = app.levels().damages().map(|(damage, count)| (damage.as_str(), count as f64));
        table.push(
            Metric::counter(
                "entries_unusable_total",
                "Stored entries that were a miss because of damage, by kind.",
                0,
            )
            .by("kind", entries),
        );
        if let Some(health) = app.levels().cache().health() {
            table.extend(of_redis(&health));
        }
        if let Some(health) = app.source().health() {
            table.extend(of_postgres(&health));
        }
    }
    table.extend(of_access(front));
    table.extend(of_access_log(front));
    table.push(metrics::of_tasks(front.runtimes().chain([runtime])));
    table.extend(metrics::of_process());
    table
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn of_requests(counters: &Counters) -> Vec<Metric> {
    let requests = counters.requests();
    let requests = requests.into_iter().map(|(labels, count)| (labels, count as f64));
    vec![
        Metric::counter("requests_total", "Requests answered; 4xx has those whose client went away.", 0)
            .by_all(["route", "status", "outcome"], requests),
        Metric::histogram(
            "request_duration_seconds",
            "Time from a request's head to its answer.",
            "route",
            counters.latency(),
        ),
        Metric::gauge("requests_in_flight", "Requests that are being answered.", counters.in_flight() as f64),
        Metric::counter(
            "requests_shed_total",
            "Requests turned away because too many were in flight.",
            read(&counters.shed),
        ),
        Metric::counter(
            "requests_slow_total",
            "Requests slower than gateway.slow_request.",
            read(&counters.slow),
        ),
        Metric::counter(
            "requests_timed_out_total",
            "Requests slower than gateway.request_timeout.",
            read(&counters.timeouts),
        ),
        Metric::counter("panics_total", "Requests of which the handler panicked.", read(&counters.panics)),
    ]
}

fn of_connections(counters: &Counters) -> Vec<Metric> {
    let connections = &counters.connections;
    vec![
        Metric::gauge("connections", "Connections of clients that are open.", read(&connections.open) as f64),
        Metric::counter(
            "connections_accepted_total",
            "Connections of clients accepted.",
            read(&connections.accepted),
        ),
        Metric::counter(
            "connections_refused_total",
            "Connections refused because there were too many.",
            read(&connections.refused),
        ),
        Metric::counter(
            "connections_failed_total",
            "Connections that could not be accepted, such as for want of file descriptors.",
            read(&connections.failed),
        ),
    ]
}

fn of_compute(app: &App) -> Vec<Metric> {
    let compute = app.compute();
    vec![
        Metric::gauge("compute_queue", "Computations that run or wait.", compute.in_use() as f64),
        Metric::gauge("compute_queue_limit", "Most that may run or wait.", compute.capacity() as f64),
        Metric::counter(
            "compute_refused_total",
            "Computations that found the queue full.",
            compute.refused(),
        ),
    ]
}

fn of_near_cache(app: &App) -> Vec<Metric> {
    let (near, counters) = (app.near(), app.near().counters());
    let (bytes, entries) = near.size();
    let connected = if near.is_connected() { 1.0 } else { 0.0 };
    let lookups = [
        (["response", "hit"], counters.hits()),
        (["response", "miss"], counters.misses()),
        (["cell", "hit"], counters.cell_hits()),
        (["cell", "miss"], counters.cell_misses()),
    ];
    let fills = [
        ("kept", counters.fills()),
        ("outdated", counters.fills_thrown_away()),
        ("refused", counters.fills_refused()),
    ];
    let dropped = [
        ("room", counters.dropped_for_room()),
        ("age", counters.dropped_for_age()),
        ("change", counters.outdated()),
        ("expiry", counters.expired()),
    ];
    let emptied =
        [("disconnected", counters.dropped_by_disconnection()), ("flushed", counters.dropped_by_emptying())];
    vec![
        Metric::gauge("near_bytes", "Bytes of what is kept near.", bytes as f64),
        Metric::gauge("near_entries", "Entries that are kept near.", entries as f64),
        Metric::gauge(
            "near_told",
            "Whether changes are told, so that more than a second of the source may be kept near: 1, else 0.",
            connected,
        ),
        Metric::counter("near_lookups_total", "Look-ups near, by what was looked up and result.", 0)
            .by_all(["of", "result"], lookups.map(|(labels, count)| (labels, count as f64))),
        Metric::counter("near_fills_total", "What was to be kept near, by result.", 0)
            .by("result", counts(fills)),
        Metric::counter("near_dropped_total", "Entries that were kept near no longer, by reason.", 0)
            .by("reason", counts(dropped)),
        Metric::counter("near_emptied_total", "Times that everything near went, by reason.", 0)
            .by("reason", counts(emptied)),
        Metric::counter("near_changes_total", "Changes that were told, by key.", counters.changes()),
        Metric::counter(
            "directory_reads_total",
            "Times that the directory was read again.",
            counters.directory_reads(),
        ),
        Metric::gauge("flights", "Questions that are being answered.", app.open_flights() as f64),
        Metric::counter(
            "flights_total",
            "Questions that were answered, each for all who asked.",
            counters.flights(),
        ),
        Metric::counter(
            "flight_waits_total",
            "Requests that waited for another one's answer.",
            counters.flight_waits(),
        ),
        Metric::counter(
            "flights_failed_total",
            "Questions that could not be answered.",
            counters.flights_failed(),
        ),
        Metric::counter(
            "flights_refused_total",
            "Requests refused because of too many questions.",
            counters.flights_refused(),
        ),
        Metric::counter(
            "store_days_read_total",
            "Store-days fetched because no cell was ready.",
            counters.store_days(),
        ),
        Metric::counter(
            "store_day_waits_total",
            "Store-days that another question was fetching.",
            counters.store_day_waits(),
        ),
    ]
}

fn of_access(front: &Front) -> Vec<Metric> {
    let refused = front.access().refused();
    let refused = [
        ("unauthorized", refused.unauthorized),
        ("forbidden", refused.forbidden),
        ("limited", refused.limited),
    ];
    vec![
        Metric::counter("access_refused_total", "Requests refused for who asked, by reason.", 0)
            .by("reason", counts(refused)),
    ]
}

fn counts<const N: usize>(by: [(&'static str, u64); N]) -> impl Iterator<Item = (&'static str, f64)> {
    by.into_iter().map(|(label, count)| (label, count as f64))
}

fn states(breaker: &BreakerStatus) -> impl Iterator<Item = (&'static str, f64)> {
    let state = breaker.state;
    State::ALL.into_iter().map(move |of| (of.as_str(), if of.as_str() == state { 1.0 } else { 0.0 }))
}

fn of_redis(health: &CacheHealth) -> Vec<Metric> {
    let reads = [("hit", health.hits), ("miss", health.misses), ("unavailable", health.unavailable)];
    let mut table = vec![
        Metric::counter("redis_reads_total", "Keys and fields read from Redis, by result.", 0)
            .by("result", reads.map(|(result, count)| (result, count as f64))),
    ];
    if let Some(breaker) = &health.breaker {
        table.extend([
            Metric::gauge("redis_breaker", "1 for the state that the breaker before Redis has.", 0.0)
                .by("state", states(breaker)),
            Metric::counter(
                "redis_breaker_opened_total",
                "How often the breaker before Redis opened.",
                breaker.opened,
            ),
            Metric::counter("redis_failures_total", "Small reads and PINGs that failed.", breaker.failures),
            Metric::counter(
                "redis_rejected_total",
                "Reads turned away while Redis was down.",
                breaker.rejected,
            ),
            Metric::counter("redis_probes_total", "PINGs sent to see whether Redis answers.", breaker.probes),
            Metric::counter("redis_probes_failed_total", "PINGs without an answer.", breaker.probe_failures),
        ]);
    }
    table.extend(health.monitor.iter().flat_map(metrics::of_redis));
    table
}

fn of_postgres(health: &SourceHealth) -> Vec<Metric> {
    let errors = health.errors.iter().map(|(kind, count)| (*kind, *count as f64));
    let mut table = vec![
        Metric::gauge("postgres_connections", "Open connections.", health.connections as f64),
        Metric::gauge("postgres_connections_limit", "Most connections.", health.max_connections as f64),
        Metric::gauge(
            "postgres_connections_available",
            "Connections that nobody uses.",
            health.available as f64,
        ),
        Metric::gauge("postgres_waiting", "Reads that wait for a connection.", health.waiting as f64),
        Metric::counter("postgres_errors_total", "Reads that failed, by kind.", 0).by("kind", errors),
    ];
    if let Some(breaker) = &health.breaker {
        table.extend([
            Metric::gauge("postgres_breaker", "1 for the state that the breaker before PostgreSQL has.", 0.0)
                .by("state", states(breaker)),
            Metric::counter(
                "postgres_breaker_opened_total",
                "How often the breaker before PostgreSQL opened.",
                breaker.opened,
            ),
            Metric::counter(
                "postgres_rejected_total",
                "Reads turned away while PostgreSQL was down.",
                breaker.rejected,
            ),
        ]);
    }
    table
}

fn of_access_log(front: &Front) -> Vec<Metric> {
    let counts = front.access_log().counts();
    vec![
        Metric::counter("access_log_lines_total", "Lines written to the access log.", counts.written),
        Metric::counter("access_log_bytes_total", "Bytes written to the access log.", counts.written_bytes),
        Metric::counter(
            "access_log_dropped_total",
            "Records dropped because the queue was full.",
            counts.dropped,
        ),
        Metric::counter("access_log_failed_total", "Records lost because the disk failed.", counts.failed),
        Metric::counter("access_log_rotated_total", "Files of the access log rotated.", counts.rotated),
    ]
}
