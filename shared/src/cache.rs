//! The cache: Redis or memory behind one interface, and the typed levels on top of it.

mod error;
pub mod levels;
mod memory;
mod redis;
pub mod ttl;
mod watch;
mod write;

use std::time::Duration;

use bytes::Bytes;

use crate::keys::Slot;

pub use error::{CacheError, CacheErrorKind};
pub use levels::{Levels, StoredAnswer};
pub use memory::MemoryCache;
pub use redis::{
    AclRole, AclUser, Administrator, CacheHealth, Fence, ForeignKeys, Holder, KeyFacts, KeyType, Monitor,
    MonitorState, MonitorStatus, RedisCache, RedisSettings, Right, ServerFacts, ServerVersion, Warning,
    WarningKind, acl_rules, acl_user_words, password_hash,
};
pub use ttl::{Profile, Ttl};
pub use watch::{Change, Told};
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

/// A key to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A hash, of which the fields are counted.
    Hash(String),
    /// Any other key: there (1) or not (0).
    Key(String),
}

/// How much room a cache has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in use.
    pub used: u64,
    /// Most bytes, if there is a limit.
    pub limit: Option<u64>,
    /// What happens at the limit (Redis: `maxmemory-policy`).
    pub policy: String,
    /// Keys evicted since the server started.
    pub evicted: u64,
}

/// What a cache says of an entry without giving all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Its bytes.
    pub bytes: u64,
    /// Time until it goes; `None` = it stays, or that is not known.
    pub ttl: Option<Duration>,
    /// Its first bytes: the header, of all but the longest questions.
    pub head: Bytes,
}

/// Redis or memory.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a few per process; a box would be followed on every read")]
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
        if writes.is_empty() {
            return Ok(());
        }
        match self {
            Self::Redis(redis) => redis.transact(writes).await,
            Self::Memory(memory) => {
                memory.transact(writes);
                Ok(())
            }
        }
    }

    /// Takes or renews the lease of the one writer for a time. Gives who has it afterwards: another one than
    /// `fence.owner` has it until it ends.
    ///
    /// # Errors
    /// If the cache cannot be reached.
    pub async fn acquire(&self, fence: &Fence, time: Duration) -> Result<Holder, CacheError> {
        match self {
            Self::Redis(redis) => {
                redis.acquire(fence, u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).await
            }
            // Nobody else can write into this process's memory.
            Self::Memory(_) => Ok(Holder { owner: fence.owner.clone(), fence_stood: true }),
        }
    }

    /// Takes the lease over, whoever has it: what that writer still writes changes nothing. Gives whose it was.
    ///
    /// # Errors
    /// If the cache cannot be reached.
    pub async fn seize(&self, fence: &Fence, time: Duration) -> Result<Option<String>, CacheError> {
        match self {
            Self::Redis(redis) => {
                redis.seize(fence, u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).await
            }
            Self::Memory(_) => Ok(None),
        }
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// If the cache cannot be reached.
    pub async fn release(&self, fence: &Fence) -> Result<(), CacheError> {
        match self {
            Self::Redis(redis) => redis.release(fence).await,
            Self::Memory(_) => Ok(()),
        }
    }

    /// The same cache, written only while the fence names this writer; else writes fail with
    /// [`CacheErrorKind::LeaseLost`] and change nothing.
    #[must_use]
    pub fn fenced(&self, fence: Fence) -> Self {
        match self {
            Self::Redis(redis) => Self::Redis(redis.fenced(fence)),
            Self::Memory(memory) => Self::Memory(memory.clone()),
        }
    }

    /// What lies at keys that are no hashes, in the order asked; `None` where nothing does.
    ///
    /// # Errors
    /// If the cache cannot be reached.
    pub async fn outlines(&self, keys: &[String]) -> Result<Vec<Option<Outline>>, CacheError> {
        match self {
            Self::Redis(redis) => redis.outlines(keys).await,
            Self::Memory(memory) => Ok(memory.outlines(keys)),
        }
    }

    /// Time until a key goes; `None` if it stays, is not there, or that is not known.
    ///
    /// # Errors
    /// If the cache cannot be reached.
    pub async fn time_left(&self, key: &str) -> Result<Option<Duration>, CacheError> {
        match self {
            Self::Redis(redis) => redis.time_left(key).await,
            Self::Memory(_) => Ok(None),
        }
    }

    /// The names of the fields of hashes, in the order asked.
    ///
    /// # Errors
    /// If the cache cannot be reached.
    pub async fn field_names(&self, keys: &[String]) -> Result<Vec<Vec<String>>, CacheError> {
        match self {
            Self::Redis(redis) => redis.all_field_names(keys).await,
            Self::Memory(memory) => Ok(memory.field_names(keys)),
        }
    }

    /// Bytes of fields, in the order asked; 0 where there is none.
    ///
    /// # Errors
    /// If the cache cannot be reached.
    pub async fn field_lengths(&self, fields: &[(String, String)]) -> Result<Vec<u64>, CacheError> {
        match self {
            Self::Redis(redis) => redis.field_lengths(fields).await,
            Self::Memory(memory) => Ok(memory.field_lengths(fields)),
        }
    }

    /// Number of fields of hashes, 1 or 0 for other keys, in the order asked.
    ///
    /// # Errors
    /// If the cache cannot be reached.
    pub async fn probe(&self, probes: &[Probe]) -> Result<Vec<u64>, CacheError> {
        match self {
            Self::Redis(redis) => redis.probe(probes).await,
            Self::Memory(memory) => Ok(memory.probe(probes)),
        }
    }

    /// Up to `limit` keys that begin with `prefix`, ascending.
    ///
    /// # Errors
    /// If the cache cannot be reached.
    pub async fn scan(&self, prefix: &str, limit: usize) -> Result<Vec<String>, CacheError> {
        match self {
            Self::Redis(redis) => redis.scan(prefix, limit).await,
            Self::Memory(memory) => Ok(memory.scan(prefix, limit)),
        }
    }

    /// How much room there is.
    ///
    /// # Errors
    /// If the cache cannot be reached.
    pub async fn memory(&self) -> Result<Memory, CacheError> {
        match self {
            Self::Redis(redis) => redis.memory().await,
            Self::Memory(memory) => Ok(memory.memory()),
        }
    }

    /// Takes up to `count` values from the head of a list that was written with [`Write::Push`].
    ///
    /// # Errors
    /// If the cache cannot be reached.
    pub async fn pop(&self, key: &str, count: usize) -> Result<Vec<String>, CacheError> {
        match self {
            Self::Redis(redis) => redis.pop(key, count).await,
            // One process needs no list to tell itself something.
            Self::Memory(_) => Ok(Vec::new()),
        }
    }

    /// How it does, as far as is known without asking it; `None` for memory, which is always there.
    #[must_use]
    pub fn health(&self) -> Option<CacheHealth> {
        match self {
            Self::Redis(redis) => Some(redis.health()),
            Self::Memory(_) => None,
        }
    }

    /// Tells of every change of a key that begins with `prefix`, for ever. Redis tells of every write, of expiries, and
    /// of being emptied; memory of the keys that a transaction names. A connection to Redis that does not answer for
    /// up to twice `keepalive` counts as lost; it is made again until it works.
    pub async fn watch(&self, prefix: &str, keepalive: Duration, told: Told) -> std::convert::Infallible {
        match self {
            Self::Redis(redis) => redis.watch(prefix, keepalive, told).await,
            Self::Memory(memory) => memory.watch(prefix, told).await,
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
