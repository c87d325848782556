//! What requests for documents came to in the last minute, from counters that only grow: the difference of two readings.

use std::collections::VecDeque;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use shared::access_log::Outcome;
use shared::answers::parameters::Route;
use tokio::time::Instant;

use crate::observe::{BUCKETS, Counters};

/// What is called now.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// The counters at a moment.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) at: Instant,
    /// Requests by outcome, in the order of [`Outcome::ALL`].
    pub(super) outcomes: [u64; Outcome::ALL.len()],
    /// Of them, those with a status of 500 or more.
    pub(super) failed: u64,
    /// Times by bucket, not summed up.
    times: [u64; BUCKETS],
}

impl Reading {
    /// The counters of documents now; health checks and this page count for nothing.
    pub(super) fn of(counters: &Counters, at: Instant) -> Self {
        let mut reading = Self { at, outcomes: [0; Outcome::ALL.len()], failed: 0, times: [0; BUCKETS] };
        for ([route, class, outcome], count) in counters.requests() {
            if !Route::KINDS.contains(&route) {
                continue;
            }
            let place = Outcome::ALL.iter().position(|known| known.as_str() == outcome);
            if let Some(sum) = place.and_then(|place| reading.outcomes.get_mut(place)) {
                *sum += count;
            }
            if class == "5xx" {
                reading.failed += count;
            }
        }
        reading.times = counters.times(&Route::KINDS);
        reading
    }

    pub(super) fn total(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// What happened since an earlier one.
    pub(super) fn since(&self, earlier: &Self) -> Traffic {
        let less = |now: &[u64], then: &[u64]| -> Vec<u64> {
            now.iter().zip(then).map(|(now, then)| now.saturating_sub(*then)).collect()
        };
        Traffic {
            seconds: self.at.saturating_duration_since(earlier.at).as_secs_f64().max(0.001),
            outcomes: less(&self.outcomes, &earlier.outcomes),
            failed: self.failed.saturating_sub(earlier.failed),
            times: less(&self.times, &earlier.times),
        }
    }
}

/// What happened in some time.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    seconds: f64,
    outcomes: Vec<u64>,
    failed: u64,
    times: Vec<u64>,
}

impl Traffic {
    pub(super) fn requests(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    fn of(&self, outcome: Outcome) -> u64 {
        let place = Outcome::ALL.iter().position(|known| *known == outcome);
        place.and_then(|place| self.outcomes.get(place)).copied().unwrap_or(0)
    }

    /// Documents that were answered.
    pub(super) fn answered(&self) -> u64 {
        self.requests() - self.of(Outcome::None)
    }

    /// Share of the answered documents that did not need the source, in percent; `None` if there was none.
    pub(super) fn hit_percent(&self) -> Option<f64> {
        let answered = self.answered();
        percent(answered - self.of(Outcome::Source), answered)
    }

    pub(super) fn failed_percent(&self) -> Option<f64> {
        percent(self.failed, self.requests())
    }

    pub(super) fn per_second(&self) -> f64 {
        self.requests() as f64 / self.seconds
    }

    pub(super) fn failed_per_second(&self) -> f64 {
        self.failed as f64 / self.seconds
    }

    pub(super) fn outcome_per_second(&self, outcome: Outcome) -> f64 {
        self.of(outcome) as f64 / self.seconds
    }

    /// The time, in milliseconds, that a share of the requests did not exceed: within its bucket as if they were spread
    /// evenly. `None` without requests.
    pub(super) fn percentile(&self, share: f64) -> Option<f64> {
        let all: u64 = self.times.iter().sum();
        if all == 0 {
            return None;
        }
        let wanted = share * all as f64;
        let (mut below, mut lower) = (0_u64, 0.0);
        for (count, upper) in self.times.iter().zip(crate::observe::upper_bounds_ms()) {
            let reached = below + count;
            if *count > 0 && reached as f64 >= wanted {
                let within = (wanted - below as f64) / *count as f64;
                return Some(lower + (upper - lower) * within);
            }
            (below, lower) = (reached, upper);
        }
        Some(lower)
    }

    /// By level, in the order of the ladder.
    pub(super) fn levels(&self) -> Vec<LevelShare> {
        let answered = self.answered();
        let share = |outcome: &Outcome| LevelShare {
            outcome: outcome.as_str(),
            requests: self.of(*outcome),
            percent: percent(self.of(*outcome), answered),
        };
        Outcome::ALL.iter().filter(|outcome| **outcome != Outcome::None).map(share).collect()
    }
}

/// What one step of the ladder answered.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LevelShare {
    /// As in `X-Cache`.
    pub outcome: &'static str,
    /// Documents that it answered in the window.
    pub requests: u64,
    /// Of all that were answered; null if none was.
    pub percent: Option<f64>,
}

/// A share in percent; `None` of nothing.
pub(super) fn percent(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| rounded(part as f64 * 100.0 / all as f64))
}

/// With two decimals: no more can be read.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Readings of the last [`WINDOW`].
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<Reading>);

impl Window {
    /// Takes a reading; gives what happened since the oldest one.
    pub(super) fn take(&mut self, reading: Reading) -> Traffic {
        while self.0.get(1).is_some_and(|second| reading.at.saturating_duration_since(second.at) >= WINDOW) {
            self.0.pop_front();
        }
        let traffic = reading.since(self.0.front().unwrap_or(&reading));
        self.0.push_back(reading);
        traffic
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use http::StatusCode;

    use super::*;

    fn ask(counters: &Counters, outcome: Outcome, status: StatusCode, ms: u64) {
        counters.begin("/v1/stores", Some("stores")).answered(status, outcome, Duration::from_millis(ms));
    }

    #[test]
    fn shares_and_percentiles_are_of_the_time_between() {
        let (counters, start) = (Counters::default(), Instant::now());
        ask(&counters, Outcome::Source, StatusCode::OK, 900);
        let mut window = Window::default();
        let first = window.take(Reading::of(&counters, start));
        assert_eq!((first.requests(), first.hit_percent(), first.percentile(0.5)), (0, None, None));
        for _ in 0..97 {
            ask(&counters, Outcome::Near, StatusCode::OK, 1);
        }
        ask(&counters, Outcome::L3, StatusCode::OK, 4);
        ask(&counters, Outcome::Source, StatusCode::OK, 700);
        ask(&counters, Outcome::None, StatusCode::SERVICE_UNAVAILABLE, 1);
        drop(counters.begin("/livez", None));
        let then = window.take(Reading::of(&counters, start + Duration::from_secs(10)));
        assert_eq!((then.requests(), then.answered()), (100, 99));
        assert_eq!((then.hit_percent(), then.failed_percent()), (Some(98.99), Some(1.0)));
        assert!((then.per_second() - 10.0).abs() < 1e-9);
        let near = &then.levels()[0];
        assert_eq!((near.outcome, near.requests, near.percent), ("near", 97, Some(97.98)));
        let (half, most) = (then.percentile(0.5).unwrap(), then.percentile(0.995).unwrap());
        assert!((0.5..=1.0).contains(&half) && (500.0..=1000.0).contains(&most), "{half} {most}");
        // What is older than the window counts no more.
        let late = window.take(Reading::of(&counters, start + Duration::from_secs(75)));
        assert_eq!(late.requests(), 0);
    }
}
