//! The gateway as a service of Windows.

use std::process::ExitCode;

use shared::config::Settings;
use shared::runtime::logging::LogHandle;
use shared::runtime::program::SettingsSource;
use shared::runtime::windows_service::Daemon;

use crate::cli::service;

/// The gateway's service.
pub(crate) struct Gateway;

impl Daemon for Gateway {
    const PROGRAM: &'static str = "gateway";
    const SERVICE: &'static str = "hotshelf-gateway";
    const DISPLAY_NAME: &'static str = "Hotshelf gateway";
    const DESCRIPTION: &'static str = "Serves Hotshelf's answers over REST.";
    const KEEPS_STATE: bool = false;

    fn check(source: &SettingsSource) -> Result<(), ExitCode> {
        service::check(source)
    }

    async fn run(settings: Settings, source: SettingsSource, _log: LogHandle) -> Result<ExitCode, ExitCode> {
        service::run(settings, source).await
    }
}
