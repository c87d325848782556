//! What changed in the source since the last look: notes of triggers, or compared fingerprints. Both name the exact
//! store-days; a source that has neither is compared by the counts of its directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shared::config::{ChangeMode, ChangeSettings};
use shared::model::{Day, DayRange, StoreInfo};
use shared::runtime::now_ms;
use shared::source::postgres::changes::changed;
use shared::source::postgres::{ChangeListener, Fingerprints, PostgresSource};
use shared::source::{Source, SourceError};
use tokio::time::{Instant, sleep_until};

use crate::scope::Scope;

/// What a look found.
#[derive(Debug, Default)]
pub struct Look {
    /// The state of the source that it saw, milliseconds since 1970.
    pub at: i64,
    /// The days that changed by store; `None` if any may have.
    pub store_days: BTreeMap<String, Option<BTreeSet<Day>>>,
    /// What is known of stores that changed, came or went (`None`).
    pub infos: Vec<(String, Option<StoreInfo>)>,
    /// Numbers of the notes that it was told by.
    notes: Vec<i64>,
}

/// Notes that are seen to, and which stores they still wait for.
#[derive(Debug)]
struct Receipt {
    notes: Vec<i64>,
    stores: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct State {
    /// Fingerprints of the days that are polled, as of the last look.
    known: Option<(DayRange, Fingerprints)>,
    receipts: Vec<Receipt>,
    /// Notes whose store-days are rewritten.
    done: Vec<i64>,
    /// Notes that were read and are not cleared yet: they are not read as news again.
    seen: BTreeSet<i64>,
}

/// Looks for changes.
#[derive(Debug)]
pub struct Watcher {
    source: Source,
    settings: ChangeSettings,
    state: Mutex<State>,
}

impl Watcher {
    /// Of a source.
    #[must_use]
    pub fn new(settings: &ChangeSettings, source: &Source) -> Self {
        Self { source: source.clone(), settings: settings.clone(), state: Mutex::default() }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What changed since `scope` was true.
    ///
    /// # Errors
    /// If the source cannot be read; then nothing is lost, and the next look finds it.
    pub async fn look(&self, scope: &Scope) -> Result<Look, SourceError> {
        match (&self.source, self.settings.mode) {
            // Without a directory, nothing is known that could have changed.
            (Source::Postgres(source), ChangeMode::Trigger) => self.by_notes(source, scope).await,
            (Source::Postgres(source), ChangeMode::Poll) => self.by_fingerprints(source, scope).await,
            _ => self.by_directory(scope).await,
        }
    }

    async fn by_directory(&self, scope: &Scope) -> Result<Look, SourceError> {
        let at = now_ms();
        let directory = self.source.directory().await?;
        let mut look = Look { at, ..Look::default() };
        for store in directory.stores() {
            if scope.directory.get(&store.store_id) != Some(store) {
                look.store_days.insert(store.store_id.clone(), None);
                look.infos.push((store.store_id.clone(), Some(store.clone())));
            }
        }
        for store in scope.directory.stores().iter().filter(|store| directory.get(&store.store_id).is_none())
        {
            look.infos.push((store.store_id.clone(), None));
        }
        Ok(look)
    }

    async fn by_notes(&self, source: &PostgresSource, scope: &Scope) -> Result<Look, SourceError> {
        let done = self.with(|state| std::mem::take(&mut state.done));
        if let Err(error) = source.clear(&done).await {
            self.with(|state| state.done.extend(done));
            return Err(error);
        }
        self.with(|state| done.iter().for_each(|id| _ = state.seen.remove(id)));
        source.watch_partitions().await?;
        let at = now_ms();
        let batch = source.dirty(self.settings.batch_rows).await?;
        let news: Vec<i64> =
            self.with(|state| batch.ids.into_iter().filter(|id| !state.seen.contains(id)).collect());
        if scope.directory.last_day().is_none() || (batch.everything && !news.is_empty()) {
            let mut look = self.by_directory(scope).await?;
            if batch.everything {
                for store in scope.directory.stores() {
                    look.store_days.insert(store.store_id.clone(), None);
                }
            }
            look.notes = news;
            return Ok(look);
        }
        if news.is_empty() {
            return Ok(Look { at, ..Look::default() });
        }
        let mut look = self.of_store_days(source, batch.store_days, at).await?;
        look.notes = news;
        Ok(look)
    }

    /// The days that are polled. Lines may come of days after the last known one.
    fn polled(&self, last: Day) -> DayRange {
        DayRange { from: last.plus(1 - self.settings.poll_days), to: Day::MAX }
    }

    async fn by_fingerprints(&self, source: &PostgresSource, scope: &Scope) -> Result<Look, SourceError> {
        let Some(last) = scope.directory.last_day() else {
            let look = self.by_directory(scope).await?;
            // Everything will be read after this, so what changes from now on is news.
            let last = look.infos.iter().filter_map(|(_, info)| info.as_ref()?.days.last()).max();
            if let Some(range) = last.map(|last| self.polled(last)) {
                let now = source.fingerprints(range, None).await?;
                self.with(|state| state.known = Some((range, now)));
            }
            return Ok(look);
        };
        let at = now_ms();
        let range = self.polled(last);
        let now = source.fingerprints(range, None).await?;
        let before = self.with(|state| state.known.take());
        let found: BTreeSet<(String, Day)> = match before {
            Some((of, before)) => {
                let shared = |prints: &Fingerprints| -> Fingerprints {
                    let from = of.from.max(range.from);
                    prints
                        .iter()
                        .filter(|((_, day), _)| *day >= from)
                        .map(|(key, print)| (key.clone(), *print))
                        .collect()
                };
                changed(&shared(&before), &shared(&now))
            }
            // What changed while no warmer looked is not known: the days that are polled are read again.
            None => now.keys().cloned().collect(),
        };
        let look = self.of_store_days(source, found, at).await;
        // Kept only when the changes are told, or they would be lost.
        if look.is_ok() {
            self.with(|state| state.known = Some((range, now)));
        }
        look
    }

    async fn of_store_days(
        &self,
        source: &PostgresSource,
        store_days: BTreeSet<(String, Day)>,
        at: i64,
    ) -> Result<Look, SourceError> {
        let mut look = Look { at, ..Look::default() };
        for (store_id, day) in store_days {
            look.store_days
                .entry(store_id)
                .or_insert_with(|| Some(BTreeSet::new()))
                .get_or_insert_default()
                .insert(day);
        }
        let stores: Vec<String> = look.store_days.keys().cloned().collect();
        if stores.is_empty() {
            return Ok(look);
        }
        let directory = source.store_info(&stores).await?;
        look.infos = stores
            .into_iter()
            .map(|store_id| {
                let info = directory.get(&store_id).cloned();
                (store_id, info)
            })
            .collect();
        Ok(look)
    }

    /// The changes of a look are being seen to: its notes are cleared when all their stores are written.
    pub fn taken(&self, look: &Look) {
        if look.notes.is_empty() {
            return;
        }
        let gone = look.infos.iter().filter(|(_, info)| info.is_none()).map(|(store_id, _)| store_id);
        let gone: BTreeSet<&String> = gone.collect();
        let stores = look.store_days.keys().filter(|store_id| !gone.contains(store_id)).cloned().collect();
        self.with(|state| {
            state.seen.extend(&look.notes);
            state.receipts.push(Receipt { notes: look.notes.clone(), stores });
            settle(state);
        });
    }

    /// A store was written after everything that was taken of it.
    pub fn written(&self, store_id: &str) {
        self.with(|state| {
            for receipt in &mut state.receipts {
                receipt.stores.remove(store_id);
            }
            settle(state);
        });
    }

    /// Completes when it is time for the next look: a note was made, or the time of a poll has come.
    pub async fn wait(&self, listener: &mut Option<ChangeListener>, last_look: Instant) {
        let Source::Postgres(source) = &self.source else { return std::future::pending().await };
        let (mode, settings) = (self.settings.mode, &self.settings);
        let period = match mode {
            ChangeMode::Trigger => settings.keepalive,
            ChangeMode::Poll => settings.poll_interval,
            ChangeMode::Off => return std::future::pending().await,
        };
        let next = last_look + period.max(SHORTEST);
        if mode == ChangeMode::Poll {
            return sleep_until(next).await;
        }
        if listener.is_none() {
            match source.listen(settings.keepalive).await {
                Ok(new) => *listener = Some(new),
                Err(error) => {
                    tracing::debug!(error = %error, "not told of changes at once; they are looked for");
                }
            }
        }
        let Some(told) = listener.as_mut() else { return sleep_until(next).await };
        tokio::select! {
            () = sleep_until(next) => {}
            told = told.changed() => if told.is_err() {
                *listener = None;
            },
        }
    }
}

/// Shortest time between two looks that nobody asked for.
const SHORTEST: Duration = Duration::from_millis(100);

fn settle(state: &mut State) {
    let State { receipts, done, .. } = state;
    receipts.retain_mut(|receipt| {
        let settled = receipt.stores.is_empty();
        if settled {
            done.append(&mut receipt.notes);
        }
        !settled
    });
}
