//! What the warmer reads of the access logs, and how much of it it remembers.

use std::path::Path;
use std::time::Duration;

use super::checker::{Checker, HOUR, SECOND};
use super::raw;

/// Settings of heat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeatSettings {
    /// Access logs: files and globs. Empty: none are read.
    pub logs: Vec<String>,
    /// Half-life of a request's weight.
    pub half_life: Duration,
    /// Stores that are remembered.
    pub stores: usize,
    /// Questions that are remembered.
    pub questions: usize,
    /// Tokens of which some questions are remembered apart.
    pub tokens: usize,
    /// From one look into the logs to the next.
    pub poll_interval: Duration,
    /// Log files that are held open.
    pub max_files: usize,
    /// Refreshes that one token may ask for in a minute.
    pub refreshes_per_minute: u32,
    /// Misses of one token that are seen to at once, in a minute; further ones wait for the next cycle.
    pub misses_per_minute: u32,
}

/// Most places for keys: bounds memory at about 2.5 GB.
const MOST_KEYS: usize = 10_000_000;

/// `own_log` is the log that the gateway of the same settings writes: without `logs`, it and its rotated files are read.
pub(super) fn check(raw: raw::Heat, own_log: Option<&Path>, checker: &mut Checker) -> HeatSettings {
    let own = || own_log.map(|path| format!("{}*", glob_escaped(&path.to_string_lossy())));
    HeatSettings {
        logs: raw.logs.unwrap_or_else(|| own().into_iter().collect()),
        half_life: checker.duration(
            "heat.half_life",
            raw.half_life,
            Duration::from_millis(6 * HOUR),
            (60 * SECOND, 366 * 24 * HOUR),
        ),
        stores: checker.number("heat.stores", raw.stores, 20_000, (1, MOST_KEYS)),
        questions: checker.number("heat.questions", raw.questions, 50_000, (1, MOST_KEYS)),
        tokens: checker.number("heat.tokens", raw.tokens, 1_000, (1, 100_000)),
        poll_interval: checker.duration(
            "heat.poll_interval",
            raw.poll_interval,
            Duration::from_millis(200),
            (10, 60 * SECOND),
        ),
        max_files: checker.number("heat.max_files", raw.max_files, 256, (1, 100_000)),
        refreshes_per_minute: checker.number(
            "heat.refreshes_per_minute",
            raw.refreshes_per_minute,
            12,
            (0, 10_000),
        ),
        misses_per_minute: checker.number(
            "heat.misses_per_minute",
            raw.misses_per_minute,
            600,
            (0, 1_000_000),
        ),
    }
}

/// A path as a pattern that only it matches.
fn glob_escaped(path: &str) -> String {
    path.chars().map(|c| if "*?[]".contains(c) { format!("[{c}]") } else { c.to_string() }).collect()
}
