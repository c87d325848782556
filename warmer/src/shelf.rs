//! What a daemon knows to be ready: the stores with their parts of the documents over all stores, and the questions
//! whose documents are kept. Bounded by the directory and by the number of questions kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use shared::answers::Part;
use shared::cache::Write;
use shared::keys::Keys;
use shared::model::{Ask, DayRange, Directory, Query, StoreInfo};

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
    ask: Ask,
    query: Query,
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
    /// Canonical texts, the longest unasked first.
    asked: VecDeque<String>,
    most_kept: usize,
    fleet_dirty: bool,
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
            asked: VecDeque::new(),
            most_kept,
            fleet_dirty: true,
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
        self.clear();
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
        self.fleet_dirty = true;
        if moved { std::mem::take(&mut self.ready).into_keys().collect() } else { Vec::new() }
    }

    /// The retention that a store's cells in the cache were made for, if known.
    #[must_use]
    pub fn retention_of(&self, store_id: &str) -> Option<DayRange> {
        self.retentions.get(store_id).copied()
    }

    /// Notes that a store's cells in the cache were made for a retention.
    pub fn found(&mut self, store_id: &str, retention: DayRange) {
        self.retentions.insert(store_id.to_owned(), retention);
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
        (self.fleet_dirty && all).then(|| {
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
    pub fn keep(&mut self, ask: Ask, query: Query) -> Option<Query> {
        let canonical = query.canonical();
        self.asked.retain(|known| *known != canonical);
        self.asked.push_back(canonical.clone());
        self.kept.insert(canonical, Kept { ask, query });
        if self.kept.len() <= self.most_kept {
            return None;
        }
        let oldest = self.asked.pop_front()?;
        self.kept.remove(&oldest).map(|kept| kept.query)
    }

    /// Whether a question's document is kept, be it one of those over all stores.
    #[must_use]
    pub fn keeps(&self, query: &Query) -> bool {
        self.kept.contains_key(&query.canonical()) || self.scope.queries.contains(query)
    }

    /// The questions kept that one of these stores is part of, as they are asked now: at a new last day, those without
    /// an own `to` move with it. Those that moved away, and those that no longer can be asked, are given second.
    pub fn kept_of(&mut self, stores: &BTreeSet<String>) -> (Vec<Query>, Vec<Query>) {
        let (mut current, mut gone) = (Vec::new(), Vec::new());
        let touched: Vec<String> = self
            .kept
            .iter()
            .filter(|(_, kept)| {
                kept.ask.stores.is_none() || kept.query.stores.iter().any(|id| stores.contains(id))
            })
            .map(|(canonical, _)| canonical.clone())
            .collect();
        for canonical in touched {
            let Some(kept) = self.kept.remove(&canonical) else { continue };
            match kept.ask.resolve(&self.scope.directory) {
                Ok(query) if query == kept.query => {
                    self.kept.insert(canonical, kept);
                    current.push(query);
                }
                Ok(query) => {
                    let now = query.canonical();
                    for known in self.asked.iter_mut().filter(|known| **known == canonical) {
                        known.clone_from(&now);
                    }
                    gone.push(kept.query);
                    self.kept.insert(now, Kept { ask: kept.ask, query: query.clone() });
                    current.push(query);
                }
                Err(_) => {
                    self.asked.retain(|known| *known != canonical);
                    gone.push(kept.query);
                }
            }
        }
        (current, gone)
    }

    /// Keys of documents that are kept.
    #[must_use]
    pub fn answer_keys(&self, keys: &Keys) -> BTreeSet<String> {
        let kept = self.kept.values().map(|kept| &kept.query);
        kept.chain(self.scope.queries.iter()).map(|query| keys.answer(query).key).collect()
    }

    /// Number of documents kept beside those over all stores.
    #[must_use]
    pub fn kept_count(&self) -> usize {
        self.kept.len()
    }
}

/// Removes the documents of questions.
#[must_use]
pub fn forget(keys: &Keys, queries: &[Query]) -> Vec<Write> {
    queries.iter().map(|query| Write::Delete { key: keys.answer(query).key }).collect()
}
