//! Where the value of each setting comes from: what the files say is taken from them as they are read, so that a new key
//! needs nothing here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use super::{Settings, check, diff};

/// An address that may also come from the environment and the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its key.
    pub key: &'static str,
    /// Its variable, which comes before files.
    pub variable: &'static str,
    /// Its option, which comes before the variable.
    pub option: &'static str,
}

/// Redis.
pub const REDIS: Address = Address { key: "redis.url", variable: "HOTSHELF_REDIS_URL", option: "--redis" };
/// PostgreSQL.
pub const POSTGRES: Address =
    Address { key: "postgres.url", variable: "HOTSHELF_POSTGRES_URL", option: "--postgres" };
/// All of them.
pub const ADDRESSES: [Address; 2] = [REDIS, POSTGRES];

/// A password file that the environment may name: units of systemd do, since the folder of a unit's credentials is known
/// to systemd alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordFile {
    /// Its key.
    pub key: &'static str,
    /// Its variable, which comes before settings. One that names a blank file names none: a unit has such a file where
    /// nobody made a password.
    pub variable: &'static str,
}

/// That of the user in Redis.
pub const REDIS_PASSWORD: PasswordFile =
    PasswordFile { key: "redis.password_file", variable: "HOTSHELF_REDIS_PASSWORD_FILE" };
/// That of the user in PostgreSQL.
pub const POSTGRES_PASSWORD: PasswordFile =
    PasswordFile { key: "postgres.password_file", variable: "HOTSHELF_POSTGRES_PASSWORD_FILE" };
/// Both.
pub const PASSWORD_FILES: [PasswordFile; 2] = [REDIS_PASSWORD, POSTGRES_PASSWORD];

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// Of the files that set it, the last one.
    File(PathBuf),
    /// A variable of the environment.
    Environment(&'static str),
    /// An option of the command line.
    Option(&'static str),
    /// Nobody set it, but the key that it follows from.
    FollowsFrom(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Option(option) => write!(f, "option {option}"),
            Self::FollowsFrom(key) => write!(f, "follows from {key}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The key that a key follows from while it is not set itself. A test tries what the shipped files show.
fn followed(key: &str) -> Option<&'static str> {
    match key {
        "cache.orders" | "cache.cells" | "cache.answers" | "cache.hot" => Some("cache.profile"),
        "heat.logs" => Some("access_log.path"),
        _ => None,
    }
}

/// Where the values of a set of settings come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// Of the keys that somebody set.
    set: BTreeMap<String, Origin>,
}

impl Origins {
    /// Notes what a file sets. A key of a section is set as a whole, tables such as `postgres.columns` too.
    pub(super) fn of_file(&mut self, path: &Path, text: &str) {
        // It was read as settings before, so it is TOML.
        let file = text.parse::<toml::Table>().unwrap_or_default();
        for (section, keys) in &file {
            for key in keys.as_table().into_iter().flat_map(toml::Table::keys) {
                self.set.insert(format!("{section}.{key}"), Origin::File(path.to_owned()));
            }
        }
    }

    pub(super) fn of_environment(&mut self, key: &str, variable: &'static str) {
        self.set.insert(key.to_owned(), Origin::Environment(variable));
    }

    /// Notes that an option of the command line set a key.
    pub fn of_option(&mut self, key: &str, option: &'static str) {
        self.set.insert(key.to_owned(), Origin::Option(option));
    }

    /// Where the value of a key comes from.
    #[must_use]
    pub fn of(&self, key: &str) -> Origin {
        let follows =
            || Some(Origin::FollowsFrom(followed(key).filter(|from| self.set.contains_key(*from))?));
        self.set.get(key).cloned().or_else(follows).unwrap_or(Origin::Default)
    }
}

/// A setting as it counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effective {
    /// Key, such as `warm.interval`.
    pub key: String,
    /// Value as a file has it, without secrets; `None` = none.
    pub value: Option<toml::Value>,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it is another one than without any file, secrets included.
    #[serde(skip)]
    pub changed: bool,
}

/// Every setting as it counts, in the order of the sections of the shipped files.
#[must_use]
pub fn effective(settings: &Settings, origins: &Origins) -> Vec<Effective> {
    let defaults = diff::listed(&check::defaults());
    let pairs = diff::listed(settings).into_iter().zip(defaults);
    let effective = pairs.map(|(entry, default)| Effective {
        value: value(&entry.public),
        origin: origins.of(&entry.key),
        changed: entry.value != default.value,
        key: entry.key,
    });
    effective.collect()
}

/// A value of what changes are told as: there durations and sizes are without quotes.
fn value(text: &str) -> Option<toml::Value> {
    if text == "none" {
        return None;
    }
    let parsed = format!("x = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("x"));
    Some(parsed.unwrap_or_else(|| text.into()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::config::raw;

    struct Files {
        paths: Vec<PathBuf>,
        _folder: tempfile::TempDir,
    }

    impl Files {
        fn new(texts: &[&str]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let write = |(at, text): (usize, &&str)| {
                let path = folder.path().join(format!("{at}.toml"));
                std::fs::write(&path, text).unwrap();
                path
            };
            let paths = texts.iter().enumerate().map(write).collect();
            Self { paths, _folder: folder }
        }

        fn effective(&self, environment: &dyn Fn(&str) -> Option<String>) -> Vec<Effective> {
            let (settings, origins) = Settings::with_origins(&self.paths, environment).unwrap();
            effective(&settings, &origins)
        }
    }

    fn find<'a>(effective: &'a [Effective], key: &str) -> (String, &'a Effective) {
        let found = effective.iter().find(|setting| setting.key == key).unwrap();
        let shown = found.value.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        (shown, found)
    }

    #[test]
    fn the_last_who_sets_a_key_is_its_origin() {
        let files = Files::new(&[
            "[warm]\ninterval = \"1m\"\nlease = \"5s\"\n[postgres]\nurl = \"x\"\n[postgres.columns]\ncost = \"a\"",
            "[warm]\nlease = \"10s\"\n[postgres.columns]\ncity = [\"b\", \"门店\"]\n[gateway]\nsocket_mode = \"600\"\n\
             max_body_bytes = \"1MiB\"",
        ]);
        let redis = |name: &str| (name == REDIS.variable).then(|| "redis://u:secret@h:1".to_owned());
        let effective = files.effective(&redis);
        let file = |at: usize| Origin::File(files.paths[at].clone());
        for (key, value, origin, changed) in [
            ("warm.interval", "\"1m\"", file(0), true),
            ("warm.lease", "\"10s\"", file(1), false),
            ("postgres.columns", "{ city = [\"b\", \"门店\"] }", file(1), true),
            ("redis.url", "\"redis://h:1\"", Origin::Environment("HOTSHELF_REDIS_URL"), true),
            ("gateway.socket_mode", "\"600\"", file(1), true),
            ("gateway.max_body_bytes", "\"1MiB\"", file(1), true),
            ("warm.state", "none", Origin::Default, false),
            ("warm.floor", "5", Origin::Default, false),
        ] {
            let (shown, setting) = find(&effective, key);
            assert_eq!(
                (shown.as_str(), &setting.origin, setting.changed),
                (value, &origin, changed),
                "{key}"
            );
        }
        let mut origins = Origins::default();
        origins.of_environment(REDIS.key, REDIS.variable);
        origins.of_option("redis.url", "--redis");
        assert_eq!(origins.of("redis.url").to_string(), "option --redis");
    }

    #[test]
    fn values_that_follow_from_another_say_so() {
        let files =
            Files::new(&["[cache]\nprofile = \"daily\"\ncells = \"1h\"\n[access_log]\npath = \"/l\""]);
        let effective = files.effective(&|_| None);
        let (shown, orders) = find(&effective, "cache.orders");
        assert_eq!(
            (shown.as_str(), orders.origin.to_string().as_str()),
            ("\"1day\"", "follows from cache.profile")
        );
        assert_eq!(find(&effective, "cache.cells").1.origin, Origin::File(files.paths[0].clone()));
        let (shown, logs) = find(&effective, "heat.logs");
        assert_eq!(
            (shown.as_str(), logs.origin.to_string().as_str()),
            ("[\"/l*\"]", "follows from access_log.path")
        );
    }

    /// What the shipped files have commented out, each alone.
    #[test]
    fn what_nobody_set_is_the_default_or_says_what_it_follows_from() {
        let mut tried = 0;
        for name in ["warmer.toml", "gateway.toml"] {
            let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../config")).join(name);
            let text = std::fs::read_to_string(path).unwrap();
            let mut section = "";
            for line in text.lines() {
                let line = line.trim_start_matches("# ");
                section = if line.starts_with('[') { line } else { section };
                let files = Files::new(&[&format!("{section}\n{line}")]);
                // Prose, and one half of a pair, are no settings.
                let Ok((settings, origins)) = Settings::with_origins(&files.paths, &|_| None) else {
                    continue;
                };
                tried += origins.set.len();
                for setting in effective(&settings, &origins) {
                    assert!(!setting.changed || setting.origin != Origin::Default, "{line}: {setting:?}");
                }
            }
        }
        assert!(tried > 100, "{tried}");
    }

    #[test]
    fn no_secret_and_no_hash_is_shown() {
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let text = format!(
            "[redis]\nurl = \"redis://:secret@h\"\n[postgres]\nurl = \"host=h password=secret\"\n\
             [[access.tokens]]\nname = \"a\"\nsha256 = \"{hash}\"\nstores = [\"1\"]"
        );
        let effective = Files::new(&[&text]).effective(&|_| None);
        let json = serde_json::to_string(&effective).unwrap();
        assert!(!json.contains("secret") && !json.contains("ba78"), "{json}");
        let (tokens, _) = find(&effective, "access.tokens");
        assert!(tokens.contains("name = \"a\"") && tokens.contains("rate = 500"), "{tokens}");
    }

    #[test]
    fn every_key_is_listed() {
        let mut listed: Vec<String> =
            Files::new(&[]).effective(&|_| None).into_iter().map(|setting| setting.key).collect();
        let mut known = raw::File::keys();
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
    }
}
