//! What a Redis server says of itself (`INFO`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{RedisCache, ServerVersion};
use crate::cache::{CacheError, Memory};

/// What a Redis server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerFacts {
    /// `redis`, or the name of a server that is compatible.
    pub name: String,
    /// The version of Redis that it is compatible with; 0.0.0 if it does not say.
    pub version: ServerVersion,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: String,
    /// `master` or `slave`, as Redis calls them.
    pub role: String,
    /// Seconds since the server started.
    pub uptime_s: u64,
    /// Bytes in use.
    pub used_memory: u64,
    /// `maxmemory` in bytes; 0 = no limit.
    pub max_memory: u64,
    /// `maxmemory-policy`.
    pub policy: String,
    /// Keys evicted since the server started.
    pub evicted_keys: u64,
    /// Connections of clients.
    pub clients: u64,
    /// Whether an append-only file is written.
    pub append_only: bool,
    /// File of settings with which it was started.
    pub config_file: Option<String>,
    /// Databases that hold keys, with the number of keys.
    pub databases: BTreeMap<i64, u64>,
}

impl ServerFacts {
    /// Reads the answer to `INFO`. What it does not say is empty or 0.
    #[must_use]
    pub fn read(info: &str) -> Self {
        let fields: BTreeMap<&str, &str> =
            info.lines().filter_map(|line| line.trim().split_once(':')).collect();
        let text = |name: &str| fields.get(name).copied().unwrap_or_default().to_owned();
        let number = |name: &str| fields.get(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        let databases = fields.iter().filter_map(|(name, value)| {
            let number = name.strip_prefix("db")?.parse().ok()?;
            let keys = value.split(',').find_map(|part| part.strip_prefix("keys="))?;
            Some((number, keys.parse().ok()?))
        });
        Self {
            name: fields.get("server_name").map_or("redis", |name| name).to_owned(),
            version: text("redis_version").parse().unwrap_or_default(),
            mode: text("redis_mode"),
            role: text("role"),
            uptime_s: number("uptime_in_seconds"),
            used_memory: number("used_memory"),
            max_memory: number("maxmemory"),
            policy: text("maxmemory_policy"),
            evicted_keys: number("evicted_keys"),
            clients: number("connected_clients"),
            append_only: number("aof_enabled") > 0,
            config_file: Some(text("config_file")).filter(|file| !file.is_empty()),
            databases: databases.collect(),
        }
    }

    /// Share of `maxmemory` in use, in percent; `None` without a limit.
    #[must_use]
    pub fn memory_percent(&self) -> Option<u64> {
        let percent = u128::from(self.used_memory) * 100 / u128::from(self.max_memory.max(1));
        (self.max_memory > 0).then(|| u64::try_from(percent).unwrap_or(u64::MAX))
    }

    /// How much room it has.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory {
            used: self.used_memory,
            limit: Some(self.max_memory).filter(|limit| *limit > 0),
            policy: self.policy.clone(),
            evicted: self.evicted_keys,
        }
    }
}

impl RedisCache {
    /// What the server says of itself.
    ///
    /// # Errors
    /// If Redis cannot be reached, or this user may not ask.
    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub async fn server_facts(&self) -> Result<ServerFacts, CacheError> {
        let info: String = self.command(redis::cmd("INFO")).await?;
        Ok(ServerFacts::read(&info))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_what_the_server_says() {
        let facts = ServerFacts::read(
            "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nuptime_in_seconds:61\r\n\
             config_file:/etc/redis/redis.conf\r\n# Memory\r\nused_memory:900\r\nmaxmemory:1000\r\n\
             maxmemory_policy:allkeys-lru\r\nevicted_keys:7\r\nrole:master\r\nconnected_clients:3\r\naof_enabled:1\r\n\
             db0:keys=3,expires=0\r\ndb4:keys=1,expires=1\r\n",
        );
        assert_eq!(
            (facts.version, facts.memory_percent(), facts.uptime_s),
            (ServerVersion(7, 0, 15), Some(90), 61)
        );
        assert_eq!((facts.role.as_str(), facts.append_only, facts.clients), ("master", true, 3));
        assert_eq!(facts.databases, [(0, 3), (4, 1)].into());
        let memory = facts.memory();
        assert_eq!((memory.used, memory.limit, memory.evicted), (900, Some(1000), 7));
        let nothing = ServerFacts::read("");
        assert_eq!((nothing.version, nothing.memory_percent()), (ServerVersion::default(), None));
    }
}
