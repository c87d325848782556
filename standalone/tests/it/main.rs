//! Integration tests of the program, and of what is shipped beside all four and said about them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod alerts;
mod listening;
mod names;
mod page;
#[path = "../../examples/reference/pages.rs"]
mod pages;
mod reference;
mod translations;
mod verify;
