//! What a gateway keeps in its own memory.

use std::time::Duration;

use super::checker::{Checker, HOUR, SECOND};
use super::raw;

/// Settings of the near cache and of single flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearSettings {
    /// Whether anything is kept. Single flight works without it, too.
    pub enabled: bool,
    /// Most bytes of everything that is kept.
    pub bytes: u64,
    /// How long anything is kept.
    pub max_age: Duration,
    /// From one look whether the connection that tells of changes still answers to the next; an answer may take as long.
    pub keepalive: Duration,
    /// Questions that are answered at the same time, each for all who ask it.
    pub flights: usize,
}

pub(super) fn check(raw: raw::Near, checker: &mut Checker) -> NearSettings {
    NearSettings {
        enabled: raw.enabled.unwrap_or(true),
        bytes: checker.size("near.bytes", raw.bytes, 64 << 20, (1 << 20, 1 << 40)),
        max_age: checker.duration("near.max_age", raw.max_age, Duration::from_secs(300), (SECOND, HOUR)),
        keepalive: checker.duration(
            "near.keepalive",
            raw.keepalive,
            Duration::from_secs(1),
            (100, 60 * SECOND),
        ),
        flights: checker.number("near.flights", raw.flights, 1024, (1, 1_000_000)),
    }
}
