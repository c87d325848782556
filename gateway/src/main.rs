//! The gateway's program: wires the command line to the process.

use std::process::ExitCode;

/// The system's takes more of a request's time, and keeps more of the memory of many connections.
#[cfg(all(unix, feature = "jemalloc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _failpoints = fail::FailScenario::setup();
    gateway::cli::main().await
}
