//! The two targets of an import behind one face.

use shared::model::Lines;
use shared::source::SourceError;
use shared::source::files::FolderImport;
use shared::source::import::{ImportMode, ImportPlan};

use super::args::Into;

/// Where to import, ready to be used.
#[derive(Debug)]
pub enum Target {
    /// A folder.
    Folder(std::path::PathBuf),
    // PostgreSQL: Postgres(shared::source::postgres::PostgresSource)
}

impl Target {
    /// The target of `--into` without a database.
    ///
    /// # Errors
    /// For PostgreSQL.
    #[allow(clippy::unused_async, reason = "connecting to a database takes its place")]
    pub async fn from_into(into: Into) -> anyhow::Result<Self> {
        match into {
            Into::Folder(folder) => Ok(Self::Folder(folder)),
            Into::Postgres => anyhow::bail!("no database is configured; give --into FOLDER"),
        }
    }
}

/// An import at work.
#[derive(Debug)]
pub enum Sink {
    /// Into a folder.
    Folder(FolderImport),
    // PostgreSQL: Postgres(shared::source::postgres::PostgresImport)
}

impl Sink {
    /// Starts.
    ///
    /// # Errors
    /// When the target cannot be written, or another import is at work.
    pub async fn begin(target: Target) -> Result<Self, SourceError> {
        match target {
            Target::Folder(folder) => FolderImport::begin(folder).await.map(Self::Folder),
            // PostgreSQL: Target::Postgres(source) => PostgresImport::begin(&source).await.map(Self::Postgres),
        }
    }

    /// Stages lines.
    ///
    /// # Errors
    /// When the target cannot be written.
    pub async fn write(&mut self, lines: &Lines) -> Result<(), SourceError> {
        match self {
            Self::Folder(import) => import.write(lines).await,
            // PostgreSQL: Self::Postgres(import) => import.write(lines).await,
        }
    }

    /// What committing would do.
    ///
    /// # Errors
    /// When the target cannot be read.
    pub async fn plan(&mut self, mode: ImportMode) -> Result<ImportPlan, SourceError> {
        match self {
            Self::Folder(import) => import.plan(mode).await,
            // PostgreSQL: Self::Postgres(import) => import.plan(mode).await,
        }
    }

    /// Makes it so, whole or not at all.
    ///
    /// # Errors
    /// When the target cannot be written; then it is as before.
    pub async fn commit(self) -> Result<(), SourceError> {
        match self {
            Self::Folder(import) => import.commit().await,
            // PostgreSQL: Self::Postgres(import) => import.commit().await,
        }
    }

    /// Ends without a change.
    ///
    /// # Errors
    /// When what was staged cannot be cleared.
    pub async fn abandon(self) -> Result<(), SourceError> {
        match self {
            Self::Folder(import) => import.abandon().await,
            // PostgreSQL: Self::Postgres(import) => import.abandon().await,
        }
    }
}
