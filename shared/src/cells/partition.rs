//! Which lines of a batch belong to which store and day.

use std::ops::Range;

use hashbrown::HashMap;

use super::index::TextIndex;
use crate::model::day::DAY_MICROS;
use crate::model::{Column, Day, LinesView};

/// The lines of one store and day of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Store.
    pub store_id: String,
    /// Day.
    pub day: Day,
    /// Runs of line numbers, ascending.
    pub rows: Vec<Range<u32>>,
}

/// Groups a batch by store and day, in order of first appearance.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "a batch has under 2^31 lines, and days fit 32 bits")]
pub fn partition(lines: &LinesView<'_>) -> Vec<Group> {
    let mut stores = TextIndex::default();
    let mut numbers: HashMap<(u32, i64), usize, foldhash::fast::FixedState> = HashMap::default();
    let mut groups: Vec<Group> = Vec::new();
    let total = lines.len() as u32;
    let mut start = 0u32;
    while start < total {
        let store = lines.text(Column::StoreId, start as usize);
        let day = lines.ordered_at[start as usize].div_euclid(DAY_MICROS);
        let same_day = day * DAY_MICROS..(day + 1) * DAY_MICROS;
        let mut end = start + 1;
        while end < total
            && same_day.contains(&lines.ordered_at[end as usize])
            && lines.text(Column::StoreId, end as usize) == store
        {
            end += 1;
        }
        let (number, _) = stores.number(store);
        let at = *numbers.entry((number, day)).or_insert_with(|| {
            groups.push(Group {
                store_id: String::from_utf8_lossy(store).into_owned(),
                day: Day(day as i32),
                rows: Vec::new(),
            });
            groups.len() - 1
        });
        groups[at].rows.push(start..end);
        start = end;
    }
    groups
}
