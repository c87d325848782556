//! How far the logs were read: a value that the consumer stores together with what it made of them, so that a restart
//! neither loses nor doubles; and the file to store it in.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::access_log::FileId;

use super::head::Head;
use super::stream::Stream;

/// Positions of all files, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    files: Vec<Position>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    /// Name under which it was written.
    path: String,
    id: FileId,
    /// Hashes of its first bytes, by which it is known again; without them nothing of it was read.
    head: Option<Head>,
    offset: u64,
    /// Whether the offset lies within a line that is too long.
    skipping: bool,
    /// When it had been written last, nanoseconds since 1970.
    modified: i64,
    /// Whether it was let go for newer ones.
    #[serde(default)]
    put_aside: bool,
    /// Place in this list of the one before it at the same path.
    after: Option<usize>,
}

impl Positions {
    pub(super) fn of(streams: &[Stream]) -> Self {
        let place = |key: u64| streams.iter().position(|stream| stream.key == key);
        let position = |stream: &Stream| Position {
            path: stream.tail.to_string_lossy().into_owned(),
            id: stream.id,
            head: stream.head,
            offset: stream.position,
            skipping: stream.skipping,
            modified: stream.modified,
            put_aside: stream.put_aside,
            after: stream.after.and_then(place),
        };
        Self { files: streams.iter().map(position).collect() }
    }

    pub(super) fn into_streams(self) -> Vec<Stream> {
        let stream = |(key, position): (usize, Position)| {
            let after = position.after.map(|after| after as u64);
            let tail = PathBuf::from(position.path);
            let mut stream = Stream::new(key as u64, tail, after, position.id, position.modified);
            stream.put_aside = position.put_aside;
            // Without first bytes to know it by, a position means nothing.
            if position.head.is_some() {
                (stream.head, stream.position) = (position.head, position.offset);
                stream.skipping = position.skipping;
            }
            stream
        };
        self.files.into_iter().enumerate().map(stream).collect()
    }
}

/// Why a state cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk refuses.
    #[error("cannot use the state file {}: {source}; check its folder's rights and room", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the state file {} cannot be read: {source}; remove it to begin anew", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// Stores a state: the file holds the old one or the new one, whole, whatever happens.
///
/// # Errors
/// If it cannot be written; the old one stays.
pub fn save<T: Serialize>(path: &Path, state: &T) -> Result<(), StateError> {
    let failed = |source: io::Error| StateError::Io { path: path.to_owned(), source };
    let text =
        serde_json::to_vec(state).map_err(|source| StateError::Content { path: path.to_owned(), source })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(&text).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    // The new name, too, must outlive a power cut; not every system can sync a folder.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Reads a state; `None` if none was stored.
///
/// # Errors
/// If the file cannot be read, or holds something else.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|source| StateError::Content { path: path.to_owned(), source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::Io { path: path.to_owned(), source }),
    }
}
