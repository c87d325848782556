//! What a daemon knows to be ready: the stores with their parts of the documents over all stores, and the questions
//! whose documents are kept. Bounded by the directory and by the number of questions kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shared::answers::Part;
use shared::cache::Write;
use shared::keys::{Keys, Slot};
use shared::model::{DayRange, Directory, Query, RelativeAsk, StoreInfo};

use crate::plan::{Chosen, Plan};
use crate::scope::{Extent, Scope};

/// One store that is ready.
#[derive(Debug)]
struct Ready {
    parts: Vec<Part>,
    /// Whether its order lines are kept.
    orders: bool,
}

/// A question whose document is kept.
#[derive(Clone, Debug)]
struct Kept {
    relative: RelativeAsk,
    query: Query,
    /// Requests expected × cost ÷ bytes: the least goes first.
    worth: f64,
    /// When its document was written last, milliseconds since 1970; 0: not yet.
    written: i64,
}

/// What a new plan changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Followed {
    /// Questions whose documents or ready responses are to be written.
    pub write: Vec<Query>,
    /// Those of which only the ready response is not kept any more.
    pub unready: Vec<Query>,
    /// Those that are not kept any more.
    pub gone: Vec<Query>,
}

/// What is ready.
#[derive(Debug)]
pub struct Shelf {
    extent: Extent,
    scope: Scope,
    /// The retention that the cells in the cache were made for, by store.
    retentions: BTreeMap<String, DayRange>,
    ready: BTreeMap<String, Ready>,
    /// By canonical text.
    kept: BTreeMap<String, Kept>,
    /// Canonical texts of the questions whose ready responses are kept.
    responses: Arc<BTreeSet<String>>,
    most_kept: usize,
    fleet_dirty: bool,
    /// Whether the stores are known.
    known: bool,
}

impl Shelf {
    /// An empty shelf for these stores, with room for `most_kept` documents beside those over all stores.
    #[must_use]
    pub fn new(directory: Directory, extent: Extent, most_kept: usize) -> Self {
        Self {
            scope: Scope::new(Arc::new(directory), &extent),
            extent,
            retentions: BTreeMap::new(),
            ready: BTreeMap::new(),
            kept: BTreeMap::new(),
            responses: Arc::default(),
            most_kept,
            fleet_dirty: true,
            known: false,
        }
    }

    /// What is to be kept.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Begins with these stores, none of them known to be ready.
    pub fn replace(&mut self, directory: Directory) {
        self.scope = Scope::new(Arc::new(directory), &self.extent);
        self.known = true;
        self.clear();
        // A store's cells and its entry in the directory are written together, so none are of a later day; of those that are
        // of an earlier one, a day is missing where they are looked for.
        let of =
            |store: &StoreInfo| self.scope.retention.map(|retention| (store.store_id.clone(), retention));
        self.retentions = self.scope.directory.stores().iter().filter_map(of).collect();
    }

    /// Takes over what is known of stores now (`None`: it has no lines any more). Gives those whose parts must be made
    /// again because the days moved: all that are ready, when a new last day begins.
    pub fn update(&mut self, infos: Vec<(String, Option<StoreInfo>)>) -> Vec<String> {
        let mut stores: BTreeMap<String, StoreInfo> = self
            .scope
            .directory
            .stores()
            .iter()
            .map(|store| (store.store_id.clone(), store.clone()))
            .collect();
        for (store_id, info) in infos {
            match info {
                Some(info) => stores.insert(store_id, info),
                None => {
                    self.ready.remove(&store_id);
                    self.retentions.remove(&store_id);
                    stores.remove(&store_id)
                }
            };
        }
        let scope = Scope::new(Arc::new(Directory::new(stores.into_values().collect())), &self.extent);
        let moved = !scope.same_questions(&self.scope);
        self.scope = scope;
        self.known = true;
        self.fleet_dirty = true;
        if moved { std::mem::take(&mut self.ready).into_keys().collect() } else { Vec::new() }
    }

    /// The retention that a store's cells in the cache were made for, if known.
    #[must_use]
    pub fn retention_of(&self, store_id: &str) -> Option<DayRange> {
        self.retentions.get(store_id).copied()
    }

    /// A store is ready: it was warmed under `scope`. If the questions moved meanwhile, its parts are of no use any
    /// more: gives false, and the store must be made again.
    pub fn put(&mut self, store_id: &str, scope: &Scope, parts: Vec<Part>, orders: bool) -> bool {
        if let Some(retention) = scope.retention {
            self.retentions.insert(store_id.to_owned(), retention);
        }
        self.fleet_dirty = true;
        if !scope.same_questions(&self.scope) {
            return false;
        }
        self.ready.insert(store_id.to_owned(), Ready { parts, orders });
        true
    }

    /// A store turned out not to be ready.
    pub fn take(&mut self, store_id: &str) {
        self.ready.remove(store_id);
        self.retentions.remove(store_id);
    }

    /// Nothing is ready any more: the cache was emptied, or somebody else wrote.
    pub fn clear(&mut self) {
        self.ready.clear();
        self.retentions.clear();
        self.fleet_dirty = true;
        self.kept.values_mut().for_each(|kept| kept.written = 0);
    }

    /// Whether a store is ready.
    #[must_use]
    pub fn is_ready(&self, store_id: &str) -> bool {
        self.ready.contains_key(store_id)
    }

    /// Whether a store's order lines are kept.
    #[must_use]
    pub fn keeps_orders(&self, store_id: &str) -> bool {
        self.ready.get(store_id).is_some_and(|ready| ready.orders)
    }

    /// Stores that are ready.
    pub fn ready_stores(&self) -> impl Iterator<Item = &str> {
        self.ready.keys().map(String::as_str)
    }

    /// The merged parts of the documents over all stores, if they have to be written and all stores are ready.
    #[must_use]
    pub fn fleet(&self) -> Option<Vec<Part>> {
        let all = self.scope.directory.stores().iter().all(|store| self.ready.contains_key(&store.store_id));
        // Before the stores are known, an empty fleet would be taken for an answer.
        (self.fleet_dirty && all && self.known).then(|| {
            let mut merged: Vec<Part> = self.scope.queries.iter().map(|_| Part::empty()).collect();
            for ready in self.ready.values() {
                for ((mine, theirs), query) in
                    merged.iter_mut().zip(&ready.parts).zip(self.scope.queries.iter())
                {
                    mine.merge(theirs.clone(), query);
                }
            }
            merged
        })
    }

    /// Whether documents over all stores wait to be written.
    #[must_use]
    pub fn is_fleet_dirty(&self) -> bool {
        self.fleet_dirty
    }

    /// The documents over all stores are being written, or (false) could not be.
    pub fn fleet_taken(&mut self, taken: bool) {
        self.fleet_dirty = !taken;
    }

    /// Keeps the document of a question from now on. Gives the question that has to make room, if any.
    pub fn keep(&mut self, relative: RelativeAsk, query: Query, worth: f64) -> Option<Query> {
        if self.most_kept == 0 {
            return Some(query);
        }
        let canonical = query.canonical();
        if let Some(known) = self.kept.get_mut(&canonical) {
            known.worth = worth;
            return None;
        }
        let mut out = None;
        if self.kept.len() >= self.most_kept {
            let least = self.kept.iter().min_by(|a, b| a.1.worth.total_cmp(&b.1.worth));
            let least = least.map(|(canonical, _)| canonical.clone())?;
            out = self.kept.remove(&least).map(|kept| kept.query);
        }
        self.kept.insert(canonical, Kept { relative, query, worth, written: 0 });
        out
    }

    /// Follows a plan; gives what follows from it.
    pub fn follow(&mut self, plan: &Plan) -> Followed {
        let mut before = std::mem::take(&mut self.kept);
        let (mut write, mut unready) = (Vec::new(), Vec::new());
        for Chosen { relative, query, worth } in &plan.answers {
            let canonical = query.canonical();
            let written = before.remove(&canonical).map_or(0, |kept| kept.written);
            if written == 0 || (plan.ready.contains(&canonical) && !self.responses.contains(&canonical)) {
                write.push(query.clone());
            }
            if self.responses.contains(&canonical) && !plan.ready.contains(&canonical) {
                unready.push(query.clone());
            }
            let kept = Kept { relative: relative.clone(), query: query.clone(), worth: *worth, written };
            self.kept.insert(canonical, kept);
        }
        if plan.ready != *self.responses {
            // Those over all stores are written together.
            let fleet = || self.scope.queries.iter().map(Query::canonical);
            self.fleet_dirty |=
                fleet().any(|text| plan.ready.contains(&text) != self.responses.contains(&text));
            self.responses = Arc::new(plan.ready.clone());
        }
        Followed { write, unready, gone: before.into_values().map(|kept| kept.query).collect() }
    }

    /// Canonical texts of the questions whose ready responses are kept.
    #[must_use]
    pub fn responses(&self) -> Arc<BTreeSet<String>> {
        Arc::clone(&self.responses)
    }

    /// Whether a question's document is kept beside those over all stores.
    #[must_use]
    pub fn keeps(&self, canonical: &str) -> bool {
        self.kept.contains_key(canonical)
    }

    /// When a kept document was written last, milliseconds since 1970; 0: never.
    #[must_use]
    pub fn written(&self, canonical: &str) -> i64 {
        self.kept.get(canonical).map_or(0, |kept| kept.written)
    }

    /// A kept document was written; false if it is not kept any more.
    pub fn note_written(&mut self, canonical: &str, now: i64) -> bool {
        let kept = self.kept.get_mut(canonical);
        kept.map(|kept| kept.written = now).is_some()
    }

    /// A document is not kept any more.
    pub fn drop_answer(&mut self, canonical: &str) {
        self.kept.remove(canonical);
    }

    /// Canonical and relative texts of the documents kept beside those over all stores.
    pub fn kept(&self) -> impl Iterator<Item = (&String, String)> {
        self.kept.iter().map(|(canonical, kept)| (canonical, kept.relative.to_string()))
    }

    /// The questions kept that one of these stores is part of (`None`: all), as they are asked now: at a new last day
    /// they move with it. Those that moved away, and those that no longer can be asked, are given second.
    pub fn kept_of(&mut self, stores: Option<&str>) -> (Vec<Query>, Vec<Query>) {
        let (mut current, mut gone) = (Vec::new(), Vec::new());
        let has = |query: &Query| {
            stores
                .is_none_or(|store| query.stores.binary_search_by(|known| known.as_str().cmp(store)).is_ok())
        };
        let touched: Vec<String> = self
            .kept
            .iter()
            .filter(|(_, kept)| has(&kept.query))
            .map(|(canonical, _)| canonical.clone())
            .collect();
        let last_day = self.scope.directory.last_day();
        for canonical in touched {
            let Some(kept) = self.kept.remove(&canonical) else { continue };
            let ask = last_day.map(|last_day| kept.relative.absolute(last_day));
            let now = ask.and_then(|ask| ask.resolve(&self.scope.directory).ok());
            match now {
                Some(query) if query == kept.query => {
                    self.kept.insert(canonical, kept);
                    current.push(query);
                }
                Some(query) => {
                    gone.push(kept.query.clone());
                    if !self.scope.queries.contains(&query) {
                        let moved = Kept { query: query.clone(), written: 0, ..kept };
                        self.kept.insert(query.canonical(), moved);
                        current.push(query);
                    }
                }
                None => gone.push(kept.query),
            }
        }
        (current, gone)
    }

    /// Keys of documents and ready responses that are kept.
    #[must_use]
    pub fn answer_keys(&self, keys: &Keys) -> (BTreeSet<String>, BTreeSet<String>) {
        let kept = self.kept.values().map(|kept| &kept.query);
        let all: Vec<&Query> = kept.chain(self.scope.queries.iter()).collect();
        let ready = all.iter().filter(|query| self.responses.contains(&query.canonical()));
        (
            all.iter().map(|query| keys.answer(query).key).collect(),
            ready.map(|query| keys.hot(query).key).collect(),
        )
    }

    /// Number of documents kept beside those over all stores.
    #[must_use]
    pub fn kept_count(&self) -> usize {
        self.kept.len()
    }
}

/// Removes the documents and ready responses of questions.
#[must_use]
pub fn forget(keys: &Keys, queries: &[Query]) -> Vec<Write> {
    let delete = |slot: Slot| Write::Delete { key: slot.key };
    queries.iter().flat_map(|query| [delete(keys.answer(query)), delete(keys.hot(query))]).collect()
}
