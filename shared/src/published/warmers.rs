//! The warmers of a prefix: who writes, and what each tells of itself. Their names stand in a hash beside their states, so that
//! whoever may not scan keys finds them.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::Status;
use crate::cache::{Cache, Patience, Read, Write};
use crate::keys::{Keys, Slot};

/// Warmers that are read.
const MOST: usize = 100;

/// The warmers of a prefix.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Warmers {
    /// Whether one of them writes.
    pub active: bool,
    /// Who has the lease.
    pub lease: Option<String>,
    /// What each publishes, by name.
    pub warmers: Vec<Status>,
    /// Names of those whose status cannot be read: of another version.
    pub unreadable: Vec<String>,
}

impl Warmers {
    /// What the warmers of a prefix publish; `None` if the cache does not answer.
    pub async fn read(cache: &Cache, keys: &Keys) -> Option<Self> {
        let mut names: Vec<String> = match cache.read_hash(&keys.warmers()).await {
            Read::Hit(fields) => fields.into_iter().map(|(name, _)| name).collect(),
            Read::Miss => Vec::new(),
            Read::Unavailable => return None,
        };
        names.sort_unstable();
        names.truncate(MOST);
        let lease = Slot { key: keys.lease().0, field: None };
        let slots: Vec<Slot> = names.iter().map(|name| keys.warmer_status(name)).chain([lease]).collect();
        let mut reads = cache.read(&slots, Patience::Bulk).await;
        let lease = match reads.pop() {
            Some(Read::Hit(owner)) => Some(String::from_utf8_lossy(&owner).into_owned()),
            Some(Read::Miss) => None,
            Some(Read::Unavailable) | None => return None,
        };
        let (mut warmers, mut unreadable) = (Vec::new(), Vec::new());
        for (name, read) in names.into_iter().zip(reads) {
            // One that stopped has no status any more.
            let Read::Hit(bytes) = read else { continue };
            match serde_json::from_slice(&bytes) {
                Ok(status) => warmers.push(status),
                Err(_) => unreadable.push(name),
            }
        }
        Some(Self { active: lease.is_some(), lease, warmers, unreadable })
    }

    /// The warmer that writes, if it tells of itself.
    #[must_use]
    pub fn writer(&self) -> Option<&Status> {
        self.warmers.iter().find(|status| status.is_active())
    }

    /// Why nobody writes, and what to do.
    #[must_use]
    pub fn remedy(&self, prefix: &str) -> String {
        let problem = self.warmers.iter().find_map(|status| status.problem.as_ref().map(|why| (status, why)));
        if let Some((status, why)) = problem {
            return format!(
                "no warmer is active under the prefix {prefix:?}; {} says: {why}",
                status.instance
            );
        }
        if self.warmers.is_empty() {
            return format!(
                "no warmer is active under the prefix {prefix:?}; start one with `warmer run`, or give this command the settings \
             (--config, --redis) of the one that runs"
            );
        }
        format!(
            "no warmer is active under the prefix {prefix:?}; one that stands by takes over within a few seconds: if this stays, see \
         its log"
        )
    }
}

/// What a warmer tells, for `ttl`. Names of those that have told nothing for ten times as long are forgotten.
///
/// # Errors
/// If it cannot be written as JSON; none can.
pub async fn tell(
    cache: &Cache,
    keys: &Keys,
    status: &Status,
    ttl: Duration,
) -> Result<Vec<Write>, serde_json::Error> {
    let (index, silent) = (keys.warmers(), i64::try_from(ttl.as_millis() * 10).unwrap_or(i64::MAX));
    let is_silent = |told: &Bytes| {
        let told = std::str::from_utf8(told).ok().and_then(|text| text.parse::<i64>().ok());
        told.is_none_or(|told| status.now.saturating_sub(told) > silent)
    };
    let known = cache.read_hash(&index).await.hit().unwrap_or_default();
    let gone: Vec<String> =
        known.into_iter().filter(|(_, told)| is_silent(told)).map(|(name, _)| name).collect();
    let mut writes = vec![
        Write::Set {
            key: keys.warmer_status(&status.instance).key,
            value: serde_json::to_vec(status)?.into(),
            ttl,
        },
        Write::SetFields {
            key: index.clone(),
            fields: vec![(status.instance.clone(), Bytes::from(status.now.to_string()))],
        },
    ];
    if !gone.is_empty() {
        writes.push(Write::DeleteFields { key: index.clone(), fields: gone });
    }
    writes.push(Write::Expire { key: index, ttl: ttl * 10 });
    Ok(writes)
}

/// A warmer that stops tells nothing any more.
#[must_use]
pub fn withdraw(keys: &Keys, instance: &str) -> Vec<Write> {
    vec![
        Write::Delete { key: keys.warmer_status(instance).key },
        Write::DeleteFields { key: keys.warmers(), fields: vec![instance.to_owned()] },
    ]
}
