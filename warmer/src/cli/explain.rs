//! `warmer explain`.

use std::process::ExitCode;

use clap::Args;
use shared::config::Settings;

use super::print;
use super::settings::RedisAndPostgres;
use crate::insight::explain;

/// Say why a store or question is kept or not
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    args: explain::ExplainArgs,
    #[command(flatten)]
    pub(super) settings: RedisAndPostgres,
}

pub(super) async fn run(settings: &Settings, args: &Explain) -> anyhow::Result<ExitCode> {
    print(explain::run(settings, &args.args).await?)?;
    Ok(ExitCode::SUCCESS)
}
