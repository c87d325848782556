//! The two targets of an import behind one face.

use shared::model::Lines;
use shared::source::SourceError;
use shared::source::files::FolderImport;
use shared::source::import::{ImportMode, ImportPlan};
use shared::source::postgres::{PostgresImport, PostgresSource};

/// Where to import, ready to be used.
#[derive(Debug)]
pub enum Target {
    /// A folder.
    Folder(std::path::PathBuf),
    /// Into PostgreSQL.
    Postgres(PostgresSource),
}

/// An import at work.
#[derive(Debug)]
pub enum Sink {
    /// Into a folder.
    Folder(FolderImport),
    /// Into PostgreSQL.
    Postgres(PostgresImport),
}

impl Sink {
    /// Starts.
    ///
    /// # Errors
    /// When the target cannot be written, or another import is at work.
    pub async fn begin(target: Target) -> Result<Self, SourceError> {
        match target {
            Target::Folder(folder) => FolderImport::begin(folder).await.map(Self::Folder),
            Target::Postgres(source) => PostgresImport::begin(&source).await.map(Self::Postgres),
        }
    }

    /// Stages lines.
    ///
    /// # Errors
    /// When the target cannot be written.
    pub async fn write(&mut self, lines: &Lines) -> Result<(), SourceError> {
        match self {
            Self::Folder(import) => import.write(lines).await,
            Self::Postgres(import) => import.write(lines).await,
        }
    }

    /// What committing would do.
    ///
    /// # Errors
    /// When the target cannot be read.
    pub async fn plan(&mut self, mode: ImportMode) -> Result<ImportPlan, SourceError> {
        match self {
            Self::Folder(import) => import.plan(mode).await,
            Self::Postgres(import) => import.plan(mode).await,
        }
    }

    /// Makes it so, whole or not at all.
    ///
    /// # Errors
    /// When the target cannot be written; then it is as before.
    pub async fn commit(self) -> Result<(), SourceError> {
        match self {
            Self::Folder(import) => import.commit().await,
            Self::Postgres(import) => import.commit().await,
        }
    }

    /// Ends without a change.
    ///
    /// # Errors
    /// When what was staged cannot be cleared.
    pub async fn abandon(self) -> Result<(), SourceError> {
        match self {
            Self::Folder(import) => import.abandon().await,
            Self::Postgres(import) => import.abandon().await,
        }
    }
}
