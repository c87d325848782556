//! The gateway's command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use shared::cache::{Cache, Levels, RedisCache};
use shared::config::Settings;
use shared::keys::Keys;
use shared::runtime::{ComputePool, program, shutdown};
use shared::source::Source;
use shared::source::postgres::PostgresSource;
use tokio::net::TcpListener;

use crate::access_log::AccessLog;
use crate::admin::Watch;
use crate::server;
use crate::{App, Front};

#[derive(Debug, Parser)]
#[command(
    name = "gateway",
    version,
    about = "Serves Hotshelf's answers over REST",
    after_help = "Examples:\n  gateway --config config/gateway.toml\n  gateway --listen 127.0.0.1:8080 --redis redis://127.0.0.1:6379\n\n\
                  Addresses and passwords may come from HOTSHELF_REDIS_URL and HOTSHELF_POSTGRES_URL.\n\
                  Exit codes: 0 stopped as asked, 1 failed, 64 wrong usage, 78 wrong settings."
)]
struct Cli {
    /// Settings file; later ones override earlier ones
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Address and port, instead of gateway.listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Address of Redis, instead of redis.url
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// Address of PostgreSQL, instead of postgres.url
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Check the settings and exit
    #[arg(long)]
    check_config: bool,
}

/// Runs the command line of this process.
pub async fn main() -> ExitCode {
    start().await.unwrap_or_else(|code| code)
}

async fn start() -> Result<ExitCode, ExitCode> {
    let cli: Cli = program::command_line()?;
    let given = [("HOTSHELF_REDIS_URL", &cli.redis), ("HOTSHELF_POSTGRES_URL", &cli.postgres)];
    let mut settings = program::settings(&cli.config, &given)?;
    if let Some(listen) = cli.listen {
        settings.gateway.listen = listen;
    }
    if cli.check_config {
        println!("the settings fit");
        return Ok(ExitCode::SUCCESS);
    }
    program::start_log(&settings)?;
    Ok(program::end(run(&settings).await))
}

async fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    // Listens before anything else, so that a restart refuses no connection for longer than it must.
    let listener = bind(&settings.gateway.listen).await?;
    let source = PostgresSource::guarded(&settings.postgres)?;
    let cache = RedisCache::connect(&settings.redis)?.guarded();
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
    let address = listener.local_addr()?;
    let access_log = AccessLog::start(&settings.access_log, &address.to_string())
        .context("cannot start the thread of the access log; check the limit of threads")?;
    if settings.access_log.path.is_none() {
        tracing::warn!(
            "no access log is written, so the warmer does not learn what is asked for; set access_log.path"
        );
    }
    let front = Front::with_access_log(access_log);
    front.open(App::new(settings, levels, Source::Postgres(source), compute));
    tracing::info!(%address, "listening");
    let watch = Watch::start(&front, settings)?;
    server::serve(front, listener, &settings.gateway, watch.stopping(stop_signal())).await;
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
