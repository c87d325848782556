//! The near cache: what this gateway keeps in its own memory, kept right by being told what changes.
//!
//! - [`Near`]: responses as they are sent, and which response a request came to; decoded cells and partials. Each of the two
//!   has half of the bytes (`room`): one question about all stores reads more cells than there is room for, and would
//!   drive out every response.
//! - `pieces`: its decoded cells and partials.
//! - `epochs`: what changed when, so that nothing is kept or used that was read before a change.
//! - `tracking`: what [`shared::cache::Cache::watch`] tells becomes epochs, and the directory is read again.

mod counters;
mod entries;
mod epochs;
mod pieces;
mod room;
mod tracking;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use shared::access_log::Outcome;
use shared::access_log::request_line::WrittenQuestion;
use shared::config::NearSettings;
use shared::keys::Keys;
use shared::runtime::now_ms;
use tokio::sync::Notify;

use crate::represent::Represented;
pub(crate) use counters::Count;
pub use counters::Counters;
use entries::{Entry, KeptResponse, Key, Memo};
use epochs::Epochs;
pub(crate) use epochs::{Epoch, Watched};
pub(crate) use pieces::ReadIn;
use room::Room;

/// A response that is past its soft expiry when it is filled is sent from near for so long: while nothing newer is to be
/// had, not every request looks for it.
const STALE_MS: i64 = 1_000;
/// What was read from the source is kept for so long: nobody may be there to tell of its changes.
const SOURCE_MS: i64 = 10_000;
/// How long an answer from the source is kept while changes are not told, since Redis is down: one read of it for the many
/// who ask within a second.
const ALONE_MS: i64 = 1_000;
/// A response that is asked for by the text of its request is looked up itself in the milliseconds in which these bits are 0.
const TOUCHED: i64 = 7;
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
    /// Responses, and which of them requests came to.
    responses: Room,
    /// Cells and partials.
    pieces: Room,
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
    /// An empty one. Before changes are told, it keeps what came from the source for a moment, and nothing else.
    #[must_use]
    pub fn new(settings: &NearSettings, keys: Keys) -> Self {
        let counters = Arc::new(Counters::default());
        let room = || Room::new(settings.bytes / 2, settings.max_age, &counters);
        let (responses, pieces) = (room(), room());
        let inner = Inner {
            enabled: settings.enabled,
            keys,
            responses,
            pieces,
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
        let (responses, pieces) = (self.inner.responses.size(), self.inner.pieces.size());
        (responses.0 + pieces.0, responses.1 + pieces.1)
    }

    /// Whether it is on and changes are told: else only what comes from the source is kept, for a moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.inner.connected.load(Ordering::SeqCst)
    }

    /// The epoch in which something is read; `None` if nothing is kept near at all.
    pub(crate) fn begin(&self) -> Option<Epoch> {
        self.inner.enabled.then(|| self.inner.epochs.now())
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

    /// The response that a request came to before, by what of the request decides; with what was asked, as the access log
    /// has it.
    pub(crate) fn of_request(
        &self,
        request: &[u8],
        now: i64,
    ) -> Option<(Arc<Represented>, Option<WrittenQuestion>)> {
        if !self.inner.enabled {
            return None;
        }
        let Some(Entry::Memo(memo)) = self.inner.responses.get(Key::of(MEMO, request), now) else {
            return None;
        };
        if *memo.request != *request {
            return None;
        }
        let represented = memo.represented.upgrade()?;
        if now & TOUCHED == 0 {
            // So that it counts as asked for, too: a look at each request would cost more than it tells.
            drop(self.inner.responses.get(memo.key, now));
        }
        // A request is counted once: where it is not usable, when its question is looked for.
        let right = now < memo.until && self.inner.epochs.is_right(&memo.watched, memo.epoch);
        right.then(|| {
            self.inner.counters.add(Count::hits, 1);
            (represented, memo.question.clone())
        })
    }

    /// The response of a question in one representation.
    pub(crate) fn response(&self, identity: &[u8], now: i64) -> Option<Arc<Represented>> {
        let found = self.peek(identity, now);
        if found.is_none() {
            self.inner.counters.add(Count::misses, 1);
        }
        found
    }

    /// As [`Self::response`], where a miss was counted already.
    pub(crate) fn peek(&self, identity: &[u8], now: i64) -> Option<Arc<Represented>> {
        let counters = &self.inner.counters;
        let kept = self.kept(identity, now)?;
        if !self.inner.epochs.is_right(&kept.watched, kept.epoch) {
            counters.add(Count::outdated, 1);
            return None;
        }
        if now >= kept.until {
            counters.add(Count::expired, 1);
            return None;
        }
        counters.add(Count::hits, 1);
        Some(Arc::clone(&kept.represented))
    }

    fn kept(&self, identity: &[u8], now: i64) -> Option<Arc<KeptResponse>> {
        if !self.inner.enabled {
            return None;
        }
        match self.inner.responses.get(Key::of(RESPONSE, identity), now) {
            Some(Entry::Response(kept)) if *kept.represented.identity() == *identity => Some(kept),
            _ => None,
        }
    }

    /// Remembers which response a request came to that began in `epoch`, and what it asked, as the access log has it.
    pub(crate) fn remember(
        &self,
        request: &[u8],
        question: Option<WrittenQuestion>,
        represented: &Arc<Represented>,
        epoch: Option<Epoch>,
    ) {
        let Some(epoch) = epoch else { return };
        let identity = represented.identity();
        let Some(kept) = self.kept(identity, now_ms()) else { return };
        if Arc::ptr_eq(&kept.represented, represented) {
            let memo = Memo {
                request: request.into(),
                question,
                represented: Arc::downgrade(represented),
                key: Key::of(RESPONSE, identity),
                watched: kept.watched.clone(),
                until: kept.until,
                epoch: epoch.min(kept.epoch),
            };
            self.inner.responses.keep(Key::of(MEMO, request), Entry::Memo(Arc::new(memo)));
        }
    }

    /// Keeps a response that was made of what was read since `epoch`.
    pub(crate) fn keep_response(
        &self,
        represented: &Arc<Represented>,
        watched: &Watched,
        epoch: Option<Epoch>,
        now: i64,
    ) {
        let told = self.is_connected();
        // Nobody tells of changes, and it was not Redis that was read: good for a moment, which spares the source.
        let alone = !told && represented.outcome == Outcome::Source;
        let Some(epoch) = epoch.filter(|_| told || alone) else { return };
        let Some(epoch) = self.may_keep(epoch, watched) else { return };
        let soft = i64::try_from(represented.soft.as_millis()).unwrap_or(i64::MAX);
        let fresh_until = represented.confirmed_at.saturating_add(soft);
        let mut until = if fresh_until > now { fresh_until } else { now.saturating_add(STALE_MS) };
        if represented.outcome == Outcome::Source {
            until = until.min(now.saturating_add(if alone { ALONE_MS } else { SOURCE_MS }));
        }
        until = until.min(now.saturating_add(self.inner.responses.max_age_ms()));
        let key = Key::of(RESPONSE, represented.identity());
        let (represented, watched) = (Arc::clone(represented), watched.clone());
        let kept = KeptResponse { represented, watched, epoch, until };
        self.inner.responses.keep(key, Entry::Response(Arc::new(kept)));
    }

    /// Whether what was read since `epoch` may be kept.
    fn may_keep(&self, epoch: Epoch, watched: &Watched) -> Option<Epoch> {
        if self.inner.epochs.is_right(watched, epoch) {
            return Some(epoch);
        }
        self.inner.counters.add(Count::fills_thrown_away, 1);
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use shared::cache::Change;
    use shared::cells::DayCell;
    use shared::config::Settings;
    use shared::model::{DataVersion, Day};

    #[test]
    fn more_cells_than_fit_drive_out_no_response() {
        let mut settings = Settings::load(&[], &|_| None).unwrap().near;
        settings.bytes = 1 << 20;
        let near = Near::new(&settings, Keys::default());
        near.told(Change::Connected);
        let epoch = near.begin();
        let kept = keep(&near, b"/v1/stores");
        let (cell, read) = (Arc::new(DayCell::default()), ReadIn { epoch, source_at: None });
        for day in 0..20_000 {
            near.keep_day_cell(("1001", Day(day)), DataVersion::default(), &cell, read);
        }
        let (bytes, entries) = near.size();
        assert!(bytes <= settings.bytes && entries < 10_000, "{bytes} bytes, {entries} entries");
        assert!(near.counters().dropped_for_room() > 10_000);
        assert!(Arc::ptr_eq(&near.of_request(b"/v1/stores", now_ms()).unwrap().0, &kept));
    }

    #[test]
    fn what_a_request_came_to_is_gone_with_its_response() {
        let settings = Settings::load(&[], &|_| None).unwrap().near;
        let near = Near::new(&settings, Keys::default());
        near.told(Change::Connected);
        let (kept, now) = (keep(&near, b"a"), now_ms());
        // As often as is needed for it to be touched, and a little longer than it may be used.
        assert!((0..16).all(|at| near.of_request(b"a", now + at).is_some()));
        assert!(near.of_request(b"a", now + 600_000).is_none());
        assert!(near.of_request(b"b", now).is_none());
        near.inner.responses.remove(Key::of(RESPONSE, kept.identity()));
        drop(kept);
        assert!(near.of_request(b"a", now).is_none());
    }

    #[test]
    fn while_changes_are_not_told_only_the_source_is_kept_and_for_a_moment() {
        let settings = Settings::load(&[], &|_| None).unwrap().near;
        let near = Near::new(&settings, Keys::default());
        near.told(Change::Connected);
        keep(&near, b"told");
        near.told(Change::Disconnected);
        assert!(near.of_request(b"told", now_ms()).is_none());
        keep(&near, b"cached");
        assert!(near.of_request(b"cached", now_ms()).is_none());
        keep_from(&near, b"source", Outcome::Source);
        let now = now_ms();
        assert!(near.of_request(b"source", now).is_some());
        assert!(near.of_request(b"source", now + ALONE_MS).is_none());
        near.told(Change::Connected);
        assert!(near.of_request(b"source", now).is_none());
    }

    /// Keeps a response under a request, fresh for ten minutes.
    fn keep(near: &Near, request: &[u8]) -> Arc<Represented> {
        keep_from(near, request, Outcome::L3)
    }

    fn keep_from(near: &Near, request: &[u8], outcome: Outcome) -> Arc<Represented> {
        let (epoch, now) = (near.begin(), now_ms());
        let mut represented = crate::represent::tests::represented(now);
        represented.outcome = outcome;
        let represented = Arc::new(represented);
        near.keep_response(&represented, &near.watched(&[], false, "q"), epoch, now);
        near.remember(request, None, &represented, epoch);
        represented
    }
}
