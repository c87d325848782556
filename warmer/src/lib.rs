//! The warmer: what operators run, as a library.

pub mod import;
