//! From a merged partial to the document: trend, divisions, choice of top categories and rounding.

use std::cmp::Reverse;

use super::document::{
    Bands, BelowCostProduct, DailyTrend, Diagnosis, Direction, Distance, FirstSale, HighDelivery, HighProfit,
    HighProfitProduct, Highlights, HotProduct, HotProducts, LossOrders, MarginDrop, MarginProduct,
    PriceBelowCost, SlowMovers, SlowProduct, StockOut, StockOutProduct, TopCategory, TopRateCategory,
    TrafficDrop, TrafficProduct, Urgent, Watch,
};
use super::partial::{Listed, Partial};
use crate::metrics::ratio::percent;
use crate::model::money::div_half_even;
use crate::model::number::Decimal;
use crate::model::{Amount, DayRange};

/// Sales from which a category's rate counts: 10 currency units.
const RATE_MINIMUM_SALES: Amount = Amount(10_000_000);

impl Partial {
    /// The document of the merged partials of a selection, for `range` = [from, y].
    #[must_use]
    pub fn finish(self, range: Option<DayRange>) -> Diagnosis {
        let urgent = self.urgent(range);
        let watch = self.watch();
        let highlights = self.highlights();
        let any = |counts: &[u64]| counts.iter().any(|count| *count > 0);
        Diagnosis {
            as_of: range.map(|range| range.to),
            has_urgent: any(&[
                urgent.loss_orders.count,
                urgent.high_delivery.count,
                urgent.stock_out.count,
                urgent.price_below_cost.count,
            ]),
            has_watch: any(&[
                watch.traffic_drop.count,
                watch.slow_3.count,
                watch.slow_7.count,
                watch.slow_15.count,
                watch.first_sale.count,
                watch.margin_drop.count,
            ]),
            has_highlights: any(&[highlights.hot_products.count, highlights.high_profit.count]),
            urgent,
            watch,
            highlights,
        }
    }

    fn urgent(&self, range: Option<DayRange>) -> Urgent {
        // The calendar days of [max(from, y−6), y], the same for all stores.
        let days = range.map_or(1, |range| i128::from(range.len().min(7)));
        let per_day = |gross_profit: Amount| Decimal::<2>(div_half_even(gross_profit.0, days * 10_000));
        let [to_3_km, to_5_km, to_8_km, beyond] = self.high_delivery.distance;
        Urgent {
            loss_orders: LossOrders {
                count: self.loss_orders.daily[0],
                amount: self.loss_orders.amount.into(),
                channels: self.loss_orders.channels.clone(),
                trend: trend(self.loss_orders.daily),
            },
            high_delivery: HighDelivery {
                count: self.high_delivery.daily[0],
                extra: self.high_delivery.extra.into(),
                channels: self.high_delivery.channels.clone(),
                distance: Distance { to_3_km, to_5_km, to_8_km, beyond },
                trend: trend(self.high_delivery.daily),
            },
            stock_out: StockOut {
                count: self.stock_out.count,
                loss: per_day(self.stock_out.gross_profit),
                channels: self.stock_out.channels.clone(),
                persistent: self.stock_out.persistent,
                new: self.stock_out.new,
                products: list(&self.stock_out.products, |(store_id, key, name), facts| StockOutProduct {
                    store_id,
                    key,
                    name,
                    streak: facts.streak,
                    quantity: facts.quantity,
                    loss: per_day(facts.gross_profit),
                }),
            },
            price_below_cost: PriceBelowCost {
                count: self.below_cost.count,
                loss: self.below_cost.loss.into(),
                severe: self.below_cost.severe,
                mild: self.below_cost.count - self.below_cost.severe,
                products: list(&self.below_cost.products, |(store_id, key, name), facts| BelowCostProduct {
                    store_id,
                    key,
                    name,
                    lines: facts.lines,
                    loss: facts.loss.into(),
                }),
            },
        }
    }

    fn watch(&self) -> Watch {
        let [slow_3, slow_7, slow_15] = [0, 1, 2].map(|which: usize| {
            let slow = &self.slow[which];
            SlowMovers {
                count: slow.count,
                stock_cost: slow.stock_cost.into(),
                products: list(&slow.products, |(store_id, key, name), facts| SlowProduct {
                    store_id,
                    key,
                    name,
                    stock: facts.stock,
                    stock_cost: facts.stock_cost.into(),
                }),
            }
        });
        let [drop_5, drop_10, drop_15, drop_20] = self.margin_drop.bands;
        Watch {
            traffic_drop: TrafficDrop {
                count: self.traffic_drop.count,
                channels: self.traffic_drop.channels.clone(),
                products: list(&self.traffic_drop.products, |(store_id, key, name), facts| TrafficProduct {
                    store_id,
                    key,
                    name,
                    before: Decimal::<1>(facts.before.0),
                    after: Decimal::<1>(facts.after.0),
                }),
            },
            slow_3,
            slow_7,
            slow_15,
            first_sale: self.first_sales(),
            margin_drop: MarginDrop {
                count: self.margin_drop.count,
                loss: self.margin_drop.loss.into(),
                bands: Bands { drop_5, drop_10, drop_15, drop_20 },
                products: list(&self.margin_drop.products, |(store_id, key, name), facts| MarginProduct {
                    store_id,
                    key,
                    name,
                    before: Decimal::<1>(facts.rates.before.0),
                    after: Decimal::<1>(facts.rates.after.0),
                    loss: facts.loss.into(),
                }),
            },
        }
    }

    fn first_sales(&self) -> FirstSale {
        let categories = &self.first_sale.categories;
        // Maps ascend by name, so the first of equals has the smallest name.
        let top = categories.iter().min_by_key(|(_, (profit, _))| Reverse(*profit));
        let rates = categories
            .iter()
            .filter(|(_, (_, sales))| *sales >= RATE_MINIMUM_SALES)
            .map(|(category, (profit, sales))| (category, percent(profit.0, sales.0, 1)));
        FirstSale {
            count: self.first_sale.count,
            sales: self.first_sale.sales.into(),
            profit: self.first_sale.profit.into(),
            top_category: top.map(|(category, (profit, _))| TopCategory {
                category: category.clone(),
                amount: (*profit).into(),
            }),
            top_rate_category: rates.min_by_key(|(_, rate)| Reverse(*rate)).map(|(category, rate)| {
                TopRateCategory { category: category.clone(), rate: Decimal::<1>(rate) }
            }),
        }
    }

    fn highlights(&self) -> Highlights {
        Highlights {
            hot_products: HotProducts {
                count: self.hot.count,
                quantity: self.hot.quantity,
                sales: self.hot.sales.into(),
                profit: self.hot.profit.into(),
                sustained: self.hot.sustained,
                products: list(&self.hot.products, |(store_id, key, name), facts| HotProduct {
                    store_id,
                    key,
                    name,
                    quantity: facts.quantity,
                    growth: Decimal::<1>(facts.growth.0),
                    streak: facts.streak,
                }),
            },
            high_profit: HighProfit {
                count: self.high_profit.count,
                profit: self.high_profit.profit.into(),
                products: list(&self.high_profit.products, |(store_id, key, name), facts| {
                    HighProfitProduct {
                        store_id,
                        key,
                        name,
                        quantity: facts.quantity,
                        profit: facts.profit.into(),
                        rate: Decimal::<1>(facts.rate.0),
                    }
                }),
            },
        }
    }
}

fn list<T, R>(products: &[Listed<T>], show: impl Fn((String, String, String), &T) -> R) -> Vec<R> {
    products
        .iter()
        .map(|product| {
            show((product.store_id.clone(), product.key.clone(), product.name.clone()), &product.facts)
        })
        .collect()
}

/// Today against the mean of the three days before; the direction compares the change as shown.
fn trend([today, before @ ..]: [u64; 4]) -> DailyTrend {
    let sum = i128::from(before.iter().sum::<u64>());
    if sum == 0 {
        let direction = if today > 0 { Direction::New } else { Direction::Flat };
        return DailyTrend { direction, average_3d: Decimal::<1>(0), change_percent: None };
    }
    let change = percent(i128::from(today) * 3 - sum, sum, 1);
    let direction = match change {
        301.. => Direction::Worse,
        ..=-301 => Direction::Better,
        _ => Direction::Flat,
    };
    DailyTrend {
        direction,
        average_3d: Decimal::<1>(div_half_even(sum * 10, 3)),
        change_percent: Some(Decimal::<1>(change)),
    }
}
