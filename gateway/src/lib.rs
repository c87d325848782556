//! The gateway: answers questions over REST from what is ready, and computes what is not. It never writes to Redis.
//!
//! - [`server`]: where connections come from, their limits, TLS, graceful stop.
//! - [`service`]: the routes; `layers` is what every request goes through before; `headers`: what every response has.
//! - [`auth`]: who asks, what he may see, and how often.
//! - [`observe`]: what requests come to, counted; [`status`]: how the gateway is; [`admin`]: both for people, programs and
//!   the service manager.
//! - `questions`: a request that is a question: from [`near`], else once for all who ask (`flight`).
//! - [`near`]: what this gateway keeps in its memory; `directory`: the stores.
//! - [`ladder`]: from a question to its document: L4, L3 → L3 partials → L2 → L1 → source.
//! - [`order_pages`]: raw order lines: L1 → source.
//! - [`represent`]: JSON, MessagePack, CSV, gzip, ETag and headers; `conditional`: what the client has already.
//! - [`refresh`]: wishes for fresh answers.
//! - [`page`]: the page for people; [`panel`]: what its monitor shows, and who may see what of it; [`inventory`]: what is warm, and
//!   why.
//! - [`access_log`]: what was asked, for the warmer.
//! - [`verify`]: whether a gateway can do its work, and no more.
//! - `windows`: the gateway as a service of Windows.
//! - [`problem`]: the only place that turns errors into status codes; `refusal` gives them to what hyper refuses itself.

pub mod access_log;
pub mod admin;
pub mod app;
pub mod auth;
pub mod body;
pub mod cli;
mod conditional;
mod csv;
mod directory;
mod flight;
mod headers;
pub mod inventory;
mod known;
pub mod ladder;
mod layers;
pub mod near;
mod negotiate;
pub mod observe;
pub mod openapi;
pub mod order_pages;
pub mod page;
pub mod panel;
pub mod problem;
mod questions;
pub mod refresh;
mod refusal;
mod reply;
pub mod represent;
pub mod server;
pub mod service;
pub mod status;
pub mod verify;
#[cfg(windows)]
mod windows;

pub use access_log::AccessLog;
pub use app::{App, Front};
