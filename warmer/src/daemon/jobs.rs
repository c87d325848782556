//! What the daemon's jobs do, each in a task of its own; their results come back to the one task that decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use shared::answers::Part;
use shared::cache::{Probe, Write};
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

/// A job that ended.
pub(super) enum Done {
    Store { job: StoreJob, work: Work, priority: Priority, result: Result<StoreOutcome, WarmError> },
    Fleet(Result<Vec<LevelCount>, WarmError>),
    Answer { query: Query, result: Result<AnswerOutcome, WarmError> },
    Looked(Result<Look, WarmError>),
    Swept(Result<Look, WarmError>),
    Probed(Result<Probed, WarmError>),
    Confirmed(Result<(), WarmError>),
}

/// Which stores have all their entries in the cache.
pub(super) type Probed = BTreeMap<String, bool>;

/// Writes that one transaction of confirmations holds.
const CONFIRMATIONS_AT_ONCE: usize = 2_000;

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
/// Documents that are `gone` are removed with them.
pub(super) async fn fleet(warming: Warming, scope: Scope, parts: Vec<Part>, gone: Vec<Write>) -> Done {
    let write = async {
        warming.levels.cache().transact(gone).await?;
        let mut counts = fleet::write_documents(&warming, &scope, parts).await?;
        counts.extend(fleet::write_directory(&warming, &scope).await?);
        Ok(counts)
    };
    Done::Fleet(write.await)
}

/// Composes and writes one document.
pub(super) async fn answer(warming: Warming, scope: Scope, query: Query) -> Done {
    let result = warm_answer(&warming, &scope, &query).await;
    Done::Answer { query, result }
}

/// Looks for changes in the source.
pub(super) async fn look(watcher: Arc<Watcher>, scope: Scope) -> Done {
    Done::Looked(watcher.look(&scope).await.map_err(WarmError::from))
}

/// Compares days that nobody looks at otherwise.
pub(super) async fn sweep(watcher: Arc<Watcher>, scope: Scope) -> Done {
    Done::Swept(watcher.sweep(&scope).await.map_err(WarmError::from))
}

/// Looks which stores have all their entries.
pub(super) async fn probe(
    warming: Warming,
    scope: Scope,
    hot: Arc<std::collections::BTreeSet<String>>,
) -> Done {
    Done::Probed(find_ready(&warming, &scope, &hot).await)
}

async fn find_ready(
    warming: &Warming,
    scope: &Scope,
    hot: &std::collections::BTreeSet<String>,
) -> Result<Probed, WarmError> {
    let keys = warming.levels.keys();
    let cells = scope.retention.map_or(0, |range| u64::try_from(range.len()).unwrap_or(0));
    let fleet_range = scope.queries.iter().find_map(|query| query.diagnosis);
    let mut probes = Vec::new();
    let mut wanted: Vec<(usize, u64)> = Vec::new();
    for (at, store) in scope.directory.stores().iter().enumerate() {
        let mut want = |probe, count| {
            probes.push(probe);
            wanted.push((at, count));
        };
        want(Probe::Hash(keys.day_cells(&store.store_id)), cells);
        want(Probe::Hash(keys.product_cells(&store.store_id)), cells);
        if let Some(range) = fleet_range {
            want(Probe::Key(keys.partial(&store.store_id, range).key), 1);
        }
        if hot.contains(&store.store_id)
            && let Some(range) = scope.orders
        {
            for day in scope.days_with_lines(&store.store_id, range) {
                want(Probe::Key(keys.orders(&store.store_id, day).key), 1);
            }
        }
    }
    let found = warming.levels.cache().probe(&probes).await?;
    let mut ready: Vec<bool> = vec![true; scope.directory.stores().len()];
    for ((at, want), found) in wanted.into_iter().zip(found) {
        if let Some(ready) = ready.get_mut(at) {
            *ready &= found >= want;
        }
    }
    Ok(scope.directory.stores().iter().map(|store| store.store_id.clone()).zip(ready).collect())
}

/// Notes that the data of these stores are current as of `confirmed_at` (if they are known to be), and puts off the
/// hard expiry of their entries.
pub(super) async fn confirm(
    warming: Warming,
    scope: Scope,
    stores: Vec<(String, bool)>,
    answers: Vec<String>,
    confirmed_at: Option<i64>,
    all: bool,
) -> Done {
    let mut writes = Vec::new();
    let levels = &warming.levels;
    for (store_id, orders) in &stores {
        writes.extend(levels.renew_store(store_id, &expiring(&scope, store_id, *orders)));
        writes.extend(confirmed_at.map(|at| levels.write_fresh(Some(store_id), at)));
    }
    writes.extend(levels.renew_answers(&answers));
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
