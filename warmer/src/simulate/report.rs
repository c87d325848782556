//! Hit rates: for people as tables, for scripts as JSON.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use shared::model::LocalTime;

use super::log::Found;

/// What a simulation found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Requests replayed.
    pub requests: usize,
    /// Distinct keys; of logs, resolved questions.
    pub distinct: usize,
    /// If logs were replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogReport>,
    /// By budget.
    pub budgets: Vec<BudgetReport>,
}

/// Of logs.
#[derive(Clone, Debug, Serialize)]
pub struct LogReport {
    /// What the lines were.
    #[serde(flatten)]
    pub found: Found,
    /// Distinct forms relative to the last data day.
    pub distinct_relative: usize,
    /// Time of the first question, milliseconds since 1970.
    pub first_ms: u64,
    /// Time of the last one.
    pub last_ms: u64,
}

/// At one budget.
#[derive(Clone, Debug, Serialize)]
pub struct BudgetReport {
    /// Share of the distinct keys, 0 to 1.
    pub share: f64,
    /// As entries.
    pub entries: usize,
    /// By policy.
    pub policies: Vec<PolicyReport>,
}

/// Of one policy.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyReport {
    /// Its name.
    pub policy: &'static str,
    /// Keys as they are; of logs, questions as they were asked.
    #[serde(flatten)]
    pub literal: Rates,
    /// Of logs: questions remembered relative to the last data day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative: Option<Rates>,
}

/// Hit rates, 0 to 1.
#[derive(Clone, Debug, Serialize)]
pub struct Rates {
    /// Hits by requests, first requests included.
    pub hit_rate: f64,
    /// The same over windows of equal time; `None` for those without requests.
    pub windows: Vec<Option<f64>>,
}

impl Report {
    /// As tables.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = match &self.log {
            None => format!("{} requests, {} distinct keys", self.requests, self.distinct),
            Some(log) => log.text(self.distinct),
        };
        for budget in &self.budgets {
            let _ = write!(text, "\n\nbudget {} % = {} entries\n", budget.share * 100.0, budget.entries);
            text.push_str(&budget.table().to_string());
        }
        text
    }

    /// As one JSON object.
    ///
    /// # Errors
    /// Never for values like these.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

impl LogReport {
    fn text(&self, distinct: usize) -> String {
        let time = |ms: u64| LocalTime(i64::try_from(ms / 1000).unwrap_or(0).saturating_mul(1_000_000));
        let mut text = format!(
            "{}\n{} to {} UTC: {distinct} distinct questions as asked, {} relative to the last data day ({} such days)",
            self.found,
            time(self.first_ms),
            time(self.last_ms),
            self.distinct_relative,
            self.found.last_days,
        );
        if self.found.days_from_clock > 0 {
            let _ = write!(
                text,
                "\n{} questions came without a last data day: the UTC day of the request was taken; --days-from tells it",
                self.found.days_from_clock
            );
        }
        text
    }
}

impl BudgetReport {
    fn table(&self) -> Table {
        let windows = self.policies.first().map_or(0, |policy| policy.literal.windows.len());
        let both = self.policies.iter().any(|policy| policy.relative.is_some());
        let mut heading = vec!["policy".to_owned()];
        if both {
            heading.extend(["literal", "relative", "over time"].map(str::to_owned));
        } else {
            heading.push("hit rate".to_owned());
        }
        heading.extend((1..=windows).map(|window| format!("{window}/{windows}")));
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(heading);
        for policy in &self.policies {
            let literal = format!("{:.4}", policy.literal.hit_rate);
            let over_time = |rates: &Rates| -> Vec<String> {
                let told =
                    |rate: &Option<f64>| rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.3}"));
                rates.windows.iter().map(told).collect()
            };
            let mut row = vec![policy.policy.to_owned(), literal];
            if let Some(relative) = &policy.relative {
                row.extend([format!("{:.4}", relative.hit_rate), "literal".to_owned()]);
                row.extend(over_time(&policy.literal));
                table.add_row(row);
                row = ["", "", "", "relative"].map(str::to_owned).into();
                row.extend(over_time(relative));
            } else {
                row.extend(over_time(&policy.literal));
            }
            table.add_row(row);
        }
        let right = |at: usize| at > 0 && !(both && at == 3);
        for (_, column) in table.column_iter_mut().enumerate().filter(|(at, _)| right(*at)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}
