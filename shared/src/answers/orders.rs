//! Pages of raw order lines.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::documents::OrderLine;
use crate::model::{ABSENT, ChannelFilter, Column, Day, Line, Lines, LocalTime};

/// Where a page ends: the place of its last line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    ordered_at: i64,
    order_id: String,
    position: u32,
}

/// A text that is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor; use the value of `next` of the page before")]
pub struct NotACursor;

impl Cursor {
    /// The day of the line.
    #[must_use]
    pub fn day(&self) -> Day {
        LocalTime(self.ordered_at).day()
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}",
            self.ordered_at,
            self.position,
            utf8_percent_encode(&self.order_id, NON_ALPHANUMERIC)
        )
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;
    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(NotACursor);
        let ordered_at = part()?.parse().map_err(|_| NotACursor)?;
        let position = part()?.parse().map_err(|_| NotACursor)?;
        let order_id = percent_decode_str(part()?).decode_utf8().map_err(|_| NotACursor)?.into_owned();
        if !(Day::MIN..=Day::MAX).contains(&LocalTime(ordered_at).day()) {
            return Err(NotACursor);
        }
        Ok(Self { ordered_at, order_id, position })
    }
}

/// The lines of one store and day (sorted) whose order has a channel that `filter` admits, behind `after`, each with
/// the cursor that names it.
#[must_use]
pub fn day_lines(lines: &Lines, filter: &ChannelFilter, after: Option<&Cursor>) -> Vec<(Cursor, OrderLine)> {
    let mut channels: HashMap<&str, &str> = HashMap::new();
    for row in 0..lines.len() {
        let (order, channel) = (lines.text(Column::OrderId, row), lines.text(Column::Channel, row));
        let known = channels.entry(order).or_default();
        if !channel.is_empty() && (known.is_empty() || channel < *known) {
            *known = channel;
        }
    }
    let mut positions: HashMap<&str, u32> = HashMap::new();
    let mut page = Vec::new();
    for row in 0..lines.len() {
        let order_id = lines.text(Column::OrderId, row);
        let next = positions.entry(order_id).or_default();
        let position = *next;
        *next += 1;
        let channel = channels.get(order_id).copied().unwrap_or_default();
        let cursor = Cursor { ordered_at: lines.ordered_at[row], order_id: order_id.to_owned(), position };
        if filter.admits(channel) && after.is_none_or(|after| cursor > *after) {
            page.push((cursor, order_line(&lines.line(row))));
        }
    }
    page
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursors_survive(ordered_at in 0i64..7_000_000_000_000_000, order_id in "\\PC{0,8}", position in any::<u32>()) {
            let cursor = Cursor { ordered_at, order_id, position };
            prop_assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }

        #[test]
        fn garbage_is_no_cursor(text in "\\PC{0,20}") {
            let _ = text.parse::<Cursor>();
        }
    }
}
