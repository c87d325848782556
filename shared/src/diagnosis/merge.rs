//! Merging partials: counts and amounts add up, maps add per key, lists are merged by their order and cut again.

use std::cmp::{Ordering, Reverse};

use super::partial::{
    BeforeAfter, BelowCostFacts, Counts, HighProfitFacts, HotFacts, Listed, MarginFacts, Partial, SlowFacts,
    StockOutFacts,
};
use super::{LONG_LIST, SHORT_LIST};
use crate::model::Amount;

/// How a list is sorted before store and key decide, and how long it may be.
pub(super) trait Facts {
    /// Longest list.
    const LIMIT: usize;
    /// The stated order, first element first.
    fn order(&self, other: &Self) -> Ordering;
}

impl Facts for StockOutFacts {
    const LIMIT: usize = LONG_LIST;
    fn order(&self, other: &Self) -> Ordering {
        (Reverse(self.streak), Reverse(self.quantity)).cmp(&(Reverse(other.streak), Reverse(other.quantity)))
    }
}

impl Facts for BelowCostFacts {
    const LIMIT: usize = SHORT_LIST;
    fn order(&self, other: &Self) -> Ordering {
        other.loss.cmp(&self.loss)
    }
}

impl Facts for BeforeAfter {
    const LIMIT: usize = LONG_LIST;
    fn order(&self, other: &Self) -> Ordering {
        (other.before - other.after).cmp(&(self.before - self.after))
    }
}

impl Facts for SlowFacts {
    const LIMIT: usize = LONG_LIST;
    fn order(&self, other: &Self) -> Ordering {
        other.stock_cost.cmp(&self.stock_cost)
    }
}

impl Facts for MarginFacts {
    const LIMIT: usize = LONG_LIST;
    fn order(&self, other: &Self) -> Ordering {
        other.loss.cmp(&self.loss)
    }
}

impl Facts for HotFacts {
    const LIMIT: usize = SHORT_LIST;
    fn order(&self, other: &Self) -> Ordering {
        (Reverse(self.growth), Reverse(self.quantity)).cmp(&(Reverse(other.growth), Reverse(other.quantity)))
    }
}

impl Facts for HighProfitFacts {
    const LIMIT: usize = SHORT_LIST;
    fn order(&self, other: &Self) -> Ordering {
        other.profit.cmp(&self.profit)
    }
}

/// Sorts a list by its rule, then store and key, and cuts it.
pub(super) fn sort_and_cut<T: Facts>(list: &mut Vec<Listed<T>>) {
    list.sort_by(order);
    list.truncate(T::LIMIT);
}

fn order<T: Facts>(a: &Listed<T>, b: &Listed<T>) -> Ordering {
    a.facts.order(&b.facts).then_with(|| (&a.store_id, &a.key).cmp(&(&b.store_id, &b.key)))
}

fn merge_lists<T: Facts>(mine: &mut Vec<Listed<T>>, theirs: Vec<Listed<T>>) {
    if theirs.is_empty() {
        return;
    }
    // What cannot enter a full list need not be sorted into it; the lists are in order already.
    if mine.len() >= T::LIMIT
        && let (Some(last), Some(first)) = (mine.last(), theirs.first())
        && order(last, first).is_lt()
    {
        return;
    }
    mine.extend(theirs);
    sort_and_cut(mine);
}

fn merge_counts(mine: &mut Counts, theirs: Counts) {
    for (channel, count) in theirs {
        *mine.entry(channel).or_default() += count;
    }
}

fn merge_arrays<const N: usize>(mine: &mut [u64; N], theirs: [u64; N]) {
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine += theirs;
    }
}

impl Partial {
    /// Adds another store's partial for the same range. Associative, and the same in any order.
    pub fn merge(&mut self, other: Self) {
        merge_arrays(&mut self.loss_orders.daily, other.loss_orders.daily);
        self.loss_orders.amount += other.loss_orders.amount;
        merge_counts(&mut self.loss_orders.channels, other.loss_orders.channels);

        merge_arrays(&mut self.high_delivery.daily, other.high_delivery.daily);
        self.high_delivery.extra += other.high_delivery.extra;
        merge_counts(&mut self.high_delivery.channels, other.high_delivery.channels);
        merge_arrays(&mut self.high_delivery.distance, other.high_delivery.distance);

        self.stock_out.count += other.stock_out.count;
        self.stock_out.gross_profit += other.stock_out.gross_profit;
        merge_counts(&mut self.stock_out.channels, other.stock_out.channels);
        self.stock_out.persistent += other.stock_out.persistent;
        self.stock_out.new += other.stock_out.new;
        merge_lists(&mut self.stock_out.products, other.stock_out.products);

        self.below_cost.count += other.below_cost.count;
        self.below_cost.loss += other.below_cost.loss;
        self.below_cost.severe += other.below_cost.severe;
        merge_lists(&mut self.below_cost.products, other.below_cost.products);

        self.traffic_drop.count += other.traffic_drop.count;
        merge_counts(&mut self.traffic_drop.channels, other.traffic_drop.channels);
        merge_lists(&mut self.traffic_drop.products, other.traffic_drop.products);

        for (mine, theirs) in self.slow.iter_mut().zip(other.slow) {
            mine.count += theirs.count;
            mine.stock_cost += theirs.stock_cost;
            merge_lists(&mut mine.products, theirs.products);
        }

        self.first_sale.count += other.first_sale.count;
        self.first_sale.sales += other.first_sale.sales;
        self.first_sale.profit += other.first_sale.profit;
        for (category, (profit, sales)) in other.first_sale.categories {
            let mine = self.first_sale.categories.entry(category).or_insert((Amount::ZERO, Amount::ZERO));
            mine.0 += profit;
            mine.1 += sales;
        }

        self.margin_drop.count += other.margin_drop.count;
        self.margin_drop.loss += other.margin_drop.loss;
        merge_arrays(&mut self.margin_drop.bands, other.margin_drop.bands);
        merge_lists(&mut self.margin_drop.products, other.margin_drop.products);

        self.hot.count += other.hot.count;
        self.hot.quantity += other.hot.quantity;
        self.hot.sales += other.hot.sales;
        self.hot.profit += other.hot.profit;
        self.hot.sustained += other.hot.sustained;
        merge_lists(&mut self.hot.products, other.hot.products);

        self.high_profit.count += other.high_profit.count;
        self.high_profit.profit += other.high_profit.profit;
        merge_lists(&mut self.high_profit.products, other.high_profit.products);
    }
}
