//! PostgreSQL as a source: a table or view of order lines, read by binary COPY of just the needed columns and
//! store-days.

mod address;
mod catalog;
pub mod changes;
mod copy;
mod decode;
mod directory;
mod expression;
mod import;
mod numeric;
mod pool;
mod read;
mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::OnceCell;

use super::{ReadRequest, SourceError};
use crate::model::{Directory, Lines};

pub use changes::{CHANGES, ChangeListener, DirtyBatch, Fingerprint, Fingerprints};
pub use import::{PostgresImport, SCHEMA};
pub use settings::PostgresSettings;

/// A table or view of order lines. Cheap to clone; connections are made when needed, and capped.
#[derive(Clone)]
pub struct PostgresSource {
    shared: Arc<Shared>,
}

struct Shared {
    pool: pool::ConnectionPool,
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
        let shared = Shared {
            pool: pool::ConnectionPool::new(settings)?,
            settings: settings.clone(),
            plan: OnceCell::new(),
            watch: OnceCell::new(),
            rejected: AtomicU64::new(0),
            spellings: std::sync::RwLock::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Connects and checks that the table can be read.
    ///
    /// # Errors
    /// In plain words, with the remedy.
    pub async fn check(&self) -> Result<(), SourceError> {
        self.plan().await.map(|_| ())
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
        directory::directory(self).await
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
        read::read(self, request).await
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
