//! `warmer flush`.

use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;
use shared::config::Settings;

use super::settings::Redis;
use super::{Output, print};
use crate::level::Level;
use crate::operate::{Desk, flush};

const EXAMPLES: &str = "\
Examples:
  warmer flush
      shows what would be removed, and asks
  warmer flush --level answers --yes
  warmer flush --store 1001 --store 1002 --yes
      what is made of these stores, documents of which they are a part included

Only what the warmer can make again is removed: never the lease, versions, a pause, requests or states. \
Gateways forget what they hold of these stores at once; a warmer that runs makes it again.";

/// Remove what is cached
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Flush {
    /// What to remove (may be repeated)
    #[arg(long = "level", value_enum, value_name = "LEVEL", default_value = "all")]
    levels: Vec<FlushLevel>,
    /// Only what is made of this store (may be repeated); it need not exist any more
    #[arg(long = "store", visible_alias = "stores", value_name = "ID")]
    stores: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    pub(super) settings: Redis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FlushLevel {
    /// L1: order lines of the hot stores
    Orders,
    /// L2: day cells and product cells
    Cells,
    /// L3: partials of diagnoses and whole documents
    Answers,
    /// L4: ready responses
    Hot,
    /// All of these, the directory of stores, and when data were confirmed
    All,
}

impl FlushLevel {
    const fn level(self) -> Option<Level> {
        match self {
            Self::Orders => Some(Level::Orders),
            Self::Cells => Some(Level::Cells),
            Self::Answers => Some(Level::Answers),
            Self::Hot => Some(Level::Hot),
            Self::All => None,
        }
    }
}

pub(super) async fn run(settings: &Settings, args: Flush) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(settings).await?;
    let wanted = flush::Flush {
        levels: args.levels.iter().map(|level| level.level()).collect::<Option<BTreeSet<Level>>>(),
        stores: (!args.stores.is_empty()).then(|| args.stores.iter().cloned().collect()),
    };
    let planned = flush::plan(&desk, &wanted).await?;
    let is_text = args.output == Output::Text;
    if planned.keys() == 0 {
        if is_text {
            print(format!("nothing to remove: no such key begins with {:?}", settings.prefix))?;
        } else {
            print(json!({ "removed": false, "planned": planned.json() }))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if is_text {
        print(planned.text())?;
    }
    if !args.yes && !agreed()? {
        if !is_text {
            print(json!({ "removed": false, "planned": planned.json() }))?;
        }
        return Ok(ExitCode::FAILURE);
    }
    let flushed = flush::execute(&desk, &wanted).await?;
    if is_text {
        print(flushed.text())?;
    } else {
        let done = json!({
            "removed": true,
            "planned": planned.json(),
            "keys": flushed.keys,
            "stores": flushed.stores,
            "writer": flushed.writer,
        });
        print(done)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether somebody at the terminal agrees; nobody does elsewhere.
fn agreed() -> std::io::Result<bool> {
    let mut out = std::io::stderr().lock();
    if !std::io::stdin().is_terminal() {
        writeln!(out, "nothing was removed; give --yes if this is right")?;
        return Ok(false);
    }
    write!(out, "Remove it? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    let agreed = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if !agreed {
        writeln!(out, "nothing was removed")?;
    }
    Ok(agreed)
}
