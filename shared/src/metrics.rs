//! Metrics of any set of stores, channels and days, as sums of day cells. Pure.

mod active;
pub mod change;
pub mod ratio;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cells::{DayCell, Sums};
use crate::model::{ChannelFilter, Day, DayRange};

pub use active::ActiveDays;

/// The metrics of some orders: sums, and the number of distinct (store, product) pairs sold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Order sums.
    pub sums: Sums,
    /// Distinct (store, product key) with a merchandise line of quantity > 0, all orders.
    pub active_products: u64,
}

impl std::ops::AddAssign<&Metrics> for Metrics {
    /// Only for metrics of different stores: products of two stores are never the same.
    fn add_assign(&mut self, other: &Self) {
        self.sums += &other.sums;
        self.active_products += other.active_products;
    }
}

/// The day cells of one store. Days without lines may be left out.
pub type StoreDays = BTreeMap<Day, Arc<DayCell>>;

/// Metrics of one store over `range`.
#[must_use]
pub fn metrics(days: &StoreDays, active: &ActiveDays, range: DayRange, filter: &ChannelFilter) -> Metrics {
    let mut sums = Sums::default();
    for cell in days.range(range.from..=range.to).map(|(_, cell)| cell) {
        for (channel, of_channel) in &cell.channels {
            if filter.admits(channel) {
                sums += of_channel;
            }
        }
    }
    Metrics { sums, active_products: active.distinct(days, range, filter) }
}

/// Metrics of one store over `range` by channel: every channel with an order, valid or not.
#[must_use]
pub fn by_channel(days: &StoreDays, active: &ActiveDays, range: DayRange) -> BTreeMap<String, Metrics> {
    let mut channels: BTreeMap<String, Metrics> = BTreeMap::new();
    for cell in days.range(range.from..=range.to).map(|(_, cell)| cell) {
        for (channel, sums) in &cell.channels {
            match channels.get_mut(channel) {
                Some(metrics) => metrics.sums += sums,
                None => {
                    channels.insert(channel.clone(), Metrics { sums: sums.clone(), active_products: 0 });
                }
            }
        }
    }
    for (channel, metrics) in &mut channels {
        let only = ChannelFilter::Only(BTreeSet::from([channel.clone()]));
        metrics.active_products = active.distinct(days, range, &only);
    }
    channels
}
