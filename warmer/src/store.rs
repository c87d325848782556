//! Making one store ready: all of it, only the days that changed, or without reading any line.

mod build;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use shared::answers::{Part, StoreData};
use shared::cache::{Levels, Read, Write};
use shared::entry::EncodeError;
use shared::model::{Day, DayRange, Lines, Rules};
use shared::runtime::now_ms;
use shared::source::{Columns, ReadRequest};

use crate::level::Level;
use crate::once::{LevelCount, Steps, count};
use crate::warming::{WarmError, Warming};
pub use build::StoreJob;

/// What was done to one store.
#[derive(Debug, Default)]
pub struct StoreOutcome {
    /// Its parts of the documents over all stores, in their order.
    pub parts: Vec<Part>,
    /// What was written.
    pub counts: Vec<LevelCount>,
    /// Time spent.
    pub steps: Steps,
    /// Order lines read from the source.
    pub lines_read: u64,
    /// Store-days read from the source.
    pub days_read: u64,
}

/// Reads all lines of a store and writes all that is kept of it. `also` is written in the same transaction.
///
/// # Errors
/// If the source cannot be read, an entry not be made, or the cache not be written.
pub async fn warm_whole(
    warming: &Warming,
    job: StoreJob,
    also: Vec<Write>,
) -> Result<StoreOutcome, WarmError> {
    warm_levels(warming, job, &BTreeSet::new(), also).await
}

/// As [`warm_whole`], but writes only these levels (none stands for all). Unless all are written, the store's data are
/// not called confirmed, since the other levels may be older.
///
/// # Errors
/// As [`warm_whole`].
pub async fn warm_levels(
    warming: &Warming,
    mut job: StoreJob,
    only: &BTreeSet<Level>,
    also: Vec<Write>,
) -> Result<StoreOutcome, WarmError> {
    let (start, confirmed_at) = (Instant::now(), now_ms());
    job.orders &= Level::Orders.is_in(only);
    let columns = if job.orders && job.scope.orders.is_some() { Columns::All } else { Columns::ForCells };
    let lines = match job.scope.span {
        Some(range) => read(warming, &job, range, columns).await?,
        None => Lines::default(),
    };
    let days_read = job.scope.span.map_or(0, |span| job.scope.days_with_lines(&job.store_id, span).len());
    let outcome = StoreOutcome {
        lines_read: lines.len() as u64,
        days_read: days_read as u64,
        steps: Steps { read: start.elapsed(), ..Steps::default() },
        ..StoreOutcome::default()
    };
    let store_id = job.store_id.clone();
    let only = only.clone();
    let confirms = Level::is_whole(&only);
    let build = move |levels: &Levels, rules: &Rules, now| {
        let mut built = build::whole(levels, rules, &job, &lines, now)?;
        if !confirms {
            let is_chosen =
                |write: &Write| Level::of_write(levels.keys(), write).is_none_or(|level| level.is_in(&only));
            built.writes.retain(is_chosen);
            built.counts = count(&built.writes);
        }
        Ok(built)
    };
    finish(warming, store_id, confirms.then_some(confirmed_at), outcome, also, build).await
}

/// Reads the lines of `changed` days only, and makes the rest from cells that are ready. `None` if some of those are
/// not there: then the store must be warmed whole.
///
/// # Errors
/// As [`warm_whole`].
pub async fn warm_days(
    warming: &Warming,
    job: StoreJob,
    changed: BTreeSet<Day>,
    also: Vec<Write>,
) -> Result<Option<StoreOutcome>, WarmError> {
    let (start, confirmed_at) = (Instant::now(), now_ms());
    let without = changed.union(&job.new_days()).copied().collect();
    let Some(data) = ready_cells(warming, &job, &without).await? else { return Ok(None) };
    let mut lines = Vec::new();
    for range in
        runs(changed.iter().copied().filter(|day| job.scope.span.is_some_and(|span| span.contains(*day))))
    {
        let columns = if job.keeps_orders_of(range) { Columns::All } else { Columns::ForCells };
        lines.push(read(warming, &job, range, columns).await?);
    }
    let outcome = StoreOutcome {
        lines_read: lines.iter().map(|lines| lines.len() as u64).sum(),
        days_read: changed.len() as u64,
        steps: Steps { read: start.elapsed(), ..Steps::default() },
        ..StoreOutcome::default()
    };
    let store_id = job.store_id.clone();
    let build = move |levels: &Levels, rules: &Rules, now| {
        build::days(levels, rules, &job, data, &changed, &lines, now)
    };
    finish(warming, store_id, Some(confirmed_at), outcome, also, build).await.map(Some)
}

async fn finish<B>(
    warming: &Warming,
    store_id: String,
    confirmed_at: Option<i64>,
    mut outcome: StoreOutcome,
    also: Vec<Write>,
    build: B,
) -> Result<StoreOutcome, WarmError>
where
    B: FnOnce(&Levels, &Rules, i64) -> Result<build::BuiltStore, EncodeError> + Send + 'static,
{
    let start = Instant::now();
    let (levels, rules) = (warming.levels.clone(), Arc::clone(&warming.rules));
    let built = warming.compute.run_waiting(move || build(&levels, &rules, now_ms())).await??;
    outcome.steps.build = start.elapsed();
    let build::BuiltStore { parts, counts, mut writes } = built;
    let levels = &warming.levels;
    writes.extend(also);
    writes.extend(confirmed_at.map(|at| levels.write_fresh(Some(&store_id), at)));
    // Last, so that whoever sees the new version sees the new data.
    writes.push(Write::Bump { key: levels.keys().store_version(&store_id) });
    let start = Instant::now();
    warming.levels.cache().transact(writes).await?;
    outcome.steps.write = start.elapsed();
    outcome.parts = parts;
    outcome.counts = counts;
    Ok(outcome)
}

async fn read(
    warming: &Warming,
    job: &StoreJob,
    range: DayRange,
    columns: Columns,
) -> Result<Lines, WarmError> {
    let request = ReadRequest { stores: vec![job.store_id.clone()], range, columns };
    Ok(warming.source.read(&request).await?)
}

/// The cells that composing needs, but for the days `without`.
async fn ready_cells(
    warming: &Warming,
    job: &StoreJob,
    without: &BTreeSet<Day>,
) -> Result<Option<StoreData>, WarmError> {
    let (days, products) = job.composed();
    match warming.levels.read_store(&job.store_id, days, products, without).await {
        Read::Hit(stored) => {
            let levels = warming.levels.clone();
            Ok(warming.compute.run_waiting(move || levels.decode_store(&stored)).await?)
        }
        // An outage shows itself when the store is written.
        Read::Miss | Read::Unavailable => Ok(None),
    }
}

/// Runs of consecutive days.
fn runs(days: impl Iterator<Item = Day>) -> Vec<DayRange> {
    let mut runs: Vec<DayRange> = Vec::new();
    for day in days {
        match runs.last_mut() {
            Some(run) if run.to.plus(1) == day => run.to = day,
            _ => runs.push(DayRange { from: day, to: day }),
        }
    }
    runs
}
