//! The levels, typed: what is read and written where, and what makes stored bytes a miss.

mod answers;
mod cells;
mod directory;
mod inspect;
mod store_cells;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{Cache, Fence, Ttl, Write};
use crate::entry::{self, Damage, EncodeError, EntryKind, Expected, Header};
use crate::keys::{Keys, Slot};
use crate::model::{DataVersion, Day};

pub use answers::{Confirmed, Stored, StoredAnswer, StoredAt};
pub use cells::VersionedDay;
pub use inspect::{Content, Inspected};
pub use store_cells::StoreCells;
pub use upkeep::{Pause, Paused, Renewal};

/// Default limit of an inflated payload: 64 MiB.
pub const DEFAULT_MAX_INFLATED: u64 = 64 << 20;

/// Reads and writes typed entries.
#[derive(Clone, Debug)]
pub struct Levels {
    cache: Cache,
    keys: Keys,
    rules: u64,
    ttl: Ttl,
    max_inflated: u64,
    damages: Arc<[AtomicU64; Damage::ALL.len()]>,
}

/// What the writer of an entry knows of it.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Now, milliseconds since 1970.
    pub now: i64,
    /// Last data day of what it was made of.
    pub as_of: Option<Day>,
    /// Version of the data it was made of.
    pub version: DataVersion,
}

impl Levels {
    /// Levels in a cache, for one set of rule settings (by fingerprint).
    #[must_use]
    pub fn new(cache: Cache, keys: Keys, rules: u64, ttl: Ttl, max_inflated: u64) -> Self {
        Self { cache, keys, rules, ttl, max_inflated, damages: Arc::default() }
    }

    /// The same levels, written only while the fence names this writer.
    #[must_use]
    pub fn fenced(&self, fence: Fence) -> Self {
        Self { cache: self.cache.fenced(fence), ..self.clone() }
    }

    /// The cache underneath.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The expiries.
    #[must_use]
    pub fn ttl(&self) -> &Ttl {
        &self.ttl
    }

    /// Limit of an inflated payload in bytes.
    #[must_use]
    pub fn max_inflated(&self) -> u64 {
        self.max_inflated
    }

    /// Fingerprint of the rule settings.
    #[must_use]
    pub fn rules(&self) -> u64 {
        self.rules
    }

    /// How many stored entries were a miss because of each kind of damage.
    pub fn damages(&self) -> impl Iterator<Item = (Damage, u64)> + '_ {
        Damage::ALL
            .iter()
            .zip(self.damages.iter())
            .map(|(damage, count)| (*damage, count.load(Ordering::Relaxed)))
    }

    fn decode<T: DeserializeOwned>(
        &self,
        kind: EntryKind,
        question: &str,
        bytes: &[u8],
    ) -> Option<(Header, T)> {
        match entry::decode(bytes, &self.expected(kind, question)) {
            Ok(read) => Some(read),
            Err(damage) => {
                self.count(damage, question);
                None
            }
        }
    }

    fn expected<'a>(&self, kind: EntryKind, question: &'a str) -> Expected<'a> {
        Expected { kind, question, rules: self.rules, max_inflated: self.max_inflated }
    }

    fn count(&self, damage: Damage, question: &str) {
        let at = Damage::ALL.iter().position(|kind| *kind == damage).unwrap_or(0);
        self.damages[at].fetch_add(1, Ordering::Relaxed);
        tracing::debug!(damage = damage.as_str(), question, "a stored entry cannot be used");
    }

    fn encode(
        &self,
        kind: EntryKind,
        question: String,
        stamp: &Stamp,
        payload: &[u8],
    ) -> Result<Bytes, EncodeError> {
        entry::encode(kind, self.header(kind, question, stamp), payload).map(Bytes::from)
    }

    fn header(&self, kind: EntryKind, question: String, stamp: &Stamp) -> Header {
        let soft = i64::try_from(self.ttl.soft(kind).as_millis()).unwrap_or(i64::MAX);
        Header {
            question,
            rules: self.rules,
            computed_at: stamp.now,
            as_of: stamp.as_of,
            data_version: stamp.version,
            soft_expiry: stamp.now.saturating_add(soft),
        }
    }

    fn set(&self, kind: EntryKind, slot: Slot, value: Bytes) -> Write {
        let ttl = self.ttl.hard(kind, &slot.key);
        Write::Set { key: slot.key, value, ttl }
    }
}
