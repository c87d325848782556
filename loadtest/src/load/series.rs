//! The course of a load: columns with a row per second, or longer so that they stay bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use shared::access_log::Outcome;

use super::measure::MOST_US;

/// Rows of a series: an hour of seconds. In longer loads a row stands for more seconds.
const MOST_ROWS: u64 = 3_600;

/// Columns of equal length. Latencies are null where nothing was answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Seconds of a row.
    pub row_seconds: u64,
    /// Requests that ended.
    pub requests: Vec<u64>,
    /// Of these, without a right answer.
    pub failures: Vec<u64>,
    /// Requests in flight at the end of the row.
    pub in_flight: Vec<u64>,
    /// Median latency in milliseconds.
    pub p50_ms: Vec<Option<f64>>,
    /// 99 % were faster.
    pub p99_ms: Vec<Option<f64>>,
    /// The slowest.
    pub max_ms: Vec<Option<f64>>,
    /// 99 % were faster, by kind of question.
    pub route_p99_ms: BTreeMap<String, Vec<Option<f64>>>,
    /// Answers by where they came from.
    pub outcomes: BTreeMap<String, Vec<u64>>,
}

/// What came since the last row.
#[derive(Debug)]
pub(super) struct Window {
    requests: u64,
    failures: u64,
    pub(super) outcomes: [u64; Outcome::ALL.len()],
    all: Histogram<u64>,
    routes: BTreeMap<&'static str, Histogram<u64>>,
}

/// A histogram of two digits: of a row nobody reads more.
fn histogram() -> Histogram<u64> {
    let made = Histogram::new_with_bounds(1, MOST_US, 2);
    made.unwrap_or_else(|_| unreachable!("bounds and digits are constants that fit"))
}

fn quantile_ms(histogram: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1e3)
}

impl Default for Window {
    fn default() -> Self {
        let outcomes = [0; Outcome::ALL.len()];
        Self { requests: 0, failures: 0, outcomes, all: histogram(), routes: BTreeMap::new() }
    }
}

impl Window {
    /// A request that ended, with its latency in microseconds if it has one.
    pub(super) fn add(&mut self, kind: &'static str, latency: Option<u64>, failed: bool) {
        self.requests += 1;
        self.failures += u64::from(failed);
        if let Some(latency) = latency {
            self.all.saturating_record(latency);
            self.routes.entry(kind).or_insert_with(histogram).saturating_record(latency);
        }
    }

    fn clear(&mut self) {
        (self.requests, self.failures, self.outcomes) = (0, 0, [0; Outcome::ALL.len()]);
        self.all.reset();
        self.routes.values_mut().for_each(Histogram::reset);
    }
}

/// Adds a value to a column, which may have begun later than the others.
fn push<T: Clone>(column: &mut Vec<T>, rows: usize, empty: T, value: T) {
    column.resize(rows, empty);
    column.push(value);
}

impl Series {
    /// Of a load that will take about so long.
    pub(super) fn new(expected: Duration) -> Self {
        Self { row_seconds: expected.as_secs().div_ceil(MOST_ROWS).max(1), ..Self::default() }
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Ends all rows before `elapsed`: that of the window, and empty ones after it.
    pub(super) fn advance(&mut self, elapsed: Duration, window: &mut Window, in_flight: u64) {
        // A load that takes longer than expected ends in one last, long row.
        let rows = (elapsed.as_secs() / self.row_seconds).min(MOST_ROWS);
        while (self.len() as u64) < rows {
            self.end_row(window, in_flight);
            window.clear();
        }
    }

    fn end_row(&mut self, window: &Window, in_flight: u64) {
        let rows = self.len();
        self.requests.push(window.requests);
        self.failures.push(window.failures);
        self.in_flight.push(in_flight);
        self.p50_ms.push(quantile_ms(&window.all, 0.5));
        self.p99_ms.push(quantile_ms(&window.all, 0.99));
        self.max_ms.push(quantile_ms(&window.all, 1.0));
        for (kind, histogram) in &window.routes {
            let column = self.route_p99_ms.entry((*kind).to_owned()).or_default();
            push(column, rows, None, quantile_ms(histogram, 0.99));
        }
        for (outcome, count) in Outcome::ALL.into_iter().zip(window.outcomes) {
            if count > 0 || self.outcomes.contains_key(outcome.as_str()) {
                push(self.outcomes.entry(outcome.as_str().to_owned()).or_default(), rows, 0, count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_per_second_and_empty_ones_where_nothing_ended() {
        let mut series = Series::new(Duration::from_secs(60));
        let mut window = Window::default();
        window.add("trend", Some(2_000), false);
        window.add("trend", Some(4_000), true);
        series.advance(Duration::from_millis(900), &mut window, 1);
        assert!(series.is_empty());
        series.advance(Duration::from_millis(3_100), &mut window, 7);
        window.add("stores", Some(9_000), false);
        window.outcomes[0] = 1;
        series.advance(Duration::from_secs(4), &mut window, 7);
        assert_eq!((&series.requests[..], &series.failures[..]), (&[2, 0, 0, 1][..], &[1, 0, 0, 0][..]));
        assert_eq!(series.p50_ms.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false, true]);
        assert_eq!(series.outcomes["near"], [0, 0, 0, 1]);
        assert_eq!(series.route_p99_ms["stores"].len(), 4);
        assert_eq!(series.route_p99_ms["trend"].len(), 4);
    }

    #[test]
    fn long_loads_have_longer_rows() {
        let mut series = Series::new(Duration::from_secs(7_201));
        assert_eq!(series.row_seconds, 3);
        series.advance(Duration::from_secs(1 << 40), &mut Window::default(), 0);
        assert_eq!(series.len() as u64, MOST_ROWS);
    }
}
