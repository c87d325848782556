//! The last hour, a point every ten seconds: in columns, as charts take them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use shared::access_log::Outcome;

use super::traffic::{Traffic, rounded};

/// Time from one point to the next.
pub(super) const STEP: Duration = Duration::from_secs(10);
/// Points that are kept: an hour.
const POINTS: usize = 360;

/// One point.
#[derive(Clone, Debug, Default)]
pub(super) struct Point {
    /// Seconds since 1970.
    pub(super) time: i64,
    /// By outcome, in the order of [`Outcome::ALL`].
    pub(super) per_second: Vec<f64>,
    pub(super) failed_per_second: f64,
    pub(super) hit_percent: Option<f64>,
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) warm_lag_s: Option<f64>,
    pub(super) cpu_percent: Option<f64>,
    pub(super) memory_percent: Option<f64>,
    pub(super) redis_memory_percent: Option<f64>,
    pub(super) redis_online: bool,
    pub(super) evictions: u64,
    pub(super) users: usize,
}

impl Point {
    /// A point that has what requests came to since the one before.
    pub(super) fn of(traffic: &Traffic) -> Self {
        let percentile = |share| traffic.percentile(share).map(rounded);
        Self {
            per_second: Outcome::ALL
                .iter()
                .map(|outcome| rounded(traffic.outcome_per_second(*outcome)))
                .collect(),
            failed_per_second: rounded(traffic.failed_per_second()),
            hit_percent: traffic.hit_percent(),
            p50_ms: percentile(0.5),
            p95_ms: percentile(0.95),
            p99_ms: percentile(0.99),
            ..Self::default()
        }
    }
}

/// Points in columns: the same place in each belongs to the same time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Columns {
    /// Seconds from one point to the next.
    pub step_s: u64,
    /// Seconds since 1970.
    pub times: Vec<i64>,
    /// Requests for documents per second by outcome, as in `X-Cache`; `none`: there was no document to be answered.
    pub per_second: BTreeMap<&'static str, Vec<f64>>,
    /// Requests per second that failed (5xx).
    pub failed_per_second: Vec<f64>,
    /// Answers that did not need the source; null where none was given.
    pub hit_percent: Vec<Option<f64>>,
    /// Times of requests, by percentile.
    pub p50_ms: Vec<Option<f64>>,
    /// As before.
    pub p95_ms: Vec<Option<f64>>,
    /// As before.
    pub p99_ms: Vec<Option<f64>>,
    /// Since when all stores were confirmed last; null if that is not known.
    pub warm_lag_s: Vec<Option<f64>>,
    /// Of this machine.
    pub cpu_percent: Vec<Option<f64>>,
    /// Of this machine.
    pub memory_percent: Vec<Option<f64>>,
    /// Of `maxmemory`.
    pub redis_memory_percent: Vec<Option<f64>>,
    /// 1 while Redis was there, else 0.
    pub redis_online: Vec<u8>,
    /// Keys that Redis evicted since the point before.
    pub evictions: Vec<u64>,
    /// Clients online.
    pub users: Vec<usize>,
}

/// The last hour.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Point>);

impl History {
    pub(super) fn extend(&mut self, point: Option<Point>) {
        point.into_iter().for_each(|point| self.push(point));
    }

    fn push(&mut self, point: Point) {
        if self.0.len() >= POINTS {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    /// The points after a time, seconds since 1970.
    pub(super) fn after(&self, time: i64) -> Columns {
        let mut columns = Columns { step_s: STEP.as_secs(), ..Columns::default() };
        for outcome in Outcome::ALL {
            columns.per_second.insert(outcome.as_str(), Vec::new());
        }
        for point in self.0.iter().filter(|point| point.time > time) {
            columns.times.push(point.time);
            for (outcome, rate) in Outcome::ALL.iter().zip(&point.per_second) {
                columns.per_second.entry(outcome.as_str()).or_default().push(*rate);
            }
            columns.failed_per_second.push(point.failed_per_second);
            columns.hit_percent.push(point.hit_percent);
            columns.p50_ms.push(point.p50_ms);
            columns.p95_ms.push(point.p95_ms);
            columns.p99_ms.push(point.p99_ms);
            columns.warm_lag_s.push(point.warm_lag_s);
            columns.cpu_percent.push(point.cpu_percent);
            columns.memory_percent.push(point.memory_percent);
            columns.redis_memory_percent.push(point.redis_memory_percent);
            columns.redis_online.push(u8::from(point.redis_online));
            columns.evictions.push(point.evictions);
            columns.users.push(point.users);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept_and_the_rest_can_be_asked_for_alone() {
        let mut history = History::default();
        for at in 0..400_i64 {
            let per_second = vec![0.0; Outcome::ALL.len()];
            history.push(Point { time: at * 10, per_second, users: 3, ..Point::default() });
        }
        let all = history.after(0);
        assert_eq!((all.times.len(), all.times.first(), all.times.last()), (360, Some(&400), Some(&3990)));
        assert!(all.per_second.values().all(|column| column.len() == 360));
        let later = history.after(3970);
        assert_eq!((later.times, later.users), (vec![3980, 3990], vec![3, 3]));
        assert!(history.after(3990).times.is_empty());
    }
}
