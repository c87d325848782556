//! What the daemon is told from outside while it runs: misses and refreshes from the access logs, and what operators left
//! in Redis.

use std::collections::BTreeSet;
use std::sync::Arc;

use shared::model::{Day, DayRange, RelativeAsk};

use super::{Daemon, jobs};
use crate::operate::OperatorRequest;
use crate::queue::{Priority, Work};

/// What the daemon is told from outside while it runs. Bounded by the channel it comes through.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A question was asked that was not ready.
    Ask {
        /// The question.
        ask: RelativeAsk,
        /// When, milliseconds since 1970.
        at: i64,
    },
    /// Order lines of a store were asked for that were not ready.
    Lines {
        /// The store.
        store_id: String,
        /// When, milliseconds since 1970.
        at: i64,
    },
    /// Data were asked to be read again.
    Refresh {
        /// Which stores; `None` = all.
        stores: Option<Vec<String>>,
        /// First day; `None` = the first that is kept.
        from: Option<Day>,
        /// Last day; `None` = the last.
        to: Option<Day>,
    },
    /// A cycle is wanted now.
    Cycle,
}

/// Most requests of operators that are taken at a time.
const MOST_REQUESTS: usize = 1_000;

impl Daemon {
    /// Takes what operators asked for.
    pub(super) async fn take_operators_requests(&mut self) {
        // What is asked while it is paused waits in Redis: nothing is begun now, and nothing forgotten.
        if !self.progress.is_paused() {
            for request in self.warming.levels.take_requests(MOST_REQUESTS).await {
                match OperatorRequest::parse(&request) {
                    Ok(OperatorRequest::Cycle) => self.take(Request::Cycle),
                    Ok(OperatorRequest::Refresh { stores }) => {
                        self.take(Request::Refresh { stores: Some(stores), from: None, to: None });
                    }
                    Ok(OperatorRequest::LookAgain) => self.look_again(),
                    Err(error) => tracing::warn!(request, error = %error, "a request is not understood"),
                }
            }
        }
    }

    /// Entries were removed: finds out which are still there, also while a cycle is under way that looked before, and makes
    /// all documents again.
    fn look_again(&mut self) {
        let (current, gone) = self.shelf.kept_of(None);
        self.make_again(current, &gone);
        self.shelf.fleet_taken(false);
        let (warming, scope) = (self.warming.clone(), self.shelf.scope().clone());
        self.jobs.spawn(jobs::probe(warming, scope, Arc::clone(&self.orders), false));
    }

    pub(super) fn take(&mut self, request: Request) {
        match request {
            Request::Cycle => self.want_cycle(),
            Request::Refresh { stores, from, to } => self.take_refresh(stores, from, to),
            Request::Ask { ask, at } => self.questions.asked(ask, at),
            Request::Lines { store_id, at } => self.take_lines(&store_id, at),
        }
    }

    /// Reads stores again, or only some of their days, before scheduled work.
    fn take_refresh(&mut self, stores: Option<Vec<String>>, from: Option<Day>, to: Option<Day>) {
        let scope = self.shelf.scope();
        let known = |store_id: &String| scope.directory.get(store_id).is_some();
        let stores: Vec<String> = match stores {
            Some(stores) => stores.into_iter().filter(known).collect(),
            None => scope.directory.stores().iter().map(|store| store.store_id.clone()).collect(),
        };
        let within = |day: &Day| from.is_none_or(|from| from <= *day) && to.is_none_or(|to| *day <= to);
        let whole = from.is_none() && to.is_none();
        let days: BTreeSet<Day> =
            scope.retention.into_iter().flat_map(DayRange::days).filter(within).collect();
        for store_id in &stores {
            let work = if whole { Work::Whole } else { Work::Days(days.clone()) };
            self.queue.add(store_id, work, Priority::Asked);
        }
        self.progress.note(|counts| counts.refreshes += 1);
    }
}
