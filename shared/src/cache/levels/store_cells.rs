//! All the cells that a question needs of one store, at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::Levels;
use crate::answers::StoreData;
use crate::cache::{Patience, Read};
use crate::keys::Slot;
use crate::model::{Day, DayRange};

/// Cells of one store as stored, all of them there.
#[derive(Clone, Debug)]
pub struct StoreCells {
    store_id: String,
    days: Vec<(Day, Bytes)>,
    products: Vec<(Day, Bytes)>,
}

impl Levels {
    /// The day cells of `days` and the product cells of `products` of one store, but for the days `without`. A miss if
    /// any of them is not there.
    pub async fn read_store(
        &self,
        store_id: &str,
        days: Option<DayRange>,
        products: Option<DayRange>,
        without: &BTreeSet<Day>,
    ) -> Read<StoreCells> {
        let wanted = |range: Option<DayRange>| -> Vec<Day> {
            range.into_iter().flat_map(DayRange::days).filter(|day| !without.contains(day)).collect()
        };
        let (days, products) = (wanted(days), wanted(products));
        let keys = self.keys();
        let slots: Vec<Slot> = days
            .iter()
            .map(|day| keys.day_cell(store_id, *day))
            .chain(products.iter().map(|day| keys.product_cell(store_id, *day)))
            .collect();
        let mut found = Vec::with_capacity(slots.len());
        for read in self.cache().read(&slots, Patience::Bulk).await {
            match read {
                Read::Hit(bytes) => found.push(bytes),
                Read::Miss => return Read::Miss,
                Read::Unavailable => return Read::Unavailable,
            }
        }
        let of_products = found.split_off(days.len());
        Read::Hit(StoreCells {
            store_id: store_id.to_owned(),
            days: days.into_iter().zip(found).collect(),
            products: products.into_iter().zip(of_products).collect(),
        })
    }

    /// The cells from their stored bytes, or `None` (counted) if any is damaged. Slow: run it where computing runs.
    #[must_use]
    pub fn decode_store(&self, stored: &StoreCells) -> Option<StoreData> {
        let mut data = StoreData::default();
        for (day, bytes) in &stored.days {
            let (header, cell) = self.decode_day_cell(&stored.store_id, *day, bytes)?;
            if !cell.is_empty() {
                data.versions.insert(*day, header.data_version);
                data.days.insert(*day, Arc::new(cell));
            }
        }
        for (day, bytes) in &stored.products {
            let (header, cell) = self.decode_product_cell(&stored.store_id, *day, bytes)?;
            if cell.lines > 0 {
                data.versions.insert(*day, header.data_version);
                data.products.insert(*day, Arc::new(cell));
            }
        }
        Some(data)
    }
}
