//! What operators do to a cache by hand: look into it, empty parts of it, and tell the warmer that runs what to do.
//! They read and write Redis only; the warmer hears of it within a second, gateways by the versions that change.

pub mod content;
pub mod flush;
pub mod inspect;
pub mod pause;
pub mod refresh;
pub mod request;
pub mod stores;
pub mod words;

use std::time::Duration;

use shared::cache::{Cache, CacheError, Levels, Patience, Read, RedisCache};
use shared::config::Settings;
use shared::entry::EncodeError;

use crate::warming::levels;
pub use request::OperatorRequest;
pub use stores::UnknownStores;

/// Why a command of an operator failed, with the next step.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// Redis.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Something could not be written as what it is stored as.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Redis answers PING, but not this.
    #[error("redis did not answer in time; check its load, or raise redis.bulk_timeout")]
    Unavailable,
    /// Nothing says which stores there are.
    #[error(
        "the cache has no directory of stores, so store ids cannot be checked; fill it with `warmer once` or `warmer run`, or check redis.prefix"
    )]
    NoDirectory,
    /// Stores that the directory lacks.
    #[error(transparent)]
    UnknownStores(#[from] UnknownStores),
    /// A key that is not there, or that cannot be looked at.
    #[error(transparent)]
    Key(#[from] inspect::KeyError),
}

/// Who writes now.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Writer {
    /// `host/process/random part`.
    pub owner: String,
    /// How long its lease lasts unless it renews it, milliseconds.
    pub lease_ms: Option<u64>,
}

/// What the operators' commands work with.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The server.
    pub redis: RedisCache,
    /// The levels in it, not fenced: an operator's word counts whoever writes.
    pub levels: Levels,
}

impl Desk {
    /// Of these settings; Redis must answer.
    ///
    /// # Errors
    /// If it does not.
    pub async fn open(settings: &Settings) -> Result<Self, OperateError> {
        let redis = RedisCache::connect(&settings.redis)?;
        let cache = Cache::Redis(redis.clone());
        cache.ping().await?;
        let levels = levels(settings, cache);
        Ok(Self { redis, levels })
    }

    /// Who has the writer's lease; `None` if nobody has.
    ///
    /// # Errors
    /// If Redis does not answer.
    pub async fn writer(&self) -> Result<Option<Writer>, OperateError> {
        let (lease, _) = self.levels.keys().lease();
        let Some(owner) = self.text(&lease).await? else { return Ok(None) };
        let facts = self.redis.key_facts(&lease).await?;
        let left = facts.and_then(|facts| facts.ttl);
        let lease_ms = left.map(|left: Duration| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        Ok(Some(Writer { owner, lease_ms }))
    }

    /// The text of a key; `None` if it is not there.
    ///
    /// # Errors
    /// If Redis does not answer.
    pub(crate) async fn text(&self, key: &str) -> Result<Option<String>, OperateError> {
        Ok(self.bytes(key).await?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The bytes of a key; `None` if it is not there.
    async fn bytes(&self, key: &str) -> Result<Option<bytes::Bytes>, OperateError> {
        let slot = shared::keys::Slot { key: key.to_owned(), field: None };
        match self.levels.cache().read(&[slot], Patience::Bulk).await.pop() {
            Some(Read::Hit(bytes)) => Ok(Some(bytes)),
            Some(Read::Miss) | None => Ok(None),
            Some(Read::Unavailable) => Err(OperateError::Unavailable),
        }
    }
}

/// Who gives a command, as `user@host`; `user` is as the environment names it.
#[must_use]
pub fn who(user: Option<String>) -> String {
    let host = sysinfo::System::host_name().unwrap_or_else(|_| "unknown".to_owned());
    format!("{}@{host}", user.unwrap_or_else(|| "unknown".to_owned()))
}
