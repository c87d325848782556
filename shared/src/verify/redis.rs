//! Checks of Redis that warmer and gateway make alike: whether it is there and set as Hotshelf needs it.

use std::time::Duration;

use super::Report;
use crate::cache::{CacheError, RedisCache, RedisSettings, ServerFacts, WarningKind};

/// PINGs by which the latency is judged.
const PINGS: usize = 50;
/// A PING that takes longer is worth a look, though it works.
const LEISURELY: Duration = Duration::from_millis(5);

/// Names of the checks that need a Redis that answers.
const OTHERS: [&str; 6] =
    ["redis.version", "redis.mode", "redis.memory", "redis.policy", "redis.persistence", "redis.latency"];

/// Makes the checks; whether Redis can be worked with: it answers, and is a primary server.
pub async fn check(report: &mut Report, redis: &RedisCache, settings: &RedisSettings) -> bool {
    let facts = match redis.server_facts().await {
        Ok(facts) => facts,
        Err(error) => {
            failed(report, "redis.reachable", &error);
            report.skip(&OTHERS, "redis.reachable failed");
            return false;
        }
    };
    report.pass("redis.reachable", format!("{} as {}", redis.place(), redis.user()));
    settings_of_server(report, &facts);
    latency(report, redis, settings).await;
    facts.warnings().iter().all(|warning| warning.kind != WarningKind::NotPrimary)
}

/// Notes an error of Redis.
pub fn failed(report: &mut Report, name: &'static str, error: &CacheError) {
    report.fail(name, error.what(), error.remedy());
}

fn settings_of_server(report: &mut Report, facts: &ServerFacts) {
    let warnings = facts.warnings();
    let warning = |kind| warnings.iter().find(|warning| warning.kind == kind);
    let size = |bytes| bytesize::ByteSize(bytes).display().iec();
    for (name, kind, seen) in [
        ("redis.version", WarningKind::OldVersion, facts.version.to_string()),
        ("redis.mode", WarningKind::NotPrimary, format!("{}, {}", facts.mode, facts.role)),
    ] {
        match warning(kind) {
            Some(warning) => report.fail(name, seen, warning.remedy.clone()),
            None => report.pass(name, seen),
        }
    }
    let used = size(facts.used_memory);
    match (facts.memory_percent(), warning(WarningKind::NoMaxmemory), warning(WarningKind::Memory)) {
        (_, Some(none), _) => {
            report.fail("redis.memory", format!("{used} used, no limit"), none.remedy.clone());
        }
        (Some(percent), _, nearly) => {
            let seen = format!("{used} of {} used ({percent} %)", size(facts.max_memory));
            match nearly {
                Some(nearly) => report.warn("redis.memory", seen, nearly.remedy.clone()),
                None if facts.evicted_keys > 0 => report.warn(
                    "redis.memory",
                    format!("{seen}; {} keys evicted since it started", facts.evicted_keys),
                    "raise maxmemory if that goes on (warmer status); a smaller warm.budget or cache.retention_days needs less",
                ),
                None => report.pass("redis.memory", seen),
            }
        }
        (None, None, _) => report.pass("redis.memory", format!("{used} used")),
    }
    match warning(WarningKind::Policy) {
        Some(warning) => report.fail("redis.policy", facts.policy.clone(), warning.remedy.clone()),
        None => report.pass("redis.policy", facts.policy.clone()),
    }
    if facts.append_only {
        report.warn(
            "redis.persistence",
            "an append-only file is written",
            "all of it can be made again, so spare the disk: warmer setup redis --apply, or CONFIG SET appendonly no",
        );
    } else {
        report.pass("redis.persistence", "no append-only file");
    }
}

async fn latency(report: &mut Report, redis: &RedisCache, settings: &RedisSettings) {
    let name = "redis.latency";
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        match redis.timed_ping().await {
            Ok(time) => times.push(time),
            Err(error) => return failed(report, name, &error),
        }
    }
    times.sort_unstable();
    // The slowest but one: a single hiccup of either side says nothing.
    let slowest = times.get(PINGS - 2).copied().unwrap_or_default();
    let median = times.get(PINGS / 2).copied().unwrap_or_default();
    let shown = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
    let seen = format!("PING {} in the middle, {} at the slow end of {PINGS}", shown(median), shown(slowest));
    if slowest > settings.slow_ping {
        report.fail(
            name,
            seen,
            "see SLOWLOG GET, the server's load and the network; Redis belongs near its gateways",
        );
    } else if median > LEISURELY {
        report.warn(name, seen, "answers from Redis take at least that long; put Redis nearer");
    } else {
        report.pass(name, seen);
    }
}
