//! The warmer's commands.

mod run;
mod status;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use shared::cache::{Cache, Levels, RedisCache};
use shared::config::Settings;
use shared::keys::Keys;
use shared::runtime::{ComputePool, program};
use shared::source::Source;
use shared::source::files::{FileSource, MappingChoice, ReadOptions};
use shared::source::postgres::PostgresSource;

use crate::import::{self, ImportArgs, Target};
use crate::insight;
use crate::insight::explain::ExplainArgs;
use crate::insight::hot::HotArgs;
use crate::insight::plan::PlanArgs;
use crate::once::once;
use crate::simulate::{self, SimulateArgs};
use crate::warming::Warming;

#[derive(Debug, Parser)]
#[command(
    name = "warmer",
    version,
    about = "Keeps the answers of Hotshelf's dashboards ready in Redis",
    after_help = "Examples:\n  warmer import export.csv --into postgres\n  warmer once --config config/warmer.toml\n  warmer run --config config/warmer.toml\n\n\
                  Addresses and passwords may come from HOTSHELF_REDIS_URL and HOTSHELF_POSTGRES_URL.\n\
                  Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong settings."
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// Settings file; later ones override earlier ones
    #[arg(long, global = true, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Address of Redis, instead of redis.url
    #[arg(long, global = true, value_name = "URL")]
    redis: Option<String>,
    /// Address of PostgreSQL, instead of postgres.url
    #[arg(long, global = true, value_name = "URL")]
    postgres: Option<String>,
    /// Check the settings and exit
    #[arg(long, global = true)]
    check_config: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring order files into PostgreSQL or a folder
    Import(ImportArgs),
    /// Read all stores and make every level ready, once
    Once(OnceArgs),
    /// Keep every level ready until asked to stop
    Run(run::RunArgs),
    /// Show what the warmers of this prefix do
    Status(status::StatusArgs),
    /// Show what is asked for most
    Hot(HotArgs),
    /// Show what would be kept, and why
    Plan(PlanArgs),
    /// Say why a store or question is kept or not
    Explain(ExplainArgs),
    /// Replay requests against policies of what to keep
    Simulate(SimulateArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  warmer once\n  warmer once --orders exports/ --redis redis://127.0.0.1:6379\n  warmer once --output json"
)]
struct OnceArgs {
    /// Order files to read instead of PostgreSQL: a file or a folder
    #[arg(long, value_name = "FILE|FOLDER")]
    orders: Option<PathBuf>,
    /// How the closing report is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Runs the command line of this process.
pub async fn main() -> ExitCode {
    run().await.unwrap_or_else(|code| code)
}

async fn run() -> Result<ExitCode, ExitCode> {
    let Cli { common, command } = program::command_line()?;
    let given = [("HOTSHELF_REDIS_URL", &common.redis), ("HOTSHELF_POSTGRES_URL", &common.postgres)];
    let source = program::SettingsSource::new(&common.config, &given);
    let settings = source.load().map_err(|error| program::wrong_settings(&error))?;
    if common.check_config {
        println!("the settings fit");
        return Ok(ExitCode::SUCCESS);
    }
    let log = program::start_log(&settings)?;
    Ok(program::end(match command {
        Command::Import(args) => run_import(&settings, args).await,
        Command::Once(args) => run_once(&settings, args).await,
        Command::Run(args) => run::run(settings, args, source, log).await,
        Command::Status(args) => status::run(&settings, args).await,
        Command::Hot(args) => print(insight::hot::run(&settings, &args)),
        Command::Plan(args) => print(insight::plan::run(&settings, &args).await),
        Command::Explain(args) => print(insight::explain::run(&settings, &args).await),
        Command::Simulate(args) => run_simulate(args).await,
    }))
}

async fn run_import(settings: &Settings, args: ImportArgs) -> anyhow::Result<ExitCode> {
    import::run(args, async |into| match into {
        import::Into::Folder(folder) => Ok(Target::Folder(folder)),
        import::Into::Postgres => Ok(Target::Postgres(PostgresSource::new(&settings.postgres)?)),
    })
    .await
}

async fn run_once(settings: &Settings, args: OnceArgs) -> anyhow::Result<ExitCode> {
    let cache = Cache::Redis(RedisCache::connect(&settings.redis)?);
    // Before anything is read: what is made must have somewhere to go.
    cache.ping().await?;
    let source = match &args.orders {
        Some(path) => {
            tracing::info!(path = %path.display(), "reading order files");
            let options = ReadOptions::default();
            Source::Files(FileSource::open(path.clone(), &MappingChoice::Auto, &options).await?)
        }
        None => Source::Postgres(PostgresSource::new(&settings.postgres)?),
    };
    let levels = levels(settings, cache);
    let compute = ComputePool::new(settings.warm.threads, settings.warm.parallel_stores)
        .context("cannot start the computing threads; lower warm.threads")?;
    let warming = Warming::new(settings, source, levels, compute);
    let mut show = Show::new();
    let report = once(&warming, |done, total| show.update(done, total)).await?;
    show.finish();
    match args.output {
        Output::Text => println!("{}", report.text()),
        Output::Json => println!("{}", report.json()?),
    }
    Ok(if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(report: anyhow::Result<String>) -> anyhow::Result<ExitCode> {
    println!("{}", report?);
    Ok(ExitCode::SUCCESS)
}

async fn run_simulate(args: SimulateArgs) -> anyhow::Result<ExitCode> {
    let report = tokio::task::spawn_blocking(move || simulate::run(&args)).await??;
    println!("{report}");
    Ok(ExitCode::SUCCESS)
}

/// The levels of these settings in a cache.
#[must_use]
pub fn levels(settings: &Settings, cache: Cache) -> Levels {
    let keys = Keys::new(&settings.prefix);
    Levels::new(cache, keys, settings.rules.fingerprint(), settings.ttl, settings.max_inflated)
}

/// Progress by stores: a bar at a terminal, log lines elsewhere.
struct Show {
    bar: Option<ProgressBar>,
    logged: Instant,
}

/// Time between two log lines.
const PERIOD: Duration = Duration::from_secs(5);

impl Show {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) =
                ProgressStyle::with_template("warming {wide_bar} {pos}/{len} stores {elapsed} (eta {eta})")
            {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, logged: Instant::now() }
    }

    fn update(&mut self, done: usize, total: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        } else if self.logged.elapsed() >= PERIOD {
            self.logged = Instant::now();
            tracing::info!(done, total, "warming stores");
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
