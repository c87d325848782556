//! A load from its beginning to its report.

use std::sync::Arc;
use std::time::Duration;

use shared::runtime::now_ms;
use tokio_util::sync::CancellationToken;

use super::closed::{self, ClosedSettings};
use super::measure::{Recorder, Snapshot};
use super::open::{self, Rate};
use super::replay::Recording;
use super::report::{Environment, Report};
use super::scenario::Sessions;
use super::servers;
use super::shot::Shooter;
use crate::client::Gateway;

/// Time between two looks of whoever watches.
const TICK: Duration = Duration::from_secs(1);

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub enum Pattern {
    /// By users who wait for answers, for so long.
    Closed(ClosedSettings, Duration),
    /// At a rate.
    Open {
        /// The rate.
        rate: Rate,
        /// Most requests in flight.
        limit: usize,
        /// Another number gives other sessions.
        seed: u64,
    },
}

impl Pattern {
    /// How long it takes but for the last answers.
    #[must_use]
    pub fn duration(&self) -> Duration {
        match self {
            Self::Closed(_, duration) => *duration,
            Self::Open { rate, .. } => rate.over,
        }
    }
}

/// A load.
#[derive(Clone, Debug)]
pub struct Load {
    /// Who is asked; at least one.
    pub gateways: Vec<Gateway>,
    /// What is asked.
    pub sessions: Sessions,
    /// When.
    pub pattern: Pattern,
}

/// Runs a load until its end, or until `stop`. `watch` is told once a second how far it is.
pub async fn run(load: Load, stop: &CancellationToken, watch: impl FnMut(Duration, &Snapshot)) -> Report {
    let Load { gateways, sessions, pattern } = load;
    let recorder = Arc::new(Recorder::new(pattern.duration()));
    let shooters = Shooter::each(&gateways, &recorder);
    let (end, stop_users) = (stop.clone(), stop.child_token());
    let asking = async {
        match &pattern {
            Pattern::Closed(settings, duration) => {
                let users = closed::run(settings, &sessions, &shooters, &stop_users);
                let timer = async {
                    let _ = tokio::time::timeout(*duration, stop_users.cancelled()).await;
                    stop_users.cancel();
                };
                tokio::join!(users, timer);
            }
            Pattern::Open { rate, limit, seed } => {
                let arrivals = open::at_rate(*rate, sessions.clone(), *seed);
                open::run(arrivals, &shooters, *limit, &stop_users).await;
            }
        }
    };
    measured("run", &gateways, &recorder, asking, &end, watch).await
}

/// Sends a recording again, so many times as fast; at most `limit` requests are in flight. Otherwise as [`run`].
pub async fn replay(
    gateways: &[Gateway],
    recording: &Recording,
    speed: f64,
    limit: usize,
    stop: &CancellationToken,
    watch: impl FnMut(Duration, &Snapshot),
) -> Report {
    let recorder = Arc::new(Recorder::new(recording.duration(speed)));
    let shooters = Shooter::each(gateways, &recorder);
    let asking = open::run(recording.arrivals(speed), &shooters, limit, stop);
    measured("replay", gateways, &recorder, asking, stop, watch).await
}

/// The report of what `asking` does, with all that goes on beside it.
async fn measured(
    command: &str,
    gateways: &[Gateway],
    recorder: &Recorder,
    asking: impl Future<Output = ()>,
    stop: &CancellationToken,
    mut watch: impl FnMut(Duration, &Snapshot),
) -> Report {
    let started_at = now_ms();
    let done = CancellationToken::new();
    let asking = async {
        asking.await;
        done.cancel();
        recorder.started().elapsed()
    };
    let watching = async {
        while tokio::time::timeout(TICK, done.cancelled()).await.is_err() {
            watch(recorder.started().elapsed(), &recorder.snapshot());
        }
    };
    let servers = servers::watch(gateways, recorder.started(), &done);
    let (took, (), servers) = tokio::join!(asking, watching, servers);
    let gateways: Vec<String> = gateways.iter().map(|gateway| gateway.base().to_owned()).collect();
    Report {
        started_at,
        interrupted: stop.is_cancelled(),
        environment: Environment::here(),
        servers,
        ..Report::new(command, &gateways, recorder.measurement(), took)
    }
}
