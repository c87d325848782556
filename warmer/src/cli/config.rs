//! `warmer config`: the settings as they count.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use shared::config::show::ShowArgs;
use shared::runtime::program;

use super::print;
use super::settings::{self, RedisAndPostgres};

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
#[command(after_help = "Examples:\n  warmer config show --config hotshelf.toml --changed\n  \
                  warmer config show cache heat.logs --output json\n\n\
                  Users and passwords of addresses are left out, and hashes of tokens. Connects to nothing.\n\
                  Exit codes: 0 shown, 64 no such section or key, 78 the settings do not fit.")]
struct Show {
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    settings: RedisAndPostgres,
}

pub(super) fn run(first: &[PathBuf], args: &Config) -> Result<ExitCode, ExitCode> {
    let Command::Show(args) = &args.command;
    let (settings, origins) = settings::with_origins(first, &args.settings)?;
    let shown = args.show.shown(&settings, &origins).map_err(|error| program::wrong_usage(&error))?;
    Ok(program::end(print(shown).map(|()| ExitCode::SUCCESS).map_err(anyhow::Error::from)))
}
