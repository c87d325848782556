//! Integration tests of the warmer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod changes;
mod config_show;
mod daemon;
mod faults;
mod import;
mod import_into_postgres;
mod insight;
mod learning;
mod log_reader;
mod operate;
mod place;
#[cfg(unix)]
mod service;
#[cfg(unix)]
mod setup;
mod simulate;
#[cfg(unix)]
mod units;
mod verify;
