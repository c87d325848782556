//! Integration tests of the gateway: a server in this process over real Redis and PostgreSQL, or over files and memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests read what clients read"
)]

mod access;
mod access_log;
mod access_reload;
mod bad_input;
mod balanced;
mod client;
mod config_show;
mod connections;
mod cors;
mod fixture;
mod flight;
mod http_rules;
mod inventory;
mod least_privilege;
mod listening;
mod load;
mod malformed;
mod near;
mod observed;
mod order_pages;
mod outages;
mod page;
mod panel;
mod process;
mod program;
mod rate;
mod refresh;
mod representations;
mod same_bytes;
mod tls;
mod troubles;
mod units;
mod verify;
mod warmed;
mod ways;
