//! The warmer: what operators run, as a library.
//!
//! - [`import`]: order files into PostgreSQL or a folder.
//! - [`scope`]: what is kept ready, as it follows from the stores and their days.
//! - [`store`]: makes one store ready, whole or only the days that changed.
//! - [`fleet`]: the documents over all stores, and the directory.
//! - [`log_reader`]: what was asked, from the access logs.
//! - [`once`]: makes every level ready, once.
//! - [`heat`]: what is asked for most of late, and what keeping it is worth.
//! - [`simulate`]: replays requests against policies of what to keep.
//! - [`level`]: the levels of the cache, as operators name them.
//! - [`lease`]: the writer's lease, for as long as one command runs.
//! - [`operate`]: what operators do to a cache by hand.
//! - [`verify`]: whether everything is set up as it must be.
//! - [`setup`]: Redis and PostgreSQL made ready: settings, users, table.
//! - [`service`]: the daemon as a service: signals, settings read again, status and metrics.
//! - `windows`: the same as a service of Windows.
//! - [`cli`]: the commands.

pub mod admin;
pub mod answer;
pub mod changes;
pub mod cli;
pub mod daemon;
pub mod fleet;
pub mod follow;
pub mod heat;
pub mod import;
pub mod insight;
pub mod interest;
pub mod learned;
pub mod lease;
pub mod level;
pub mod log_reader;
pub mod memory;
pub mod once;
pub mod operate;
pub mod pace;
pub mod plan;
pub mod publish;
pub mod queue;
pub mod scope;
pub mod service;
pub mod setup;
pub mod shelf;
pub mod simulate;
pub mod store;
pub mod verify;
pub mod warming;
#[cfg(windows)]
mod windows;
