//! What a load came to, as it is written, kept and compared.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use shared::access_log::Outcome;

use super::measure::{Measured, Measurement, histogram};
use super::series::Series;
use super::servers::ServerSeries;

/// Version of the form.
pub const FORM: u32 = 1;
/// Percentiles that are kept.
pub const PERCENTILES: [f64; 18] = [
    0.0, 1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.9, 99.99,
];

/// What a load came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the form.
    pub v: u32,
    /// What was done: `run` or `replay`.
    pub command: String,
    /// When it began, milliseconds since 1970.
    pub started_at: i64,
    /// How long it took, the last answers included.
    pub seconds: f64,
    /// Whether it was ended before its time.
    pub interrupted: bool,
    /// What was asked of it, by option.
    pub settings: BTreeMap<String, String>,
    /// Where it ran.
    pub environment: Environment,
    /// The sum of all.
    pub totals: Totals,
    /// Latencies of all requests.
    pub latency: Latency,
    /// By kind of question.
    pub routes: BTreeMap<String, PartReport>,
    /// By gateway.
    #[serde(default)]
    pub gateways: Vec<GatewayReport>,
    /// By how much requests were sent later than they were due: the load tester's own part of latencies.
    pub lateness: Latency,
    /// Answers by where they came from.
    pub outcomes: BTreeMap<String, u64>,
    /// Failures by kind.
    pub failures: BTreeMap<String, u64>,
    /// The first failures in full.
    pub examples: Vec<String>,
    /// The course of time.
    pub series: Series,
    /// The gateways' machines over time.
    pub servers: Vec<ServerSeries>,
    /// What was expected.
    pub expectations: Vec<Expected>,
}

/// Where a load ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of the load tester.
    pub version: String,
    /// Operating system.
    pub system: String,
    /// Processor.
    pub processor: String,
    /// Cores.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory: u64,
}

impl Environment {
    /// Of this process.
    #[must_use]
    pub fn here() -> Self {
        let kernel = sysinfo::System::kernel_long_version().unwrap_or_default();
        let name = sysinfo::System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned());
        let mut here = Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            system: format!("{name}, {kernel}, {}", std::env::consts::ARCH),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            ..Self::default()
        };
        // Where the system does not tell, the report does not either.
        if let Ok(mut system) = sysinfo::System::new() {
            system.refresh_memory();
            system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
            here.processor = system.cpus().first().map(|cpu| cpu.brand().to_owned()).unwrap_or_default();
            here.memory = system.total_memory();
        }
        here
    }
}

/// Sums of a load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Requests that were due: sent or missed.
    pub requests: u64,
    /// Of these, without a right answer.
    pub failures: u64,
    /// Of the failures, those that were not sent since too many were in flight.
    pub missed: u64,
    /// Of the failures, answers that came and were wrong.
    pub wrong: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// Requests with a right answer a second.
    pub per_second: f64,
    /// Share of requests with a right answer, in percent.
    pub success_percent: f64,
    /// Share of answered documents that did not need the source, in percent; null if there was none.
    pub hit_percent: Option<f64>,
    /// Share of answered documents past their soft expiry, in percent; null if there was none.
    pub stale_percent: Option<f64>,
}

/// A distribution of latencies, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// Mean.
    pub mean: f64,
    /// Longest.
    pub max: f64,
    /// [`PERCENTILES`] with the latencies that so many percent did not exceed.
    pub percentiles: Vec<(f64, f64)>,
}

/// One kind of question, or one gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartReport {
    /// Requests that were due.
    pub requests: u64,
    /// Of these, without a right answer.
    pub failures: u64,
    /// Mean bytes of a body.
    pub mean_bytes: u64,
    /// Latencies.
    pub latency: Latency,
}

/// One gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GatewayReport {
    /// Its address.
    pub gateway: String,
    /// What it was asked, and how it answered.
    pub part: PartReport,
}

/// An expectation, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// As it was given.
    pub text: String,
    /// The figure as it is; null if there is none.
    pub value: Option<f64>,
    /// Whether it holds. What cannot be told does not.
    pub met: bool,
}

impl PartReport {
    fn of(measured: &Measured) -> Self {
        Self {
            requests: measured.requests,
            failures: measured.failures,
            mean_bytes: measured.bytes / measured.requests.max(1),
            latency: Latency::of(&measured.latencies),
        }
    }
}

impl Latency {
    /// Of a histogram of microseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let ms = |us: u64| us as f64 / 1e3;
        let at = |percent: f64| (percent, ms(histogram.value_at_percentile(percent)));
        Self {
            count: histogram.len(),
            mean: rounded(histogram.mean() / 1e3),
            max: ms(histogram.max()),
            percentiles: PERCENTILES.into_iter().map(at).collect(),
        }
    }

    /// The latency that so many percent did not exceed, if that is one of [`PERCENTILES`].
    #[must_use]
    pub fn at(&self, percent: f64) -> Option<f64> {
        let found = self.percentiles.iter().find(|(known, _)| (known - percent).abs() < 1e-9);
        found.map(|(_, ms)| *ms)
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn percent(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 * 100.0 / of as f64)
}

impl Report {
    /// Of what was measured of these gateways in so much time. What else is known is filled in by who knows it.
    #[must_use]
    pub fn new(command: &str, gateways: &[String], measured: Measurement, took: Duration) -> Self {
        let mut all = histogram();
        for route in measured.routes.values() {
            // Bounds and digits are the same.
            let _ = all.add(&route.latencies);
        }
        let sum = |of: fn(&Measured) -> u64| measured.routes.values().map(of).sum::<u64>();
        let (requests, failures) = (sum(|route| route.requests), sum(|route| route.failures));
        let counted = || Outcome::ALL.into_iter().zip(measured.outcomes);
        let documents: u64 = counted().filter(|(outcome, _)| *outcome != Outcome::None).map(|(_, n)| n).sum();
        let source: u64 = counted().filter(|(outcome, _)| *outcome == Outcome::Source).map(|(_, n)| n).sum();
        let seconds = took.as_secs_f64();
        let totals = Totals {
            requests,
            failures,
            missed: measured.missed,
            wrong: measured.wrong,
            bytes: sum(|route| route.bytes),
            per_second: rounded((requests - failures) as f64 / seconds.max(1e-3)),
            success_percent: percent(requests - failures, requests).unwrap_or(0.0),
            hit_percent: percent(documents - source, documents),
            stale_percent: percent(measured.stale, documents),
        };
        let outcomes =
            counted().filter(|(_, n)| *n > 0).map(|(outcome, n)| (outcome.as_str().to_owned(), n)).collect();
        let of_gateway = |(gateway, measured): (&String, &Measured)| GatewayReport {
            gateway: gateway.clone(),
            part: PartReport::of(measured),
        };
        Self {
            v: FORM,
            command: command.to_owned(),
            seconds: rounded(seconds),
            totals,
            latency: Latency::of(&all),
            routes: measured
                .routes
                .iter()
                .map(|(kind, of)| ((*kind).to_owned(), PartReport::of(of)))
                .collect(),
            gateways: gateways.iter().zip(&measured.gateways).map(of_gateway).collect(),
            lateness: Latency::of(&measured.lateness),
            outcomes,
            failures: measured.failures,
            examples: measured.examples,
            series: measured.series,
            ..Self::default()
        }
    }

    /// Whether all that was expected holds.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        self.expectations.iter().all(|expected| expected.met)
    }
}
