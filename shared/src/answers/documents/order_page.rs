//! The shape of a page of order lines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::number::Decimal6;

/// `GET /v1/stores/{id}/orders`: one page of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderPage {
    /// By ordered_at, order_id, position.
    pub lines: Vec<OrderLine>,
    /// Where the next page starts; absent on the last one.
    pub next: Option<String>,
}

/// One order line as stored after reading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
