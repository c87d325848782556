//! From the lines of one store to the writes that make it ready, and to its parts of the documents over all stores.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use rayon::prelude::*;
use shared::answers::{Part, StoreData, Work};
use shared::cache::levels::{Stamp, VersionedDay};
use shared::cache::{Levels, Write};
use shared::cells::{StoreDay, build_store_day, partition};
use shared::diagnosis;
use shared::entry::{EncodeError, EntryKind};
use shared::model::{Day, DayRange, Document, Lines, Rules};

use crate::once::{LevelCount, count};
use crate::scope::Scope;

/// What to make of one store.
#[derive(Clone, Debug)]
pub struct StoreJob {
    /// Which.
    pub store_id: String,
    /// What is kept ready.
    pub scope: Scope,
    /// Whether its order lines are kept.
    pub orders: bool,
    /// The days of which cells lie in the cache, where it is known: others are written as days without lines.
    pub before: Option<DayRange>,
}

impl StoreJob {
    /// Whether order lines of any of these days are kept.
    pub(super) fn keeps_orders_of(&self, range: DayRange) -> bool {
        self.orders && self.scope.orders.is_some_and(|orders| orders.intersect(range).is_some())
    }

    fn keeps_orders(&self, day: Day) -> bool {
        self.keeps_orders_of(DayRange { from: day, to: day })
    }

    /// Days of day cells and of product cells that composing needs, the store's own diagnosis included.
    pub(super) fn composed(&self) -> (Option<DayRange>, Option<DayRange>) {
        let (days, products) = self.scope.composed();
        let own = self.scope.own_diagnosis(&self.store_id).filter(|own| self.covers(*own));
        let with_own = |range: Option<DayRange>| {
            range
                .into_iter()
                .chain(own)
                .reduce(|a, b| DayRange { from: a.from.min(b.from), to: a.to.max(b.to) })
        };
        (with_own(days), with_own(products))
    }

    /// Days that came into the retention since the cells in the cache were made: without lines, but for changed ones.
    pub(super) fn new_days(&self) -> BTreeSet<Day> {
        let before = self.before;
        let is_new = |day: &Day| before.is_some_and(|before| !before.contains(*day));
        self.scope.retention.into_iter().flat_map(DayRange::days).filter(is_new).collect()
    }

    /// Days that left it.
    fn old_days(&self) -> Vec<String> {
        let retention = self.scope.retention;
        let is_old = |day: &Day| retention.is_none_or(|retention| !retention.contains(*day));
        self.before.into_iter().flat_map(DayRange::days).filter(is_old).map(|day| day.to_string()).collect()
    }

    /// Whether the days that are read hold a range.
    fn covers(&self, range: DayRange) -> bool {
        self.scope.span.is_some_and(|span| span.from <= range.from)
    }
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

/// Of all lines of the store: replaces everything that is kept of it.
pub(super) fn whole(
    levels: &Levels,
    rules: &Rules,
    job: &StoreJob,
    lines: &Lines,
    now: i64,
) -> Result<BuiltStore, EncodeError> {
    let built = build_days(levels, rules, job, lines, now)?;
    let days = job.scope.retention.into_iter().flat_map(DayRange::days).collect();
    let mut made = Made::new(levels, job, built, &days, now)?;
    let keys = levels.keys();
    let mut writes = Vec::new();
    for (key, kind, cells) in [
        (keys.day_cells(&job.store_id), EntryKind::DayCell, std::mem::take(&mut made.day_cells)),
        (keys.product_cells(&job.store_id), EntryKind::ProductCell, std::mem::take(&mut made.product_cells)),
    ] {
        writes.push(Write::Delete { key: key.clone() });
        writes.push(Write::SetFields { key: key.clone(), fields: cells.into_iter().collect() });
        writes.push(Write::Expire { ttl: levels.ttl().hard(kind, &key), key });
    }
    // Order lines of an earlier run must not outlive the change.
    let order_days = job.scope.orders.into_iter().flat_map(DayRange::days).collect();
    made.replace_orders(levels, job, &order_days, &mut writes);
    finish(levels, job, &made.data, writes, now)
}

/// Of the lines of `changed` days and of the cells of the others.
pub(super) fn days(
    levels: &Levels,
    rules: &Rules,
    job: &StoreJob,
    data: StoreData,
    changed: &BTreeSet<Day>,
    lines: &[Lines],
    now: i64,
) -> Result<BuiltStore, EncodeError> {
    let mut built = Vec::new();
    for lines in lines {
        built.extend(build_days(levels, rules, job, lines, now)?);
    }
    built.retain(|built| changed.contains(&built.day));
    let kept: BTreeSet<Day> = job
        .new_days()
        .iter()
        .chain(changed)
        .copied()
        .filter(|day| job.scope.retention.is_some_and(|range| range.contains(*day)))
        .collect();
    let mut made = Made::new(levels, job, built, &kept, now)?;
    let keys = levels.keys();
    let mut writes = Vec::new();
    for (key, kind, cells) in [
        (keys.day_cells(&job.store_id), EntryKind::DayCell, std::mem::take(&mut made.day_cells)),
        (keys.product_cells(&job.store_id), EntryKind::ProductCell, std::mem::take(&mut made.product_cells)),
    ] {
        writes.push(Write::SetFields { key: key.clone(), fields: cells.into_iter().collect() });
        writes.push(Write::DeleteFields { key: key.clone(), fields: job.old_days() });
        writes.push(Write::Expire { ttl: levels.ttl().hard(kind, &key), key });
    }
    made.replace_orders(levels, job, changed, &mut writes);
    made.data.days.extend(data.days);
    made.data.products.extend(data.products);
    made.data.versions.extend(data.versions);
    finish(levels, job, &made.data, writes, now)
}

fn build_days(
    levels: &Levels,
    rules: &Rules,
    job: &StoreJob,
    lines: &Lines,
    now: i64,
) -> Result<Vec<BuiltDay>, EncodeError> {
    let view = lines.view();
    let groups: Vec<_> =
        partition(&view).into_iter().filter(|group| group.store_id == job.store_id).collect();
    groups
        .par_iter()
        .map(|group| {
            let cells = VersionedDay::new(build_store_day(&view, &group.rows, rules))?;
            let kept = job.scope.retention.is_some_and(|range| range.contains(group.day));
            let entries =
                kept.then(|| levels.encode_cells(&job.store_id, group.day, &cells, now)).transpose()?;
            let orders = job.keeps_orders(group.day).then(|| {
                let rows: Vec<u32> = group.rows.iter().cloned().flatten().collect();
                levels.write_orders(&job.store_id, group.day, lines.take(&rows).sorted(), now)
            });
            Ok(BuiltDay { day: group.day, cells, entries, orders: orders.transpose()? })
        })
        .collect()
}

/// The built days by kind of entry.
struct Made {
    day_cells: BTreeMap<String, Bytes>,
    product_cells: BTreeMap<String, Bytes>,
    orders: BTreeMap<Day, Write>,
    data: StoreData,
}

impl Made {
    /// `days` get an explicit empty cell where nothing was built: an absent one means "not cached".
    fn new(
        levels: &Levels,
        job: &StoreJob,
        built: Vec<BuiltDay>,
        days: &BTreeSet<Day>,
        now: i64,
    ) -> Result<Self, EncodeError> {
        let mut made = Self {
            day_cells: BTreeMap::new(),
            product_cells: BTreeMap::new(),
            orders: BTreeMap::new(),
            data: StoreData::default(),
        };
        for day in built {
            if let Some((day_cell, product_cell)) = day.entries {
                made.day_cells.insert(day.day.to_string(), day_cell);
                made.product_cells.insert(day.day.to_string(), product_cell);
            }
            if let Some(write) = day.orders {
                made.orders.insert(day.day, write);
            }
            made.data.versions.insert(day.day, day.cells.version);
            let StoreDay { day: cell, products } = day.cells.cells;
            made.data.days.insert(day.day, Arc::new(cell));
            made.data.products.insert(day.day, Arc::new(products));
        }
        let empty = VersionedDay::new(StoreDay::default())?;
        for day in days {
            let field = day.to_string();
            if !made.day_cells.contains_key(&field) {
                let (day_cell, product_cell) = levels.encode_cells(&job.store_id, *day, &empty, now)?;
                made.day_cells.insert(field.clone(), day_cell);
                made.product_cells.insert(field, product_cell);
            }
        }
        Ok(made)
    }

    /// Writes the order lines of these days that are kept, and removes those that are not.
    fn replace_orders(
        &mut self,
        levels: &Levels,
        job: &StoreJob,
        days: &BTreeSet<Day>,
        writes: &mut Vec<Write>,
    ) {
        for day in days {
            let gone = || Write::Delete { key: levels.keys().orders(&job.store_id, *day).key };
            writes.push(self.orders.remove(day).unwrap_or_else(gone));
        }
    }
}

/// Composes what is made of all cells.
fn finish(
    levels: &Levels,
    job: &StoreJob,
    data: &StoreData,
    mut writes: Vec<Write>,
    now: i64,
) -> Result<BuiltStore, EncodeError> {
    let parts = compose(job, data);
    writes.extend(write_partials(levels, job, data, &parts, now)?);
    let counts = count(&writes);
    Ok(BuiltStore { parts, counts, writes })
}

fn compose(job: &StoreJob, data: &StoreData) -> Vec<Part> {
    let mut work = Work::new(&job.store_id, data);
    job.scope.queries.iter().map(|query| work.part(query)).collect()
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
    let own = job.scope.own_diagnosis(&job.store_id);
    let stamp = |version| Stamp { now, as_of: own.map(|range| range.to), version };
    let fleet = job.scope.queries.iter().zip(parts).find(|(query, _)| query.document == Document::Diagnosis);
    let fleet_range = fleet.and_then(|(query, _)| query.diagnosis);
    if let (Some(range), Some((partial, version))) =
        (fleet_range, fleet.and_then(|(_, part)| part.as_partial()))
    {
        writes.push(levels.write_partial(&job.store_id, range, partial, &stamp(version))?);
    }
    if let Some(range) = own.filter(|range| Some(*range) != fleet_range && job.covers(*range)) {
        let partial = diagnosis::partial(&job.store_id, &data.days, &data.products, range);
        let versions = data.versions.range(range.from..=range.to);
        let version = versions.map(|(day, version)| version.placed(&job.store_id, *day)).sum();
        writes.push(levels.write_partial(&job.store_id, range, &partial, &stamp(version))?);
    }
    Ok(writes)
}
