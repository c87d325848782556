//! What a connection is doing, and until when it may. Takes the time as an argument.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Uri;
use shared::config::GatewaySettings;

/// Bytes that must be taken by the client for a connection to count as busy: more than what HTTP/2 writes on its own.
const PROGRESS: usize = 16 << 10;

/// Time limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// From the first byte of a head, or from the connection's begin, to the head's end.
    head: Duration,
    /// Without a request.
    idle: Duration,
    /// Without a byte taken by the client.
    write: Duration,
}

impl Limits {
    pub(super) fn of(settings: &GatewaySettings) -> Self {
        Self { head: settings.header_timeout, idle: settings.idle_timeout, write: settings.write_timeout }
    }

    /// The shortest. Whoever looks that often sees every limit before it has passed.
    pub(super) fn shortest(&self) -> Duration {
        self.head.min(self.idle).min(self.write)
    }

    /// For a head.
    pub(super) fn head(&self) -> Duration {
        self.head
    }

    /// How long a connection that was asked to close may take.
    pub(super) fn closing(&self) -> Duration {
        self.write
    }
}

/// Which limit ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// A head came too slowly, or not at all.
    Head,
    /// No request came.
    Idle,
    /// The client takes nothing of its answer.
    Write,
}

/// A request that is being answered.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    number: u64,
    /// What is asked for.
    pub(super) uri: Uri,
    /// Since when.
    pub(super) since: Instant,
}

#[derive(Debug)]
struct State {
    http2: bool,
    /// When the connection was made, or its last request ended, or its client last took a good part of an answer.
    quiet_since: Instant,
    /// First byte of a head that is not complete.
    head_since: Option<Instant>,
    /// Since when the client has taken nothing of what is to be written.
    blocked_since: Option<Instant>,
    /// Bytes taken since `quiet_since` was last moved.
    taken: usize,
    in_flight: Vec<InFlight>,
    /// Requests so far.
    requests: u64,
}

/// What one connection is doing.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        let state = State {
            http2: false,
            quiet_since: now,
            head_since: None,
            blocked_since: None,
            taken: 0,
            in_flight: Vec::new(),
            requests: 0,
        };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came.
    pub(super) fn read(&self, now: Instant) {
        let mut state = self.state();
        if state.in_flight.is_empty() && !state.http2 {
            state.head_since.get_or_insert(now);
        }
    }

    /// It speaks HTTP/2, whose heads come in frames among others.
    pub(super) fn is_http2(&self) {
        let mut state = self.state();
        (state.http2, state.head_since) = (true, None);
    }

    /// The client took bytes.
    pub(super) fn wrote(&self, now: Instant, bytes: usize) {
        let mut state = self.state();
        state.blocked_since = None;
        state.taken += bytes;
        if state.taken >= PROGRESS {
            (state.quiet_since, state.taken) = (now, 0);
        }
    }

    /// Everything is written.
    pub(super) fn flushed(&self) {
        self.state().blocked_since = None;
    }

    /// The client takes nothing at present.
    pub(super) fn blocked(&self, now: Instant) {
        self.state().blocked_since.get_or_insert(now);
    }

    /// A request begins; gives its number.
    pub(super) fn begin(&self, now: Instant, uri: &Uri) -> u64 {
        let mut state = self.state();
        state.requests += 1;
        state.head_since = None;
        let number = state.requests;
        state.in_flight.push(InFlight { number, uri: uri.clone(), since: now });
        number
    }

    /// Its answer was handed over, or nobody waits for it any more.
    pub(super) fn end(&self, now: Instant, number: u64) {
        let mut state = self.state();
        if let Some(at) = state.in_flight.iter().position(|request| request.number == number) {
            state.in_flight.swap_remove(at);
        }
        (state.quiet_since, state.taken) = (now, 0);
    }

    /// Whether a request ever came.
    pub(super) fn was_asked(&self) -> bool {
        self.state().requests > 0
    }

    /// The requests that are being answered.
    pub(super) fn in_flight(&self) -> Vec<InFlight> {
        self.state().in_flight.clone()
    }

    /// Until when it may go on as it does, and what ends it then.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<(Instant, Limit)> {
        let state = self.state();
        let write = state.blocked_since.map(|since| (since + limits.write, Limit::Write));
        let read = if !state.in_flight.is_empty() {
            // The request has a limit of its own.
            None
        } else if let Some(since) = state.head_since {
            Some((since + limits.head, Limit::Head))
        } else if state.requests == 0 && !state.http2 {
            Some((state.quiet_since + limits.head, Limit::Head))
        } else {
            Some((state.quiet_since + limits.idle, Limit::Idle))
        };
        read.into_iter().chain(write).min_by_key(|(at, _)| *at)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        write: Duration::from_secs(30),
    };

    /// Seconds from the begin to the deadline, and what ends it.
    fn due(activity: &Activity, begin: Instant) -> Option<(u64, Limit)> {
        activity.deadline(&LIMITS).map(|(at, limit)| ((at - begin).as_secs(), limit))
    }

    #[test]
    fn a_head_has_its_time_from_the_first_byte() {
        let begin = Instant::now();
        let at = |second: u64| begin + Duration::from_secs(second);
        let activity = Activity::new(begin);
        assert_eq!(due(&activity, begin), Some((10, Limit::Head)), "who says nothing is no client");
        activity.read(at(4));
        activity.read(at(9));
        assert_eq!(due(&activity, begin), Some((14, Limit::Head)), "a byte now and then wins no time");
        let number = activity.begin(at(10), &Uri::from_static("/a"));
        activity.read(at(11));
        assert_eq!(due(&activity, begin), None);
        activity.end(at(20), number);
        assert_eq!(due(&activity, begin), Some((95, Limit::Idle)));
        activity.read(at(50));
        assert_eq!(due(&activity, begin), Some((60, Limit::Head)));
    }

    #[test]
    fn whoever_takes_nothing_is_cut_off() {
        let begin = Instant::now();
        let at = |second: u64| begin + Duration::from_secs(second);
        let activity = Activity::new(begin);
        let number = activity.begin(at(1), &Uri::from_static("/a"));
        activity.blocked(at(2));
        activity.blocked(at(20));
        assert_eq!(due(&activity, begin), Some((32, Limit::Write)));
        activity.wrote(at(31), 1);
        assert_eq!(due(&activity, begin), None);
        activity.end(at(31), number);
        activity.blocked(at(32));
        assert_eq!(due(&activity, begin), Some((62, Limit::Write)));
        activity.flushed();
        assert_eq!(due(&activity, begin), Some((106, Limit::Idle)));
    }

    #[test]
    fn pings_keep_no_http2_connection_but_a_download_does() {
        let begin = Instant::now();
        let at = |second: u64| begin + Duration::from_secs(second);
        let activity = Activity::new(begin);
        activity.read(at(1));
        activity.is_http2();
        for second in 2..70 {
            activity.read(at(second));
            activity.wrote(at(second), 17);
        }
        assert_eq!(due(&activity, begin), Some((75, Limit::Idle)));
        activity.wrote(at(70), PROGRESS);
        assert_eq!(due(&activity, begin), Some((145, Limit::Idle)));
        let [a, b] = ["/a", "/b"].map(|path| activity.begin(at(80), &Uri::from_static(path)));
        activity.end(at(81), a);
        assert_eq!(due(&activity, begin), None, "one is still in flight");
        assert_eq!(activity.in_flight()[0].uri, "/b");
        activity.end(at(90), b);
        assert_eq!(due(&activity, begin), Some((165, Limit::Idle)));
    }
}
