//! What warmer and gateway may do in Redis: the rules of their ACL users, and how a user that is there compares with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::inspect::escape_glob;

/// Whose rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AclRole {
    /// Writes all that begins with the prefix.
    Warmer,
    /// Reads it.
    Gateway,
}

/// Version of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ServerVersion(pub u32, pub u32, pub u32);

impl ServerVersion {
    /// The first with users.
    pub const OLDEST: Self = Self(6, 0, 0);
    /// The first that says beforehand what a user may do (`ACL DRYRUN`).
    pub const DRY_RUN: Self = Self(7, 0, 0);
    /// The first that takes the client's name and version (`CLIENT SETINFO`); before it, a rule that names this is refused.
    const SET_INFO: Self = Self(7, 2, 0);
    /// The first with rights for channels.
    const CHANNELS: Self = Self(6, 2, 0);
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl From<ServerVersion> for String {
    fn from(version: ServerVersion) -> Self {
        version.to_string()
    }
}

impl TryFrom<String> for ServerVersion {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for ServerVersion {
    type Err = std::num::ParseIntError;

    /// Of `7.0.15`; what is missing counts as 0.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.split('.').map(str::parse);
        let mut next = || numbers.next().unwrap_or(Ok(0));
        Ok(Self(next()?, next()?, next()?))
    }
}

/// What both need: a connection, and to say how the server does.
const BOTH: [&str; 16] = [
    "ping",
    "hello",
    // For an address with the number of a database; the keys are bounded in each.
    "select",
    "get",
    "mget",
    "hget",
    "hmget",
    "hgetall",
    // Named, for the rest of CLIENT is not for them.
    "client|tracking",
    "info",
    "time",
    // What an entry is, without reading all of it.
    "strlen",
    "hstrlen",
    "hkeys",
    "pttl",
    "getrange",
];

/// What the warmer needs besides: entries in transactions, the lease (by scripts), what it and its operators look at.
const WARMER: [&str; 24] = [
    "set",
    "hset",
    "hdel",
    "del",
    "unlink",
    "pexpire",
    "rpush",
    "ltrim",
    "lpop",
    "lrange",
    "llen",
    "incr",
    "exists",
    "hlen",
    "type",
    "memory|usage",
    // It names keys of other prefixes, too, but reads none of them.
    "scan",
    "dbsize",
    "watch",
    "unwatch",
    "multi",
    "exec",
    "discard",
    "eval",
];

/// The rules of a user, behind `reset on` and its password. Nothing by category: SCAN, KEYS and RANDOMKEY are in `@read`, and
/// name keys of every prefix.
#[must_use]
pub fn acl_rules(role: AclRole, prefix: &str, version: ServerVersion) -> Vec<String> {
    let mut rules = vec![format!("~{}*", escape_glob(prefix))];
    if version >= ServerVersion::CHANNELS {
        rules.push("resetchannels".to_owned());
    }
    let more: &[&str] = if role == AclRole::Warmer { &WARMER } else { &[] };
    rules.extend(BOTH.iter().chain(more).map(|command| format!("+{command}")));
    rules.push("+acl|whoami".to_owned());
    if role == AclRole::Warmer && version >= ServerVersion::DRY_RUN {
        rules.push("+acl|dryrun".to_owned());
    }
    if version >= ServerVersion::SET_INFO {
        rules.push("+client|setinfo".to_owned());
    }
    rules
}

/// A password as ACL rules and files hold it: its SHA-256 in hexadecimal digits.
#[must_use]
pub fn password_hash(password: &str) -> String {
    Sha256::digest(password.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The words of ACL SETUSER behind the name, which are those of an ACL file, too.
#[must_use]
pub fn acl_user_words(rules: &[String], password: &str) -> Vec<String> {
    let begin = ["reset".to_owned(), "on".to_owned(), format!("#{}", password_hash(password))];
    begin.into_iter().chain(rules.iter().cloned()).collect()
}

/// A user as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AclUser {
    /// `on`, `nopass`, …
    pub flags: Vec<String>,
    /// SHA-256 of its passwords.
    pub passwords: Vec<String>,
    /// Rules of commands, in their order.
    pub commands: Vec<String>,
    /// Patterns of keys, each with its sign.
    pub keys: Vec<String>,
    /// Patterns of channels.
    pub channels: Vec<String>,
    /// Further sets of rules.
    pub selectors: usize,
}

impl AclUser {
    /// Whether a flag is set.
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| own == flag)
    }

    /// Names of the categories among its commands; `all` is none.
    pub(super) fn categories(&self) -> BTreeSet<&str> {
        let named = self.commands.iter().filter_map(|rule| rule.get(1..)?.strip_prefix('@'));
        named.filter(|name| *name != "all").collect()
    }

    /// What differs from these rules and this password, in words; nothing if nothing does. `categories` are the commands of
    /// those that the server names: before 7.0 it puts commands together to categories.
    #[must_use]
    pub fn differs(
        &self,
        rules: &[String],
        password: &str,
        categories: &BTreeMap<String, Vec<String>>,
    ) -> Vec<&'static str> {
        let mut differs = Vec::new();
        if !self.has("on") {
            differs.push("is off");
        }
        if self.has("nopass") || self.passwords != [password_hash(password)] {
            differs.push("another password");
        }
        let keys: Vec<&String> = rules.iter().filter(|rule| rule.starts_with('~')).collect();
        if self.keys.iter().collect::<Vec<_>>() != keys {
            differs.push("other keys");
        }
        let commands = rules.iter().filter_map(|rule| rule.strip_prefix('+')).map(str::to_owned).collect();
        if self.allowed(categories) != Some(commands) || self.selectors > 0 {
            differs.push("other commands");
        }
        let bounds_channels = rules.iter().any(|rule| rule == "resetchannels");
        if bounds_channels && !self.channels.is_empty() {
            differs.push("other channels");
        }
        differs
    }

    /// The commands that it may run; `None` if its rules allow more than can be listed.
    fn allowed(&self, categories: &BTreeMap<String, Vec<String>>) -> Option<BTreeSet<String>> {
        let mut allowed = BTreeSet::new();
        for rule in &self.commands {
            match rule.as_str() {
                "+@all" | "allcommands" => return None,
                "-@all" | "nocommands" => allowed.clear(),
                rule => {
                    let (sign, name) = rule.split_at_checked(1)?;
                    let names = match name.strip_prefix('@') {
                        Some(category) => categories.get(category)?.clone(),
                        None => vec![name.to_owned()],
                    };
                    for name in names {
                        if sign == "+" {
                            allowed.insert(name);
                        } else {
                            let all = format!("{name}|");
                            allowed.retain(|own| *own != name && !own.starts_with(&all));
                        }
                    }
                }
            }
        }
        Some(allowed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn rules_follow_the_version() {
        let of = |role, version: &str| acl_rules(role, "hs:1:", version.parse().unwrap()).join(" ");
        for role in [AclRole::Warmer, AclRole::Gateway] {
            assert!(of(role, "7.0.15").starts_with("~hs:1:* resetchannels +ping"));
            assert!(!of(role, "6.0.16").contains("resetchannels"));
            assert!(!of(role, "7.0.15").contains("setinfo") && of(role, "7.2").contains("+client|setinfo"));
            assert!(of(role, "6.2").contains("+acl|whoami") && !of(role, "6.2").contains("dryrun"));
            assert!(!of(role, "8.0").contains('@'));
        }
        assert!(of(AclRole::Warmer, "7").contains("+acl|dryrun"));
        let gateway = of(AclRole::Gateway, "7");
        for write in ["+set ", "+del", "+eval", "+scan", "dryrun", "+config"] {
            assert!(!gateway.contains(write), "{write}: {gateway}");
        }
        assert!("7.x".parse::<ServerVersion>().is_err());
    }

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(acl_rules(AclRole::Gateway, r"a\b:", ServerVersion(7, 0, 0))[0], r"~a\\b:*");
    }

    #[test]
    fn what_differs_is_told() {
        let rules = ["~p:*", "resetchannels", "+get", "+multi", "+exec", "+acl|whoami"].map(str::to_owned);
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let user = AclUser {
            flags: words(&["on"]),
            passwords: vec![password_hash("secret")],
            commands: words(&["-@all", "+exec", "+acl|whoami", "+multi", "+get"]),
            keys: words(&["~p:*"]),
            ..AclUser::default()
        };
        let none = BTreeMap::new();
        assert_eq!(user.differs(&rules, "secret", &none), [""; 0]);
        // As Redis 6 tells it.
        let grouped = AclUser {
            commands: words(&["-@all", "+@transaction", "-watch", "+acl|whoami", "+get"]),
            ..user.clone()
        };
        assert_eq!(grouped.differs(&rules, "secret", &none), ["other commands"]);
        assert_eq!(grouped.categories().into_iter().collect::<Vec<_>>(), ["transaction"]);
        let categories = [("transaction".to_owned(), words(&["multi", "exec", "watch"]))].into();
        assert_eq!(grouped.differs(&rules, "secret", &categories), [""; 0]);
        let all = AclUser { commands: words(&["+@all"]), ..user.clone() };
        assert_eq!(all.differs(&rules, "secret", &none), ["other commands"]);
        let less = AclUser { commands: words(&["-@all", "+get", "+multi", "+exec"]), ..user.clone() };
        assert_eq!(less.differs(&rules, "secret", &none), ["other commands"]);
        let open = AclUser {
            flags: words(&["off", "nopass"]),
            keys: words(&["~*"]),
            channels: words(&["&*"]),
            ..user
        };
        let told = ["is off", "another password", "other keys", "other channels"];
        assert_eq!(open.differs(&rules, "secret", &none), told);
    }
}
