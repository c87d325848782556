//! What is measured while a load runs: latencies by route, outcomes, failures, and a time series of bounded length.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use shared::access_log::Outcome;

use super::series::{Series, Window};

/// Longest latency that is told apart, in microseconds: an hour, as long as --timeout may be.
pub(super) const MOST_US: u64 = 3_600_000_000;
/// Kinds of failures that are told apart; there are about a dozen.
const MOST_FAILURES: usize = 40;
/// Failures that are told in full.
const EXAMPLES: usize = 10;

/// How a request went.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Kind of the question.
    pub kind: &'static str,
    /// Which of the gateways was asked.
    pub gateway: usize,
    /// When it should have been sent.
    pub due: Instant,
    /// When it was sent.
    pub sent: Instant,
    /// When all of the answer was there.
    pub ended: Instant,
    /// Which step answered, and whether the answer was stale; none if it did not say.
    pub outcome: Option<(Outcome, bool)>,
    /// Bytes of the body.
    pub bytes: u64,
    /// What went wrong.
    pub failure: Option<Failure>,
}

/// What went wrong with a request.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its kind, of a few.
    pub kind: String,
    /// In full.
    pub told: String,
    /// Whether the answer came, and was wrong.
    pub wrong: bool,
    /// Whether it took as long as an answer would: a refused connection says nothing of latencies.
    pub timed: bool,
}

/// Counts and latencies of one route, or of one gateway.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Requests that were due: sent or missed.
    pub requests: u64,
    /// Of these, without a right answer.
    pub failures: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// Latencies in microseconds, from when requests were due to the end of their answers.
    pub latencies: Histogram<u64>,
}

/// All that was measured.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// By kind of question.
    pub routes: BTreeMap<&'static str, Measured>,
    /// By gateway, in the order in which they were named; those up to the last that was asked.
    pub gateways: Vec<Measured>,
    /// By how much requests were sent late, in microseconds: what the load tester adds to latencies.
    pub lateness: Histogram<u64>,
    /// Answers by where they came from, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Of these, past their soft expiry.
    pub stale: u64,
    /// Failures by kind.
    pub failures: BTreeMap<String, u64>,
    /// Answers that came and were wrong.
    pub wrong: u64,
    /// Requests that were not sent when they were due, since too many were in flight.
    pub missed: u64,
    /// The first failures, wrong answers before others.
    pub examples: Vec<String>,
    /// How many of them are wrong answers.
    wrong_examples: usize,
    /// The course of time.
    pub series: Series,
}

/// Takes samples of all who ask.
#[derive(Debug)]
pub struct Recorder {
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    measured: Measurement,
    window: Window,
    in_flight: u64,
}

/// A histogram of three digits.
pub(super) fn histogram() -> Histogram<u64> {
    let made = Histogram::new_with_bounds(1, MOST_US, 3);
    made.unwrap_or_else(|_| unreachable!("bounds and digits are constants that fit"))
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(MOST_US).min(MOST_US)
}

impl Measured {
    fn new() -> Self {
        Self { requests: 0, failures: 0, bytes: 0, latencies: histogram() }
    }

    /// Counts a request, with its latency in microseconds if it says something of latencies.
    fn count(&mut self, bytes: u64, failed: bool, latency: Option<u64>) {
        self.requests += 1;
        self.failures += u64::from(failed);
        self.bytes += bytes;
        if let Some(latency) = latency {
            self.latencies.saturating_record(latency);
        }
    }
}

impl Recorder {
    /// A recorder of a load that will take about so long, begun now.
    #[must_use]
    pub fn new(expected: Duration) -> Self {
        let measured = Measurement {
            routes: BTreeMap::new(),
            gateways: Vec::new(),
            lateness: histogram(),
            outcomes: [0; Outcome::ALL.len()],
            stale: 0,
            failures: BTreeMap::new(),
            wrong: 0,
            missed: 0,
            examples: Vec::new(),
            wrong_examples: 0,
            series: Series::new(expected),
        };
        let state = State { measured, window: Window::default(), in_flight: 0 };
        Self { started: Instant::now(), state: Mutex::new(state) }
    }

    /// When it began.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts stay counts, whoever panicked between two of them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is sent.
    pub fn sent(&self) {
        self.state().in_flight += 1;
    }

    /// A request that was [`sent`](Self::sent) has ended.
    pub fn add(&self, sample: Sample) {
        let mut state = self.state();
        let State { measured, window, in_flight } = &mut *state;
        measured.series.advance(sample.ended.duration_since(self.started), window, *in_flight);
        *in_flight = in_flight.saturating_sub(1);
        let latency = microseconds(sample.ended.duration_since(sample.due));
        measured.lateness.saturating_record(microseconds(sample.sent.duration_since(sample.due)));
        let timed = sample.failure.as_ref().is_none_or(|failure| failure.timed).then_some(latency);
        let failed = sample.failure.is_some();
        measured.count(sample.kind, sample.gateway, |part| part.count(sample.bytes, failed, timed));
        window.add(sample.kind, timed, failed);
        if let Some((outcome, stale)) = sample.outcome
            && let Some(place) = Outcome::ALL.iter().position(|known| *known == outcome)
        {
            measured.outcomes[place] += 1;
            measured.stale += u64::from(stale);
            window.outcomes[place] += 1;
        }
        if let Some(failure) = sample.failure {
            measured.wrong += u64::from(failure.wrong);
            measured.fail(failure);
        }
    }

    /// A request was due and could not be sent.
    pub fn missed(&self, kind: &'static str, gateway: usize, limit: usize) {
        let mut state = self.state();
        let State { measured, window, in_flight } = &mut *state;
        measured.series.advance(self.started.elapsed(), window, *in_flight);
        measured.missed += 1;
        measured.count(kind, gateway, |part| part.count(0, true, None));
        window.add(kind, None, true);
        let told = format!("{limit} requests were in flight already (--max-in-flight)");
        measured.fail(Failure { kind: "missed".to_owned(), told, wrong: false, timed: false });
    }

    /// What was measured up to now.
    #[must_use]
    pub fn measurement(&self) -> Measurement {
        let mut state = self.state();
        let State { measured, window, in_flight } = &mut *state;
        measured.series.advance(self.started.elapsed(), window, *in_flight);
        measured.clone()
    }
}

/// How far a load is, for who watches it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Requests in flight.
    pub in_flight: u64,
    /// Requests that ended in the last whole row of the series, a second.
    pub per_second: u64,
    /// Kinds of questions with requests, failures, and latencies that 50 and 99 % did not exceed, in milliseconds.
    pub routes: Vec<(&'static str, u64, u64, f64, f64)>,
    /// Answers by where they came from.
    pub outcomes: Vec<(&'static str, u64)>,
}

impl Recorder {
    /// How far it is.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut state = self.state();
        let State { measured, window, in_flight } = &mut *state;
        measured.series.advance(self.started.elapsed(), window, *in_flight);
        let last = measured.series.requests.last().copied().unwrap_or(0);
        let ms = |route: &Measured, quantile| route.latencies.value_at_quantile(quantile) as f64 / 1e3;
        let routes = measured.routes.iter();
        let outcomes = Outcome::ALL.into_iter().zip(measured.outcomes).filter(|(_, count)| *count > 0);
        Snapshot {
            in_flight: *in_flight,
            per_second: last / measured.series.row_seconds.max(1),
            routes: routes
                .map(|(kind, route)| (*kind, route.requests, route.failures, ms(route, 0.5), ms(route, 0.99)))
                .collect(),
            outcomes: outcomes.map(|(outcome, count)| (outcome.as_str(), count)).collect(),
        }
    }
}

impl Measurement {
    /// Counts a request by kind and by gateway.
    fn count(&mut self, kind: &'static str, gateway: usize, count: impl Fn(&mut Measured)) {
        count(self.routes.entry(kind).or_insert_with(Measured::new));
        if self.gateways.len() <= gateway {
            self.gateways.resize_with(gateway + 1, Measured::new);
        }
        self.gateways.get_mut(gateway).into_iter().for_each(count);
    }

    fn fail(&mut self, failure: Failure) {
        // A gateway that is down fails a thousand requests: it must not crowd out the one wrong answer.
        let place = if failure.wrong { self.wrong_examples } else { self.examples.len() };
        if place < EXAMPLES && !self.examples.contains(&failure.told) {
            self.examples.insert(place, failure.told);
            self.examples.truncate(EXAMPLES);
            self.wrong_examples += usize::from(failure.wrong);
        }
        let known = self.failures.len() < MOST_FAILURES || self.failures.contains_key(&failure.kind);
        *self.failures.entry(if known { failure.kind } else { "others".to_owned() }).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(kind: &'static str, due: Instant) -> Sample {
        Sample {
            kind,
            gateway: 0,
            due,
            sent: due,
            ended: Instant::now(),
            outcome: Some((Outcome::Near, false)),
            bytes: 10,
            failure: None,
        }
    }

    #[test]
    fn latency_counts_from_when_a_request_was_due() {
        let recorder = Recorder::new(Duration::from_secs(10));
        let due = recorder.started().checked_sub(Duration::from_secs(5)).unwrap_or(recorder.started());
        recorder.sent();
        recorder.add(Sample { sent: recorder.started(), ..sample("trend", due) });
        let measured = recorder.measurement();
        assert!(measured.routes["trend"].latencies.max() >= 5_000_000);
        assert!(measured.lateness.max() >= 5_000_000);
    }

    #[test]
    fn failures_are_counted_by_kind_and_missed_ones_too() {
        let recorder = Recorder::new(Duration::from_secs(10));
        for number in 0..100 {
            let failure = Failure {
                kind: format!("status {number}"),
                told: "x".to_owned(),
                wrong: number == 0,
                timed: number % 2 == 0,
            };
            recorder.add(Sample { failure: Some(failure), ..sample("trend", recorder.started()) });
        }
        recorder.missed("stores", 1, 5);
        let measured = recorder.measurement();
        assert_eq!((measured.failures.len(), measured.failures["others"]), (MOST_FAILURES + 1, 61));
        assert_eq!((measured.wrong, measured.missed, measured.examples.len()), (1, 1, 2));
        let fails = |told: String, wrong| {
            let failure = Failure { kind: "x".to_owned(), told, wrong, timed: false };
            recorder.add(Sample { failure: Some(failure), ..sample("trend", recorder.started()) });
        };
        (0..EXAMPLES).for_each(|number| fails(format!("refused {number}"), false));
        (0..2).for_each(|number| fails(format!("wrong {number}"), true));
        let told = recorder.measurement().examples;
        assert_eq!((told.len(), &told[..3]), (EXAMPLES, &["x", "wrong 0", "wrong 1"].map(str::to_owned)[..]));
        let of = |kind| &measured.routes[kind];
        assert_eq!((of("stores").requests, of("stores").failures, of("trend").failures), (1, 1, 100));
        assert_eq!(of("trend").latencies.len(), 50);
        let requests: Vec<u64> = measured.gateways.iter().map(|gateway| gateway.requests).collect();
        assert_eq!(requests, [100, 1]);
    }
}
