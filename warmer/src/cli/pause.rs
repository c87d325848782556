//! `warmer pause` and `warmer resume`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use shared::config::{Settings, process_environment};
use shared::runtime::now_ms;

use super::settings::Redis;
use super::{Output, print};
use crate::operate::pause::Switched;
use crate::operate::{Desk, pause, who};

/// Longest pause that ends by itself: longer ones are better ended by hand.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// Letters of a reason.
const LONGEST_REASON: usize = 1_000;

const PAUSE_EXAMPLES: &str = "\
Examples:
  warmer pause --reason 'index is being built'
  warmer pause --for 2h
      goes on by itself after two hours

The warmer finishes the stores under way and then reads nothing from the database; what is cached is \
served, marked stale when its time is over. Pausing again changes nothing, unless --reason or --for is given.";

/// Stop warming without stopping the warmer
#[derive(Debug, Args)]
#[command(after_help = PAUSE_EXAMPLES)]
pub(super) struct Pause {
    /// Why, for whoever looks next
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,
    /// How long, as in 30m or 2h; else until `warmer resume`
    #[arg(long = "for", value_name = "TIME", value_parser = lasting)]
    lasts: Option<Duration>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    pub(super) settings: Redis,
}

/// Go on warming after a pause
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  warmer resume\n\nA warmer that runs begins a cycle at once.")]
pub(super) struct Resume {
    /// How it is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    pub(super) settings: Redis,
}

fn reason(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if length > LONGEST_REASON {
        return Err(format!("{length} letters; give at most {LONGEST_REASON}"));
    }
    Ok(text.to_owned())
}

fn lasting(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|_| "write it as in 30m or 2h".to_owned())?;
    if !(Duration::from_secs(1)..=LONGEST).contains(&time) {
        return Err("give a time from 1s to 366 days, or leave it out".to_owned());
    }
    Ok(time)
}

pub(super) async fn run(settings: &Settings, args: Pause) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(settings).await?;
    let user = ["SUDO_USER", "USER", "LOGNAME", "USERNAME"].into_iter().find_map(process_environment);
    let switched = pause::pause(&desk, who(user), args.reason, args.lasts, now_ms()).await?;
    show(&switched, args.output)
}

pub(super) async fn resume(settings: &Settings, args: Resume) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(settings).await?;
    show(&pause::resume(&desk).await?, args.output)
}

fn show(switched: &Switched, output: Output) -> anyhow::Result<ExitCode> {
    match output {
        Output::Text => print(switched.text(now_ms()))?,
        Output::Json => print(switched.json())?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_lasts_a_sensible_time() {
        assert_eq!(lasting("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["2", "0s", "500ms", "400days", "soon", ""] {
            assert!(lasting(bad).is_err(), "{bad}");
        }
        assert!(
            reason(&"x".repeat(LONGEST_REASON)).is_ok() && reason(&"x".repeat(LONGEST_REASON + 1)).is_err()
        );
    }
}
