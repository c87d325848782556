//! Daemons as services of Windows: their commands (`windows_service/arguments.rs`), their folders and how they are registered
//! (`windows_service/registration.rs`), for every platform; and there alone what the service manager is asked and told.

mod arguments;
#[cfg(windows)]
mod command;
#[cfg(windows)]
mod manager;
#[cfg(windows)]
mod process;
pub mod registration;

pub use arguments::{Configured, Named, Output, ServiceArgs, ServiceCommand, Status};
#[cfg(windows)]
pub use command::{Daemon, run};
#[cfg(windows)]
pub(super) use process::{is_service, running, stopping};
