//! What all requests share: levels, source, computing threads, and the directory of stores.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use shared::cache::Levels;
use shared::config::{AccessSettings, Settings};
use shared::model::{Directory, Rules};
use shared::runtime::{ComputePool, Heartbeat};
use shared::source::Source;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::access_log::AccessLog;
use crate::auth::Access;
use crate::directory::Directories;
use crate::flight::Flights;
use crate::flight::store_days::Fetching;
use crate::known::KnownQuestions;
use crate::near::{Epoch, Near};
use crate::observe::Counters;
use crate::panel::Panel;
use crate::problem::Problem;
use crate::represent::Represented;

/// For how many days entries are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptDays {
    /// Cells.
    pub cells: i32,
    /// Order lines.
    pub orders: i32,
}

/// Shared by all requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    levels: Levels,
    source: Source,
    compute: ComputePool,
    rules: Arc<Rules>,
    max_source_store_days: usize,
    kept_days: KeptDays,
    body_timeout: Duration,
    max_body_bytes: usize,
    near: Near,
    known: KnownQuestions,
    directories: Arc<Directories>,
    flights: Arc<Flights<Flight, Arc<Represented>>>,
    fetching: Arc<Fetching>,
    /// Follow what changes; they end with the app.
    _followers: JoinSet<Infallible>,
}

/// A question in one representation, and when what it is made of last changed.
type Flight = (Arc<[u8]>, Epoch);

impl App {
    /// From settings and what was connected. Changes are followed from now on: needs a runtime.
    #[must_use]
    pub fn new(settings: &Settings, levels: Levels, source: Source, compute: ComputePool) -> Self {
        let near = Near::new(&settings.near, levels.keys().clone());
        let counters = near.counters();
        let flights =
            Flights::new(settings.near.flights, settings.gateway.request_timeout, Arc::clone(counters));
        let fetching = Fetching::new(Arc::clone(counters));
        let directories = Arc::new(Directories::new(
            levels.clone(),
            source.clone(),
            settings.gateway.directory_ttl,
            near.clone(),
        ));
        let mut followers = JoinSet::new();
        let of_directory = Arc::clone(&directories).follow();
        followers.spawn(near.clone().follow(levels.cache().clone(), settings.near.keepalive, of_directory));
        let inner = Inner {
            levels,
            source,
            compute,
            rules: Arc::new(settings.rules.clone()),
            max_source_store_days: settings.gateway.max_source_store_days,
            kept_days: KeptDays { cells: settings.retention_days, orders: settings.warm.order_days },
            body_timeout: settings.gateway.body_timeout,
            max_body_bytes: settings.gateway.max_body_bytes,
            near,
            known: KnownQuestions::new(settings.gateway.known_bytes),
            directories,
            flights,
            fetching,
            _followers: followers,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The levels.
    #[must_use]
    pub fn levels(&self) -> &Levels {
        &self.inner.levels
    }

    /// Where lines come from that are not ready.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.inner.source
    }

    /// Threads for computing.
    #[must_use]
    pub fn compute(&self) -> &ComputePool {
        &self.inner.compute
    }

    /// The rules of the cells.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.inner.rules
    }

    /// Store-days that one question may read from the source.
    #[must_use]
    pub fn max_source_store_days(&self) -> usize {
        self.inner.max_source_store_days
    }

    /// For how many days entries are kept, if the warmer has the same settings.
    #[must_use]
    pub fn kept_days(&self) -> KeptDays {
        self.inner.kept_days
    }

    /// Time in which a request's body must be there.
    #[must_use]
    pub fn body_timeout(&self) -> Duration {
        self.inner.body_timeout
    }

    /// Most bytes of a request's body.
    #[must_use]
    pub fn max_body_bytes(&self) -> usize {
        self.inner.max_body_bytes
    }

    /// What is kept in this gateway's memory, and what it and single flight counted.
    #[must_use]
    pub fn near(&self) -> &Near {
        &self.inner.near
    }

    /// Questions that are being answered now.
    #[must_use]
    pub fn open_flights(&self) -> usize {
        self.inner.flights.len()
    }

    /// Questions that came before, as they were understood.
    pub(crate) fn known(&self) -> &KnownQuestions {
        &self.inner.known
    }

    /// All stores, if that is known without asking anybody.
    pub(crate) fn known_directory(&self) -> Option<Arc<Directory>> {
        self.inner.directories.good()
    }

    pub(crate) fn flights(&self) -> &Arc<Flights<Flight, Arc<Represented>>> {
        &self.inner.flights
    }

    pub(crate) fn fetching(&self) -> &Arc<Fetching> {
        &self.inner.fetching
    }

    /// All stores: from the cache, else from the source; one request reads for all that wait.
    ///
    /// # Errors
    /// If neither answers and no directory is known.
    pub async fn directory(&self) -> Result<Arc<Directory>, Problem> {
        self.inner.directories.get().await
    }
}

/// What a listener serves while the app gets ready, serves, and stops. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Front {
    state: Arc<FrontState>,
}

#[derive(Debug, Default)]
struct FrontState {
    app: OnceLock<App>,
    stopping: AtomicBool,
    access_log: AccessLog,
    access: ArcSwap<Access>,
    counters: Arc<Counters>,
    threads: OnceLock<Vec<(Heartbeat, Handle)>>,
    panel: Panel,
}

impl Front {
    /// A front behind which nothing is ready yet: alive, not ready, and no answers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`Front::new`], with every request recorded.
    #[must_use]
    pub fn with_access_log(access_log: AccessLog) -> Self {
        Self { state: Arc::new(FrontState { access_log, ..FrontState::default() }) }
    }

    /// As [`Front::with_access_log`], for those who may ask.
    #[must_use]
    pub fn guarded(access_log: AccessLog, access: Access) -> Self {
        let access = ArcSwap::from_pointee(access);
        Self { state: Arc::new(FrontState { access_log, access, ..FrontState::default() }) }
    }

    /// Who may ask, as of now.
    #[must_use]
    pub fn access(&self) -> Guard<Arc<Access>> {
        self.state.access.load()
    }

    /// From now on these may ask. Requests that were let in are finished as they were.
    pub fn replace_access(&self, settings: &AccessSettings) {
        let access = self.state.access.load().replaced(settings);
        self.state.access.store(Arc::new(access));
        self.panel().rouse();
    }

    /// Where requests are recorded.
    #[must_use]
    pub fn access_log(&self) -> &AccessLog {
        &self.state.access_log
    }

    /// What the monitor page shows.
    #[must_use]
    pub fn panel(&self) -> &Panel {
        &self.state.panel
    }

    /// What requests came to.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.state.counters
    }

    /// Says which threads serve, and their runtimes.
    pub(crate) fn served_by(&self, threads: Vec<(Heartbeat, Handle)>) {
        // A second server of the same front would be a mistake of the program; the first one stays.
        let _ = self.state.threads.set(threads);
    }

    /// For how long a thread that serves has been silent, the longest of all.
    #[must_use]
    pub fn silent(&self) -> Duration {
        let threads = self.state.threads.get();
        threads.into_iter().flatten().map(|(heartbeat, _)| heartbeat.age()).max().unwrap_or_default()
    }

    /// The runtimes of the threads that serve.
    pub(crate) fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.state.threads.get().into_iter().flatten().map(|(_, runtime)| runtime)
    }

    /// Opens: from now on questions are answered.
    pub fn open(&self, app: App) {
        // A second app would be a mistake of the program; the first one stays.
        let _ = self.state.app.set(app);
    }

    /// Says that no more requests are welcome; those that come are answered still.
    pub fn stop(&self) {
        self.state.stopping.store(true, Ordering::Relaxed);
        self.panel().rouse();
    }

    /// Whether no more requests are welcome.
    pub(crate) fn is_stopping(&self) -> bool {
        self.state.stopping.load(Ordering::Relaxed)
    }

    /// The app, once it is ready.
    #[must_use]
    pub fn app(&self) -> Option<&App> {
        self.state.app.get()
    }

    /// Why requests are not welcome, if they are not.
    #[must_use]
    pub fn not_ready(&self) -> Option<&'static str> {
        if self.is_stopping() {
            Some("stopping")
        } else if self.app().is_none() {
            Some("not warm yet")
        } else {
            None
        }
    }
}
