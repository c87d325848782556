//! The near cache: what this gateway keeps in its own memory, kept right by being told what changes.
//!
//! - [`Near`]: responses as they are sent, decoded cells and partials, and which response a request came to, all in one
//!   bounded cache. moka: its TinyLFU keeps what is asked for most, it weighs entries, forgets them by age, and a look
//!   takes no lock that a writer holds long.
//! - `pieces`: its decoded cells and partials.
//! - `epochs`: what changed when, so that nothing is kept or used that was read before a change.
//! - `tracking`: what [`shared::cache::Cache::watch`] tells becomes epochs, and the directory is read again.

mod counters;
mod entries;
mod epochs;
mod pieces;
mod tracking;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use moka::notification::RemovalCause;
use moka::sync::Cache;
use shared::access_log::Outcome;
use shared::config::NearSettings;
use shared::keys::Keys;
use tokio::sync::Notify;

use crate::represent::Represented;
pub(crate) use counters::Count;
pub use counters::Counters;
use entries::{Entry, KeptResponse, Key, Memo, Weighed};
use epochs::Epochs;
pub(crate) use epochs::{Epoch, Watched};
pub(crate) use pieces::ReadIn;

/// A response that is past its soft expiry when it is filled is sent from near for so long: while nothing newer is to be
/// had, not every request looks for it.
const STALE_MS: i64 = 1_000;
/// What was read from the source is kept for so long: nobody may be there to tell of its changes.
const SOURCE_MS: i64 = 10_000;
/// Writes that wait in the cache's queue may exceed its bound by this part of it.
const PENDING_PART: u64 = 16;

const RESPONSE: u8 = 0;
const MEMO: u8 = 1;

/// The near cache. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Near {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    enabled: bool,
    keys: Keys,
    entries: Cache<Key, Weighed>,
    max_bytes: u64,
    /// Bytes written since the bound was last enforced.
    pending: AtomicU64,
    epochs: Epochs,
    /// Whether changes are told.
    connected: AtomicBool,
    /// Counts connections, so that what was read under an earlier one is told apart.
    session: AtomicU64,
    /// Wakes whoever reads the directory again.
    directory: Notify,
    counters: Arc<Counters>,
}

impl Near {
    /// An empty one, of which nothing is used before changes are told.
    #[must_use]
    pub fn new(settings: &NearSettings, keys: Keys) -> Self {
        let counters = Arc::new(Counters::default());
        let counted = Arc::clone(&counters);
        let entries = Cache::builder()
            .max_capacity(settings.bytes)
            .weigher(|_: &Key, weighed: &Weighed| weighed.size)
            .time_to_live(settings.max_age)
            .eviction_listener(move |_, _, cause| match cause {
                RemovalCause::Size => counted.add(Count::dropped_for_room, 1),
                RemovalCause::Expired => counted.add(Count::dropped_for_age, 1),
                RemovalCause::Explicit | RemovalCause::Replaced => {}
            })
            .build();
        let inner = Inner {
            enabled: settings.enabled,
            keys,
            entries,
            max_bytes: settings.bytes,
            pending: AtomicU64::default(),
            epochs: Epochs::default(),
            connected: AtomicBool::default(),
            session: AtomicU64::default(),
            directory: Notify::new(),
            counters,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What it did.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.inner.counters
    }

    /// Bytes and number of what is kept now.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        self.inner.entries.run_pending_tasks();
        (self.inner.entries.weighted_size(), self.inner.entries.entry_count())
    }

    /// Whether it is on and changes are told: else nothing is used or kept.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.inner.connected.load(Ordering::SeqCst)
    }

    /// Begins a fill: to be called before anything is read. `None` if nothing is kept now.
    pub(crate) fn begin(&self) -> Option<Epoch> {
        self.is_connected().then(|| self.inner.epochs.now())
    }

    /// Which connection tells of changes now, if one does.
    pub(crate) fn session(&self) -> Option<u64> {
        self.is_connected().then(|| self.inner.session.load(Ordering::SeqCst))
    }

    /// What an answer is made of: data of stores, and documents of a question.
    pub(crate) fn watched(&self, stores: &[String], all_stores: bool, question: &str) -> Watched {
        let keys = &self.inner.keys;
        let of_stores = stores.iter().filter(|_| !all_stores).map(|store| keys.store_version(store));
        Watched::new(of_stores.chain([keys.answer_version(question)]), all_stores)
    }

    /// When anything of it last changed: those who ask before and after a change differ in it.
    pub(crate) fn last_change(&self, watched: &Watched) -> Epoch {
        self.inner.epochs.last_change(watched)
    }

    /// When the data of a store last changed.
    pub(crate) fn last_store_change(&self, store_id: &str) -> Epoch {
        self.last_change(&self.of_store(store_id))
    }

    fn of_store(&self, store_id: &str) -> Watched {
        Watched::new([self.inner.keys.store_version(store_id)], false)
    }

    fn entry(&self, key: Key) -> Option<Entry> {
        self.inner.entries.get(&key).map(|weighed| weighed.entry)
    }

    /// The response that a request came to before, by what of the request decides.
    pub(crate) fn of_request(&self, request: &[u8], now: i64) -> Option<Arc<Represented>> {
        if !self.is_connected() {
            return None;
        }
        let Some(Entry::Memo(memo)) = self.entry(Key::of(MEMO, request)) else { return None };
        if *memo.request != *request {
            return None;
        }
        self.usable(memo.response, &memo.identity, Some(memo.epoch), now)
    }

    /// The response of a question in one representation.
    pub(crate) fn response(&self, identity: &[u8], now: i64) -> Option<Arc<Represented>> {
        let found = self.usable(Key::of(RESPONSE, identity), identity, None, now);
        if found.is_none() {
            self.inner.counters.add(Count::misses, 1);
        }
        found
    }

    fn usable(&self, key: Key, identity: &[u8], noted: Option<Epoch>, now: i64) -> Option<Arc<Represented>> {
        let counters = &self.inner.counters;
        if !self.is_connected() {
            return None;
        }
        let Some(Entry::Response(kept)) = self.entry(key) else { return None };
        if *kept.represented.identity != *identity {
            return None;
        }
        let epoch = noted.map_or(kept.epoch, |noted| noted.min(kept.epoch));
        if !self.inner.epochs.is_right(&kept.watched, epoch) {
            // A request is counted once: when its question is looked for.
            counters.add(Count::outdated, u64::from(noted.is_none()));
            return None;
        }
        if now >= kept.until {
            counters.add(Count::expired, u64::from(noted.is_none()));
            return None;
        }
        counters.add(Count::hits, 1);
        Some(Arc::clone(&kept.represented))
    }

    /// Remembers which response a request came to that began in `epoch`.
    pub(crate) fn remember(&self, request: &[u8], represented: &Represented, epoch: Option<Epoch>) {
        let Some(epoch) = epoch else { return };
        let identity = Arc::clone(&represented.identity);
        let response = Key::of(RESPONSE, &identity);
        let memo = Memo { request: request.into(), identity, response, epoch };
        self.keep(Key::of(MEMO, request), Entry::Memo(Arc::new(memo)));
    }

    /// Keeps a response that was made of what was read since `epoch`.
    pub(crate) fn keep_response(
        &self,
        represented: &Arc<Represented>,
        watched: Watched,
        epoch: Option<Epoch>,
        now: i64,
    ) {
        let Some(epoch) = self.may_keep(epoch, &watched) else { return };
        let soft = i64::try_from(represented.soft.as_millis()).unwrap_or(i64::MAX);
        let fresh_until = represented.confirmed_at.saturating_add(soft);
        let mut until = if fresh_until > now { fresh_until } else { now.saturating_add(STALE_MS) };
        if represented.outcome == Outcome::Source {
            until = until.min(now.saturating_add(SOURCE_MS));
        }
        let key = Key::of(RESPONSE, &represented.identity);
        let kept = KeptResponse { represented: Arc::clone(represented), watched, epoch, until };
        self.keep(key, Entry::Response(Arc::new(kept)));
    }

    /// Whether what was read since `epoch` may be kept.
    fn may_keep(&self, epoch: Option<Epoch>, watched: &Watched) -> Option<Epoch> {
        let epoch = epoch.filter(|_| self.is_connected())?;
        if self.inner.epochs.is_right(watched, epoch) {
            return Some(epoch);
        }
        self.inner.counters.add(Count::fills_thrown_away, 1);
        None
    }

    fn keep(&self, key: Key, entry: Entry) {
        let Inner { entries, max_bytes, pending, counters, .. } = &*self.inner;
        let most_pending = max_bytes / PENDING_PART;
        let Some(weight) = u32::try_from(entry.size()).ok().filter(|size| u64::from(*size) <= most_pending)
        else {
            counters.add(Count::fills_refused, 1);
            return;
        };
        let size = u64::from(weight);
        if !matches!(entry, Entry::Memo(_)) {
            counters.add(Count::fills, 1);
        }
        entries.insert(key, Weighed { size: weight, entry });
        // The cache enforces its bound now and then; with large entries that would be too late.
        if pending.fetch_add(size, Ordering::Relaxed) + size > most_pending {
            pending.store(0, Ordering::Relaxed);
            entries.run_pending_tasks();
        }
    }
}
