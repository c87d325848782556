//! A breaker that tasks share: cheap to ask, told of every outcome, and watched by one task that probes.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::{Notify, watch};

use super::{Breaker, BreakerSettings, State};

/// Characters of an error that are kept: a status stays small.
const MAX_ERROR: usize = 300;

/// How a guarded server does, for status and metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BreakerStatus {
    /// `closed`, `reconnecting`, `open` or `half_open`.
    pub state: &'static str,
    /// Whether requests go through.
    pub admits: bool,
    /// How long it has been in this state, milliseconds.
    pub for_ms: u64,
    /// How often it opened.
    pub opened: u64,
    /// Requests and probes that failed.
    pub failures: u64,
    /// Requests that were turned away.
    pub rejected: u64,
    /// Probes.
    pub probes: u64,
    /// Probes that failed.
    pub probe_failures: u64,
    /// The last failure.
    pub last_error: Option<String>,
    /// How long ago it was, milliseconds.
    pub last_error_ago_ms: Option<u64>,
}

/// A breaker shared by the tasks that use one server.
#[derive(Debug)]
pub struct Guard {
    /// Name of the server in the log.
    server: &'static str,
    /// What happens without it, for the log.
    without: &'static str,
    start: Instant,
    breaker: Mutex<Inner>,
    /// Whether requests go through, and whether the last ones were answered: nothing to tell then.
    admits: AtomicBool,
    calm: AtomicBool,
    /// Follows `admits`, for those who wait.
    admitting: watch::Sender<bool>,
    /// Somebody waits unusually long: the probe is to look now.
    doubt: Notify,
    opened: AtomicU64,
    failures: AtomicU64,
    rejected: AtomicU64,
    probes: AtomicU64,
    probe_failures: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    breaker: Breaker,
    last_error: Option<(Duration, String)>,
}

impl Guard {
    /// A closed one. `server` is its name in the log, `without` says what happens without it.
    #[must_use]
    pub fn new(settings: BreakerSettings, server: &'static str, without: &'static str) -> Self {
        Self {
            server,
            without,
            start: Instant::now(),
            breaker: Mutex::new(Inner { breaker: Breaker::new(settings), last_error: None }),
            admits: AtomicBool::new(true),
            calm: AtomicBool::new(true),
            admitting: watch::Sender::new(true),
            doubt: Notify::new(),
            opened: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            probes: AtomicU64::new(0),
            probe_failures: AtomicU64::new(0),
        }
    }

    /// Whether a request may go through; one that may not is counted.
    #[must_use]
    pub fn admit(&self) -> bool {
        let admits = self.admits.load(Ordering::Relaxed);
        if !admits {
            self.rejected.fetch_add(1, Ordering::Relaxed);
        }
        admits
    }

    /// A request was answered. Costs one look while all is well.
    pub fn succeeded(&self) {
        if !self.calm.load(Ordering::Relaxed) {
            self.change(Breaker::succeeded);
        }
    }

    /// A request failed, or was not answered in time; `error` is asked for only if it is kept.
    pub fn failed(&self, error: impl FnOnce() -> String) {
        self.note(error);
        self.change(Breaker::failed);
    }

    /// Somebody waits unusually long: the next probe is due now.
    pub fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// Completes when requests are turned away.
    pub async fn opens(&self) {
        // The sender lives as long as this.
        let _ = self.admitting.subscribe().wait_for(|admits| !admits).await;
    }

    /// Probes when it is due, for as long as this is polled: without it, an open breaker stays open. `probe` hears
    /// whether requests go through.
    pub async fn watch<E, F>(&self, probe: impl Fn(bool) -> F) -> Infallible
    where
        E: std::fmt::Display,
        F: Future<Output = Result<(), E>>,
    {
        loop {
            let due = self.lock().breaker.next_probe();
            let wait = due.saturating_sub(self.start.elapsed());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // While it is open, whoever doubts is turned away.
                () = self.doubt.notified(), if self.admits.load(Ordering::Relaxed) => {}
            }
            self.probes.fetch_add(1, Ordering::Relaxed);
            match probe(self.admits.load(Ordering::Relaxed)).await {
                Ok(()) => self.change(Breaker::probe_succeeded),
                Err(error) => {
                    self.probe_failures.fetch_add(1, Ordering::Relaxed);
                    self.note(|| error.to_string());
                    self.change(Breaker::probe_failed);
                }
            }
            // A probe that fails at once must not spin.
            tokio::task::yield_now().await;
        }
    }

    /// How it does.
    #[must_use]
    pub fn status(&self) -> BreakerStatus {
        let now = self.start.elapsed();
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let inner = self.lock();
        let state = inner.breaker.state();
        BreakerStatus {
            state: state.as_str(),
            admits: state.admits(),
            for_ms: ms(now.saturating_sub(inner.breaker.since())),
            opened: count(&self.opened),
            failures: count(&self.failures),
            rejected: count(&self.rejected),
            probes: count(&self.probes),
            probe_failures: count(&self.probe_failures),
            last_error: inner.last_error.as_ref().map(|(_, error)| error.clone()),
            last_error_ago_ms: inner.last_error.as_ref().map(|(at, _)| ms(now.saturating_sub(*at))),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a failure; its text is kept while somebody may want it.
    fn note(&self, error: impl FnOnce() -> String) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        if self.admits.load(Ordering::Relaxed) || self.lock().last_error.is_none() {
            let text: String = error().chars().take(MAX_ERROR).collect();
            self.lock().last_error = Some((self.start.elapsed(), text));
        }
    }

    fn change(&self, event: impl FnOnce(&mut Breaker, Duration)) {
        let mut inner = self.lock();
        let (before, since) = (inner.breaker.state(), inner.breaker.since());
        let now = self.start.elapsed();
        event(&mut inner.breaker, now);
        let state = inner.breaker.state();
        self.calm.store(state == State::Closed && inner.breaker.failures() == 0, Ordering::Relaxed);
        if state == before {
            return;
        }
        self.admits.store(state.admits(), Ordering::Relaxed);
        self.admitting.send_if_modified(|admits| std::mem::replace(admits, state.admits()) != state.admits());
        if state == State::Reconnecting {
            self.opened.fetch_add(1, Ordering::Relaxed);
        }
        let error = inner.last_error.as_ref().map(|(_, error)| error.clone()).unwrap_or_default();
        drop(inner);
        self.tell(before, state, now.saturating_sub(since), &error);
    }

    fn tell(&self, before: State, state: State, lasted: Duration, error: &str) {
        let (server, lasted_ms) = (self.server, lasted.as_millis());
        match (before, state) {
            (_, State::Reconnecting) => {
                tracing::warn!(server, error, "{server} does not answer; {}", self.without);
            }
            (State::Reconnecting, State::Open) => {
                tracing::warn!(
                    server,
                    error,
                    "{server} is still not there; it is asked again in the background"
                );
            }
            (_, State::Closed) => tracing::info!(server, "{server} answers again"),
            _ => tracing::debug!(server, lasted_ms, state = state.as_str(), "breaker changed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn guard() -> Guard {
        let settings = BreakerSettings {
            backoff: Duration::from_millis(1),
            probe_interval: Duration::from_millis(5),
            ..BreakerSettings::default()
        };
        Guard::new(settings, "test", "nothing happens")
    }

    #[tokio::test]
    async fn those_who_wait_hear_that_it_opened_and_probes_close_it_again() {
        let guard = Arc::new(guard());
        let up = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicUsize::new(0));
        let mut watch = tokio::task::JoinSet::new();
        watch.spawn({
            let (guard, up, asked) = (Arc::clone(&guard), Arc::clone(&up), Arc::clone(&asked));
            async move {
                guard
                    .watch(|_| {
                        asked.fetch_add(1, Ordering::Relaxed);
                        let up = up.load(Ordering::Relaxed);
                        async move { if up { Ok(()) } else { Err("nobody there") } }
                    })
                    .await
            }
        });
        // The looks of the watch alone open it.
        guard.opens().await;
        assert!(!guard.admit());
        let status = guard.status();
        assert_eq!((status.opened, status.rejected, status.admits), (1, 1, false));
        assert_eq!(status.last_error.as_deref(), Some("nobody there"));
        up.store(true, Ordering::Relaxed);
        let closed = async {
            while guard.status().state != "closed" {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), closed).await.ok();
        let status = guard.status();
        assert_eq!(status.state, "closed");
        assert!(status.probe_failures >= 3 && status.probes > status.probe_failures, "{status:?}");
        assert!(guard.admit() && asked.load(Ordering::Relaxed) > 0);
    }

    #[tokio::test]
    async fn requests_open_it_too_and_an_error_is_kept_short() {
        let guard = guard();
        for _ in 0..3 {
            assert!(guard.admit());
            guard.failed(|| "x".repeat(5000));
        }
        assert!(!guard.admit());
        assert_eq!(guard.status().last_error.map(|error| error.len()), Some(MAX_ERROR));
    }
}
