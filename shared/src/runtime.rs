//! What every program needs to run: start and exit codes, logging, signals, a bounded pool for computing, what a daemon
//! tells of itself (service manager, admin listener, metrics), and the wall clock.

pub mod admin;
pub mod compute;
mod heartbeat;
pub mod host;
mod log_file;
pub mod logging;
pub mod metrics;
pub mod process;
pub mod program;
pub mod reload;
mod rotated_file;
mod service_manager;
pub mod shutdown;
pub mod windows_service;

pub use compute::{Busy, ComputePool};
pub use heartbeat::Heartbeat;
pub use reload::ReloadSignal;
pub use rotated_file::RotatedFile;
pub use service_manager::{ServiceManager, ServiceState};

/// Milliseconds since 1970 by the wall clock.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the owner of the wall clock")]
pub fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// Version of the program for `--version` and logs.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
