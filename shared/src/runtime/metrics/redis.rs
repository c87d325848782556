//! Metrics of the monitor of Redis, the same of both daemons.

use super::Metric;
use crate::cache::{MonitorState, MonitorStatus, WarningKind};

/// What the monitor found, as metrics.
#[must_use]
pub fn of_redis(status: &MonitorStatus) -> Vec<Metric> {
    let flag = |holds: bool| f64::from(u8::from(holds));
    let checks = [("ok", status.checks.saturating_sub(status.failures)), ("failed", status.failures)];
    let warns = |kind| status.warnings.iter().any(|warning| warning.kind == kind);
    let mut table = vec![
        Metric::gauge(
            "redis_up",
            "Whether the monitor's last look found Redis: 1, else 0.",
            flag(status.state == MonitorState::Online),
        ),
        Metric::counter("redis_checks_total", "Looks of the monitor at Redis, by result.", 0)
            .by("result", checks.map(|(result, count)| (result, count as f64))),
        Metric::counter(
            "redis_reconnects_total",
            "Further tries to reach Redis after looks that failed.",
            status.reconnects,
        ),
        Metric::gauge(
            "redis_check_success_ratio",
            "Share of the monitor's looks that found Redis.",
            status.success_ratio(),
        ),
        Metric::gauge(
            "redis_warning",
            "1 for what is wrong with a Redis that answers, 0 for what is not.",
            0.0,
        )
        .by("kind", WarningKind::ALL.map(|kind| (kind.name(), flag(warns(kind))))),
    ];
    if let Some(ping) = status.ping_us {
        table.push(Metric::gauge("redis_ping_seconds", "Time that the last PING took.", ping as f64 / 1e6));
    }
    if let Some(server) = &status.server {
        table.extend([
            Metric::gauge(
                "redis_uptime_seconds",
                "Time since Redis started, by its own word.",
                server.uptime_s as f64,
            ),
            Metric::gauge("redis_used_bytes", "Memory that Redis uses.", server.used_memory as f64),
            Metric::gauge(
                "redis_limit_bytes",
                "Most memory that Redis may use; 0 = no limit.",
                server.max_memory as f64,
            ),
            Metric::counter(
                "redis_evicted_keys_total",
                "Keys that Redis evicted since it started.",
                server.evicted_keys,
            ),
        ]);
    }
    table
}
