//! Fetching the parts of a question: partials, then cells, then what is missing from the source, in chunks of stores
//! so that memory stays bounded whatever is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rayon::prelude::*;
use shared::access_log::Outcome;
use shared::answers::{Part, StoreData};
use shared::cache::levels::VersionedDay;
use shared::cache::{Levels, Patience, Read};
use shared::cells::{StoreDay, build_store_day, partition};
use shared::entry::EncodeError;
use shared::keys::Slot;
use shared::model::{Day, DayRange, Directory, Lines, Query, Rules, StoreInfo};
use shared::source::{Columns, ReadRequest};

use super::Timing;
use crate::app::App;
use crate::problem::Problem;

/// Cells that are read and decoded together.
const CELLS_PER_CHUNK: usize = 2048;
/// Lines that one chunk may have to read from the source, about: a tenth of a gigabyte in memory.
const LINES_PER_CHUNK: u64 = 200_000;

/// What was fetched so far.
pub(super) struct Fetched {
    pub(super) part: Part,
    pub(super) outcome: Outcome,
    pub(super) timing: Timing,
}

impl Fetched {
    fn at_least(&mut self, outcome: Outcome) {
        self.outcome = self.outcome.max(outcome);
    }
}

/// Merges the partials that are ready; gives the stores that lack one.
pub(super) async fn partials(
    app: &App,
    query: &Query,
    range: DayRange,
    stores: Vec<String>,
    fetched: &mut Fetched,
) -> Result<Vec<String>, Problem> {
    let start = Instant::now();
    let reads = app.levels().read_partials(&stores, range).await;
    fetched.timing.cache += start.elapsed();
    let start = Instant::now();
    let (levels, of_query) = (app.levels().clone(), query.clone());
    let (part, missing) = app
        .compute()
        .run(move || {
            let decode = |(store, read): (String, Read<Bytes>)| {
                let bytes = read.hit();
                let decoded = bytes.and_then(|bytes| levels.decode_partial(&store, range, &bytes));
                (store, decoded)
            };
            let decoded: Vec<_> = stores.into_par_iter().zip(reads).map(decode).collect();
            let (mut merged, mut missing) = (Part::empty(), Vec::new());
            for (store, decoded) in decoded {
                match decoded {
                    Some((header, partial)) => {
                        merged.merge(Part::of_partial(partial, header.data_version), &of_query);
                    }
                    None => missing.push(store),
                }
            }
            (merged, missing)
        })
        .await?;
    fetched.part.merge(part, query);
    fetched.timing.compute += start.elapsed();
    Ok(missing)
}

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

/// Composes the contributions of `stores` from cells, and from the source where cells are missing.
pub(super) async fn cells(
    app: &App,
    query: &Query,
    directory: &Arc<Directory>,
    stores: &[String],
    fetched: &mut Fetched,
) -> Result<(), Problem> {
    fetched.at_least(Outcome::L2Compose);
    let mut from_source = 0;
    let mut chunk: Vec<Wanted> = Vec::new();
    let (mut cells, mut lines) = (0, 0);
    for store in stores.iter().filter_map(|id| directory.get(id)) {
        let wanted = Wanted::new(query, store);
        let of_store = wanted.lines_per_day * wanted.with_lines.len() as u64;
        if !chunk.is_empty()
            && (cells + wanted.cells() > CELLS_PER_CHUNK || lines + of_store > LINES_PER_CHUNK)
        {
            one_chunk(app, query, std::mem::take(&mut chunk), &mut from_source, fetched).await?;
            (cells, lines) = (0, 0);
        }
        cells += wanted.cells();
        lines += of_store;
        chunk.push(wanted);
    }
    if !chunk.is_empty() {
        one_chunk(app, query, chunk, &mut from_source, fetched).await?;
    }
    Ok(())
}

/// One store's cells as far as they are ready, and the days that are missing.
struct Ready {
    store_id: String,
    data: StoreData,
    missing: BTreeSet<Day>,
}

async fn one_chunk(
    app: &App,
    query: &Query,
    chunk: Vec<Wanted>,
    from_source: &mut usize,
    fetched: &mut Fetched,
) -> Result<(), Problem> {
    let start = Instant::now();
    let keys = app.levels().keys();
    let slots: Vec<Slot> = chunk
        .iter()
        .flat_map(|wanted| {
            let day_cells = wanted.days.iter().map(|day| keys.day_cell(&wanted.store_id, *day));
            day_cells.chain(wanted.products.iter().map(|day| keys.product_cell(&wanted.store_id, *day)))
        })
        .collect();
    let reads = app.levels().cache().read(&slots, Patience::Bulk).await;
    fetched.timing.cache += start.elapsed();
    let start = Instant::now();
    let levels = app.levels().clone();
    let ready = app.compute().run(move || decode(&levels, chunk, reads)).await?;
    fetched.timing.compute += start.elapsed();

    let missing: usize = ready.iter().map(|ready| ready.missing.len()).sum();
    *from_source += missing;
    if *from_source > app.max_source_store_days() {
        return Err(Problem::too_much_source(*from_source, app.max_source_store_days()));
    }
    let mut lines = Vec::new();
    if missing > 0 {
        fetched.at_least(Outcome::Source);
        let start = Instant::now();
        lines = read_source(app, &ready).await?;
        fetched.timing.source += start.elapsed();
    }
    let start = Instant::now();
    let (rules, of_query) = (Arc::clone(app.rules()), query.clone());
    let part = app.compute().run(move || compose(&rules, &of_query, ready, &lines)).await??;
    fetched.part.merge(part, query);
    fetched.timing.compute += start.elapsed();
    Ok(())
}

fn decode(levels: &Levels, chunk: Vec<Wanted>, reads: Vec<Read<Bytes>>) -> Vec<Ready> {
    let mut reads = reads.into_iter();
    let with_reads: Vec<(Wanted, Vec<Option<Bytes>>)> = chunk
        .into_iter()
        .map(|wanted| {
            let own = reads.by_ref().take(wanted.cells()).map(Read::hit).collect();
            (wanted, own)
        })
        .collect();
    with_reads.into_par_iter().map(|(wanted, reads)| decode_store(levels, wanted, reads)).collect()
}

fn decode_store(levels: &Levels, wanted: Wanted, reads: Vec<Option<Bytes>>) -> Ready {
    let Wanted { store_id, days, products, with_lines, .. } = wanted;
    let mut reads = reads.into_iter();
    let mut ready = Ready { store_id, data: StoreData::default(), missing: BTreeSet::new() };
    for day in days {
        let bytes = reads.next().flatten();
        match bytes.and_then(|bytes| levels.decode_day_cell(&ready.store_id, day, &bytes)) {
            Some((_, cell)) if cell.is_empty() => {}
            Some((header, cell)) => {
                ready.data.versions.insert(day, header.data_version);
                ready.data.days.insert(day, Arc::new(cell));
            }
            // The directory says which days have no lines: only the others must be fetched.
            None if with_lines.contains(&day) => {
                ready.missing.insert(day);
            }
            None => {}
        }
    }
    for day in products {
        let bytes = reads.next().flatten();
        match bytes.and_then(|bytes| levels.decode_product_cell(&ready.store_id, day, &bytes)) {
            Some((_, cell)) if cell.lines == 0 => {}
            Some((header, cell)) => {
                ready.data.versions.insert(day, header.data_version);
                ready.data.products.insert(day, Arc::new(cell));
            }
            None if with_lines.contains(&day) => {
                ready.missing.insert(day);
            }
            None => {}
        }
    }
    ready
}

/// Reads the lines of all missing store-days: stores of which most is missing together, the others one by one.
async fn read_source(app: &App, ready: &[Ready]) -> Result<Vec<Lines>, Problem> {
    let mut together: BTreeMap<DayRange, Vec<String>> = BTreeMap::new();
    let spans: Vec<(&Ready, DayRange)> = ready
        .iter()
        .filter_map(|ready| {
            let (from, to) = (*ready.missing.first()?, *ready.missing.last()?);
            Some((ready, DayRange { from, to }))
        })
        .collect();
    let widest = spans
        .iter()
        .map(|(_, span)| *span)
        .reduce(|a, b| DayRange { from: a.from.min(b.from), to: a.to.max(b.to) });
    let Some(widest) = widest else { return Ok(Vec::new()) };
    for (ready, span) in spans {
        let range = if span.len() * 2 > widest.len() { widest } else { span };
        together.entry(range).or_default().push(ready.store_id.clone());
    }
    let mut lines = Vec::with_capacity(together.len());
    for (range, stores) in together {
        let request = ReadRequest { stores, range, columns: Columns::ForCells };
        lines.push(app.source().read(&request).await.map_err(|error| Problem::source(&error))?);
    }
    Ok(lines)
}

/// Builds the missing cells and composes the chunk's part.
fn compose(
    rules: &Rules,
    query: &Query,
    mut ready: Vec<Ready>,
    lines: &[Lines],
) -> Result<Part, EncodeError> {
    ready.sort_by(|a, b| a.store_id.cmp(&b.store_id));
    for lines in lines {
        let view = lines.view();
        let built: Vec<(String, Day, VersionedDay)> = partition(&view)
            .into_par_iter()
            .filter(|group| is_missing(&ready, &group.store_id, group.day))
            .map(|group| {
                let cells = VersionedDay::new(build_store_day(&view, &group.rows, rules))?;
                Ok((group.store_id, group.day, cells))
            })
            .collect::<Result<_, EncodeError>>()?;
        for (store_id, day, VersionedDay { cells: StoreDay { day: cell, products }, version, .. }) in built {
            if let Ok(at) = ready.binary_search_by(|ready| ready.store_id.cmp(&store_id)) {
                let data = &mut ready[at].data;
                data.versions.insert(day, version);
                data.days.insert(day, Arc::new(cell));
                data.products.insert(day, Arc::new(products));
            }
        }
    }
    let parts: Vec<Part> =
        ready.par_iter().map(|ready| Part::of_store(query, &ready.store_id, &ready.data)).collect();
    let mut merged = Part::empty();
    for part in parts {
        merged.merge(part, query);
    }
    Ok(merged)
}

fn is_missing(ready: &[Ready], store_id: &str, day: Day) -> bool {
    ready
        .binary_search_by(|ready| ready.store_id.as_str().cmp(store_id))
        .is_ok_and(|at| ready[at].missing.contains(&day))
}
