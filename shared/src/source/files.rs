//! Order files: reading exports of any layout, writing canonical ones, and folders of them as a source.

pub mod batch;
mod cell;
mod csv;
pub mod encoding;
mod headings;
pub mod mapping;
mod numbers;
mod parquet;
pub mod reader;
pub mod reject;
pub mod summary;
mod times;
mod values;
pub mod write;
mod xlsx;

use std::path::Path;

pub use batch::Batch;
pub use encoding::Encoding;
pub use mapping::{Mapping, MappingChoice};
pub use reader::{OrderFile, Progress, ReadOptions};
pub use reject::{Reject, RejectReason};
pub use summary::{FileSummary, Format, StoreDays};
pub use write::{CsvWriter, ParquetWriter};

use super::{ReadRequest, SourceError, SourceErrorKind};
use crate::model::{Directory, Lines};

/// The error of a file or folder that cannot be read.
fn cannot_read(path: &Path, cause: std::io::Error) -> SourceError {
    let remedy = match cause.kind() {
        std::io::ErrorKind::NotFound => "check the path",
        std::io::ErrorKind::PermissionDenied => "let this user read it",
        _ => "check the file and its disk",
    };
    SourceError::new(SourceErrorKind::File, format!("cannot read {}: {cause}", path.display()), remedy)
        .because(cause)
}

/// (being written)
#[derive(Clone, Debug)]
pub struct FileSource {}

#[allow(missing_docs, clippy::unused_async)]
impl FileSource {
    pub async fn directory(&self) -> Result<Directory, SourceError> {
        Ok(Directory::default())
    }
    pub async fn read(&self, _request: &ReadRequest) -> Result<Lines, SourceError> {
        Ok(Lines::default())
    }
}
