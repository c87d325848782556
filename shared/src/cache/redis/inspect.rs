//! What is asked of Redis besides entries: whether keys are there, which there are, what lies there, how much room is left.

use std::time::Duration;

use super::RedisCache;
use crate::cache::{CacheError, CacheErrorKind, Memory, Outline, Probe};

/// Keys looked at in one round trip.
const PROBES_PER_ROUND_TRIP: usize = 512;
/// First bytes of an entry that hold its header, of all but the longest questions.
const HEAD_BYTES: usize = 4096;
/// Keys that one SCAN step looks at, about.
const SCAN_COUNT: u32 = 1000;

impl RedisCache {
    /// Number of fields of hashes, 1 or 0 for other keys.
    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub(in crate::cache) async fn probe(&self, probes: &[Probe]) -> Result<Vec<u64>, CacheError> {
        let mut counts = Vec::with_capacity(probes.len());
        for chunk in probes.chunks(PROBES_PER_ROUND_TRIP) {
            let mut pipeline = redis::pipe();
            for probe in chunk {
                match probe {
                    Probe::Hash(key) => pipeline.cmd("HLEN").arg(key),
                    Probe::Key(key) => pipeline.cmd("EXISTS").arg(key),
                };
            }
            counts.extend(self.pipeline::<Vec<u64>>(&pipeline, chunk.len()).await?);
        }
        Ok(counts)
    }

    /// Up to `limit` keys that begin with `prefix`, in no order.
    pub(in crate::cache) async fn scan(&self, prefix: &str, limit: usize) -> Result<Vec<String>, CacheError> {
        let mut keys = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let (next, found) = self.scan_step(prefix, cursor).await?;
            keys.extend(found);
            cursor = next;
            if cursor == 0 || keys.len() >= limit {
                keys.sort_unstable();
                // SCAN may name a key twice.
                keys.dedup();
                keys.truncate(limit);
                return Ok(keys);
            }
        }
    }

    /// Used and maximal memory, policy and evictions.
    pub(in crate::cache) async fn memory(&self) -> Result<Memory, CacheError> {
        Ok(self.server_facts().await?.memory())
    }

    /// Takes up to `count` values from the head of a list.
    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub(in crate::cache) async fn pop(&self, key: &str, count: usize) -> Result<Vec<String>, CacheError> {
        let command = redis::cmd("LPOP").arg(key).arg(count).to_owned();
        Ok(self.command::<Option<Vec<String>>>(command).await?.unwrap_or_default())
    }

    /// Runs one command that answers with little, within the time of a bulk read.
    pub(super) async fn command<T: redis::FromRedisValue>(
        &self,
        command: redis::Cmd,
    ) -> Result<T, CacheError> {
        let mut connection = self.bulk.clone();
        let limit = self.settings.bulk_timeout;
        tokio::time::timeout(limit, command.query_async(&mut connection))
            .await
            .map_err(|_| CacheError::timeout(format!("redis: no answer within {} s", limit.as_secs())))?
            .map_err(CacheError::from)
    }
}

/// What type a key has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// Text or bytes.
    String,
    /// Fields and values.
    Hash,
    /// A list.
    List,
    /// One that Hotshelf does not use.
    Other,
}

impl KeyType {
    /// As Redis calls it; `None` for no key.
    fn from_redis(name: &str) -> Option<Self> {
        match name {
            "none" => None,
            "string" => Some(Self::String),
            "hash" => Some(Self::Hash),
            "list" => Some(Self::List),
            _ => Some(Self::Other),
        }
    }
}

/// What Redis says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// Type.
    pub key_type: KeyType,
    /// Time until it goes; `None` = it stays.
    pub ttl: Option<Duration>,
    /// Bytes of memory, overhead included; `None` if this user may not ask.
    pub memory: Option<u64>,
}

/// Commands that operators use.
impl RedisCache {
    /// What Redis says of a key; `None` if it is not there.
    ///
    /// # Errors
    /// If Redis cannot be reached.
    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub async fn key_facts(&self, key: &str) -> Result<Option<KeyFacts>, CacheError> {
        let name: String = self.command(redis::cmd("TYPE").arg(key).to_owned()).await?;
        let Some(key_type) = KeyType::from_redis(&name) else { return Ok(None) };
        let ttl: i64 = self.command(redis::cmd("PTTL").arg(key).to_owned()).await?;
        let memory = self.memory_usage(std::slice::from_ref(&key.to_owned())).await?;
        // -2: it went between the two commands. -1: it stays.
        Ok((ttl != -2).then(|| KeyFacts {
            key_type,
            ttl: u64::try_from(ttl).ok().map(Duration::from_millis),
            memory: memory.and_then(|sizes| sizes.first().copied()),
        }))
    }

    /// Bytes of memory of each key, 0 for those that are not there; `None` if this user may not ask.
    ///
    /// # Errors
    /// If Redis cannot be reached.
    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub async fn memory_usage(&self, keys: &[String]) -> Result<Option<Vec<u64>>, CacheError> {
        let mut sizes = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(PROBES_PER_ROUND_TRIP) {
            let mut pipeline = redis::pipe();
            for key in chunk {
                // All fields of a hash: its cells differ in size.
                pipeline.cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0);
            }
            match self.pipeline::<Vec<Option<u64>>>(&pipeline, chunk.len()).await {
                Ok(found) => sizes.extend(found.into_iter().map(Option::unwrap_or_default)),
                Err(error) if error.kind() == CacheErrorKind::Denied => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(sizes))
    }

    /// The first bytes of each key, nothing for those that are not there.
    ///
    /// # Errors
    /// If Redis cannot be reached, or a key is not a string.
    pub async fn heads(&self, keys: &[String], length: usize) -> Result<Vec<Vec<u8>>, CacheError> {
        let mut heads = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(PROBES_PER_ROUND_TRIP) {
            #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
            let mut pipeline = redis::pipe();
            for key in chunk {
                pipeline.cmd("GETRANGE").arg(key).arg(0).arg(length.saturating_sub(1));
            }
            heads.extend(self.pipeline::<Vec<Vec<u8>>>(&pipeline, chunk.len()).await?);
        }
        Ok(heads)
    }

    /// What lies at keys that are no hashes; `None` where nothing does.
    ///
    /// # Errors
    /// If Redis cannot be reached, or a key is a hash.
    pub async fn outlines(&self, keys: &[String]) -> Result<Vec<Option<Outline>>, CacheError> {
        let mut outlines = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(PROBES_PER_ROUND_TRIP) {
            #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
            let mut pipeline = redis::pipe();
            for key in chunk {
                pipeline.cmd("STRLEN").arg(key);
                pipeline.cmd("PTTL").arg(key);
                pipeline.cmd("GETRANGE").arg(key).arg(0).arg(HEAD_BYTES - 1);
            }
            // Replies come in a row; the library makes triples of them.
            let found: Vec<(u64, i64, Vec<u8>)> = self.pipeline(&pipeline, chunk.len()).await?;
            outlines.extend(found.into_iter().map(|(bytes, ttl, head)| {
                let ttl = u64::try_from(ttl).ok().map(Duration::from_millis);
                (bytes > 0).then(|| Outline { bytes, ttl, head: head.into() })
            }));
        }
        Ok(outlines)
    }

    /// Time until a key goes; `None` if it stays, or is not there.
    ///
    /// # Errors
    /// If Redis cannot be reached.
    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub async fn time_left(&self, key: &str) -> Result<Option<Duration>, CacheError> {
        let left: i64 = self.command(redis::cmd("PTTL").arg(key).to_owned()).await?;
        Ok(u64::try_from(left).ok().map(Duration::from_millis))
    }

    /// The names of the fields of hashes.
    ///
    /// # Errors
    /// If Redis cannot be reached.
    pub async fn all_field_names(&self, keys: &[String]) -> Result<Vec<Vec<String>>, CacheError> {
        let mut names = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(PROBES_PER_ROUND_TRIP) {
            #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
            let mut pipeline = redis::pipe();
            for key in chunk {
                pipeline.cmd("HKEYS").arg(key);
            }
            names.extend(self.pipeline::<Vec<Vec<String>>>(&pipeline, chunk.len()).await?);
        }
        Ok(names)
    }

    /// Bytes of fields, 0 where there is none.
    ///
    /// # Errors
    /// If Redis cannot be reached.
    pub async fn field_lengths(&self, fields: &[(String, String)]) -> Result<Vec<u64>, CacheError> {
        let mut lengths = Vec::with_capacity(fields.len());
        for chunk in fields.chunks(PROBES_PER_ROUND_TRIP) {
            #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
            let mut pipeline = redis::pipe();
            for (key, field) in chunk {
                pipeline.cmd("HSTRLEN").arg(key).arg(field);
            }
            lengths.extend(self.pipeline::<Vec<u64>>(&pipeline, chunk.len()).await?);
        }
        Ok(lengths)
    }

    /// One step through the keys that begin with `prefix`: those found (some may come twice), and where to go on, 0
    /// at the end.
    ///
    /// # Errors
    /// If Redis cannot be reached.
    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub async fn scan_step(&self, prefix: &str, cursor: u64) -> Result<(u64, Vec<String>), CacheError> {
        let command = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(format!("{}*", escape_glob(prefix)))
            .arg("COUNT")
            .arg(SCAN_COUNT)
            .to_owned();
        let (next, found): (u64, Vec<Vec<u8>>) = self.command(command).await?;
        // A key that is not UTF-8 is none of ours.
        Ok((next, found.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect()))
    }

    /// The fields of a hash, ascending.
    ///
    /// # Errors
    /// If Redis cannot be reached.
    pub async fn field_names(&self, key: &str) -> Result<Vec<String>, CacheError> {
        #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
        let command = redis::cmd("HKEYS").arg(key).to_owned();
        let mut names: Vec<String> = self.command(command).await?;
        names.sort_unstable();
        Ok(names)
    }

    /// The first values of a list, and how many it has.
    ///
    /// # Errors
    /// If Redis cannot be reached.
    pub async fn list_head(&self, key: &str, count: usize) -> Result<(Vec<String>, u64), CacheError> {
        #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
        let mut pipeline = redis::pipe();
        pipeline.cmd("LRANGE").arg(key).arg(0).arg(count.saturating_sub(1)).cmd("LLEN").arg(key);
        self.pipeline(&pipeline, count).await
    }

    async fn pipeline<T: redis::FromRedisValue>(
        &self,
        pipeline: &redis::Pipeline,
        commands: usize,
    ) -> Result<T, CacheError> {
        let mut connection = self.bulk.clone();
        let limit = self.bulk_limit(commands);
        tokio::time::timeout(limit, pipeline.query_async(&mut connection))
            .await
            .map_err(|_| CacheError::timeout(format!("redis: no answer within {} s", limit.as_secs())))?
            .map_err(CacheError::from)
    }
}

/// A text as a pattern that only it matches.
pub(super) fn escape_glob(text: &str) -> String {
    text.chars().flat_map(|c| "*?[]\\".contains(c).then_some('\\').into_iter().chain([c])).collect()
}
