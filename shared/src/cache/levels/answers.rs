//! L3 and L4: whole documents, ready responses, and the plan of what of them is kept.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::directory::parse_time;
use super::{Levels, Stamp};
use crate::answers::Data;
use crate::answers::response::{self, Meta, ReadyBody};
use crate::cache::{Patience, Read, Write};
use crate::entry::{self, EncodeError, EntryKind, Header};
use crate::keys::Slot;
use crate::model::{DataVersion, Query};

/// What the plan's entry says it answers.
pub(super) const PLAN: &str = "plan";

/// A whole document as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAnswer {
    /// The document's `data` as JSON text, exact to the last digit.
    pub json: String,
}

impl StoredAnswer {
    /// Of a document.
    ///
    /// # Errors
    /// If it cannot be written as JSON; none of ours.
    pub fn new(data: &Data) -> Result<Self, EncodeError> {
        entry::json(data).map(|json| Self { json })
    }
}

/// What is stored of a question.
#[derive(Clone, Debug)]
pub enum Stored {
    /// Its response, to be sent as it is.
    Ready {
        /// What is known of it.
        header: Header,
        /// The JSON body.
        body: Bytes,
        /// Whether the body is gzip.
        gzip: bool,
    },
    /// The entry of its document, for [`Levels::decode_answer`].
    Answer(Bytes),
}

/// Where the whole document of a question is looked for, and when its data were last confirmed.
#[derive(Clone, Debug)]
pub struct StoredAt {
    /// The question's canonical text.
    text: String,
    /// Its ready response, what tells of confirmations, and its document, in this order: so that either of the two lies
    /// beside the confirmations, and one read of neighbours has both.
    slots: Vec<Slot>,
}

impl StoredAt {
    /// The question's canonical text.
    #[must_use]
    pub fn question(&self) -> &str {
        &self.text
    }

    /// Bytes that it takes beside itself, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let keys = self.slots.iter().map(|slot| slot.key.len() + size_of::<Slot>());
        self.text.len() + keys.sum::<usize>()
    }
}

/// Whose last confirmation is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Confirmed<'a> {
    /// That of the least recently confirmed of these stores.
    Stores(&'a [String]),
    /// That of all stores together.
    Fleet,
}

impl Levels {
    /// Where the whole document of a question is looked for, `text` being its canonical text.
    #[must_use]
    pub fn stored_at(&self, query: &Query, text: &str, confirmed: Confirmed<'_>) -> StoredAt {
        let mut slots = vec![self.keys.hot_of(query.document, text)];
        match confirmed {
            Confirmed::Fleet => slots.push(self.keys.fleet_fresh()),
            Confirmed::Stores(stores) => {
                slots.extend(stores.iter().map(|store| self.keys.store_fresh(store)));
            }
        }
        slots.push(self.keys.answer_of(query, text));
        StoredAt { text: text.to_owned(), slots }
    }

    /// What is stored of a question (a ready response only if `ready` says that one is wanted), and when its data were
    /// last confirmed, milliseconds since 1970: both in one round trip, so ask for few stores. Where no response is ready,
    /// the document is looked for in a second one.
    pub async fn read_stored(&self, at: &StoredAt, ready: bool) -> (Read<Stored>, Option<i64>) {
        let answer_at = at.slots.len() - 1;
        let slots = if ready { &at.slots[..answer_at] } else { &at.slots[1..] };
        let mut reads = self.cache.read(slots, Patience::Small).await;
        let (hot, answer) = if ready { (Some(reads.remove(0)), None) } else { (None, reads.pop()) };
        let times = reads.into_iter().map(|read| parse_time(&read.hit()?));
        let confirmed = times.collect::<Option<Vec<i64>>>().and_then(|times| times.into_iter().min());
        let down = matches!(hot, Some(Read::Unavailable));
        let found = match self.stored(&at.text, hot, answer) {
            Read::Miss if down => Read::Unavailable,
            Read::Miss if ready => {
                let answer = self.cache.read(&at.slots[answer_at..], Patience::Small).await.pop();
                self.stored(&at.text, None, answer)
            }
            found => found,
        };
        (found, confirmed)
    }

    /// A whole document.
    pub async fn read_answer(&self, query: &Query) -> Read<(Header, StoredAnswer)> {
        match self.cache.read(&[self.keys.answer(query)], Patience::Small).await.pop() {
            Some(Read::Hit(bytes)) => {
                self.decode_answer(&query.canonical(), &bytes).map_or(Read::Miss, Read::Hit)
            }
            Some(Read::Unavailable) => Read::Unavailable,
            Some(Read::Miss) | None => Read::Miss,
        }
    }

    /// A document from its stored bytes, or `None` (counted) if they are damaged. Long ones are slow: run it where computing
    /// runs.
    #[must_use]
    pub fn decode_answer(&self, question: &str, bytes: &[u8]) -> Option<(Header, StoredAnswer)> {
        self.decode(EntryKind::Answer, question, bytes)
    }

    /// A question's ready response if there is one, else its whole document, in one round trip.
    pub async fn read_ready(&self, query: &Query) -> Read<Stored> {
        let slots = [self.keys.hot(query), self.keys.answer(query)];
        let mut reads = self.cache.read(&slots, Patience::Small).await.into_iter();
        let (ready, answer) = (reads.next(), reads.next());
        self.stored(&query.canonical(), ready, answer)
    }

    fn stored(
        &self,
        question: &str,
        ready: Option<Read<Bytes>>,
        answer: Option<Read<Bytes>>,
    ) -> Read<Stored> {
        if let Some(Read::Hit(bytes)) = ready {
            let expected = self.expected(EntryKind::Hot, question);
            match entry::decode_body(&bytes, &expected) {
                Ok((header, at, gzip)) => {
                    return Read::Hit(Stored::Ready { header, body: bytes.slice(at..), gzip });
                }
                Err(damage) => self.count(damage, question),
            }
        }
        match answer {
            Some(Read::Hit(bytes)) => Read::Hit(Stored::Answer(bytes)),
            Some(Read::Unavailable) => Read::Unavailable,
            Some(Read::Miss) | None => Read::Miss,
        }
    }

    /// A ready response as a write.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn write_ready(
        &self,
        query: &Query,
        answer: &StoredAnswer,
        stamp: &Stamp,
    ) -> Result<Write, EncodeError> {
        let body = response::json_body(&answer.json, &Meta::new(query, stamp.version))?;
        let body = ReadyBody::new(body).map_err(EncodeError::from)?;
        let header = self.header(EntryKind::Hot, query.canonical(), stamp);
        let value = entry::encode_body(header, &body.bytes, body.gzip).map(Bytes::from)?;
        Ok(self.set(EntryKind::Hot, self.keys.hot(query), value))
    }

    /// A whole document as a write.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn write_answer(
        &self,
        query: &Query,
        answer: &StoredAnswer,
        stamp: &Stamp,
    ) -> Result<Write, EncodeError> {
        let payload = entry::canonical_bytes(answer)?;
        let value = self.encode(EntryKind::Answer, query.canonical(), stamp, &payload)?;
        Ok(self.set(EntryKind::Answer, self.keys.answer(query), value))
    }

    /// The plan that the warmer follows, as a write.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn write_plan<T: Serialize>(&self, plan: &T, now: i64) -> Result<Write, EncodeError> {
        let stamp = Stamp { now, as_of: None, version: DataVersion::default() };
        let value = self.encode(EntryKind::Plan, PLAN.to_owned(), &stamp, &entry::canonical_bytes(plan)?)?;
        Ok(self.set(EntryKind::Plan, self.keys.plan(), value))
    }

    /// The plan that the warmer follows.
    pub async fn read_plan<T: DeserializeOwned>(&self) -> Read<T> {
        match self.cache.read(&[self.keys.plan()], Patience::Bulk).await.pop() {
            Some(Read::Hit(bytes)) => {
                self.decode(EntryKind::Plan, PLAN, &bytes).map_or(Read::Miss, |(_, plan)| Read::Hit(plan))
            }
            Some(Read::Unavailable) => Read::Unavailable,
            Some(Read::Miss) | None => Read::Miss,
        }
    }
}
