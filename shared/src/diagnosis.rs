//! The diagnosis ("today must-do"): one partial per store, a merge that is associative and order-free, and the
//! document made of the merged partial. Pure.

pub mod document;
mod finish;
mod merge;
mod partial;
mod rules;
mod window;

pub use partial::{
    BelowCost, Counts, FirstSales, HighDeliveries, HighProfits, HotSales, Listed, LossOrderCounts,
    MarginDrops, Partial, SlowStock, StockOuts, TrafficDrops,
};
pub use rules::partial;
pub use window::StoreProducts;

/// Longest list of a diagnosis, where not [`SHORT_LIST`].
pub const LONG_LIST: usize = 10;
/// Length of the lists of `price_below_cost`, `hot_products` and `high_profit`.
pub const SHORT_LIST: usize = 5;
