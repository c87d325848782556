//! The gateway: answers questions over REST from what is ready, and computes what is not. It never writes to Redis.
//!
//! - [`server`]: connections and their limits, graceful stop.
//! - [`service`]: the tower layers and the routes.
//! - `questions`: a request that is a question: from [`near`], else once for all who ask (`flight`).
//! - [`near`]: what this gateway keeps in its memory; `directory`: the stores.
//! - [`ladder`]: from a question to its document: L4, L3 → L3 partials → L2 → L1 → source.
//! - [`order_pages`]: raw order lines: L1 → source.
//! - [`represent`]: JSON, MessagePack, CSV, gzip, ETag and headers.
//! - [`access_log`]: what was asked, for the warmer.
//! - [`problem`]: the only place that turns errors into status codes; `refusal` gives them to what hyper refuses itself.

pub mod access_log;
pub mod app;
pub mod cli;
mod csv;
mod directory;
mod flight;
pub mod ladder;
pub mod near;
mod negotiate;
pub mod order_pages;
pub mod problem;
mod questions;
mod refusal;
pub mod represent;
pub mod server;
pub mod service;

pub use access_log::AccessLog;
pub use app::{App, Front};
