//! Data to test with, and tests against a running gateway.
//!
//! - [`generate`]: order lines of invented stores, from a seed
//! - [`target`]: where generated lines go: a Parquet or CSV file, or PostgreSQL
//! - [`recording`]: files of recorded requests with their answers
//! - [`way`]: version of HTTP, encoding and format in which a question is asked
//! - [`client`]: HTTP to a gateway
//! - [`envelope`]: from the bytes of an answer to its document
//! - [`compare`]: differences between two documents, by JSON path
//! - [`check`], [`ways`], [`record`]: replaying such files, in one way or in several, and making them
//! - [`load`]: virtual users and what they ask
//! - [`cli`]: the program's commands

pub mod check;
pub mod cli;
pub mod client;
pub mod compare;
pub mod envelope;
pub mod generate;
pub mod load;
mod progress;
pub mod record;
pub mod recording;
pub mod target;
pub mod way;
pub mod ways;
