//! `loadtest replay`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use shared::runtime::program;
use tokio_util::sync::CancellationToken;

use super::live::Live;
use super::load::{GatewaysArgs, ReportArgs, until_interrupted};
use crate::load::replay::Recording;
use crate::load::report::Report;
use crate::load::run;
use crate::load::world::World;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  loadtest replay /var/log/hotshelf/access.log\n  \
                        loadtest replay access.log.1 access.log --speed 10 --expect \"success>=99.9%\"\n  \
                        loadtest replay nginx-access.log.gz --speed 2 --url https://shelf.example:8443 --token-file token\n\n\
                        Requests are sent when they are due, in the order of the logs, whether or not earlier ones were answered. \
                        Other methods than GET, cut requests, and those that were refused (status 400 to 498) are left out.")]
pub(super) struct ReplayArgs {
    /// Access logs of gateways, or of proxies in the combined format; plain or .gz
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// So many times as fast as they came
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Move from and to, to be as far from the gateway's last data day as they were from that of the log
    #[arg(long)]
    move_days: bool,
    /// Most requests in flight; what is due beyond them counts as missed
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    max_in_flight: u16,
    #[command(flatten)]
    pub(super) gateways: GatewaysArgs,
    #[command(flatten)]
    report: ReportArgs,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "a number is expected".to_owned())?;
    if (0.01..=10_000.0).contains(&speed) {
        Ok(speed)
    } else {
        Err("it is not from 0.01 to 10000".to_owned())
    }
}

/// Replays logs.
pub(super) async fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let gateways = match args.gateways.gateways() {
        Ok(gateways) => gateways,
        Err(error) => return Ok(program::wrong_usage(&format!("{error:#}"))),
    };
    let Some(first) = gateways.first() else { bail!("no gateway is named; pass --url") };
    let move_to = if args.move_days { Some(World::ask(first).await?.last_day) } else { None };
    let logs = args.logs.clone();
    let recording = tokio::task::spawn_blocking(move || Recording::read(&logs, move_to)).await??;
    let duration = recording.duration(args.speed);
    eprintln!(
        "{} requests of {} lines, in {}; {} left out, {} lines cannot be read",
        recording.len(),
        recording.found.lines,
        humantime::format_duration(std::time::Duration::from_secs(duration.as_secs())),
        recording.skipped,
        recording.found.bad
    );
    let mut live = Live::new(duration);
    let stop = CancellationToken::new();
    let watch = |elapsed, snapshot: &_| live.show(elapsed, snapshot);
    let running = run::replay(&gateways, &recording, args.speed, args.max_in_flight.into(), &stop, watch);
    let report = until_interrupted(running, &stop).await?;
    live.finish();
    args.report.finish(Report { settings: args.settings(), ..report })
}

impl ReplayArgs {
    fn settings(&self) -> BTreeMap<String, String> {
        let logs: Vec<String> = self.logs.iter().map(|path| path.display().to_string()).collect();
        let own = [
            ("logs", logs.join(" ")),
            ("speed", self.speed.to_string()),
            ("move_days", self.move_days.to_string()),
            ("max_in_flight", self.max_in_flight.to_string()),
        ];
        let mut settings: BTreeMap<String, String> =
            own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.gateways.tell(&mut settings);
        settings
    }
}
