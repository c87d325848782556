//! The shape of the generated data: shares, quantiles and weights, as measured over the order exports of real
//! multi-store retailers (instant delivery through several platforms, a cash desk beside them).

use super::random::Random;

/// Median of lines per store and day.
pub(super) const LINES_PER_DAY: f64 = 1_036.0;
/// Deviation (of the logarithm) of a store's size around the median.
pub(super) const STORE_SIGMA: f64 = 0.28;
/// Deviation of a day around the store's size.
pub(super) const DAY_SIGMA: f64 = 0.16;
/// Saturdays and Sundays sell this much more than the other days.
pub(super) const WEEKEND: f64 = 1.15;

/// Small stores and weak days lie further from the median than large and strong ones.
pub(super) fn skewed(random: &mut Random, sigma: f64) -> f64 {
    let z = random.normal();
    (z * sigma * if z < 0.0 { 1.1 } else { 0.9 }).exp()
}

/// Weights of the hours of a day.
pub(super) const HOURS: [f64; 24] = [
    3.3, 2.3, 1.6, 1.2, 1.0, 1.0, 1.3, 1.9, 2.6, 3.4, 4.2, 4.9, 4.7, 4.4, 4.4, 4.9, 5.5, 6.7, 7.6, 8.0, 7.9,
    7.1, 5.8, 4.4,
];

/// Weights of the number of lines of an order.
pub(super) const LINES_PER_ORDER: [(usize, f64); 17] = [
    (1, 6.0),
    (2, 14.0),
    (3, 22.0),
    (4, 19.0),
    (5, 13.0),
    (6, 9.1),
    (7, 5.7),
    (8, 3.6),
    (9, 2.3),
    (10, 1.6),
    (11, 1.1),
    (12, 0.7),
    (13, 0.5),
    (14, 0.35),
    (15, 0.3),
    (17, 0.5),
    (21, 0.25),
];

/// What a customer means to spend, by quantile: merchandise is chosen to come near it.
pub(super) const ORDER_SALES: [(f64, f64); 8] = [
    (0.0, 1.0),
    (0.05, 4.6),
    (0.24, 17.0),
    (0.49, 22.0),
    (0.74, 31.0),
    (0.95, 61.0),
    (0.99, 115.0),
    (1.0, 260.0),
];

/// Weights of the quantity of a merchandise line of an order that is not voided.
pub(super) const QUANTITY: [(i32, f64); 12] = [
    (1, 85.4),
    (2, 10.5),
    (3, 2.5),
    (4, 1.0),
    (5, 0.7),
    (6, 0.5),
    (8, 0.2),
    (10, 0.3),
    (12, 0.1),
    (20, 0.06),
    (24, 0.03),
    (50, 0.01),
];

/// Share of orders that were voided: all their quantities are 0 and no fee is charged.
pub(super) const VOIDED: f64 = 0.03;
/// Share of the other orders for which the platform has not charged its fee.
pub(super) const NO_FEE: f64 = 0.012;

/// Name of the cash desk's channel, which neither delivers nor pays a fee.
pub(super) const CASH_DESK: &str = "收银机订单";

/// Channels with their weight and the platform's fee in percent of sales.
pub(super) const CHANNELS: [((&str, f64), f64); 9] = [
    (("饿了么", 6.2), 43.0),
    (("美团共橙", 5.8), 26.0),
    (("美团闪购", 6.5), 22.0),
    (("京东到家", 7.0), 3.0),
    (("京东秒送", 6.0), 0.6),
    (("抖音", 3.0), 0.6),
    ((CASH_DESK, 0.0), 3.2),
    (("闪购小程序", 0.0), 1.1),
    (("", 0.0), 0.5),
];

/// Merchandise lines whose stock is 0 after the sale.
pub(super) const STOCK_OUT: f64 = 0.205;
/// How long a shortage lasts: the share of products still without stock on the next day beyond the usual share.
pub(super) const STOCK_OUT_STAYS: f64 = 0.7;

/// Products in a catalogue of a store of median size.
pub(super) const PRODUCTS: f64 = 3_200.0;
/// Popularity of the product of rank r is 1 / (r + this).
pub(super) const POPULARITY_OFFSET: f64 = 14.0;
