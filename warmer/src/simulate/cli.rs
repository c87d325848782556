//! The command line of `warmer simulate`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::{DayChanges, read_logs, read_trace, simulate, simulate_questions};

const EXAMPLES: &str = "\
Examples:
  warmer simulate --log /var/log/hotshelf/access.log /var/log/hotshelf/access.log.*.gz
  warmer simulate --log nginx.log --days-from days.csv --windows 24
  warmer simulate --trace web12.csv.gz
  warmer simulate --trace requests.csv --budget 1%,5%,20% --output json

Of a log, each request that asks for a document is replayed at its time; the key is the question. Every policy is shown
twice at the same number of entries: `literal` remembers a question with its days as they were asked; `relative`
remembers it relative to the last data day (\"these 3 stores, last 7 days\") and makes tomorrow's documents of what it
keeps when that day moves. The last data day is that of the log line; logs of other servers have none: then it is the
UTC day of the request, or what --days-from says, with lines such as

  2026-03-08T00:00:00+08:00,2026-03-07

each saying from when on which day was the last one with data.

Of a trace, the number of the request counts as its time. `optimum` knows the future: no policy without that knowledge
can reach it, unless it prepares what was never asked for, as `top by count` may.";

/// Replay requests and compare what would have been kept with LRU, LFU, the top by count and the optimum.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SimulateArgs {
    /// Access logs: JSON lines of the gateway, or nginx's and Apache's combined format; plain or .gz
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "trace", conflicts_with = "trace")]
    log: Vec<PathBuf>,
    /// Trace: `seq,key` lines, plain or .gz
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// When the last data day moved: `time,last_day` lines, plain or .gz
    #[arg(long, value_name = "FILE", conflicts_with = "trace")]
    days_from: Option<PathBuf>,
    /// Budgets as shares of the distinct keys
    #[arg(long, value_delimiter = ',', default_value = "1%,5%,20%", value_parser = share)]
    budget: Vec<f64>,
    /// Windows of equal time that hit rates are shown for
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    windows: u16,
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
/// If a file cannot be read, the logs hold no question, or the report cannot be written as JSON.
pub fn run(args: &SimulateArgs) -> anyhow::Result<String> {
    let windows = usize::from(args.windows);
    let report = match &args.trace {
        Some(trace) => simulate(&read_trace(trace)?, &args.budget, windows),
        None => {
            let days = args.days_from.as_deref().map(DayChanges::read).transpose();
            let days = days.context("--days-from cannot be used")?;
            simulate_questions(&read_logs(&args.log, days.as_ref())?, &args.budget, windows)
        }
    };
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
