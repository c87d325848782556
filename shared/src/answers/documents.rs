//! The documents: the exact shape of every answer's `data`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::number::{Decimal, Decimal1, Decimal2, Decimal6};
use crate::metrics::Metrics;
use crate::metrics::ratio::percent;
use crate::model::{Amount, Day, money::div_half_even};

/// Declares a document part that carries all 21 metrics inline, between other fields.
macro_rules! with_metrics {
    ($(#[$doc:meta])* $name:ident { $($(#[$before_doc:meta])* $before:ident: $before_type:ty,)* }
     { $($(#[$after_doc:meta])* $after:ident: $after_type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "the 21 metrics are those of the domain page, by name")]
        pub struct $name {
            $($(#[$before_doc])* pub $before: $before_type,)*
            pub orders: u64,
            pub filtered_orders: u64,
            pub units: i64,
            pub sales: Decimal2,
            pub profit: Decimal2,
            pub average_order_value: Decimal2,
            pub profit_rate: Decimal2,
            pub gmv: Decimal2,
            pub marketing_cost: Decimal2,
            pub marketing_rate: Decimal2,
            pub delivery_cost: Decimal2,
            pub net_delivery_cost: Decimal2,
            pub platform_fee: Decimal2,
            pub rebate: Decimal2,
            pub product_cost: Decimal2,
            pub consumable_cost: Decimal2,
            pub active_products: u64,
            pub loss_orders: u64,
            pub loss_amount: Decimal2,
            pub high_delivery_orders: u64,
            pub high_delivery_extra: Decimal2,
            $($(#[$after_doc])* pub $after: $after_type,)*
        }

        impl $name {
            /// From exact sums; every division is made and rounded here, once.
            #[must_use]
            #[allow(clippy::too_many_arguments, reason = "one for each field beside the metrics")]
            pub fn new($($before: $before_type,)* metrics: &Metrics, $($after: $after_type,)*) -> Self {
                let sums = &metrics.sums;
                Self {
                    $($before,)*
                    orders: sums.orders,
                    filtered_orders: sums.filtered_orders,
                    units: sums.units,
                    sales: sums.sales.into(),
                    profit: sums.profit.into(),
                    average_order_value: average(sums.sales, sums.orders),
                    profit_rate: profit_rate(metrics),
                    gmv: sums.gmv.into(),
                    marketing_cost: sums.marketing_cost.into(),
                    marketing_rate: rate(sums.marketing_cost, sums.gmv),
                    delivery_cost: sums.delivery_cost.into(),
                    net_delivery_cost: sums.net_delivery_cost.into(),
                    platform_fee: sums.platform_fee.into(),
                    rebate: sums.rebate.into(),
                    product_cost: sums.product_cost.into(),
                    consumable_cost: sums.consumable_cost.into(),
                    active_products: metrics.active_products,
                    loss_orders: sums.loss_orders,
                    loss_amount: sums.loss_amount.into(),
                    high_delivery_orders: sums.high_delivery_orders,
                    high_delivery_extra: sums.high_delivery_extra.into(),
                    $($after,)*
                }
            }
        }
    };
}

/// `part / whole` in percent with 2 decimals; 0 if `whole` ≤ 0.
#[must_use]
pub fn rate(part: Amount, whole: Amount) -> Decimal2 {
    Decimal2::percent(part.0, whole.0)
}

/// profit / sales in percent as shown.
#[must_use]
pub fn profit_rate(metrics: &Metrics) -> Decimal2 {
    rate(metrics.sums.profit, metrics.sums.sales)
}

impl Decimal2 {
    /// `part / whole` in percent; 0 if `whole` ≤ 0.
    #[must_use]
    pub fn percent(part: i128, whole: i128) -> Self {
        Self(percent(part, whole, 2))
    }
}

fn average(sales: Amount, orders: u64) -> Decimal2 {
    if orders == 0 {
        Decimal2::default()
    } else {
        Decimal::<2>(div_half_even(sales.0, i128::from(orders) * 10_000))
    }
}

with_metrics! {
    /// All 21 metrics.
    MetricsDocument {} {}
}
with_metrics! {
    /// One bucket of a trend.
    TrendBucket {
        /// First day of the calendar bucket.
        start: Day,
    } {}
}
with_metrics! {
    /// One channel.
    ChannelRow {
        /// Order channel, `""` for orders without one.
        channel: String,
    } {
        /// Percent of all orders.
        order_share: Decimal2,
        /// Percent of all sales.
        sales_share: Decimal2,
    }
}
with_metrics! {
    /// One store of the store table.
    StoreRow {
        /// Store.
        store_id: String,
        /// Its name.
        name: String,
    } {
        /// Against the previous window.
        change: Change,
        /// 1 = most sales.
        rank_sales: u64,
        /// 1 = most profit.
        rank_profit: u64,
        /// 1 = best profit rate as shown.
        rank_profit_rate: u64,
        /// What is out of the ordinary.
        anomalies: Vec<Anomaly>,
    }
}

/// `GET /v1/stores`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreList {
    /// By id.
    pub stores: Vec<StoreEntry>,
}

/// One store of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreEntry {
    /// Identity.
    pub store_id: String,
    /// Display name.
    pub name: String,
    /// City, if known.
    pub city: Option<String>,
    /// First day with lines.
    pub first_day: Day,
    /// Last day with lines.
    pub last_day: Day,
    /// Accepted lines.
    pub lines: u64,
}

/// Change of the main metrics: percent from exact values, of the rate in points of the rates shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the metrics")]
pub struct Change {
    pub orders: Decimal2,
    pub sales: Decimal2,
    pub profit: Decimal2,
    pub average_order_value: Decimal2,
    pub profit_rate: Decimal2,
    pub gmv: Decimal2,
    pub marketing_cost: Decimal2,
}

/// `GET /v1/metrics/overview`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// The range.
    pub current: MetricsDocument,
    /// The window of the same length before it.
    pub previous: MetricsDocument,
    /// From previous to current.
    pub change: Change,
    /// First day of the previous window.
    pub previous_from: Option<Day>,
    /// Last day of the previous window.
    pub previous_to: Option<Day>,
}

/// `GET /v1/metrics/trend`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trend {
    /// Every bucket that meets the range, ascending.
    pub buckets: Vec<TrendBucket>,
}

/// `GET /v1/metrics/channels`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channels {
    /// By orders descending, then name.
    pub channels: Vec<ChannelRow>,
}

/// `GET /v1/metrics/stores`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreTable {
    /// In the order asked for.
    pub stores: Vec<StoreRow>,
    /// All stores together.
    pub summary: MetricsDocument,
}

/// Something out of the ordinary about a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Which metric.
    pub metric: AnomalyMetric,
    /// Its value as shown.
    pub value: Decimal2,
    /// The limit it passed.
    pub limit: Decimal2,
    /// How grave.
    pub severity: Severity,
}

/// Metrics that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "named as the metrics")]
pub enum AnomalyMetric {
    ProfitRate,
    Orders,
    MarketingRate,
    NetDeliveryRate,
}

/// How grave an anomaly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "plain words")]
pub enum Severity {
    High,
    Medium,
}

/// `GET /v1/metrics/products`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Products {
    /// In the order asked for, cut at the limit.
    pub products: Vec<ProductEntry>,
}

/// One product of one store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductEntry {
    /// Store.
    pub store_id: String,
    /// Product key within the store.
    pub key: String,
    /// Display name.
    pub name: String,
    /// First category, `""` if none.
    pub category1: String,
    /// Σ quantity.
    pub units: i64,
    /// Σ paid_price·quantity.
    pub sales: Decimal2,
    /// Σ gross profit.
    pub profit: Decimal2,
    /// profit / sales in percent.
    pub profit_rate: Decimal2,
    /// Stock after the latest line, if known.
    pub stock: Option<i64>,
}

/// `GET /v1/diagnosis`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the rules of the diagnosis")]
pub struct Urgent {
    pub loss_orders: LossOrders,
    pub high_delivery: HighDelivery,
    pub stock_out: StockOut,
    pub price_below_cost: PriceBelowCost,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the rules of the diagnosis")]
pub struct Watch {
    pub traffic_drop: TrafficDrop,
    pub slow_3: SlowMovers,
    pub slow_7: SlowMovers,
    pub slow_15: SlowMovers,
    pub first_sale: FirstSale,
    pub margin_drop: MarginDrop,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the rules of the diagnosis")]
pub struct Highlights {
    pub hot_products: HotProducts,
    pub high_profit: HighProfit,
}

/// Which way a daily count goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain words")]
pub struct DailyTrend {
    pub direction: Direction,
    pub average_3d: Decimal1,
    pub change_percent: Option<Decimal1>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct LossOrders {
    pub count: u64,
    pub amount: Decimal2,
    pub channels: ChannelCounts,
    pub trend: DailyTrend,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HighDelivery {
    pub count: u64,
    pub extra: Decimal2,
    pub channels: ChannelCounts,
    pub distance: Distance,
    pub trend: DailyTrend,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct StockOut {
    pub count: u64,
    pub loss: Decimal2,
    pub channels: ChannelCounts,
    pub persistent: u64,
    pub new: u64,
    pub products: Vec<StockOutProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct StockOutProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub streak: u32,
    pub quantity: i64,
    pub loss: Decimal2,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct PriceBelowCost {
    pub count: u64,
    pub loss: Decimal2,
    pub severe: u64,
    pub mild: u64,
    pub products: Vec<BelowCostProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct BelowCostProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub lines: u64,
    pub loss: Decimal2,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct TrafficDrop {
    pub count: u64,
    pub channels: ChannelCounts,
    pub products: Vec<TrafficProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct TrafficProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub before: Decimal1,
    pub after: Decimal1,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct SlowMovers {
    pub count: u64,
    pub stock_cost: Decimal2,
    pub products: Vec<SlowProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct SlowProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub stock: i64,
    pub stock_cost: Decimal2,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct FirstSale {
    pub count: u64,
    pub sales: Decimal2,
    pub profit: Decimal2,
    pub top_category: Option<TopCategory>,
    pub top_rate_category: Option<TopRateCategory>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct TopCategory {
    pub category: String,
    pub amount: Decimal2,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct TopRateCategory {
    pub category: String,
    pub rate: Decimal1,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct MarginDrop {
    pub count: u64,
    pub loss: Decimal2,
    pub bands: Bands,
    pub products: Vec<MarginProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct Bands {
    pub drop_5: u64,
    pub drop_10: u64,
    pub drop_15: u64,
    pub drop_20: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct MarginProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub before: Decimal1,
    pub after: Decimal1,
    pub loss: Decimal2,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HotProducts {
    pub count: u64,
    pub quantity: i64,
    pub sales: Decimal2,
    pub profit: Decimal2,
    pub sustained: u64,
    pub products: Vec<HotProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HotProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub quantity: i64,
    pub growth: Decimal1,
    pub streak: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HighProfit {
    pub count: u64,
    pub profit: Decimal2,
    pub products: Vec<HighProfitProduct>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the rule")]
pub struct HighProfitProduct {
    pub store_id: String,
    pub key: String,
    pub name: String,
    pub quantity: i64,
    pub profit: Decimal2,
    pub rate: Decimal1,
}

/// `GET /v1/stores/{id}/orders`: one page of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPage {
    /// By ordered_at, order_id, position.
    pub lines: Vec<OrderLine>,
    /// Where the next page starts; absent on the last one.
    pub next: Option<String>,
}

/// One order line as stored after reading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the columns")]
pub struct OrderLine {
    pub order_id: String,
    pub store_id: String,
    pub store_name: Option<String>,
    pub city: Option<String>,
    pub ordered_at: String,
    pub channel: String,
    pub store_code: Option<String>,
    pub barcode: Option<String>,
    pub product_name: String,
    pub category1: String,
    pub category3: String,
    pub quantity: i32,
    pub list_price: Decimal6,
    pub shelf_price: Decimal6,
    pub paid_price: Decimal6,
    pub cost: Decimal6,
    pub gross_profit: Decimal6,
    pub platform_fee: Decimal6,
    pub rebate: Decimal6,
    pub expected_income: Decimal6,
    pub commission: Decimal6,
    pub delivery_cost: Decimal6,
    pub user_delivery_fee: Decimal6,
    pub delivery_discount: Decimal6,
    pub packaging_fee: Decimal6,
    pub full_reduction: Decimal6,
    pub product_discount: Decimal6,
    pub voucher: Decimal6,
    pub voucher_share: Decimal6,
    pub gift: Decimal6,
    pub other_discount: Decimal6,
    pub new_customer_discount: Decimal6,
    pub distance_m: Option<Decimal6>,
    pub stock: Option<i64>,
}
