//! Load on gateways.
//!
//! - [`world`]: which stores and days there are
//! - [`popularity`]: what of it is asked for how often; [`log`]: access logs
//! - [`scenario`]: who asks what

pub mod log;
pub mod popularity;
pub mod scenario;
pub mod world;
