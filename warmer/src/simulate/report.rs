//! Hit rates: for people as tables, for scripts as JSON.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// What a simulation found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Requests replayed.
    pub requests: usize,
    /// Distinct keys.
    pub distinct: usize,
    /// By budget.
    pub budgets: Vec<BudgetReport>,
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
    /// Hits by requests, first requests included.
    pub hit_rate: f64,
    /// The same over windows of equal numbers of requests.
    pub windows: Vec<f64>,
}

impl Report {
    /// As tables.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{} requests, {} distinct keys", self.requests, self.distinct);
        for budget in &self.budgets {
            let _ = write!(text, "\n\nbudget {} % = {} entries\n", budget.share * 100.0, budget.entries);
            let mut table = Table::new();
            let windows = budget.policies.first().map_or(0, |policy| policy.windows.len());
            let heading = (1..=windows).map(|window| format!("{window}/{windows}"));
            table
                .load_preset(presets::NOTHING)
                .set_header(["policy".to_owned(), "hit rate".to_owned()].into_iter().chain(heading));
            for policy in &budget.policies {
                let rates = policy.windows.iter().map(|rate| format!("{rate:.3}"));
                table.add_row(
                    [policy.policy.to_owned(), format!("{:.4}", policy.hit_rate)].into_iter().chain(rates),
                );
            }
            for column in table.column_iter_mut().skip(1) {
                column.set_cell_alignment(CellAlignment::Right);
            }
            text.push_str(&table.to_string());
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
