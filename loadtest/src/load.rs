//! Load on gateways.
//!
//! - [`world`]: which stores and days there are
//! - [`popularity`]: what of it is asked for how often; [`log`]: access logs
//! - [`scenario`]: who asks what
//! - [`closed`], [`open`], [`replay`]: when it is asked, by [`clock`]; [`shot`]: one request; [`verify`]: whether its answer is right
//! - [`run`]: all of it together
//! - [`measure`], [`series`], [`servers`]: what is measured
//! - [`report`]: what it came to; [`expect`]: whether that is as it should be; [`diff`]: two of them; [`html`]: a page

pub mod clock;
pub mod closed;
pub mod diff;
pub mod expect;
pub mod html;
pub mod log;
pub mod measure;
pub mod open;
pub mod popularity;
pub mod replay;
pub mod report;
pub mod run;
pub mod scenario;
pub mod series;
pub mod servers;
pub mod shot;
pub mod verify;
pub mod world;
