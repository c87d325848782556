//! What only the warmer uses.

use std::path::PathBuf;
use std::time::Duration;

use super::checker::{Checker, HOUR, SECOND};
use super::{admin as admins, raw};

/// Settings of the warmer.
#[derive(Clone, Debug, PartialEq)]
pub struct WarmSettings {
    /// Share of the stores, those with most lines, whose order lines are kept (L1): 0 to 1.
    pub hot_share: f64,
    /// Days of order lines (L1) that are kept of those stores, back from the last data day.
    pub order_days: i32,
    /// Stores read from the source at the same time.
    pub parallel_stores: usize,
    /// Threads that compute; 0 = one per core.
    pub threads: usize,
    /// From the start of one cycle to that of the next.
    pub interval: Duration,
    /// How long a warmer that died keeps others from writing.
    pub lease: Duration,
    /// Time in which jobs may end after a stop was asked for.
    pub drain_timeout: Duration,
    /// Documents kept beside those over all stores.
    pub answers: usize,
    /// Ready responses (L4) of the hottest questions.
    pub hot_answers: usize,
    /// Bytes of Redis that documents, ready responses and order lines may take, beside cells and partials.
    pub budget: u64,
    /// Time that one cycle may spend on what is only likely to be asked for, reading the source included.
    pub budget_time: Duration,
    /// Questions of each token that are kept whatever the others ask for.
    pub floor: usize,
    /// From one ranking to the next.
    pub rank_interval: Duration,
    /// Folder in which what was learned is kept across restarts; `None` = it is not.
    pub state: Option<PathBuf>,
    /// From one publishing of the warmer's status to the next; it is kept for three of them.
    pub status_interval: Duration,
    /// Name under which the status is published; `None` = that of the host.
    pub instance: Option<String>,
}

pub(super) fn check(warm: raw::Warm, checker: &mut Checker) -> WarmSettings {
    let seconds = Duration::from_secs;
    WarmSettings {
        hot_share: checker.number("warm.hot_share", warm.hot_share, 0.2, (0.0, 1.0)),
        order_days: checker.number("warm.order_days", warm.order_days, 35, (0, 3660)),
        parallel_stores: checker.number("warm.parallel_stores", warm.parallel_stores, 3, (1, 64)),
        threads: checker.number("warm.threads", warm.threads, 0, (0, 1024)),
        interval: checker.duration("warm.interval", warm.interval, seconds(300), (SECOND, 24 * HOUR)),
        lease: checker.duration("warm.lease", warm.lease, seconds(10), (SECOND, 60 * SECOND)),
        drain_timeout: checker.duration(
            "warm.drain_timeout",
            warm.drain_timeout,
            seconds(20),
            (0, 600 * SECOND),
        ),
        answers: checker.number("warm.answers", warm.answers, 2_000, (0, 100_000)),
        hot_answers: checker.number("warm.hot_answers", warm.hot_answers, 200, (0, 100_000)),
        budget: checker.size("warm.budget", warm.budget, 512 << 20, (1 << 20, 1 << 40)),
        budget_time: checker.duration("warm.budget_time", warm.budget_time, seconds(60), (SECOND, 24 * HOUR)),
        floor: checker.number("warm.floor", warm.floor, 5, (0, 1_000)),
        rank_interval: checker.duration(
            "warm.rank_interval",
            warm.rank_interval,
            seconds(30),
            (SECOND, 24 * HOUR),
        ),
        state: warm.state,
        status_interval: admins::status_interval(warm.status_interval, checker),
        instance: admins::instance(warm.instance, checker),
    }
}
