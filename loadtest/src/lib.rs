//! Order data of any size, and checks of a running gateway.
//!
//! - [`generate`]: sample data from a seed, in the shape of real shops.
//! - [`check`]: replays recorded requests and compares the answers.
//! - [`record`]: writes such a recording.
//! - [`cli`]: the commands.

pub mod check;
pub mod cli;
mod client;
mod compare;
pub mod generate;
pub mod record;
