//! The health monitor: looks at Redis at an interval, keeps counts of what it found, and tells what changed. When a look
//! fails it tries again at once, a few times; then Redis counts as offline and is tried in the background until it is back.

mod warning;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{RedisCache, ServerFacts};
use crate::cache::{CacheError, CacheErrorKind};
pub use warning::{Warning, WarningKind};

/// Pause before the first further try; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How long what is written to see whether it can be read stays at most.
const PROOF_TTL: Duration = Duration::from_secs(10);
/// Characters of an error that are kept: a status stays small.
const MAX_ERROR: usize = 300;

/// Whether Redis is there, as the monitor found it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonitorState {
    /// Not looked at yet.
    #[default]
    Unknown,
    /// The last look found it.
    Online,
    /// It did not answer: work goes on without it, and it is tried again and again.
    Offline,
}

/// What the monitor found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MonitorStatus {
    /// Whether Redis is there.
    pub state: MonitorState,
    /// Looks since the start.
    pub checks: u64,
    /// Those of them that found nobody, the tries at once included.
    pub failures: u64,
    /// Tries at once after looks that failed, and in the background.
    pub reconnects: u64,
    /// The last error.
    pub last_error: Option<String>,
    /// When it was, milliseconds since 1970.
    pub last_error_at: Option<i64>,
    /// When the last look ended, milliseconds since 1970.
    pub checked_at: Option<i64>,
    /// Since when the state is what it is, milliseconds since 1970.
    pub since: Option<i64>,
    /// Time that the last PING took, microseconds.
    pub ping_us: Option<u64>,
    /// What the server said of itself, if this user may ask.
    pub server: Option<ServerFacts>,
    /// What an operator should see to.
    pub warnings: Vec<Warning>,
}

impl MonitorStatus {
    /// Share of looks that found Redis, from 0 to 1; 1 before the first one.
    #[must_use]
    pub fn success_ratio(&self) -> f64 {
        if self.checks == 0 {
            1.0
        } else {
            (self.checks - self.failures.min(self.checks)) as f64 / self.checks as f64
        }
    }
}

/// What is known of a Redis, shared with whoever asks. It outlives connections. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    status: Arc<Mutex<MonitorStatus>>,
    doubt: Arc<Notify>,
}

/// A look that found Redis.
struct Found {
    ping: Duration,
    server: Option<ServerFacts>,
}

impl Monitor {
    /// What was found so far.
    #[must_use]
    pub fn status(&self) -> MonitorStatus {
        self.with(|status| status.clone())
    }

    /// Somebody could not reach Redis: the next look is due now.
    pub fn doubt(&self) {
        self.doubt.notify_one();
    }

    fn with<T>(&self, work: impl FnOnce(&mut MonitorStatus) -> T) -> T {
        work(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn run(self, redis: RedisCache, proof: Option<String>) -> Infallible {
        let settings = redis.settings.clone();
        let mut proof = proof;
        loop {
            let found = self.look(&redis, proof.as_deref()).await;
            if found {
                // Once written, it can be written.
                proof = None;
            }
            let next = tokio::time::Instant::now() + settings.check_interval;
            if found {
                tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    () = self.doubt.notified() => {}
                    () = async {
                        // While a breaker that opened closes again, a look finds Redis already.
                        tokio::time::sleep(settings.probe_interval).await;
                        opens(&redis).await;
                    } => {}
                }
                continue;
            }
            while tokio::time::Instant::now() < next {
                tokio::time::sleep(settings.probe_interval).await;
                self.with(|status| status.reconnects += 1);
                if redis.ping_within(limit(&redis)).await.is_ok() {
                    break;
                }
            }
        }
    }

    /// One look with its tries; whether it found Redis.
    async fn look(&self, redis: &RedisCache, proof: Option<&str>) -> bool {
        let mut pause = FIRST_PAUSE;
        let mut outcome = ask(redis, proof).await;
        for _ in 0..redis.settings.check_reconnects {
            if outcome.is_ok() {
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            self.with(|status| status.reconnects += 1);
            outcome = ask(redis, proof).await;
        }
        // A breaker tells of outages itself.
        let silent = redis.guard().is_some();
        match outcome {
            Ok(found) => {
                self.found(found, redis.settings.slow_ping, silent);
                true
            }
            Err(error) => {
                self.missed(&error, silent);
                if let Some(guard) = redis.guard() {
                    guard.doubt();
                }
                false
            }
        }
    }

    fn found(&self, found: Found, slow: Duration, silent: bool) {
        let warnings = warning::warnings(found.server.as_ref(), found.ping, slow);
        let now = crate::runtime::now_ms();
        let (before, old) = self.with(|status| {
            status.checks += 1;
            status.checked_at = Some(now);
            status.ping_us = Some(u64::try_from(found.ping.as_micros()).unwrap_or(u64::MAX));
            let before = std::mem::replace(&mut status.state, MonitorState::Online);
            if before != MonitorState::Online {
                status.since = Some(now);
            }
            status.server.clone_from(&found.server);
            (before, std::mem::replace(&mut status.warnings, warnings.clone()))
        });
        if before == MonitorState::Unknown || (before == MonitorState::Offline && !silent) {
            let server = found.server.unwrap_or_default();
            tracing::info!(
                version = %server.version,
                mode = server.mode,
                role = server.role,
                used_bytes = server.used_memory,
                limit_bytes = server.max_memory,
                policy = server.policy,
                ping_us = u64::try_from(found.ping.as_micros()).unwrap_or(u64::MAX),
                "redis is online"
            );
        }
        tell(&old, &warnings);
    }

    fn missed(&self, error: &CacheError, silent: bool) {
        let now = crate::runtime::now_ms();
        let text: String = error.to_string().chars().take(MAX_ERROR).collect();
        let before = self.with(|status| {
            status.checks += 1;
            status.failures += 1;
            status.checked_at = Some(now);
            status.last_error = Some(text);
            status.last_error_at = Some(now);
            status.ping_us = None;
            let before = std::mem::replace(&mut status.state, MonitorState::Offline);
            if before != MonitorState::Offline {
                status.since = Some(now);
            }
            before
        });
        if before != MonitorState::Offline && !silent {
            tracing::warn!(error = %error, "redis is offline; work goes on without it, and it is tried again");
        }
    }
}

/// Tells which warnings came and went.
fn tell(old: &[Warning], new: &[Warning]) {
    let is_in = |warnings: &[Warning], kind| warnings.iter().any(|warning| warning.kind == kind);
    for warning in new.iter().filter(|warning| !is_in(old, warning.kind)) {
        tracing::warn!(kind = warning.kind.name(), "redis: {warning}");
    }
    for warning in old.iter().filter(|warning| !is_in(new, warning.kind)) {
        tracing::info!(kind = warning.kind.name(), "redis: a warning is over");
    }
}

/// Completes when the breaker, if there is one, turns requests away.
async fn opens(redis: &RedisCache) {
    match redis.guard() {
        Some(guard) => guard.opens().await,
        None => std::future::pending().await,
    }
}

fn limit(redis: &RedisCache) -> Duration {
    redis.settings.connect_timeout + redis.settings.command_timeout
}

async fn ask(redis: &RedisCache, proof: Option<&str>) -> Result<Found, CacheError> {
    // The first one may have to connect; the second one is timed.
    redis.ping_within(limit(redis)).await?;
    let start = Instant::now();
    redis.ping_within(limit(redis).max(redis.settings.slow_ping * 2)).await?;
    let ping = start.elapsed();
    let server = match redis.server_facts().await {
        Ok(server) => Some(server),
        Err(error) if error.kind() == CacheErrorKind::Denied => None,
        Err(error) => return Err(error),
    };
    if let Some(key) = proof {
        write_and_read(redis, key).await?;
    }
    Ok(Found { ping, server })
}

/// Whether what is written can be read. No transaction: a user without the right to MULTI is to hear what it lacks.
#[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
pub(super) async fn write_and_read(redis: &RedisCache, key: &str) -> Result<(), CacheError> {
    let value = crate::runtime::now_ms().to_string();
    let set = redis::cmd("SET").arg(key).arg(&value).arg("EX").arg(PROOF_TTL.as_secs()).to_owned();
    redis.command::<()>(set).await?;
    let found: Option<String> = redis.command(redis::cmd("GET").arg(key).to_owned()).await?;
    redis.command::<()>(redis::cmd("UNLINK").arg(key).to_owned()).await?;
    if found == Some(value) {
        return Ok(());
    }
    Err(CacheError::new(
        CacheErrorKind::Other,
        format!("redis: what was written at {key} cannot be read"),
        "see that the address leads to one primary server, and no other program writes under redis.prefix",
    ))
}

/// A monitor's task; it ends with the last clone of the cache.
pub(super) struct Monitored {
    monitor: Monitor,
    _task: JoinSet<Infallible>,
}

impl Monitored {
    pub(super) fn status(&self) -> MonitorStatus {
        self.monitor.status()
    }
}

impl RedisCache {
    /// The same cache under a monitor, and a task that looks for it. `proof` is a key that the first look writes and
    /// reads, for programs that write. To be called within a tokio runtime.
    #[must_use]
    pub fn monitored(self, monitor: &Monitor, proof: Option<String>) -> Self {
        let mut task = JoinSet::new();
        task.spawn(monitor.clone().run(self.clone(), proof));
        Self { monitored: Some(Arc::new(Monitored { monitor: monitor.clone(), _task: task })), ..self }
    }
}
