//! The cycle: look for changes, find what is not ready, let it be warmed, confirm the rest.

use std::collections::BTreeSet;
use std::sync::Arc;

use shared::model::Directory;
use shared::runtime::now_ms;

use super::{CycleReport, Daemon, jobs};
use crate::changes::Look;
use crate::queue::{Priority, Work};
use crate::warming::WarmError;

/// Where a cycle is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// None is under way.
    #[default]
    Idle,
    /// The source is asked what changed.
    Looking,
    /// The cache is asked what is there.
    Probing,
    /// What is not ready is warmed.
    Warming,
    /// The rest is confirmed.
    Confirming,
}

/// The cycle that is under way.
#[derive(Debug, Default)]
pub(super) struct Cycle {
    pub(super) phase: Phase,
    began: i64,
    changes_known: i64,
    warm: i64,
    lines_before: u64,
    stores_before: u64,
    /// The state of the source up to which everything is known, milliseconds since 1970.
    confirmed_at: Option<i64>,
}

impl Daemon {
    /// Begins a cycle, unless one is under way.
    pub(super) fn begin_cycle(&mut self) {
        if self.cycle.phase != Phase::Idle || self.progress.is_paused() {
            return;
        }
        let counts = self.progress.counts();
        self.cycle = Cycle {
            phase: Phase::Looking,
            began: now_ms(),
            lines_before: counts.lines_read,
            stores_before: counts.stores_warmed,
            ..Cycle::default()
        };
        self.look();
    }

    /// Asks the source what changed, unless that is being asked.
    pub(super) fn look(&mut self) {
        if self.look_running || self.progress.is_paused() {
            return;
        }
        self.look_running = true;
        self.jobs.spawn(jobs::look(Arc::clone(&self.watcher), self.shelf.scope().clone()));
    }

    pub(super) fn apply_look(&mut self, result: Result<Look, WarmError>) -> Result<(), WarmError> {
        self.look_running = false;
        match result {
            Ok(look) => {
                self.cycle.confirmed_at = Some(look.at);
                self.take_changes(look);
            }
            Err(error) => {
                tracing::warn!(error = %error, "the source does not say what changed; what is cached stays");
                self.progress.failed("changes", &error);
                self.cycle.confirmed_at = None;
            }
        }
        if self.cycle.phase == Phase::Looking {
            self.cycle.phase = Phase::Probing;
            self.cycle.changes_known = now_ms();
            let (warming, scope) = (self.warming.clone(), self.shelf.scope().clone());
            self.jobs.spawn(jobs::probe(warming, scope, Arc::clone(&self.hot)));
        }
        Ok(())
    }

    /// Takes over what a step of the sweep found.
    pub(super) fn apply_sweep(&mut self, result: Result<Look, WarmError>) -> Result<(), WarmError> {
        match result {
            Ok(look) => self.take_changes(look),
            Err(error) => {
                tracing::warn!(error = %error, "days could not be compared; the next step takes them");
                self.progress.failed("sweep", &error);
            }
        }
        Ok(())
    }

    /// Queues what changed, and what moves with it.
    fn take_changes(&mut self, look: Look) {
        self.watcher.taken(&look);
        let changes: usize =
            look.store_days.values().map(|days| days.as_ref().map_or(1, BTreeSet::len)).sum();
        self.progress.note(|counts| counts.changes += changes as u64);
        let gone: Vec<String> = look
            .infos
            .iter()
            .filter(|(_, info)| info.is_none())
            .map(|(store_id, _)| store_id.clone())
            .collect();
        if !look.infos.is_empty() {
            for store_id in self.shelf.update(look.infos) {
                // The questions moved: parts are made again from the cells that are there.
                let priority = if self.hot.contains(&store_id) { Priority::Hot } else { Priority::Cold };
                self.queue.add(&store_id, Work::Days(BTreeSet::new()), priority);
            }
            self.choose_hot();
        }
        for store_id in gone {
            self.queue.forget(&store_id);
            self.gone.extend(self.warming.levels.forget_store(&store_id));
        }
        for (store_id, days) in look.store_days {
            let hot = self.hot.contains(&store_id);
            let priority = if hot { Priority::ChangedHot } else { Priority::Changed };
            self.queue.add(&store_id, days.map_or(Work::Whole, Work::Days), priority);
        }
    }

    /// Which stores are hot: until an access log tells, those with most lines.
    pub(super) fn choose_hot(&mut self) {
        let hot = self.shelf.scope().largest(self.warming.extent.hot_share);
        self.hot = Arc::new(hot.into_iter().collect());
    }

    pub(super) fn apply_probe(&mut self, result: Result<jobs::Probed, WarmError>) -> Result<(), WarmError> {
        let probed = match result {
            Ok(probed) => probed,
            Err(error) => {
                tracing::warn!(error = %error, "the cache does not say what is ready");
                self.progress.failed("probe", &error);
                self.cycle.phase = Phase::Idle;
                return Err(error);
            }
        };
        for (store_id, there) in probed {
            let priority = if self.hot.contains(&store_id) { Priority::Hot } else { Priority::Cold };
            if self.queue.has(&store_id) {
                // It is being seen to; what is missing then shows in the next cycle.
                continue;
            }
            if !there {
                self.shelf.take(&store_id);
                self.queue.add(&store_id, Work::Whole, priority);
            } else if !self.shelf.is_ready(&store_id) {
                // Ready since before this warmer began: only its parts are made, of the cells.
                self.queue.add(&store_id, Work::Days(BTreeSet::new()), priority);
            }
        }
        if self.cycle.phase == Phase::Probing {
            self.cycle.phase = Phase::Warming;
        }
        Ok(())
    }

    /// Goes on to confirming when everything is warm.
    pub(super) fn advance_cycle(&mut self, now: i64) {
        let busy = self.store_jobs > 0 || self.fleet_running || self.queue.has_urgent(Priority::Cold, now);
        if self.cycle.phase != Phase::Warming || busy || self.look_running {
            return;
        }
        self.cycle.phase = Phase::Confirming;
        self.cycle.warm = now;
        let scope = self.shelf.scope().clone();
        let stores: Vec<(String, bool)> = self
            .shelf
            .ready_stores()
            .filter(|store_id| !self.queue.has(store_id))
            .map(|store_id| (store_id.to_owned(), self.shelf.keeps_orders(store_id)))
            .collect();
        let all = stores.len() == scope.directory.stores().len() && !self.shelf.is_fleet_dirty();
        let answers = self.shelf.answer_keys(self.warming.levels.keys()).into_iter().collect();
        let confirmed_at = self.cycle.confirmed_at;
        self.jobs.spawn(jobs::confirm(self.warming.clone(), scope, stores, answers, confirmed_at, all));
    }

    pub(super) fn end_cycle(&mut self, result: Result<(), WarmError>) -> Result<(), WarmError> {
        let cycle = std::mem::take(&mut self.cycle);
        let now = now_ms();
        let counts = self.progress.counts();
        let report = CycleReport {
            began: cycle.began,
            duration_ms: now - cycle.began,
            changes_ms: cycle.changes_known - cycle.began,
            warm_ms: cycle.warm - cycle.began,
            lines_read: counts.lines_read - cycle.lines_before,
            stores_warmed: counts.stores_warmed - cycle.stores_before,
            confirmed: cycle.confirmed_at.is_some(),
        };
        tracing::info!(
            duration_ms = report.duration_ms,
            stores_warmed = report.stores_warmed,
            lines_read = report.lines_read,
            ready = self.shelf.ready_stores().count(),
            stores = self.shelf.scope().directory.stores().len(),
            "cycle ended"
        );
        self.progress.note(|counts| {
            counts.cycles += 1;
            counts.last_cycle = Some(report);
        });
        result.inspect_err(|error| self.progress.failed("confirm", error))
    }

    /// The directory that this warmer starts from.
    pub(super) fn start_from(&mut self, directory: Directory) {
        self.shelf.replace(directory);
        self.choose_hot();
    }
}
