//! The program: wires the command line to the process.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    standalone::cli::main().await
}
