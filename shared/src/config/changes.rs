//! How the warmer learns what changed in PostgreSQL.

use std::time::Duration;

use super::checker::{Checker, HOUR, SECOND};
use super::raw;

/// How changes are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeMode {
    /// Triggers note them, and tell at once (`config/changes.sql`).
    Trigger,
    /// Fingerprints of the recent days are compared; takes no right but SELECT.
    Poll,
    /// Not at all: everything is read again each time.
    Off,
}

/// Settings of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeSettings {
    /// How changes are found.
    pub mode: ChangeMode,
    /// Days that are polled, back from the last day with data.
    pub poll_days: i32,
    /// From one poll to the next.
    pub poll_interval: Duration,
    /// From one step of the sweep over all other days to the next, in either mode.
    pub sweep_interval: Duration,
    /// Days of one step.
    pub sweep_days: i32,
    /// How often the connection that listens is asked for a sign of life, the limit of the answer, and how often notes are
    /// looked for without being told.
    pub keepalive: Duration,
    /// Notes that are read at a time.
    pub batch_rows: u32,
}

impl Default for ChangeSettings {
    fn default() -> Self {
        Self {
            mode: ChangeMode::Poll,
            poll_days: 3,
            poll_interval: Duration::from_secs(30),
            sweep_interval: Duration::from_secs(300),
            sweep_days: 7,
            keepalive: Duration::from_secs(5),
            batch_rows: 10_000,
        }
    }
}

pub(super) fn check(raw: raw::Changes, checker: &mut Checker) -> ChangeSettings {
    let default = ChangeSettings::default();
    let modes = [("trigger", ChangeMode::Trigger), ("poll", ChangeMode::Poll), ("off", ChangeMode::Off)];
    ChangeSettings {
        mode: checker.choice("changes.mode", raw.mode, &modes, default.mode),
        poll_days: checker.number("changes.poll_days", raw.poll_days, default.poll_days, (1, 366)),
        poll_interval: checker.duration(
            "changes.poll_interval",
            raw.poll_interval,
            default.poll_interval,
            (SECOND, 24 * HOUR),
        ),
        sweep_interval: checker.duration(
            "changes.sweep_interval",
            raw.sweep_interval,
            default.sweep_interval,
            (SECOND, 24 * HOUR),
        ),
        sweep_days: checker.number("changes.sweep_days", raw.sweep_days, default.sweep_days, (1, 3660)),
        keepalive: checker.duration(
            "changes.keepalive",
            raw.keepalive,
            default.keepalive,
            (100, 600 * SECOND),
        ),
        batch_rows: checker.number("changes.batch_rows", raw.batch_rows, default.batch_rows, (1, 1_000_000)),
    }
}
