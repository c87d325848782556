//! `warmer verify`.

use std::process::ExitCode;

use clap::Args;
use shared::config::Settings;
use shared::verify::VerifyArgs;

use super::settings::RedisAndPostgres;
use crate::verify::{Scope, verify};

const EXAMPLES: &str = "\
Examples:
  warmer verify --config /etc/hotshelf/warmer.toml
  warmer verify --gateway http://127.0.0.1:8081 --gateway http://127.0.0.1:8082
      asks these gateways, too, and sees whether the access log tells of it
  warmer verify --output json

Run it as the warmer's user, with its settings. It writes only keys of its own, and removes them. A gateway that wants a \
token is asked with that of --token-file or HOTSHELF_TOKEN. Exit codes: 0 nothing failed, 1 something did, 64 wrong usage, \
78 wrong settings.";

/// Check the whole set-up: servers, rights, levels, logs, gateways, host
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Verify {
    #[command(flatten)]
    verify: VerifyArgs,
    /// The gateways' user in Redis and PostgreSQL
    #[arg(long, value_name = "NAME", default_value = "hotshelf_gateway")]
    gateway_user: String,
    #[command(flatten)]
    pub(super) settings: RedisAndPostgres,
}

pub(super) async fn run(settings: &Settings, args: Verify) -> Result<ExitCode, ExitCode> {
    let scope = Scope { asking: args.verify.asking()?, gateway_user: args.gateway_user };
    let report = verify(settings, &scope).await;
    Ok(shared::runtime::program::end(args.verify.told(&report).map_err(anyhow::Error::from)))
}
