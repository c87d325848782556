//! The rules, evaluated for one store.

use hashbrown::HashMap;

use super::merge::sort_and_cut;
use super::partial::{
    BeforeAfter, BelowCostFacts, Counts, HighProfitFacts, HotFacts, Listed, MarginFacts, Partial, SlowFacts,
    StockOutFacts,
};
use super::window::{self, Product, StoreProducts, WindowSums};
use crate::metrics::StoreDays;
use crate::metrics::ratio::percent;
use crate::model::money::div_half_even;
use crate::model::{Amount, DayRange};

/// Days without a sale after which a product with stock is reported, once.
const SLOW_DAYS: [i32; 3] = [3, 7, 15];

/// The partial of one store for [from, y] = `range`. `days` needs the last four days of the range only, `products`
/// all of it.
#[must_use]
pub fn partial(store_id: &str, days: &StoreDays, products: &StoreProducts, range: DayRange) -> Partial {
    let mut partial = Partial::default();
    order_rules(&mut partial, days, range);
    let all = window::products(products, range);
    let rules = ProductRules { store_id, cells: products, range };
    let has_earlier_lines = products.range(range.from..range.to).any(|(_, cell)| cell.lines > 0);
    for product in &all {
        rules.stock_out(&mut partial, product);
        rules.traffic_drop(&mut partial, product);
        rules.slow(&mut partial, product);
        if has_earlier_lines {
            first_sale(&mut partial, product);
        }
        rules.margin_drop(&mut partial, product);
        rules.hot(&mut partial, product);
        rules.high_profit(&mut partial, product);
    }
    rules.below_cost(&mut partial, &all);
    sort_and_cut(&mut partial.stock_out.products);
    sort_and_cut(&mut partial.below_cost.products);
    sort_and_cut(&mut partial.traffic_drop.products);
    for slow in &mut partial.slow {
        sort_and_cut(&mut slow.products);
    }
    sort_and_cut(&mut partial.margin_drop.products);
    sort_and_cut(&mut partial.hot.products);
    sort_and_cut(&mut partial.high_profit.products);
    partial
}

fn order_rules(partial: &mut Partial, days: &StoreDays, range: DayRange) {
    for back in 0..4usize {
        let day = range.to.plus(-i32::try_from(back).unwrap_or(0));
        let Some(cell) = days.get(&day).filter(|_| range.contains(day)) else { continue };
        for (channel, sums) in &cell.channels {
            partial.loss_orders.daily[back] += sums.loss_orders;
            partial.high_delivery.daily[back] += sums.high_delivery_orders;
            if back > 0 {
                continue;
            }
            partial.loss_orders.amount += sums.loss_amount;
            count(&mut partial.loss_orders.channels, channel, sums.loss_orders);
            partial.high_delivery.extra += sums.high_delivery_extra;
            count(&mut partial.high_delivery.channels, channel, sums.high_delivery_orders);
            for (mine, theirs) in partial.high_delivery.distance.iter_mut().zip(sums.high_delivery_distance) {
                *mine += theirs;
            }
        }
    }
}

fn count(counts: &mut Counts, channel: &str, by: u64) {
    if by > 0 {
        *counts.entry(channel.to_owned()).or_default() += by;
    }
}

/// Gross profit / sales in tenths of a percent, as shown; 0 if sales ≤ 0.
fn rate(sums: &WindowSums) -> i128 {
    percent(sums.gross_profit.0, sums.sales.0, 1)
}

struct ProductRules<'a> {
    store_id: &'a str,
    cells: &'a StoreProducts,
    range: DayRange,
}

impl ProductRules<'_> {
    fn listed<T>(&self, product: &Product<'_>, facts: T) -> Listed<T> {
        Listed {
            store_id: self.store_id.to_owned(),
            key: product.key.to_owned(),
            name: product.name.to_owned(),
            facts,
        }
    }

    fn stock_out(&self, partial: &mut Partial, product: &Product<'_>) {
        if product.w7.quantity <= 0 || product.out_of_stock & 1 == 0 {
            return;
        }
        let streak = product.out_of_stock.trailing_ones();
        let rule = &mut partial.stock_out;
        rule.count += 1;
        rule.gross_profit += product.w7.gross_profit;
        let channel = window::main_channel(self.cells, self.range, 0..=6, product.key);
        count(&mut rule.channels, &channel, 1);
        rule.persistent += u64::from(streak >= 3);
        rule.new += u64::from(streak == 1);
        let facts =
            StockOutFacts { streak, quantity: product.w7.quantity, gross_profit: product.w7.gross_profit };
        rule.products.push(self.listed(product, facts));
    }

    fn below_cost(&self, partial: &mut Partial, products: &[Product<'_>]) {
        let Some(cell) = self.cells.get(&self.range.to) else { return };
        let rule = &mut partial.below_cost;
        let by_key: HashMap<&str, &Product<'_>> =
            products.iter().map(|product| (product.key, product)).collect();
        for rows in cell.products() {
            let lines: u64 = rows.iter().map(|row| u64::from(row.below_cost)).sum();
            if lines == 0 {
                continue;
            }
            let loss: Amount = rows.iter().map(|row| row.below_cost_loss).sum();
            rule.count += lines;
            rule.severe += rows.iter().map(|row| u64::from(row.severe)).sum::<u64>();
            rule.loss += loss;
            let key = cell.keys.get(rows[0].key as usize);
            if let Some(product) = by_key.get(key) {
                rule.products.push(self.listed(product, BelowCostFacts { lines, loss }));
            }
        }
    }

    fn traffic_drop(&self, partial: &mut Partial, product: &Product<'_>) {
        if self.range.len() < 14 {
            return;
        }
        let tenths = |sums: &WindowSums| div_half_even(i128::from(sums.quantity) * 10, 7);
        let (before, after) = (tenths(&product.p7), tenths(&product.w7));
        if before < 20 || (before - after) * 10 <= before * 3 {
            return;
        }
        let rule = &mut partial.traffic_drop;
        rule.count += 1;
        let channel = window::main_channel(self.cells, self.range, 7..=13, product.key);
        count(&mut rule.channels, &channel, 1);
        rule.products
            .push(self.listed(product, BeforeAfter { before: Amount(before), after: Amount(after) }));
    }

    fn slow(&self, partial: &mut Partial, product: &Product<'_>) {
        let Some(which) = SLOW_DAYS.iter().position(|days| *days == product.last_back) else { return };
        if product.last_stock <= 0 {
            return;
        }
        let quantity = if product.total_quantity <= 0 { 1 } else { i128::from(product.total_quantity) };
        let stock_cost =
            Amount(div_half_even(i128::from(product.last_stock) * product.total_cost.0, quantity));
        let rule = &mut partial.slow[which];
        rule.count += 1;
        rule.stock_cost += stock_cost;
        rule.products.push(self.listed(product, SlowFacts { stock: product.last_stock, stock_cost }));
    }

    fn margin_drop(&self, partial: &mut Partial, product: &Product<'_>) {
        let (w7, p7) = (&product.w7, &product.p7);
        if !w7.present || !p7.present || w7.quantity < 5 {
            return;
        }
        let (before, after) = (rate(p7), rate(w7));
        let drop = before - after;
        if before <= 0 || drop <= 50 {
            return;
        }
        let loss = Amount(div_half_even(before * w7.sales.0 - w7.gross_profit.0 * 1000, 1000));
        let band = match drop {
            ..=100 => 0,
            101..=150 => 1,
            151..=200 => 2,
            _ => 3,
        };
        let rule = &mut partial.margin_drop;
        rule.count += 1;
        rule.loss += loss;
        rule.bands[band] += 1;
        let rates = BeforeAfter { before: Amount(before), after: Amount(after) };
        rule.products.push(self.listed(product, MarginFacts { rates, loss }));
    }

    fn hot(&self, partial: &mut Partial, product: &Product<'_>) {
        let (now, before) = (product.daily[0], product.daily[1]);
        if now < 10 {
            return;
        }
        let growth = if before <= 0 {
            1000
        } else {
            percent(i128::from(now) - i128::from(before), i128::from(before), 1)
        };
        if growth <= 500 {
            return;
        }
        let rising = product.daily.windows(2).take_while(|pair| pair[0] > pair[1]).count();
        let streak = u32::try_from(rising).unwrap_or(0);
        let rule = &mut partial.hot;
        rule.count += 1;
        rule.quantity += now;
        rule.sales += product.today.sales;
        rule.profit += product.today.gross_profit;
        rule.sustained += u64::from(streak >= 3);
        rule.products.push(self.listed(product, HotFacts { quantity: now, growth: Amount(growth), streak }));
    }

    fn high_profit(&self, partial: &mut Partial, product: &Product<'_>) {
        let today = &product.today;
        if today.quantity < 3 || today.gross_profit <= Amount::ZERO {
            return;
        }
        let rule = &mut partial.high_profit;
        rule.count += 1;
        rule.profit += today.gross_profit;
        let facts = HighProfitFacts {
            quantity: today.quantity,
            profit: today.gross_profit,
            rate: Amount(rate(today)),
        };
        rule.products.push(self.listed(product, facts));
    }
}

fn first_sale(partial: &mut Partial, product: &Product<'_>) {
    if !product.today.present || product.present_before {
        return;
    }
    let rule = &mut partial.first_sale;
    rule.count += 1;
    rule.sales += product.today.sales;
    rule.profit += product.today.gross_profit;
    let category = rule.categories.entry(product.category.to_owned()).or_insert((Amount::ZERO, Amount::ZERO));
    category.0 += product.today.gross_profit;
    category.1 += product.today.sales;
}
