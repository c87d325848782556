//! Hotshelf in one process: sample data or one's own export, warmed in memory and served. Needs no server.
//!
//! - [`cli`]: the program

pub mod cli;
