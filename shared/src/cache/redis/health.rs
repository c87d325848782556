//! Reads that know how Redis does: counted by result, and behind a breaker where a program wants one. Broken connections and
//! PINGs open it; bulk reads do not, but they give up as soon as it is open.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::{RedisError, RedisResult};
use tokio::task::JoinSet;

use super::{MonitorStatus, RedisCache, RedisSettings};
use crate::breaker::{BreakerSettings, BreakerStatus, Guard};
use crate::cache::{CacheError, CacheErrorKind, Patience, Read};

/// Slots read, by result, and how the breaker does.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CacheHealth {
    /// Slots that were there.
    pub hits: u64,
    /// Slots that were not.
    pub misses: u64,
    /// Slots of which the cache could not say.
    pub unavailable: u64,
    /// The breaker, if there is one.
    pub breaker: Option<BreakerStatus>,
    /// What the monitor found, if there is one.
    pub monitor: Option<MonitorStatus>,
}

/// Counts of a thread's reads.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    unavailable: AtomicU64,
}

impl Counts {
    pub(super) fn count(&self, reads: &[Read<Bytes>]) {
        let hits = reads.iter().filter(|read| matches!(read, Read::Hit(_))).count() as u64;
        let misses = reads.iter().filter(|read| matches!(read, Read::Miss)).count() as u64;
        let unavailable = reads.len() as u64 - hits - misses;
        for (count, more) in [(&self.hits, hits), (&self.misses, misses), (&self.unavailable, unavailable)] {
            if more > 0 {
                count.fetch_add(more, Ordering::Relaxed);
            }
        }
    }
}

/// A breaker and the task that probes for it; the task ends with the last clone of the cache.
pub(super) struct Watched {
    pub(super) guard: Arc<Guard>,
    _watch: JoinSet<Infallible>,
}

impl RedisCache {
    /// The same cache behind a breaker, and a task that probes for it: for programs that can do without Redis. To be
    /// called within a tokio runtime.
    #[must_use]
    pub fn guarded(self) -> Self {
        let guard = Arc::new(Guard::new(
            breaker_settings(&self.settings),
            "redis",
            "answers come from elsewhere until it does",
        ));
        let mut watch = JoinSet::new();
        watch.spawn({
            let (guard, redis) = (Arc::clone(&guard), self.clone());
            // A sign of life has the time of a small read, or that of a new connection once it is open.
            async move {
                let limits = (redis.settings.command_timeout, redis.settings.connect_timeout);
                guard
                    .watch(|admits| {
                        let limit = if admits { limits.0 } else { limits.0 + limits.1 };
                        let redis = redis.clone();
                        async move {
                            let start = Instant::now();
                            match redis.ping_within(limit).await {
                                // As in `within`.
                                Err(_) if admits && start.elapsed() > limit * 2 => Ok(()),
                                outcome => outcome,
                            }
                        }
                    })
                    .await
            }
        });
        Self { watched: Some(Arc::new(Watched { guard, _watch: watch })), ..self }
    }

    pub(super) fn guard(&self) -> Option<&Guard> {
        self.watched.as_ref().map(|watched| watched.guard.as_ref())
    }

    /// How it does.
    #[must_use]
    pub fn health(&self) -> CacheHealth {
        let sum = |of: fn(&Counts) -> &AtomicU64| {
            self.counts.iter().map(|counts| of(counts).load(Ordering::Relaxed)).sum()
        };
        CacheHealth {
            hits: sum(|counts| &counts.hits),
            misses: sum(|counts| &counts.misses),
            unavailable: sum(|counts| &counts.unavailable),
            breaker: self.guard().map(Guard::status),
            monitor: self.monitored.as_ref().map(|monitored| monitored.status()),
        }
    }

    /// What `read` gives, within its time and while the breaker lets reads through; `None` if it could not be had.
    pub(super) async fn within<T>(
        &self,
        patience: Patience,
        limit: Duration,
        read: impl Future<Output = RedisResult<T>>,
    ) -> Option<T> {
        let guard = self.guard();
        if guard.is_some_and(|guard| !guard.admit()) {
            return None;
        }
        let timed = in_time(limit, read);
        let outcome = match (guard, patience) {
            (Some(guard), Patience::Bulk) => {
                // Boxed: small reads, which are many, should not carry it.
                let slow = Box::pin(async {
                    // A read that is large may be slow; whether the server hangs a PING finds out.
                    tokio::time::sleep(self.settings.command_timeout).await;
                    guard.doubt();
                    guard.opens().await;
                });
                tokio::select! {
                    outcome = timed => outcome,
                    () = slow => return None,
                }
            }
            _ => timed.await,
        };
        let small = guard.filter(|_| patience == Patience::Small);
        match outcome {
            Ok(Ok(value)) => {
                if let Some(guard) = small {
                    guard.succeeded();
                }
                Some(value)
            }
            Ok(Err(error)) => {
                tracing::debug!(error = %error, "redis read failed");
                if let Some(guard) = small.filter(|_| is_of_server(&error)) {
                    guard.failed(|| error.to_string());
                }
                None
            }
            Err(late) => {
                tracing::debug!(limit_ms = limit.as_millis(), late, "redis read timed out");
                // Among many reads one may be late for want of a turn in this process: a PING, which waits behind none of them,
                // tells whether it was Redis.
                if let Some(guard) = small.filter(|_| !late) {
                    guard.doubt();
                }
                None
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub(super) async fn ping_within(&self, limit: Duration) -> Result<(), CacheError> {
        let mut connection = self.small()?;
        let command = redis::cmd("PING");
        let query = command.query_async::<String>(&mut connection);
        in_time(limit, query).await.map_err(|_| {
            let what = format!("redis: no answer to PING within {} ms", limit.as_millis());
            if self.settings.url.starts_with("rediss://") {
                // A port without TLS takes the greeting for the begin of a command, and waits for its end.
                let remedy = "check that redis.url names the server's port of TLS, and the server's load";
                CacheError::new(CacheErrorKind::Timeout, what, remedy)
            } else {
                CacheError::timeout(what)
            }
        })??;
        Ok(())
    }
}

/// Times that a limit begins anew because the clock struck late.
const ROUNDS: u32 = 8;

/// What `work` gives within `limit`. If the clock strikes late, or other tasks go first for long, this process is behind, and
/// the answer may lie there unread: then it has the time once more, a few times. Else whether it was behind at the end.
async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, bool> {
    let mut work = std::pin::pin!(work);
    let mut late = false;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        if let Ok(value) = tokio::time::timeout(limit, work.as_mut()).await {
            return Ok(value);
        }
        let elapsed = start.elapsed();
        // All that is ready goes first.
        tokio::task::yield_now().await;
        late = is_late(elapsed, limit) || start.elapsed().saturating_sub(elapsed) > limit / 10;
        if !late {
            break;
        }
    }
    Err(late)
}

/// Whether a clock that was to strike after `limit` did so by more than a tenth, and two milliseconds, too late.
fn is_late(elapsed: Duration, limit: Duration) -> bool {
    elapsed > limit + limit / 10 + Duration::from_millis(2)
}

fn breaker_settings(settings: &RedisSettings) -> BreakerSettings {
    BreakerSettings {
        failures: settings.breaker_failures,
        probe_interval: settings.probe_interval,
        ..BreakerSettings::default()
    }
}

/// Whether an error tells of the server and not of one key: a right that this user lacks, or a key of another type,
/// says that the server lives.
fn is_of_server(error: &RedisError) -> bool {
    !matches!(error.code(), Some("NOPERM" | "WRONGTYPE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_answers_while_this_process_is_behind_is_heard() {
        let limit = Duration::from_millis(5);
        // Keeps the only thread busy beyond the limit: the clock strikes late, and the answer comes after that.
        let behind = async {
            #[allow(clippy::disallowed_methods, reason = "a thread that is busy")]
            std::thread::sleep(limit * 4);
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            7
        };
        assert_eq!(in_time(limit, behind).await, Ok(7));
        let start = Instant::now();
        assert!(in_time(limit, std::future::pending::<()>()).await.is_err());
        assert!(start.elapsed() >= limit);
    }

    #[test]
    fn a_clock_is_late_by_more_than_a_tenth() {
        let limit = Duration::from_millis(50);
        assert_eq!(
            [50, 57, 58, 500].map(|ms| is_late(Duration::from_millis(ms), limit)),
            [false, false, true, true]
        );
    }
}
