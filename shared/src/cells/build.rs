//! From the lines of one store and day to its cells: the rules for orders and for merchandise lines.

use std::ops::Range;

use super::StoreDay;
use super::day::{ActiveProducts, DayCell};
use super::index::TextIndex;
use super::product::{ProductCell, ProductRow};
use super::sums::Sums;
use crate::model::{ABSENT, Amount, Column, LinesView, Money, Rules, TextColumn};

/// The order fields, which count once per order as the maximum over its lines; the last seven are the marketing
/// fields.
const ORDER_FIELDS: [Column; 11] = [
    Column::DeliveryCost,
    Column::UserDeliveryFee,
    Column::DeliveryDiscount,
    Column::PackagingFee,
    Column::FullReduction,
    Column::ProductDiscount,
    Column::Voucher,
    Column::VoucherShare,
    Column::Gift,
    Column::OtherDiscount,
    Column::NewCustomerDiscount,
];

/// Ends a chain of rows.
const NONE: u32 = u32::MAX;

/// Room for one store-day, reused for the next.
#[derive(Default)]
pub(super) struct Scratch<'a> {
    order_ids: TextIndex<'a>,
    orders: Vec<Order<'a>>,
    order_of_line: Vec<u32>,
    channels: TextIndex<'a>,
    products: TextIndex<'a>,
    first_row: Vec<u32>,
    rows: Vec<Row<'a>>,
}

/// What is known of one order while its lines are read.
struct Order<'a> {
    channel: &'a [u8],
    channel_number: u32,
    listed: bool,
    units: i64,
    sales: i128,
    gross_profit: i128,
    platform_fee: i128,
    rebate: i128,
    list_sales: i128,
    product_cost: i128,
    consumable_cost: i128,
    fields: [i64; ORDER_FIELDS.len()],
    distance: i64,
}

/// A product row under construction; rows of one product are chained by `next`.
struct Row<'a> {
    sums: ProductRow,
    next: u32,
    name: &'a [u8],
    category: &'a [u8],
}

/// The cells of the lines at `rows`, which are all lines of one store and day.
#[must_use]
pub fn build_store_day(lines: &LinesView<'_>, rows: &[Range<u32>], rules: &Rules) -> StoreDay {
    build_with(lines, rows, rules, &mut Scratch::default())
}

pub(super) fn build_with<'a>(
    lines: &LinesView<'a>,
    rows: &[Range<u32>],
    rules: &Rules,
    scratch: &mut Scratch<'a>,
) -> StoreDay {
    read_orders(lines, rows, rules, scratch);
    let (channel_ranks, mut day) = sum_orders(rules, scratch);
    read_products(lines, rows, rules, scratch);
    let products = product_cell(scratch, &channel_ranks, &day);
    day.active = active_products(&products, &day);
    StoreDay { day, products }
}

fn read_orders<'a>(lines: &LinesView<'a>, rows: &[Range<u32>], rules: &Rules, scratch: &mut Scratch<'a>) {
    scratch.order_ids.clear();
    scratch.orders.clear();
    scratch.order_of_line.clear();
    let decimals = |column: Column| lines.decimals[column.slot()];
    let (list, paid) = (decimals(Column::ListPrice), decimals(Column::PaidPrice));
    let (cost, profit) = (decimals(Column::Cost), decimals(Column::GrossProfit));
    let (fee, rebate) = (decimals(Column::PlatformFee), decimals(Column::Rebate));
    let distance = decimals(Column::DistanceM);
    let fields = ORDER_FIELDS.map(decimals);
    for row in rows.iter().cloned().flatten().map(|row| row as usize) {
        let (number, new) = scratch.order_ids.number(lines.text(Column::OrderId, row));
        if new {
            scratch.orders.push(Order {
                channel: b"",
                channel_number: 0,
                listed: false,
                units: 0,
                sales: 0,
                gross_profit: 0,
                platform_fee: 0,
                rebate: 0,
                list_sales: 0,
                product_cost: 0,
                consumable_cost: 0,
                fields: fields.map(|values| values[row]),
                distance: ABSENT,
            });
        }
        scratch.order_of_line.push(number);
        let order = &mut scratch.orders[number as usize];
        let channel = lines.text(Column::Channel, row);
        if !channel.is_empty() && (order.channel.is_empty() || channel < order.channel) {
            order.channel = channel;
        }
        let quantity = lines.quantity[row];
        let times = |price: i64| i128::from(price) * i128::from(quantity);
        order.units += i64::from(quantity);
        order.sales += times(paid[row]);
        order.gross_profit += i128::from(profit[row]);
        order.platform_fee += i128::from(fee[row]);
        order.rebate += i128::from(rebate[row]);
        if list[row] > 0 {
            order.listed = true;
            order.list_sales += times(list[row]);
        }
        if is_consumable(rules, lines.text(Column::Category1, row)) {
            order.consumable_cost += i128::from(cost[row]);
        } else {
            order.product_cost += i128::from(cost[row]);
        }
        for (most, values) in order.fields.iter_mut().zip(&fields) {
            *most = (*most).max(values[row]);
        }
        order.distance = order.distance.max(distance[row]);
    }
}

/// Sums the orders by channel, and gives the rank by name of each channel's number.
fn sum_orders(rules: &Rules, scratch: &mut Scratch<'_>) -> (Vec<u32>, DayCell) {
    scratch.channels.clear();
    let mut sums: Vec<Sums> = Vec::new();
    let mut charges: Vec<bool> = Vec::new();
    for order in &mut scratch.orders {
        let (number, new) = scratch.channels.number(order.channel);
        if new {
            sums.push(Sums::default());
            charges.push(rules.fee_channels.iter().any(|name| name.as_bytes() == order.channel));
        }
        order.channel_number = number;
        add_order(&mut sums[number as usize], order, charges[number as usize], rules);
    }
    let names = scratch.channels.texts();
    let mut by_name: Vec<u32> = (0..).take(names.len()).collect();
    by_name.sort_unstable_by_key(|number| names[*number as usize]);
    let mut ranks = vec![0; names.len()];
    let mut channels = Vec::with_capacity(names.len());
    for (rank, number) in (0u32..).zip(&by_name) {
        ranks[*number as usize] = rank;
        channels
            .push((text(names[*number as usize]).to_owned(), std::mem::take(&mut sums[*number as usize])));
    }
    let day =
        DayCell { lines: scratch.order_of_line.len() as u64, channels, active: ActiveProducts::default() };
    (ranks, day)
}

fn add_order(sums: &mut Sums, order: &Order<'_>, charges_fee: bool, rules: &Rules) {
    if charges_fee && order.platform_fee <= 0 {
        sums.filtered_orders += 1;
        return;
    }
    let [delivery, user_delivery, delivery_discount, packaging, marketing @ ..] =
        order.fields.map(i128::from);
    let profit = order.gross_profit - order.platform_fee - delivery + order.rebate;
    let net_delivery = delivery - (user_delivery - delivery_discount) - order.rebate;
    sums.orders += 1;
    sums.units += order.units;
    sums.sales += Amount(order.sales);
    sums.profit += Amount(profit);
    if order.listed {
        sums.gmv += Amount(order.list_sales + packaging + user_delivery);
        sums.marketing_cost += Amount(marketing.into_iter().sum());
    }
    sums.delivery_cost += Amount(delivery);
    sums.net_delivery_cost += Amount(net_delivery);
    sums.platform_fee += Amount(order.platform_fee);
    sums.rebate += Amount(order.rebate);
    sums.product_cost += Amount(order.product_cost);
    sums.consumable_cost += Amount(order.consumable_cost);
    if profit < 0 && order.gross_profit != 0 {
        sums.loss_orders += 1;
        sums.loss_amount += Amount(-profit);
    }
    let threshold = i128::from(rules.high_delivery.0);
    if net_delivery > threshold {
        sums.high_delivery_orders += 1;
        sums.high_delivery_extra += Amount(net_delivery - threshold);
        if let Some(band) = distance_band(order.distance) {
            sums.high_delivery_distance[band] += 1;
        }
    }
}

/// 0–3, 3–5, 5–8, 8+ km, right-closed; unknown or 0 is not counted.
fn distance_band(micro_metres: i64) -> Option<usize> {
    const KM: i64 = 1_000_000_000;
    match micro_metres {
        i64::MIN..=0 => None,
        d if d <= 3 * KM => Some(0),
        d if d <= 5 * KM => Some(1),
        d if d <= 8 * KM => Some(2),
        _ => Some(3),
    }
}

fn is_consumable(rules: &Rules, category: &[u8]) -> bool {
    rules.consumable_categories.iter().any(|name| name.as_bytes() == category)
}

fn read_products<'a>(lines: &LinesView<'a>, rows: &[Range<u32>], rules: &Rules, scratch: &mut Scratch<'a>) {
    scratch.products.clear();
    scratch.first_row.clear();
    scratch.rows.clear();
    let decimals = |column: Column| lines.decimals[column.slot()];
    let (paid, cost) = (decimals(Column::PaidPrice), decimals(Column::Cost));
    let profit = decimals(Column::GrossProfit);
    for (at, row) in rows.iter().cloned().flatten().map(|row| row as usize).enumerate() {
        let category = lines.text(Column::Category1, row);
        let is_notice = category.is_empty() && cost[row] == 0 && Money(paid[row]) <= rules.notice_price;
        if is_notice || is_consumable(rules, category) {
            continue;
        }
        let (product, new) = scratch.products.number(lines.product_key(row));
        if new {
            scratch.first_row.push(NONE);
        }
        let channel = scratch.orders[scratch.order_of_line[at] as usize].channel_number;
        let number = find_or_add_row(scratch, product, channel);
        let name = lines.text(Column::ProductName, row);
        let target = &mut scratch.rows[number];
        let sums = &mut target.sums;
        let time = lines.ordered_at[row];
        if time > sums.latest {
            (sums.latest, sums.stock) = (time, lines.stock[row]);
            (target.name, target.category) = (name, category);
        } else if time == sums.latest {
            sums.stock = smallest_known(sums.stock, lines.stock[row]);
            (target.name, target.category) = (target.name, target.category).min((name, category));
        }
        let quantity = lines.quantity[row];
        let sales = i128::from(paid[row]) * i128::from(quantity);
        let line_cost = i128::from(cost[row]);
        sums.active |= quantity > 0;
        sums.quantity += i64::from(quantity);
        sums.sales += Amount(sales);
        sums.gross_profit += Amount(i128::from(profit[row]));
        sums.cost += Amount(line_cost);
        if quantity > 0 && paid[row] > 0 && line_cost > 0 && sales < line_cost {
            sums.below_cost += 1;
            sums.severe += u32::from(5 * sales < 4 * line_cost);
            sums.below_cost_loss += Amount(line_cost - sales);
        }
    }
}

fn find_or_add_row(scratch: &mut Scratch<'_>, product: u32, channel: u32) -> usize {
    let first = &mut scratch.first_row[product as usize];
    let mut at = *first;
    while at != NONE {
        let row = &scratch.rows[at as usize];
        if row.sums.channel == channel {
            return at as usize;
        }
        at = row.next;
    }
    let number = scratch.rows.len();
    scratch.rows.push(Row {
        sums: ProductRow { channel, latest: i64::MIN, stock: ABSENT, ..ProductRow::default() },
        next: std::mem::replace(first, u32::try_from(number).unwrap_or(NONE)),
        name: b"",
        category: b"",
    });
    number
}

/// The smaller of two stocks, of which [`ABSENT`] ones do not count.
pub(crate) fn smallest_known(a: i64, b: i64) -> i64 {
    match (a, b) {
        (ABSENT, known) | (known, ABSENT) => known,
        (a, b) => a.min(b),
    }
}

/// Puts the rows in canonical order and their texts into columns.
fn product_cell(scratch: &mut Scratch<'_>, channel_ranks: &[u32], day: &DayCell) -> ProductCell {
    let keys = scratch.products.texts();
    let mut by_key: Vec<u32> = (0..).take(keys.len()).collect();
    by_key.sort_unstable_by(|a, b| keys[*a as usize].cmp(keys[*b as usize]));
    let mut categories = TextIndex::default();
    for row in &scratch.rows {
        categories.number(row.category);
    }
    let mut categories = categories.texts().to_vec();
    categories.sort_unstable();
    let mut cell = ProductCell {
        lines: day.lines,
        keys: by_key.iter().map(|key| text(keys[*key as usize])).collect(),
        channels: day.channels.iter().map(|(name, _)| name.as_str()).collect(),
        names: TextColumn::default(),
        categories: categories.iter().map(|category| text(category)).collect(),
        rows: Vec::with_capacity(scratch.rows.len()),
    };
    let mut of_product: Vec<u32> = Vec::new();
    for (key, product) in (0u32..).zip(&by_key) {
        of_product.clear();
        let mut at = scratch.first_row[*product as usize];
        while at != NONE {
            of_product.push(at);
            at = scratch.rows[at as usize].next;
        }
        let rank = |at: &u32| channel_ranks[scratch.rows[*at as usize].sums.channel as usize];
        of_product.sort_unstable_by_key(rank);
        let mut previous_name = None;
        for at in &of_product {
            let row = &scratch.rows[*at as usize];
            if previous_name != Some(row.name) {
                cell.names.push(text(row.name));
                previous_name = Some(row.name);
            }
            let category = categories.partition_point(|category| *category < row.category);
            cell.rows.push(ProductRow {
                key,
                channel: rank(at),
                name: u32::try_from(cell.names.len() - 1).unwrap_or(NONE),
                category: u32::try_from(category).unwrap_or(NONE),
                ..row.sums
            });
        }
    }
    cell
}

fn active_products(products: &ProductCell, day: &DayCell) -> ActiveProducts {
    let mut active =
        ActiveProducts { keys: TextColumn::default(), by_channel: vec![Vec::new(); day.channels.len()] };
    for rows in products.products() {
        if !rows.iter().any(|row| row.active) {
            continue;
        }
        let number = u32::try_from(active.keys.len()).unwrap_or(NONE);
        active.keys.push(products.keys.get(rows[0].key as usize));
        for row in rows.iter().filter(|row| row.active) {
            active.by_channel[row.channel as usize].push(number);
        }
    }
    active
}

/// Columns hold UTF-8 by construction.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
