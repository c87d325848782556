//! From the lines of one store to the writes that make it ready, and to its parts of the documents over all stores.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rayon::prelude::*;
use shared::answers::{Part, StoreData, Work};
use shared::cache::levels::{Stamp, VersionedDay};
use shared::cache::{Levels, Write};
use shared::cells::{StoreDay, build_store_day, partition};
use shared::diagnosis;
use shared::entry::{EncodeError, EntryKind};
use shared::model::{Day, DayRange, Document, Lines, Query, Rules};

use super::report::LevelCount;

/// What to make of one store.
pub(super) struct StoreJob {
    pub(super) store_id: String,
    /// Days to read.
    pub(super) span: Option<DayRange>,
    /// Days of cells to keep.
    pub(super) retention: Option<DayRange>,
    /// Days of order lines to keep, if the store is hot.
    pub(super) orders: Option<DayRange>,
    /// Days of which order lines of an earlier run may lie about.
    pub(super) order_days: Option<DayRange>,
    /// Documents over all stores.
    pub(super) queries: Arc<Vec<Query>>,
    /// Range of the store's own default diagnosis.
    pub(super) own_diagnosis: Option<DayRange>,
}

/// What was made of it.
pub(super) struct BuiltStore {
    pub(super) parts: Vec<Part>,
    pub(super) counts: Vec<LevelCount>,
    pub(super) writes: Vec<Write>,
}

/// One day of the store: cells as entries, and in memory for composition.
struct BuiltDay {
    day: Day,
    cells: VersionedDay,
    entries: Option<(Bytes, Bytes)>,
    orders: Option<Write>,
}

pub(super) fn build(
    levels: &Levels,
    rules: &Rules,
    job: &StoreJob,
    lines: &Lines,
    now: i64,
) -> Result<BuiltStore, EncodeError> {
    let view = lines.view();
    let groups: Vec<_> =
        partition(&view).into_iter().filter(|group| group.store_id == job.store_id).collect();
    let built: Vec<BuiltDay> = groups
        .par_iter()
        .map(|group| {
            let cells = VersionedDay::new(build_store_day(&view, &group.rows, rules))?;
            let kept = job.retention.is_some_and(|range| range.contains(group.day));
            let entries =
                kept.then(|| levels.encode_cells(&job.store_id, group.day, &cells, now)).transpose()?;
            let orders = job.orders.is_some_and(|range| range.contains(group.day)).then(|| {
                let rows: Vec<u32> = group.rows.iter().cloned().flatten().collect();
                levels.write_orders(&job.store_id, group.day, lines.take(&rows).sorted(), now)
            });
            Ok(BuiltDay { day: group.day, cells, entries, orders: orders.transpose()? })
        })
        .collect::<Result<_, EncodeError>>()?;
    write_store(levels, job, built, now)
}

fn write_store(
    levels: &Levels,
    job: &StoreJob,
    built: Vec<BuiltDay>,
    now: i64,
) -> Result<BuiltStore, EncodeError> {
    let keys = levels.keys();
    let mut writes = Vec::new();
    let (mut day_cells, mut product_cells) = (BTreeMap::new(), BTreeMap::new());
    let mut gone: Vec<Day> = job.order_days.into_iter().flat_map(DayRange::days).collect();
    let mut data = StoreData::default();
    for day in built {
        if let Some((day_cell, product_cell)) = day.entries {
            day_cells.insert(day.day.to_string(), day_cell);
            product_cells.insert(day.day.to_string(), product_cell);
        }
        if let Some(write) = day.orders {
            gone.retain(|other| *other != day.day);
            writes.push(write);
        }
        data.versions.insert(day.day, day.cells.version);
        let StoreDay { day: cell, products } = day.cells.cells;
        data.days.insert(day.day, Arc::new(cell));
        data.products.insert(day.day, Arc::new(products));
    }
    // A day without lines is an explicit empty cell: an absent one means "not cached".
    let empty = VersionedDay::new(StoreDay::default())?;
    for day in job.retention.into_iter().flat_map(DayRange::days) {
        let field = day.to_string();
        if !day_cells.contains_key(&field) {
            let (day_cell, product_cell) = levels.encode_cells(&job.store_id, day, &empty, now)?;
            day_cells.insert(field.clone(), day_cell);
            product_cells.insert(field, product_cell);
        }
    }
    // Order lines of an earlier run must not outlive the change.
    writes.extend(gone.into_iter().map(|day| Write::Delete { key: keys.orders(&job.store_id, day).key }));
    for (key, kind, cells) in [
        (keys.day_cells(&job.store_id), EntryKind::DayCell, day_cells),
        (keys.product_cells(&job.store_id), EntryKind::ProductCell, product_cells),
    ] {
        writes.push(Write::Delete { key: key.clone() });
        writes.push(Write::SetFields { key: key.clone(), fields: cells.into_iter().collect() });
        writes.push(Write::Expire { ttl: levels.ttl().hard(kind, &key), key });
    }
    let parts = compose(job, &data);
    writes.extend(write_partials(levels, job, &data, &parts, now)?);
    writes.push(levels.write_fresh(Some(&job.store_id), now));
    // Last, so that whoever sees the new version sees the new data.
    writes.push(Write::Bump { key: keys.store_version(&job.store_id) });
    let counts = super::report::count(&writes);
    Ok(BuiltStore { parts, counts, writes })
}

fn compose(job: &StoreJob, data: &StoreData) -> Vec<Part> {
    let mut work = Work::new(&job.store_id, data);
    job.queries.iter().map(|query| work.part(query)).collect()
}

/// The partial of the diagnosis over all stores, and that of the store's own, if it ends on another day.
fn write_partials(
    levels: &Levels,
    job: &StoreJob,
    data: &StoreData,
    parts: &[Part],
    now: i64,
) -> Result<Vec<Write>, EncodeError> {
    let mut writes = Vec::new();
    let stamp = |version| Stamp { now, as_of: job.own_diagnosis.map(|range| range.to), version };
    let fleet = job.queries.iter().zip(parts).find(|(query, _)| query.document == Document::Diagnosis);
    let fleet_range = fleet.and_then(|(query, _)| query.diagnosis);
    if let (Some(range), Some((partial, version))) =
        (fleet_range, fleet.and_then(|(_, part)| part.as_partial()))
    {
        writes.push(levels.write_partial(&job.store_id, range, partial, &stamp(version))?);
    }
    if let Some(range) = job.own_diagnosis.filter(|range| Some(*range) != fleet_range) {
        let covered = job.span.is_some_and(|span| span.from <= range.from);
        if covered {
            let partial = diagnosis::partial(&job.store_id, &data.days, &data.products, range);
            let versions = data.versions.range(range.from..=range.to);
            let version = versions.map(|(day, version)| version.placed(&job.store_id, *day)).sum();
            writes.push(levels.write_partial(&job.store_id, range, &partial, &stamp(version))?);
        }
    }
    Ok(writes)
}
