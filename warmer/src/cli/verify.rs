//! `warmer verify`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use shared::config::{Settings, process_environment};

use super::settings::RedisAndPostgres;
use super::{Output, print};
use crate::verify::{Asking, Scope, verify};

const EXAMPLES: &str = "\
Examples:
  warmer verify --config /etc/hotshelf/warmer.toml
  warmer verify --gateway http://127.0.0.1:8081 --gateway http://127.0.0.1:8082
      asks these gateways, too, and sees whether the access log tells of it
  warmer verify --output json

It writes only keys of its own, and removes them. A gateway that wants a token is asked with that of --token-file or
HOTSHELF_TOKEN. Exit codes: 0 nothing failed, 1 something did, 64 wrong usage, 78 wrong settings.";

/// Check the whole set-up: servers, rights, levels, logs, gateways, host
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Verify {
    /// Address of a gateway to ask (may be repeated)
    #[arg(long, value_name = "URL")]
    gateway: Vec<String>,
    /// The gateways' user in Redis and PostgreSQL
    #[arg(long, value_name = "NAME", default_value = "hotshelf_gateway")]
    gateway_user: String,
    /// File that holds a token which the gateways know
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Authority of https gateways, in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    pub(super) settings: RedisAndPostgres,
}

pub(super) async fn run(settings: &Settings, args: Verify) -> anyhow::Result<ExitCode> {
    let token = match &args.token_file {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| {
                format!("{} cannot be read; check the path after --token-file", path.display())
            })?;
            Some(text.trim().to_owned())
        }
        None => process_environment("HOTSHELF_TOKEN"),
    };
    let asking = Asking { urls: args.gateway, token, ca: args.ca };
    let report = verify(settings, &Scope { asking, gateway_user: args.gateway_user }).await;
    match args.output {
        Output::Text => print(&report)?,
        Output::Json => print(serde_json::to_string_pretty(&report.json())?)?,
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
