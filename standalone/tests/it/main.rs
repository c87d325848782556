//! Integration tests of the program, and of what is shipped beside all four.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod alerts;
mod listening;
