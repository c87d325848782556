//! Order files: reading exports of any layout, writing canonical ones, and folders of them as a source.

pub mod write;

pub use write::{CsvWriter, ParquetWriter};

use super::{ReadRequest, SourceError};
use crate::model::{Directory, Lines};

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
