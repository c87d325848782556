//! `warmer hot`.

use std::process::ExitCode;

use clap::Args;
use shared::config::Settings;

use super::print;
use super::settings::Neither;
use crate::insight::hot;

/// Show what is asked for most
#[derive(Debug, Args)]
pub(super) struct Hot {
    #[command(flatten)]
    args: hot::HotArgs,
    #[command(flatten)]
    pub(super) settings: Neither,
}

pub(super) fn run(settings: &Settings, args: &Hot) -> anyhow::Result<ExitCode> {
    print(hot::run(settings, &args.args)?)?;
    Ok(ExitCode::SUCCESS)
}
