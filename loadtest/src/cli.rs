//! The load tester's commands; exit code 1 when answers differ or figures are not as expected.

mod diff;
mod live;
mod load;
mod load_text;
mod replay;
mod report;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::{Context as _, bail};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use shared::config::process_environment;
use shared::model::Day;
use shared::runtime::program;
use tokio::runtime::{Builder, Runtime};

use crate::check::{CheckSettings, check};
use crate::client::{Gateway, GatewaySettings};
use crate::generate::{GenerateSettings, Generator};
use crate::progress::Progress;
use crate::record;
use crate::recording;
use crate::target::{Target, write_all};
use crate::way::{Encoding, Format, Http, Way};
use crate::ways::check_ways;

/// Threads, or one for each core, for work that keeps one: documents are read, a file is written, lines for it are made.
const BLOCKING: usize = 4;

#[derive(Debug, Parser)]
#[command(
    name = "loadtest",
    version,
    about = "Order data of any size, load on gateways, and checks of their answers",
    after_help = "Examples:\n  loadtest generate --stores 30 --days 60 --out orders.parquet\n  \
                  loadtest run --users 50 --duration 2m --expect \"success>=99.9% p99<100ms\"\n  \
                  loadtest replay access.log --speed 10\n  \
                  loadtest check answers.json --url http://127.0.0.1:8080 --all-ways\n\n\
                  Exit codes: 0 done and as expected, 1 failed, different or not as expected, 64 wrong usage."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make order lines of invented stores in the shape of real ones
    Generate(GenerateArgs),
    /// Replay recorded requests and report every difference in the answers
    Check(CheckArgs),
    /// Record the answers of a running gateway, for a later check
    Record(RecordArgs),
    /// Put load on gateways, as virtual users or at a rate, and measure
    Run(load::RunArgs),
    /// Send the requests of an access log again, at their speed or faster, and measure
    Replay(replay::ReplayArgs),
    /// Compare two reports of run or replay
    Diff(diff::DiffArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  loadtest generate --stores 30 --days 60 --out orders.parquet\n  \
                        loadtest generate --stores 100 --days 30 --lines 30000 --out big.csv\n  \
                        loadtest generate --stores 5 --days 90 --into postgres --postgres postgres://hotshelf@127.0.0.1/demo\n\n\
                        The same settings give the same lines. The address may come from HOTSHELF_POSTGRES_URL.")]
struct GenerateArgs {
    /// Number of stores
    #[arg(long, value_name = "N", default_value_t = 30)]
    stores: u32,
    /// Number of days
    #[arg(long, value_name = "N", default_value_t = 60)]
    days: u32,
    /// Exactly so many lines per store over all days; without it, about 1,000 a day
    #[arg(long, value_name = "N")]
    lines: Option<u64>,
    /// Another number gives other data
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Last day
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "2026-03-07")]
    last_day: Day,
    /// Write to this file, .parquet or .csv
    #[arg(long, value_name = "FILE", required_unless_present = "into", conflicts_with = "into")]
    out: Option<PathBuf>,
    /// Write into the table `orders` of a database, in one transaction
    #[arg(long, value_enum)]
    into: Option<Place>,
    /// Address of PostgreSQL
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Replace what the database has of the same stores and days
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Place {
    Postgres,
}

#[derive(Debug, Args)]
struct GatewayArgs {
    /// Address of the gateway, http:// or https://
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Certificate of the authority that vouches for an https gateway; without it, those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File that holds the bearer token; without it, HOTSHELF_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Requests under way at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// Seconds to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  loadtest check answers.json --url http://127.0.0.1:8080\n  \
                        loadtest check answers.json --http 2 --encoding gzip --format msgpack\n  \
                        loadtest check answers.json --all-ways --url https://shelf.example:8443 --ca ca.pem --token-file token\n  \
                        loadtest check answers.json --all-ways --http 1.1 --output json --max-differences 50\n\n\
                        FILE is a JSON list of {\"path\", \"meta\", \"data\"}, as `loadtest record` makes it. Numbers are compared \
                        as exact decimals, those of MessagePack as the float 64 that is nearest; the order of lists counts, the order of keys is reported on its own.")]
struct CheckArgs {
    /// Recorded requests with their answers
    file: PathBuf,
    #[command(flatten)]
    gateway: GatewayArgs,
    /// Version of HTTP: 2 by ALPN over https, with prior knowledge over http [default: 1.1]
    #[arg(long, value_enum, value_name = "VERSION")]
    http: Option<Http>,
    /// Whether bodies are asked for as gzip; a long one that comes plain all the same is a difference [default: plain]
    #[arg(long, value_enum)]
    encoding: Option<Encoding>,
    /// Format of the documents [default: json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Ask in every way: each --http, --encoding and --format that is not given, one after the other
    #[arg(long)]
    all_ways: bool,
    /// Differences shown per request
    #[arg(long, value_name = "N", default_value_t = 20)]
    max_differences: usize,
    /// How the report is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  loadtest record answers.json --paths paths.txt --url http://127.0.0.1:8080\n\n\
                        paths.txt has one path with query per line, percent-encoded; lines that begin with # are left out."
)]
struct RecordArgs {
    /// File to write
    file: PathBuf,
    /// List of paths
    #[arg(long, value_name = "FILE")]
    paths: PathBuf,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// The command line, for what is written about it.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { command } = match program::command_line() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let runtime = command.runtime().context("the threads that the program needs cannot be started");
    program::end(runtime.and_then(|runtime| runtime.block_on(command.run())))
}

impl Command {
    async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Generate(args) => run_generate(args).await,
            Self::Check(args) => run_check(&args).await,
            Self::Record(args) => run_record(&args).await,
            Self::Run(args) => load::run(&args).await,
            Self::Replay(args) => replay::replay(&args).await,
            Self::Diff(args) => diff::diff(&args),
        }
    }

    fn runtime(&self) -> io::Result<Runtime> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = match self {
            Self::Run(args) => args.gateways.threads.into(),
            Self::Replay(args) => args.gateways.threads.into(),
            _ => cores,
        };
        let mut builder = match threads {
            // Nobody waits for another thread to be woken, and what came is read before what it leads to is done.
            1 => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        builder.worker_threads(threads).max_blocking_threads(cores.max(BLOCKING)).enable_all().build()
    }
}

async fn run_generate(args: GenerateArgs) -> anyhow::Result<ExitCode> {
    let settings = GenerateSettings {
        stores: args.stores,
        days: args.days,
        lines_per_store: args.lines,
        seed: args.seed,
        last_day: args.last_day,
    };
    let generator = match Generator::new(&settings) {
        Ok(generator) => generator,
        Err(error) => return Ok(program::wrong_usage(&error)),
    };
    let target = match args.out {
        Some(path) => match Target::file(path) {
            Ok(target) => target,
            Err(error) => return Ok(program::wrong_usage(&error)),
        },
        None => match args.postgres.or_else(|| process_environment("HOTSHELF_POSTGRES_URL")) {
            Some(url) => Target::Postgres { url, replace: args.yes },
            None => {
                return Ok(program::wrong_usage(
                    &"no database is named; pass --postgres URL or set HOTSHELF_POSTGRES_URL",
                ));
            }
        },
    };
    // Days of natural size are near this; the progress need not be exact.
    let per_store = args.lines.unwrap_or(u64::from(args.days) * 1_040);
    let progress = Progress::new(per_store * u64::from(args.stores), "lines");
    let started = Instant::now();
    let shown = progress.clone();
    let lines = write_all(generator, &target, move |lines| shown.add(lines)).await?;
    progress.finish();
    let seconds = started.elapsed().as_secs_f64();
    let place = match &target {
        Target::File(path) => path.display().to_string(),
        Target::Postgres { .. } => "PostgreSQL".to_owned(),
    };
    let first = settings.last_day.plus(1 - settings.days.cast_signed());
    println!(
        "{lines} lines of {} stores, {first} to {}, in {place} after {seconds:.1} s",
        settings.stores, settings.last_day
    );
    Ok(ExitCode::SUCCESS)
}

impl GatewayArgs {
    fn settings(&self) -> anyhow::Result<GatewaySettings> {
        let token = token(self.token_file.as_deref())?;
        let timeout = Duration::from_secs(self.timeout);
        Ok(GatewaySettings { url: self.url.clone(), token, ca: self.ca.clone(), timeout })
    }
}

/// The token of a file, else of the environment.
fn token(file: Option<&Path>) -> anyhow::Result<Option<String>> {
    match file {
        Some(file) => read_token(file).map(Some),
        None => Ok(process_environment("HOTSHELF_TOKEN")),
    }
}

/// The token that a file holds, without the line's end.
fn read_token(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| {
        format!("--token-file: {} cannot be read; check the path, and that you may read it", file.display())
    })?;
    let token = text.trim();
    if token.is_empty() {
        bail!("--token-file: {} is empty; write the token into it, and nothing else", file.display());
    }
    Ok(token.to_owned())
}

async fn run_check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let way = Way {
        http: args.http.unwrap_or_default(),
        encoding: args.encoding.unwrap_or_default(),
        format: args.format.unwrap_or_default(),
    };
    let checked = args.gateway.settings().and_then(|settings| Ok((Gateway::new(&settings, way)?, settings)));
    let (gateway, address) = match checked {
        Ok(checked) => checked,
        Err(error) => return Ok(program::wrong_usage(&format!("{error:#}"))),
    };
    let recorded = recording::read(&args.file)?;
    let settings = CheckSettings { parallel: args.gateway.parallel.into(), shown: args.max_differences };
    let is_clean = if args.all_ways {
        let ways = Way::every(args.http, args.encoding, args.format);
        let progress = Progress::new((recorded.len() * ways.len()) as u64, "requests");
        let report = check_ways(&address, &ways, &recorded, &settings, || progress.add(1)).await?;
        progress.finish();
        args.output.print(&report, report::print_ways)?;
        report.is_clean()
    } else {
        let progress = Progress::new(recorded.len() as u64, "requests");
        let report = check(&gateway, &recorded, &settings, || progress.add(1)).await?;
        progress.finish();
        args.output.print(&report, report::print)?;
        report.is_clean()
    };
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Output {
    fn print<T: Serialize>(self, report: &T, as_text: impl FnOnce(&T)) -> anyhow::Result<()> {
        match self {
            Self::Json => println!("{}", serde_json::to_string_pretty(report)?),
            Self::Text => as_text(report),
        }
        Ok(())
    }
}

async fn run_record(args: &RecordArgs) -> anyhow::Result<ExitCode> {
    let gateway = args.gateway.settings().and_then(|settings| Gateway::new(&settings, Way::default()));
    let gateway = match gateway {
        Ok(gateway) => gateway,
        Err(error) => return Ok(program::wrong_usage(&format!("{error:#}"))),
    };
    let text = std::fs::read_to_string(&args.paths)
        .with_context(|| format!("cannot read {}", args.paths.display()))?;
    let paths = record::paths(&text);
    if paths.is_empty() {
        return Ok(program::wrong_usage(&format!("{} names no path", args.paths.display())));
    }
    let progress = Progress::new(paths.len() as u64, "requests");
    let recorded = record::record(&gateway, &paths, args.gateway.parallel.into(), || progress.add(1)).await?;
    progress.finish();
    recording::write(&args.file, &recorded)?;
    println!("{} answers recorded in {}", recorded.len(), args.file.display());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["loadtest", "generate"]).is_err());
        assert!(Cli::try_parse_from(["loadtest", "generate", "--into", "postgres"]).is_ok());
        assert!(
            Cli::try_parse_from(["loadtest", "generate", "--out", "a.csv", "--into", "postgres"]).is_err()
        );
        assert!(
            Cli::try_parse_from(["loadtest", "generate", "--out", "a.csv", "--last-day", "2026-02-30"])
                .is_err()
        );
    }
}
