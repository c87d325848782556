//! The order sums of one store and day.

use serde::{Deserialize, Serialize};

use super::sums::Sums;
use crate::model::TextColumn;

/// Order sums of one store and day by order channel, and which products were sold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCell {
    /// Number of lines.
    pub lines: u64,
    /// Sums by order channel, ascending; every channel with an order, valid or not.
    pub channels: Vec<(String, Sums)>,
    /// Products with a merchandise line of quantity > 0.
    pub active: ActiveProducts,
}

/// The product keys with a merchandise line of quantity > 0, all orders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveProducts {
    /// Distinct keys, ascending.
    pub keys: TextColumn,
    /// For each channel of the cell, the numbers of its keys, ascending.
    pub by_channel: Vec<Vec<u32>>,
}

impl DayCell {
    /// Whether the store has no line on this day.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// Whether the parts of a cell read from outside fit each other.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.active.by_channel.len() == self.channels.len()
            && self.channels.is_sorted_by(|a, b| a.0 < b.0)
            && self.active.by_channel.iter().flatten().all(|key| (*key as usize) < self.active.keys.len())
    }
}
