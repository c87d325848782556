//! Integration tests of the program, and of what documents say about all four.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod listening;
mod names;
#[path = "../../examples/reference/pages.rs"]
mod pages;
mod reference;
