//! The warmer's program: wires the commands to the process.

use std::process::ExitCode;

/// Millions of small texts of the access log come and go: with the system's allocator that took a quarter of the time of
/// learning them, and a third more memory stayed in its hands.
#[cfg(all(unix, feature = "jemalloc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    warmer::cli::main().await
}
