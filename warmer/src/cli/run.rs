//! `warmer run`: the daemon as a process.

use std::process::ExitCode;

use clap::Args;
use shared::config::{Settings, listen_address};
use shared::runtime::logging::LogHandle;
use shared::runtime::program::SettingsSource;

use super::settings::RedisAndPostgres;
use crate::service::{self, Launch};

/// Keep every level ready until asked to stop
///
/// One warmer per key prefix writes; another one stands by and takes over when the first one ends.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  warmer run --config config/warmer.toml\n  warmer run --admin 127.0.0.1:9181\n\n\
                  SIGTERM finishes the stores under way and stops. SIGHUP reads the settings again: if they do not fit, the log \
                  says why and the old ones stay; else it says what changed, and goes on with them."
)]
pub(super) struct Run {
    /// Address and port of /metrics, /livez, /readyz and /status, instead of admin.listen; "" = none
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen)]
    admin: Option<Listen>,
    #[command(flatten)]
    pub(super) settings: RedisAndPostgres,
}

/// An address to listen on, or none.
#[derive(Clone, Debug)]
struct Listen(Option<String>);

fn listen(text: &str) -> Result<Listen, String> {
    listen_address(text).map(Listen)
}

/// Runs the daemon until the process is asked to stop.
pub(super) async fn run(
    settings: Settings,
    args: Run,
    source: SettingsSource,
    log: LogHandle,
) -> anyhow::Result<ExitCode> {
    let admin = args.admin.map(|Listen(address)| address);
    service::run(settings, Launch { source, admin, log }).await
}
