//! What is wrong with a Redis that answers: judged from what it says of itself. Pure.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::redis::{ServerFacts, ServerVersion};

/// Share of `maxmemory` in use above which it is a warning, in percent.
const MEMORY_PERCENT: u64 = 85;
/// Policies under which any key may go, the one used last longest ago or least often first.
const GOOD_POLICIES: [&str; 2] = ["allkeys-lru", "allkeys-lfu"];

/// Kinds of warnings, also the label of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// `maxmemory` is 0.
    NoMaxmemory,
    /// `maxmemory-policy` is none that evicts by use.
    Policy,
    /// PING takes long.
    Slow,
    /// Older than 6.
    OldVersion,
    /// A replica, or a member of a cluster.
    NotPrimary,
    /// `maxmemory` is nearly used up.
    Memory,
    /// This user may not ask for INFO.
    Denied,
}

impl WarningKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::NoMaxmemory,
        Self::Policy,
        Self::Slow,
        Self::OldVersion,
        Self::NotPrimary,
        Self::Memory,
        Self::Denied,
    ];

    /// The kind in one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoMaxmemory => "no_maxmemory",
            Self::Policy => "policy",
            Self::Slow => "slow",
            Self::OldVersion => "old_version",
            Self::NotPrimary => "not_primary",
            Self::Memory => "memory",
            Self::Denied => "denied",
        }
    }
}

/// What an operator should see to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Kind.
    pub kind: WarningKind,
    /// What was seen.
    pub seen: String,
    /// What to do.
    pub remedy: String,
}

impl Warning {
    fn new(kind: WarningKind, seen: impl Into<String>, remedy: &str) -> Self {
        Self { kind, seen: seen.into(), remedy: remedy.to_owned() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.seen, self.remedy)
    }
}

/// What is wrong; `server` is `None` if this user may not ask.
pub(super) fn warnings(server: Option<&ServerFacts>, ping: Duration, slow: Duration) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if ping > slow {
        warnings.push(Warning::new(
            WarningKind::Slow,
            format!("PING took {} ms, over {} ms (redis.slow_ping)", ping.as_millis(), slow.as_millis()),
            "see SLOWLOG GET, the server's load and the network",
        ));
    }
    match server {
        Some(server) => warnings.extend(server.warnings()),
        None => warnings.push(Warning::new(
            WarningKind::Denied,
            "this user may not ask INFO, so memory and settings are not watched",
            "grant +info (warmer setup redis)",
        )),
    }
    warnings
}

impl ServerFacts {
    /// What is wrong with a server that says this of itself.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let Self { version, mode, role, policy, .. } = self;
        let mut warnings = Vec::new();
        let mut warn = |kind, seen: String, remedy| warnings.push(Warning::new(kind, seen, remedy));
        if *version < ServerVersion::OLDEST {
            warn(
                WarningKind::OldVersion,
                format!(
                    "version {version} is older than {}, and cannot tell gateways of changes",
                    ServerVersion::OLDEST
                ),
                "install a newer one",
            );
        }
        if role != "master" || mode != "standalone" {
            warn(
                WarningKind::NotPrimary,
                format!("it is a {role} in mode {mode}"),
                "let redis.url name a primary server that is no member of a cluster (REPLICAOF NO ONE makes a replica one)",
            );
        }
        if self.max_memory == 0 {
            warn(
                WarningKind::NoMaxmemory,
                "maxmemory is 0, so it may take all of the machine's memory".to_owned(),
                "run warmer setup redis --apply, or CONFIG SET maxmemory 1gb",
            );
        }
        if !GOOD_POLICIES.contains(&policy.as_str()) {
            warn(
                WarningKind::Policy,
                format!("maxmemory-policy is {policy}, so writes may fail when it is full"),
                "run warmer setup redis --apply, or CONFIG SET maxmemory-policy allkeys-lru",
            );
        }
        if let Some(percent) = self.memory_percent().filter(|percent| *percent > MEMORY_PERCENT) {
            warn(
                WarningKind::Memory,
                format!("{percent} % of maxmemory are used"),
                "raise maxmemory, or lower warm.budget or cache.retention_days",
            );
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> ServerFacts {
        ServerFacts {
            version: ServerVersion(7, 0, 15),
            mode: "standalone".to_owned(),
            role: "master".to_owned(),
            used_memory: 85,
            max_memory: 100,
            policy: "allkeys-lru".to_owned(),
            ..ServerFacts::default()
        }
    }

    fn kinds(server: Option<&ServerFacts>, ping_ms: u64) -> Vec<WarningKind> {
        let found = warnings(server, Duration::from_millis(ping_ms), Duration::from_millis(100));
        found.into_iter().map(|warning| warning.kind).collect()
    }

    #[test]
    fn each_fault_is_one_warning() {
        assert_eq!(kinds(Some(&good()), 100), []);
        let with = |change: fn(&mut ServerFacts)| {
            let mut server = good();
            change(&mut server);
            kinds(Some(&server), 1)
        };
        assert_eq!(with(|server| server.max_memory = 0), [WarningKind::NoMaxmemory]);
        assert_eq!(with(|server| server.policy = "noeviction".to_owned()), [WarningKind::Policy]);
        assert_eq!(with(|server| server.policy = "allkeys-lfu".to_owned()), []);
        assert_eq!(with(|server| server.version = ServerVersion(5, 0, 3)), [WarningKind::OldVersion]);
        assert_eq!(with(|server| server.role = "slave".to_owned()), [WarningKind::NotPrimary]);
        assert_eq!(with(|server| server.used_memory = 86), [WarningKind::Memory]);
        assert_eq!(kinds(Some(&good()), 101), [WarningKind::Slow]);
        assert_eq!(kinds(None, 1), [WarningKind::Denied]);
    }
}
