//! How the daemon is: whether its loop comes round, whether Redis answers it, and who writes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::config::Settings;
use shared::runtime::Heartbeat;

/// Whose the lease is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writer {
    /// This warmer's.
    This,
    /// That of another one, by its name.
    Other(String),
}

#[derive(Debug, Default)]
struct State {
    /// Why Redis does not answer.
    outage: Option<String>,
    /// Not settled yet, or whose the lease is.
    writer: Option<Writer>,
}

/// The daemon's health, shared with whoever asks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Health {
    heartbeat: Heartbeat,
    state: Arc<Mutex<State>>,
}

/// A loop that does not come round for so long hangs.
const LOOP_LIMIT: Duration = Duration::from_secs(30);
/// More than the waits of one round take together.
const MARGIN: Duration = Duration::from_secs(10);

impl Health {
    /// After how much silence the loop counts as hanging: 30 s, or more if the settings allow longer waits.
    #[must_use]
    pub fn limit(settings: &Settings) -> Duration {
        let redis = 2 * (settings.redis.connect_timeout + settings.redis.bulk_timeout);
        LOOP_LIMIT.max(settings.warm.drain_timeout + MARGIN).max(redis + MARGIN)
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The loop came round.
    pub(super) fn beat(&self) {
        self.heartbeat.beat();
    }

    /// The lease has an owner.
    pub(super) fn settled(&self, writer: Writer) {
        self.with(|state| *state = State { outage: None, writer: Some(writer) });
    }

    /// Redis could not say who has the lease.
    pub(super) fn outage(&self, reason: String) {
        self.with(|state| state.outage = Some(reason));
    }

    /// Whether Redis answered just now.
    pub(super) fn redis_answers(&self, answers: bool) {
        let reason = || "redis does not answer; see whether it runs and redis.url is right".to_owned();
        self.with(|state| state.outage = (!answers).then(reason));
    }

    /// A daemon starts again: nothing is known of it.
    pub fn start_over(&self) {
        self.heartbeat.beat();
        self.with(|state| *state = State::default());
    }

    /// Time since the loop last came round.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        self.heartbeat.age()
    }

    /// Whose the lease is, once that is settled.
    ///
    /// # Errors
    /// Why the daemon is not ready.
    pub fn ready(&self) -> Result<Writer, String> {
        self.with(|state| match (&state.outage, &state.writer) {
            (Some(reason), _) => Err(reason.clone()),
            (None, Some(writer)) => Ok(writer.clone()),
            (None, None) => Err("it has just started: redis was not asked for the lease yet".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_follows_redis_and_the_lease() {
        let health = Health::default();
        assert!(health.ready().is_err_and(|reason| reason.contains("just started")));
        health.outage("refused".to_owned());
        assert_eq!(health.ready(), Err("refused".to_owned()));
        health.settled(Writer::Other("b".to_owned()));
        assert_eq!(health.ready(), Ok(Writer::Other("b".to_owned())));
        health.settled(Writer::This);
        health.redis_answers(false);
        assert!(health.ready().is_err_and(|reason| reason.contains("does not answer")));
        health.redis_answers(true);
        assert_eq!(health.ready(), Ok(Writer::This), "the lease is not forgotten in an outage");
        health.clone().start_over();
        assert!(health.ready().is_err());
    }
}
