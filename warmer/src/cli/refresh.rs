//! `warmer refresh`.

use std::process::ExitCode;

use clap::Args;
use shared::config::Settings;

use super::settings::Redis;
use super::{Output, print};
use crate::operate::Desk;
use crate::operate::refresh::{Wanted, refresh};

const EXAMPLES: &str = "\
Examples:
  warmer refresh
      a cycle now: look for changes, warm what is missing
  warmer refresh --store 1001 --store 1002
      read these stores again, whole, before scheduled work
  warmer refresh --all
      read all stores again; costs as much as `warmer once`";

/// Ask the warmer that runs to look for changes now, or to read stores again
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Refresh {
    /// Read this store again, whole (may be repeated)
    #[arg(long = "store", visible_alias = "stores", value_name = "ID")]
    stores: Vec<String>,
    /// Read all stores again, whole
    #[arg(long, conflicts_with = "stores")]
    all: bool,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    pub(super) settings: Redis,
}

pub(super) async fn run(settings: &Settings, args: Refresh) -> anyhow::Result<ExitCode> {
    let wanted = match (args.all, args.stores.is_empty()) {
        (true, _) => Wanted::All,
        (false, true) => Wanted::Cycle,
        (false, false) => Wanted::Stores(args.stores),
    };
    let asked = refresh(&Desk::open(settings).await?, &wanted).await?;
    match args.output {
        Output::Text => print(asked.text())?,
        Output::Json => print(serde_json::to_string(&asked)?)?,
    }
    Ok(ExitCode::SUCCESS)
}
