//! `warmer setup postgres`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use shared::config::Settings;
use shared::source::postgres::PostgresSettings;

use super::{Logins, aim, own_password_file, told, write};
use crate::cli::{Output, settings};
use crate::setup::postgres::{Mode, Options, run as set_up};

const EXAMPLES: &str = "\
Examples:
  warmer setup postgres
      shows the SQL of what is missing, and changes nothing
  sudo warmer setup postgres --postgres postgres://owner:PASSWORD@db.example/sales --apply
      runs it in one transaction, and makes passwords in /etc/hotshelf/passwords
  warmer setup postgres --mode trigger --apply
      changes are noted by triggers on the table, and told at once
  warmer setup postgres --write hotshelf.sql
      for somebody else to run with psql

A second run says that there is nothing to change. A table of your own ([postgres] table in the settings) is only read, \
but for the triggers of --mode trigger. `warmer import` writes: it takes the address of the table's owner, not these users.
Exit codes: 0 done or shown, 1 failed or refused, 64 wrong usage, 78 wrong settings.";

/// Set up PostgreSQL: the table, triggers where wanted, a user for the warmer and one for the gateways
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct SetupPostgres {
    /// Change it; else it is only shown
    #[arg(long, conflicts_with = "write")]
    apply: bool,
    /// Write the SQL to this file instead, to be run with psql
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// How the warmer will learn of changes [default: changes.mode of the settings]
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    #[command(flatten)]
    logins: Logins,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    pub(super) settings: settings::Postgres,
}

pub(super) async fn run(settings: &Settings, args: SetupPostgres) -> anyhow::Result<ExitCode> {
    let options = Options {
        users: args.logins.users(),
        passwords: args.logins.passwords,
        aim: aim(args.apply, args.write),
        mode: args.mode.unwrap_or_else(|| settings.changes.mode.into()),
    };
    let postgres = PostgresSettings {
        password_file: own_password_file(&args.settings, settings.postgres.password_file.clone()),
        ..settings.postgres.clone()
    };
    let report = set_up(&postgres, &options).await.map_err(told)?;
    write(args.output, &report, report.text(), report.changes())?;
    Ok(ExitCode::SUCCESS)
}
