//! How the gateway is, as far as is known without asking anybody: readiness, and the numbers behind it.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use shared::cache::CacheHealth;
use shared::runtime::process::ProcessUse;
use shared::runtime::{VERSION, now_ms};
use shared::source::postgres::SourceHealth;

use crate::access_log::Counts;
use crate::app::Front;

/// Version of the form.
const FORM: u32 = 1;
const NO_CACHE: &str = "the cache does not answer; answers come from the source";
const NO_SOURCE: &str = "the source does not answer; only what is cached can be answered";

/// How a gateway is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Version of the form.
    pub v: u32,
    /// Version of the program.
    pub version: &'static str,
    /// When this was true, milliseconds since 1970.
    pub now: i64,
    /// Process.
    pub pid: u32,
    /// Resident memory, bytes; 0 = unknown.
    pub memory_bytes: u64,
    /// Whether requests are welcome.
    pub ready: bool,
    /// Why not, or what is missing.
    pub problem: Option<String>,
    /// Requests.
    pub requests: Requests,
    /// Connections.
    pub connections: Connections,
    /// Computations.
    pub compute: Option<Compute>,
    /// Redis; `None` for memory.
    pub redis: Option<CacheHealth>,
    /// PostgreSQL; `None` for files.
    pub postgres: Option<SourceHealth>,
    /// The access log.
    pub access_log: Counts,
}

/// Requests since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Answered.
    pub total: u64,
    /// Those of them with a status of 500 or more.
    pub failed: u64,
    /// Being answered now.
    pub in_flight: usize,
    /// Turned away because too many were in flight.
    pub shed: u64,
    /// Slower than `gateway.slow_request`.
    pub slow: u64,
    /// Slower than `gateway.request_timeout`.
    pub timeouts: u64,
    /// Of which the handler panicked.
    pub panics: u64,
}

/// Connections of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// Open now.
    pub open: u64,
    /// Accepted since the start.
    pub accepted: u64,
    /// Refused because there were too many.
    pub refused: u64,
    /// That could not be accepted.
    pub failed: u64,
}

/// The queue of computations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compute {
    /// That run or wait now.
    pub in_use: usize,
    /// Most that may.
    pub capacity: usize,
    /// That found the queue full.
    pub refused: u64,
}

impl Status {
    /// How a gateway is now.
    #[must_use]
    pub fn of(front: &Front) -> Self {
        let readiness = front.readiness();
        let app = front.app();
        Self {
            v: FORM,
            version: VERSION,
            now: now_ms(),
            pid: std::process::id(),
            memory_bytes: ProcessUse::now().map_or(0, |used| used.memory),
            ready: readiness.is_ok(),
            problem: front.problems().or(readiness.err()),
            requests: requests(front),
            connections: connections(front),
            compute: app.map(|app| Compute {
                in_use: app.compute().in_use(),
                capacity: app.compute().capacity(),
                refused: app.compute().refused(),
            }),
            redis: app.and_then(|app| app.levels().cache().health()),
            postgres: app.and_then(|app| app.source().health()),
            access_log: front.access_log().counts(),
        }
    }
}

fn count(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn requests(front: &Front) -> Requests {
    let counters = front.counters();
    let answered = counters.requests();
    Requests {
        total: answered.iter().map(|(_, count)| count).sum(),
        failed: answered.iter().filter(|([_, class, _], _)| *class == "5xx").map(|(_, count)| count).sum(),
        in_flight: counters.in_flight(),
        shed: count(&counters.shed),
        slow: count(&counters.slow),
        timeouts: count(&counters.timeouts),
        panics: count(&counters.panics),
    }
}

fn connections(front: &Front) -> Connections {
    let connections = &front.counters().connections;
    Connections {
        open: count(&connections.open),
        accepted: count(&connections.accepted),
        refused: count(&connections.refused),
        failed: count(&connections.failed),
    }
}

impl Front {
    /// Whether Redis and PostgreSQL are known to be away. What has no breaker, or is memory or files, is there.
    fn away(&self) -> (bool, bool) {
        let Some(app) = self.app() else { return (false, false) };
        let cache = app.levels().cache().health().and_then(|health| health.breaker);
        let source = app.source().health().and_then(|health| health.breaker);
        (cache.is_some_and(|breaker| !breaker.admits), source.is_some_and(|breaker| !breaker.admits))
    }

    /// What is missing, if anything is.
    pub(crate) fn problems(&self) -> Option<String> {
        match self.away() {
            (false, false) => None,
            (true, false) => Some(NO_CACHE.to_owned()),
            (false, true) => Some(NO_SOURCE.to_owned()),
            (true, true) => Some("neither the cache nor the source answers".to_owned()),
        }
    }

    /// Whether requests are welcome: with a warning if something is missing. It asks nobody, so it never waits.
    ///
    /// # Errors
    /// Why they are not.
    pub fn readiness(&self) -> Result<String, String> {
        if let Some(reason) = self.not_ready() {
            return Err(reason.to_owned());
        }
        match self.problems() {
            Some(problems) if self.away() == (true, true) => {
                Err(format!("{problems}; check redis.url and postgres.url, and that both servers run"))
            }
            Some(problem) => Ok(format!("ready\nwarning: {problem}")),
            None => Ok("ready".to_owned()),
        }
    }
}
