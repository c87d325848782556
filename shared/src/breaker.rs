//! A circuit breaker: what a server that does not answer costs is paid once and not by each request. Closed, requests
//! go through; after some failures in a row the connection is tried again a few times, and then a probe looks now and
//! then whether the server is back, while requests are turned away at once.
//!
//! The states and their changes are pure: time is an argument. [`Guard`] shares one between tasks.

#[cfg(feature = "io")]
mod guard;

use std::time::Duration;

#[cfg(feature = "io")]
pub use guard::{BreakerStatus, Guard};

/// When a breaker opens and how it closes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failures: u32,
    /// Failures count together within this time of the first one.
    pub window: Duration,
    /// Probes soon after it opened: reconnects, the first after `backoff`, then after twice as long each.
    pub reconnects: u32,
    /// Time before the first of them.
    pub backoff: Duration,
    /// Time between later probes, and between looks while it is closed.
    pub probe_interval: Duration,
    /// Successes in a row that close it again.
    pub successes: u32,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 3,
            window: Duration::from_secs(5),
            reconnects: 3,
            backoff: Duration::from_millis(50),
            probe_interval: Duration::from_millis(500),
            successes: 3,
        }
    }
}

/// What a breaker does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Requests go through.
    #[default]
    Closed,
    /// It has just opened: the connection is tried again a few times.
    Reconnecting,
    /// Requests are turned away; probes look now and then.
    Open,
    /// A probe was answered: requests go through, and the first failure opens it again.
    HalfOpen,
}

impl State {
    /// All.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Reconnecting, Self::Open, Self::HalfOpen];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Reconnecting => "reconnecting",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }

    /// Whether requests go through.
    #[must_use]
    pub const fn admits(self) -> bool {
        matches!(self, Self::Closed | Self::HalfOpen)
    }
}

/// The states of one server. Times are those since any fixed moment.
#[derive(Clone, Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
    since: Duration,
    /// Failures in a row while closed, the first of them at `first_failure`.
    failures: u32,
    first_failure: Duration,
    /// Successes in a row while half open.
    successes: u32,
    /// Probes that failed since it opened.
    probes: u32,
    next_probe: Duration,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            state: State::Closed,
            since: Duration::ZERO,
            failures: 0,
            first_failure: Duration::ZERO,
            successes: 0,
            probes: 0,
            next_probe: Duration::ZERO,
        }
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when.
    #[must_use]
    pub fn since(&self) -> Duration {
        self.since
    }

    /// Failures in a row, while it is closed.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next probe is due.
    #[must_use]
    pub fn next_probe(&self) -> Duration {
        self.next_probe
    }

    /// A request was answered. Those that were let through before it opened tell nothing of now.
    pub fn succeeded(&mut self, now: Duration) {
        match self.state {
            State::Closed => self.failures = 0,
            State::HalfOpen => {
                self.successes += 1;
                if self.successes >= self.settings.successes {
                    self.enter(State::Closed, now);
                }
            }
            State::Reconnecting | State::Open => {}
        }
    }

    /// A request failed, or was not answered in time.
    pub fn failed(&mut self, now: Duration) {
        match self.state {
            State::Closed => {
                if self.failures == 0 || now.saturating_sub(self.first_failure) > self.settings.window {
                    (self.failures, self.first_failure) = (0, now);
                }
                self.failures += 1;
                if self.failures >= self.settings.failures {
                    self.enter(State::Reconnecting, now);
                }
            }
            State::HalfOpen => self.enter(State::Open, now),
            State::Reconnecting | State::Open => {}
        }
    }

    /// A probe was answered.
    pub fn probe_succeeded(&mut self, now: Duration) {
        match self.state {
            State::Closed | State::HalfOpen => {
                self.next_probe = now + self.pause();
                self.succeeded(now);
            }
            State::Reconnecting | State::Open => self.enter(State::HalfOpen, now),
        }
    }

    /// A probe failed, or was not answered in time.
    pub fn probe_failed(&mut self, now: Duration) {
        match self.state {
            State::Closed => {
                // One failure more is known soon, or that it was but one.
                self.next_probe = now;
                self.failed(now);
            }
            State::HalfOpen => self.failed(now),
            State::Reconnecting => {
                self.probes += 1;
                if self.probes >= self.settings.reconnects {
                    self.enter(State::Open, now);
                } else {
                    self.next_probe = now + self.pause();
                }
            }
            State::Open => self.next_probe = now + self.pause(),
        }
    }

    fn enter(&mut self, state: State, now: Duration) {
        (self.state, self.since) = (state, now);
        (self.failures, self.successes) = (0, 0);
        if state != State::Open {
            self.probes = 0;
        }
        self.next_probe = now + self.pause();
    }

    /// Time from a probe to the next.
    fn pause(&self) -> Duration {
        let Self { settings, .. } = self;
        match self.state {
            State::Closed | State::Open => settings.probe_interval,
            State::HalfOpen => settings.backoff,
            // The shift is bounded: it stays below the interval anyway.
            State::Reconnecting => {
                settings.backoff.saturating_mul(1 << self.probes.min(16)).min(settings.probe_interval)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn settings() -> BreakerSettings {
        BreakerSettings {
            failures: 3,
            window: 1000 * MS,
            reconnects: 3,
            backoff: 100 * MS,
            probe_interval: 500 * MS,
            successes: 2,
        }
    }

    #[test]
    fn failures_in_a_row_within_the_window_open_it() {
        let mut breaker = Breaker::new(settings());
        breaker.failed(Duration::ZERO);
        breaker.failed(1 * MS);
        breaker.succeeded(2 * MS);
        breaker.failed(3 * MS);
        breaker.failed(4 * MS);
        assert_eq!((breaker.state(), breaker.failures()), (State::Closed, 2));
        // Too long after the first of them: it counts as a first one again.
        breaker.failed(1004 * MS);
        breaker.failed(1005 * MS);
        assert_eq!(breaker.state(), State::Closed);
        breaker.failed(1006 * MS);
        assert_eq!((breaker.state(), breaker.since()), (State::Reconnecting, 1006 * MS));
        assert!(!breaker.state().admits());
    }

    #[test]
    fn it_reconnects_with_backoff_then_probes_and_closes_over_half_open() {
        let mut breaker = Breaker::new(settings());
        (0..3).for_each(|_| breaker.failed(Duration::ZERO));
        let mut due = Vec::new();
        for _ in 0..5 {
            due.push((breaker.state(), breaker.next_probe().as_millis()));
            breaker.probe_failed(breaker.next_probe());
        }
        let (reconnecting, open) = (State::Reconnecting, State::Open);
        assert_eq!(
            due,
            [(reconnecting, 100), (reconnecting, 300), (reconnecting, 700), (open, 1200), (open, 1700)]
        );
        // What was let through before and is answered only now changes nothing.
        breaker.succeeded(1800 * MS);
        breaker.failed(1800 * MS);
        assert_eq!(breaker.state(), State::Open);

        breaker.probe_succeeded(2200 * MS);
        assert_eq!((breaker.state(), breaker.next_probe()), (State::HalfOpen, 2300 * MS));
        breaker.failed(2210 * MS);
        assert_eq!((breaker.state(), breaker.next_probe()), (State::Open, 2710 * MS));
        breaker.probe_succeeded(2710 * MS);
        breaker.succeeded(2711 * MS);
        breaker.probe_succeeded(2810 * MS);
        assert_eq!((breaker.state(), breaker.next_probe()), (State::Closed, 3310 * MS));
    }

    #[test]
    fn a_look_that_fails_is_repeated_at_once_while_closed() {
        let mut breaker = Breaker::new(settings());
        breaker.probe_failed(500 * MS);
        assert_eq!((breaker.failures(), breaker.next_probe()), (1, 500 * MS));
        breaker.probe_succeeded(501 * MS);
        assert_eq!((breaker.failures(), breaker.next_probe()), (0, 1001 * MS));
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Succeeded,
        Failed,
        ProbeSucceeded,
        ProbeFailed,
    }

    fn events() -> impl Strategy<Value = Vec<(Event, u64)>> {
        let event = prop_oneof![
            Just(Event::Succeeded),
            Just(Event::Failed),
            Just(Event::ProbeSucceeded),
            Just(Event::ProbeFailed),
        ];
        prop::collection::vec((event, 0..400u64), 0..200)
    }

    fn apply(breaker: &mut Breaker, event: Event, now: Duration) {
        match event {
            Event::Succeeded => breaker.succeeded(now),
            Event::Failed => breaker.failed(now),
            Event::ProbeSucceeded => breaker.probe_succeeded(now),
            Event::ProbeFailed => breaker.probe_failed(now),
        }
    }

    proptest! {
        /// Whatever happens: only the allowed changes, only probes leave the states that turn requests away, and a probe
        /// is always due within the interval.
        #[test]
        fn changes_are_the_allowed_ones(events in events()) {
            let mut breaker = Breaker::new(settings());
            let mut now = Duration::ZERO;
            for (event, after) in events {
                now += after as u32 * MS;
                let before = breaker.state();
                apply(&mut breaker, event, now);
                let allowed = match (before, breaker.state()) {
                    (State::Closed, State::Reconnecting) | (State::HalfOpen, State::Open) => {
                        matches!(event, Event::Failed | Event::ProbeFailed)
                    }
                    (State::Reconnecting, State::Open) => matches!(event, Event::ProbeFailed),
                    (State::Reconnecting | State::Open, State::HalfOpen) => {
                        matches!(event, Event::ProbeSucceeded)
                    }
                    (State::HalfOpen, State::Closed) => {
                        matches!(event, Event::Succeeded | Event::ProbeSucceeded)
                    }
                    (before, after) => before == after,
                };
                prop_assert!(allowed, "{before:?} → {:?} by {event:?}", breaker.state());
                prop_assert!(breaker.next_probe() <= now + settings().probe_interval);
                prop_assert!(breaker.since() <= now);
            }
        }

        /// From any state, a server that is gone opens it within a bounded number of probes, and one that is back
        /// closes it.
        #[test]
        fn it_follows_the_server(events in events(), back in any::<bool>()) {
            let mut breaker = Breaker::new(settings());
            let mut now = Duration::ZERO;
            for (event, after) in events {
                now += after as u32 * MS;
                apply(&mut breaker, event, now);
            }
            for _ in 0..8 {
                now = now.max(breaker.next_probe());
                if back { breaker.probe_succeeded(now) } else { breaker.probe_failed(now) }
            }
            prop_assert_eq!(breaker.state(), if back { State::Closed } else { State::Open });
        }
    }
}
