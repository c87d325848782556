//! `warmer once`: reads all stores and makes every level ready, then says what it did.

mod build;
mod report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::answers::Part;
use shared::cache::levels::Stamp;
use shared::cache::{CacheError, Levels, Read, StoredAnswer, Write};
use shared::config::Settings;
use shared::entry::EncodeError;
use shared::model::query::{Granularity, ProductSort, SortOrder, StoreSort};
use shared::model::{Ask, DayRange, Directory, Document, Query, Rules};
use shared::runtime::{Busy, ComputePool, now_ms};
use shared::source::{Columns, ReadRequest, Source, SourceError};
use tokio::task::JoinSet;

use build::{BuiltStore, StoreJob};
pub use report::{LevelCount, Report, Steps};

/// Products that the warmed lists hold: the default of the REST parameter.
const PRODUCT_LIMIT: u16 = 20;
/// Most writes of one transaction beside those of a store's hashes.
const STORE_FAILURES_KEPT: usize = 20;

/// Why warming stopped. The failure of one store does not: it is in the report.
#[derive(Debug, thiserror::Error)]
pub enum WarmError {
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// An entry could not be made.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A computation was lost.
    #[error("a computation failed; see the log")]
    Compute(#[from] Busy),
}

/// What warming works with.
#[derive(Clone, Debug)]
pub struct Warming {
    /// Where lines come from.
    pub source: Source,
    /// Where entries go.
    pub levels: Levels,
    /// Where cells are built.
    pub compute: ComputePool,
    /// Rules of the cells.
    pub rules: Arc<Rules>,
    /// Days of cells.
    pub retention_days: i32,
    /// Share of stores with order lines.
    pub hot_share: f64,
    /// Days of order lines.
    pub order_days: i32,
    /// Stores at the same time.
    pub parallel_stores: usize,
}

impl Warming {
    /// From settings.
    #[must_use]
    pub fn new(settings: &Settings, source: Source, levels: Levels, compute: ComputePool) -> Self {
        Self {
            source,
            levels,
            compute,
            rules: Arc::new(settings.rules.clone()),
            retention_days: settings.retention_days,
            hot_share: settings.warm.hot_share,
            order_days: settings.warm.order_days,
            parallel_stores: settings.warm.parallel_stores,
        }
    }
}

/// The documents over all stores that are kept ready, for the default range.
#[must_use]
pub fn fleet_documents() -> Vec<Document> {
    let mut documents = vec![Document::Overview, Document::Channels];
    documents.extend(Granularity::ALL.iter().map(|granularity| Document::Trend(*granularity)));
    documents.extend(StoreSort::ALL.iter().map(|sort| Document::StoreTable(*sort, SortOrder::Descending)));
    documents.extend(ProductSort::ALL.iter().map(|sort| Document::Products(*sort, PRODUCT_LIMIT)));
    documents.push(Document::Diagnosis);
    documents
}

/// Reads all stores and writes L2 cells, L3 partials, the documents over all stores, and L1 of the largest stores.
/// `progress` hears of each store that is done, and of how many there are.
///
/// # Errors
/// When the source's directory cannot be read, or the cache cannot be written at the end. A store that fails is in
/// the report; then the documents over all stores are left as they were.
pub async fn once(warming: &Warming, mut progress: impl FnMut(usize, usize)) -> Result<Report, WarmError> {
    let start = Instant::now();
    let mut report = Report::default();
    let directory = Arc::new(warming.source.directory().await?);
    report.steps.directory = start.elapsed();
    let queries = Arc::new(fleet_queries(&directory));
    let hot = hot_stores(&directory, warming.hot_share);
    let total = directory.stores().len();
    progress(0, total);
    let mut parts: Vec<Part> = queries.iter().map(|_| Part::empty()).collect();
    let mut tasks: JoinSet<(String, Result<StoreOutcome, WarmError>)> = JoinSet::new();
    let mut waiting = directory.stores().iter();
    let mut done = 0;
    loop {
        while tasks.len() < warming.parallel_stores {
            let Some(store) = waiting.next() else { break };
            let job = StoreJob {
                store_id: store.store_id.clone(),
                span: span(warming, &directory, &queries),
                retention: retention(warming, &directory),
                orders: hot.contains(&store.store_id).then(|| orders_span(warming, &directory)).flatten(),
                order_days: orders_span(warming, &directory),
                queries: Arc::clone(&queries),
                own_diagnosis: own_diagnosis(&directory, &store.store_id),
            };
            let warming = warming.clone();
            tasks.spawn(async move { (job.store_id.clone(), warm_store(&warming, job).await) });
        }
        let Some(finished) = tasks.join_next().await else { break };
        done += 1;
        match finished {
            Ok((_, Ok(outcome))) => {
                for ((mine, theirs), query) in parts.iter_mut().zip(outcome.parts).zip(queries.iter()) {
                    mine.merge(theirs, query);
                }
                report.add_store(&outcome.counts, &outcome.steps);
            }
            Ok((store, Err(error))) => {
                tracing::warn!(store, error = %error, "a store was not warmed");
                report.fail(store, error.to_string(), STORE_FAILURES_KEPT);
            }
            Err(error) => {
                tracing::error!(error = %error, "warming a store ended without a result");
                report.fail(String::new(), error.to_string(), STORE_FAILURES_KEPT);
            }
        }
        progress(done, total);
    }
    if report.failed == 0 {
        write_fleet(warming, &directory, &queries, parts, &mut report).await?;
    }
    report.stores = total as u64;
    report.steps.total = start.elapsed();
    Ok(report)
}

struct StoreOutcome {
    parts: Vec<Part>,
    counts: Vec<LevelCount>,
    steps: Steps,
}

async fn warm_store(warming: &Warming, job: StoreJob) -> Result<StoreOutcome, WarmError> {
    let mut steps = Steps::default();
    let start = Instant::now();
    let columns = if job.orders.is_some() { Columns::All } else { Columns::ForCells };
    let lines = match job.span {
        Some(range) => {
            let request = ReadRequest { stores: vec![job.store_id.clone()], range, columns };
            warming.source.read(&request).await?
        }
        None => shared::model::Lines::default(),
    };
    steps.read = start.elapsed();
    let start = Instant::now();
    let (levels, rules) = (warming.levels.clone(), Arc::clone(&warming.rules));
    let built =
        warming.compute.run_waiting(move || build::build(&levels, &rules, &job, &lines, now_ms())).await??;
    steps.build = start.elapsed();
    let BuiltStore { parts, counts, writes } = built;
    let start = Instant::now();
    warming.levels.cache().transact(writes).await?;
    steps.write = start.elapsed();
    Ok(StoreOutcome { parts, counts, steps })
}

fn fleet_queries(directory: &Directory) -> Vec<Query> {
    let resolve = |document| Ask::default_for(document).resolve(directory).ok();
    fleet_documents().into_iter().filter_map(resolve).collect()
}

/// The largest stores by lines, ties by id; at least one if the share is above 0.
fn hot_stores(directory: &Directory, share: f64) -> Vec<String> {
    let mut stores: Vec<_> = directory.stores().iter().collect();
    stores.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.store_id.cmp(&b.store_id)));
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count"
    )]
    let count = (stores.len() as f64 * share).ceil() as usize;
    stores.into_iter().take(count).map(|store| store.store_id.clone()).collect()
}

fn retention(warming: &Warming, directory: &Directory) -> Option<DayRange> {
    let last = directory.last_day()?;
    Some(DayRange { from: last.plus(1 - warming.retention_days), to: last })
}

/// The days of order lines that are kept.
fn orders_span(warming: &Warming, directory: &Directory) -> Option<DayRange> {
    let last = directory.last_day()?;
    DayRange::new(last.plus(1 - warming.order_days), last)
}

/// The days to read: the retention, and what the documents over all stores are made of.
fn span(warming: &Warming, directory: &Directory, queries: &[Query]) -> Option<DayRange> {
    let retention = retention(warming, directory)?;
    let earliest = queries.iter().filter_map(|query| query.needs().span()).map(|range| range.from).min();
    let orders = orders_span(warming, directory).map(|range| range.from);
    let from = [earliest, orders].into_iter().flatten().fold(retention.from, Ord::min);
    Some(DayRange { from, to: retention.to })
}

/// The range of a store's own default diagnosis, which ends on its own last day.
fn own_diagnosis(directory: &Directory, store_id: &str) -> Option<DayRange> {
    let last = directory.get(store_id)?.days.last()?;
    Some(DayRange { from: last.plus(-29), to: last })
}

async fn write_fleet(
    warming: &Warming,
    directory: &Arc<Directory>,
    queries: &Arc<Vec<Query>>,
    parts: Vec<Part>,
    report: &mut Report,
) -> Result<(), WarmError> {
    let start = Instant::now();
    let levels = &warming.levels;
    let now = now_ms();
    let before = match levels.read_directory().await {
        Read::Hit(before) => before,
        Read::Miss | Read::Unavailable => Directory::default(),
    };
    let (directory, queries, of_levels) = (Arc::clone(directory), Arc::clone(queries), levels.clone());
    let mut writes = warming
        .compute
        .run_waiting(move || -> Result<Vec<Write>, EncodeError> {
            let mut writes = Vec::new();
            for (part, query) in parts.into_iter().zip(queries.iter()) {
                let stamp = Stamp { now, as_of: query.as_of, version: part.version() };
                let answer = StoredAnswer::new(&part.finish(query, &directory))?;
                writes.push(of_levels.write_answer(query, &answer, &stamp)?);
            }
            for store in before.stores().iter().filter(|store| directory.get(&store.store_id).is_none()) {
                writes.extend(of_levels.forget_store(&store.store_id));
            }
            writes.extend(of_levels.write_directory(&directory, now)?);
            Ok(writes)
        })
        .await??;
    writes.push(levels.write_fresh(None, now));
    writes.push(Write::Bump { key: levels.keys().fleet_version() });
    report.count_writes(&writes);
    levels.cache().transact(writes).await?;
    report.steps.fleet = start.elapsed();
    Ok(())
}

/// Time as seconds with two decimals.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}
