//! `warmer status`: what the warmers of a prefix publish.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use shared::cache::{Cache, MonitorStatus, RedisCache};
use shared::config::Settings;
use shared::keys::Keys;
use shared::runtime::now_ms;

use super::{Output, settings};
use crate::operate::{OperateError, words::ago};
use shared::published::{Counts, Role, Status as Published, Warmers};

/// Show what the warmers of this prefix do
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  warmer status\n  warmer status --output json\n\nExit codes: 0 a warmer is active, 1 none is."
)]
pub(super) struct Status {
    /// How it is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    pub(super) settings: settings::Redis,
}

/// Shows the warmers.
pub(super) async fn run(settings: &Settings, args: Status) -> anyhow::Result<ExitCode> {
    let cache = Cache::Redis(RedisCache::connect(&settings.redis)?);
    let warmers =
        Warmers::read(&cache, &Keys::new(&settings.prefix)).await.ok_or(OperateError::Unavailable)?;
    match args.output {
        Output::Text => println!("{}", text(&warmers, now_ms())),
        Output::Json => println!("{}", serde_json::to_string_pretty(&warmers)?),
    }
    if warmers.active {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: {}", warmers.remedy(&settings.prefix));
    Ok(ExitCode::FAILURE)
}

fn text(warmers: &Warmers, now: i64) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "warmer",
        "role",
        "runs for",
        "stores ready",
        "waiting",
        "last cycle",
        "changes",
        "failures",
        "memory",
        "told",
    ]);
    for status in &warmers.warmers {
        let counts = &status.counts;
        table.add_row([
            status.instance.clone(),
            role(status),
            span(status.now - status.started_at),
            format!("{} of {}", counts.stores_ready, counts.stores),
            counts.waiting.to_string(),
            last_cycle(counts, now),
            counts.changes.to_string(),
            counts.failures.to_string(),
            bytesize::ByteSize(status.memory_bytes).display().iec().to_string(),
            format!("{} ago", span(now - status.now)),
        ]);
    }
    let mut lines = vec![];
    if !warmers.warmers.is_empty() {
        lines.push(table.to_string());
    }
    for status in &warmers.warmers {
        lines.extend(redis(&status.instance, &status.redis));
        if let Some(problem) = &status.problem {
            lines.push(format!("{}: not ready: {problem}", status.instance));
        }
        if let Some(failure) = &status.counts.last_failure {
            let when =
                status.counts.last_failure_at.map(|at| format!(", {}", ago(at, now))).unwrap_or_default();
            lines.push(format!("{}: last failure{when}: {failure}", status.instance));
        }
    }
    for name in &warmers.unreadable {
        lines.push(format!("{name}: its status cannot be read; it may be of another version"));
    }
    lines.push(match &warmers.lease {
        Some(owner) => format!("lease: {owner}"),
        None => "lease: nobody".to_owned(),
    });
    lines.join("\n")
}

/// What a warmer found of Redis, and what it warns of.
fn redis(instance: &str, found: &MonitorStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(server) = &found.server {
        let size = |bytes| bytesize::ByteSize(bytes).display().iec();
        let limit =
            if server.max_memory == 0 { "no limit".to_owned() } else { size(server.max_memory).to_string() };
        lines.push(format!(
            "{instance}: redis {} has been up for {}, {} of {limit} used, {} keys evicted; {:.1} % of {} looks found it",
            server.version,
            humantime::format_duration(Duration::from_secs(server.uptime_s)),
            size(server.used_memory),
            server.evicted_keys,
            found.success_ratio() * 100.0,
            found.checks
        ));
    }
    lines.extend(found.warnings.iter().map(|warning| format!("{instance}: redis: {warning}")));
    lines
}

fn role(status: &Published) -> String {
    let role = match status.role {
        Role::Active if status.counts.paused => "active, paused",
        Role::Active => "active",
        Role::Standby => "standby",
    };
    role.to_owned()
}

fn last_cycle(counts: &Counts, now: i64) -> String {
    let Some(cycle) = &counts.last_cycle else { return "none yet".to_owned() };
    let ago = span(now - cycle.began.saturating_add(cycle.duration_ms));
    let took =
        humantime::format_duration(Duration::from_millis(u64::try_from(cycle.duration_ms).unwrap_or(0)));
    format!("{ago} ago, {took}, {} lines", cycle.lines_read)
}

/// A span of milliseconds, to the second; clocks that differ make none negative.
fn span(ms: i64) -> String {
    let seconds = u64::try_from(ms).unwrap_or(0) / 1000;
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::Progress;
    use crate::publish::Reporter;
    use shared::published::CycleReport;

    fn warmers(lease: Option<&str>) -> Warmers {
        let mut status = Reporter::new(Progress::default(), 1_000).status(62_000);
        status.instance = "a".to_owned();
        status.role = Role::Active;
        status.problem = None;
        status.counts.last_failure = Some("s1: too large".to_owned());
        status.counts.last_failure_at = Some(60_000);
        status.counts.last_cycle =
            Some(CycleReport { began: 50_000, duration_ms: 1_500, lines_read: 77, ..CycleReport::default() });
        let lease = lease.map(str::to_owned);
        Warmers { active: lease.is_some(), lease, warmers: vec![status], unreadable: vec!["old".to_owned()] }
    }

    #[test]
    fn the_table_tells_people() {
        let shown = text(&warmers(Some("host/1/x")), 65_000);
        for part in ["1m 1s", "3s ago", "13s ago", "1s 500ms", "77 lines", "0 of 0", "active"] {
            assert!(shown.replace('\n', " ").contains(part), "{part}: {shown}");
        }
        assert!(
            shown.contains("a: last failure, 5s ago: s1: too large\nold: its status cannot be read"),
            "{shown}"
        );
        assert!(shown.ends_with("lease: host/1/x"), "{shown}");
    }

    #[test]
    fn the_remedy_fits_what_is_there() {
        let mut warmers = warmers(None);
        assert!(warmers.remedy("hs:1:").contains("stands by"));
        warmers.warmers[0].problem = Some("redis refused".to_owned());
        assert!(warmers.remedy("hs:1:").ends_with("a says: redis refused"));
        warmers.warmers.clear();
        assert!(warmers.remedy("hs:1:").contains("warmer run"));
    }
}
