//! Ranking: from what was asked, what it costs and how much room there is, to what is kept.

use std::sync::Arc;

use shared::cache::{Memory, Write};
use shared::runtime::now_ms;

use super::{Daemon, jobs};
use crate::plan::costs::Kind;
use crate::plan::{Basis, Plan, plan};
use crate::queue::{Priority, Work};
use crate::shelf::Followed;
use crate::warming::WarmError;
use shared::published::{Budget, Phase, PlanCounts};

/// Requests with the same ranking after which it is told once that something may be stuck.
const UNCHANGED_TOLD: u64 = 10_000;

impl Daemon {
    /// Ranks between cycles; within one it has its place.
    pub(super) fn rank(&mut self) {
        let known = self.shelf.scope().directory.last_day().is_some();
        if self.cycle.phase == Phase::Idle && known && !self.ranking && !self.progress.is_paused() {
            self.begin_ranking();
        }
    }

    pub(super) fn begin_ranking(&mut self) {
        self.ranking = true;
        self.jobs.spawn(jobs::memory(self.warming.clone()));
    }

    /// Takes over how much room Redis has, and makes a plan that fits.
    pub(super) fn apply_memory(&mut self, result: Result<Memory, WarmError>) -> Result<(), WarmError> {
        self.ranking = false;
        let mut bytes = self.settings.budget;
        let failed = match result {
            Ok(memory) => {
                bytes = self.look_at(&memory);
                Ok(())
            }
            Err(error) => {
                self.progress.failed("memory", &error);
                Err(error)
            }
        };
        self.allowed = bytes;
        self.choose();
        self.alert_if_stuck();
        self.begin_probe();
        failed
    }

    /// Bytes that the plan may take.
    fn look_at(&mut self, memory: &Memory) -> u64 {
        let planned = self.progress.counts().plan.bytes;
        let allowed = self.room.look(memory, self.settings.budget, planned);
        if allowed.evicted > 0 {
            tracing::warn!(
                evicted = allowed.evicted,
                used = memory.used,
                limit = memory.limit,
                plan_bytes = allowed.bytes,
                "redis evicted keys, so the plan shrinks; raise maxmemory, or lower warm.budget or cache.retention_days"
            );
        } else if allowed.shrunk && !self.progress.counts().memory.shrunk {
            tracing::warn!(
                used = memory.used,
                limit = memory.limit,
                plan_bytes = allowed.bytes,
                "redis is nearly full, so the plan is smaller than warm.budget; raise maxmemory"
            );
        }
        self.full = allowed.full;
        let evictions = self.room.evictions;
        self.progress.note(|counts| {
            counts.memory.used = memory.used;
            counts.memory.limit = memory.limit;
            counts.memory.evicted = evictions;
            counts.memory.shrunk = allowed.shrunk;
        });
        allowed.bytes
    }

    /// Makes a plan and follows it.
    pub(super) fn choose(&mut self) {
        let budget = Budget {
            bytes: self.allowed,
            time_ms: u64::try_from(self.settings.budget_time.as_millis()).unwrap_or(u64::MAX),
            answers: self.settings.answers,
            hot_answers: self.settings.hot_answers,
        };
        let kept = self.shelf.kept().map(|(canonical, _)| canonical.clone()).collect();
        let scope = self.shelf.scope().clone();
        let made = self.learned.with(|state| {
            plan(&Basis {
                scope: &scope,
                interest: &state.interest,
                costs: &state.costs,
                kept: &kept,
                hot_share: self.warming.extent.hot_share,
                budget,
                now: now_ms(),
            })
        });
        self.adopt(made);
    }

    fn adopt(&mut self, plan: Plan) {
        let Followed { write, unready, gone } = self.shelf.follow(&plan);
        let keys = self.warming.levels.keys();
        self.questions.forget(unready.iter().map(|query| Write::Delete { key: keys.hot(query).key }));
        self.make_again(write, &gone);
        self.hot = Arc::new(plan.hot);
        self.orders = Arc::new(plan.orders);
        for store_id in self.orders.iter() {
            // Of stores that are not ready, the probe finds what is missing.
            let lack = self.shelf.is_ready(store_id) && !self.shelf.keeps_orders(store_id);
            if lack && !self.queue.has(store_id) {
                self.queue.add(store_id, Work::Whole, Priority::Hot);
            }
        }
        self.bytes_left = plan.record.budget.bytes.saturating_sub(plan.record.bytes);
        self.progress.note(|counts| {
            counts.plan = PlanCounts {
                budget: plan.record.budget.bytes,
                bytes: plan.record.bytes,
                answers: plan.answers.len(),
                ready: plan.ready.len(),
                hot: self.hot.len(),
                orders: self.orders.len(),
            };
        });
        self.jobs.spawn(jobs::publish(self.warming.clone(), plan.record));
    }

    /// Tells when requests come and the ranking stays: a log that repeats, a clock that stands.
    fn alert_if_stuck(&mut self) {
        let requests = self.learned.with(|state| state.interest.requests_since_ranking_changed());
        let before = self.progress.counts().ranking_unchanged_requests;
        if requests >= UNCHANGED_TOLD && before < UNCHANGED_TOLD {
            tracing::warn!(
                requests,
                "the ranking has not changed although requests came; see whether the access logs of all gateways are read (heat.logs), and `warmer hot`"
            );
        }
        self.progress.note(|counts| counts.ranking_unchanged_requests = requests);
    }

    /// Order lines of a store were missed: they are kept from now on, if the plan leaves room for them.
    pub(super) fn take_lines(&mut self, store_id: &str, at: i64) {
        let scope = self.shelf.scope();
        let Some(store) = scope.directory.get(store_id) else { return };
        if scope.orders.is_none() || self.shelf.keeps_orders(store_id) || self.queue.has(store_id) {
            return;
        }
        let lines = scope.order_lines(store);
        let bytes = self.learned.with(|state| state.costs.of(Kind::Orders, lines).bytes);
        if bytes > self.bytes_left {
            tracing::debug!(store_id, at, bytes, "order lines were missed, and there is no room for them");
            return;
        }
        self.bytes_left -= bytes;
        Arc::make_mut(&mut self.orders).insert(store_id.to_owned());
        self.queue.add(store_id, Work::Whole, Priority::Asked);
        self.progress.note(|counts| counts.misses_warmed += 1);
    }
}
