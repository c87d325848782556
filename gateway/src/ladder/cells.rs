//! L2: what is composed of cells, in chunks of stores so that memory stays bounded whatever is asked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rayon::prelude::*;
use shared::access_log::Outcome;
use shared::answers::{Part, StoreData};
use shared::cache::{Levels, Patience, Read};
use shared::cells::{DayCell, ProductCell};
use shared::keys::Slot;
use shared::model::{DataVersion, Day, DayRange, Query, StoreInfo};
use shared::runtime::now_ms;

use super::{Fetched, Fill};
use crate::near::{Near, ReadIn};
use crate::problem::Problem;

/// Cells that are read and decoded together.
const CELLS_PER_CHUNK: usize = 2048;
/// Cells that one thread takes: some milliseconds of its time.
const CELLS_AT_ONCE: usize = 256;
/// Lines that one chunk may have to read from the source, about: a tenth of a gigabyte in memory.
const LINES_PER_CHUNK: u64 = 200_000;

/// The days of one store that a question needs, and what the directory says of them.
struct Wanted {
    store_id: String,
    days: BTreeSet<Day>,
    products: BTreeSet<Day>,
    /// Days with lines.
    with_lines: BTreeSet<Day>,
    lines_per_day: u64,
}

impl Wanted {
    fn new(query: &Query, store: &StoreInfo) -> Self {
        let needs = query.needs();
        let known = store.days.first().zip(store.days.last()).map(|(from, to)| DayRange { from, to });
        let within = |range: Option<DayRange>| -> BTreeSet<Day> {
            let range = range.zip(known).and_then(|(range, known)| range.intersect(known));
            range.into_iter().flat_map(DayRange::days).collect()
        };
        let with_lines = needs.span().into_iter().flat_map(|span| store.days.within(span)).collect();
        let all = DayRange { from: Day::MIN, to: Day::MAX };
        let days_with_lines = store.days.within(all).count() as u64;
        Self {
            store_id: store.store_id.clone(),
            days: within(needs.days),
            products: within(needs.products),
            with_lines,
            lines_per_day: store.lines / days_with_lines.max(1) + 1,
        }
    }

    fn cells(&self) -> usize {
        self.days.len() + self.products.len()
    }
}

/// One store's cells as far as they are ready, and what is not.
pub(super) struct Ready {
    pub(super) store_id: String,
    pub(super) data: StoreData,
    /// Days with lines of which a cell is neither near nor in the cache.
    pub(super) missing: BTreeSet<Day>,
    /// Cells that are not near.
    days: Vec<Day>,
    products: Vec<Day>,
    with_lines: BTreeSet<Day>,
}

/// A cell that was read from the cache.
enum Decoded {
    Day(Day, DataVersion, Arc<DayCell>),
    Products(Day, DataVersion, Arc<ProductCell>),
}

impl Fill {
    /// Composes the contributions of `stores` from cells, and from what is missing of them.
    pub(super) async fn compose_cells(
        &self,
        stores: &[String],
        fetched: &mut Fetched,
    ) -> Result<(), Problem> {
        fetched.at_least(Outcome::L2Compose);
        let mut missing = 0;
        let mut chunk: Vec<Wanted> = Vec::new();
        let (mut cells, mut lines) = (0, 0);
        for store in stores.iter().filter_map(|id| self.directory.get(id)) {
            let wanted = Wanted::new(&self.query, store);
            let of_store = wanted.lines_per_day * wanted.with_lines.len() as u64;
            if !chunk.is_empty()
                && (cells + wanted.cells() > CELLS_PER_CHUNK || lines + of_store > LINES_PER_CHUNK)
            {
                self.one_chunk(std::mem::take(&mut chunk), &mut missing, fetched).await?;
                (cells, lines) = (0, 0);
            }
            cells += wanted.cells();
            lines += of_store;
            chunk.push(wanted);
        }
        if !chunk.is_empty() {
            self.one_chunk(chunk, &mut missing, fetched).await?;
        }
        Ok(())
    }

    async fn one_chunk(
        &self,
        chunk: Vec<Wanted>,
        missing: &mut usize,
        fetched: &mut Fetched,
    ) -> Result<(), Problem> {
        let (near, now) = (self.app.near(), now_ms());
        let mut ready: Vec<Ready> = chunk.into_iter().map(|wanted| look_near(near, wanted, now)).collect();
        if ready.iter().any(|ready| !ready.days.is_empty() || !ready.products.is_empty()) {
            ready = self.read_cells(ready, fetched).await?;
        }
        let chunk_misses: usize = ready.iter().map(|ready| ready.missing.len()).sum();
        *missing += chunk_misses;
        if *missing > self.app.max_source_store_days() {
            return Err(Problem::too_much_source(*missing, self.app.max_source_store_days()));
        }
        if chunk_misses > 0 {
            self.fetch_missing(&mut ready, fetched).await?;
        }
        let start = Instant::now();
        let query = Arc::clone(&self.query);
        let part = self.app.compute().run(move || compose(&query, &ready)).await?;
        fetched.part.merge(part, &self.query);
        fetched.timing.compute += start.elapsed();
        Ok(())
    }

    /// Reads the cells that are not near, in one round trip per some hundred, and keeps them near.
    async fn read_cells(&self, ready: Vec<Ready>, fetched: &mut Fetched) -> Result<Vec<Ready>, Problem> {
        let start = Instant::now();
        let keys = self.app.levels().keys();
        let slots: Vec<Slot> = ready
            .iter()
            .flat_map(|ready| {
                let day_cells = ready.days.iter().map(|day| keys.day_cell(&ready.store_id, *day));
                day_cells.chain(ready.products.iter().map(|day| keys.product_cell(&ready.store_id, *day)))
            })
            .collect();
        let reads = self.app.levels().cache().read(&slots, Patience::Bulk).await;
        fetched.timing.cache += start.elapsed();
        fetched.cache_is_down |= reads.contains(&Read::Unavailable);
        let start = Instant::now();
        let (levels, near) = (self.app.levels().clone(), self.app.near().clone());
        let read = ReadIn { epoch: self.epoch, source_at: None };
        let ready = self.app.compute().run(move || decode(&levels, &near, read, ready, reads)).await?;
        fetched.timing.compute += start.elapsed();
        Ok(ready)
    }
}

fn look_near(near: &Near, wanted: Wanted, now: i64) -> Ready {
    let Wanted { store_id, days, products, with_lines, .. } = wanted;
    let (mut data, missing) = (StoreData::default(), BTreeSet::new());
    let mut to_read = (Vec::new(), Vec::new());
    for day in days {
        match near.day_cell(&store_id, day, now) {
            Some((version, cell)) => data.put_day(day, version, cell),
            None => to_read.0.push(day),
        }
    }
    for day in products {
        match near.product_cell(&store_id, day, now) {
            Some((version, cell)) => data.put_products(day, version, cell),
            None => to_read.1.push(day),
        }
    }
    Ready { store_id, data, missing, days: to_read.0, products: to_read.1, with_lines }
}

/// Days without lines are left out.
pub(super) trait Put {
    fn put_day(&mut self, day: Day, version: DataVersion, cell: Arc<DayCell>);
    fn put_products(&mut self, day: Day, version: DataVersion, cell: Arc<ProductCell>);
}

impl Put for StoreData {
    fn put_day(&mut self, day: Day, version: DataVersion, cell: Arc<DayCell>) {
        if !cell.is_empty() {
            self.versions.insert(day, version);
            self.days.insert(day, cell);
        }
    }

    fn put_products(&mut self, day: Day, version: DataVersion, cell: Arc<ProductCell>) {
        if cell.lines > 0 {
            self.versions.insert(day, version);
            self.products.insert(day, cell);
        }
    }
}

fn decode(
    levels: &Levels,
    near: &Near,
    read: ReadIn,
    ready: Vec<Ready>,
    reads: Vec<Read<Bytes>>,
) -> Vec<Ready> {
    let (cells, stores) = (reads.len(), ready.len());
    let mut reads = reads.into_iter();
    let with_reads: Vec<(Ready, Vec<Option<Bytes>>)> = ready
        .into_iter()
        .map(|ready| {
            let own = reads.by_ref().take(ready.days.len() + ready.products.len()).map(Read::hit).collect();
            (ready, own)
        })
        .collect();
    let stores = with_reads.into_par_iter().with_min_len(stores_at_once(cells, stores));
    stores.map(|(ready, reads)| decode_store(levels, near, read, ready, reads)).collect()
}

/// Stores of a question that one thread takes: all of a small question. Whoever waits for another thread meanwhile takes
/// other questions from the pool, begins them later than their turn, and lets his own wait for them.
fn stores_at_once(cells: usize, stores: usize) -> usize {
    (CELLS_AT_ONCE / (cells / stores.max(1)).max(1)).max(1)
}

fn decode_store(
    levels: &Levels,
    near: &Near,
    read: ReadIn,
    mut ready: Ready,
    reads: Vec<Option<Bytes>>,
) -> Ready {
    let store_id = ready.store_id.as_str();
    let mut reads = reads.into_iter();
    let mut decoded = Vec::with_capacity(ready.days.len() + ready.products.len());
    for day in &ready.days {
        let bytes = reads.next().flatten();
        match bytes.and_then(|bytes| levels.decode_day_cell(store_id, *day, &bytes)) {
            Some((header, cell)) => decoded.push(Decoded::Day(*day, header.data_version, Arc::new(cell))),
            // The directory says which days have no lines: only the others must be fetched.
            None if ready.with_lines.contains(day) => drop(ready.missing.insert(*day)),
            None => decoded.push(Decoded::Day(*day, DataVersion::default(), Arc::default())),
        }
    }
    for day in &ready.products {
        let bytes = reads.next().flatten();
        match bytes.and_then(|bytes| levels.decode_product_cell(store_id, *day, &bytes)) {
            Some((header, cell)) => {
                decoded.push(Decoded::Products(*day, header.data_version, Arc::new(cell)));
            }
            None if ready.with_lines.contains(day) => drop(ready.missing.insert(*day)),
            None => decoded.push(Decoded::Products(*day, DataVersion::default(), Arc::default())),
        }
    }
    for cell in decoded {
        match cell {
            Decoded::Day(day, version, cell) => {
                near.keep_day_cell((store_id, day), version, &cell, read);
                ready.data.put_day(day, version, cell);
            }
            Decoded::Products(day, version, cell) => {
                near.keep_product_cell((store_id, day), version, &cell, read);
                ready.data.put_products(day, version, cell);
            }
        }
    }
    ready
}

fn compose(query: &Query, ready: &[Ready]) -> Part {
    let cells = ready.iter().map(|ready| ready.data.days.len() + ready.data.products.len()).sum();
    let stores = ready.par_iter().with_min_len(stores_at_once(cells, ready.len()));
    let parts: Vec<Part> = stores.map(|ready| Part::of_store(query, &ready.store_id, &ready.data)).collect();
    let mut merged = Part::empty();
    for part in parts {
        merged.merge(part, query);
    }
    merged
}
