//! What one store sells: its products with prices, costs, popularity and the stock on its shelves.

use super::names::{BRANDS, CATEGORIES, CATEGORY_WEIGHTS, VARIANTS};
use super::random::{Random, mix};
use super::shape;

/// Micro-units of one cent.
pub(super) const CENT: i64 = 10_000;

/// A product of a store.
#[derive(Clone, Debug)]
pub(super) struct Product {
    /// The store's own code, absent for a few.
    pub(super) store_code: String,
    /// 13 digits with a valid check digit, absent for loose goods.
    pub(super) barcode: String,
    pub(super) name: String,
    pub(super) category1: &'static str,
    pub(super) category3: &'static str,
    /// Price per unit before any reduction, in cents.
    pub(super) list: i64,
    /// Price on the shelf, in cents.
    pub(super) shelf: i64,
    /// Cost per unit in micro-units while supply is normal.
    unit_cost: i64,
    /// Day of a 40-day rhythm on which supply becomes dear for 20 days, for some products.
    dear_from: Option<i32>,
    stock: i64,
    out_of_stock: bool,
    last_seen: i32,
    tracked: bool,
}

impl Product {
    /// Cost per unit on a day, in micro-units.
    pub(super) fn unit_cost(&self, day: i32) -> i64 {
        match self.dear_from {
            Some(phase) if (day + phase).rem_euclid(40) < 20 => self.unit_cost + self.unit_cost / 6,
            _ => self.unit_cost,
        }
    }

    /// Stock after a sale of `quantity` on a day; `None` if the store does not count this product.
    ///
    /// Shortages come and go from day to day (a Markov chain with the stated share), so a product may be out of
    /// stock for several days in a row and still sell what comes in.
    pub(super) fn stock_after(&mut self, day: i32, quantity: i32, random: &mut Random) -> Option<i64> {
        if self.last_seen != day {
            let stays = shape::STOCK_OUT_STAYS.powi((day - self.last_seen).clamp(0, 60));
            let before = if self.out_of_stock { 1.0 } else { 0.0 };
            self.out_of_stock = random.chance(shape::STOCK_OUT + (before - shape::STOCK_OUT) * stays);
            self.last_seen = day;
        }
        if !self.tracked {
            return None;
        }
        if self.out_of_stock {
            return Some(0);
        }
        self.stock -= i64::from(quantity);
        if self.stock < 1 {
            self.stock = random.log_normal(25.0, 0.9) as i64 + 1;
        }
        Some(self.stock)
    }
}

/// All products of a store, most popular first.
#[derive(Clone, Debug)]
pub(super) struct Catalogue {
    pub(super) products: Vec<Product>,
    /// Added-up weights, for drawing by popularity.
    popularity: Vec<f64>,
    seed: u64,
}

impl Catalogue {
    /// The catalogue of a store; `size` is the store's size relative to the median.
    pub(super) fn new(seed: u64, store: u64, size: f64) -> Self {
        let count = (shape::PRODUCTS * size.powf(0.6)).clamp(300.0, 6_000.0) as usize;
        let mut random = Random::new(&[seed, store, 2]);
        let mut weight = 0.0;
        let popularity = (0..count)
            .map(|rank| {
                weight += 1.0 / (rank as f64 + shape::POPULARITY_OFFSET);
                weight
            })
            .collect();
        let products = (0..count).map(|rank| product(rank, seed, &mut random)).collect();
        Self { products, popularity, seed: mix(seed ^ mix(store)) }
    }

    /// Index of a product drawn by popularity; on any day a few products are in sudden demand.
    pub(super) fn draw(&self, day: i32, random: &mut Random) -> usize {
        if random.chance(0.03) {
            return self.in_demand(day, random.below(6) as i32);
        }
        self.by_popularity(random.unit())
    }

    fn by_popularity(&self, share: f64) -> usize {
        let total = self.popularity.last().copied().unwrap_or(0.0);
        self.popularity.partition_point(|weight| *weight <= share * total).min(self.products.len() - 1)
    }

    /// The product of slot `slot` of those in sudden demand: it changes every 2, 3, 4 … days, so that some spells
    /// make a hot product and the end of a longer one a drop in traffic.
    fn in_demand(&self, day: i32, slot: i32) -> usize {
        let spell = (day + slot) / (slot + 2 + slot / 4 * 6);
        let mut random = Random::new(&[self.seed, slot as u64, spell as u64]);
        self.by_popularity(random.unit())
    }
}

fn product(rank: usize, seed: u64, random: &mut Random) -> Product {
    // Stores of one retailer share most of the assortment: the same article has the same name and barcode everywhere.
    let article = random.below(9_000) as u64;
    let mut fixed = Random::new(&[seed, 3, article]);
    let weights: Vec<(usize, f64)> = CATEGORY_WEIGHTS.iter().copied().enumerate().collect();
    let (category1, kinds, packs) = CATEGORIES[fixed.weighted(&weights)];
    let (category3, median) = fixed.pick(kinds);
    let name = format!(
        "【{category3}】 {} {}{category3} {}",
        fixed.pick(BRANDS),
        fixed.pick(VARIANTS),
        fixed.pick(packs)
    );
    let list = (fixed.log_normal(median * 0.72, 0.5) as i64).clamp(60, 19_900);
    // Prices end in a 9 or a 5 as often as not.
    let list = if fixed.chance(0.5) { list / 10 * 10 + 9 } else { list };
    let barcode = barcode(690_000_000_000 + article * 7_919 % 9_999_999_967);
    let shelf = if random.chance(0.35) { list * random.between(14, 18) / 20 } else { list };
    let margin = if random.chance(0.03) { -0.15 * random.unit() } else { 0.42 + 0.13 * random.normal() };
    let unit_cost = (shelf * CENT) as f64 * (1.0 - margin.clamp(-0.3, 0.8));
    let (coded, bare) = (!random.chance(0.04), random.chance(0.06));
    Product {
        store_code: if coded { (100_000 + rank).to_string() } else { String::new() },
        barcode: if bare { String::new() } else { barcode },
        name,
        category1,
        category3,
        list,
        shelf,
        unit_cost: unit_cost as i64,
        dear_from: random.chance(0.2).then(|| random.between(0, 39) as i32),
        stock: random.log_normal(40.0, 0.9) as i64 + 1,
        out_of_stock: random.chance(shape::STOCK_OUT),
        last_seen: 0,
        tracked: !random.chance(0.02),
    }
}

/// A 13-digit article number: 12 digits and their check digit (GS1).
fn barcode(twelve: u64) -> String {
    let digits = format!("{twelve:012}");
    let sum: u32 =
        digits.bytes().zip([1, 3].into_iter().cycle()).map(|(d, weight)| u32::from(d - b'0') * weight).sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn barcodes_carry_their_check_digit() {
        assert_eq!(barcode(400_638_133_393), "4006381333931");
        assert_eq!(barcode(690_123_456_789).len(), 13);
    }
}
