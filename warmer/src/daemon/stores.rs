//! Stores: which are warmed next, and what follows when one was.

use std::collections::BTreeSet;

use shared::runtime::now_ms;

use super::{Daemon, jobs};
use crate::once::ORDERS;
use crate::plan::costs::Kind;
use crate::queue::{Priority, Work};
use crate::store::{StoreJob, StoreOutcome};
use crate::warming::WarmError;

impl Daemon {
    /// Starts as many as may be read now, the most urgent first.
    pub(super) fn start_stores(&mut self, now: i64) {
        while self.store_jobs < self.store_slots(now) {
            let Some((store_id, work, priority)) = self.queue.next(now) else { break };
            let scope = self.shelf.scope().clone();
            if scope.directory.get(&store_id).is_none() {
                self.queue.done(&store_id);
                continue;
            }
            let job = StoreJob {
                orders: self.orders.contains(&store_id),
                before: self.shelf.retention_of(&store_id).or(scope.retention),
                scope,
                store_id,
            };
            self.store_jobs += 1;
            self.jobs.spawn(jobs::store(self.warming.clone(), job, work, priority));
        }
    }

    /// Stores that may be read at the same time: one while the database is slow and nobody waits.
    fn store_slots(&self, now: i64) -> usize {
        let gentle = self.pace.is_slow() && !self.queue.has_urgent(Priority::Asked, now);
        if gentle { 1 } else { self.warming.parallel_stores }
    }

    pub(super) fn apply_store(
        &mut self,
        job: &StoreJob,
        work: Work,
        priority: Priority,
        result: Result<StoreOutcome, WarmError>,
    ) -> Result<(), WarmError> {
        match result {
            Ok(outcome) => {
                self.queue.done(&job.store_id);
                self.progress.warmed(&outcome);
                self.learn_from(job, &work, priority, &outcome);
                if !self.shelf.put(&job.store_id, &job.scope, outcome.parts, job.orders) {
                    self.queue.add(&job.store_id, Work::Days(BTreeSet::new()), Priority::Hot);
                }
                if !self.queue.has(&job.store_id) {
                    self.watcher.written(&job.store_id);
                }
                // Where only parts were made, the data and so the documents are as they were.
                if work != Work::Days(BTreeSet::new()) {
                    let (current, gone) = self.shelf.kept_of(Some(&job.store_id));
                    self.make_again(current, &gone);
                }
                Ok(())
            }
            Err(error) => {
                let wait_ms = self.queue.failed(&job.store_id, work, priority, &error.to_string(), now_ms());
                tracing::warn!(store = job.store_id, error = %error, wait_ms, "a store was not warmed; it is tried again");
                self.progress.failed(&job.store_id, &error);
                Err(error)
            }
        }
    }

    /// What a store that was warmed teaches: how fast the source is, what order lines cost, where the rotation is.
    fn learn_from(&mut self, job: &StoreJob, work: &Work, priority: Priority, outcome: &StoreOutcome) {
        let ms = outcome.steps.read.as_secs_f64() * 1000.0;
        self.pace.observe(outcome.lines_read, ms);
        self.progress.note(|counts| counts.paced = self.pace.is_slow());
        self.learned.with(|state| {
            if priority == Priority::Cold {
                state.cursor = Some(job.store_id.clone());
            }
            let kept = outcome.counts.iter().find(|level| level.name == ORDERS);
            if *work == Work::Whole
                && let (Some(kept), Some(store)) = (kept, job.scope.directory.get(&job.store_id))
            {
                state.costs.learn(Kind::Orders, job.scope.order_lines(store), ms, kept.bytes);
            }
        });
    }
}
