//! What the rules need to know of each product of a store: days and windows counted back from y.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cells::{ProductCell, ProductRow, TextIndex};
use crate::model::{ABSENT, Amount, Day, DayRange};

/// The product cells of one store. Days without lines may be left out.
pub type StoreProducts = BTreeMap<Day, Arc<ProductCell>>;

/// Days back from y of which single quantities are kept: the streak of `hot_products` compares 9 days.
pub(super) const DAYS_KEPT: usize = 9;

/// Sums of one product over some days.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WindowSums {
    pub(super) present: bool,
    pub(super) quantity: i64,
    pub(super) sales: Amount,
    pub(super) gross_profit: Amount,
}

/// One product of a store over [from, y].
#[derive(Clone, Debug)]
pub(super) struct Product<'a> {
    pub(super) key: &'a str,
    pub(super) name: &'a str,
    pub(super) category: &'a str,
    /// Days back of the last day present, and the stock then.
    pub(super) last_back: i32,
    pub(super) last_stock: i64,
    pub(super) total_quantity: i64,
    pub(super) total_cost: Amount,
    /// Quantity by days back.
    pub(super) daily: [i64; DAYS_KEPT],
    /// Days back 0–6 on which it was present with stock 0, as bits.
    pub(super) out_of_stock: u8,
    /// Days back 1–7 on which it was present.
    pub(super) present_before: bool,
    pub(super) today: WindowSums,
    pub(super) w7: WindowSums,
    pub(super) p7: WindowSums,
}

/// One product on one day, all channels together.
struct DayOfProduct {
    sums: WindowSums,
    cost: Amount,
    latest: i64,
    stock: i64,
    /// Numbers of the name and category: their texts are looked at only where they decide, which is rare.
    name: u32,
    category: u32,
}

impl DayOfProduct {
    fn new(cell: &ProductCell, rows: &[ProductRow]) -> Self {
        let mut day = Self {
            sums: WindowSums { present: true, ..WindowSums::default() },
            cost: Amount::ZERO,
            latest: i64::MIN,
            stock: ABSENT,
            name: 0,
            category: 0,
        };
        let texts = |name: u32, category: u32| {
            (cell.names.view().bytes(name as usize), cell.categories.view().bytes(category as usize))
        };
        for (at, row) in rows.iter().enumerate() {
            day.sums.quantity += row.quantity;
            day.sums.sales += row.sales;
            day.sums.gross_profit += row.gross_profit;
            day.cost += row.cost;
            if at == 0 || row.latest > day.latest {
                (day.latest, day.stock) = (row.latest, row.stock);
                (day.name, day.category) = (row.name, row.category);
            } else if row.latest == day.latest {
                day.stock = crate::cells::smallest_known(day.stock, row.stock);
                if texts(row.name, row.category) < texts(day.name, day.category) {
                    (day.name, day.category) = (row.name, row.category);
                }
            }
        }
        day
    }
}

impl WindowSums {
    fn add(&mut self, other: &Self) {
        self.present = true;
        self.quantity += other.quantity;
        self.sales += other.sales;
        self.gross_profit += other.gross_profit;
    }
}

/// All products of a store with a merchandise line in `range`, whose last day is y.
pub(super) fn products(cells: &StoreProducts, range: DayRange) -> Vec<Product<'_>> {
    let mut index = TextIndex::default();
    let mut products: Vec<Product<'_>> = Vec::new();
    // From y backwards, so that the first sight of a product is its latest.
    for (day, cell) in cells.range(range.from..=range.to).rev() {
        let back = range.to.since(*day);
        for rows in cell.products() {
            let key = rows[0].key as usize;
            let (number, new) = index.number(cell.keys.view().bytes(key));
            let of_day = DayOfProduct::new(cell, rows);
            if new {
                products.push(Product {
                    key: cell.keys.get(key),
                    name: cell.names.get(of_day.name as usize),
                    category: cell.categories.get(of_day.category as usize),
                    last_back: back,
                    last_stock: of_day.stock,
                    total_quantity: 0,
                    total_cost: Amount::ZERO,
                    daily: [0; DAYS_KEPT],
                    out_of_stock: 0,
                    present_before: false,
                    today: WindowSums::default(),
                    w7: WindowSums::default(),
                    p7: WindowSums::default(),
                });
            }
            add_day(&mut products[number as usize], &of_day, back);
        }
    }
    products
}

fn add_day(product: &mut Product<'_>, day: &DayOfProduct, back: i32) {
    product.total_quantity += day.sums.quantity;
    product.total_cost += day.cost;
    if let Some(quantity) = usize::try_from(back).ok().and_then(|back| product.daily.get_mut(back)) {
        *quantity += day.sums.quantity;
    }
    product.present_before |= (1..=7).contains(&back);
    match back {
        0..=6 => {
            product.w7.add(&day.sums);
            product.out_of_stock |= u8::from(day.stock == 0) << back;
            if back == 0 {
                product.today.add(&day.sums);
            }
        }
        7..=13 => product.p7.add(&day.sums),
        _ => {}
    }
}

/// The channel with the largest quantity of a product over the days `backs` before y; ties: the smallest name.
pub(super) fn main_channel(
    cells: &StoreProducts,
    range: DayRange,
    backs: std::ops::RangeInclusive<i32>,
    key: &str,
) -> String {
    let mut quantities: BTreeMap<&str, i64> = BTreeMap::new();
    let window = DayRange { from: range.to.plus(-backs.end()), to: range.to.plus(-backs.start()) };
    if let Some(window) = window.intersect(range) {
        for cell in cells.range(window.from..=window.to).map(|(_, cell)| cell) {
            for row in cell.product(key) {
                *quantities.entry(cell.channels.get(row.channel as usize)).or_default() += row.quantity;
            }
        }
    }
    let most = quantities.values().copied().max();
    quantities
        .into_iter()
        .find(|(_, q)| Some(*q) == most)
        .map_or(String::new(), |(channel, _)| channel.to_owned())
}
