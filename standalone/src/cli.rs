//! The program's command line, and what it does: makes or reads order lines, warms, serves.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bytesize::ByteSize;
use clap::{CommandFactory as _, Parser};
use gateway::auth::Access;
use gateway::{AccessLog, App, Front};
use loadtest::generate::{GenerateSettings, Generator};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shared::cache::{Cache, Levels, MemoryCache};
use shared::config::Settings;
use shared::keys::Keys;
use shared::model::{Day, Directory, Lines};
use shared::runtime::{ComputePool, program};
use shared::source::Source;
use shared::source::files::{FileSource, MappingChoice, ParquetWriter, ReadOptions};
use tokio::task::{JoinError, JoinSet};
use warmer::once::once;
use warmer::warming::Warming;

#[derive(Debug, Parser)]
#[command(
    name = "standalone",
    version,
    about = "Hotshelf in one process: sample data or your own export, warmed in memory and served",
    after_help = "Examples:\n  standalone\n  standalone --orders export.csv\n  standalone --orders exports/ --listen 127.0.0.1:9000\n\n\
                  Exit codes: 0 stopped as asked, 1 failed, 64 wrong usage, 78 wrong settings."
)]
struct Cli {
    /// Your own order files instead of sample data: a CSV, XLSX or Parquet file, or a folder of them
    #[arg(long, value_name = "FILE|FOLDER")]
    orders: Option<PathBuf>,
    /// Headings of the files: platform-export, canonical, or a TOML file; by default found by themselves
    #[arg(long, value_name = "NAME|FILE.toml", requires = "orders")]
    mapping: Option<MappingChoice>,
    /// Address and port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Listen where other machines can connect although there are no tokens, as access.insecure
    #[arg(long)]
    insecure: bool,
    /// Settings file; later ones override earlier ones
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Stores of the sample data
    #[arg(long, default_value_t = 30, conflicts_with = "orders")]
    stores: u32,
    /// Days of the sample data
    #[arg(long, default_value_t = 60, conflicts_with = "orders")]
    days: u32,
    /// Seed of the sample data
    #[arg(long, default_value_t = 1, conflicts_with = "orders")]
    seed: u64,
    /// Last day of the sample data
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "2026-03-07", conflicts_with = "orders")]
    last_day: Day,
    /// Most memory of the cache
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    memory: ByteSize,
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
    let settings = program::settings(&cli.config, &[])?;
    program::start_daemon_log(&settings.log, "standalone")
        .map_err(|error| program::wrong_settings(&error))?;
    Ok(program::end(run(cli, settings).await))
}

async fn run(cli: Cli, mut settings: Settings) -> anyhow::Result<ExitCode> {
    // Listens at once: /livez answers while the rest gets ready.
    let listener = gateway::cli::bind(&cli.listen).await?;
    let address = listener.local_addr()?;
    let (has_tokens, insecure) =
        (!settings.access.tokens.is_empty(), cli.insecure || settings.access.insecure);
    if let Err(error) = gateway::server::may_listen(&[address], has_tokens, insecure) {
        return Ok(program::wrong_settings(&error));
    }
    // One machine without a database behind it: keep every day that the files have, as far as memory goes.
    settings.retention_days = settings.retention_days.max(366);
    let cache = Cache::Memory(MemoryCache::new(cli.memory.0));
    let keys = Keys::new(&settings.prefix);
    let levels = Levels::new(cache, keys, settings.rules.fingerprint(), settings.ttl, settings.max_inflated);
    let compute = ComputePool::new(settings.gateway.threads, settings.gateway.compute_queue)
        .context("cannot start the computing threads; lower gateway.threads")?;
    let front = Front::guarded(AccessLog::off(), Access::new(&settings.access, false));
    let mut serving = JoinSet::new();
    serving.spawn({
        let (front, gateway) = (front.clone(), settings.gateway.clone());
        async move { gateway::server::serve(front, listener, &gateway, gateway::cli::stop_signal()).await }
    });
    let warm = async {
        let source = open(&cli).await?;
        let app = App::new(&settings, levels.clone(), source.clone(), compute.clone());
        let directory = source.directory().await?;
        let warming = Warming::new(&settings, source, levels, compute);
        let report = once(&warming, |done, total| tracing::debug!(done, total, "warming stores")).await?;
        anyhow::ensure!(
            report.failed == 0,
            "{} stores could not be warmed: {:?}",
            report.failed,
            report.failures
        );
        front.open(app);
        println!("{}\n", report.text());
        println!(
            "Ready. Open http://{address}/ in a browser, or try:\n{}",
            examples(&format!("http://{address}"), &directory)
        );
        anyhow::Ok(())
    };
    tokio::select! {
        warmed = warm => warmed?,
        ended = serving.join_next() => return served(ended),
    }
    served(serving.join_next().await)
}

/// The server has ended.
fn served(ended: Option<Result<std::io::Result<()>, JoinError>>) -> anyhow::Result<ExitCode> {
    let ended = ended.context("nothing serves")?.context("the server ended")?;
    ended.context("cannot start the threads that serve; check the limit of threads")?;
    Ok(ExitCode::SUCCESS)
}

/// The order files of the command line, or sample data.
async fn open(cli: &Cli) -> anyhow::Result<Source> {
    let options = ReadOptions::default();
    let source = match &cli.orders {
        Some(path) => {
            println!("Reading {} …", path.display());
            let mapping = cli.mapping.clone().unwrap_or(MappingChoice::Auto);
            FileSource::open(path.clone(), &mapping, &options).await?
        }
        None => {
            println!("Making sample data of {} stores and {} days …", cli.stores, cli.days);
            let folder =
                tempfile::tempdir().context("cannot make a temporary folder; set TMPDIR to one with room")?;
            let file = folder.path().join("sample.parquet");
            let settings = GenerateSettings {
                stores: cli.stores,
                days: cli.days,
                lines_per_store: None,
                seed: cli.seed,
                last_day: cli.last_day,
            };
            let target = file.clone();
            tokio::task::spawn_blocking(move || sample(&settings, &target))
                .await
                .context("making sample data")??;
            FileSource::open(file, &MappingChoice::Canonical, &options).await?
        }
    };
    for summary in source.summaries() {
        let rejected = summary.rejected_total();
        println!("{}: {} lines, {rejected} rejected", summary.path.display(), summary.accepted);
        if rejected > 0 {
            println!("  warmer import --rejects FILE lists rejected rows with their reasons");
        }
        if !summary.left_out.is_empty() {
            println!("  columns left out: {}", summary.left_out.join(", "));
        }
    }
    Ok(Source::Files(source))
}

fn sample(settings: &GenerateSettings, file: &Path) -> anyhow::Result<()> {
    let generator = Generator::new(settings)?;
    let mut writer = ParquetWriter::create(file)?;
    for store in 0..settings.stores {
        let mut batch = Lines::default();
        for day in generator.store(store) {
            batch.append(&day);
        }
        writer.write(&batch)?;
    }
    writer.finish()?;
    Ok(())
}

/// A few URLs to copy.
fn examples(base: &str, directory: &Directory) -> String {
    let mut urls = vec![
        format!("{base}/v1/stores"),
        format!("{base}/v1/metrics/overview"),
        format!("{base}/v1/metrics/trend?granularity=week"),
        format!("{base}/v1/metrics/stores?sort=profit_rate&order=asc"),
        format!("{base}/v1/diagnosis"),
    ];
    if let Some(store) = directory.stores().first() {
        let id = utf8_percent_encode(&store.store_id, NON_ALPHANUMERIC);
        urls.push(format!("{base}/v1/diagnosis?stores={id}"));
        urls.push(format!("{base}/v1/metrics/products?stores={id}&sort=loss"));
        urls.push(format!("{base}/v1/stores/{id}/orders?limit=20"));
    }
    urls.iter().map(|url| format!("  {url}")).collect::<Vec<_>>().join("\n")
}
