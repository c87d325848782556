//! What keeps entries alive, and what operators tell the warmer through Redis.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::cache::{Patience, Read, Write};
use crate::entry::{self, EncodeError, EntryKind};
use crate::model::{Day, DayRange};

use super::Levels;

/// Why warming is paused. Stored as JSON, so that people can read it with any client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who paused it: `user@host`.
    pub by: String,
    /// Since when, milliseconds since 1970.
    pub since: i64,
    /// Until when; `None` = until it is resumed.
    #[serde(default)]
    pub until: Option<i64>,
    /// Why, as the operator said.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Whether warming is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paused {
    /// It is not.
    No,
    /// It is.
    Yes(Pause),
    /// It is, by something that did not say who and why: the stored text.
    Unexplained(String),
}

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
        self.read_paused().await.map(|paused| paused != Paused::No)
    }

    /// Whether an operator paused warming, and why; `None` if the cache does not say.
    pub async fn read_paused(&self) -> Option<Paused> {
        match self.cache().read(&[self.keys().paused()], Patience::Bulk).await.pop() {
            Some(Read::Hit(bytes)) => Some(serde_json::from_slice(&bytes).map_or_else(
                |_| Paused::Unexplained(String::from_utf8_lossy(&bytes).into_owned()),
                Paused::Yes,
            )),
            Some(Read::Miss) => Some(Paused::No),
            Some(Read::Unavailable) | None => None,
        }
    }

    /// Pauses warming, until its end if it has one.
    ///
    /// # Errors
    /// If it cannot be written as JSON; none can.
    pub fn write_pause(&self, pause: &Pause) -> Result<Write, EncodeError> {
        let (key, value) = (self.keys().paused().key, Bytes::from(entry::json(pause)?));
        Ok(match pause.until {
            None => Write::Keep { key, value },
            Some(until) => {
                let left = u64::try_from(until.saturating_sub(pause.since)).unwrap_or(0);
                Write::Set { key, value, ttl: Duration::from_millis(left) }
            }
        })
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
