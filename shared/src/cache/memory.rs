//! The cache in this process's memory, bounded in bytes: for `standalone`, and for tests of everything above it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use moka::Expiry;
use moka::sync::Cache as Moka;

use super::watch::Watchers;
use super::{Memory, Outline, Probe, Read, Told, Write};
use crate::keys::Slot;

/// Entries by slot, least valuable out first.
#[derive(Clone, Debug)]
pub struct MemoryCache {
    entries: Moka<Slot, Stored>,
    /// Fields of each hash. Its lock makes a transaction one step for readers.
    fields: Arc<RwLock<HashMap<String, BTreeSet<String>>>>,
    watchers: Watchers,
}

#[derive(Clone, Debug)]
struct Stored {
    value: Bytes,
    ttl: Option<Duration>,
}

struct ByStored;

impl Expiry<Slot, Stored> for ByStored {
    fn expire_after_create(&self, _: &Slot, stored: &Stored, _: Instant) -> Option<Duration> {
        stored.ttl
    }
    fn expire_after_update(
        &self,
        _: &Slot,
        stored: &Stored,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        stored.ttl
    }
}

impl MemoryCache {
    /// A cache of at most `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        let weigh = |slot: &Slot, stored: &Stored| {
            let bytes = slot.key.len() + slot.field.as_ref().map_or(0, String::len) + stored.value.len() + 64;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let entries = Moka::builder().max_capacity(max_bytes).weigher(weigh).expire_after(ByStored).build();
        Self { entries, fields: Arc::default(), watchers: Watchers::default() }
    }

    pub(super) fn read(&self, slots: &[Slot]) -> Vec<Read<Bytes>> {
        let _whole = self.fields.read().unwrap_or_else(PoisonError::into_inner);
        slots
            .iter()
            .map(|slot| self.entries.get(slot).map_or(Read::Miss, |stored| Read::Hit(stored.value)))
            .collect()
    }

    pub(super) fn read_hash(&self, key: &str) -> Read<Vec<(String, Bytes)>> {
        let fields = self.fields.read().unwrap_or_else(PoisonError::into_inner);
        let Some(names) = fields.get(key) else { return Read::Miss };
        let read = |name: &String| {
            let stored = self.entries.get(&Slot { key: key.to_owned(), field: Some(name.clone()) })?;
            Some((name.clone(), stored.value))
        };
        let found: Vec<(String, Bytes)> = names.iter().filter_map(read).collect();
        // As in Redis, a hash without fields is none.
        if found.is_empty() { Read::Miss } else { Read::Hit(found) }
    }

    pub(super) fn probe(&self, probes: &[Probe]) -> Vec<u64> {
        let fields = self.fields.read().unwrap_or_else(PoisonError::into_inner);
        let has = |key: &str, field: Option<String>| {
            self.entries.contains_key(&Slot { key: key.to_owned(), field })
        };
        let count = |probe: &Probe| match probe {
            Probe::Hash(key) => fields.get(key).map_or(0, |names| {
                names.iter().filter(|name| has(key, Some((*name).clone()))).count() as u64
            }),
            Probe::Key(key) => u64::from(has(key, None)),
        };
        probes.iter().map(count).collect()
    }

    pub(super) fn scan(&self, prefix: &str, limit: usize) -> Vec<String> {
        let keys = self.entries.iter().map(|(slot, _)| slot.key.clone());
        let found: BTreeSet<String> = keys.filter(|key| key.starts_with(prefix)).collect();
        found.into_iter().take(limit).collect()
    }

    pub(super) fn outlines(&self, keys: &[String]) -> Vec<Option<Outline>> {
        let outline = |key: &String| {
            let stored = self.entries.get(&Slot { key: key.clone(), field: None })?;
            Some(Outline { bytes: stored.value.len() as u64, ttl: None, head: stored.value })
        };
        keys.iter().map(outline).collect()
    }

    pub(super) fn field_names(&self, keys: &[String]) -> Vec<Vec<String>> {
        let names = |key: &String| {
            let fields = self.read_hash(key).hit().unwrap_or_default();
            fields.into_iter().map(|(name, _)| name).collect()
        };
        keys.iter().map(names).collect()
    }

    pub(super) fn field_lengths(&self, fields: &[(String, String)]) -> Vec<u64> {
        let length = |(key, field): &(String, String)| {
            let slot = Slot { key: key.clone(), field: Some(field.clone()) };
            self.entries.get(&slot).map_or(0, |stored| stored.value.len() as u64)
        };
        fields.iter().map(length).collect()
    }

    pub(super) fn memory(&self) -> Memory {
        self.entries.run_pending_tasks();
        Memory {
            used: self.entries.weighted_size(),
            limit: self.entries.policy().max_capacity(),
            policy: "tiny-lfu".to_owned(),
            evicted: 0,
        }
    }

    pub(super) async fn watch(&self, prefix: &str, told: Told) -> std::convert::Infallible {
        let _watching = self.watchers.watch(prefix, told);
        std::future::pending().await
    }

    pub(super) fn transact(&self, writes: Vec<Write>) {
        let mut fields = self.fields.write().unwrap_or_else(PoisonError::into_inner);
        self.watchers.tell(&writes);
        for write in writes {
            match write {
                Write::Set { key, value, ttl } => {
                    self.entries.insert(Slot { key, field: None }, Stored { value, ttl: Some(ttl) });
                }
                Write::Keep { key, value } => {
                    self.entries.insert(Slot { key, field: None }, Stored { value, ttl: None });
                }
                Write::SetFields { key, fields: values } => {
                    let names = fields.entry(key.clone()).or_default();
                    for (name, value) in values {
                        names.insert(name.clone());
                        self.entries.insert(
                            Slot { key: key.clone(), field: Some(name) },
                            Stored { value, ttl: None },
                        );
                    }
                }
                Write::DeleteFields { key, fields: gone } => {
                    for name in gone {
                        if let Some(names) = fields.get_mut(&key) {
                            names.remove(&name);
                        }
                        self.entries.invalidate(&Slot { key: key.clone(), field: Some(name) });
                    }
                }
                Write::Delete { key } => {
                    for name in fields.remove(&key).unwrap_or_default() {
                        self.entries.invalidate(&Slot { key: key.clone(), field: Some(name) });
                    }
                    self.entries.invalidate(&Slot { key, field: None });
                }
                // Hashes stay until they are replaced: memory has one process's life, and a bound in bytes. Lists
                // carry requests to another process; one process needs none.
                Write::Expire { .. } | Write::Push { .. } => {}
                Write::Bump { key } => {
                    let slot = Slot { key, field: None };
                    let count = self.entries.get(&slot).and_then(|stored| {
                        std::str::from_utf8(&stored.value).ok().and_then(|text| text.parse::<u64>().ok())
                    });
                    let next = Bytes::from((count.unwrap_or(0) + 1).to_string());
                    self.entries.insert(slot, Stored { value: next, ttl: None });
                }
            }
        }
    }
}
