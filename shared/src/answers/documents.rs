//! The documents: the exact shape of every answer's `data`.

mod order_page;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::Metrics;
use crate::metrics::ratio::percent;
use crate::model::number::{Decimal, Decimal2};
use crate::model::{Amount, Day, money::div_half_even};

pub use crate::diagnosis::document::*;
pub use order_page::*;

/// Declares a document part that carries all 21 metrics inline, between other fields.
macro_rules! with_metrics {
    ($(#[$doc:meta])* $name:ident { $($(#[$before_doc:meta])* $before:ident: $before_type:ty,)* }
     { $($(#[$after_doc:meta])* $after:ident: $after_type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoreList {
    /// By id.
    pub stores: Vec<StoreEntry>,
}

/// One store of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trend {
    /// Every bucket that meets the range, ascending.
    pub buckets: Vec<TrendBucket>,
}

/// `GET /v1/metrics/channels`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Channels {
    /// By orders descending, then name.
    pub channels: Vec<ChannelRow>,
}

/// `GET /v1/metrics/stores`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoreTable {
    /// In the order asked for.
    pub stores: Vec<StoreRow>,
    /// All stores together.
    pub summary: MetricsDocument,
}

/// Something out of the ordinary about a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "named as the metrics")]
pub enum AnomalyMetric {
    ProfitRate,
    Orders,
    MarketingRate,
    NetDeliveryRate,
}

/// How grave an anomaly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "plain words")]
pub enum Severity {
    High,
    Medium,
}

/// `GET /v1/metrics/products`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Products {
    /// In the order asked for, cut at the limit.
    pub products: Vec<ProductEntry>,
}

/// One product of one store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
