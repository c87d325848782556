//! Integration tests of the shared crate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests"
)]

mod cache;
mod cells;
mod files;
mod lease;
mod monitor;
mod postgres;
mod sample;
mod tls;
mod watch;
