//! The cache: Redis or memory behind one interface, and the typed levels on top of it.

mod error;
pub mod levels;
mod memory;
mod redis;
pub mod ttl;
mod write;

use std::time::Duration;

use bytes::Bytes;

use crate::keys::Slot;

pub use error::{CacheError, CacheErrorKind};
pub use levels::{Levels, StoredAnswer};
pub use memory::MemoryCache;
pub use redis::{RedisCache, RedisSettings};
pub use ttl::Ttl;
pub use write::Write;

/// The outcome of a read. An outage never passes for a miss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// There it is.
    Hit(T),
    /// Not there, or not readable as what it should be.
    Miss,
    /// The cache could not say.
    Unavailable,
}

impl<T> Read<T> {
    /// The value of a hit.
    pub fn hit(self) -> Option<T> {
        match self {
            Self::Hit(value) => Some(value),
            Self::Miss | Self::Unavailable => None,
        }
    }
}

/// How long a read may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// The per-command limit: for single entries.
    Small,
    /// A limit that grows with the number of slots, on connections of their own: for many cells.
    Bulk,
}

/// Redis or memory.
#[derive(Clone, Debug)]
pub enum Cache {
    /// A Redis server.
    Redis(RedisCache),
    /// This process's memory.
    Memory(MemoryCache),
}

impl Cache {
    /// Reads many slots in one round trip (bulk reads: one per few hundred slots), in the order asked.
    pub async fn read(&self, slots: &[Slot], patience: Patience) -> Vec<Read<Bytes>> {
        match self {
            Self::Redis(redis) => redis.read(slots, patience).await,
            Self::Memory(memory) => memory.read(slots),
        }
    }

    /// Reads a whole hash.
    pub async fn read_hash(&self, key: &str) -> Read<Vec<(String, Bytes)>> {
        match self {
            Self::Redis(redis) => redis.read_hash(key).await,
            Self::Memory(memory) => memory.read_hash(key),
        }
    }

    /// Applies all writes, or none of them, as one transaction.
    ///
    /// # Errors
    /// If the cache cannot be reached or refuses.
    pub async fn transact(&self, writes: Vec<Write>) -> Result<(), CacheError> {
        match self {
            Self::Redis(redis) => redis.transact(writes).await,
            Self::Memory(memory) => {
                memory.transact(writes);
                Ok(())
            }
        }
    }

    /// Checks that the cache answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&self) -> Result<Duration, CacheError> {
        match self {
            Self::Redis(redis) => redis.ping().await,
            Self::Memory(_) => Ok(Duration::ZERO),
        }
    }
}
