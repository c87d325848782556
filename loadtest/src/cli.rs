//! The load tester's commands. Exit codes: 0, 1 at run time (and for a difference), 64 usage.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use shared::config::process_environment;
use shared::model::{Day, Lines};
use shared::source::files::{CsvWriter, ParquetWriter};
use shared::source::import::ImportMode;
use shared::source::postgres::{PostgresImport, PostgresSettings, PostgresSource};

use crate::check;
use crate::client::Gateway;
use crate::generate::{GenerateSettings, Generator};
use crate::record;

/// Usage error, as in sysexits.h.
const EXIT_USAGE: u8 = 64;

#[derive(Debug, Parser)]
#[command(
    name = "loadtest",
    version,
    about = "Makes order data, and checks a running gateway",
    after_help = "Examples:\n  loadtest generate --stores 100 --days 30 --lines 30000 --out orders.parquet\n  \
                  loadtest check answers.json --url http://127.0.0.1:8080\n\n\
                  Exit codes: 0 done and equal, 1 failed or different, 64 wrong usage."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make sample order data, the same for the same seed
    Generate(GenerateArgs),
    /// Replay recorded requests and report every difference
    Check(CheckArgs),
    /// Record the answers of a running gateway, for `check`
    Record(RecordArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  loadtest generate --stores 30 --days 60 --out sample.csv\n  \
                        loadtest generate --lines 30000 --into postgres --postgres postgres://user@127.0.0.1/hotshelf")]
struct GenerateArgs {
    /// Number of stores
    #[arg(long, default_value_t = 30)]
    stores: u32,
    /// Number of days
    #[arg(long, default_value_t = 60)]
    days: u32,
    /// Lines per store, exactly; by default about 1,000 a day
    #[arg(long)]
    lines: Option<u64>,
    /// Start of the random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Last day
    #[arg(long, default_value = "2026-03-07", value_name = "YYYY-MM-DD")]
    last_day: Day,
    /// File to write: .parquet or .csv
    #[arg(long, value_name = "FILE", required_unless_present = "into", conflicts_with = "into")]
    out: Option<PathBuf>,
    /// Store of order lines to fill
    #[arg(long, value_enum)]
    into: Option<Into>,
    /// Address of PostgreSQL; else HOTSHELF_POSTGRES_URL
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Into {
    Postgres,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Recording: a JSON list of path, meta, data
    file: PathBuf,
    /// Address of the gateway
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Bearer token
    #[arg(long)]
    token: Option<String>,
    /// Requests at the same time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    parallel: u16,
    /// Differences shown per request
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    max_differences: u16,
    /// Seconds to wait for an answer
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    timeout: u16,
    /// How the report is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Args)]
struct RecordArgs {
    /// File to write
    file: PathBuf,
    /// File with one path per line
    #[arg(long, value_name = "FILE")]
    paths: PathBuf,
    /// Address of the gateway
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Bearer token
    #[arg(long)]
    token: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Runs the command line of this process.
pub async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors.
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let outcome = match cli.command {
        Command::Generate(args) => run_generate(&args).await,
        Command::Check(args) => run_check(args).await,
        Command::Record(args) => run_record(args).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn bar(length: u64, what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}

/// Where generated lines go.
enum Sink {
    Parquet(ParquetWriter),
    Csv(CsvWriter),
    Postgres(Box<PostgresImport>),
}

impl Sink {
    async fn open(args: &GenerateArgs) -> anyhow::Result<Self> {
        let Some(out) = &args.out else {
            let mut settings = PostgresSettings::default();
            if let Some(url) = args.postgres.clone().or_else(|| process_environment("HOTSHELF_POSTGRES_URL")) {
                settings.url = url;
            }
            let source = PostgresSource::new(&settings)?;
            return Ok(Self::Postgres(Box::new(PostgresImport::begin(&source).await?)));
        };
        match out.extension().and_then(std::ffi::OsStr::to_str) {
            Some("parquet") => Ok(Self::Parquet(ParquetWriter::create(out)?)),
            Some("csv") => Ok(Self::Csv(CsvWriter::create(out)?)),
            _ => bail!("--out {} must end with .parquet or .csv", out.display()),
        }
    }

    async fn write(&mut self, lines: &Lines) -> anyhow::Result<()> {
        match self {
            Self::Parquet(writer) => writer.write(lines)?,
            Self::Csv(writer) => writer.write(lines)?,
            Self::Postgres(import) => import.write(lines).await?,
        }
        Ok(())
    }

    async fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Parquet(writer) => writer.finish()?,
            Self::Csv(writer) => writer.finish()?,
            Self::Postgres(mut import) => {
                import.plan(ImportMode::StoreDays).await?;
                import.commit().await?;
            }
        }
        Ok(())
    }
}

async fn run_generate(args: &GenerateArgs) -> anyhow::Result<ExitCode> {
    let generator = Generator::new(&GenerateSettings {
        stores: args.stores,
        days: args.days,
        lines_per_store: args.lines,
        seed: args.seed,
        last_day: args.last_day,
    })?;
    let mut sink = Sink::open(args).await?;
    let bar = bar(u64::from(args.stores), "stores");
    let mut total = 0;
    for store in 0..args.stores {
        let mut batch = Lines::default();
        for day in generator.store(store) {
            total += day.len() as u64;
            batch.append(&day);
        }
        sink.write(&batch).await?;
        bar.inc(1);
    }
    sink.finish().await?;
    bar.finish_and_clear();
    println!("{total} lines of {} stores and {} days up to {}", args.stores, args.days, args.last_day);
    Ok(ExitCode::SUCCESS)
}

async fn run_check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let recorded = check::read(&args.file)?;
    let gateway = Gateway::new(&args.url, args.token, Duration::from_secs(args.timeout.into()))?;
    let bar = bar(recorded.len() as u64, "requests");
    let progress = |done: usize| bar.set_position(done as u64);
    let report =
        check::run(&gateway, recorded, args.parallel.into(), args.max_differences.into(), progress).await;
    bar.finish_and_clear();
    match args.output {
        Output::Text => println!("{}", report.text()),
        Output::Json => println!("{}", serde_json::to_string(&report)?),
    }
    Ok(if report.is_equal() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_record(args: RecordArgs) -> anyhow::Result<ExitCode> {
    let gateway = Gateway::new(&args.url, args.token, Duration::from_secs(60))?;
    let paths = record::read_paths(&args.paths)?;
    let shown: &Path = &args.file;
    let count = record::run(&gateway, &paths, shown).await.context("nothing was recorded")?;
    println!("{count} answers in {}", shown.display());
    Ok(ExitCode::SUCCESS)
}
