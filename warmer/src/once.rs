//! `warmer once`: reads stores and makes their levels ready, then says what it did.

mod report;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::answers::Part;
use shared::cache::Read;
use shared::model::{Directory, StoreInfo};
use tokio::task::JoinSet;

use crate::fleet;
use crate::level::Level;
use crate::operate::UnknownStores;
use crate::operate::stores::check;
use crate::operate::words::number;
use crate::scope::Scope;
use crate::store::{StoreJob, StoreOutcome, warm_levels};
use crate::warming::{WarmError, Warming};
pub(crate) use report::{ANSWERS, ORDERS, count};
pub use report::{LevelCount, Report, Steps};

/// Failures of stores that a report names.
const STORE_FAILURES_KEPT: usize = 20;

/// What is made ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these stores; empty = all.
    pub stores: Vec<String>,
    /// Only these levels; empty = all.
    pub levels: BTreeSet<Level>,
}

/// Why nothing could be made ready.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// Stores that the source does not have.
    #[error(transparent)]
    UnknownStores(#[from] UnknownStores),
    /// Source or cache.
    #[error(transparent)]
    Warm(#[from] WarmError),
}

/// Reads all stores and writes L2 cells, L3 partials, the documents over all stores, and L1 of the largest stores.
/// `progress` hears of each store that is done, and of how many there are.
///
/// # Errors
/// When the source's directory cannot be read, or the cache cannot be written at the end. A store that fails is in
/// the report; then the documents over all stores are left as they were.
pub async fn once(warming: &Warming, progress: impl FnMut(usize, usize)) -> Result<Report, WarmError> {
    match once_of(warming, &Selection::default(), progress).await {
        Ok(report) => Ok(report),
        Err(OnceError::Warm(error)) => Err(error),
        // Nobody named any.
        Err(OnceError::UnknownStores(_)) => Ok(Report::default()),
    }
}

/// As [`once`], of some stores or levels only. The documents over all stores are written only if all were read: they
/// need every store.
///
/// # Errors
/// As [`once`]; and if a store is unknown, before anything is written.
pub async fn once_of(
    warming: &Warming,
    selection: &Selection,
    mut progress: impl FnMut(usize, usize),
) -> Result<Report, OnceError> {
    let start = Instant::now();
    let mut report = Report::default();
    let directory = Arc::new(warming.source.directory().await.map_err(WarmError::from)?);
    let only = check(&directory, &selection.stores)?;
    report.steps.directory = start.elapsed();
    let scope = Scope::new(directory, &warming.extent);
    let is_chosen = |store: &&StoreInfo| only.is_empty() || only.contains(&store.store_id);
    let stores: Vec<&StoreInfo> = scope.directory.stores().iter().filter(is_chosen).collect();
    report.stores = stores.len() as u64;
    let parts = each_store(warming, selection, &scope, &stores, &mut report, &mut progress).await?;
    let all = stores.len() == scope.directory.stores().len();
    note_what_stays(&mut report, selection, all, scope.directory.stores().len());
    if report.failed == 0 && all {
        let start = Instant::now();
        let mut written = Vec::new();
        if Level::Answers.is_in(&selection.levels) {
            written = fleet::write_documents(warming, &scope, parts, Arc::default()).await?;
        }
        let confirmed = Level::is_whole(&selection.levels);
        written.extend(fleet::write_whole_directory(warming, &scope, confirmed).await?);
        report.add_counts(&written);
        report.steps.fleet = start.elapsed();
    }
    report.steps.total = start.elapsed();
    Ok(report)
}

/// Makes the stores ready, some at a time. Gives their merged parts of the documents over all stores.
async fn each_store(
    warming: &Warming,
    selection: &Selection,
    scope: &Scope,
    stores: &[&StoreInfo],
    report: &mut Report,
    progress: &mut impl FnMut(usize, usize),
) -> Result<Vec<Part>, WarmError> {
    let hot = scope.largest(warming.extent.hot_share);
    let known = if stores.len() == scope.directory.stores().len() {
        // The whole directory is written at the end.
        Directory::default()
    } else {
        known_directory(warming).await
    };
    let total = stores.len();
    progress(0, total);
    let mut parts: Vec<Part> = scope.queries.iter().map(|_| Part::empty()).collect();
    let mut tasks: JoinSet<(String, Result<StoreOutcome, WarmError>)> = JoinSet::new();
    let mut waiting = stores.iter();
    let mut done = 0;
    loop {
        while tasks.len() < warming.parallel_stores {
            let Some(store) = waiting.next() else { break };
            let store_id = store.store_id.clone();
            // A store that the directory in the cache lacks would make it incomplete, which is a miss.
            let also = match known.get(&store_id) {
                Some(_) => vec![warming.levels.write_directory_store(store, shared::runtime::now_ms())?],
                None => Vec::new(),
            };
            let job =
                StoreJob { orders: hot.contains(&store_id), scope: scope.clone(), before: None, store_id };
            let (warming, levels) = (warming.clone(), selection.levels.clone());
            tasks.spawn(async move {
                let store_id = job.store_id.clone();
                (store_id, warm_levels(&warming, job, &levels, also).await)
            });
        }
        let Some(finished) = tasks.join_next().await else { break };
        done += 1;
        match finished {
            Ok((_, Ok(outcome))) => {
                for ((mine, theirs), query) in parts.iter_mut().zip(outcome.parts).zip(scope.queries.iter()) {
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
    Ok(parts)
}

/// The directory in the cache, empty if there is none.
async fn known_directory(warming: &Warming) -> Directory {
    match warming.levels.read_directory().await {
        Read::Hit(directory) => directory,
        // An outage shows itself when the first store is written.
        Read::Miss | Read::Unavailable => Directory::default(),
    }
}

/// Says what a run of some stores or levels leaves as it was.
fn note_what_stays(report: &mut Report, selection: &Selection, all: bool, fleet: usize) {
    if !all {
        report.notes.push(format!(
            "{} of {} read: the documents over all stores, which need every store, were left as before",
            report.stores,
            number(fleet as u64, "store", "stores")
        ));
    }
    let left = Level::OF_STORES.into_iter().filter(|level| !level.is_in(&selection.levels));
    let left: Vec<&str> = left.map(Level::name).collect();
    if !left.is_empty() {
        let left = left.join(", ");
        report.notes.push(format!("left as before: {left}; so the data do not count as confirmed"));
    }
}

/// Time as seconds with two decimals.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}
