//! The open loop: requests are sent when they are due, whether or not earlier ones were answered, and their latency
//! counts from then. So a gateway that stalls shows all that would have waited (no coordinated omission).

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::scenario::{Ask, Sessions};
use super::shot::Shooter;

/// Requests after which other tasks get their turn, where many are due at once.
const TURN: usize = 32;

/// A request that is due at a time after the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// After the start.
    pub at: Duration,
    /// The request.
    pub ask: Ask,
}

/// A rate that changes evenly from one value to another.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Requests a second at the start.
    pub from: f64,
    /// At the end.
    pub to: f64,
    /// From start to end.
    pub over: Duration,
}

impl Rate {
    /// When the request of this number is due; none after the end.
    fn due(self, number: u64) -> Option<Duration> {
        // Up to time t come from·t + slope·t²/2 requests; this is solved for t, in the form that also fits slope 0.
        let (count, over) = (number as f64, self.over.as_secs_f64());
        let slope = (self.to - self.from) / over;
        let root = slope.mul_add(2.0 * count, self.from * self.from);
        let divisor = self.from + root.max(0.0).sqrt();
        let at = if count == 0.0 { 0.0 } else { 2.0 * count / divisor };
        (root >= 0.0 && at.is_finite() && at < over).then(|| Duration::from_secs_f64(at))
    }

    /// All requests.
    #[must_use]
    pub fn count(self) -> u64 {
        ((self.from + self.to) / 2.0 * self.over.as_secs_f64()).round() as u64
    }
}

/// Requests at a rate: those of sessions that follow each other, page by page.
pub fn at_rate(rate: Rate, sessions: Sessions, seed: u64) -> impl Iterator<Item = Arrival> {
    let mut random = SmallRng::seed_from_u64(seed);
    let asks = std::iter::from_fn(move || Some(sessions.next(&mut random))).flatten().flatten();
    (0..).map_while(move |number| rate.due(number)).zip(asks).map(|(at, ask)| Arrival { at, ask })
}

/// Sends requests when they are due, to each gateway in turn, until there are no more or it is told to stop; then
/// waits for answers. A request that is due while `limit` others are in flight is not sent, and counts as missed.
pub async fn run(
    arrivals: impl Iterator<Item = Arrival>,
    gateways: &[Shooter],
    limit: usize,
    stop: &CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(limit));
    let (mut in_flight, clock) = (JoinSet::new(), Clock::start());
    for (number, (Arrival { at, ask }, shooter)) in arrivals.zip(gateways.iter().cycle()).enumerate() {
        let due = shooter.recorder().started() + at;
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = clock.sleep_until(due) => {}
        }
        match Arc::clone(&slots).try_acquire_owned() {
            Ok(slot) => {
                let shooter = shooter.clone();
                in_flight.spawn(async move {
                    shooter.shoot(&ask, Some(due)).await;
                    drop(slot);
                });
            }
            Err(_) => shooter.missed(&ask, limit),
        }
        while in_flight.try_join_next().is_some() {}
        if number % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
    }
    while in_flight.join_next().await.is_some() {}
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn counts(from: f64, to: f64, seconds: u64) -> Vec<usize> {
        let rate = Rate { from, to, over: Duration::from_secs(seconds) };
        let sessions = Sessions::of_paths(&["/a".to_owned(), "/b".to_owned()]);
        let mut counts = vec![0; usize::try_from(seconds).unwrap()];
        let mut last = Duration::ZERO;
        for arrival in at_rate(rate, sessions, 1) {
            assert!(arrival.at >= last);
            last = arrival.at;
            counts[usize::try_from(arrival.at.as_secs()).unwrap()] += 1;
        }
        let all: usize = counts.iter().sum();
        assert!(all.abs_diff(usize::try_from(rate.count()).unwrap()) <= 1, "{all} of {}", rate.count());
        counts
    }

    #[test]
    fn a_constant_rate_is_kept_and_a_ramp_rises_or_falls() {
        assert!(counts(100.0, 100.0, 3).iter().all(|count| (99..=101).contains(count)));
        // Between 0 and 100, 50 a second on average in each second's middle.
        assert!(
            counts(0.0, 400.0, 4)
                .iter()
                .zip([50, 150, 250, 350])
                .all(|(a, b): (&usize, usize)| a.abs_diff(b) <= 2)
        );
        assert!(
            counts(400.0, 0.0, 4)
                .iter()
                .zip([350, 250, 150, 50])
                .all(|(a, b): (&usize, usize)| a.abs_diff(b) <= 2)
        );
    }
}
