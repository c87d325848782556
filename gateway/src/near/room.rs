//! A part of the near cache with its own bound. moka: its TinyLFU keeps what is asked for most, it weighs entries, forgets
//! them by age, and a look takes no lock that a writer holds long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::notification::RemovalCause;
use moka::sync::Cache;

use super::entries::{Entry, Key, Weighed};
use super::{Count, Counters};

/// Writes that wait in the cache's queue may exceed its bound by this part of it.
const PENDING_PART: u64 = 16;

#[derive(Debug)]
pub(super) struct Room {
    entries: Cache<Key, Weighed>,
    max_bytes: u64,
    /// Bytes written since the bound was last enforced.
    pending: AtomicU64,
    counters: Arc<Counters>,
}

impl Room {
    pub(super) fn new(max_bytes: u64, max_age: Duration, counters: &Arc<Counters>) -> Self {
        let counted = Arc::clone(counters);
        let entries = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_: &Key, weighed: &Weighed| weighed.size)
            .time_to_live(max_age)
            .eviction_listener(move |_, _, cause| match cause {
                RemovalCause::Size => counted.add(Count::dropped_for_room, 1),
                RemovalCause::Expired => counted.add(Count::dropped_for_age, 1),
                RemovalCause::Explicit | RemovalCause::Replaced => {}
            })
            .build();
        Self { entries, max_bytes, pending: AtomicU64::default(), counters: Arc::clone(counters) }
    }

    pub(super) fn get(&self, key: Key) -> Option<Entry> {
        self.entries.get(&key).map(|weighed| weighed.entry)
    }

    pub(super) fn keep(&self, key: Key, entry: Entry) {
        let most_pending = self.max_bytes / PENDING_PART;
        let Some(weight) = u32::try_from(entry.size()).ok().filter(|size| u64::from(*size) <= most_pending)
        else {
            self.counters.add(Count::fills_refused, 1);
            return;
        };
        let size = u64::from(weight);
        if !matches!(entry, Entry::Memo(_)) {
            self.counters.add(Count::fills, 1);
        }
        self.entries.insert(key, Weighed { size: weight, entry });
        // The cache enforces its bound now and then; with large entries that would be too late.
        if self.pending.fetch_add(size, Ordering::Relaxed) + size > most_pending {
            self.pending.store(0, Ordering::Relaxed);
            self.entries.run_pending_tasks();
        }
    }

    /// Bytes and number of what is kept now.
    pub(super) fn size(&self) -> (u64, u64) {
        self.entries.run_pending_tasks();
        (self.entries.weighted_size(), self.entries.entry_count())
    }

    pub(super) fn clear(&self) {
        self.entries.invalidate_all();
    }
}
