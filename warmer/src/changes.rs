//! What changed in the source since the last look: notes of triggers, or compared fingerprints. Both name the exact
//! store-days; a source that has neither is compared by the counts of its directory.
//!
//! In both modes a sweep compares the fingerprints of all other days, one window after the other. It finds what the mode does
//! not see: with triggers, those that were disabled, and logical replication; with polling, old days. A window's first round
//! learns, and finds only lines on days that the directory does not have, and the other way round. What it does not find:
//! what changed before that, unless the state's folder remembers the time before; and changes on days older than those kept
//! ready, of which nothing but the directory and some documents is in the cache, as long as the day keeps a line.

mod book;
mod listening;
mod notes;
mod prints;
mod stored;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shared::cache::Levels;
use shared::config::{ChangeMode, ChangeSettings, Settings};
use shared::model::{Day, DayRange, StoreInfo};
use shared::runtime::now_ms;
use shared::source::postgres::PostgresSource;
use shared::source::{Source, SourceError, SourceErrorKind};
use tokio::time::{Instant, sleep_until};

use crate::scope::Scope;
use crate::warming::Warming;
use book::{Book, Examined, Unexamined};
pub use listening::Listening;
use notes::{News, Notes};
use prints::Prints;
use stored::{Place, Stored};

/// What a look found.
#[derive(Debug, Default)]
pub struct Look {
    /// The state of the source that it saw, milliseconds since 1970.
    pub at: i64,
    /// The days that changed by store; `None` if any may have.
    pub store_days: BTreeMap<String, Option<BTreeSet<Day>>>,
    /// What is known of stores that changed, came or went (`None`).
    pub infos: Vec<(String, Option<StoreInfo>)>,
    /// The notes that it was told by.
    news: News,
    /// There are more notes.
    more: bool,
    /// The fingerprints that it was told by.
    examined: Examined,
    /// First day of which fingerprints are kept.
    kept_from: Option<Day>,
    /// Everything is read after this, whatever was known.
    anew: bool,
    /// The window that was swept.
    swept: Option<DayRange>,
}

#[derive(Debug, Default)]
struct State {
    book: Book,
    notes: Notes,
    /// Whether there are more notes than were read.
    more: bool,
    /// Stores that are gone, which the cache may still have.
    gone: BTreeSet<String>,
    /// What an earlier process stored, until it is compared with the cache.
    stored: Option<Stored>,
    /// First day of the window that was swept last.
    swept: Option<Day>,
    next_sweep: Option<Instant>,
    sweeping: bool,
}

/// Looks for changes.
#[derive(Debug)]
pub struct Watcher {
    source: Source,
    levels: Levels,
    settings: ChangeSettings,
    /// Longest time of one call of the source.
    limit: Duration,
    place: Place,
    file: Option<PathBuf>,
    state: Mutex<State>,
}

impl Watcher {
    /// Of a source, with what an earlier process stored in the state's folder, if there is one.
    #[must_use]
    pub fn new(settings: &Settings, warming: &Warming) -> Self {
        let prefix = warming.levels.keys().prefix().to_owned();
        let postgres = &settings.postgres;
        let place = Place { table: postgres.table.clone(), prefix };
        let file = settings.warm.state.as_ref().map(|folder| folder.join(stored::FILE));
        let stored = file.as_deref().and_then(|file| stored::load(file, &place));
        Self {
            source: warming.source.clone(),
            levels: warming.levels.clone(),
            settings: settings.changes.clone(),
            limit: postgres.connect_timeout + postgres.wait_timeout + postgres.statement_timeout,
            place,
            file,
            state: Mutex::new(State { stored, ..State::default() }),
        }
    }

    /// The server bounds the time of a statement. It cannot when the connection was cut silently, and then nobody would
    /// look for changes any more.
    async fn limited<T>(&self, call: impl Future<Output = Result<T, SourceError>>) -> Result<T, SourceError> {
        let silent = |_| {
            let what = format!("postgres: silent for {} s", self.limit.as_secs());
            SourceError::new(SourceErrorKind::Timeout, what, "check the network between warmer and database")
        };
        tokio::time::timeout(self.limit, call).await.map_err(silent)?
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What changed since `scope` was true.
    ///
    /// # Errors
    /// If the source cannot be read; then nothing is lost, and the next look finds it.
    pub async fn look(&self, scope: &Scope) -> Result<Look, SourceError> {
        // Before anything is written by this process.
        self.recall().await;
        match (&self.source, self.settings.mode) {
            (Source::Postgres(source), ChangeMode::Trigger) => self.by_notes(source, scope).await,
            (Source::Postgres(source), ChangeMode::Poll) => {
                let look = self.by_fingerprints(source, scope).await;
                self.save().await;
                look
            }
            (Source::Postgres(_), ChangeMode::Off) => self.everything(scope).await,
            (Source::Files(_), _) => self.by_directory(scope).await,
        }
    }

    async fn by_directory(&self, scope: &Scope) -> Result<Look, SourceError> {
        let at = now_ms();
        let directory = self.limited(self.source.directory()).await?;
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

    /// All stores, changed or not.
    async fn everything(&self, scope: &Scope) -> Result<Look, SourceError> {
        let mut look = self.by_directory(scope).await?;
        for store in scope.directory.stores() {
            look.store_days.insert(store.store_id.clone(), None);
        }
        Ok(look)
    }

    async fn by_notes(&self, source: &PostgresSource, scope: &Scope) -> Result<Look, SourceError> {
        let done = self.with(|state| state.notes.done());
        self.limited(source.clear(&done)).await?;
        self.with(|state| state.notes.cleared(&done));
        self.limited(source.watch_partitions()).await?;
        let at = now_ms();
        let known = self.with(|state| state.notes.known());
        let batch = self.limited(source.dirty(self.settings.batch_rows, &known)).await?;
        let mut news = News { of: batch.of, ..News::default() };
        let others = batch.ids.iter().copied().filter(|id| !news.of.contains_key(id)).collect();
        *(if batch.everything { &mut news.everything } else { &mut news.empty }) = others;
        let mut look = if batch.everything {
            self.everything(scope).await?
        } else if scope.directory.last_day().is_none() {
            // Nothing is known yet that could have changed.
            self.by_directory(scope).await?
        } else {
            self.of_store_days(source, batch.store_days, at).await?
        };
        (look.at, look.news, look.more) = (at, news, batch.is_full);
        Ok(look)
    }

    /// The days that are polled. Lines may come of days after the last known one.
    fn polled(&self, last: Day) -> DayRange {
        DayRange { from: last.plus(1 - self.settings.poll_days), to: Day::MAX }
    }

    async fn by_fingerprints(&self, source: &PostgresSource, scope: &Scope) -> Result<Look, SourceError> {
        let Some(last) = scope.directory.last_day() else { return self.first_prints(source, scope).await };
        let at = now_ms();
        let (range, kept) = (self.polled(last), kept(scope));
        let prints = self.limited(prints::of_all(source, range, &scope.directory)).await?;
        // What changed while nobody looked is not known: such days are read again.
        let examined = self
            .with(|state| state.book.examine(range, kept, &prints, &scope.directory, Unexamined::Changed));
        let mut look = self.of_examined(source, examined, kept, at).await?;
        // Whoever tries to warm it finds out what is wrong, tells, and tries again later.
        look.store_days.extend(prints.unreadable.into_iter().map(|store_id| (store_id, None)));
        Ok(look)
    }

    /// With nothing known, everything is read after this, and what changes from now on is news.
    async fn first_prints(&self, source: &PostgresSource, scope: &Scope) -> Result<Look, SourceError> {
        let Some(last) = self.limited(source.directory()).await?.last_day() else {
            return self.by_directory(scope).await;
        };
        let now = Prints {
            all: self.limited(source.fingerprints(self.polled(last), None)).await?,
            ..Prints::default()
        };
        // After the fingerprints, so that it has everything that they have.
        let mut look = self.by_directory(scope).await?;
        let kept = Some(self.polled(last));
        look.examined =
            Book::default().examine(self.polled(last), kept, &now, &scope.directory, Unexamined::Changed);
        look.anew = true;
        Ok(look)
    }

    async fn of_examined(
        &self,
        source: &PostgresSource,
        examined: Examined,
        kept: Option<DayRange>,
        at: i64,
    ) -> Result<Look, SourceError> {
        let mut look = self.of_store_days(source, examined.changed.keys().cloned().collect(), at).await?;
        (look.examined, look.kept_from) = (examined, kept.map(|kept| kept.from));
        Ok(look)
    }

    /// Whether it is time for the next step of the sweep; then it counts as begun, until [`Watcher::sweep`] fails or what
    /// it gives is [`Watcher::taken`]. The first one comes an interval after the start.
    pub fn begin_sweep(&self, now: Instant) -> bool {
        if !matches!(self.source, Source::Postgres(_)) || self.settings.mode == ChangeMode::Off {
            return false;
        }
        self.with(|state| {
            let next = *state.next_sweep.get_or_insert(now + self.settings.sweep_interval);
            if state.sweeping || now < next {
                return false;
            }
            state.next_sweep = Some(now + self.settings.sweep_interval);
            state.sweeping = true;
            true
        })
    }

    /// Compares the next days.
    ///
    /// # Errors
    /// If the source cannot be read; then the next step is of the same days.
    pub async fn sweep(&self, scope: &Scope) -> Result<Look, SourceError> {
        self.recall().await;
        let look = self.window(scope).await;
        if look.is_err() {
            self.with(|state| state.sweeping = false);
        }
        self.save().await;
        look
    }

    async fn window(&self, scope: &Scope) -> Result<Look, SourceError> {
        let at = now_ms();
        let (Source::Postgres(source), Some(last)) = (&self.source, scope.directory.last_day()) else {
            return Ok(Look {
                at,
                swept: Some(DayRange { from: Day::MIN, to: Day::MAX }),
                ..Look::default()
            });
        };
        let end = match self.settings.mode {
            ChangeMode::Poll => self.polled(last).from.plus(-1),
            _ => Day::MAX,
        };
        let everything = DayRange { from: Day::MIN, to: Day::MAX };
        let known = scope.directory.stores().iter().flat_map(|store| store.days.within(everything)).collect();
        let before = self.with(|state| state.swept);
        let Some(range) = sweep::next_window(before, end, self.settings.sweep_days, &known) else {
            return Ok(Look { at, swept: Some(everything), ..Look::default() });
        };
        let prints = self.limited(prints::of_all(source, range, &scope.directory)).await?;
        let kept = kept(scope);
        let examined = self
            .with(|state| state.book.examine(range, kept, &prints, &scope.directory, Unexamined::Learned));
        let mut look = self.of_examined(source, examined, kept, at).await?;
        tracing::debug!(from = %range.from, to = %range.to, changed = look.store_days.len(), "days were swept");
        look.swept = Some(range);
        Ok(look)
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
        let directory = self.limited(source.store_info(&stores)).await?;
        look.infos = stores
            .into_iter()
            .map(|store_id| {
                let info = directory.get(&store_id).cloned();
                (store_id, info)
            })
            .collect();
        Ok(look)
    }

    /// The changes of a look are being seen to: it is true to the last, and its notes are cleared, when all their stores
    /// are written.
    pub fn taken(&self, look: &Look) {
        self.with(|state| {
            if look.anew {
                state.book = Book::default();
            }
            state.book.take(&look.examined, look.kept_from);
            for (store_id, day) in look.news.of.values() {
                state.book.doubt(store_id, *day);
            }
            for (store_id, info) in &look.infos {
                match info {
                    Some(_) => state.gone.remove(store_id),
                    None => state.gone.insert(store_id.clone()),
                };
            }
            // Nobody writes a store that is gone, nor one that is noted and was never there.
            let noted = look.news.of.values().map(|(store_id, _)| store_id);
            state.gone.extend(noted.filter(|store_id| !look.store_days.contains_key(*store_id)).cloned());
            let stores = look.store_days.keys().filter(|store_id| !state.gone.contains(*store_id));
            state.notes.take(&look.news, stores.cloned());
            state.more |= look.more;
            if let Some(range) = look.swept {
                (state.swept, state.sweeping) = (Some(range.from), false);
            }
        });
    }

    /// A store was written after everything that was taken of it.
    pub fn written(&self, store_id: &str) {
        self.with(|state| {
            if !state.gone.contains(store_id) {
                state.book.written(store_id);
                state.notes.written(store_id);
            }
        });
    }

    /// The directory was written after everything that was taken, without the stores that are gone.
    pub fn directory_written(&self) {
        self.with(|state| {
            for store_id in std::mem::take(&mut state.gone) {
                state.book.written(&store_id);
                state.notes.written(&store_id);
            }
        });
    }

    /// The work that was under way is dropped: what was taken and not written is found again, and no look or sweep runs.
    pub fn reset(&self) {
        self.with(|state| {
            state.book.reset();
            state.notes.reset();
            state.gone.clear();
            (state.sweeping, state.more) = (false, false);
        });
    }

    /// Completes when it is time for the next look: a note was made, or the time of a poll has come.
    pub async fn wait(&self, listening: &mut Listening, last_look: Instant) {
        let Source::Postgres(source) = &self.source else { return std::future::pending().await };
        let (mode, settings) = (self.settings.mode, &self.settings);
        if self.with(|state| std::mem::take(&mut state.more)) {
            return;
        }
        match mode {
            ChangeMode::Trigger => {
                let next = last_look + settings.keepalive.max(SHORTEST);
                tokio::select! {
                    () = sleep_until(next) => {}
                    () = listening.told(source, settings.keepalive) => {}
                }
            }
            ChangeMode::Poll => sleep_until(last_look + settings.poll_interval.max(SHORTEST)).await,
            ChangeMode::Off => std::future::pending().await,
        }
    }
}

/// Shortest time between two looks that nobody asked for.
const SHORTEST: Duration = Duration::from_millis(100);

/// Days of which fingerprints are kept: those that are kept ready, and those to come.
fn kept(scope: &Scope) -> Option<DayRange> {
    scope.span.map(|span| DayRange { from: span.from, to: Day::MAX })
}
