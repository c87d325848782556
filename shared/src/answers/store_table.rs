//! The store table: ranks, comparison and anomalies; and the list of stores.

use std::cmp::Reverse;

use super::compose::change;
use super::documents::{
    Anomaly, AnomalyMetric, MetricsDocument, Severity, StoreEntry, StoreList, StoreRow, StoreTable,
    profit_rate, rate,
};
use crate::metrics::Metrics;
use crate::model::Directory;
use crate::model::number::{Decimal, Decimal2};
use crate::model::query::{Query, SortOrder, StoreSort};

/// marketing_rate above this is an anomaly, percent in hundredths.
const MARKETING_LIMIT: Decimal2 = Decimal(15_00);
/// net_delivery_cost / sales above this is an anomaly, percent in hundredths.
const NET_DELIVERY_LIMIT: Decimal2 = Decimal(20_00);

/// One store's metrics of the range and of the window before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreWindows {
    /// Store.
    pub store_id: String,
    /// Of the range.
    pub current: Metrics,
    /// Of the window before.
    pub previous: Metrics,
}

/// `data` of `/v1/stores`.
pub(super) fn list(query: &Query, directory: &Directory) -> StoreList {
    let entry = |id: &String| {
        let store = directory.get(id)?;
        Some(StoreEntry {
            store_id: store.store_id.clone(),
            name: store.name.clone(),
            city: store.city.clone(),
            first_day: store.days.first()?,
            last_day: store.days.last()?,
            lines: store.lines,
        })
    };
    StoreList { stores: query.stores.iter().filter_map(entry).collect() }
}

/// `data` of `/v1/metrics/stores`.
pub(super) fn document(
    windows: &[StoreWindows],
    directory: &Directory,
    sort: StoreSort,
    order: SortOrder,
) -> StoreTable {
    let mut windows: Vec<&StoreWindows> = windows.iter().collect();
    windows.sort_by(|a, b| a.store_id.cmp(&b.store_id));
    let mut summary = Metrics::default();
    for store in &windows {
        summary += &store.current;
    }
    let by_sales = ranks(&windows, |store| store.current.sums.sales.0);
    let by_profit = ranks(&windows, |store| store.current.sums.profit.0);
    let by_rate = ranks(&windows, |store| profit_rate(&store.current).0);
    let rate_spread = Spread::of(windows.iter().map(|store| profit_rate(&store.current).0));
    let order_spread = Spread::of(windows.iter().map(|store| i128::from(store.current.sums.orders) * 100));
    let mut rows: Vec<StoreRow> = windows
        .iter()
        .enumerate()
        .map(|(at, store)| {
            let name = directory.get(&store.store_id).map_or(&store.store_id, |info| &info.name);
            StoreRow::new(
                store.store_id.clone(),
                name.clone(),
                &store.current,
                change(&store.current, &store.previous),
                by_sales[at],
                by_profit[at],
                by_rate[at],
                anomalies(&store.current, rate_spread.as_ref(), order_spread.as_ref()),
            )
        })
        .collect();
    sort_rows(&mut rows, &windows, sort, order);
    StoreTable { stores: rows, summary: MetricsDocument::new(&summary) }
}

/// Sorts rows that stand in the order of `windows` (by store id), by exact values; ties stay by store id.
fn sort_rows(rows: &mut Vec<StoreRow>, windows: &[&StoreWindows], sort: StoreSort, order: SortOrder) {
    let value = |store: &StoreWindows| match sort {
        StoreSort::Sales => store.current.sums.sales.0,
        StoreSort::Profit => store.current.sums.profit.0,
        StoreSort::ProfitRate => profit_rate(&store.current).0,
        StoreSort::Orders => i128::from(store.current.sums.orders),
    };
    let mut keyed: Vec<(i128, StoreRow)> =
        windows.iter().map(|store| value(store)).zip(std::mem::take(rows)).collect();
    match order {
        SortOrder::Ascending => keyed.sort_by_key(|(value, _)| *value),
        SortOrder::Descending => keyed.sort_by_key(|(value, _)| Reverse(*value)),
    }
    rows.extend(keyed.into_iter().map(|(_, row)| row));
}

/// Ranks 1…n without repeats, largest value first, ties by position (store id).
fn ranks(windows: &[&StoreWindows], value: impl Fn(&StoreWindows) -> i128) -> Vec<u64> {
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by_key(|at| Reverse(value(windows[*at])));
    let mut ranks = vec![0; windows.len()];
    for (rank, at) in (1..).zip(order) {
        ranks[at] = rank;
    }
    ranks
}

fn anomalies(metrics: &Metrics, rates: Option<&Spread>, orders: Option<&Spread>) -> Vec<Anomaly> {
    let sums = &metrics.sums;
    let below = |metric, value: Decimal2, spread: Option<&Spread>, severity| {
        let spread = spread.filter(|spread| spread.is_low(value.0))?;
        Some(Anomaly { metric, value, limit: Decimal(spread.limit()), severity })
    };
    let above = |metric, value: Decimal2, limit: Decimal2| {
        (value > limit).then_some(Anomaly { metric, value, limit, severity: Severity::Medium })
    };
    [
        below(AnomalyMetric::ProfitRate, profit_rate(metrics), rates, Severity::High),
        below(AnomalyMetric::Orders, Decimal(i128::from(sums.orders) * 100), orders, Severity::Medium),
        above(AnomalyMetric::MarketingRate, rate(sums.marketing_cost, sums.gmv), MARKETING_LIMIT),
        above(AnomalyMetric::NetDeliveryRate, rate(sums.net_delivery_cost, sums.sales), NET_DELIVERY_LIMIT),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Mean and population deviation of values as shown, in hundredths, exactly: count, sum and sum of squares.
struct Spread {
    count: i128,
    sum: i128,
    squares: i128,
}

impl Spread {
    /// `None` for fewer than 3 values.
    fn of(values: impl Iterator<Item = i128>) -> Option<Self> {
        let add = |spread: Self, value: i128| Self {
            count: spread.count + 1,
            sum: spread.sum + value,
            squares: spread.squares + value * value,
        };
        let spread = values.fold(Self { count: 0, sum: 0, squares: 0 }, add);
        (spread.count >= 3).then_some(spread)
    }

    /// n·Q − S²: the variance × n².
    fn scatter(&self) -> i128 {
        self.count * self.squares - self.sum * self.sum
    }

    /// Whether `value` is below mean − 2σ.
    fn is_low(&self, value: i128) -> bool {
        let distance = self.sum - self.count * value;
        distance > 0 && distance * distance > 4 * self.scatter()
    }

    /// mean − 2σ = (S − 2·√(n·Q − S²)) / n, rounded half-to-even to hundredths.
    fn limit(&self) -> i128 {
        // With q = √(4·scatter), find the whole k nearest to (S − q)/n: k + ½ ≤ (S − q)/n ⇔ 2S − n(2k+1) ≥ 2q.
        let sixteen = 16 * self.scatter();
        let against = |k: i128| {
            let room = 2 * self.sum - self.count * (2 * k + 1);
            if room < 0 { std::cmp::Ordering::Less } else { (room * room).cmp(&sixteen) }
        };
        let root = i128::try_from((4 * self.scatter()).unsigned_abs().isqrt()).unwrap_or(i128::MAX);
        let mut k = (self.sum - root).div_euclid(self.count) - 2;
        loop {
            match against(k) {
                std::cmp::Ordering::Less => return k,
                std::cmp::Ordering::Equal => return k + (k & 1),
                std::cmp::Ordering::Greater => k += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_exact() {
        // Mean 2, σ² = 2: 2 − 2√2 = −0.8284… hundredths.
        let spread = Spread::of([0, 1, 2, 3, 4].into_iter());
        assert_eq!(spread.as_ref().map(Spread::limit), Some(-1));
        // Nine values 100 and one 0: mean 90, σ = 30, limit 30 exactly, and 0 is below it.
        let spread = Spread::of(std::iter::repeat_n(100, 9).chain([0]));
        assert_eq!(
            spread.as_ref().map(|spread| (spread.limit(), spread.is_low(0), spread.is_low(30))),
            Some((30, true, false))
        );
        let spread = Spread::of([7, 7, 7].into_iter());
        assert_eq!(spread.as_ref().map(|spread| (spread.limit(), spread.is_low(7))), Some((7, false)));
        assert!(Spread::of([1, 2].into_iter()).is_none());
    }
}
