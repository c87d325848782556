//! What a run did: for people as tables, for scripts as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use shared::cache::Write;
use shared::entry::{self, EntryKind};

use super::seconds;
use crate::operate::words::number;

/// Entries and bytes of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelCount {
    /// Level and what it holds.
    pub name: &'static str,
    /// Entries.
    pub entries: u64,
    /// Bytes as stored, keys not counted.
    pub bytes: u64,
}

/// Time spent, added over stores that are read at the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Asking the source which stores and days there are.
    pub directory: Duration,
    /// Reading lines.
    pub read: Duration,
    /// Building cells, partials and entries.
    pub build: Duration,
    /// Writing to the cache.
    pub write: Duration,
    /// The documents over all stores.
    pub fleet: Duration,
    /// From start to end.
    pub total: Duration,
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Stores of the directory.
    pub stores: u64,
    /// Store-days with lines that are kept.
    pub store_days: u64,
    /// By level.
    pub levels: BTreeMap<&'static str, LevelCount>,
    /// Time by step.
    pub steps: Steps,
    /// Stores that failed.
    pub failed: u64,
    /// The first of them, with the reason.
    pub failures: Vec<(String, String)>,
    /// What was left as it was, because only some stores or levels were asked for.
    pub notes: Vec<String>,
}

#[derive(Serialize)]
struct Json<'a> {
    stores: u64,
    store_days: u64,
    levels: Vec<JsonLevel>,
    seconds: BTreeMap<&'static str, f64>,
    failed: u64,
    failures: &'a [(String, String)],
    notes: &'a [String],
}

#[derive(Serialize)]
struct JsonLevel {
    name: &'static str,
    entries: u64,
    bytes: u64,
}

/// Order lines, as counted.
pub(crate) const ORDERS: &str = "L1 orders";
/// Whole documents, as counted.
pub(crate) const ANSWERS: &str = "L3 answers";

fn name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Orders => ORDERS,
        EntryKind::DayCell => "L2 day cells",
        EntryKind::ProductCell => "L2 product cells",
        EntryKind::Partial => "L3 partials",
        EntryKind::Answer => ANSWERS,
        EntryKind::Hot => "L4 ready responses",
        EntryKind::Store => "directory",
        EntryKind::Plan => "plan",
    }
}

/// Entries and bytes by kind of what is written.
pub(crate) fn count(writes: &[Write]) -> Vec<LevelCount> {
    let mut counts: BTreeMap<&'static str, LevelCount> = BTreeMap::new();
    let mut add = |value: &[u8]| {
        if let Some(kind) = entry::kind(value) {
            let name = name(kind);
            let count = counts.entry(name).or_insert(LevelCount { name, entries: 0, bytes: 0 });
            count.entries += 1;
            count.bytes += value.len() as u64;
        }
    };
    for write in writes {
        match write {
            Write::Set { value, .. } => add(value),
            Write::SetFields { fields, .. } => fields.iter().for_each(|(_, value)| add(value)),
            _ => {}
        }
    }
    counts.into_values().collect()
}

impl Report {
    pub(super) fn add_store(&mut self, counts: &[LevelCount], steps: &Steps) {
        self.add_counts(counts);
        self.steps.read += steps.read;
        self.steps.build += steps.build;
        self.steps.write += steps.write;
    }

    pub(super) fn add_counts(&mut self, counts: &[LevelCount]) {
        for count in counts {
            let mine = self.levels.entry(count.name).or_insert(LevelCount {
                name: count.name,
                entries: 0,
                bytes: 0,
            });
            mine.entries += count.entries;
            mine.bytes += count.bytes;
        }
        self.store_days = self.levels.get("L2 day cells").map_or(0, |level| level.entries);
    }

    pub(super) fn fail(&mut self, store: String, reason: String, keep: usize) {
        self.failed += 1;
        if self.failures.len() < keep {
            self.failures.push((store, reason));
        }
    }

    fn times(&self) -> [(&'static str, Duration); 6] {
        let steps = &self.steps;
        [
            ("directory", steps.directory),
            ("read", steps.read),
            ("build", steps.build),
            ("write", steps.write),
            ("fleet", steps.fleet),
            ("total", steps.total),
        ]
    }

    /// As tables.
    #[must_use]
    pub fn text(&self) -> String {
        let mut levels = Table::new();
        levels.load_preset(presets::NOTHING).set_header(["level", "entries", "bytes"]);
        for level in self.levels.values() {
            levels.add_row([level.name.to_owned(), level.entries.to_string(), level.bytes.to_string()]);
        }
        let mut steps = Table::new();
        steps.load_preset(presets::NOTHING).set_header(["step", "seconds"]);
        for (step, time) in self.times() {
            let note =
                if matches!(step, "read" | "build" | "write") { " (over parallel stores)" } else { "" };
            steps.add_row([format!("{step}{note}"), seconds(time)]);
        }
        for table in [&mut levels, &mut steps] {
            for column in table.column_iter_mut().skip(1) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut text = format!(
            "{}, {} store-days kept, {} failed\n\n{levels}\n\n{steps}",
            number(self.stores, "store", "stores"),
            self.store_days,
            self.failed
        );
        if !self.notes.is_empty() {
            text.push_str(&format!("\n\n{}", self.notes.join("\n")));
        }
        for (store, reason) in &self.failures {
            text.push_str(&format!("\nfailed: store {store:?}: {reason}"));
        }
        if self.failed > 0 {
            text.push_str(
                "\nthe documents over all stores were left as they were; mend the cause and run again",
            );
        }
        text
    }

    /// As one JSON object.
    ///
    /// # Errors
    /// Never for values like these.
    pub fn json(&self) -> serde_json::Result<String> {
        let level =
            |level: &LevelCount| JsonLevel { name: level.name, entries: level.entries, bytes: level.bytes };
        serde_json::to_string(&Json {
            stores: self.stores,
            store_days: self.store_days,
            levels: self.levels.values().map(level).collect(),
            seconds: self.times().into_iter().map(|(step, time)| (step, time.as_secs_f64())).collect(),
            failed: self.failed,
            failures: &self.failures,
            notes: &self.notes,
        })
    }
}
