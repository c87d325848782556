//! One request of a load, from being due to being counted.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;
use shared::access_log::Outcome;
use shared::model::Day;
use tokio::time::Duration;

use super::measure::{Failure, Recorder, Sample};
use super::scenario::Ask;
use super::verify::Verifier;
use crate::client::{Answer, Gateway, RequestError};

/// Who finds no connection waits so long before he tries again: a gateway that is down must not be asked in a circle.
const AFTER_NO_CONNECTION: Duration = Duration::from_millis(100);

/// Somebody who asks one gateway, over connections of his own.
#[derive(Clone, Debug)]
pub struct Shooter {
    gateway: Gateway,
    /// Which of the gateways it is.
    number: usize,
    recorder: Arc<Recorder>,
    verifier: Arc<Verifier>,
}

impl Shooter {
    /// Those who ask each gateway.
    #[must_use]
    pub fn each(gateways: &[Gateway], recorder: &Arc<Recorder>) -> Vec<Self> {
        let way = gateways.first().map(Gateway::way).unwrap_or_default();
        let verifier = Arc::new(Verifier::new(way));
        let of = |(number, gateway): (usize, &Gateway)| Self {
            gateway: gateway.clone(),
            number,
            recorder: Arc::clone(recorder),
            verifier: Arc::clone(&verifier),
        };
        gateways.iter().enumerate().map(of).collect()
    }

    /// Where it is counted.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Counts what was due while so many requests were in flight that it was not sent.
    pub fn missed(&self, ask: &Ask, limit: usize) {
        self.recorder.missed(ask.kind, self.number, limit);
    }

    /// The same over connections of their own.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { gateway: self.gateway.another(), ..self.clone() }
    }

    /// Asks, and counts from when it was due; from when it is sent, if it is due now. Returns whether there is somebody to ask.
    pub async fn shoot(&self, ask: &Ask, due: Option<Instant>) -> bool {
        let newest = self.verifier.newest(self.number, ask);
        self.recorder.sent();
        let begun = Instant::now();
        let answer = match &ask.wish {
            None => self.gateway.get_once(&ask.path).await,
            Some(wish) => self.gateway.post_once(&ask.path, wish.clone()).await,
        };
        let ended = Instant::now();
        let span = answer.as_ref().ok().and_then(|answer| answer.span);
        let sent = span.and_then(|span| span.written).unwrap_or(begun);
        let ended = span.map_or(ended, |span| span.read);
        let reached = !answer.as_ref().is_err_and(RequestError::is_unreachable);
        let (outcome, bytes) = answer.as_ref().map_or((None, 0), |answer| {
            (answer.x_cache.as_deref().map(Outcome::from_header), answer.body.len() as u64)
        });
        let failure = self.failure(ask, answer, newest).await;
        self.recorder.add(Sample {
            kind: ask.kind,
            gateway: self.number,
            due: due.unwrap_or(sent),
            sent,
            ended,
            outcome,
            bytes,
            failure,
        });
        reached
    }

    /// As [`Self::shoot`] with a request that is due now; waits after one that found no connection.
    pub async fn shoot_now(&self, ask: &Ask) {
        if !self.shoot(ask, None).await {
            tokio::time::sleep(AFTER_NO_CONNECTION).await;
        }
    }

    /// What is wrong with an answer to what was asked when `newest` was the newest day that was known.
    async fn failure(
        &self,
        ask: &Ask,
        answer: Result<Answer, RequestError>,
        newest: Option<Day>,
    ) -> Option<Failure> {
        let path = &ask.path;
        let success = if ask.wish.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
        match answer {
            Ok(answer) if answer.status == success => {
                let (kind, told) = self.verifier.check(self.number, ask, &answer, newest).await.err()?;
                let told = format!("{path}: {kind} from {}: {told}", self.gateway.base());
                Some(Failure { kind: kind.to_owned(), told, wrong: true, timed: true })
            }
            Ok(answer) => Some(Failure {
                kind: format!("status {}", answer.status.as_u16()),
                told: format!("{path}: status {}: {}", answer.status, answer.problem()),
                wrong: false,
                timed: true,
            }),
            Err(error) => Some(Failure {
                kind: error.kind().to_owned(),
                told: format!("{path}: {error}"),
                wrong: false,
                timed: matches!(error, RequestError::Timeout(_)),
            }),
        }
    }
}
