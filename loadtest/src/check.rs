//! `loadtest check`: replays recorded requests and reports every difference of their answers by JSON path.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use comfy_table::{CellAlignment, Table, presets};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::Gateway;
use crate::compare::{Difference, compare};

/// A request with the answer that is expected.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recorded {
    /// Path and query as sent.
    pub path: String,
    /// Fields of the envelope's meta that must be equal.
    pub meta: BTreeMap<String, Value>,
    /// The document.
    pub data: Value,
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// As recorded.
    Equal,
    /// Another answer.
    Different {
        /// Where, at most as many as were asked for.
        differences: Vec<Difference>,
    },
    /// No answer to compare.
    Failed {
        /// Why.
        reason: String,
    },
}

/// One request and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Path and query.
    pub path: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// `X-Cache` of the answer.
    pub cache: Option<String>,
}

/// What became of all.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CheckReport {
    /// Requests.
    pub requests: usize,
    /// Answers as recorded.
    pub equal: usize,
    /// Other answers.
    pub different: usize,
    /// No answers.
    pub failed: usize,
    /// Answers by `X-Cache`.
    pub cache: BTreeMap<String, usize>,
    /// The requests that were not answered as recorded.
    pub problems: Vec<Checked>,
}

/// Reads a recording.
///
/// # Errors
/// If the file cannot be read or is not a list of `path`, `meta`, `data`.
pub fn read(path: &Path) -> anyhow::Result<Vec<Recorded>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| {
        format!("{} is not a list of {{\"path\", \"meta\", \"data\"}}; make one with loadtest record", path.display())
    })
}

pub(crate) async fn run(
    gateway: &Gateway,
    recorded: Vec<Recorded>,
    parallel: usize,
    most: usize,
    mut progress: impl FnMut(usize),
) -> CheckReport {
    let mut report = CheckReport { requests: recorded.len(), ..CheckReport::default() };
    let mut checks = futures_util::stream::iter(recorded)
        .map(|recorded| async move { one(gateway, &recorded, most).await })
        .buffered(parallel);
    let mut done = 0;
    while let Some(checked) = checks.next().await {
        done += 1;
        progress(done);
        if let Some(cache) = &checked.cache {
            *report.cache.entry(cache.clone()).or_default() += 1;
        }
        match &checked.outcome {
            Outcome::Equal => report.equal += 1,
            Outcome::Different { .. } => {
                report.different += 1;
                report.problems.push(checked);
            }
            Outcome::Failed { .. } => {
                report.failed += 1;
                report.problems.push(checked);
            }
        }
    }
    report
}

async fn one(gateway: &Gateway, recorded: &Recorded, most: usize) -> Checked {
    let failed = |reason: String, cache| Checked { path: recorded.path.clone(), outcome: Outcome::Failed { reason }, cache };
    let reply = match gateway.get(&recorded.path).await {
        Ok(reply) => reply,
        Err(error) => return failed(format!("{error:#}"), None),
    };
    let cache = reply.headers.get("x-cache").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body: Value = match serde_json::from_slice(&reply.body) {
        Ok(body) => body,
        Err(error) => return failed(format!("status {}, and the body is no JSON: {error}", reply.status), cache),
    };
    if !reply.status.is_success() {
        return failed(format!("status {}: {}", reply.status, body["detail"]), cache);
    }
    let mut differences = compare("data", &recorded.data, &body["data"], most);
    for (field, expected) in &recorded.meta {
        let room = most.saturating_sub(differences.len());
        differences.extend(compare(&format!("meta.{field}"), expected, &body["meta"][field], room));
    }
    let outcome = if differences.is_empty() { Outcome::Equal } else { Outcome::Different { differences } };
    Checked { path: recorded.path.clone(), outcome, cache }
}

impl CheckReport {
    /// Whether every answer was as recorded.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.equal == self.requests
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for checked in &self.problems {
            text.push_str(&format!("{}\n", checked.path));
            match &checked.outcome {
                Outcome::Equal => {}
                Outcome::Failed { reason } => text.push_str(&format!("  no answer: {reason}\n")),
                Outcome::Different { differences } => {
                    for Difference { path, expected, got } in differences {
                        text.push_str(&format!("  {path}: expected {expected}, got {got}\n"));
                    }
                }
            }
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(["requests", "equal", "different", "failed"]);
        table.add_row([self.requests, self.equal, self.different, self.failed].map(|count| count.to_string()));
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut outcomes = Table::new();
        outcomes.load_preset(presets::NOTHING).set_header(["X-Cache", "answers"]);
        for (outcome, count) in &self.cache {
            outcomes.add_row([outcome.clone(), count.to_string()]);
        }
        if let Some(column) = outcomes.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        text.push_str(&format!("{table}\n\n{outcomes}"));
        text
    }
}
