//! Questions whose documents are made: those that somebody missed at once, those of which the data changed after that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shared::cache::Write;
use shared::model::{Query, RelativeAsk};
use shared::runtime::now_ms;

use super::{Daemon, jobs};
use crate::answer::AnswerOutcome;
use crate::plan::costs::Kind;
use crate::plan::units;
use crate::queue::{Priority, Work};
use crate::shelf;
use crate::warming::WarmError;

/// Documents made at the same time.
const AT_ONCE: usize = 2;
/// Most missed questions that wait; further ones are left to the gateways, which compute them.
const MOST_ASKED: usize = 1_000;

/// Questions that wait, and those that are being seen to.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Missed questions and when, in their order.
    asked: VecDeque<(RelativeAsk, i64)>,
    /// Their texts.
    waiting: BTreeSet<String>,
    /// Kept questions that must be made again, by canonical text.
    again: BTreeMap<String, Query>,
    /// Canonical texts of those that are being made: two jobs on one could leave the older result.
    running: BTreeSet<String>,
    /// Entries that are not kept any more.
    gone: Vec<Write>,
    forgetting: bool,
}

impl Questions {
    pub(super) fn asked(&mut self, ask: RelativeAsk, at: i64) {
        let text = ask.to_string();
        if self.asked.len() < MOST_ASKED && self.waiting.insert(text) {
            self.asked.push_back((ask, at));
        }
    }

    /// Nothing runs any more.
    pub(super) fn start_over(&mut self) {
        self.running.clear();
        self.forgetting = false;
    }

    /// Whether all that must be made again was taken up.
    pub(super) fn is_settled(&self) -> bool {
        self.again.is_empty()
    }

    pub(super) fn forget(&mut self, gone: impl IntoIterator<Item = Write>) {
        self.gone.extend(gone);
    }
}

impl Daemon {
    /// Starts what may run now: missed questions first; those that must be made again when the data they are made of
    /// are there.
    pub(super) fn start_questions(&mut self, now: i64) {
        while self.questions.running.len() < AT_ONCE {
            let Some((query, missed)) =
                self.next_missed().map(|query| (query, true)).or_else(|| self.next_again(now))
            else {
                break;
            };
            let canonical = query.canonical();
            let ready = self.shelf.responses().contains(&canonical);
            self.questions.running.insert(canonical);
            let (warming, scope) = (self.warming.clone(), self.shelf.scope().clone());
            self.jobs.spawn(jobs::answer(warming, scope, query, missed, ready));
        }
        if !self.questions.forgetting && !self.questions.gone.is_empty() {
            self.questions.forgetting = true;
            let gone = std::mem::take(&mut self.questions.gone);
            self.jobs.spawn(jobs::forget(self.warming.clone(), gone));
        }
    }

    fn next_missed(&mut self) -> Option<Query> {
        while let Some((ask, at)) = self.questions.asked.pop_front() {
            let text = ask.to_string();
            self.questions.waiting.remove(&text);
            let directory = &self.shelf.scope().directory;
            let Some(last_day) = directory.last_day() else { continue };
            // A question that has no answer now needs none.
            let Ok(query) = ask.absolute(last_day).resolve(directory) else { continue };
            let canonical = query.canonical();
            if query.range.is_none() || self.shelf.scope().queries.contains(&query) {
                continue;
            }
            // Made since it was missed, or being made.
            if self.shelf.written(&canonical) > at || self.questions.running.contains(&canonical) {
                continue;
            }
            for store_id in &query.stores {
                if self.queue.is_waiting(store_id) {
                    self.queue.add(store_id, Work::Days(BTreeSet::new()), Priority::Asked);
                }
            }
            let now = u64::try_from(now_ms()).unwrap_or(0);
            let (per_hour, cost) = self.learned.with(|state| {
                let cost = state.costs.of(Kind::of(query.document), units(&query));
                (state.interest.expected_per_hour(&text, now), cost)
            });
            let worth = crate::plan::worth(per_hour, cost.ms, cost.bytes);
            let out = self.shelf.keep(ask, query.clone(), worth);
            let is_out = out.as_ref() == Some(&query);
            self.let_go(out.as_slice());
            if !is_out {
                self.questions.again.remove(&canonical);
                return Some(query);
            }
        }
        None
    }

    /// Of what must be made again, those over all stores come when no store is being seen to: each of them would make
    /// them old again.
    fn next_again(&mut self, now: i64) -> Option<(Query, bool)> {
        if self.queue.has_urgent(Priority::Changed, now) {
            return None;
        }
        let all = self.shelf.scope().directory.stores().len();
        let busy = self.store_jobs > 0 || self.queue.has_urgent(Priority::Cold, now);
        let Questions { again, running, .. } = &self.questions;
        let fits = |(canonical, query): &(&String, &Query)| {
            let of_all = query.stores.len() == all && all > 1;
            !running.contains(*canonical) && (!of_all || !busy)
        };
        let canonical = again.iter().find(fits)?.0.clone();
        self.questions.again.remove(&canonical).map(|query| (query, false))
    }

    /// Kept questions are to be made again, others are let go.
    pub(super) fn make_again(&mut self, current: Vec<Query>, gone: &[Query]) {
        self.let_go(gone);
        let of_shelf = current.into_iter().map(|query| (query.canonical(), query));
        self.questions.again.extend(of_shelf);
    }

    /// Removes the documents of questions that are not kept any more.
    pub(super) fn let_go(&mut self, gone: &[Query]) {
        for query in gone {
            self.questions.again.remove(&query.canonical());
        }
        self.questions.gone.extend(shelf::forget(self.warming.levels.keys(), gone));
    }

    pub(super) fn apply_answer(
        &mut self,
        query: &Query,
        missed: bool,
        result: Result<AnswerOutcome, WarmError>,
    ) -> Result<(), WarmError> {
        let canonical = query.canonical();
        self.questions.running.remove(&canonical);
        match result {
            Ok(outcome) => {
                self.progress.read(outcome.lines_read, 0);
                self.progress.wrote(&outcome.counts);
                self.progress.note(|counts| counts.misses_warmed += u64::from(missed));
                if self.shelf.note_written(&canonical, now_ms()) {
                    let ms = outcome.time.as_secs_f64() * 1000.0;
                    let kind = Kind::of(query.document);
                    self.learned.with(|state| state.costs.learn(kind, units(query), ms, outcome.bytes));
                } else {
                    // The day moved, or it had to make room, while it was being made.
                    self.let_go(std::slice::from_ref(query));
                }
                Ok(())
            }
            Err(error) => {
                // What is there may be old now; the next asker brings it back.
                self.shelf.drop_answer(&canonical);
                self.let_go(std::slice::from_ref(query));
                self.progress.failed(&canonical, &error);
                Err(error)
            }
        }
    }

    pub(super) fn apply_forgotten(
        &mut self,
        left: Vec<Write>,
        result: Result<(), WarmError>,
    ) -> Result<(), WarmError> {
        self.questions.forgetting = false;
        self.questions.gone.extend(left);
        result.inspect_err(|error| self.progress.failed("forget", error))
    }
}
