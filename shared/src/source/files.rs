//! Order files: reading exports of any layout, writing canonical ones, and folders of them as a source.

pub mod batch;
mod block;
pub mod cell;
mod csv;
pub mod encoding;
pub mod folder;
mod headings;
mod manifest;
pub mod mapping;
mod numbers;
mod parquet;
mod positioned;
pub mod reader;
pub mod reject;
pub mod source;
mod spool;
pub mod summary;
mod times;
pub(super) mod values;
pub mod write;
mod xlsx;

use std::path::Path;

pub use batch::Batch;
pub use encoding::Encoding;
pub use folder::FolderImport;
pub use mapping::{Mapping, MappingChoice};
pub use reader::{OrderFile, Progress, ReadOptions};
pub use reject::{Reject, RejectReason};
pub use source::FileSource;
pub use summary::{FileSummary, Format, StoreDays};
pub use write::{CsvWriter, ParquetWriter};

use super::{SourceError, SourceErrorKind};

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

/// The error of a file or folder that cannot be written.
fn cannot_write(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SourceError {
    let cause = cause.into();
    SourceError::new(
        SourceErrorKind::File,
        format!("cannot write {}: {cause}", path.display()),
        "check the folder's permissions and free space",
    )
    .because(cause)
}
