//! The gateway's command line.

mod config;
mod reload;
mod token;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use shared::cache::{Cache, Levels, Monitor, RedisCache};
use shared::config::{ListenAddress, Settings, origins};
use shared::keys::Keys;
use shared::runtime::program::SettingsSource;
#[cfg(windows)]
use shared::runtime::windows_service::{self, ServiceArgs};
use shared::runtime::{ComputePool, ReloadSignal, process, program, shutdown};
use shared::source::Source;
use shared::source::postgres::PostgresSource;
use tokio::net::TcpListener;

use crate::access_log::AccessLog;
use crate::admin::Watch;
use crate::auth::Access;
use crate::server::{self, Listeners, Tls};
use crate::verify::open_files;
use crate::{App, Front};
use reload::Origin;

#[derive(Debug, Parser)]
#[command(
    name = "gateway",
    version,
    about = "Serves Hotshelf's answers over REST",
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  gateway --config config/gateway.toml\n  gateway --listen 127.0.0.1:8080 --redis redis://127.0.0.1:6379\n  gateway config show --config config/gateway.toml --changed\n  gateway token new --name board --stores 1001,1002\n\n\
                  Addresses and passwords may come from HOTSHELF_REDIS_URL and HOTSHELF_POSTGRES_URL.\n\
                  Exit codes: 0 stopped as asked, 1 failed, 64 wrong usage, 78 wrong settings."
)]
struct Cli {
    #[command(flatten)]
    given: Given,
    /// Check the settings and exit
    #[arg(long)]
    check_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

// No doc comment here: clap would take it for the help of the command.
// Settings as a command line gives them.
#[derive(Debug, Args)]
struct Given {
    /// Settings file; later ones override earlier ones
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Address and port, or unix:/path, instead of gateway.listen; may be given several times
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<ListenAddress>,
    /// Listen where other machines can connect although there are no tokens, as access.insecure
    #[arg(long)]
    insecure: bool,
    /// Address of Redis, instead of redis.url
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// Address of PostgreSQL, instead of postgres.url
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
}

impl Given {
    fn origin(&self) -> Origin {
        let given = [(origins::REDIS.variable, &self.redis), (origins::POSTGRES.variable, &self.postgres)];
        let source = SettingsSource::new(&self.config, &given);
        Origin { source, listen: self.listen.clone(), insecure: self.insecure }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Config(config::Config),
    Token(token::Token),
    Verify(verify::Verify),
    /// Run as a service of Windows
    #[cfg(windows)]
    Service(ServiceArgs),
}

/// The command line, for what is written about it.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line of this process.
pub async fn main() -> ExitCode {
    program::exit(start().await)
}

async fn start() -> Result<ExitCode, ExitCode> {
    let cli: Cli = program::command_line()?;
    match &cli.command {
        Some(Command::Config(args)) => return config::run(args),
        Some(Command::Token(args)) => return Ok(token::run(args)),
        Some(Command::Verify(args)) => return verify::run(args).await,
        #[cfg(windows)]
        Some(Command::Service(args)) => return windows_service::run::<crate::windows::Gateway>(args).await,
        None => {}
    }
    let origin = cli.given.origin();
    let settings = origin.load().map_err(|error| program::wrong_settings(&error))?;
    if cli.check_config {
        check_files(&settings).map_err(|error| program::wrong_settings(&error))?;
        println!("the settings fit");
        return Ok(ExitCode::SUCCESS);
    }
    program::start_daemon_log(&settings.log, "gateway").map_err(|error| program::wrong_settings(&error))?;
    serve(&settings, &origin).await
}

/// Serves until the process is asked to stop.
async fn serve(settings: &Settings, origin: &Origin) -> Result<ExitCode, ExitCode> {
    let tls = Tls::load(&settings.tls).map_err(|error| program::wrong_settings(&error))?;
    Ok(program::end(run(settings, origin, tls).await))
}

/// What a service of Windows does instead of a command line.
#[cfg(windows)]
pub(crate) mod service {
    use super::{ExitCode, Origin, Settings, SettingsSource, check_files, program, serve};

    /// Checks the settings as `--check-config` does.
    pub(crate) fn check(source: &SettingsSource) -> Result<(), ExitCode> {
        let settings = source.load().map_err(|error| program::wrong_settings(&error))?;
        check_files(&settings).map_err(|error| program::wrong_settings(&error))
    }

    /// Serves until the process is asked to stop.
    pub(crate) async fn run(settings: Settings, source: SettingsSource) -> Result<ExitCode, ExitCode> {
        serve(&settings, &Origin { source, listen: Vec::new(), insecure: false }).await
    }
}

/// Whether the files that settings name can be used: certificates, keys, passwords. Connects to nothing.
fn check_files(settings: &Settings) -> anyhow::Result<()> {
    Tls::load(&settings.tls)?;
    PostgresSource::new(&settings.postgres)?;
    RedisCache::connect(&settings.redis)?;
    Ok(())
}

async fn run(settings: &Settings, origin: &Origin, tls: Option<Tls>) -> anyhow::Result<ExitCode> {
    // Listens before anything else, so that a restart refuses no connection for longer than it must.
    let has_tokens = !settings.access.tokens.is_empty();
    let listeners = match Listeners::open(&settings.gateway, has_tokens, settings.access.insecure).await {
        Ok(listeners) => listeners.with_tls(tls.clone()),
        Err(error) if error.is_of_settings() => return Ok(program::wrong_settings(&error)),
        Err(error) => return Err(error.into()),
    };
    let needed = open_files(settings);
    if let Some(allowed) = process::allow_open_files(needed).filter(|allowed| *allowed < needed as u64) {
        tracing::warn!(
            allowed,
            needed,
            "fewer files may be open than gateway.max_connections may need; raise LimitNOFILE= or ulimit -n"
        );
    }
    let source = PostgresSource::guarded(&settings.postgres)?;
    let cache = RedisCache::connect(&settings.redis)?.guarded().monitored(&Monitor::default(), None);
    let keys = Keys::new(&settings.prefix);
    let fingerprint = settings.rules.fingerprint();
    let levels = Levels::new(Cache::Redis(cache), keys, fingerprint, settings.ttl, settings.max_inflated);
    let compute = ComputePool::new(settings.gateway.threads, settings.gateway.compute_queue)
        .context("cannot start the computing threads; lower gateway.threads")?;
    if let Err(error) = source.check().await {
        // What is cached can be served without the database.
        tracing::warn!(error = %error, "the source does not answer; only cached answers can be served");
    }
    if let Err(error) = levels.cache().ping().await {
        tracing::warn!(error = %error, "redis does not answer; answers come from the source");
    }
    let addresses = listeners.addresses();
    let access_log =
        AccessLog::start(&settings.access_log, addresses.first().map_or("gateway", String::as_str))
            .context("cannot start the thread of the access log; check the limit of threads")?;
    if settings.access_log.path.is_none() {
        tracing::warn!(
            "no access log is written, so the warmer does not learn what is asked for; set access_log.path"
        );
    }
    let front = Front::guarded(access_log, Access::new(&settings.access, tls.is_some()));
    front.open(App::new(settings, levels, Source::Postgres(source), compute));
    tracing::info!(addresses = addresses.join(", "), tls = tls.is_some(), "listening");
    let watch = Watch::start(&front, settings)?;
    let reload = ReloadSignal::listen().context("cannot listen to SIGHUP")?;
    let reading = reload::on_signal(reload, origin, settings.clone(), front.clone(), tls);
    tokio::select! {
        served = server::serve(front, listeners, &settings.gateway, watch.stopping(stop_signal())) => {
            served.context("cannot start the threads that serve; lower gateway.serving_threads, or check the limit of threads")?;
        }
        never = reading => match never {},
    }
    Ok(ExitCode::SUCCESS)
}

/// Binds an address, with the remedy if it cannot be.
///
/// # Errors
/// If the address is in use, not ours, or cannot be read.
pub async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another with --listen ADDRESS:PORT"))
}

/// Completes when the process is asked to stop.
pub async fn stop_signal() {
    match shutdown::requested().await {
        Ok(signal) => tracing::info!(signal, "stopping; finishing what is in flight"),
        Err(error) => tracing::error!(error = %error, "cannot listen to signals; stopping"),
    }
}
