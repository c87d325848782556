//! Top products of a range: merchandise lines grouped by store and product.

use super::documents::ProductEntry;
use crate::cells::{TextIndex, smallest_known};
use crate::diagnosis::StoreProducts;
use crate::model::number::Decimal;
use crate::model::query::ProductSort;
use crate::model::{ABSENT, Amount, ChannelFilter, DayRange};

/// One product of one store with exact sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopProduct {
    store_id: String,
    key: String,
    name: String,
    category1: String,
    units: i64,
    sales: Amount,
    profit: Amount,
    stock: i64,
}

struct Totals<'a> {
    key: &'a str,
    name: &'a str,
    category: &'a str,
    latest: i64,
    stock: i64,
    units: i64,
    sales: Amount,
    profit: Amount,
}

/// All products of one store with a merchandise line in `range` in an order that `filter` admits.
pub(super) fn of_store(
    store_id: &str,
    cells: &StoreProducts,
    range: DayRange,
    filter: &ChannelFilter,
) -> Vec<TopProduct> {
    let mut index = TextIndex::default();
    let mut totals: Vec<Totals<'_>> = Vec::new();
    for cell in cells.range(range.from..=range.to).map(|(_, cell)| cell) {
        let admitted: Vec<bool> =
            (0..cell.channels.len()).map(|channel| filter.admits(cell.channels.get(channel))).collect();
        for row in cell.rows.iter().filter(|row| admitted[row.channel as usize]) {
            let key = cell.keys.get(row.key as usize);
            let (number, new) = index.number(key.as_bytes());
            if new {
                totals.push(Totals {
                    key,
                    name: "",
                    category: "",
                    latest: i64::MIN,
                    stock: ABSENT,
                    units: 0,
                    sales: Amount::ZERO,
                    profit: Amount::ZERO,
                });
            }
            let total = &mut totals[number as usize];
            total.units += row.quantity;
            total.sales += row.sales;
            total.profit += row.gross_profit;
            if row.latest < total.latest {
                continue;
            }
            let texts = (cell.names.get(row.name as usize), cell.categories.get(row.category as usize));
            if row.latest > total.latest {
                (total.latest, total.stock) = (row.latest, row.stock);
                (total.name, total.category) = texts;
            } else {
                total.stock = smallest_known(total.stock, row.stock);
                (total.name, total.category) = (total.name, total.category).min(texts);
            }
        }
    }
    let owned = |total: Totals<'_>| TopProduct {
        store_id: store_id.to_owned(),
        key: total.key.to_owned(),
        name: total.name.to_owned(),
        category1: total.category.to_owned(),
        units: total.units,
        sales: total.sales,
        profit: total.profit,
        stock: total.stock,
    };
    totals.into_iter().map(owned).collect()
}

/// Sorts by the stated value, then store and key, and cuts at `limit`.
pub(super) fn sort_and_cut(products: &mut Vec<TopProduct>, sort: ProductSort, limit: u16) {
    let value = |product: &TopProduct| match sort {
        ProductSort::Units => -i128::from(product.units),
        ProductSort::Sales => -product.sales.0,
        ProductSort::Profit => -product.profit.0,
        ProductSort::Loss => product.profit.0,
    };
    products.sort_by(|a, b| (value(a), &a.store_id, &a.key).cmp(&(value(b), &b.store_id, &b.key)));
    products.truncate(usize::from(limit));
    // Parts are kept for as long as a store is ready: the room of what was cut would be, too.
    products.shrink_to_fit();
}

impl TopProduct {
    pub(super) fn finish(self) -> ProductEntry {
        ProductEntry {
            store_id: self.store_id,
            key: self.key,
            name: self.name,
            category1: self.category1,
            units: self.units,
            sales: self.sales.into(),
            profit: self.profit.into(),
            profit_rate: Decimal::percent(self.profit.0, self.sales.0),
            stock: (self.stock != ABSENT).then_some(self.stock),
        }
    }
}
