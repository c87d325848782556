//! The command line of `warmer simulate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{read_trace, simulate};

const EXAMPLES: &str = "\
Examples:
  warmer simulate --trace web12.csv.gz
  warmer simulate --trace requests.csv --budget 1%,5%,20% --output json

Requests count as time. `optimum` knows the future: no policy without that knowledge can reach it.";

/// Replay requests and compare what would have been kept with LRU, LFU, the top by count and the optimum.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SimulateArgs {
    /// Trace: `seq,key` lines, plain or .gz
    #[arg(long, value_name = "FILE")]
    trace: PathBuf,
    /// Budgets as shares of the distinct keys
    #[arg(long, value_delimiter = ',', default_value = "1%,5%,20%", value_parser = share)]
    budget: Vec<f64>,
    /// How the report is written
    #[arg(long, value_enum, default_value_t = SimulateOutput::Text)]
    output: SimulateOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SimulateOutput {
    Text,
    Json,
}

fn share(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    percent
        .filter(|percent| *percent > 0.0 && *percent <= 100.0)
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "give shares above 0 % and up to 100 %, as in 1%,5%,20%".to_owned())
}

/// The report as it is to be printed.
///
/// # Errors
/// If the trace cannot be read, or the report not be written as JSON.
pub fn run(args: &SimulateArgs) -> anyhow::Result<String> {
    let report = simulate(&read_trace(&args.trace)?, &args.budget);
    Ok(match args.output {
        SimulateOutput::Text => report.text(),
        SimulateOutput::Json => report.json()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_shares() {
        assert_eq!(share("5%"), Ok(0.05));
        for bad in ["5", "0%", "101%", "NaN%", "%", ""] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
