//! `warmer plan`.

use std::process::ExitCode;

use clap::Args;
use shared::config::Settings;

use super::print;
use super::settings::RedisAndPostgres;
use crate::insight::plan;

/// Show what would be kept, and why
#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    args: plan::PlanArgs,
    #[command(flatten)]
    pub(super) settings: RedisAndPostgres,
}

pub(super) async fn run(settings: &Settings, args: &Plan) -> anyhow::Result<ExitCode> {
    print(plan::run(settings, &args.args).await?)?;
    Ok(ExitCode::SUCCESS)
}
