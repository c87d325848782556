//! The warmer: what operators run, as a library.
//!
//! - [`import`]: order files into PostgreSQL or a folder.
//! - [`once`]: makes every level ready, once.
//! - [`heat`]: what is asked for most of late, and what keeping it is worth.
//! - [`simulate`]: replays requests against policies of what to keep.
//! - [`cli`]: the commands.

pub mod cli;
pub mod heat;
pub mod import;
pub mod once;
pub mod simulate;
