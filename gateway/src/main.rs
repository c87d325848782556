//! The gateway's program: wires the command line to the process.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    gateway::cli::main().await
}
