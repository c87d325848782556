//! The shape of the diagnosis: what is urgent, what to watch, what goes well.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Day;
use crate::model::number::{Decimal1, Decimal2};

/// `GET /v1/diagnosis`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// The day under diagnosis.
    pub as_of: Option<Day>,
    /// To be done today.
    pub urgent: Urgent,
    /// To be kept an eye on.
    pub watch: Watch,
    /// What goes well.
    pub highlights: Highlights,
    /// Any urgent count > 0.
    pub has_urgent: bool,
    /// Any watch count > 0.
    pub has_watch: bool,
    /// Any highlight count > 0.
    pub has_highlights: bool,
}

/// Counts by channel, ascending by name.
pub type ChannelCounts = BTreeMap<String, u64>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as the rules of the diagnosis")]
pub struct Urgent {
    pub loss_orders: LossOrders,
    pub high_delivery: HighDelivery,
    pub stock_out: StockOut,
    pub price_below_cost: PriceBelowCost,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as the rules of the diagnosis")]
pub struct Watch {
    pub traffic_drop: TrafficDrop,
    pub slow_3: SlowMovers,
    pub slow_7: SlowMovers,
    pub slow_15: SlowMovers,
    pub first_sale: FirstSale,
    pub margin_drop: MarginDrop,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as the rules of the diagnosis")]
pub struct Highlights {
    pub hot_products: HotProducts,
    pub high_profit: HighProfit,
}

/// Which way a daily count goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "plain words")]
pub enum Direction {
    Worse,
    Better,
    #[default]
    Flat,
    New,
}

/// Today against the mean of the three days before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "plain words")]
pub struct DailyTrend {
    pub direction: Direction,
    pub average_3d: Decimal1,
    pub change_percent: Option<Decimal1>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct LossOrders {
    pub count: u64,
    pub amount: Decimal2,
    pub channels: ChannelCounts,
    pub trend: DailyTrend,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HighDelivery {
    pub count: u64,
    pub extra: Decimal2,
    pub channels: ChannelCounts,
    pub distance: Distance,
    pub trend: DailyTrend,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct Distance {
    #[serde(rename = "0-3km")]
    pub to_3_km: u64,
    #[serde(rename = "3-5km")]
    pub to_5_km: u64,
    #[serde(rename = "5-8km")]
    pub to_8_km: u64,
    #[serde(rename = "8km+")]
    pub beyond: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct StockOut {
    pub count: u64,
    pub loss: Decimal2,
    pub channels: ChannelCounts,
    pub persistent: u64,
    pub new: u64,
    pub products: Vec<StockOutProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct StockOutProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub streak: u32,
    pub quantity: i64,
    pub loss: Decimal2,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct PriceBelowCost {
    pub count: u64,
    pub loss: Decimal2,
    pub severe: u64,
    pub mild: u64,
    pub products: Vec<BelowCostProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct BelowCostProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub lines: u64,
    pub loss: Decimal2,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct TrafficDrop {
    pub count: u64,
    pub channels: ChannelCounts,
    pub products: Vec<TrafficProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct TrafficProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub before: Decimal1,
    pub after: Decimal1,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct SlowMovers {
    pub count: u64,
    pub stock_cost: Decimal2,
    pub products: Vec<SlowProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct SlowProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub stock: i64,
    pub stock_cost: Decimal2,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct FirstSale {
    pub count: u64,
    pub sales: Decimal2,
    pub profit: Decimal2,
    pub top_category: Option<TopCategory>,
    pub top_rate_category: Option<TopRateCategory>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct TopCategory {
    pub category: String,
    pub amount: Decimal2,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct TopRateCategory {
    pub category: String,
    pub rate: Decimal1,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct MarginDrop {
    pub count: u64,
    pub loss: Decimal2,
    pub bands: Bands,
    pub products: Vec<MarginProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct Bands {
    pub drop_5: u64,
    pub drop_10: u64,
    pub drop_15: u64,
    pub drop_20: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct MarginProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub before: Decimal1,
    pub after: Decimal1,
    pub loss: Decimal2,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HotProducts {
    pub count: u64,
    pub quantity: i64,
    pub sales: Decimal2,
    pub profit: Decimal2,
    pub sustained: u64,
    pub products: Vec<HotProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HotProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub quantity: i64,
    pub growth: Decimal1,
    pub streak: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HighProfit {
    pub count: u64,
    pub profit: Decimal2,
    pub products: Vec<HighProfitProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HighProfitProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub quantity: i64,
    pub profit: Decimal2,
    pub rate: Decimal1,
}
