//! Data to test with, and tests against a running gateway.
//!
//! - [`generate`]: order lines of invented stores, from a seed

pub mod generate;
