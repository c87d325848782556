//! The sums over orders that all metrics are made of.

use serde::{Deserialize, Serialize};

use crate::model::Amount;

/// Order sums of any set of orders; adding two gives the sums of both sets. Over valid orders unless stated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Valid orders.
    pub orders: u64,
    /// Orders that are not valid.
    pub filtered_orders: u64,
    /// Σ quantity.
    pub units: i64,
    /// Σ paid_price·quantity.
    pub sales: Amount,
    /// Σ profit(o).
    pub profit: Amount,
    /// List sales plus packaging and user delivery fees of orders with a listed line.
    pub gmv: Amount,
    /// Σ of the seven marketing fields over orders with a listed line.
    pub marketing_cost: Amount,
    /// Paid to the courier.
    pub delivery_cost: Amount,
    /// Delivery cost less what the user and the platform bear.
    pub net_delivery_cost: Amount,
    /// Platform fees.
    pub platform_fee: Amount,
    /// Rebates.
    pub rebate: Amount,
    /// Cost of lines outside the consumable categories.
    pub product_cost: Amount,
    /// Cost of lines inside the consumable categories.
    pub consumable_cost: Amount,
    /// Loss orders.
    pub loss_orders: u64,
    /// Σ −profit(o) of the loss orders.
    pub loss_amount: Amount,
    /// High-delivery orders.
    pub high_delivery_orders: u64,
    /// Σ (net_delivery(o) − threshold) of them.
    pub high_delivery_extra: Amount,
    /// High-delivery orders by distance: up to 3, 5, 8 km, beyond; unknown or 0 not counted.
    pub high_delivery_distance: [u64; 4],
}

impl std::ops::AddAssign<&Sums> for Sums {
    fn add_assign(&mut self, other: &Self) {
        self.orders += other.orders;
        self.filtered_orders += other.filtered_orders;
        self.units += other.units;
        self.sales += other.sales;
        self.profit += other.profit;
        self.gmv += other.gmv;
        self.marketing_cost += other.marketing_cost;
        self.delivery_cost += other.delivery_cost;
        self.net_delivery_cost += other.net_delivery_cost;
        self.platform_fee += other.platform_fee;
        self.rebate += other.rebate;
        self.product_cost += other.product_cost;
        self.consumable_cost += other.consumable_cost;
        self.loss_orders += other.loss_orders;
        self.loss_amount += other.loss_amount;
        self.high_delivery_orders += other.high_delivery_orders;
        self.high_delivery_extra += other.high_delivery_extra;
        for (mine, theirs) in self.high_delivery_distance.iter_mut().zip(other.high_delivery_distance) {
            *mine += theirs;
        }
    }
}
