//! `gateway config`: the settings as they count.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use shared::config::show::ShowArgs;
use shared::runtime::program::{self, print};

use super::Given;

/// Look at the settings
#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(Show),
}

/// Show the value of every setting and where it comes from: default, file, variable or option
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gateway config show --config hotshelf.toml --listen 127.0.0.1:9000 --changed\n  \
                  gateway config show gateway near.bytes --output json\n\n\
                  Users and passwords of addresses are left out, and hashes of tokens. Connects to nothing.\n\
                  Exit codes: 0 shown, 64 no such section or key, 78 the settings do not fit."
)]
struct Show {
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    given: Given,
}

pub(super) fn run(args: &Config) -> Result<ExitCode, ExitCode> {
    let Command::Show(args) = &args.command;
    let read = args.given.origin().load_with_origins();
    let (settings, origins) = read.map_err(|error| program::wrong_settings(&error))?;
    let shown = args.show.shown(&settings, &origins).map_err(|error| program::wrong_usage(&error))?;
    Ok(program::end(print(shown).map(|()| ExitCode::SUCCESS).map_err(anyhow::Error::from)))
}
