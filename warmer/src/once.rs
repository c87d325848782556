//! `warmer once`: reads all stores and makes every level ready, then says what it did.

mod report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::answers::Part;
use tokio::task::JoinSet;

use crate::fleet;
use crate::scope::Scope;
use crate::store::{StoreJob, StoreOutcome, warm_whole};
use crate::warming::{WarmError, Warming};
pub(crate) use report::{ANSWERS, ORDERS, count};
pub use report::{LevelCount, Report, Steps};

/// Failures of stores that a report names.
const STORE_FAILURES_KEPT: usize = 20;

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
    let scope = Scope::new(directory, &warming.extent);
    let hot = scope.largest(warming.extent.hot_share);
    let stores = scope.directory.stores();
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
            let job =
                StoreJob { orders: hot.contains(&store_id), scope: scope.clone(), before: None, store_id };
            let warming = warming.clone();
            tasks.spawn(async move { (job.store_id.clone(), warm_whole(&warming, job, Vec::new()).await) });
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
    if report.failed == 0 {
        let start = Instant::now();
        let mut written = fleet::write_documents(warming, &scope, parts, Arc::default()).await?;
        written.extend(fleet::write_directory(warming, &scope).await?);
        report.add_counts(&written);
        report.steps.fleet = start.elapsed();
    }
    report.stores = total as u64;
    report.steps.total = start.elapsed();
    Ok(report)
}

/// Time as seconds with two decimals.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}
