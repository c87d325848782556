//! What all requests share: levels, source, computing threads, and the directory of stores.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use shared::cache::{Levels, Read};
use shared::config::Settings;
use shared::model::{Directory, Rules};
use shared::runtime::ComputePool;
use shared::source::Source;
use tokio::sync::Mutex;

use crate::access_log::AccessLog;
use crate::auth::Access;
use crate::observe::Counters;
use crate::problem::Problem;

/// How long a directory read from the cache is used: one read for a burst of requests.
const CACHED_DIRECTORY_TTL: Duration = Duration::from_millis(200);

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
    directory_ttl: Duration,
    body_timeout: Duration,
    directory: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    directory: Arc<Directory>,
    until: Instant,
}

impl App {
    /// From settings and what was connected.
    #[must_use]
    pub fn new(settings: &Settings, levels: Levels, source: Source, compute: ComputePool) -> Self {
        let inner = Inner {
            levels,
            source,
            compute,
            rules: Arc::new(settings.rules.clone()),
            max_source_store_days: settings.gateway.max_source_store_days,
            directory_ttl: settings.gateway.directory_ttl,
            body_timeout: settings.gateway.body_timeout,
            directory: Mutex::default(),
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

    /// Time in which a request's body must be there.
    #[must_use]
    pub fn body_timeout(&self) -> Duration {
        self.inner.body_timeout
    }

    /// All stores: from the cache, else from the source; one request reads for all that wait.
    ///
    /// # Errors
    /// If neither answers and no directory is known.
    pub async fn directory(&self) -> Result<Arc<Directory>, Problem> {
        let mut known = self.inner.directory.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.until > Instant::now()) {
            return Ok(Arc::clone(&known.directory));
        }
        let (directory, ttl) = match self.inner.levels.read_directory().await {
            Read::Hit(directory) => (directory, CACHED_DIRECTORY_TTL),
            Read::Miss | Read::Unavailable => match self.inner.source.directory().await {
                Ok(directory) => (directory, self.inner.directory_ttl),
                Err(error) => {
                    // An old directory is better than none: what it leads to may still be cached.
                    return match known.as_ref() {
                        Some(known) => Ok(Arc::clone(&known.directory)),
                        None => Err(Problem::source(&error)),
                    };
                }
            },
        };
        let directory = Arc::new(directory);
        *known = Some(Known { directory: Arc::clone(&directory), until: Instant::now() + ttl });
        Ok(directory)
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
    access: Access,
    counters: Arc<Counters>,
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
        Self { state: Arc::new(FrontState { access_log, access, ..FrontState::default() }) }
    }

    /// Who may ask.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.state.access
    }

    /// Where requests are recorded.
    #[must_use]
    pub fn access_log(&self) -> &AccessLog {
        &self.state.access_log
    }

    /// What requests came to.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.state.counters
    }

    /// Opens: from now on questions are answered.
    pub fn open(&self, app: App) {
        // A second app would be a mistake of the program; the first one stays.
        let _ = self.state.app.set(app);
    }

    /// Says that no more requests are welcome; those that come are answered still.
    pub fn stop(&self) {
        self.state.stopping.store(true, Ordering::Relaxed);
    }

    /// The app, once it is ready.
    #[must_use]
    pub fn app(&self) -> Option<&App> {
        self.state.app.get()
    }

    /// Why requests are not welcome, if they are not.
    #[must_use]
    pub fn not_ready(&self) -> Option<&'static str> {
        if self.state.stopping.load(Ordering::Relaxed) {
            Some("stopping")
        } else if self.app().is_none() {
            Some("not warm yet")
        } else {
            None
        }
    }
}
