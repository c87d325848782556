//! The load tester against a small real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod check;
mod load;
mod page;
mod server;
mod ways;
