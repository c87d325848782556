//! Stores with lines of the load tester's generator, small enough for a processor that callgrind plays.

use std::sync::Arc;

use loadtest::generate::{GenerateSettings, Generator};
use shared::answers::StoreData;
use shared::cache::levels::VersionedDay;
use shared::cells::build_store_day;
use shared::model::{Ask, Day, Directory, Document, Lines, Query, Rules, StoreInfo};

/// 2026-03-07
pub(crate) const LAST_DAY: Day = Day(20_519);
const SEED: u64 = 1;

/// Stores of so many lines a day.
pub(crate) struct Shop {
    pub(crate) directory: Directory,
    /// The lines of the last day of the first store.
    pub(crate) lines: Lines,
    /// Cells of all days, by store.
    pub(crate) data: Vec<(String, StoreData)>,
    /// Those of the last day of the first store.
    pub(crate) last: VersionedDay,
}

impl Shop {
    pub(crate) fn new(stores: u32, days: u32, lines_per_day: u64) -> Self {
        let settings = GenerateSettings {
            stores,
            days,
            lines_per_store: Some(u64::from(days) * lines_per_day),
            seed: SEED,
            last_day: LAST_DAY,
        };
        let generator = Generator::new(&settings).unwrap();
        let (mut infos, mut data, mut first) = (Vec::new(), Vec::new(), None);
        for store in 0..stores {
            let store_id = generator.store_id(store);
            let first_day = LAST_DAY.plus(1 - days as i32);
            let (mut cells, mut count) = (StoreData::default(), 0);
            for (offset, lines) in generator.store(store).enumerate() {
                let day = first_day.plus(offset as i32);
                let built = build(&lines);
                count += lines.len() as u64;
                cells.days.insert(day, Arc::new(built.cells.day.clone()));
                cells.products.insert(day, Arc::new(built.cells.products.clone()));
                cells.versions.insert(day, built.version);
                if store == 0 && day == LAST_DAY {
                    first = Some((lines, built));
                }
            }
            let days = cells.days.keys().copied().collect();
            infos.push(StoreInfo {
                name: format!("门店{store_id}"),
                store_id: store_id.clone(),
                city: None,
                lines: count,
                days,
            });
            data.push((store_id, cells));
        }
        let (lines, last) = first.unwrap();
        Self { directory: Directory::new(infos), lines, data, last }
    }

    /// A question about all of its stores, or the first.
    pub(crate) fn query(&self, document: Document, stores: usize) -> Query {
        let named = self.data.iter().take(stores).map(|(store_id, _)| store_id.clone()).collect();
        Ask { stores: Some(named), ..Ask::default_for(document) }.resolve(&self.directory).unwrap()
    }
}

fn build(lines: &Lines) -> VersionedDay {
    let all = 0..u32::try_from(lines.len()).unwrap();
    VersionedDay::new(build_store_day(&lines.view(), &[all], &Rules::default())).unwrap()
}
