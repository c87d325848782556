use std::collections::{HashMap, HashSet};

use super::*;
use shared::model::{ABSENT, Column, Rules};

fn settings(stores: u32, days: u32, lines_per_store: Option<u64>) -> GenerateSettings {
    GenerateSettings { stores, days, lines_per_store, seed: 42, last_day: Day::from_ymd(2026, 3, 7).unwrap() }
}

#[test]
fn the_same_settings_give_the_same_lines() {
    let make = |index| Generator::new(&settings(3, 4, None)).unwrap().store(index).collect::<Vec<_>>();
    assert_eq!(make(1), make(1));
    assert_ne!(make(1)[0], make(2)[0]);
}

#[test]
fn an_exact_number_of_lines_is_exact() {
    for (days, lines) in [(30, 30_000), (7, 1), (30, 29), (1, 501), (14, 20_011)] {
        let generator = Generator::new(&settings(3, days, Some(lines))).unwrap();
        for store in 0..3 {
            let blocks: Vec<Lines> = generator.store(store).collect();
            assert_eq!(blocks.len(), days as usize);
            assert_eq!(blocks.iter().map(Lines::len).sum::<usize>() as u64, lines);
            assert_eq!(generator.store(store).total_lines(), lines);
        }
    }
}

#[test]
fn settings_out_of_limits_are_named() {
    let fault = |settings: GenerateSettings| Generator::new(&settings).unwrap_err().to_string();
    assert_eq!(fault(settings(0, 1, None)), "stores is 0; choose 1 to 100000");
    assert_eq!(fault(settings(1, 0, None)), "days is 0; choose 1 to 3660");
    assert_eq!(fault(settings(1, 1, Some(0))), "lines is 0; choose 1 to 100000000 per store");
    let early = GenerateSettings { last_day: Day::from_ymd(1970, 1, 3).unwrap(), ..settings(1, 30, None) };
    assert_eq!(fault(early), "last day is 1970-01-03; choose 1970-01-30 to 2199-12-31");
}

#[test]
fn orders_are_whole_and_in_time_order() {
    for (offset, lines) in Generator::new(&settings(1, 3, None)).unwrap().store(0).enumerate() {
        let day = Day::from_ymd(2026, 3, 5).unwrap().plus(offset as i32);
        let mut seen = HashSet::new();
        for row in 0..lines.len() {
            let id = lines.text(Column::OrderId, row);
            assert_eq!(id.len(), 10);
            assert_eq!(lines.view().day(row), day);
            if row == 0 || lines.text(Column::OrderId, row - 1) != id {
                assert!(seen.insert(id.to_owned()), "order {id} is torn apart");
                assert!(row == 0 || lines.ordered_at[row - 1] <= lines.ordered_at[row]);
            } else {
                assert_eq!(lines.ordered_at[row - 1], lines.ordered_at[row]);
                let before = lines.line(row - 1);
                let line = lines.line(row);
                for column in [Column::DeliveryCost, Column::DistanceM, Column::Voucher] {
                    assert_eq!(line.decimals[column.slot()], before.decimals[column.slot()]);
                }
            }
            let barcode = lines.text(Column::Barcode, row);
            assert!(barcode.is_empty() || barcode.len() == 13);
        }
    }
}

/// The `p`-th quantile.
fn quantile(values: &mut [f64], p: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * p).round() as usize]
}

/// Checks a figure against the shape it was made for, and prints both.
struct Figures(Vec<String>);

impl Figures {
    fn near(&mut self, name: &str, got: f64, wanted: f64, tolerance: f64) {
        println!("{name:<40} {got:>9.2} wanted {wanted:>9.2} ± {tolerance}");
        if (got - wanted).abs() > tolerance {
            self.0.push(format!("{name}: {got:.3} is not {wanted} ± {tolerance}"));
        }
    }
}

#[derive(Default)]
struct Order {
    lines: u32,
    channel: String,
    hour: usize,
    sales: f64,
    delivery: f64,
    voided: bool,
    marketing: [bool; 8],
}

#[test]
fn figures_are_those_of_real_shops() {
    let generator = Generator::new(&settings(40, 14, None)).unwrap();
    let rules = Rules::default();
    let mut figures = Figures(Vec::new());
    let (mut lines_per_day, mut orders_per_day, mut products_per_day) = (vec![], vec![], vec![]);
    let mut orders: Vec<Order> = Vec::new();
    let mut quantities: HashMap<i32, f64> = HashMap::new();
    let (mut total, mut consumable, mut notices, mut merchandise, mut no_stock) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut weekend, mut weekday) = ((0.0, 0.0), (0.0, 0.0));
    let (mut selling_days, mut top_shares) = (vec![], vec![]);
    let mut below_cost = 0.0;

    for store in 0..40 {
        let mut products: HashMap<String, (u32, i64)> = HashMap::new();
        for lines in generator.store(store) {
            let first_of_day = orders.len();
            let mut of_day: HashSet<String> = HashSet::new();
            for row in 0..lines.len() {
                let line = lines.line(row);
                total += 1.0;
                *quantities.entry(line.quantity).or_default() += 1.0;
                if row == 0 || lines.text(Column::OrderId, row - 1) != line.text(Column::OrderId) {
                    let seconds = line.ordered_at.0 / 1_000_000 % 86_400;
                    let marketing = [
                        Column::ProductDiscount,
                        Column::VoucherShare,
                        Column::Voucher,
                        Column::FullReduction,
                        Column::Gift,
                        Column::OtherDiscount,
                        Column::NewCustomerDiscount,
                    ]
                    .map(|column| line.money(column).0 > 0);
                    let mut with_any = [false; 8];
                    with_any[..7].copy_from_slice(&marketing);
                    with_any[7] = marketing.contains(&true);
                    orders.push(Order {
                        channel: line.text(Column::Channel).to_owned(),
                        hour: seconds as usize / 3_600,
                        delivery: line.money(Column::DeliveryCost).0 as f64 / 1e6,
                        voided: true,
                        marketing: with_any,
                        ..Order::default()
                    });
                }
                let order = orders.last_mut().unwrap();
                order.lines += 1;
                order.voided &= line.quantity == 0;
                let paid = line.money(Column::PaidPrice).0 * i64::from(line.quantity);
                order.sales += paid as f64 / 1e6;
                let key = String::from_utf8(lines.view().product_key(row).to_vec()).unwrap();
                of_day.insert(key.clone());
                if rules.is_consumable(line.text(Column::Category1)) {
                    consumable += 1.0;
                } else if line.text(Column::Category1).is_empty() {
                    notices += 1.0;
                } else {
                    merchandise += 1.0;
                    no_stock += f64::from(u8::from(line.stock == 0));
                    assert!(line.stock == ABSENT || line.stock >= 0);
                    products.entry(key).or_default().1 += i64::from(line.quantity);
                    if line.quantity > 0 && paid < line.money(Column::Cost).0 {
                        below_cost += 1.0;
                    }
                }
            }
            lines_per_day.push(lines.len() as f64);
            orders_per_day.push((orders.len() - first_of_day) as f64);
            products_per_day.push(of_day.len() as f64);
            for key in of_day {
                if let Some(product) = products.get_mut(&key) {
                    product.0 += 1;
                }
            }
            let day = lines.view().day(0);
            let sum = if day.since(day.monday()) >= 5 { &mut weekend } else { &mut weekday };
            *sum = (sum.0 + lines.len() as f64, sum.1 + 1.0);
        }
        selling_days.extend(products.values().map(|(days, _)| f64::from(*days)));
        let mut units: Vec<i64> = products.values().map(|(_, units)| *units).collect();
        units.sort_unstable_by(|a, b| b.cmp(a));
        let top: i64 = units[..units.len() / 5].iter().sum();
        top_shares.push(top as f64 / units.iter().sum::<i64>() as f64);
    }

    for (p, wanted) in [(0.1, 654.0), (0.5, 1_036.0), (0.9, 1_510.0)] {
        let got = quantile(&mut lines_per_day, p);
        figures.near(&format!("lines per day p{}", p * 100.0), got, wanted, wanted * 0.1);
    }
    figures.near("orders per day p50", quantile(&mut orders_per_day, 0.5), 224.0, 20.0);
    figures.near("products per day p50", quantile(&mut products_per_day, 0.5), 534.0, 50.0);
    let count = orders.len() as f64;
    let share =
        |test: &dyn Fn(&Order) -> bool| orders.iter().filter(|o| test(o)).count() as f64 / count * 100.0;
    figures.near("lines per order mean", total / count, 4.45, 0.15);
    for (lines, wanted) in [(1, 6.0), (2, 14.0), (3, 22.0), (4, 19.0), (5, 13.0)] {
        figures.near(&format!("orders of {lines} lines %"), share(&|o| o.lines == lines), wanted, 0.7);
    }
    let mut of_orders: Vec<f64> = orders.iter().map(|o| f64::from(o.lines)).collect();
    figures.near("lines per order p99", quantile(&mut of_orders, 0.99), 15.0, 1.0);
    for (quantity, wanted, tolerance) in [(1, 85.0, 1.0), (2, 8.0, 0.7), (0, 2.7, 0.5)] {
        let got = quantities[&quantity] / total * 100.0;
        figures.near(&format!("lines of quantity {quantity} %"), got, wanted, tolerance);
    }
    figures.near("largest quantity", f64::from(*quantities.keys().max().unwrap()), 50.0, 0.0);
    let mut sales: Vec<f64> = orders.iter().filter(|o| !o.voided).map(|o| o.sales).collect();
    let quantiles = [(0.05, 6.0), (0.25, 16.6), (0.5, 21.7), (0.75, 30.8), (0.95, 58.5), (0.99, 96.9)];
    for (p, wanted) in quantiles {
        let got = quantile(&mut sales, p);
        figures.near(&format!("order sales p{}", p * 100.0), got, wanted, wanted * 0.12);
    }
    let mut delivery: Vec<f64> = orders.iter().map(|o| o.delivery).collect();
    figures.near("delivery cost p50", quantile(&mut delivery, 0.5), 4.2, 0.2);
    figures.near("delivery cost p95", quantile(&mut delivery, 0.95), 8.1, 0.4);
    figures.near("voided orders %", share(&|o| o.voided), 3.0, 0.4);
    for (channel, wanted) in [
        ("饿了么", 43.0),
        ("美团共橙", 26.0),
        ("美团闪购", 22.0),
        ("京东到家", 3.0),
        ("收银机订单", 3.0),
        ("闪购小程序", 1.0),
    ] {
        figures.near(channel, share(&|o| o.channel == channel), wanted, 0.6);
    }
    figures.near("fee channels %", share(&|o| rules.charges_fee(&o.channel)), 95.0, 0.7);
    figures.near("consumable lines %", consumable / total * 100.0, 14.0, 1.0);
    figures.near("notice lines %", notices / total * 100.0, 10.0, 1.0);
    for (at, name, wanted) in [
        (0, "product discount", 73.0),
        (1, "voucher share", 51.0),
        (2, "voucher", 44.0),
        (3, "full reduction", 2.0),
        (7, "any marketing", 91.0),
    ] {
        figures.near(&format!("{name} %"), share(&|o| o.marketing[at]), wanted, 1.2);
    }
    figures.near("selling days of 14, p50", quantile(&mut selling_days, 0.5), 2.0, 0.0);
    let top = top_shares.iter().sum::<f64>() / top_shares.len() as f64 * 100.0;
    figures.near("units of the top 20 % of products %", top, 71.0, 2.5);
    figures.near("stock 0 on merchandise lines %", no_stock / merchandise * 100.0, 20.0, 1.0);
    for (hour, wanted) in [(0, 3.3), (4, 1.0), (8, 2.6), (12, 4.7), (18, 7.6), (20, 7.9)] {
        figures.near(&format!("orders at {hour} h %"), share(&|o| o.hour == hour), wanted, 0.3);
    }
    let ratio = (weekend.0 / weekend.1) / (weekday.0 / weekday.1);
    figures.near("weekend to weekday", ratio, 1.15, 0.04);
    figures.near("merchandise lines below cost %", below_cost / merchandise * 100.0, 5.0, 4.0);
    assert!(figures.0.is_empty(), "{}", figures.0.join("\n"));
}
