//! What an import found and did, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;

use comfy_table::{Table, presets};
use serde::Serialize;
use shared::source::files::{FileSummary, RejectReason, StoreDays};
use shared::source::import::ImportPlan;

use super::args::Output;

/// The closing summary.
#[derive(Clone, Debug)]
pub struct Summary {
    files: Vec<FileSummary>,
    store_days: StoreDays,
    lines_removed: Option<u64>,
    /// Whether the target was changed.
    pub imported: bool,
    /// Where the rejected rows were written.
    pub rejects_file: Option<PathBuf>,
}

/// One file, or all together, as printed.
#[derive(Debug, Serialize)]
struct Row {
    file: String,
    format: &'static str,
    read: u64,
    accepted: u64,
    rejected: u64,
    rejected_by_reason: BTreeMap<&'static str, u64>,
    stores: usize,
    store_days: usize,
    first_day: Option<String>,
    last_day: Option<String>,
    left_out: Vec<String>,
    sheets_left_out: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Document {
    imported: bool,
    files: Vec<Row>,
    total: Row,
    lines_removed: Option<u64>,
    rejects_file: Option<PathBuf>,
}

impl Summary {
    /// Of these files.
    #[must_use]
    pub fn new(files: Vec<FileSummary>) -> Self {
        let mut store_days = StoreDays::default();
        for file in &files {
            store_days.merge(&file.store_days);
        }
        Self { files, store_days, lines_removed: None, imported: false, rejects_file: None }
    }

    /// Lines accepted in all files.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.files.iter().map(|file| file.accepted).sum()
    }

    /// Notes what the import removes.
    pub fn set_plan(&mut self, plan: &ImportPlan) {
        self.lines_removed = Some(plan.lines_removed);
    }

    /// Prints it to standard output.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn print(&self, output: Output) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        match output {
            Output::Json => {
                serde_json::to_writer_pretty(&mut out, &self.document())?;
                writeln!(out)?;
            }
            Output::Text => write!(out, "{}", self.text())?,
        }
        Ok(())
    }

    fn document(&self) -> Document {
        Document {
            imported: self.imported,
            files: self.files.iter().map(row).collect(),
            total: self.total(),
            lines_removed: self.lines_removed,
            rejects_file: self.rejects_file.clone(),
        }
    }

    fn total(&self) -> Row {
        let mut by_reason: BTreeMap<RejectReason, u64> = BTreeMap::new();
        for (reason, count) in self.files.iter().flat_map(|file| &file.rejected) {
            *by_reason.entry(*reason).or_default() += count;
        }
        let names = |list: fn(&FileSummary) -> &Vec<String>| {
            let names: BTreeSet<String> = self.files.iter().flat_map(list).cloned().collect();
            names.into_iter().collect::<Vec<_>>()
        };
        Row {
            file: "total".to_owned(),
            format: "",
            read: self.files.iter().map(|file| file.read).sum(),
            accepted: self.accepted(),
            left_out: names(|file| &file.left_out),
            sheets_left_out: names(|file| &file.sheets_left_out),
            ..counted(&self.store_days, &by_reason)
        }
    }

    fn text(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["file", "format", "read", "accepted", "rejected", "stores", "store-days", "days"]);
        let mut rows: Vec<Row> = self.files.iter().map(row).collect();
        if rows.len() > 1 {
            rows.push(self.total());
        }
        let mut notes = String::new();
        for row in &rows {
            let days = row.first_day.as_ref().zip(row.last_day.as_ref());
            table.add_row([
                row.file.clone(),
                row.format.to_owned(),
                row.read.to_string(),
                row.accepted.to_string(),
                row.rejected.to_string(),
                row.stores.to_string(),
                row.store_days.to_string(),
                days.map_or_else(String::new, |(first, last)| format!("{first} … {last}")),
            ]);
        }
        let total = self.total();
        if total.rejected > 0 {
            let reasons: Vec<String> =
                total.rejected_by_reason.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            let place = match &self.rejects_file {
                Some(path) => format!("see {}", path.display()),
                None => "--rejects FILE lists them".to_owned(),
            };
            notes += &format!("Rejected rows: {} ({place})\n", reasons.join(", "));
        }
        if !total.left_out.is_empty() {
            notes += &format!("Columns left out: {}\n", total.left_out.join(", "));
        }
        if !total.sheets_left_out.is_empty() {
            notes += &format!("Sheets not read: {}\n", total.sheets_left_out.join(", "));
        }
        notes += &match (self.imported, self.lines_removed) {
            (true, removed) => {
                let accepted = total.accepted;
                format!("Imported {accepted} lines, which replace {} stored ones.\n", removed.unwrap_or(0))
            }
            (false, _) => "Nothing was imported.\n".to_owned(),
        };
        format!("{table}\n{notes}")
    }
}

fn row(file: &FileSummary) -> Row {
    Row {
        file: file.path.display().to_string(),
        format: file.format.as_str(),
        read: file.read,
        accepted: file.accepted,
        left_out: file.left_out.clone(),
        sheets_left_out: file.sheets_left_out.clone(),
        ..counted(&file.store_days, &file.rejected)
    }
}

/// A row with the counts that come from stores, days and reasons.
fn counted(store_days: &StoreDays, rejected: &BTreeMap<RejectReason, u64>) -> Row {
    let span = store_days.span();
    Row {
        file: String::new(),
        format: "",
        read: 0,
        accepted: 0,
        rejected: rejected.values().sum(),
        rejected_by_reason: rejected.iter().map(|(reason, count)| (reason.as_str(), *count)).collect(),
        stores: store_days.stores().len(),
        store_days: store_days.len(),
        first_day: span.map(|(first, _)| first.to_string()),
        last_day: span.map(|(_, last)| last.to_string()),
        left_out: Vec::new(),
        sheets_left_out: Vec::new(),
    }
}
