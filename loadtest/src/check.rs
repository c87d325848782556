//! Replays recorded requests and compares the answers with what was recorded: the check before and after an upgrade.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::client::{Gateway, RequestError};
use crate::compare::{Difference, Differences, Numbers};
use crate::envelope;
use crate::recording::Recorded;
use crate::way::Format;

/// Outcomes of the cache that are told apart; a gateway has about a dozen.
const MAX_OUTCOMES: usize = 40;

/// How to check.
#[derive(Clone, Debug)]
pub struct CheckSettings {
    /// Requests under way at a time.
    pub parallel: usize,
    /// Differences shown per request; all are counted.
    pub shown: usize,
}

/// What became of one request, if anything was wrong with it.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The request.
    pub path: String,
    /// Status code, if there was an answer.
    pub status: Option<u16>,
    /// Why there is no document to compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// Differences beyond those listed.
    pub more: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CheckReport {
    /// Requests to make.
    pub requests: u64,
    /// Answers equal to what was recorded.
    pub equal: u64,
    /// Answers that differ.
    pub different: u64,
    /// Requests without a document.
    pub failed: u64,
    /// Requests that were not asked, since the gateway was not there any more.
    pub unreachable: u64,
    /// Differences of content in all answers.
    pub value_differences: u64,
    /// Objects with keys in another order in all answers.
    pub key_order_differences: u64,
    /// Answers by where the gateway found them (`X-Cache`).
    pub x_cache: BTreeMap<String, u64>,
    /// Time of the whole check.
    pub seconds: f64,
    /// Everything that was not equal, in the order of the file.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// Whether every answer was equal.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.equal == self.requests
    }

    fn answered(&self) -> u64 {
        self.equal + self.different + self.failed
    }

    fn add(&mut self, outcome: Outcome) {
        if let Some(x_cache) = outcome.x_cache {
            let known = self.x_cache.len() < MAX_OUTCOMES || self.x_cache.contains_key(&x_cache);
            *self.x_cache.entry(if known { x_cache } else { "other".to_owned() }).or_default() += 1;
        }
        self.value_differences += outcome.differences.values;
        self.key_order_differences += outcome.differences.key_orders;
        if outcome.failure.is_some() {
            self.failed += 1;
        } else if outcome.differences.is_empty() {
            self.equal += 1;
            return;
        } else {
            self.different += 1;
        }
        self.findings.push(Finding {
            path: outcome.path,
            status: outcome.status.map(|status| status.as_u16()),
            failure: outcome.failure,
            more: outcome.differences.more(),
            differences: outcome.differences.kept,
        });
    }
}

struct Outcome {
    path: String,
    status: Option<StatusCode>,
    x_cache: Option<String>,
    failure: Option<String>,
    differences: Differences,
}

/// Replays all requests in the gateway's way; `progress` hears of each answer, in the order of the file.
///
/// # Errors
/// When the gateway cannot be reached at all: then nothing has been compared.
pub async fn check(
    gateway: &Gateway,
    recorded: &[Recorded],
    settings: &CheckSettings,
    mut progress: impl FnMut(),
) -> Result<CheckReport, RequestError> {
    let started = Instant::now();
    let mut report = CheckReport { requests: recorded.len() as u64, ..CheckReport::default() };
    let mut outcomes = futures_util::stream::iter(recorded)
        .map(|request| check_one(gateway, request, settings.shown))
        .buffered(settings.parallel.max(1));
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Ok(outcome) => report.add(outcome),
            Err(error) if report.answered() == 0 => return Err(error),
            // It went away; what was compared still counts.
            Err(_) => break,
        }
        progress();
    }
    report.unreachable = report.requests - report.answered();
    report.seconds = rounded(started.elapsed());
    Ok(report)
}

fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

async fn check_one(gateway: &Gateway, request: &Recorded, shown: usize) -> Result<Outcome, RequestError> {
    let numbers = match gateway.way().format {
        Format::Json => Numbers::Exact,
        Format::MessagePack => Numbers::Float64,
    };
    let mut outcome = Outcome {
        path: request.path.clone(),
        status: None,
        x_cache: None,
        failure: None,
        differences: Differences::new(shown, numbers),
    };
    let answer = match gateway.get(&request.path).await {
        Ok(answer) => answer,
        Err(error) if error.is_unreachable() => return Err(error),
        Err(error) => {
            outcome.failure = Some(error.to_string());
            return Ok(outcome);
        }
    };
    outcome.status = Some(answer.status);
    outcome.x_cache.clone_from(&answer.x_cache);
    if answer.status != StatusCode::OK {
        outcome.failure = Some(format!("status {}: {}", answer.status, answer.problem()));
        return Ok(outcome);
    }
    match envelope::read(&answer, gateway.way(), &mut outcome.differences) {
        Ok(envelope) => compare(&mut outcome, request, &envelope),
        Err(failure) => outcome.failure = Some(failure),
    }
    Ok(outcome)
}

fn compare(outcome: &mut Outcome, request: &Recorded, envelope: &Value) {
    match envelope.get("data") {
        Some(data) => outcome.differences.compare("$.data", &request.data, data),
        None => outcome.failure = Some("the body has no field `data`".to_owned()),
    }
    outcome.differences.compare_fields("$.meta", &request.meta, envelope.get("meta"));
}
