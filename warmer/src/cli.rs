//! The warmer's commands: one file each. Which settings a command takes follows from what it works on.

mod completions;
mod config;
mod explain;
mod flush;
mod hot;
mod import;
mod inspect;
mod man;
mod once;
mod pause;
mod plan;
mod refresh;
mod run;
mod settings;
mod setup;
mod status;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use shared::runtime::program::{self, print};
#[cfg(windows)]
use shared::runtime::windows_service::{self, ServiceArgs};

use crate::insight::Output;
use crate::simulate::{self, SimulateArgs};
pub use crate::warming::levels;

#[derive(Debug, Parser)]
#[command(
    name = "warmer",
    version,
    about = "Keeps the answers of Hotshelf's dashboards ready in Redis",
    after_help = "Examples:\n  warmer import export.csv --into postgres\n  warmer once --config config/warmer.toml\n  \
                  warmer run --config config/warmer.toml\n  warmer inspect hs:1:version:fleet\n\n\
                  Addresses and passwords may come from HOTSHELF_REDIS_URL and HOTSHELF_POSTGRES_URL.\n\
                  Exit codes: 0 done, 1 failed or refused, 64 wrong usage, 78 wrong settings."
)]
struct Cli {
    /// Settings file; also after the command, later ones override earlier ones
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Import(import::Import),
    Once(once::Once),
    Run(run::Run),
    Status(status::Status),
    Verify(verify::Verify),
    Hot(hot::Hot),
    Plan(plan::Plan),
    Explain(explain::Explain),
    Inspect(inspect::Inspect),
    Flush(flush::Flush),
    Pause(pause::Pause),
    Resume(pause::Resume),
    Refresh(refresh::Refresh),
    Setup(Box<setup::Setup>),
    /// Replay requests against policies of what to keep
    Simulate(SimulateArgs),
    Config(config::Config),
    /// Run as a service of Windows
    #[cfg(windows)]
    Service(ServiceArgs),
    Completions(completions::Completions),
    Man(man::Man),
}

/// The command line, for what is written about it.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line of this process.
pub async fn main() -> ExitCode {
    program::exit(run().await)
}

async fn run() -> Result<ExitCode, ExitCode> {
    let Cli { config: first, command } = program::command_line()?;
    let outcome = match command {
        Command::Simulate(args) => run_simulate(args).await,
        Command::Config(args) => return config::run(&first, &args),
        #[cfg(windows)]
        Command::Service(args) => return windows_service::run::<crate::windows::Warmer>(&args).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Import(args) => import::run(&settings::load(&first, &args.settings)?, args.import).await,
        Command::Once(args) => once::run(&settings::load(&first, &args.settings)?, args).await,
        Command::Run(args) => {
            let settings::Loaded { settings, source, log } = settings::load_to_run(&first, &args.settings)?;
            run::run(settings, args, source, log).await
        }
        Command::Status(args) => status::run(&settings::load(&first, &args.settings)?, args).await,
        Command::Verify(args) => return verify::run(&settings::load(&first, &args.settings)?, args).await,
        Command::Hot(args) => hot::run(&settings::load(&first, &args.settings)?, &args),
        Command::Plan(args) => plan::run(&settings::load(&first, &args.settings)?, &args).await,
        Command::Explain(args) => explain::run(&settings::load(&first, &args.settings)?, &args).await,
        Command::Inspect(args) => inspect::run(&settings::load(&first, &args.settings)?, args).await,
        Command::Flush(args) => flush::run(&settings::load(&first, &args.settings)?, args).await,
        Command::Pause(args) => pause::run(&settings::load(&first, &args.settings)?, args).await,
        Command::Resume(args) => pause::resume(&settings::load(&first, &args.settings)?, args).await,
        Command::Refresh(args) => refresh::run(&settings::load(&first, &args.settings)?, args).await,
        Command::Setup(args) => setup::run(&settings::load(&first, args.as_ref())?, *args).await,
    };
    Ok(program::end(outcome))
}

async fn run_simulate(args: SimulateArgs) -> anyhow::Result<ExitCode> {
    let report = tokio::task::spawn_blocking(move || simulate::run(&args)).await??;
    print(report)?;
    Ok(ExitCode::SUCCESS)
}
