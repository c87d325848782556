//! What `warmer verify` and `gateway verify` have in common: a report of checks, each with the value seen and a remedy, and
//! the checks of the servers and the host that both make.

mod ask;
pub mod host;
pub mod postgres;
pub mod redis;
mod report;
pub mod served;

pub use ask::VerifyArgs;
pub use report::{Check, Outcome, Report};
