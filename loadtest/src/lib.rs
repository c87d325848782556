//! Data to test with, and tests against a running gateway.
//!
//! - [`generate`]: order lines of invented stores, from a seed
//! - [`target`]: where generated lines go: a Parquet or CSV file, or PostgreSQL
//! - [`recording`]: files of recorded requests with their answers
//! - [`client`]: HTTP to a gateway
//! - [`compare`]: differences between two documents, by JSON path
//! - [`check`], [`record`]: replaying such files, and making them
//! - [`cli`]: the program's commands

pub mod check;
pub mod cli;
pub mod client;
pub mod compare;
pub mod generate;
mod progress;
pub mod record;
pub mod recording;
pub mod target;
