//! What the daemon's jobs do, each in a task of its own; their results come back to the one task that decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shared::answers::Part;
use shared::cache::{Memory, Probe, Write};
use shared::model::{Query, StoreInfo};
use shared::runtime::now_ms;

use crate::answer::{AnswerOutcome, warm_answer};
use crate::changes::{Look, Watcher};
use crate::fleet;
use crate::once::LevelCount;
use crate::queue::{Priority, Work};
use crate::scope::Scope;
use crate::store::{StoreJob, StoreOutcome, warm_days, warm_whole};
use crate::warming::{WarmError, Warming};
use shared::published::PlanRecord;

/// A job that ended.
pub(super) enum Done {
    Store {
        job: StoreJob,
        work: Work,
        priority: Priority,
        result: Result<StoreOutcome, WarmError>,
    },
    Fleet(Result<Vec<LevelCount>, WarmError>),
    Answer {
        query: Query,
        missed: bool,
        result: Result<AnswerOutcome, WarmError>,
    },
    /// Entries that are not kept any more were removed; those that could not be are given back.
    Forgotten(Vec<Write>, Result<(), WarmError>),
    Memory(Result<Memory, WarmError>),
    Published(Result<(), WarmError>),
    Looked(Result<Look, WarmError>),
    Swept(Result<Look, WarmError>),
    Probed(Result<Probed, WarmError>),
    Confirmed(Result<(), WarmError>),
    Refreshed(Result<(), WarmError>),
}

/// What of a store is in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum There {
    /// Not all of its cells, or not all of its order lines: they are read.
    Less,
    /// All but what is made of cells.
    Cells,
    /// All of it.
    All,
}

/// What is in the cache.
pub(super) struct Probed {
    /// What of each store is there.
    pub(super) stores: BTreeMap<String, There>,
    /// Keys of documents and ready responses, if they were asked for.
    pub(super) documents: Option<Vec<String>>,
}

/// Writes that one transaction of confirmations holds.
const CONFIRMATIONS_AT_ONCE: usize = 2_000;
/// Documents of earlier warmers that are looked at; what is beyond ends by its expiry.
const MOST_DOCUMENTS: usize = 1_000_000;

/// Makes one store ready. Where cells that should be ready are not, the whole store is read.
pub(super) async fn store(warming: Warming, job: StoreJob, work: Work, priority: Priority) -> Done {
    let result = make(&warming, &job, &work).await;
    Done::Store { job, work, priority, result }
}

async fn make(warming: &Warming, job: &StoreJob, work: &Work) -> Result<StoreOutcome, WarmError> {
    let entry = |info: &StoreInfo| warming.levels.write_directory_store(info, now_ms());
    // The directory's entry goes with the data, so that a new day and its cells appear together. A store that the
    // directory in the cache lacks makes it incomplete, which is a miss, until the whole directory is written.
    let also: Vec<Write> =
        job.scope.directory.get(&job.store_id).map(entry).transpose()?.into_iter().collect();
    if let Work::Days(days) = work
        && let Some(outcome) = warm_days(warming, job.clone(), days.clone(), also.clone()).await?
    {
        return Ok(outcome);
    }
    warm_whole(warming, job.clone(), also).await
}

/// Writes the documents over all stores, and then the directory that leads to them.
pub(super) async fn fleet(
    warming: Warming,
    scope: Scope,
    parts: Vec<Part>,
    ready: Arc<BTreeSet<String>>,
) -> Done {
    let write = async {
        let mut counts = fleet::write_documents(&warming, &scope, parts, ready).await?;
        counts.extend(fleet::write_directory(&warming, &scope).await?);
        Ok(counts)
    };
    Done::Fleet(write.await)
}

/// Composes and writes one document.
pub(super) async fn answer(warming: Warming, scope: Scope, query: Query, missed: bool, ready: bool) -> Done {
    let result = warm_answer(&warming, &scope, &query, ready).await;
    Done::Answer { query, missed, result }
}

/// Removes entries that are not kept any more.
pub(super) async fn forget(warming: Warming, gone: Vec<Write>) -> Done {
    let mut result = Ok(());
    let mut left = gone.as_slice();
    while let Some((chunk, rest)) = left.split_at_checked(left.len().min(CONFIRMATIONS_AT_ONCE))
        && !chunk.is_empty()
    {
        result = warming.levels.cache().transact(chunk.to_vec()).await.map_err(WarmError::from);
        if result.is_err() {
            break;
        }
        left = rest;
    }
    Done::Forgotten(left.to_vec(), result)
}

/// Looks how much room the cache has.
pub(super) async fn memory(warming: Warming) -> Done {
    Done::Memory(warming.levels.cache().memory().await.map_err(WarmError::from))
}

/// Publishes the plan that is followed.
pub(super) async fn publish(warming: Warming, record: PlanRecord) -> Done {
    let publish = async {
        let levels = warming.levels.clone();
        let write = warming.compute.run_waiting(move || levels.write_plan(&record, now_ms())).await??;
        Ok(warming.levels.cache().transact(vec![write]).await?)
    };
    Done::Published(publish.await)
}

/// Looks for changes in the source.
pub(super) async fn look(watcher: Arc<Watcher>, scope: Scope) -> Done {
    Done::Looked(watcher.look(&scope).await.map_err(WarmError::from))
}

/// Compares days that nobody looks at otherwise.
pub(super) async fn sweep(watcher: Arc<Watcher>, scope: Scope) -> Done {
    Done::Swept(watcher.sweep(&scope).await.map_err(WarmError::from))
}

/// Looks which stores have all their entries, and, if wanted, which documents there are.
pub(super) async fn probe(
    warming: Warming,
    scope: Scope,
    orders: Arc<BTreeSet<String>>,
    documents: bool,
) -> Done {
    let probe = async {
        let mut probed = Probed { stores: find_ready(&warming, &scope, &orders).await?, documents: None };
        if documents {
            let (cache, keys) = (warming.levels.cache(), warming.levels.keys());
            let mut found = cache.scan(&keys.answers(), MOST_DOCUMENTS).await?;
            found.extend(cache.scan(&keys.hots(), MOST_DOCUMENTS).await?);
            probed.documents = Some(found);
        }
        Ok(probed)
    };
    Done::Probed(probe.await)
}

async fn find_ready(
    warming: &Warming,
    scope: &Scope,
    orders: &BTreeSet<String>,
) -> Result<BTreeMap<String, There>, WarmError> {
    let keys = warming.levels.keys();
    let cells = scope.retention.map_or(0, |range| u64::try_from(range.len()).unwrap_or(0));
    let fleet_range = scope.queries.iter().find_map(|query| query.diagnosis);
    let mut probes = Vec::new();
    let mut wanted: Vec<(usize, u64, There)> = Vec::new();
    for (at, store) in scope.directory.stores().iter().enumerate() {
        let mut want = |probe, count, without| {
            probes.push(probe);
            wanted.push((at, count, without));
        };
        want(Probe::Hash(keys.day_cells(&store.store_id)), cells, There::Less);
        want(Probe::Hash(keys.product_cells(&store.store_id)), cells, There::Less);
        if let Some(range) = fleet_range {
            want(Probe::Key(keys.partial(&store.store_id, range).key), 1, There::Cells);
        }
        if orders.contains(&store.store_id)
            && let Some(range) = scope.orders
        {
            for day in scope.days_with_lines(&store.store_id, range) {
                want(Probe::Key(keys.orders(&store.store_id, day).key), 1, There::Less);
            }
        }
    }
    let found = warming.levels.cache().probe(&probes).await?;
    let mut there = vec![There::All; scope.directory.stores().len()];
    for ((at, want, without), found) in wanted.into_iter().zip(found) {
        if let Some(there) = there.get_mut(at).filter(|_| found < want) {
            *there = without.min(*there);
        }
    }
    Ok(scope.directory.stores().iter().map(|store| store.store_id.clone()).zip(there).collect())
}

/// Notes that the data of these stores are current as of `confirmed_at` (if they are known to be), and puts off the
/// hard expiry of their entries.
pub(super) async fn confirm(
    warming: Warming,
    scope: Scope,
    stores: Vec<(String, bool)>,
    answers: (BTreeSet<String>, BTreeSet<String>),
    confirmed_at: Option<i64>,
    all: bool,
) -> Done {
    let mut writes = Vec::new();
    let levels = &warming.levels;
    for (store_id, orders) in &stores {
        writes.extend(levels.renew_store(store_id, &expiring(&scope, store_id, *orders)));
        writes.extend(confirmed_at.map(|at| levels.write_fresh(Some(store_id), at)));
    }
    writes.extend(levels.renew_answers(&answers.0));
    writes.extend(levels.renew_ready(&answers.1));
    writes.extend(confirmed_at.filter(|_| all).map(|at| levels.write_fresh(None, at)));
    let mut result = Ok(());
    for chunk in writes.chunks(CONFIRMATIONS_AT_ONCE) {
        result = levels.cache().transact(chunk.to_vec()).await.map_err(WarmError::from);
        if result.is_err() {
            break;
        }
    }
    Done::Confirmed(result)
}

/// Notes between cycles that the data of these stores are current, and puts off the expiry of ready responses, which is
/// shorter than a cycle may be.
pub(super) async fn refresh(
    warming: Warming,
    stores: Vec<String>,
    ready: BTreeSet<String>,
    confirmed_at: i64,
    all: bool,
) -> Done {
    let levels = &warming.levels;
    let mut writes: Vec<Write> =
        stores.iter().map(|store_id| levels.write_fresh(Some(store_id), confirmed_at)).collect();
    writes.extend(levels.renew_ready(&ready));
    writes.extend(all.then(|| levels.write_fresh(None, confirmed_at)));
    let mut result = Ok(());
    for chunk in writes.chunks(CONFIRMATIONS_AT_ONCE) {
        result = levels.cache().transact(chunk.to_vec()).await.map_err(WarmError::from);
        if result.is_err() {
            break;
        }
    }
    Done::Refreshed(result)
}

/// What of a store expires.
fn expiring(scope: &Scope, store_id: &str, orders: bool) -> shared::cache::levels::Renewal {
    let fleet = scope.queries.iter().find_map(|query| query.diagnosis);
    let own = scope.own_diagnosis(store_id);
    shared::cache::levels::Renewal {
        partials: fleet.into_iter().chain(own.filter(|own| Some(*own) != fleet)).collect(),
        orders: scope
            .orders
            .filter(|_| orders)
            .map(|range| scope.days_with_lines(store_id, range))
            .unwrap_or_default(),
    }
}
