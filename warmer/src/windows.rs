//! The warmer as a service of Windows.

use std::process::ExitCode;

use shared::config::Settings;
use shared::runtime::logging::LogHandle;
use shared::runtime::program::{self, SettingsSource};
use shared::runtime::windows_service::Daemon;

use crate::service::{self, Launch};

/// The warmer's service.
pub(crate) struct Warmer;

impl Daemon for Warmer {
    const PROGRAM: &'static str = "warmer";
    const SERVICE: &'static str = "hotshelf-warmer";
    const DISPLAY_NAME: &'static str = "Hotshelf warmer";
    const DESCRIPTION: &'static str = "Keeps the answers of Hotshelf's dashboards ready in Redis.";
    const KEEPS_STATE: bool = true;

    fn check(source: &SettingsSource) -> Result<(), ExitCode> {
        source.load().map(drop).map_err(|error| program::wrong_settings(&error))
    }

    async fn run(settings: Settings, source: SettingsSource, log: LogHandle) -> Result<ExitCode, ExitCode> {
        Ok(program::end(service::run(settings, Launch { source, admin: None, log }).await))
    }
}
