//! Tables and words for people.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::plan::Reason;

/// A table without lines between its rows; columns that hold numbers are aligned to the right.
pub(super) fn table(headings: &[&str], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings);
    for at in numbers {
        if let Some(column) = table.column_mut(*at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Rows as cells, so that they fit a table of any width.
pub(super) fn row(cells: impl IntoIterator<Item = String>) -> Vec<Cell> {
    cells.into_iter().map(Cell::new).collect()
}

/// A reason in words.
pub(super) fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Always => "kept: one of the documents over all stores".to_owned(),
        Reason::Worth => "kept: worth more per byte than what was left out".to_owned(),
        Reason::Floor { token } if token.is_empty() => {
            "kept: among the favourites of requests without a token (warm.floor)".to_owned()
        }
        Reason::Floor { token } => format!("kept: among the favourites of token {token} (warm.floor)"),
        Reason::NoBytes => "not kept: what is worth more takes the bytes (warm.budget)".to_owned(),
        Reason::NoPlace => "not kept: what is worth more takes the places (warm.answers)".to_owned(),
        Reason::NoTime => {
            "not yet kept: this cycle's time was used up (warm.budget_time); the next one goes on".to_owned()
        }
        Reason::NotAsked => "not kept: nobody asked for them of late".to_owned(),
    }
}

/// Bytes for people.
pub(super) fn bytes(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// A time of the past for people: how long ago.
pub(super) fn ago(now: i64, then: i64) -> String {
    let seconds = now.saturating_sub(then).max(0) / 1000;
    match seconds {
        0..=119 => format!("{seconds} s ago"),
        120..=7199 => format!("{} min ago", seconds / 60),
        7200..=172_799 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
