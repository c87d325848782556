//! Pages of raw order lines.

mod cursor;

use std::collections::HashMap;

pub use cursor::{Cursor, NotACursor};

use super::documents::OrderLine;
use crate::model::{ABSENT, ChannelFilter, Column, Line, Lines};

/// The first lines of one store and day (sorted) whose order has a channel that `filter` admits, behind `after`, at most
/// `most` of them, each with the cursor that names it.
#[must_use]
pub fn day_lines(
    lines: &Lines,
    filter: &ChannelFilter,
    after: Option<&Cursor>,
    most: usize,
) -> Vec<(Cursor, OrderLine)> {
    let mut channels: HashMap<&str, &str> = HashMap::new();
    for row in 0..lines.len() {
        let (order, channel) = (lines.text(Column::OrderId, row), lines.text(Column::Channel, row));
        let known = channels.entry(order).or_default();
        if !channel.is_empty() && (known.is_empty() || channel < *known) {
            *known = channel;
        }
    }
    let is_admitted = |row: &usize| {
        let channel = channels.get(lines.text(Column::OrderId, *row)).copied().unwrap_or_default();
        filter.admits(channel)
    };
    let first = after.map_or(0, |after| after.first_after(lines));
    let page = (first..lines.len()).filter(is_admitted).take(most);
    page.map(|row| (Cursor::of(lines, row), order_line(&lines.line(row)))).collect()
}

fn order_line(line: &Line) -> OrderLine {
    let text = |column: Column| line.text(column).to_owned();
    let known = |column: Column| Some(text(column)).filter(|text| !text.is_empty());
    let money = |column: Column| line.money(column).into();
    let distance = line.decimals[Column::DistanceM.slot()];
    OrderLine {
        order_id: text(Column::OrderId),
        store_id: text(Column::StoreId),
        store_name: known(Column::StoreName),
        city: known(Column::City),
        ordered_at: line.ordered_at.to_string(),
        channel: text(Column::Channel),
        store_code: known(Column::StoreCode),
        barcode: known(Column::Barcode),
        product_name: text(Column::ProductName),
        category1: text(Column::Category1),
        category3: text(Column::Category3),
        quantity: line.quantity,
        list_price: money(Column::ListPrice),
        shelf_price: money(Column::ShelfPrice),
        paid_price: money(Column::PaidPrice),
        cost: money(Column::Cost),
        gross_profit: money(Column::GrossProfit),
        platform_fee: money(Column::PlatformFee),
        rebate: money(Column::Rebate),
        expected_income: money(Column::ExpectedIncome),
        commission: money(Column::Commission),
        delivery_cost: money(Column::DeliveryCost),
        user_delivery_fee: money(Column::UserDeliveryFee),
        delivery_discount: money(Column::DeliveryDiscount),
        packaging_fee: money(Column::PackagingFee),
        full_reduction: money(Column::FullReduction),
        product_discount: money(Column::ProductDiscount),
        voucher: money(Column::Voucher),
        voucher_share: money(Column::VoucherShare),
        gift: money(Column::Gift),
        other_discount: money(Column::OtherDiscount),
        new_customer_discount: money(Column::NewCustomerDiscount),
        distance_m: (distance != ABSENT).then(|| money(Column::DistanceM)),
        stock: (line.stock != ABSENT).then_some(line.stock),
    }
}
