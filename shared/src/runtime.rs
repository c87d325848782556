//! What every program needs to run: start and exit codes, logging, signals, a bounded pool for computing, and the
//! wall clock.

pub mod compute;
pub mod logging;
pub mod program;
pub mod shutdown;

pub use compute::{Busy, ComputePool};

/// Milliseconds since 1970 by the wall clock.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the owner of the wall clock")]
pub fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// Version of the program for `--version` and logs.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
