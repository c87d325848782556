//! What an administrator does in Redis: settings, users, and what lies in it. One connection, one command at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, RedisError, Value};

use super::rights::{AclUser, ServerVersion};
use super::{RedisSettings, ServerFacts, address};
use crate::cache::{CacheError, CacheErrorKind};

/// Keys that one SCAN step looks at, about.
const SCAN_COUNT: u64 = 1000;

/// Keys that do not begin with the prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignKeys {
    /// How many were seen.
    pub seen: u64,
    /// Some of them, with the database that they are in.
    pub some: Vec<(i64, String)>,
    /// Keys that were looked at.
    pub looked_at: u64,
    /// Keys that there are.
    pub keys: u64,
}

/// A connection of an administrator.
pub struct Administrator {
    connection: MultiplexedConnection,
    limit: Duration,
    database: i64,
}

impl std::fmt::Debug for Administrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Administrator").finish_non_exhaustive()
    }
}

impl Administrator {
    /// Connects.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses the user.
    pub async fn connect(settings: &RedisSettings) -> Result<Self, CacheError> {
        let client = address::client(settings)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.connect_timeout))
            .set_response_timeout(None);
        let database = client.get_connection_info().redis_settings().db();
        // Twice: for the connection, and for the greetings on it.
        let limit = settings.connect_timeout * 2;
        let connection =
            tokio::time::timeout(limit, client.get_multiplexed_async_connection_with_config(&config))
                .await
                .map_err(|_| late(limit))??;
        Ok(Self { connection, limit: settings.bulk_timeout, database })
    }

    /// What the server tells of itself.
    ///
    /// # Errors
    /// If it does not, or tells of no version.
    pub async fn server(&mut self) -> Result<ServerFacts, CacheError> {
        let info: String = self.run(&["INFO"]).await?;
        let facts = ServerFacts::read(&info);
        if facts.version == ServerVersion::default() {
            return Err(CacheError::new(
                CacheErrorKind::Other,
                "redis: INFO tells of no version".to_owned(),
                "see what listens at this address (redis-cli INFO server)",
            ));
        }
        Ok(facts)
    }

    /// The value of a setting; `None` if this server has none of that name.
    ///
    /// # Errors
    /// If it may not be asked for.
    pub async fn setting(&mut self, name: &str) -> Result<Option<String>, CacheError> {
        let found: BTreeMap<String, String> = self.run(&["CONFIG", "GET", name]).await?;
        Ok(found.get(name).cloned())
    }

    /// Gives a setting a value, until the server ends.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn set(&mut self, name: &str, value: &str) -> Result<(), CacheError> {
        self.run(&["CONFIG", "SET", name, value]).await
    }

    /// Writes the settings into the file that the server was started with; without a file of users these, too.
    ///
    /// # Errors
    /// If it has none, or cannot write it.
    pub async fn rewrite(&mut self) -> Result<(), CacheError> {
        self.run(&["CONFIG", "REWRITE"]).await
    }

    /// A user; `None` if there is none of this name.
    ///
    /// # Errors
    /// If it may not be asked for.
    pub async fn user(&mut self, name: &str) -> Result<Option<AclUser>, CacheError> {
        Ok(read_user(self.run(&["ACL", "GETUSER", name]).await?))
    }

    /// All users, as lines of an ACL file.
    ///
    /// # Errors
    /// If they may not be asked for.
    pub async fn users(&mut self) -> Result<Vec<String>, CacheError> {
        self.run(&["ACL", "LIST"]).await
    }

    /// Who this is.
    ///
    /// # Errors
    /// If the server does not tell.
    pub async fn whoami(&mut self) -> Result<String, CacheError> {
        self.run(&["ACL", "WHOAMI"]).await
    }

    /// Makes a user, or gives it other rules.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn set_user(&mut self, name: &str, words: &[String]) -> Result<(), CacheError> {
        let all: Vec<&str> =
            ["ACL", "SETUSER", name].into_iter().chain(words.iter().map(String::as_str)).collect();
        self.run(&all).await
    }

    /// Writes the users into the server's file of users.
    ///
    /// # Errors
    /// If it has none, or cannot write it.
    pub async fn save_users(&mut self) -> Result<(), CacheError> {
        self.run(&["ACL", "SAVE"]).await
    }

    /// The commands of the categories that a user's rules name.
    ///
    /// # Errors
    /// If the server does not tell.
    pub async fn categories(&mut self, user: &AclUser) -> Result<BTreeMap<String, Vec<String>>, CacheError> {
        let mut categories = BTreeMap::new();
        for name in user.categories() {
            categories.insert(name.to_owned(), self.run(&["ACL", "CAT", name]).await?);
        }
        Ok(categories)
    }

    /// Keys of all databases that do not begin with `prefix`, after a look at `most` keys of each; up to `named` of them.
    ///
    /// # Errors
    /// If the server does not tell.
    pub async fn foreign_keys(
        &mut self,
        prefix: &str,
        databases: &BTreeMap<i64, u64>,
        most: u64,
        named: usize,
    ) -> Result<ForeignKeys, CacheError> {
        let mut foreign = ForeignKeys { keys: databases.values().sum(), ..ForeignKeys::default() };
        for database in databases.keys() {
            // Also for the own one: some servers know no other, and refuse the command.
            if *database != self.database {
                self.run::<()>(&["SELECT", &database.to_string()]).await?;
            }
            let looked = self.look_through(*database, prefix, most, named, &mut foreign).await;
            if *database != self.database {
                self.run::<()>(&["SELECT", &self.database.to_string()]).await?;
            }
            looked?;
        }
        Ok(foreign)
    }

    async fn look_through(
        &mut self,
        database: i64,
        prefix: &str,
        most: u64,
        named: usize,
        foreign: &mut ForeignKeys,
    ) -> Result<(), CacheError> {
        let (mut cursor, mut looked_at) = ("0".to_owned(), 0);
        // SCAN may name a key twice, which must not make two of it.
        let mut seen = BTreeSet::new();
        loop {
            let step = ["SCAN", &cursor, "COUNT", &SCAN_COUNT.to_string()];
            let (next, keys): (String, Vec<Vec<u8>>) = self.run(&step).await?;
            looked_at += keys.len() as u64;
            seen.extend(keys.into_iter().filter(|key| !key.starts_with(prefix.as_bytes())));
            cursor = next;
            if cursor == "0" || looked_at >= most {
                break;
            }
        }
        foreign.looked_at += looked_at;
        foreign.seen += seen.len() as u64;
        let room = named.saturating_sub(foreign.some.len());
        let names = seen.iter().take(room).map(|key| String::from_utf8_lossy(key).into_owned());
        foreign.some.extend(names.map(|name| (database, name)));
        Ok(())
    }

    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    async fn run<T: FromRedisValue>(&mut self, words: &[&str]) -> Result<T, CacheError> {
        let [first, rest @ ..] = words else { return Err(late(self.limit)) };
        let mut command = redis::cmd(first);
        command.arg(rest);
        tokio::time::timeout(self.limit, command.query_async(&mut self.connection))
            .await
            .map_err(|_| late(self.limit))?
            .map_err(|error| refused(words, error))
    }
}

fn late(limit: Duration) -> CacheError {
    CacheError::timeout(format!("redis: no answer within {} s", limit.as_secs()))
}

/// What a server means that hides commands of administrators, or that knows this user for none.
fn refused(words: &[&str], error: RedisError) -> CacheError {
    let command: Vec<&str> = words.iter().take(2).copied().collect();
    let told = error.to_string();
    // Whom the server does not let in is told as ever.
    let is_denied = match error.code() {
        Some("NOPERM") => true,
        Some("ERR") => told.contains("unknown command") || told.contains("disabled"),
        _ => false,
    };
    if !is_denied {
        return error.into();
    }
    CacheError::new(
        CacheErrorKind::Denied,
        format!("redis: this user may not run {}, or the server has it not: {told}", command.join(" ")),
        "give the address of an administrator (--redis); where nobody may, as with many providers, set it in the provider's \
         console: --write DIR writes down what",
    )
}

/// The answer to ACL GETUSER: names and values in turn, as lists or, since 7.0, as texts.
fn read_user(answer: Value) -> Option<AclUser> {
    let pairs: Vec<(Value, Value)> = match answer {
        Value::Map(pairs) => pairs,
        Value::Array(values) => {
            let mut values = values.into_iter();
            std::iter::from_fn(|| Some((values.next()?, values.next()?))).collect()
        }
        _ => return None,
    };
    let mut user = AclUser::default();
    for (name, value) in pairs {
        let count = if let Value::Array(values) = &value { values.len() } else { 0 };
        match texts(&name).first().map(String::as_str) {
            Some("flags") => user.flags = texts(&value),
            Some("passwords") => user.passwords = texts(&value),
            Some("commands") => user.commands = words(&value),
            Some("keys") => user.keys = signed(words(&value), '~'),
            Some("channels") => user.channels = signed(words(&value), '&'),
            Some("selectors") => user.selectors = count,
            _ => {}
        }
    }
    Some(user)
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) | Value::Set(values) => values.iter().flat_map(texts).collect(),
        Value::BulkString(bytes) => vec![String::from_utf8_lossy(bytes).into_owned()],
        Value::SimpleString(text) => vec![text.clone()],
        _ => Vec::new(),
    }
}

fn words(value: &Value) -> Vec<String> {
    texts(value).iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect()
}

/// Before 7.0 patterns come without their sign.
fn signed(patterns: Vec<String>, sign: char) -> Vec<String> {
    let with = |pattern: String| match pattern.starts_with([sign, '%']) {
        true => pattern,
        false => format!("{sign}{pattern}"),
    };
    patterns.into_iter().map(with).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_of_any_version() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let list = |texts: &[&str]| Value::Array(texts.iter().map(|one| text(one)).collect());
        let common = [
            (text("flags"), list(&["on"])),
            (text("passwords"), list(&["aa"])),
            (text("commands"), text("-@all +get")),
        ];
        let seven =
            [(text("keys"), text("~a:* ~b:*")), (text("channels"), text("")), (text("selectors"), list(&[]))];
        let six = [(text("keys"), list(&["a:*", "b:*"])), (text("channels"), list(&[]))];
        let flat = |pairs: &[(Value, Value)]| {
            Value::Array(pairs.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect())
        };
        let of = |more: &[(Value, Value)]| read_user(flat(&[&common, more].concat())).unwrap();
        assert_eq!(of(&seven), of(&six));
        assert_eq!(of(&six).keys, ["~a:*", "~b:*"]);
        assert_eq!(of(&six).commands, ["-@all", "+get"]);
        assert_eq!(read_user(Value::Map([&common[..], &seven].concat())), Some(of(&seven)));
        assert_eq!(read_user(Value::Nil), None);
    }
}
