//! Broadcast tracking (RESP3): Redis tells which keys under a prefix changed, on a connection of its own.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, PushKind, Value};
use tokio::sync::Notify;

use super::RedisCache;
use crate::cache::{CacheError, Change, Told};

/// Before the first attempt to connect again; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl RedisCache {
    /// Tells of every change of a key that begins with `prefix`, for ever; connects again as often as it must. A
    /// connection that does not answer for up to twice `keepalive` counts as lost.
    pub(in crate::cache) async fn watch(&self, prefix: &str, keepalive: Duration, told: Told) -> Infallible {
        let mut pause = FIRST_PAUSE;
        let mut failing = false;
        loop {
            let session = Arc::new(Session::new(Arc::clone(&told)));
            let error = match self.run(prefix, keepalive, &session).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            if session.end() {
                (pause, failing) = (FIRST_PAUSE, false);
            }
            if failing {
                tracing::debug!(error = %error, "changes cannot be watched");
            } else {
                tracing::warn!(error = %error, "changes cannot be watched, so nothing is kept near; trying again");
            }
            failing = true;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    async fn run(
        &self,
        prefix: &str,
        keepalive: Duration,
        session: &Arc<Session>,
    ) -> Result<Infallible, CacheError> {
        let mut connection = self.connect_tracking(session).await?;
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(prefix);
        let limit = self.settings.connect_timeout;
        bounded(limit, tracking.query_async::<()>(&mut connection)).await?;
        session.begin();
        loop {
            tokio::select! {
                () = session.lost.notified() => {
                    return Err(lost("redis: the connection that tells of changes was closed"));
                }
                () = tokio::time::sleep(keepalive) => {}
            }
            bounded(keepalive, redis::cmd("PING").query_async::<()>(&mut connection)).await?;
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    async fn connect_tracking(&self, session: &Arc<Session>) -> Result<MultiplexedConnection, CacheError> {
        let info = self.client.get_connection_info();
        let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.clone().set_redis_settings(redis))?;
        let pushed = Arc::clone(session);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.settings.connect_timeout))
            .set_response_timeout(None)
            .set_push_sender(move |push: PushInfo| {
                pushed.pushed(&push);
                Ok::<_, Infallible>(())
            });
        // Twice: for the connection, and for the greetings on it.
        let limit = self.settings.connect_timeout * 2;
        bounded(limit, client.get_multiplexed_async_connection_with_config(&config)).await
    }
}

async fn bounded<T>(
    limit: Duration,
    answer: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, CacheError> {
    let answer = tokio::time::timeout(limit, answer).await;
    let late = || lost("redis: the connection that tells of changes does not answer");
    Ok(answer.map_err(|_| late())??)
}

fn lost(what: &str) -> CacheError {
    CacheError::timeout(what.to_owned())
}

/// One connection, from the moment that changes are told to its end.
struct Session {
    told: Told,
    lost: Notify,
    /// Held while telling, so that the end of a session is told before anything of the next.
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Live,
    Ended,
}

impl Session {
    fn new(told: Told) -> Self {
        Self { told, lost: Notify::new(), state: Mutex::new(State::Connecting) }
    }

    fn begin(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Connecting {
            *state = State::Live;
            (self.told)(Change::Connected);
        }
    }

    /// Ends it; says whether changes were ever told.
    fn end(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, State::Ended);
        if before == State::Live {
            (self.told)(Change::Disconnected);
        }
        before == State::Live
    }

    fn pushed(&self, push: &PushInfo) {
        match push.kind {
            PushKind::Invalidate => {
                let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                // What comes before tracking is on is covered by Connected.
                if *state == State::Live {
                    (self.told)(change(&push.data));
                }
            }
            PushKind::Disconnection => {
                self.lost.notify_one();
                self.end();
            }
            _ => {}
        }
    }
}

/// What an invalidation says: a list of keys, or nil when everything is gone.
fn change(data: &[Value]) -> Change {
    let [Value::Array(keys)] = data else { return Change::Everything };
    let texts = keys.iter().map(|key| match key {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    });
    texts.collect::<Option<Vec<String>>>().map_or(Change::Everything, Change::Keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalidations_are_read() {
        let key = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let keys = Value::Array(vec![key("a"), key("b")]);
        assert_eq!(change(&[keys]), Change::Keys(vec!["a".to_owned(), "b".to_owned()]));
        for odd in [&[Value::Nil][..], &[], &[Value::Array(vec![Value::Int(1)])], &[key("a")]] {
            assert_eq!(change(odd), Change::Everything, "{odd:?}");
        }
        assert_eq!(change(&[Value::Array(vec![Value::BulkString(vec![0xff])])]), Change::Everything);
    }

    #[test]
    fn an_end_is_told_once_and_nothing_after_it() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&told);
        let session = Session::new(Arc::new(move |change| {
            log.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        }));
        let invalidate = PushInfo { kind: PushKind::Invalidate, data: vec![Value::Nil] };
        let gone = PushInfo { kind: PushKind::Disconnection, data: Vec::new() };
        session.pushed(&invalidate);
        session.begin();
        session.pushed(&invalidate);
        session.pushed(&gone);
        session.pushed(&invalidate);
        session.begin();
        assert!(!session.end());
        let told = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(told, [Change::Connected, Change::Everything, Change::Disconnected]);
    }
}
