//! The warmer: what operators run, as a library.
//!
//! - [`import`]: order files into PostgreSQL or a folder.
//! - [`log_reader`]: what was asked, from the access logs.
//! - [`once`]: makes every level ready, once.
//! - [`cli`]: the commands.

pub mod cli;
pub mod import;
pub mod log_reader;
pub mod once;
