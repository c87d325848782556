//! The load tester's program: wires the commands to the process.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    loadtest::cli::main().await
}
