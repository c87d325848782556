//! What requests come to, counted as they end: plain atomics in fixed places, so that a request costs a few additions,
//! no allocation and no lock. Each thread has places of its own, so that none waits for another's cache lines; who reads
//! adds them up. `admin/metrics.rs` writes them as metrics.

mod histogram;
mod sparse;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use shared::access_log::Outcome;
use shared::answers::parameters::Route;
use thread_local::ThreadLocal;

use crate::{inventory, page, panel};

pub use histogram::{BUCKETS, Histogram, upper_bounds_ms};
pub use sparse::Sparse;

/// Routes as metrics name them: kinds of documents, the health endpoints, the page and what it asks, and everything else.
pub const ROUTES: [&str; Route::KINDS.len() + 6] = {
    let [a, b, c, d, e, f, g, h] = Route::KINDS;
    [a, b, c, d, e, f, g, h, "livez", "readyz", "status", "inventory", "page", "other"]
};
/// Classes of status codes.
pub const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const OUTCOMES: usize = Outcome::ALL.len();
/// Status of a request whose client went away before there was an answer, as nginx has it.
const CLIENT_GONE: u16 = 499;

/// Place in [`ROUTES`] of a path that leads to documents of a kind, or to none.
fn route_of(path: &str, kind: Option<&str>) -> usize {
    let name = kind.unwrap_or(match path {
        "/livez" => "livez",
        "/readyz" => "readyz",
        panel::PATH | panel::STREAM => "status",
        inventory::PATH | inventory::DAYS => "inventory",
        _ if page::is_at(path) => "page",
        _ => "other",
    });
    ROUTES.iter().position(|route| *route == name).unwrap_or(ROUTES.len() - 1)
}

/// Counts of the requests that began in one thread. Aligned, so that no line of the cache is shared with another's.
#[derive(Debug)]
#[repr(align(128))]
struct OfThread {
    requests: [[[AtomicU64; OUTCOMES]; CLASSES.len()]; ROUTES.len()],
    latency: [Histogram; ROUTES.len()],
    in_flight: AtomicI64,
}

impl Default for OfThread {
    fn default() -> Self {
        Self {
            requests: [const { [const { [const { AtomicU64::new(0) }; OUTCOMES] }; CLASSES.len()] };
                ROUTES.len()],
            latency: [const { Histogram::new() }; ROUTES.len()],
            in_flight: AtomicI64::new(0),
        }
    }
}

/// Counts since the start.
#[derive(Debug)]
pub struct Counters {
    of_threads: ThreadLocal<OfThread>,
    /// Requests that were turned away because too many were in flight.
    pub shed: AtomicU64,
    /// Requests that took longer than `gateway.slow_request`.
    pub slow: AtomicU64,
    /// Requests that took longer than `gateway.request_timeout`.
    pub timeouts: AtomicU64,
    /// Handlers that panicked.
    pub panics: AtomicU64,
    /// Connections.
    pub connections: Connections,
    /// Lines about slow requests.
    pub(crate) slow_log: Sparse,
}

/// Connections of clients, counted by `server`.
#[derive(Debug, Default)]
pub struct Connections {
    /// Open now.
    pub open: AtomicU64,
    /// Accepted since the start.
    pub accepted: AtomicU64,
    /// Refused or closed because there were too many.
    pub refused: AtomicU64,
    /// Attempts to accept one that failed, such as for want of file descriptors.
    pub failed: AtomicU64,
}

/// An open connection; it is counted as closed when this is dropped.
#[derive(Debug)]
pub struct OpenConnection(std::sync::Arc<Counters>);

impl OpenConnection {
    /// Counts a connection that was accepted.
    #[must_use]
    pub fn accepted(counters: &std::sync::Arc<Counters>) -> Self {
        counters.connections.accepted.fetch_add(1, Ordering::Relaxed);
        counters.connections.open.fetch_add(1, Ordering::Relaxed);
        Self(std::sync::Arc::clone(counters))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            of_threads: ThreadLocal::new(),
            shed: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            connections: Connections::default(),
            slow_log: Sparse::every(Duration::from_secs(1)),
        }
    }
}

impl Counters {
    /// Begins a request: in flight until the returned value is dropped, which counts it.
    pub(crate) fn begin(&self, path: &str, kind: Option<&str>) -> Observed<'_> {
        let counts = self.of_threads.get_or_default();
        counts.in_flight.fetch_add(1, Ordering::Relaxed);
        Observed {
            counts,
            started: Instant::now(),
            route: route_of(path, kind),
            status: CLIENT_GONE,
            outcome: Outcome::None,
            took: None,
        }
    }

    /// Requests in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        // A request may end in another thread than it began in; it is counted where it began.
        let all: i64 = self.of_threads.iter().map(|of| of.in_flight.load(Ordering::Relaxed)).sum();
        usize::try_from(all).unwrap_or(0)
    }

    /// Requests answered, by route, class of status and outcome; those that never happened are left out.
    #[must_use]
    pub fn requests(&self) -> Vec<([&'static str; 3], u64)> {
        let mut found = Vec::new();
        for (at, route) in ROUTES.iter().enumerate() {
            for (of_class, class) in CLASSES.iter().enumerate() {
                for (of_outcome, outcome) in Outcome::ALL.iter().enumerate() {
                    let of_threads = self.of_threads.iter();
                    let counts =
                        of_threads.filter_map(|of| of.requests.get(at)?.get(of_class)?.get(of_outcome));
                    let count: u64 = counts.map(|count| count.load(Ordering::Relaxed)).sum();
                    if count > 0 {
                        found.push(([*route, *class, outcome.as_str()], count));
                    }
                }
            }
        }
        found
    }

    /// Times of requests of these routes together, by bucket.
    #[must_use]
    pub fn times(&self, routes: &[&str]) -> [u64; BUCKETS] {
        let wanted = ROUTES.iter().enumerate().filter(|(_, route)| routes.contains(route));
        let histograms =
            wanted.flat_map(|(at, _)| self.of_threads.iter().filter_map(move |of| of.latency.get(at)));
        Histogram::buckets(histograms)
    }

    /// Times of requests by route; routes that were never asked for are left out.
    pub fn latency(
        &self,
    ) -> impl Iterator<Item = (&'static str, shared::runtime::metrics::Distribution)> + '_ {
        let all = ROUTES.iter().enumerate().map(|(at, route)| {
            let of_threads = self.of_threads.iter();
            (*route, Histogram::read(of_threads.filter_map(|of| of.latency.get(at))))
        });
        all.filter(|(_, distribution)| distribution.count > 0)
    }
}

/// A request that is being answered. Dropped without an answer, its client went away.
pub(crate) struct Observed<'a> {
    counts: &'a OfThread,
    pub(crate) started: Instant,
    route: usize,
    status: u16,
    outcome: Outcome,
    took: Option<Duration>,
}

impl Observed<'_> {
    /// Notes the answer, and how long it took.
    pub(crate) fn answered(&mut self, status: StatusCode, outcome: Outcome, took: Duration) {
        (self.status, self.outcome, self.took) = (status.as_u16(), outcome, Some(took));
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        self.counts.in_flight.fetch_sub(1, Ordering::Relaxed);
        let class = usize::from(self.status / 100).saturating_sub(1);
        let outcome = Outcome::ALL.iter().position(|outcome| *outcome == self.outcome);
        let of_route = self.counts.requests.get(self.route);
        let count = of_route.and_then(|classes| classes.get(class)?.get(outcome?));
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(latency) = self.counts.latency.get(self.route) {
            latency.add(self.took.unwrap_or_else(|| self.started.elapsed()));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_what_they_came_to() {
        let counters = Counters::default();
        let mut first = counters.begin("/v1/stores/a%2Fb/orders", Some("orders"));
        let second = counters.begin("/livez", None);
        assert_eq!(counters.in_flight(), 2);
        first.answered(StatusCode::OK, Outcome::L1, Duration::from_millis(1));
        // Wherever a request ends.
        std::thread::scope(|scope| scope.spawn(|| drop(first)).join()).unwrap();
        drop(second);
        std::thread::scope(|scope| scope.spawn(|| drop(counters.begin("/nowhere", None))).join()).unwrap();
        let expected =
            [(["orders", "2xx", "l1"], 1), (["livez", "4xx", "none"], 1), (["other", "4xx", "none"], 1)];
        assert_eq!(counters.requests(), expected);
        assert_eq!(counters.in_flight(), 0);
        let counted: Vec<_> = counters.latency().map(|(route, times)| (route, times.count)).collect();
        assert_eq!(counted, [("orders", 1), ("livez", 1), ("other", 1)]);
    }
}
