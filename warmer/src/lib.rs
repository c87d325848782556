//! The warmer: what operators run, as a library.
//!
//! - [`import`]: order files into PostgreSQL or a folder.
//! - [`once`]: makes every level ready, once.
//! - [`cli`]: the commands.

pub mod cli;
pub mod import;
pub mod once;
