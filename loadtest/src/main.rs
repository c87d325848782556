//! The load tester's program: wires the command line to the process.

use std::process::ExitCode;

fn main() -> ExitCode {
    loadtest::cli::main()
}
