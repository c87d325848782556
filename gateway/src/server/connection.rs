//! One connection from its begin to its end: served, within its limits, and told when the gateway stops.

use std::pin::Pin;
use std::time::{Duration, Instant};

use hyper_util::server::graceful::GracefulConnection;
use tokio::io::AsyncRead;
use tokio::sync::watch;

use super::activity::{Activity, Limit, Limits};
use super::heads::Version;
use super::stream::Watched;

/// How far the gateway is with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Not at all.
    Serving,
    /// No more connections; those there are finish what is in flight.
    Draining,
    /// Out of patience.
    Over,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, or because it was asked to.
    Closed,
    /// It passed a limit.
    Cut(Limit),
    /// The gateway is out of patience.
    Over,
}

/// While the gateway stops, a client that has just connected may send its first request for so long.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// Which HTTP a client speaks; `None` if it does not say so in time, or the gateway stops meanwhile.
pub(super) async fn version<S: AsyncRead + Unpin>(
    stream: &mut Watched<S>,
    limits: &Limits,
    mut phase: watch::Receiver<Phase>,
) -> Option<Version> {
    let stopped = async {
        let _ = phase.wait_for(|phase| *phase > Phase::Serving).await.map(|_| ());
        tokio::time::sleep(FIRST_REQUEST).await;
    };
    tokio::select! {
        version = stream.version() => version,
        () = tokio::time::sleep(limits.head()) => None,
        () = stopped => None,
    }
}

/// Drives a connection to its end.
pub(super) async fn drive<C: GracefulConnection>(
    mut connection: Pin<&mut C>,
    activity: &Activity,
    limits: &Limits,
    mut phase: watch::Receiver<Phase>,
) -> Result<End, C::Error> {
    let mut stopping: Option<Instant> = None;
    // Asked to close, and until when that may take.
    let mut closing: Option<Instant> = None;
    loop {
        let now = Instant::now();
        if *phase.borrow_and_update() == Phase::Over {
            return Ok(End::Over);
        }
        if *phase.borrow() == Phase::Draining {
            let since = *stopping.get_or_insert(now);
            // It has until the gateway is out of patience.
            if closing.is_none() && (activity.was_asked() || now >= since + FIRST_REQUEST) {
                connection.as_mut().graceful_shutdown();
                closing = Some(now + Duration::from_secs(u64::from(u32::MAX)));
            }
        }
        let mut wake = now + limits.shortest();
        match activity.deadline(limits) {
            Some((at, Limit::Idle)) if at <= now => {
                // HTTP/2 says goodbye, so that no request is lost on the way.
                let until = *closing.get_or_insert_with(|| now + limits.closing());
                connection.as_mut().graceful_shutdown();
                if now >= until {
                    return Ok(End::Cut(Limit::Idle));
                }
                wake = wake.min(until);
            }
            Some((at, limit)) if at <= now => return Ok(End::Cut(limit)),
            Some((at, _)) => wake = wake.min(at),
            None => {}
        }
        if let Some(since) = stopping.filter(|_| closing.is_none()) {
            wake = wake.min(since + FIRST_REQUEST);
        }
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended.map(|()| End::Closed),
            // Without a sender nobody serves any more.
            changed = phase.changed() => if changed.is_err() { return Ok(End::Over) },
            () = tokio::time::sleep_until(wake.into()) => {}
        }
    }
}
