//! What the warmer asks of Redis besides entries: whether keys are there, which there are, how much room is left.

use std::collections::BTreeMap;

use super::RedisCache;
use crate::cache::{CacheError, Memory, Probe};

/// Keys looked at in one round trip.
const PROBES_PER_ROUND_TRIP: usize = 512;
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
            let mut connection = self.bulk.clone();
            let query = pipeline.query_async::<Vec<u64>>(&mut connection);
            let limit = self.bulk_limit(chunk.len());
            let found = tokio::time::timeout(limit, query).await.map_err(|_| {
                CacheError::timeout(format!("redis: no answer within {} s", limit.as_secs()))
            })??;
            counts.extend(found);
        }
        Ok(counts)
    }

    /// Up to `limit` keys that begin with `prefix`, in no order.
    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub(in crate::cache) async fn scan(&self, prefix: &str, limit: usize) -> Result<Vec<String>, CacheError> {
        let pattern = format!("{}*", escape_glob(prefix));
        let mut keys = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let command = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(SCAN_COUNT)
                .to_owned();
            let (next, found): (u64, Vec<String>) = self.command(command).await?;
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
    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub(in crate::cache) async fn memory(&self) -> Result<Memory, CacheError> {
        let memory: String = self.command(redis::cmd("INFO").arg("memory").to_owned()).await?;
        let stats: String = self.command(redis::cmd("INFO").arg("stats").to_owned()).await?;
        let fields: BTreeMap<&str, &str> =
            memory.lines().chain(stats.lines()).filter_map(|line| line.trim().split_once(':')).collect();
        let number = |name: &str| fields.get(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        Ok(Memory {
            used: number("used_memory"),
            limit: Some(number("maxmemory")).filter(|limit| *limit > 0),
            policy: fields.get("maxmemory_policy").copied().unwrap_or_default().to_owned(),
            evicted: number("evicted_keys"),
        })
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

/// A text as a pattern that only it matches.
fn escape_glob(text: &str) -> String {
    text.chars().flat_map(|c| "*?[]\\".contains(c).then_some('\\').into_iter().chain([c])).collect()
}
