//! `warmer man`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use super::{Cli, print};

const EXAMPLES: &str = "\
Examples:
  warmer man | man -l -
  warmer man --dir /usr/local/share/man/man1
      writes warmer.1, and warmer-COMMAND.1 for each command";

/// Print the manual page, or write those of all commands
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Man {
    /// Folder for the pages of all commands; made if it is not there
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Man) -> anyhow::Result<ExitCode> {
    match &args.dir {
        Some(dir) => {
            let failed =
                || format!("cannot write manual pages to {}; check the path and its rights", dir.display());
            std::fs::create_dir_all(dir).with_context(failed)?;
            clap_mangen::generate_to(Cli::command(), dir).with_context(failed)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print(String::from_utf8_lossy(&page).trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
