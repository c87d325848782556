//! `loadtest run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use shared::runtime::program;
use tokio_util::sync::CancellationToken;

use super::live::Live;
use super::{Output, load_text, token};
use crate::client::{Gateway, GatewaySettings};
use crate::load::closed::ClosedSettings;
use crate::load::expect::Expectations;
use crate::load::html;
use crate::load::open::Rate;
use crate::load::popularity::Popularity;
use crate::load::report::Report;
use crate::load::run::{self, Load, Pattern};
use crate::load::scenario::{Scenario, Sessions};
use crate::load::world::World;
use crate::target::part_of;
use crate::way::{Encoding, Format, Http, Way};

/// Longest load.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// Most requests a second: more than this program can send.
const MOST_RATE: f64 = 1e6;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  loadtest run --users 30 --duration 1m\n  \
                        loadtest run --users 200 --think 2s --ramp 20s --duration 5m --expect \"success>=99.9% p99<100ms hit>=90%\"\n  \
                        loadtest run --rate 500 --duration 2m --url http://10.0.0.1:8080 --url http://10.0.0.2:8080\n  \
                        loadtest run --rate 100 --rate-to 2000 --duration 5m --json run.json --html run.html\n  \
                        loadtest run --users 64 --think 0s --path /livez --duration 10s\n\n\
                        Users wait for answers, so a slow gateway is asked less. With --rate, requests are sent when they are due, and \
                        latency counts from then: what a gateway that stalls costs, only this shows.")]
pub(super) struct RunArgs {
    /// Virtual users, who ask, wait for the answers, think, and go on
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=10_000), conflicts_with = "rate")]
    users: u16,
    /// Mean time that a user thinks between two pages
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time, conflicts_with = "rate")]
    think: Duration,
    /// Time over which the users come, one after the other
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time, conflicts_with = "rate")]
    ramp: Duration,
    /// Requests a second, whether or not earlier ones were answered, instead of users
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Rate at the end, to which it changes evenly
    #[arg(long, value_name = "N", value_parser = rate, requires = "rate")]
    rate_to: Option<f64>,
    /// With --rate: most requests in flight; what is due beyond them counts as missed
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    max_in_flight: u16,
    /// How long
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration)]
    duration: Duration,
    /// Who asks
    #[arg(long, value_enum, default_value_t = Scenario::Mixed, conflicts_with = "path")]
    scenario: Scenario,
    /// Of managers, so many percent ask for fresh figures (POST /v1/refresh), which the warmer then makes
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100), conflicts_with = "path")]
    refresh: u32,
    /// Ask for this path instead; several are asked for one after the other
    #[arg(long, value_name = "PATH")]
    path: Vec<String>,
    /// How much more popular large stores and usual ranges are; 0 for all alike
    #[arg(long, value_name = "EXPONENT", default_value_t = 1.0, conflicts_with = "popularity")]
    zipf: f64,
    /// Take the popularity of stores and ranges from this access log; may be given several times
    #[arg(long, value_name = "LOG")]
    popularity: Vec<PathBuf>,
    /// Another number gives other sessions
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    pub(super) gateways: GatewaysArgs,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Debug, Args)]
pub(super) struct GatewaysArgs {
    /// Address of a gateway, http:// or https://; several share the load
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: Vec<String>,
    /// Certificate of the authority that vouches for https gateways; without it, those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File that holds the bearer token; without it, HOTSHELF_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Longest wait for an answer
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    timeout: Duration,
    /// Version of HTTP: 2 by ALPN over https, with prior knowledge over http
    #[arg(long, value_enum, value_name = "VERSION", default_value_t = Http::One)]
    http: Http,
    /// Whether bodies are asked for as gzip, as browsers do
    #[arg(long, value_enum, default_value_t = Encoding::Gzip)]
    encoding: Encoding,
    /// Format of the documents
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Threads that ask: one tells times most exactly; more send more, where there are cores for them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: u16,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// What the figures have to be like, or the exit code is 1: success, hit, stale (%), rate (/s), p50, p99, …, mean, max
    /// (us, ms, s), requests, failures, missed, wrong; overview.p99 is that of one kind of question
    #[arg(long, value_name = "EXPECTATIONS")]
    expect: Option<Expectations>,
    /// Write the report as JSON to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as one page with plots to this file, too; it opens without a network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// How the report is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write for example 500ms, 10s, 2m or 1h"))?;
    if time > LONGEST { Err("it is longer than a day".to_owned()) } else { Ok(time) }
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = time(text)?;
    if duration.is_zero() { Err("nothing can be measured in no time".to_owned()) } else { Ok(duration) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a number is expected".to_owned())?;
    if (0.001..=MOST_RATE).contains(&rate) {
        Ok(rate)
    } else {
        Err("it is not from 0.001 to 1000000".to_owned())
    }
}

impl GatewaysArgs {
    pub(super) fn gateways(&self) -> anyhow::Result<Vec<Gateway>> {
        let token = token(self.token_file.as_deref())?;
        if self.timeout.is_zero() {
            bail!("--timeout 0s leaves no time for an answer");
        }
        let way = Way { http: self.http, encoding: self.encoding, format: self.format };
        let gateway = |url: &String| {
            let settings = GatewaySettings {
                url: url.clone(),
                token: token.clone(),
                ca: self.ca.clone(),
                timeout: self.timeout,
            };
            Gateway::new(&settings, way)
        };
        self.url.iter().map(gateway).collect()
    }

    pub(super) fn tell(&self, settings: &mut BTreeMap<String, String>) {
        let way = Way { http: self.http, encoding: self.encoding, format: self.format };
        settings.insert("url".to_owned(), self.url.join(" "));
        settings.insert("way".to_owned(), way.to_string());
        settings.insert("timeout".to_owned(), text(self.timeout));
        settings.insert("threads".to_owned(), self.threads.to_string());
    }
}

pub(super) fn text(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

impl RunArgs {
    fn pattern(&self) -> Pattern {
        let (over, seed) = (self.duration, self.seed);
        match self.rate {
            None => {
                let (users, think, ramp) = (self.users.into(), self.think, self.ramp);
                Pattern::Closed(ClosedSettings { users, think, ramp, seed }, over)
            }
            Some(from) => {
                let rate = Rate { from, to: self.rate_to.unwrap_or(from), over };
                Pattern::Open { rate, limit: self.max_in_flight.into(), seed }
            }
        }
    }

    async fn sessions(&self, gateway: &Gateway) -> anyhow::Result<Sessions> {
        if !self.path.is_empty() {
            return Ok(Sessions::of_paths(&self.path));
        }
        let world = World::ask(gateway).await?;
        let popularity = if self.popularity.is_empty() {
            Popularity::zipf(&world, self.zipf)?
        } else {
            Popularity::of_logs(&world, &self.popularity)?
        };
        Ok(Sessions::of_people(self.scenario, world, popularity, self.refresh))
    }

    fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        let mut tell = |name: &str, value: String| {
            settings.insert(name.to_owned(), value);
        };
        tell("duration", text(self.duration));
        tell("seed", self.seed.to_string());
        match self.rate {
            Some(rate) => {
                tell("rate", rate.to_string());
                tell("rate_to", self.rate_to.unwrap_or(rate).to_string());
                tell("max_in_flight", self.max_in_flight.to_string());
            }
            None => {
                tell("users", self.users.to_string());
                tell("think", text(self.think));
                tell("ramp", text(self.ramp));
            }
        }
        if self.path.is_empty() {
            tell("scenario", format!("{:?}", self.scenario).to_lowercase());
            tell("refresh", format!("{} %", self.refresh));
            let logs: Vec<String> = self.popularity.iter().map(|path| path.display().to_string()).collect();
            tell("popularity", if logs.is_empty() { format!("zipf {}", self.zipf) } else { logs.join(" ") });
        } else {
            tell("path", self.path.join(" "));
        }
        self.gateways.tell(&mut settings);
        settings
    }
}

/// Runs a load.
pub(super) async fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    if let Some(path) = args.path.iter().find(|path| !path.starts_with('/')) {
        return Ok(program::wrong_usage(&format!("--path {path:?} does not start with a slash")));
    }
    let gateways = match args.gateways.gateways() {
        Ok(gateways) => gateways,
        Err(error) => return Ok(program::wrong_usage(&format!("{error:#}"))),
    };
    let Some(first) = gateways.first() else { bail!("no gateway is named; pass --url") };
    let sessions = args.sessions(first).await?;
    let load = Load { gateways, sessions, pattern: args.pattern() };
    let mut live = Live::new(args.duration);
    let stop = CancellationToken::new();
    let running = run::run(load, &stop, |elapsed, snapshot| live.show(elapsed, snapshot));
    let report = until_interrupted(running, &stop).await?;
    live.finish();
    args.report.finish(Report { settings: args.settings(), ..report })
}

/// What a load comes to. An interrupt ends it early: what was asked is waited for. A second one does not wait, and there
/// is nothing to report.
pub(super) async fn until_interrupted(
    running: impl Future<Output = Report>,
    stop: &CancellationToken,
) -> anyhow::Result<Report> {
    let mut running = std::pin::pin!(running);
    tokio::select! {
        report = &mut running => return Ok(report),
        Ok(()) = tokio::signal::ctrl_c() => stop.cancel(),
    }
    tokio::select! {
        report = running => Ok(report),
        Ok(()) = tokio::signal::ctrl_c() => bail!("ended before the last answers were there; there is no report"),
    }
}

impl ReportArgs {
    /// Judges a report and writes it; the exit code.
    pub(super) fn finish(&self, mut report: Report) -> anyhow::Result<ExitCode> {
        report.expectations = self.expect.as_ref().map(|expect| expect.judge(&report)).unwrap_or_default();
        if let Some(path) = &self.json {
            write(path, serde_json::to_string_pretty(&report)?.as_bytes())?;
        }
        if let Some(path) = &self.html {
            write(path, html::page(&report)?.as_bytes())?;
        }
        self.output.print(&report, load_text::print)?;
        for failed in report.expectations.iter().filter(|expected| !expected.met) {
            eprintln!("{failed}");
        }
        Ok(if report.is_as_expected() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Writes a file that is whole or not there.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let part = part_of(path);
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    written.with_context(|| format!("cannot write {}", path.display()))
}
