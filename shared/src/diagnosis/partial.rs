//! What one store contributes to a diagnosis. It holds only what merges exactly: daily counts, sums, whole maps, and
//! lists in their final order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Amount;

/// Counts by channel.
pub type Counts = BTreeMap<String, u64>;

/// A product of a list with what the list shows and sorts by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed<T> {
    /// Store.
    pub store_id: String,
    /// Product key.
    pub key: String,
    /// Display name over the range.
    pub name: String,
    /// What the rule says about it.
    pub facts: T,
}

/// One store's part of a diagnosis for a range `from` … `y`, or the merge of several stores' parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the rules of the diagnosis")]
pub struct Partial {
    pub loss_orders: LossOrderCounts,
    pub high_delivery: HighDeliveries,
    pub stock_out: StockOuts,
    pub below_cost: BelowCost,
    pub traffic_drop: TrafficDrops,
    /// After 3, 7 and 15 days.
    pub slow: [SlowStock; 3],
    pub first_sale: FirstSales,
    pub margin_drop: MarginDrops,
    pub hot: HotSales,
    pub high_profit: HighProfits,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct LossOrderCounts {
    /// Loss orders of y, y−1, y−2, y−3.
    pub daily: [u64; 4],
    pub amount: Amount,
    pub channels: Counts,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HighDeliveries {
    /// High-delivery orders of y, y−1, y−2, y−3.
    pub daily: [u64; 4],
    pub extra: Amount,
    pub channels: Counts,
    pub distance: [u64; 4],
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct StockOuts {
    pub count: u64,
    /// Σ W7 gross profit, not yet divided by the number of days.
    pub gross_profit: Amount,
    pub channels: Counts,
    pub persistent: u64,
    pub new: u64,
    pub products: Vec<Listed<StockOutFacts>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct StockOutFacts {
    pub streak: u32,
    pub quantity: i64,
    pub gross_profit: Amount,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct BelowCost {
    pub count: u64,
    pub loss: Amount,
    pub severe: u64,
    pub products: Vec<Listed<BelowCostFacts>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct BelowCostFacts {
    pub lines: u64,
    pub loss: Amount,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct TrafficDrops {
    pub count: u64,
    pub channels: Counts,
    pub products: Vec<Listed<BeforeAfter>>,
}

/// Two values in tenths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain words")]
pub struct BeforeAfter {
    pub before: Amount,
    pub after: Amount,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct SlowStock {
    pub count: u64,
    pub stock_cost: Amount,
    pub products: Vec<Listed<SlowFacts>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct SlowFacts {
    pub stock: i64,
    pub stock_cost: Amount,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct FirstSales {
    pub count: u64,
    pub sales: Amount,
    pub profit: Amount,
    /// Category → profit and sales.
    pub categories: BTreeMap<String, (Amount, Amount)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct MarginDrops {
    pub count: u64,
    pub loss: Amount,
    /// Drops of more than 5, from 10, from 15 and from over 20 points.
    pub bands: [u64; 4],
    pub products: Vec<Listed<MarginFacts>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct MarginFacts {
    /// P7 and W7 rates in tenths of a percent.
    pub rates: BeforeAfter,
    pub loss: Amount,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HotSales {
    pub count: u64,
    pub quantity: i64,
    pub sales: Amount,
    pub profit: Amount,
    pub sustained: u64,
    pub products: Vec<Listed<HotFacts>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HotFacts {
    pub quantity: i64,
    /// In tenths of a percent.
    pub growth: Amount,
    pub streak: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HighProfits {
    pub count: u64,
    pub profit: Amount,
    pub products: Vec<Listed<HighProfitFacts>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HighProfitFacts {
    pub quantity: i64,
    pub profit: Amount,
    /// In tenths of a percent.
    pub rate: Amount,
}
