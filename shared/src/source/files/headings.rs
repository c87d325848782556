//! Finding the heading row, what each of its columns is, and what is left out.

use std::path::Path;

use super::mapping::Mapping;
use super::values::Sources;
use crate::model::Column;
use crate::source::{SourceError, SourceErrorKind};

/// Rows that are not blank among which the heading row is looked for.
pub(super) const HEADING_ROWS: usize = 20;

/// What the columns of a file are.
#[derive(Debug)]
pub(super) struct Layout {
    /// For each column the fields that may fill it.
    pub(super) sources: Sources,
    /// Fields that no column is filled from, by name.
    pub(super) left_out: Vec<String>,
    /// Fields that every row must have: up to the last that has a heading.
    pub(super) least: usize,
    /// Fields that a row may fill.
    pub(super) most: usize,
}

impl Layout {
    /// The layout of a heading row, if it has an order id, a store and a time.
    pub(super) fn find<S: AsRef<str>>(mapping: &Mapping, row: &[S]) -> Option<Self> {
        let names: Vec<&str> = row.iter().map(|name| clean(name.as_ref())).collect();
        let mut used = vec![false; names.len()];
        let sources = Column::ALL.map(|column| {
            let mut fields = Vec::new();
            for heading in mapping.headings(column) {
                for (at, _) in names.iter().enumerate().filter(|(_, name)| *name == heading) {
                    fields.push(at);
                    used[at] = true;
                }
            }
            fields
        });
        let has = |column: Column| !sources[column as usize].is_empty();
        if !(has(Column::OrderId) && has(Column::StoreId) && has(Column::OrderedAt)) {
            return None;
        }
        let unused = names.iter().zip(&used).filter(|(name, used)| !**used && !name.is_empty());
        let left_out = unused.map(|(name, _)| (*name).to_owned()).collect();
        let least = names.iter().rposition(|name| !name.is_empty()).map_or(0, |at| at + 1);
        Some(Self { sources, left_out, least, most: names.len() })
    }
}

/// A heading without blanks around and without a byte order mark.
fn clean(name: &str) -> &str {
    name.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// The error of a file without a heading row; `seen` is its first row, `note` what else may be the cause.
pub(super) fn not_found(path: &Path, mapping: &Mapping, seen: &[String], note: &str) -> SourceError {
    let wanted = [Column::OrderId, Column::StoreId, Column::OrderedAt]
        .map(|column| format!("{} ({})", column.name(), mapping.headings(column).join(" or ")))
        .join(", ");
    let mut found = seen.iter().map(|name| clean(name)).filter(|name| !name.is_empty()).collect::<Vec<_>>();
    found.truncate(12);
    let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
    SourceError::new(
        SourceErrorKind::File,
        format!(
            "{} has no heading row with {wanted} among its first {HEADING_ROWS} rows; its first row holds {found}{note}",
            path.display()
        ),
        "check that it is an export of order lines, or name its headings in a mapping of your own (--mapping FILE.toml)",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn headings_are_exact_after_trimming() {
        let row = ["\u{feff}订单ID", " 门店名称 ", "日期", "备注", "成本", "", "商品采购成本", "order-id"];
        let layout = Layout::find(&Mapping::auto(), &row).unwrap();
        assert_eq!(layout.sources[Column::OrderId as usize], [0]);
        assert_eq!(layout.sources[Column::StoreId as usize], [1]);
        assert_eq!(layout.sources[Column::StoreName as usize], [1]);
        assert_eq!(layout.sources[Column::Cost as usize], [6, 4]);
        assert_eq!(layout.left_out, ["备注", "order-id"]);
        assert_eq!((layout.least, layout.most), (8, 8));
        assert!(Layout::find(&Mapping::canonical(), &row).is_none());
        assert!(Layout::find(&Mapping::auto(), &["订单ID", "门店ID"]).is_none());
    }
}
