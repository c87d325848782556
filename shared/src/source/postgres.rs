//! (being written)
use super::{ReadRequest, SourceError};
use crate::model::{Directory, Lines};

/// (being written)
#[derive(Clone, Debug)]
pub struct PostgresSource {}

#[allow(missing_docs, clippy::unused_async)]
impl PostgresSource {
    pub async fn directory(&self) -> Result<Directory, SourceError> {
        Ok(Directory::default())
    }
    pub async fn read(&self, _request: &ReadRequest) -> Result<Lines, SourceError> {
        Ok(Lines::default())
    }
}
