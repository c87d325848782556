//! Exact counts of distinct products over days: keys are numbered once per store, then counted in bit sets.

use std::collections::BTreeMap;

use super::StoreDays;
use crate::cells::TextIndex;
use crate::model::{ChannelFilter, Day, DayRange};

/// Store-wide numbers of the active product keys of each day.
#[derive(Debug, Default)]
pub struct ActiveDays {
    numbers: BTreeMap<Day, Vec<u32>>,
    distinct: usize,
}

impl ActiveDays {
    /// Numbers the active products of a store's days.
    #[must_use]
    pub fn new(days: &StoreDays) -> Self {
        // Most products are sold on many days: room for those of ten busy ones is mostly enough.
        let largest = days.values().map(|cell| cell.active.keys.len()).max().unwrap_or(0);
        let mut index = TextIndex::with_capacity(largest * days.len().min(10));
        let numbers = days
            .iter()
            .map(|(day, cell)| {
                let keys = cell.active.keys.view();
                (*day, (0..cell.active.keys.len()).map(|key| index.number(keys.bytes(key)).0).collect())
            })
            .collect();
        Self { numbers, distinct: index.len() }
    }

    /// Distinct products sold in `range` in orders that `filter` admits.
    pub(super) fn distinct(&self, days: &StoreDays, range: DayRange, filter: &ChannelFilter) -> u64 {
        if range.len() == 1 && *filter == ChannelFilter::All {
            return days.get(&range.from).map_or(0, |cell| cell.active.keys.len() as u64);
        }
        let mut seen = vec![false; self.distinct];
        for (day, cell) in days.range(range.from..=range.to) {
            let Some(numbers) = self.numbers.get(day) else { continue };
            if *filter == ChannelFilter::All {
                for number in numbers {
                    seen[*number as usize] = true;
                }
                continue;
            }
            for ((channel, _), keys) in cell.channels.iter().zip(&cell.active.by_channel) {
                if filter.admits(channel) {
                    for key in keys {
                        seen[numbers[*key as usize] as usize] = true;
                    }
                }
            }
        }
        seen.into_iter().map(u64::from).sum()
    }
}
