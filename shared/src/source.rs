//! Where order lines come from: PostgreSQL, or a folder of files.

use crate::model::{DayRange, Directory, Lines};

pub mod error;
pub mod files;
pub mod import;
pub mod postgres;

pub use error::{SourceError, SourceErrorKind};

/// Which columns a read fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// Those that cells are made from ([`crate::model::Column::needed_for_cells`]).
    ForCells,
    /// All.
    All,
}

/// What to read: all lines of some stores in a range of days.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// Store ids.
    pub stores: Vec<String>,
    /// Days, inclusive.
    pub range: DayRange,
    /// Columns to fill.
    pub columns: Columns,
}

/// A source of order lines.
#[derive(Clone, Debug)]
pub enum Source {
    /// A PostgreSQL table or view.
    Postgres(postgres::PostgresSource),
    /// A folder of Parquet and CSV files.
    Files(files::FileSource),
}

impl Source {
    /// All stores with their names, days and numbers of lines.
    ///
    /// # Errors
    /// When the source cannot be reached or read.
    pub async fn directory(&self) -> Result<Directory, SourceError> {
        match self {
            Self::Postgres(source) => source.directory().await,
            Self::Files(source) => source.directory().await,
        }
    }

    /// How its server does, as far as is known without asking; `None` for files, which have none.
    #[must_use]
    pub fn health(&self) -> Option<postgres::SourceHealth> {
        match self {
            Self::Postgres(source) => Some(source.health()),
            Self::Files(_) => None,
        }
    }

    /// The lines of a request in no stated order, as one snapshot.
    ///
    /// # Errors
    /// When the source cannot be reached or read.
    pub async fn read(&self, request: &ReadRequest) -> Result<Lines, SourceError> {
        match self {
            Self::Postgres(source) => source.read(request).await,
            Self::Files(source) => source.read(request).await,
        }
    }
}
