//! Integration tests of the gateway: a server in this process over real Redis and PostgreSQL, or over files and memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests read what clients read"
)]

mod access_log;
mod bad_input;
mod client;
mod fixture;
mod flight;
mod near;
mod order_pages;
mod outages;
mod representations;
mod same_bytes;
mod warmed;
