//! `gateway verify`.

use std::process::ExitCode;

use clap::Args;
use shared::runtime::program;
use shared::verify::VerifyArgs;

use super::Given;
use crate::verify::verify;

/// Check what this gateway needs: servers, rights, warmth, log, host
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gateway verify --config /etc/hotshelf/gateway-1.toml\n  \
                  gateway verify --gateway https://127.0.0.1:8081 --ca ca.pem --output json\n\n\
                  Run it as the gateway's user, with its settings. Without --gateway the gateway that runs with these \
                  settings is asked, if one does; one that wants a token, with that of --token-file or HOTSHELF_TOKEN. \
                  Exit codes: 0 nothing failed, 1 something did, 64 wrong usage, 78 wrong settings.")]
pub(super) struct Verify {
    #[command(flatten)]
    verify: VerifyArgs,
    #[command(flatten)]
    given: Given,
}

pub(super) async fn run(args: &Verify) -> Result<ExitCode, ExitCode> {
    let settings = args.given.origin().load().map_err(|error| program::wrong_settings(&error))?;
    program::start_log(&settings)?;
    let report = verify(&settings, args.verify.asking()?).await;
    Ok(program::end(args.verify.told(&report).map_err(anyhow::Error::from)))
}
