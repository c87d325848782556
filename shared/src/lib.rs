//! Everything that warmer and gateway have in common, from an order line to an answer.
//!
//! Direction of dependencies: model ← cells ← metrics ← diagnosis ← answers, and model ← keys, entry, source; the cache
//! stands on all of them.
//! Without the feature `io` only the pure part is built: no tokio, no Redis, no PostgreSQL, no clock, no logging.

pub mod access_log;
pub mod answers;
pub mod breaker;
#[cfg(feature = "io")]
pub mod cache;
pub mod cells;
#[cfg(feature = "io")]
pub mod config;
pub mod diagnosis;
pub mod entry;
pub mod keys;
pub mod metrics;
pub mod model;
#[cfg(feature = "io")]
pub mod published;
#[cfg(feature = "io")]
pub mod runtime;
#[cfg(feature = "io")]
pub mod source;
#[cfg(feature = "io")]
pub mod tls;
#[cfg(feature = "io")]
pub mod verify;
