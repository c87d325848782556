//! The writes of a transaction.

use std::time::Duration;

use bytes::Bytes;

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets a key for a time.
    Set {
        /// Key.
        key: String,
        /// Value.
        value: Bytes,
        /// Hard expiry from now.
        ttl: Duration,
    },
    /// Sets a key until it is removed.
    Keep {
        /// Key.
        key: String,
        /// Value.
        value: Bytes,
    },
    /// Sets fields of a hash.
    SetFields {
        /// Key of the hash.
        key: String,
        /// Fields and values.
        fields: Vec<(String, Bytes)>,
    },
    /// Removes fields of a hash.
    DeleteFields {
        /// Key of the hash.
        key: String,
        /// Fields.
        fields: Vec<String>,
    },
    /// Removes a key.
    Delete {
        /// Key.
        key: String,
    },
    /// Sets the time after which a key goes.
    Expire {
        /// Key.
        key: String,
        /// Hard expiry from now.
        ttl: Duration,
    },
    /// Appends to a list, which keeps its newest values.
    Push {
        /// Key of the list.
        key: String,
        /// Value.
        value: Bytes,
        /// Values that are kept.
        limit: usize,
    },
    /// Adds 1 to a counter.
    Bump {
        /// Key.
        key: String,
    },
}

impl Write {
    /// The key that it concerns.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Set { key, .. }
            | Self::Keep { key, .. }
            | Self::SetFields { key, .. }
            | Self::DeleteFields { key, .. }
            | Self::Delete { key }
            | Self::Expire { key, .. }
            | Self::Push { key, .. }
            | Self::Bump { key } => key,
        }
    }
}
