//! The warmer's program: wires the commands to the process.

use std::process::ExitCode;

/// Millions of small texts of the access log come and go: a third of the time of learning them was the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    warmer::cli::main().await
}
