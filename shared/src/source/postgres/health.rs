//! A source that knows how its server does: behind a breaker, a dead server costs a request nothing, and reads that
//! wait for one that hangs are given up.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::PostgresSettings;
use super::pool::ConnectionPool;
use crate::breaker::{BreakerSettings, BreakerStatus, Guard};
use crate::source::{SourceError, SourceErrorKind};

/// Failures in a row after which the server counts as down: each takes a second, or the time of a new connection.
const FAILURES: u32 = 2;

/// How the connections to PostgreSQL do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SourceHealth {
    /// Most connections.
    pub max_connections: usize,
    /// Connections that are open.
    pub connections: usize,
    /// Those of them that nobody uses.
    pub available: usize,
    /// Reads that wait for one.
    pub waiting: usize,
    /// Reads that failed, by kind of error.
    pub errors: Vec<(&'static str, u64)>,
    /// The breaker, if there is one.
    pub breaker: Option<BreakerStatus>,
}

/// A breaker, the task that probes for it, and the places of those who wait.
pub(super) struct Watched {
    guard: Arc<Guard>,
    /// Reads that have or wait for a connection.
    places: Semaphore,
    _watch: JoinSet<Infallible>,
}

/// Counts of failed reads, in the order of [`SourceErrorKind::ALL`].
#[derive(Debug, Default)]
pub(super) struct Failures([AtomicU64; SourceErrorKind::ALL.len()]);

impl Failures {
    fn count(&self, kind: SourceErrorKind) {
        let counts = SourceErrorKind::ALL.iter().zip(&self.0);
        for (_, count) in counts.filter(|(of, _)| **of == kind) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn by_kind(&self) -> Vec<(&'static str, u64)> {
        let counts = SourceErrorKind::ALL.iter().zip(&self.0);
        counts.map(|(kind, count)| (kind.as_str(), count.load(Ordering::Relaxed))).collect()
    }
}

impl Watched {
    /// To be called within a tokio runtime.
    pub(super) fn start(settings: &PostgresSettings, pool: &Arc<ConnectionPool>) -> Self {
        let breaker = BreakerSettings {
            failures: FAILURES,
            // Two attempts to connect that time out are failures in a row, however long they take.
            window: settings.connect_timeout * (FAILURES + 1) + BreakerSettings::default().window,
            probe_interval: settings.probe_interval,
            ..BreakerSettings::default()
        };
        let guard =
            Arc::new(Guard::new(breaker, "postgres", "only what is cached can be answered until it does"));
        let mut watch = JoinSet::new();
        watch.spawn({
            let (guard, pool) = (Arc::clone(&guard), Arc::clone(pool));
            async move {
                // While requests go through, a pool that is in use needs no look.
                let probe = |admits: bool| {
                    let pool = Arc::clone(&pool);
                    async move { pool.probe(!admits).await }
                };
                guard.watch(probe).await
            }
        });
        let places = Semaphore::new(settings.connections + settings.max_waiting);
        Self { guard, places, _watch: watch }
    }

    pub(super) fn status(&self) -> BreakerStatus {
        self.guard.status()
    }

    /// What `read` gives, unless the server is known to be down, or is found to be meanwhile.
    pub(super) async fn run<T>(
        &self,
        failures: &Failures,
        read: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        let outcome = self.admitted(read).await;
        if let Err(error) = &outcome {
            failures.count(error.kind());
        }
        outcome
    }

    async fn admitted<T>(
        &self,
        read: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        if !self.guard.admit() {
            return Err(down());
        }
        let Ok(_place) = self.places.try_acquire() else {
            return Err(SourceError::new(
                SourceErrorKind::Busy,
                "postgres: too many reads wait for a connection",
                "try again in a moment, or raise postgres.connections or postgres.max_waiting",
            ));
        };
        let outcome = tokio::select! {
            outcome = read => outcome,
            () = self.guard.opens() => return Err(down()),
        };
        match &outcome {
            Ok(_) => self.guard.succeeded(),
            Err(error) if error.kind() == SourceErrorKind::Unreachable => {
                self.guard.failed(|| error.to_string());
            }
            // It answers, or is busy: that is no reason not to ask it.
            Err(_) => {}
        }
        outcome
    }
}

fn down() -> SourceError {
    SourceError::new(
        SourceErrorKind::Down,
        "postgres does not answer and is not asked until it does",
        "check that the server runs and that postgres.url names its address",
    )
}
