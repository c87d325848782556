//! One day of one store: orders through the day, each with its lines next to each other.

use shared::model::{ABSENT, Column, Day, Lines, LocalTime};

use super::StoreProfile;
use super::catalogue::{CENT, Catalogue};
use super::names::{CONSUMABLES, NOTICES};
use super::random::Random;
use super::shape;

/// Baskets tried before the one nearest to what the customer means to spend is taken.
const BASKETS: usize = 9;

/// The columns of an order that are repeated on each of its lines.
const ORDER_MONEY: [Column; 12] = [
    Column::Commission,
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

/// Where the marketing fields begin in [`ORDER_MONEY`].
const MARKETING_FROM: usize = 5;

#[derive(Default)]
struct Order {
    id: String,
    time: i64,
    channel: &'static str,
    fee_rate: f64,
    voided: bool,
    money: [i64; ORDER_MONEY.len()],
    distance: i64,
}

impl Order {
    fn set(&mut self, column: Column, value: i64) {
        if let Some(at) = ORDER_MONEY.iter().position(|c| *c == column) {
            self.money[at] = value;
        }
    }
}

/// One line before the order's columns are added; money in micro-units, `cost` of the whole line.
struct Item<'a> {
    store_code: &'a str,
    barcode: &'a str,
    name: &'a str,
    category1: &'static str,
    category3: &'static str,
    quantity: i32,
    list: i64,
    shelf: i64,
    paid: i64,
    cost: i64,
    rebate: i64,
    stock: Option<i64>,
}

/// Generates `count` lines of a day.
pub(super) fn lines_of_day(
    profile: &StoreProfile,
    catalogue: &mut Catalogue,
    next_order: &mut u64,
    day: Day,
    count: usize,
    random: &mut Random,
) -> Lines {
    let mut sizes = Vec::with_capacity(count / 4 + 1);
    let mut left = count;
    while left > 0 {
        let size = random.weighted(&shape::LINES_PER_ORDER).min(left);
        sizes.push(size);
        left -= size;
    }
    let mut times: Vec<i64> = sizes.iter().map(|_| time_of_day(random)).collect();
    times.sort_unstable();

    let mut lines = Lines::default();
    for (size, time) in sizes.into_iter().zip(times) {
        *next_order += 1 + random.below(30) as u64;
        let mut order = order(random, LocalTime::midnight(day).0 + time);
        order.id = (1_000_000_000 + *next_order % 9_000_000_000).to_string();
        push_order(&mut lines, profile, catalogue, &mut order, day.0, size, random);
    }
    lines
}

/// Microseconds after midnight, to the second.
fn time_of_day(random: &mut Random) -> i64 {
    let at = random.unit() * shape::HOURS.iter().sum::<f64>();
    let mut before = 0.0;
    for (hour, weight) in shape::HOURS.into_iter().enumerate() {
        if at < before + weight {
            let second = ((at - before) / weight * 3_600.0) as i64;
            return (hour as i64 * 3_600 + second.min(3_599)) * 1_000_000;
        }
        before += weight;
    }
    86_399_000_000
}

/// An order without its lines and without the amounts that depend on them.
fn order(random: &mut Random, time: i64) -> Order {
    let (channel, fee_percent) = random.weighted(&shape::CHANNELS);
    let voided = random.chance(shape::VOIDED);
    let fee_rate = if voided || random.chance(shape::NO_FEE) { 0.0 } else { fee_percent / 100.0 };
    let mut order = Order { time, channel, fee_rate, voided, distance: ABSENT, ..Order::default() };
    if channel == shape::CASH_DESK {
        return order;
    }
    order.set(Column::DeliveryCost, random.log_normal(430.0, 0.40) as i64 * CENT);
    let fee = random.pick(&[0, 100, 200, 300, 300, 300, 400, 500, 500, 600]);
    let discount = if random.chance(0.3) { random.between(0, fee / 100) * 100 } else { 0 };
    order.set(Column::UserDeliveryFee, fee * CENT);
    order.set(Column::DeliveryDiscount, discount * CENT);
    order.set(Column::PackagingFee, random.pick(&[0, 50, 100, 100, 100, 100, 150]) * CENT);
    if random.chance(0.97) {
        // Metres with one decimal.
        order.distance = (random.log_normal(1_700.0, 0.6) * 10.0) as i64 * 100_000;
    }
    order
}

/// The seven marketing fields of a delivered order that sells for `sales` micro-units at list price.
fn add_marketing(order: &mut Order, sales: i64, random: &mut Random) {
    if order.channel == shape::CASH_DESK || sales <= 0 {
        return;
    }
    let share = |random: &mut Random, low: f64, high: f64| {
        let cents = sales as f64 / CENT as f64 * (low + (high - low) * random.unit());
        (cents as i64).max(1) * CENT
    };
    if random.chance(0.78) {
        let value = share(random, 0.04, 0.16);
        order.set(Column::ProductDiscount, value);
    }
    if random.chance(0.545) {
        let value = random.between(20, 300) * CENT;
        order.set(Column::VoucherShare, value);
    }
    if random.chance(0.47) {
        let value = random.pick(&[1, 100, 150, 200, 300, 500]) * CENT;
        order.set(Column::Voucher, value);
    }
    if random.chance(0.02) {
        let value = random.pick(&[300, 500, 800, 1_000]) * CENT;
        order.set(Column::FullReduction, value);
    }
    if random.chance(0.01) {
        let value = random.between(50, 500) * CENT;
        order.set(Column::Gift, value);
    }
    if random.chance(0.015) {
        let value = random.between(10, 200) * CENT;
        order.set(Column::OtherDiscount, value);
    }
    if random.chance(0.02) {
        let value = random.pick(&[100, 200, 300]) * CENT;
        order.set(Column::NewCustomerDiscount, value);
    }
    if order.money[MARKETING_FROM..].iter().all(|value| *value == 0) && random.chance(0.2) {
        let value = random.between(10, 100) * CENT;
        order.set(Column::OtherDiscount, value);
    }
}

fn push_order(
    lines: &mut Lines,
    profile: &StoreProfile,
    catalogue: &mut Catalogue,
    order: &mut Order,
    day: i32,
    size: usize,
    random: &mut Random,
) {
    let notices = usize::from(size > 2 && random.chance(0.56));
    let bags = match size {
        1 => 0,
        _ => usize::from(random.chance(0.57)) + usize::from(size > 7 && random.chance(0.8)),
    };
    let merchandise = size - notices - bags;

    let basket = basket(catalogue, order, day, merchandise, random);
    let listed: i64 =
        basket.products.iter().map(|(p, quantity)| catalogue.products[*p].list * i64::from(*quantity)).sum();
    add_marketing(order, listed * CENT, random);
    let commission = (listed * CENT) as f64 * order.fee_rate * 0.9;
    order.set(Column::Commission, commission as i64 / CENT * CENT);
    // Business customers get something back afterwards.
    let rebate_rate = if random.chance(0.03) { 0.01 + 0.04 * random.unit() } else { 0.0 };

    let mut first = true;
    for (index, quantity) in &basket.products {
        let product = &mut catalogue.products[*index];
        let stock = product.stock_after(day, *quantity, random);
        // The platform spreads its reductions over the lines to the cent.
        let paid = ((product.shelf as f64 * basket.reduction) as i64).max(1) * CENT;
        let item = Item {
            store_code: &product.store_code,
            barcode: &product.barcode,
            name: &product.name,
            category1: product.category1,
            category3: product.category3,
            quantity: *quantity,
            list: product.list * CENT,
            shelf: product.shelf * CENT,
            paid,
            cost: product.unit_cost(day) * i64::from(*quantity),
            rebate: ((paid * i64::from((*quantity).max(0))) as f64 * rebate_rate) as i64,
            stock,
        };
        push_line(lines, profile, order, &item, first);
        first = false;
    }
    let quantity = i32::from(!order.voided);
    for bag in 0..bags {
        let at = random.below(CONSUMABLES.len());
        let (name, price, cost) = CONSUMABLES[at];
        let item = Item {
            store_code: ["B900", "B901", "B902", "B903", "B904", "B905", "B906", "B907"][at % 8],
            barcode: "",
            name,
            category1: "耗材",
            category3: "耗材",
            quantity: if bag == 0 { quantity } else { quantity * random.between(1, 3) as i32 },
            list: price * CENT,
            shelf: price * CENT,
            paid: price * CENT,
            cost: 0,
            rebate: 0,
            stock: Some(200 + random.below(800) as i64),
        };
        let cost = cost * i64::from(item.quantity);
        push_line(lines, profile, order, &Item { cost, ..item }, false);
    }
    for _ in 0..notices {
        let at = random.below(NOTICES.len());
        let (name, price) = NOTICES[at];
        let item = Item {
            store_code: "",
            barcode: "",
            name,
            category1: "",
            category3: "",
            quantity,
            list: price * CENT,
            shelf: price * CENT,
            paid: price * CENT,
            cost: 0,
            rebate: 0,
            stock: None,
        };
        push_line(lines, profile, order, &item, false);
    }
}

/// Products with quantities, and the factor between their shelf prices and what was paid.
struct Basket {
    products: Vec<(usize, i32)>,
    reduction: f64,
}

fn basket(catalogue: &Catalogue, order: &Order, day: i32, count: usize, random: &mut Random) -> Basket {
    let quantities: Vec<i32> = (0..count).map(|_| quantity(order, random)).collect();
    let target = random.by_quantiles(&shape::ORDER_SALES) * 100.0;
    let mut best = Basket { products: Vec::new(), reduction: 1.0 };
    let mut best_distance = f64::INFINITY;
    for _ in 0..BASKETS {
        let products: Vec<(usize, i32)> =
            quantities.iter().map(|quantity| (catalogue.draw(day, random), *quantity)).collect();
        let total: f64 = products
            .iter()
            .map(|(p, quantity)| catalogue.products[*p].shelf as f64 * f64::from((*quantity).max(1)))
            .sum();
        let ratio = target / total.max(1.0);
        if ratio.ln().abs() < best_distance {
            best_distance = ratio.ln().abs();
            best = Basket { products, reduction: ratio.clamp(0.80, 1.02) };
        }
        if best_distance < 0.12 {
            break;
        }
    }
    best
}

fn quantity(order: &Order, random: &mut Random) -> i32 {
    if order.voided {
        return 0;
    }
    // Goods come back to the cash desk now and then.
    if order.channel == shape::CASH_DESK && random.chance(0.02) {
        return -1;
    }
    random.weighted(&shape::QUANTITY)
}

fn push_line(lines: &mut Lines, profile: &StoreProfile, order: &Order, item: &Item<'_>, first: bool) {
    let mut text = |column: Column, text: &str| lines.texts[column.slot()].push(text);
    text(Column::OrderId, &order.id);
    text(Column::StoreId, &profile.store_id);
    text(Column::StoreName, &profile.name);
    text(Column::City, profile.city);
    text(Column::Channel, order.channel);
    text(Column::StoreCode, item.store_code);
    text(Column::Barcode, item.barcode);
    text(Column::ProductName, item.name);
    text(Column::Category1, item.category1);
    text(Column::Category3, item.category3);

    let sales = item.paid * i64::from(item.quantity);
    let mut fee = (sales as f64 * order.fee_rate) as i64 / CENT * CENT;
    if first && order.fee_rate > 0.0 {
        fee = fee.max(10 * CENT);
    }
    let mut money = |column: Column, value: i64| lines.decimals[column.slot()].push(value);
    money(Column::ListPrice, item.list);
    money(Column::ShelfPrice, item.shelf);
    money(Column::PaidPrice, item.paid);
    money(Column::Cost, item.cost);
    money(Column::GrossProfit, sales - item.cost);
    money(Column::PlatformFee, fee);
    money(Column::Rebate, item.rebate);
    money(Column::ExpectedIncome, sales - fee + item.rebate);
    for (column, value) in ORDER_MONEY.into_iter().zip(order.money) {
        money(column, value);
    }
    money(Column::DistanceM, order.distance);
    lines.ordered_at.push(order.time);
    lines.quantity.push(item.quantity);
    lines.stock.push(item.stock.unwrap_or(ABSENT));
}
