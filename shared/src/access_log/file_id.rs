//! How a log file is told from another one at the same path: the one place that depends on the platform.

use std::fs::Metadata;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Which file it is, whatever its name. A number may be used again for a new file once the old one is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// Device.
    pub device: u64,
    /// Inode; where there are none, a hash of the path.
    pub inode: u64,
}

impl FileId {
    /// The identity of the file at `path` with this metadata.
    #[cfg(unix)]
    #[must_use]
    pub fn new(_path: &Path, metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// The identity of the file at `path` with this metadata.
    #[cfg(not(unix))]
    #[must_use]
    pub fn new(path: &Path, _metadata: &Metadata) -> Self {
        // File indexes are not in the stable library: a renamed file counts as another one, and is known again by its
        // first bytes.
        Self { device: 0, inode: xxhash_rust::xxh3::xxh3_64(path.as_os_str().as_encoded_bytes()) }
    }
}
