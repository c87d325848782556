//! For tests only: private Redis, PostgreSQL and nginx servers on free ports, a browser without a window, a network that
//! breaks on demand, and waiting for a condition.
//!
//! A test that needs a server gets a real one. If its binary is not installed, the test fails and says how to get it;
//! it is never skipped. Every server dies with the test process, however that ends.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "a test kit fails its test")]

mod binary;
mod browser;
mod certificates;
mod chaos;
mod killed;
mod nginx;
mod notify;
mod postgres;
mod process;
mod redis;
mod unit;
mod wait;

pub use binary::find as find_program;
pub use browser::{Barrier, Browser, Fault, FaultKind, Page, Request, Visitor};
pub use certificates::{Authority, Certificate};
pub use chaos::ChaosProxy;
pub use killed::KilledOnDrop;
pub use nginx::Nginx;
pub use notify::NotifySocket;
pub use postgres::{PostgresServer, postgres_client};
pub use redis::RedisServer;
pub use unit::Unit;
pub use wait::wait_until;
