//! PostgreSQL as a source: a table or view of order lines, read by binary COPY of just the needed columns and
//! store-days.

mod address;
mod catalog;
pub mod changes;
mod copy;
mod decode;
mod directory;
mod expression;
mod facts;
mod health;
mod import;
mod numeric;
mod pool;
mod read;
mod roles;
mod settings;
mod setup;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::OnceCell;

use super::{ReadRequest, SourceError};
use crate::model::{Directory, Lines};

pub use changes::{CHANGES, ChangeListener, DirtyBatch, Fingerprint, Fingerprints};
pub use facts::{DatabaseFacts, TableRights, WatchFacts};
pub use health::SourceHealth;
pub use import::{PostgresImport, SCHEMA};
pub use roles::{SetupLogin, SetupStep};
pub use settings::PostgresSettings;
pub use setup::SetupPlan;

/// A table or view of order lines. Cheap to clone; connections are made when needed, and capped.
#[derive(Clone)]
pub struct PostgresSource {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Arc<pool::ConnectionPool>,
    failures: health::Failures,
    watched: Option<health::Watched>,
    settings: PostgresSettings,
    /// How the table's columns are read; looked up once.
    plan: OnceCell<catalog::TablePlan>,
    /// Where its changes are noted; looked up once.
    watch: OnceCell<changes::Watch>,
    rejected: AtomicU64,
    /// Spellings of store ids that differ from the id; `None` until the directory was read.
    spellings: std::sync::RwLock<Option<directory::Spellings>>,
}

impl std::fmt::Debug for PostgresSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresSource").field("table", &self.shared.settings.table).finish_non_exhaustive()
    }
}

impl PostgresSource {
    /// Prepares a pool; no connection is made yet.
    ///
    /// # Errors
    /// If the address cannot be read.
    pub fn new(settings: &PostgresSettings) -> Result<Self, SourceError> {
        let pool = pool::ConnectionPool::new(settings, false)?;
        Ok(Self::over(settings, Arc::new(pool), None))
    }

    /// As [`PostgresSource::new`], behind a breaker, with a task that probes for it: for programs that can do without
    /// the database. To be called within a tokio runtime.
    ///
    /// # Errors
    /// If the address cannot be read.
    pub fn guarded(settings: &PostgresSettings) -> Result<Self, SourceError> {
        let pool = Arc::new(pool::ConnectionPool::new(settings, true)?);
        let watched = health::Watched::start(settings, &pool);
        Ok(Self::over(settings, pool, Some(watched)))
    }

    fn over(
        settings: &PostgresSettings,
        pool: Arc<pool::ConnectionPool>,
        watched: Option<health::Watched>,
    ) -> Self {
        let shared = Shared {
            pool,
            failures: health::Failures::default(),
            watched,
            settings: settings.clone(),
            plan: OnceCell::new(),
            watch: OnceCell::new(),
            rejected: AtomicU64::new(0),
            spellings: std::sync::RwLock::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Connects and checks that the table can be read.
    ///
    /// # Errors
    /// In plain words, with the remedy.
    pub async fn check(&self) -> Result<(), SourceError> {
        self.plan().await.map(|_| ())
    }

    /// The table or view, as the settings name it.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.shared.settings.table
    }

    /// How the connections do, as far as is known without asking the server.
    #[must_use]
    pub fn health(&self) -> SourceHealth {
        let pool = self.shared.pool.status();
        SourceHealth {
            max_connections: pool.max_size,
            connections: pool.size,
            available: pool.available,
            waiting: pool.waiting,
            errors: self.shared.failures.by_kind(),
            breaker: self.shared.watched.as_ref().map(health::Watched::status),
        }
    }

    /// Rows that could not be read since the start: each was left out, counted and logged.
    #[must_use]
    pub fn rejected_rows(&self) -> u64 {
        self.shared.rejected.load(Ordering::Relaxed)
    }

    /// All stores; see [`super::Source::directory`].
    ///
    /// # Errors
    /// If the database cannot be reached or the table cannot be read.
    pub async fn directory(&self) -> Result<Directory, SourceError> {
        self.while_up(directory::directory(self)).await
    }

    /// The directory's entries of just these stores, by index where there is one: for a store-day that changed. A store
    /// without lines has none.
    ///
    /// # Errors
    /// If the database cannot be reached or the table cannot be read.
    pub async fn store_info(&self, stores: &[String]) -> Result<Directory, SourceError> {
        directory::directory_of(self, stores).await
    }

    /// The lines of a request; see [`super::Source::read`].
    ///
    /// # Errors
    /// If the database cannot be reached or the table cannot be read.
    pub async fn read(&self, request: &ReadRequest) -> Result<Lines, SourceError> {
        self.while_up(read::read(self, request)).await
    }

    /// What `read` gives; with a breaker, not while the server is down.
    async fn while_up<T>(
        &self,
        read: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        match &self.shared.watched {
            Some(watched) => watched.run(&self.shared.failures, read).await,
            None => read.await,
        }
    }

    async fn plan(&self) -> Result<&catalog::TablePlan, SourceError> {
        self.shared
            .plan
            .get_or_try_init(|| async {
                let client = self.shared.pool.get().await?;
                catalog::plan(&client, &self.shared.settings).await
            })
            .await
    }
}
