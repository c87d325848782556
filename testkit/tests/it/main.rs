//! The test kit itself: what it must find, and what it must not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod browser;
mod faults;
mod site;
