//! A part of the near cache with its own bound. quick_cache: what is asked for more than once stays longest, entries are
//! weighed, no entry is ever over the bound, and a look costs a read lock of one of many parts and no bookkeeping.

use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};
use shared::runtime::now_ms;

use super::entries::{Entry, Kept, Key};
use super::{Count, Counters};

/// Independent parts of a room, so that threads seldom wait for each other.
const PARTS: usize = 16;
/// Bytes of an entry, about.
const USUAL_BYTES: u64 = 1 << 10;

#[derive(Clone, Debug)]
struct Weigher;

impl Weighter<Key, Kept> for Weigher {
    fn weight(&self, _: &Key, kept: &Kept) -> u64 {
        u64::from(kept.size)
    }
}

/// Counts what had to go.
#[derive(Clone, Debug)]
struct Evicted(Arc<Counters>);

impl Lifecycle<Key, Kept> for Evicted {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Key, _: Kept) {
        self.0.add(Count::dropped_for_room, 1);
    }
}

#[derive(Debug)]
pub(super) struct Room {
    entries: Cache<Key, Kept, Weigher, RandomState, Evicted>,
    max_age_ms: i64,
    counters: Arc<Counters>,
}

impl Room {
    pub(super) fn new(max_bytes: u64, max_age: Duration, counters: &Arc<Counters>) -> Self {
        let usual = usize::try_from(max_bytes / USUAL_BYTES).unwrap_or(usize::MAX).max(1);
        let options = OptionsBuilder::new()
            .shards(PARTS)
            .estimated_items_capacity(usual)
            .weight_capacity(max_bytes)
            .build();
        let (hasher, evicted) = (RandomState::default(), Evicted(Arc::clone(counters)));
        let entries = match options {
            Ok(options) => Cache::with_options(options, Weigher, hasher, evicted),
            // Not with what is given above; it would only have another number of parts.
            Err(_) => Cache::with(usual, max_bytes, Weigher, hasher, evicted),
        };
        let max_age_ms = i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX);
        Self { entries, max_age_ms, counters: Arc::clone(counters) }
    }

    /// What is kept under a key, unless it is too old at `now`, milliseconds since 1970.
    pub(super) fn get(&self, key: Key, now: i64) -> Option<Entry> {
        let kept = self.entries.get(&key)?;
        if now < kept.until {
            return Some(kept.entry);
        }
        if self.entries.remove_if(&key, |kept| now >= kept.until).is_some() {
            self.counters.add(Count::dropped_for_age, 1);
        }
        None
    }

    pub(super) fn keep(&self, key: Key, entry: Entry) {
        let Some(size) =
            u32::try_from(entry.size()).ok().filter(|size| u64::from(*size) <= self.entries.shard_capacity())
        else {
            self.counters.add(Count::fills_refused, 1);
            return;
        };
        if !matches!(entry, Entry::Memo(_)) {
            self.counters.add(Count::fills, 1);
        }
        self.entries.insert(key, Kept { size, until: now_ms().saturating_add(self.max_age_ms), entry });
    }

    /// How long entries are kept.
    pub(super) fn max_age_ms(&self) -> i64 {
        self.max_age_ms
    }

    #[cfg(test)]
    pub(super) fn remove(&self, key: Key) {
        self.entries.remove(&key);
    }

    /// Bytes and entries.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.entries.weight(), self.entries.len() as u64)
    }

    pub(super) fn clear(&self) {
        self.entries.clear();
    }
}
