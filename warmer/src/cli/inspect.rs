//! `warmer inspect`.

use std::process::ExitCode;

use clap::Args;
use shared::config::Settings;
use shared::runtime::now_ms;

use super::settings::Redis;
use super::{Output, print};
use crate::operate::Desk;
use crate::operate::inspect::{Shown, inspect};

const EXAMPLES: &str = "\
Examples:
  warmer inspect 'hs:1:cells:{1001}'
      a table of the days that are cached of a store
  warmer inspect 'hs:1:cells:{1001}' --field 2026-03-07 --full
      one day of them, decoded
  warmer inspect 'hs:1:partial:{1001}:2026-02-06:2026-03-07' --output json
  warmer inspect hs:1:paused

`redis-cli --scan --pattern 'hs:1:*'` lists keys; docs/wire-format.md says what they are.";

/// Show what lies at a key of the cache, decoded
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Inspect {
    /// The key, with the prefix
    #[arg(value_name = "KEY")]
    key: String,
    /// Of cells and products: this day; of the directory: this store
    #[arg(long, value_name = "DAY|ID")]
    field: Option<String>,
    /// Lines of the content that are shown
    #[arg(long, value_name = "N", default_value_t = 40)]
    head: usize,
    /// Show all of the content
    #[arg(long, conflicts_with = "head")]
    full: bool,
    /// How it is written; JSON is never cut
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    pub(super) settings: Redis,
}

pub(super) async fn run(settings: &Settings, args: Inspect) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(settings).await?;
    let inspection = inspect(&desk, &args.key, args.field.as_deref()).await?;
    let shown = Shown {
        now: now_ms(),
        rules: desk.levels.rules(),
        ttl: desk.levels.ttl(),
        head: (!args.full).then_some(args.head),
    };
    match args.output {
        Output::Text => print(inspection.text(&shown))?,
        Output::Json => print(inspection.json(&shown))?,
    }
    Ok(ExitCode::SUCCESS)
}
