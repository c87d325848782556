//! The cycle: look for changes, rank what is asked for, find what is not ready, let it be warmed, confirm the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shared::cache::Write;
use shared::entry::EntryKind;
use shared::model::{Day, Directory, RelativeAsk};
use shared::runtime::now_ms;

use super::jobs::There;
use super::{Daemon, jobs};
use crate::changes::Look;
use crate::queue::{Priority, Work};
use crate::warming::WarmError;
use shared::published::{CycleReport, Phase};

/// The cycle that is under way.
#[derive(Debug, Default)]
pub(super) struct Cycle {
    pub(super) phase: Phase,
    began: i64,
    changes_known: i64,
    ranked: i64,
    warm: i64,
    lines_before: u64,
    stores_before: u64,
}

impl Daemon {
    /// Begins a cycle, after the one that is under way if there is one: what it looked at may be older than the wish.
    pub(super) fn want_cycle(&mut self) {
        self.cycle_wanted = self.cycle.phase != Phase::Idle;
        self.begin_cycle();
    }

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
                self.looked_at = Some(look.at);
                self.take_changes(look);
            }
            Err(error) => {
                tracing::warn!(error = %error, "the source does not say what changed; what is cached stays");
                self.progress.failed("changes", &error);
                self.looked_at = None;
            }
        }
        if self.cycle.phase == Phase::Looking {
            self.cycle.phase = Phase::Ranking;
            self.cycle.changes_known = now_ms();
            // One between cycles may be under way; then it is the one of this cycle.
            if !self.ranking {
                self.begin_ranking();
            }
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

    /// Goes on to what is there, after ranking.
    pub(super) fn begin_probe(&mut self) {
        if self.cycle.phase == Phase::Ranking {
            self.cycle.phase = Phase::Probing;
            self.cycle.ranked = now_ms();
            let (warming, scope) = (self.warming.clone(), self.shelf.scope().clone());
            self.jobs.spawn(jobs::probe(warming, scope, Arc::clone(&self.orders), !self.adopted));
        }
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
            let (before, last_day) = (self.shelf.scope().directory.stores().len(), self.last_day());
            for store_id in self.shelf.update(look.infos) {
                // The questions moved: parts are made again from the cells that are there.
                let priority = if self.hot.contains(&store_id) { Priority::Hot } else { Priority::Cold };
                self.queue.add(&store_id, Work::Days(BTreeSet::new()), priority);
            }
            if self.last_day() != last_day {
                // Tomorrow's form of today's favourites, before anyone asks.
                let (current, gone) = self.shelf.kept_of(None);
                self.make_again(current, &gone);
            }
            if self.last_day() != last_day || self.shelf.scope().directory.stores().len() != before {
                self.choose();
            }
        }
        for store_id in gone {
            self.queue.forget(&store_id);
            self.questions.forget(self.warming.levels.forget_store(&store_id));
        }
        for (store_id, days) in look.store_days {
            let hot = self.hot.contains(&store_id);
            let priority = if hot { Priority::ChangedHot } else { Priority::Changed };
            self.queue.add(&store_id, days.map_or(Work::Whole, Work::Days), priority);
        }
    }

    fn last_day(&self) -> Option<Day> {
        self.shelf.scope().directory.last_day()
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
        self.let_go_unknown(probed.documents);
        let mut left_out = BTreeSet::new();
        for (store_id, there) in self.rotated(probed.stores) {
            let priority = if self.hot.contains(&store_id) { Priority::Hot } else { Priority::Cold };
            if self.queue.has(&store_id) {
                // It is being seen to; what is missing then shows in the next cycle.
                continue;
            }
            if there == There::Less && self.full && priority == Priority::Cold {
                // It would push out what others ask for.
                self.shelf.take(&store_id);
                left_out.insert(store_id);
            } else if there == There::Less {
                self.shelf.take(&store_id);
                self.queue.add(&store_id, Work::Whole, priority);
            } else if there == There::Cells || !self.shelf.is_ready(&store_id) {
                // Ready since before this warmer began, or all but what is made of cells: no line is read.
                self.queue.add(&store_id, Work::Days(BTreeSet::new()), priority);
            }
        }
        self.progress.note(|counts| counts.memory.stores_left_out = left_out.len());
        if !left_out.is_empty() {
            tracing::warn!(
                left_out = left_out.len(),
                "redis is full: cold stores are left out; raise maxmemory, or lower cache.retention_days"
            );
        }
        self.left_out = left_out;
        if self.cycle.phase == Phase::Probing {
            self.cycle.phase = Phase::Warming;
        }
        Ok(())
    }

    /// The stores from the one after the cold store that was warmed last, so that none is left out for ever when a
    /// cycle does not come to all.
    fn rotated(&self, stores: BTreeMap<String, There>) -> impl Iterator<Item = (String, There)> + use<> {
        let cursor = self.learned.with(|state| state.cursor.clone());
        let (before, after): (Vec<_>, Vec<_>) =
            stores.into_iter().partition(|(store_id, _)| Some(store_id) <= cursor.as_ref());
        after.into_iter().chain(before)
    }

    /// Documents of earlier warmers that this one does not keep would get old unseen.
    fn let_go_unknown(&mut self, documents: Option<Vec<String>>) {
        let Some(documents) = documents else { return };
        self.adopted = true;
        let (answers, responses) = self.shelf.answer_keys(self.warming.levels.keys());
        let unknown = documents.into_iter().filter(|key| !answers.contains(key) && !responses.contains(key));
        self.questions.forget(unknown.map(|key| Write::Delete { key }));
    }

    /// Goes on to confirming when everything is warm.
    pub(super) fn advance_cycle(&mut self, now: i64) {
        let busy = self.store_jobs > 0 || self.fleet_running || self.queue.has_urgent(Priority::Cold, now);
        let busy = busy || !self.questions.is_settled();
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
            .map(|store_id| {
                let orders = self.shelf.keeps_orders(store_id) && self.orders.contains(store_id);
                (store_id.to_owned(), orders)
            })
            .collect();
        let all = stores.len() == scope.directory.stores().len() && !self.shelf.is_fleet_dirty();
        let answers = self.shelf.answer_keys(self.warming.levels.keys());
        let confirmed_at = self.looked_at;
        self.confirmed_at = now;
        self.jobs.spawn(jobs::confirm(self.warming.clone(), scope, stores, answers, confirmed_at, all));
    }

    /// Between cycles: ready responses are fresh for less time than a cycle takes, so what the last look confirmed is
    /// noted in time.
    pub(super) fn refresh_confirmations(&mut self) {
        let (now, soft) = (now_ms(), self.warming.levels.ttl().soft(EntryKind::Hot));
        let due = i64::try_from(soft.as_millis() * 2 / 5).unwrap_or(i64::MAX);
        let Some(looked_at) = self.looked_at.filter(|at| *at > self.confirmed_at) else { return };
        if self.cycle.phase != Phase::Idle || self.progress.is_paused() || now - self.confirmed_at < due {
            return;
        }
        self.confirmed_at = now;
        let stores: Vec<String> = self
            .shelf
            .ready_stores()
            .filter(|store_id| !self.queue.has(store_id))
            .map(str::to_owned)
            .collect();
        let all = stores.len() == self.shelf.scope().directory.stores().len() && !self.shelf.is_fleet_dirty();
        let (_, ready) = self.shelf.answer_keys(self.warming.levels.keys());
        self.jobs.spawn(jobs::refresh(self.warming.clone(), stores, ready, looked_at, all));
    }

    pub(super) fn end_cycle(&mut self, result: Result<(), WarmError>) -> Result<(), WarmError> {
        let cycle = std::mem::take(&mut self.cycle);
        let now = now_ms();
        let counts = self.progress.counts();
        let report = CycleReport {
            began: cycle.began,
            duration_ms: now - cycle.began,
            changes_ms: cycle.changes_known - cycle.began,
            rank_ms: cycle.ranked - cycle.began,
            warm_ms: cycle.warm - cycle.began,
            lines_read: counts.lines_read - cycle.lines_before,
            stores_warmed: counts.stores_warmed - cycle.stores_before,
            confirmed: self.looked_at.is_some(),
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
        if std::mem::take(&mut self.cycle_wanted) {
            self.begin_cycle();
        }
        result.inspect_err(|error| self.progress.failed("confirm", error))
    }

    /// The directory that this warmer starts from.
    pub(super) fn start_from(&mut self, directory: Directory) {
        self.shelf.replace(directory);
        let kept = self.learned.with(|state| state.kept.clone());
        let Some(last_day) = self.last_day() else { return };
        for relative in kept.iter().filter_map(|text| text.parse::<RelativeAsk>().ok()) {
            if let Ok(query) = relative.absolute(last_day).resolve(&self.shelf.scope().directory) {
                // All of them are made again, since their data may have changed while no warmer ran.
                self.shelf.keep(relative, query, 0.0);
            }
        }
        self.choose();
    }
}
