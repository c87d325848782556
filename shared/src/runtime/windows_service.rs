//! Daemons as services of Windows: their folders and how they are registered (`windows_service/registration.rs`, for every
//! platform), and there alone the commands `service …`, what the service manager is asked and what it is told.

#[cfg(windows)]
mod command;
#[cfg(windows)]
mod manager;
#[cfg(windows)]
mod process;
pub mod registration;

#[cfg(windows)]
pub use command::{Daemon, ServiceArgs, run};
#[cfg(windows)]
pub(super) use process::{is_service, running, stopping};
