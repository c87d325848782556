//! The settings of a Redis that is Hotshelf's cache, each with its reason.

use clap::ValueEnum;
use shared::cache::ServerVersion;

/// How many users look at dashboards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Up to 50
    #[default]
    #[value(name = "users-50")]
    Users50,
    /// Up to 200
    #[value(name = "users-200")]
    Users200,
    /// Up to 500
    #[value(name = "users-500")]
    Users500,
}

impl Profile {
    /// Memory of Redis, bytes.
    #[must_use]
    pub const fn maxmemory(self) -> u64 {
        match self {
            Self::Users50 | Self::Users200 => 1 << 30,
            Self::Users500 => 2 << 30,
        }
    }
}

/// A setting as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: &'static str,
    /// Its value, as CONFIG SET takes it.
    pub value: String,
    /// Why.
    pub why: &'static str,
}

/// A client that reads nothing is closed: ordinary ones and those that follow channels. The largest answer that is asked for
/// at once has a few tens of megabytes.
const BUFFERS: &str = "normal 268435456 67108864 60 pubsub 33554432 8388608 60";

/// All of them that a version knows, in the order in which they are set.
#[must_use]
pub fn wanted(maxmemory: u64, version: ServerVersion) -> Vec<Wanted> {
    let old = ServerVersion::OLDEST;
    let lazy = "memory is freed in the background, so that nobody waits for a large entry to go";
    let all = [
        // Before the limit: with another policy, a full server refuses writes.
        (
            "maxmemory-policy",
            "allkeys-lru",
            old,
            "what was not read for longest goes first; all of it can be made again",
        ),
        (
            "maxmemory",
            &maxmemory.to_string(),
            old,
            "a cache has a bound, and must not take the machine's memory",
        ),
        (
            "save",
            "",
            old,
            "no snapshots: the warmer makes everything again, and a fork may double the memory",
        ),
        ("appendonly", "no", old, "no log of writes, for the same reason"),
        ("lazyfree-lazy-eviction", "yes", old, lazy),
        ("lazyfree-lazy-expire", "yes", old, lazy),
        ("lazyfree-lazy-server-del", "yes", old, lazy),
        ("lazyfree-lazy-user-del", "yes", old, lazy),
        ("lazyfree-lazy-user-flush", "yes", ServerVersion(6, 2, 0), lazy),
        (
            "client-output-buffer-limit",
            BUFFERS,
            old,
            "a client that reads nothing is closed before it eats the memory",
        ),
        ("tcp-keepalive", "60", old, "a client whose network went away is let go within two minutes"),
        (
            "timeout",
            "0",
            old,
            "connections without a request stay: each program keeps a few and uses them again",
        ),
    ];
    let known = all.into_iter().filter(|(_, _, since, _)| version >= *since);
    known.map(|(name, value, _, why)| Wanted { name, value: value.to_owned(), why }).collect()
}

impl Wanted {
    /// Whether a value does as well.
    #[must_use]
    pub fn is(&self, now: &str) -> bool {
        match self.name {
            "client-output-buffer-limit" => {
                let now = classes(now);
                classes(&self.value).iter().all(|class| now.contains(class))
            }
            _ => now == self.value,
        }
    }

    /// A value of this setting for people.
    #[must_use]
    pub fn shown(&self, value: &str) -> String {
        match self.name {
            "maxmemory" if value == "0" => "0 (no bound)".to_owned(),
            "maxmemory" => size(value),
            "client-output-buffer-limit" => {
                let own: Vec<String> =
                    classes(&self.value).into_iter().map(|class| class[0].clone()).collect();
                let lines = classes(value).into_iter().filter(|class| own.contains(&class[0]));
                let lines: Vec<String> = lines
                    .map(|class| format!("{} {} {} {}", class[0], size(&class[1]), size(&class[2]), class[3]))
                    .collect();
                lines.join(", ")
            }
            _ if value.is_empty() => "\"\"".to_owned(),
            _ => value.to_owned(),
        }
    }

    /// Its lines in a file of settings.
    #[must_use]
    pub fn lines(&self) -> String {
        self.shown(&self.value).split(", ").map(|value| format!("{} {value}\n", self.name)).collect()
    }
}

/// `normal 0 0 0 slave …`: class, hard limit, soft limit, seconds.
fn classes(value: &str) -> Vec<Vec<String>> {
    let words: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
    words.chunks_exact(4).map(<[String]>::to_vec).collect()
}

/// Bytes as Redis writes them.
fn size(bytes: &str) -> String {
    let Ok(number) = bytes.parse::<u64>() else { return bytes.to_owned() };
    for (unit, name) in [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")] {
        if number > 0 && number.is_multiple_of(unit) {
            return format!("{}{name}", number / unit);
        }
    }
    bytes.to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn one(name: &str) -> Wanted {
        wanted(3 << 29, ServerVersion(7, 0, 0)).into_iter().find(|wanted| wanted.name == name).unwrap()
    }

    #[test]
    fn values_are_compared_as_redis_means_them() {
        let buffers = one("client-output-buffer-limit");
        let with = "pubsub 33554432 8388608 60 slave 1 2 3 normal 268435456 67108864 60";
        assert!(buffers.is(with) && !buffers.is("normal 0 0 0 slave 1 2 3 pubsub 33554432 8388608 60"));
        assert_eq!(buffers.shown(with), "pubsub 32mb 8mb 60, normal 256mb 64mb 60");
        assert_eq!(
            buffers.lines(),
            "client-output-buffer-limit normal 256mb 64mb 60\nclient-output-buffer-limit pubsub 32mb 8mb 60\n"
        );
        assert!(one("save").is("") && !one("save").is("3600 1"));
        assert_eq!(one("save").lines(), "save \"\"\n");
        assert_eq!(one("maxmemory").lines(), "maxmemory 1536mb\n");
        assert_eq!(one("maxmemory").shown("0"), "0 (no bound)");
        assert_eq!(one("maxmemory").shown("1000"), "1000");
    }

    #[test]
    fn old_servers_are_asked_for_what_they_know() {
        let names = |version| {
            wanted(1, version).into_iter().filter(|wanted| wanted.name == "lazyfree-lazy-user-flush").count()
        };
        assert_eq!((names(ServerVersion(6, 0, 9)), names(ServerVersion(6, 2, 0))), (0, 1));
    }
}
