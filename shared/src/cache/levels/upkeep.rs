//! What keeps entries alive, and what operators tell the warmer through Redis.

use std::collections::BTreeSet;

use crate::cache::{Patience, Write};
use crate::entry::EntryKind;
use crate::model::{Day, DayRange};

use super::Levels;

/// Entries of a store that expire on their own, beside its cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    /// Ranges of partials.
    pub partials: Vec<DayRange>,
    /// Days of order lines.
    pub orders: Vec<Day>,
}

impl Levels {
    /// Puts off the hard expiry of a store's entries.
    #[must_use]
    pub fn renew_store(&self, store_id: &str, renewal: &Renewal) -> Vec<Write> {
        let (keys, ttl) = (self.keys(), self.ttl());
        let expire = |key: String, kind| Write::Expire { ttl: ttl.hard(kind, &key), key };
        let cells = [
            expire(keys.day_cells(store_id), EntryKind::DayCell),
            expire(keys.product_cells(store_id), EntryKind::ProductCell),
        ];
        let partials = renewal.partials.iter().map(|range| keys.partial(store_id, *range).key);
        let orders = renewal.orders.iter().map(|day| keys.orders(store_id, *day).key);
        cells
            .into_iter()
            .chain(partials.map(|key| expire(key, EntryKind::Partial)))
            .chain(orders.map(|key| expire(key, EntryKind::Orders)))
            .collect()
    }

    /// Puts off the hard expiry of ready responses, by key.
    #[must_use]
    pub fn renew_ready(&self, responses: &BTreeSet<String>) -> Vec<Write> {
        let ttl = self.ttl();
        let expire = |key: &String| Write::Expire { ttl: ttl.hard(EntryKind::Hot, key), key: key.clone() };
        responses.iter().map(expire).collect()
    }

    /// Puts off the hard expiry of whole documents, by key, and of the directory.
    #[must_use]
    pub fn renew_answers(&self, answers: &BTreeSet<String>) -> Vec<Write> {
        let ttl = self.ttl();
        let expire = |key: &String, kind| Write::Expire { ttl: ttl.hard(kind, key), key: key.clone() };
        let answers = answers.iter().map(|key| expire(key, EntryKind::Answer));
        answers.chain([expire(&self.keys().directory(), EntryKind::Store)]).collect()
    }

    /// Whether an operator paused warming; `None` if the cache does not say.
    pub async fn is_paused(&self) -> Option<bool> {
        match self.cache().read(&[self.keys().paused()], Patience::Bulk).await.pop() {
            Some(crate::cache::Read::Hit(_)) => Some(true),
            Some(crate::cache::Read::Miss) => Some(false),
            Some(crate::cache::Read::Unavailable) | None => None,
        }
    }

    /// Takes up to `count` requests that operators made; none if the cache does not answer.
    pub async fn take_requests(&self, count: usize) -> Vec<String> {
        match self.cache().pop(&self.keys().requests(), count).await {
            Ok(requests) => requests,
            Err(error) => {
                tracing::debug!(error = %error, "requests could not be read");
                Vec::new()
            }
        }
    }
}
