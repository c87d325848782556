//! Checks of the running warmer: whether one writes, under the same rules, and how it does.

use std::path::Path;
use std::process::Command;

use shared::cache::{Patience, Read, RedisCache};
use shared::config::Settings;
use shared::entry;
use shared::keys::{DIRECTORY_SUMMARY, Keys, Slot};
use shared::verify::Report;

use super::over;
use shared::published::{Status, Warmers};

use crate::operate::words::ago;

/// Where systemd says that it runs.
const SYSTEMD: &str = "/run/systemd/system";

const ACTIVE: &str = "warmer.active";
const RULES: &str = "warmer.rules";
const STORES: &str = "warmer.stores";
const FAILURES: &str = "warmer.failures";

/// Names of these checks.
pub(super) const CHECKS: [&str; 4] = [RULES, ACTIVE, STORES, FAILURES];

pub(super) async fn check(report: &mut Report, settings: &Settings, redis: &RedisCache) -> Option<Warmers> {
    let keys = Keys::new(&settings.prefix);
    rules(report, settings, redis, &keys).await;
    let Some(warmers) = Warmers::read(&over(redis), &keys).await else {
        let remedy = "see whether Redis runs (redis-cli PING), and try again";
        report.fail(ACTIVE, "redis did not answer", remedy);
        report.skip(&[STORES, FAILURES], "warmer.active failed");
        return None;
    };
    let Some(active) = warmers.warmers.iter().find(|status| status.is_active()).filter(|_| warmers.active)
    else {
        report.fail(ACTIVE, "no warmer writes", warmers.remedy(&settings.prefix));
        report.skip(&[STORES, FAILURES], "warmer.active failed");
        return Some(warmers);
    };
    let counts = &active.counts;
    let others = warmers.warmers.len() - 1;
    let seen = format!("{} writes, {others} stand by", active.instance);
    if counts.paused {
        report.warn(ACTIVE, format!("{seen}; it is paused"), "when that is no longer wanted: warmer resume");
    } else {
        report.pass(ACTIVE, seen);
    }
    let seen = format!("{} of {} ready, {} wait", counts.stores_ready, counts.stores, counts.waiting);
    if counts.cycles > 0 && counts.stores_ready < counts.stores {
        report.warn(
            STORES,
            seen,
            "see which and why: warmer status, warmer explain STORE, and the warmer's log",
        );
    } else if counts.cycles == 0 {
        report.pass(STORES, format!("{seen}; its first cycle is not over"));
    } else {
        report.pass(STORES, seen);
    }
    failures(report, active);
    Some(warmers)
}

/// Failures that a whole cycle has left behind are told, and are nobody's work any more.
fn failures(report: &mut Report, active: &Status) {
    let counts = &active.counts;
    let Some(failure) = &counts.last_failure else { return report.pass(FAILURES, "none") };
    let when = counts.last_failure_at.map(|at| format!(" {}", ago(at, active.now))).unwrap_or_default();
    let seen = format!("{}, the last{when}: {failure}", counts.failures);
    if counts.is_past_its_failures() {
        report.pass(FAILURES, format!("{seen}; a whole cycle went well since"));
    } else {
        report.warn(
            FAILURES,
            seen,
            "see the warmer's log; what failed is tried again by itself, and warmer refresh tries at once",
        );
    }
}

/// Whether what is cached was made under these rules: another fingerprint is a miss to every gateway with them.
async fn rules(report: &mut Report, settings: &Settings, redis: &RedisCache, keys: &Keys) {
    let slot = Slot { key: keys.directory(), field: Some(DIRECTORY_SUMMARY.to_owned()) };
    let own = settings.rules.fingerprint();
    match over(redis).read(&[slot], Patience::Bulk).await.pop() {
        Some(Read::Hit(bytes)) => match entry::look(&bytes) {
            Ok(look) if look.header.rules == own => {
                report.pass(RULES, format!("{own:016x}, as what is cached"));
            }
            Ok(look) => report.fail(
                RULES,
                format!("{own:016x} here, {:016x} in what is cached", look.header.rules),
                "give warmer and gateways the same [rules], and restart those that have others",
            ),
            Err(damage) => report.warn(
                RULES,
                format!("the directory cannot be read: {}", damage.as_str()),
                "warmer once makes it again",
            ),
        },
        _ => report.warn(RULES, "nothing is cached yet", "run warmer once, or start warmer run"),
    }
}

/// Whether the service manager runs the unit.
pub(super) fn service(report: &mut Report, unit: &str) {
    let name = "host.service";
    if !Path::new(SYSTEMD).is_dir() {
        return report.skip(&[name], "systemd does not run here");
    }
    let shown =
        Command::new("systemctl").args(["show", "--property=LoadState,ActiveState,SubState", unit]).output();
    let text = shown.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let value =
        |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("unknown").to_owned();
    let (load, active, sub) = (value("LoadState="), value("ActiveState="), value("SubState="));
    if load != "loaded" {
        return report.skip(&[name], "there is no such unit");
    }
    let seen = format!("{unit} is {active} ({sub})");
    report.judge(name, active == "active", seen, "see systemctl status and journalctl -u of the unit");
}
