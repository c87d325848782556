//! What is known at one look, as far as it tells what happened.

use shared::cache::MonitorState;

/// What is known at one look; `None` = not known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// When, milliseconds since 1970.
    pub(super) at: i64,
    pub(super) redis: MonitorState,
    pub(super) redis_uptime_s: Option<u64>,
    pub(super) keys: Option<u64>,
    /// How often Redis was found emptied.
    pub(super) emptied: u64,
    /// Keys that Redis evicted since this gateway began to look.
    pub(super) evicted: u64,
    /// Whether somebody writes.
    pub(super) warmer: Option<bool>,
    pub(super) paused: Option<bool>,
    /// Whether the database answers.
    pub(super) postgres: Option<bool>,
    pub(super) hit_percent: Option<f64>,
    /// Answers that the hit rate is of.
    pub(super) answered: u64,
}
