//! The load tester's program: wires the command line to the process.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    loadtest::cli::main().await
}
