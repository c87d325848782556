//! The warmer's status: what it tells of itself in Redis, on the admin listener and to the service manager.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shared::cache::{Cache, Monitor, Patience, Read};
use shared::config::WarmSettings;
use shared::keys::Keys;
use shared::published::{self, Counts, Role, STATUS_FORM, Status};
use shared::runtime::process::{self, ProcessUse};
use shared::runtime::{ServiceState, VERSION, now_ms};

use crate::daemon::{Progress, Writer};

/// Time between two looks for a change of role or readiness.
const LOOK: Duration = Duration::from_millis(200);
/// Names that are tried when others have taken them.
const MOST_NAMES: usize = 9;
/// Characters of a failure that are told: a status stays small.
const MAX_FAILURE: usize = 500;

/// Tells how this warmer is.
#[derive(Debug)]
pub struct Reporter {
    progress: Progress,
    monitor: Monitor,
    started_at: i64,
    host: String,
    /// The name under which it is published, once that is known.
    instance: Mutex<String>,
}

impl Reporter {
    /// Of a daemon that starts at `now`, milliseconds since 1970.
    #[must_use]
    pub fn new(progress: Progress, now: i64) -> Self {
        let host = process::host_name();
        Self {
            progress,
            monitor: Monitor::default(),
            started_at: now,
            instance: Mutex::new(host.clone()),
            host,
        }
    }

    /// What the daemon counts.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What is found of Redis.
    #[must_use]
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// The status at `now`, milliseconds since 1970.
    #[must_use]
    pub fn status(&self, now: i64) -> Status {
        let mut counts = self.progress.counts();
        if let Some(failure) = &mut counts.last_failure {
            *failure = shortened(failure);
        }
        Status {
            v: STATUS_FORM,
            instance: self.instance(|name| name.clone()),
            role: counts.role,
            problem: self.progress.health().ready().err().as_deref().map(shortened),
            started_at: self.started_at,
            now,
            pid: std::process::id(),
            host: self.host.clone(),
            version: VERSION.to_owned(),
            memory_bytes: ProcessUse::now().map_or(0, |used| used.memory),
            counts,
            redis: self.monitor.status(),
        }
    }

    /// The status for the service manager; a loop that is silent for longer than `limit` hangs.
    #[must_use]
    pub fn service_state(&self, limit: Duration) -> ServiceState {
        let health = self.progress.health();
        let ready = health.ready();
        let text = line(&ready, &self.progress.counts());
        ServiceState { ready: ready.is_ok(), alive: health.silent_for() <= limit, text }
    }

    /// What is told at once when it changes.
    fn turn(&self) -> (Role, bool) {
        (self.progress.counts().role, self.progress.health().ready().is_ok())
    }

    fn instance<T>(&self, change: impl FnOnce(&mut String) -> T) -> T {
        change(&mut self.instance.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a status was published by another warmer that still runs: then its name is taken.
    fn is_another(&self, status: &Status) -> bool {
        status.host != self.host || (status.pid != std::process::id() && process::runs(status.pid))
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_FAILURE).collect()
}

/// The daemon's state in one line for people.
fn line(ready: &Result<Writer, String>, counts: &Counts) -> String {
    let writer = match ready {
        Ok(writer) => writer,
        Err(reason) => return format!("not ready: {reason}"),
    };
    if let Writer::Other(owner) = writer {
        return format!("standing by: {owner} writes");
    }
    let doing = if counts.paused { "paused".to_owned() } else { format!("cycle {}", counts.phase.name()) };
    let mut line = format!(
        "active, {doing}: {} of {} stores ready, {} waiting, {} cycles done",
        counts.stores_ready, counts.stores, counts.waiting, counts.cycles
    );
    if let Some(failure) = &counts.last_failure {
        line.push_str(&format!("; {} failures, the last: {}", counts.failures, shortened(failure)));
    }
    line
}

/// Publishes the status for as long as this is polled: at once when role or readiness change, else at the interval. A
/// failure is logged for those who look for it, and stops nothing.
pub async fn publish(cache: &Cache, keys: &Keys, settings: &WarmSettings, reporter: &Reporter) -> Infallible {
    let wanted = settings.instance.clone().unwrap_or_else(|| reporter.host.clone());
    let mut number = 1;
    loop {
        let told = reporter.turn();
        number = free_name(cache, keys, reporter, &wanted, number).await;
        reporter.instance(|name| *name = numbered(&wanted, number));
        if let Err(error) = put(cache, keys, settings, reporter).await {
            tracing::debug!(error = %error, "the status could not be published");
            reporter.monitor().doubt();
        }
        let turns = async {
            while reporter.turn() == told {
                tokio::time::sleep(LOOK).await;
            }
        };
        // After an outage it is told again within the interval.
        let _ = tokio::time::timeout(settings.status_interval, turns).await;
    }
}

async fn put(cache: &Cache, keys: &Keys, settings: &WarmSettings, reporter: &Reporter) -> anyhow::Result<()> {
    let status = reporter.status(now_ms());
    let writes = published::tell(cache, keys, &status, settings.status_interval * 3).await?;
    cache.transact(writes).await?;
    Ok(())
}

fn numbered(name: &str, number: usize) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}/{number}") }
}

/// The first number from `number` on under which no other running warmer publishes.
async fn free_name(cache: &Cache, keys: &Keys, reporter: &Reporter, name: &str, number: usize) -> usize {
    for number in number..MOST_NAMES {
        let slot = keys.warmer_status(&numbered(name, number));
        let status = match cache.read(&[slot], Patience::Bulk).await.pop() {
            Some(Read::Hit(bytes)) => serde_json::from_slice::<Status>(&bytes).ok(),
            _ => None,
        };
        if !status.is_some_and(|status| reporter.is_another(&status)) {
            return number;
        }
    }
    number.max(MOST_NAMES)
}

/// Takes the status back: the warmer stops. If that fails, it goes by itself.
pub async fn withdraw(cache: &Cache, keys: &Keys, reporter: &Reporter) {
    let writes = published::withdraw(keys, &reporter.instance(|name| name.clone()));
    if let Err(error) = cache.transact(writes).await {
        tracing::debug!(error = %error, "the status could not be taken back; it expires by itself");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::published::Phase;

    #[test]
    fn the_line_says_what_matters_first() {
        let mut counts = Counts { stores: 9, stores_ready: 7, waiting: 2, cycles: 1, ..Counts::default() };
        counts.phase = Phase::Warming;
        assert_eq!(
            line(&Ok(Writer::This), &counts),
            "active, cycle warming: 7 of 9 stores ready, 2 waiting, 1 cycles done"
        );
        (counts.failures, counts.last_failure) = (3, Some("s1: too large".to_owned()));
        assert!(line(&Ok(Writer::This), &counts).ends_with("; 3 failures, the last: s1: too large"));
        counts.paused = true;
        assert!(line(&Ok(Writer::This), &counts).starts_with("active, paused: "));
        assert_eq!(line(&Ok(Writer::Other("b".to_owned())), &counts), "standing by: b writes");
        assert_eq!(line(&Err("refused".to_owned()), &counts), "not ready: refused");
    }

    #[test]
    fn a_name_is_taken_by_those_that_run() {
        let reporter = Reporter::new(Progress::default(), 0);
        let own = reporter.status(0);
        assert!(!reporter.is_another(&own));
        let started_before = Status { started_at: -1, ..own.clone() };
        assert!(!reporter.is_another(&started_before), "the same process id on the same host");
        let dead = Status { pid: u32::MAX - 1, ..own.clone() };
        assert!(!reporter.is_another(&dead), "killed, and started again");
        // Process 1 always runs.
        assert!(reporter.is_another(&Status { pid: 1, ..own.clone() }));
        assert!(reporter.is_another(&Status { host: "elsewhere".to_owned(), pid: u32::MAX - 1, ..own }));
    }

    #[test]
    fn a_status_is_read_as_it_was_written_and_with_fields_missing() {
        let reporter = Reporter::new(Progress::default(), 5);
        let mut status = reporter.status(6);
        status.counts.written.insert("cells".into(), (1, 2));
        let text = serde_json::to_string(&status).unwrap_or_default();
        assert_eq!(serde_json::from_str::<Status>(&text).ok(), Some(status.clone()));
        let older = text.replace("\"waiting\":0,", "").replace("{\"v\"", "{\"new\":1,\"v\"");
        assert_ne!(older, text);
        assert_eq!(serde_json::from_str::<Status>(&older).ok(), Some(status));
    }
}
