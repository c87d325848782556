//! `warmer once`: as the one writer, from start to end.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use shared::cache::{Cache, RedisCache};
use shared::config::Settings;
use shared::runtime::{ComputePool, shutdown};
use shared::source::Source;
use shared::source::files::{FileSource, MappingChoice, ReadOptions};
use shared::source::postgres::PostgresSource;

use super::settings::RedisAndPostgres;
use super::{Output, levels, print};
use crate::lease::Lease;
use crate::level::Level;
use crate::once::{Report, Selection, once_of};
use crate::warming::Warming;

const EXAMPLES: &str = "\
Examples:
  warmer once
  warmer once --orders exports/ --redis redis://127.0.0.1:6379
  warmer once --stores 1001 --stores 1002
      only these; the documents over all stores need every store and stay as they are
  warmer once --level cells --level answers --output json
  warmer once --force
      although a warmer runs: it stands by until this is done

It writes as the one writer, and works also while warming is paused. Ctrl-C or SIGTERM gives up what is \
under way: stores that were written stay, whole.";

/// Read stores and make their levels ready, once
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Once {
    /// Order files to read instead of PostgreSQL: a file or a folder
    #[arg(long, value_name = "FILE|FOLDER")]
    orders: Option<PathBuf>,
    /// Only this store (may be repeated)
    #[arg(long = "stores", visible_alias = "store", value_name = "ID")]
    stores: Vec<String>,
    /// Write only this level (may be repeated)
    #[arg(long = "level", value_enum, value_name = "LEVEL")]
    levels: Vec<OnceLevel>,
    /// Take the writer's lease over if another warmer has it
    #[arg(long)]
    force: bool,
    /// How the closing report is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    pub(super) settings: RedisAndPostgres,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnceLevel {
    /// L2: day cells and product cells
    Cells,
    /// L3: partials of diagnoses, and the documents over all stores
    Answers,
    /// L1: order lines of the hot stores
    Orders,
}

impl From<OnceLevel> for Level {
    fn from(level: OnceLevel) -> Self {
        match level {
            OnceLevel::Cells => Self::Cells,
            OnceLevel::Answers => Self::Answers,
            OnceLevel::Orders => Self::Orders,
        }
    }
}

pub(super) async fn run(settings: &Settings, args: Once) -> anyhow::Result<ExitCode> {
    let cache = Cache::Redis(RedisCache::connect(&settings.redis)?);
    // Before anything is read: what is made must have somewhere to go.
    cache.ping().await?;
    let levels = levels(settings, cache.clone());
    let lease = Lease::new(cache, levels.keys(), settings.warm.lease);
    let work = leased(settings, &args, &lease, levels.fenced(lease.fence().clone()));
    let outcome = tokio::select! {
        outcome = work => outcome,
        signal = shutdown::requested() => match signal {
            Ok(signal) => Err(anyhow::anyhow!(
                "stopped by {signal}; stores that were written stay, the documents over all stores were left as they \
                 were; run it again for the rest"
            )),
            Err(error) => Err(error).context("cannot listen to signals"),
        },
    };
    // Also after a failure or a signal: the next writer need not wait until it ends.
    lease.give_back().await;
    let report = outcome?;
    match args.output {
        Output::Text => print(report.text())?,
        Output::Json => print(report.json()?)?,
    }
    Ok(if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Takes the lease and works while it holds.
async fn leased(
    settings: &Settings,
    args: &Once,
    lease: &Lease,
    levels: shared::cache::Levels,
) -> anyhow::Result<Report> {
    if let Some(owner) = lease.take(args.force).await? {
        tracing::warn!(owner, "the writer's lease was taken over; that warmer stands by until this is done");
    }
    if levels.is_paused().await == Some(true) {
        tracing::warn!("warming is paused; this goes on all the same, since it was asked for by hand");
    }
    lease.hold(work(settings, args, levels)).await?
}

async fn work(settings: &Settings, args: &Once, levels: shared::cache::Levels) -> anyhow::Result<Report> {
    let source = match &args.orders {
        Some(path) => {
            tracing::info!(path = %path.display(), "reading order files");
            let options = ReadOptions::default();
            Source::Files(FileSource::open(path.clone(), &MappingChoice::Auto, &options).await?)
        }
        None => Source::Postgres(PostgresSource::new(&settings.postgres)?),
    };
    let compute = ComputePool::new(settings.warm.threads, settings.warm.parallel_stores)
        .context("cannot start the computing threads; lower warm.threads")?;
    let warming = Warming::new(settings, source, levels, compute);
    let selection = Selection {
        stores: args.stores.clone(),
        levels: args.levels.iter().copied().map(Level::from).collect(),
    };
    let mut show = Show::new();
    let report = once_of(&warming, &selection, |done, total| show.update(done, total)).await?;
    show.finish();
    Ok(report)
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
