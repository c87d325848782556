//! What reading a file found: rows read, accepted and rejected, stores and days, columns left out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::batch::Batch;
use super::encoding::Encoding;
use super::reject::RejectReason;
use crate::model::{Column, Day, Lines, LocalTime};

/// What kind of file it is, by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values.
    Csv(Encoding),
    /// An Excel workbook.
    Xlsx,
    /// Parquet.
    Parquet,
}

impl Format {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv(Encoding::Utf8) => "CSV, UTF-8",
            Self::Csv(Encoding::Gb18030 { .. }) => "CSV, GB18030",
            Self::Xlsx => "XLSX",
            Self::Parquet => "Parquet",
        }
    }
}

/// Accepted lines by store and day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreDays {
    lines: BTreeMap<String, BTreeMap<Day, u64>>,
}

impl StoreDays {
    /// Counts lines.
    pub(super) fn add(&mut self, lines: &Lines) {
        let mut row = 0;
        while row < lines.len() {
            let store = lines.text(Column::StoreId, row);
            let day = LocalTime(lines.ordered_at[row]).day();
            let same = |at: &usize| {
                LocalTime(lines.ordered_at[*at]).day() == day && lines.text(Column::StoreId, *at) == store
            };
            let end = (row + 1..lines.len()).find(|at| !same(at)).unwrap_or(lines.len());
            self.count(store, day, (end - row) as u64);
            row = end;
        }
    }

    fn count(&mut self, store: &str, day: Day, lines: u64) {
        if !self.lines.contains_key(store) {
            self.lines.insert(store.to_owned(), BTreeMap::new());
        }
        if let Some(days) = self.lines.get_mut(store) {
            *days.entry(day).or_default() += lines;
        }
    }

    /// Adds those of another file.
    pub fn merge(&mut self, other: &Self) {
        for (store, days) in &other.lines {
            for (day, lines) in days {
                self.count(store, *day, *lines);
            }
        }
    }

    /// Stores by id.
    pub fn stores(&self) -> impl ExactSizeIterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }

    /// The lines of each store and day, by store and day.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Day, u64)> {
        self.lines
            .iter()
            .flat_map(|(store, days)| days.iter().map(|(day, lines)| (store.as_str(), *day, *lines)))
    }

    /// Number of (store, day)s.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.values().map(BTreeMap::len).sum()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// First and last day.
    #[must_use]
    pub fn span(&self) -> Option<(Day, Day)> {
        let first = self.lines.values().filter_map(|days| days.keys().next()).min()?;
        let last = self.lines.values().filter_map(|days| days.keys().next_back()).max()?;
        Some((*first, *last))
    }
}

/// What reading one file found so far; complete when the last batch is read.
#[derive(Clone, Debug)]
pub struct FileSummary {
    /// The file.
    pub path: PathBuf,
    /// What it is.
    pub format: Format,
    /// Rows read, without blank ones.
    pub read: u64,
    /// Rows accepted.
    pub accepted: u64,
    /// Rows rejected, by reason; reasons that did not occur are not there.
    pub rejected: BTreeMap<RejectReason, u64>,
    /// Columns left out, by heading.
    pub left_out: Vec<String>,
    /// Sheets of a workbook that were not read.
    pub sheets_left_out: Vec<String>,
    /// Accepted lines by store and day.
    pub store_days: StoreDays,
}

impl FileSummary {
    /// Number of rows rejected.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    pub(super) fn add(&mut self, batch: &Batch) {
        self.read += batch.len() as u64;
        self.accepted += batch.lines.len() as u64;
        for reject in &batch.rejects {
            *self.rejected.entry(reject.reason).or_default() += 1;
        }
        self.store_days.add(&batch.lines);
    }
}
