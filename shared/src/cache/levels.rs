//! The levels, typed: what is read and written where, and what makes stored bytes a miss.

mod inspect;
mod store_cells;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Cache, Fence, Patience, Read, Ttl, Write};
use crate::answers::Data;
use crate::answers::response::{self, Meta, ReadyBody};
use crate::cells::{DayCell, ProductCell, StoreDay};
use crate::diagnosis::Partial;
use crate::entry::{self, Damage, EncodeError, EntryKind, Expected, Header, OrderBlock};
use crate::keys::{DIRECTORY_SUMMARY, Keys, Slot};
use crate::model::{DataVersion, Day, DayRange, Directory, Lines, Query, StoreInfo};

pub use inspect::{Content, Inspected};
pub use store_cells::StoreCells;
pub use upkeep::{Pause, Paused, Renewal};

/// Default limit of an inflated payload: 64 MiB.
pub const DEFAULT_MAX_INFLATED: u64 = 64 << 20;

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
    /// Its document.
    Answer {
        /// What is known of it.
        header: Header,
        /// The document.
        answer: StoredAnswer,
    },
}

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

    /// A day cell from its stored bytes, or `None` (counted) if they are damaged. Slow: run it where computing runs.
    #[must_use]
    pub fn decode_day_cell(&self, store_id: &str, day: Day, bytes: &[u8]) -> Option<(Header, DayCell)> {
        let question = cell_question("cells", store_id, day);
        let (header, cell) = self.decode::<DayCell>(EntryKind::DayCell, &question, bytes)?;
        self.sound(cell.is_sound(), &question).then_some((header, cell))
    }

    /// A product cell from its stored bytes, or `None` (counted) if they are damaged.
    #[must_use]
    pub fn decode_product_cell(
        &self,
        store_id: &str,
        day: Day,
        bytes: &[u8],
    ) -> Option<(Header, ProductCell)> {
        let question = cell_question("products", store_id, day);
        let (header, cell) = self.decode::<ProductCell>(EntryKind::ProductCell, &question, bytes)?;
        self.sound(cell.is_sound(), &question).then_some((header, cell))
    }

    fn sound(&self, sound: bool, question: &str) -> bool {
        if !sound {
            self.count(Damage::Malformed, question);
        }
        sound
    }

    /// Both cells of a store-day as entries: (day cell, product cell).
    ///
    /// # Errors
    /// If they cannot be encoded.
    pub fn encode_cells(
        &self,
        store_id: &str,
        day: Day,
        built: &VersionedDay,
        now: i64,
    ) -> Result<(Bytes, Bytes), EncodeError> {
        let stamp = Stamp { now, as_of: (built.cells.day.lines > 0).then_some(day), version: built.version };
        let day_cell =
            self.encode(EntryKind::DayCell, cell_question("cells", store_id, day), &stamp, &built.day_bytes)?;
        let product_question = cell_question("products", store_id, day);
        let product_cell =
            self.encode(EntryKind::ProductCell, product_question, &stamp, &built.product_bytes)?;
        Ok((day_cell, product_cell))
    }

    /// Order lines of a store and day (sorted) as an entry to write.
    ///
    /// # Errors
    /// If they cannot be encoded.
    pub fn write_orders(
        &self,
        store_id: &str,
        day: Day,
        lines: Lines,
        now: i64,
    ) -> Result<Write, EncodeError> {
        let payload = entry::canonical_bytes(&OrderBlock(lines))?;
        let stamp = Stamp { now, as_of: Some(day), version: DataVersion::of(&payload) };
        let slot = self.keys.orders(store_id, day);
        let value =
            self.encode(EntryKind::Orders, cell_question("orders", store_id, day), &stamp, &payload)?;
        Ok(self.set(EntryKind::Orders, slot, value))
    }

    fn set(&self, kind: EntryKind, slot: Slot, value: Bytes) -> Write {
        let ttl = self.ttl.hard(kind, &slot.key);
        Write::Set { key: slot.key, value, ttl }
    }

    /// Order lines of one store and some days.
    pub async fn read_orders(&self, store_id: &str, days: &[Day]) -> Vec<Read<(Header, Lines)>> {
        let slots: Vec<Slot> = days.iter().map(|day| self.keys.orders(store_id, *day)).collect();
        let reads = self.cache.read(&slots, Patience::Bulk).await;
        let decode = |(day, read): (&Day, Read<Bytes>)| match read {
            Read::Hit(bytes) => {
                let question = cell_question("orders", store_id, *day);
                self.decode::<OrderBlock>(EntryKind::Orders, &question, &bytes)
                    .map_or(Read::Miss, |(header, block)| Read::Hit((header, block.0)))
            }
            Read::Miss => Read::Miss,
            Read::Unavailable => Read::Unavailable,
        };
        days.iter().zip(reads).map(decode).collect()
    }

    /// A whole document.
    pub async fn read_answer(&self, query: &Query) -> Read<(Header, StoredAnswer)> {
        match self.cache.read(&[self.keys.answer(query)], Patience::Small).await.pop() {
            Some(Read::Hit(bytes)) => {
                self.decode(EntryKind::Answer, &query.canonical(), &bytes).map_or(Read::Miss, Read::Hit)
            }
            Some(Read::Unavailable) => Read::Unavailable,
            Some(Read::Miss) | None => Read::Miss,
        }
    }

    /// A question's ready response if there is one, else its whole document, in one round trip.
    pub async fn read_ready(&self, query: &Query) -> Read<Stored> {
        let slots = [self.keys.hot(query), self.keys.answer(query)];
        let mut reads = self.cache.read(&slots, Patience::Small).await.into_iter();
        let (ready, answer) = (reads.next(), reads.next());
        if let Some(Read::Hit(bytes)) = ready {
            let question = query.canonical();
            let expected = self.expected(EntryKind::Hot, &question);
            match entry::decode_body(&bytes, &expected) {
                Ok((header, at, gzip)) => {
                    return Read::Hit(Stored::Ready { header, body: bytes.slice(at..), gzip });
                }
                Err(damage) => self.count(damage, &question),
            }
        }
        match answer {
            Some(Read::Hit(bytes)) => self
                .decode(EntryKind::Answer, &query.canonical(), &bytes)
                .map_or(Read::Miss, |(header, answer)| Read::Hit(Stored::Answer { header, answer })),
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

    /// Partials of a diagnosis, for many stores at once.
    pub async fn read_partials(&self, stores: &[String], range: DayRange) -> Vec<Read<Bytes>> {
        let slots: Vec<Slot> = stores.iter().map(|store| self.keys.partial(store, range)).collect();
        self.cache.read(&slots, Patience::Bulk).await
    }

    /// A partial from its stored bytes, or `None` (counted) if they are damaged.
    #[must_use]
    pub fn decode_partial(&self, store_id: &str, range: DayRange, bytes: &[u8]) -> Option<(Header, Partial)> {
        self.decode(EntryKind::Partial, &partial_question(store_id, range), bytes)
    }

    /// A partial as a write.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn write_partial(
        &self,
        store_id: &str,
        range: DayRange,
        partial: &Partial,
        stamp: &Stamp,
    ) -> Result<Write, EncodeError> {
        let payload = entry::canonical_bytes(partial)?;
        let value = self.encode(EntryKind::Partial, partial_question(store_id, range), stamp, &payload)?;
        Ok(self.set(EntryKind::Partial, self.keys.partial(store_id, range), value))
    }

    /// The directory of all stores. A directory that lacks a store is a miss, never a smaller directory.
    pub async fn read_directory(&self) -> Read<Directory> {
        let fields = match self.cache.read_hash(&self.keys.directory()).await {
            Read::Hit(fields) => fields,
            Read::Miss => return Read::Miss,
            Read::Unavailable => return Read::Unavailable,
        };
        let mut announced = None;
        let mut stores = Vec::with_capacity(fields.len());
        for (field, bytes) in fields {
            if field == DIRECTORY_SUMMARY {
                announced = self.decode::<u64>(EntryKind::Store, "directory", &bytes).map(|(_, count)| count);
                continue;
            }
            match self.decode::<StoreInfo>(EntryKind::Store, &format!("store {field}"), &bytes) {
                Some((_, info)) => stores.push(info),
                None => return Read::Miss,
            }
        }
        if announced == Some(stores.len() as u64) { Read::Hit(Directory::new(stores)) } else { Read::Miss }
    }

    /// The whole directory as writes that replace what is there.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn write_directory(&self, directory: &Directory, now: i64) -> Result<Vec<Write>, EncodeError> {
        let key = self.keys.directory();
        let stamp = Stamp { now, as_of: directory.last_day(), version: DataVersion::default() };
        let count = entry::canonical_bytes(&(directory.stores().len() as u64))?;
        let summary = self.encode(EntryKind::Store, "directory".to_owned(), &stamp, &count)?;
        let mut fields = vec![(DIRECTORY_SUMMARY.to_owned(), summary)];
        for store in directory.stores() {
            fields.push(self.directory_field(store, &stamp)?);
        }
        Ok(vec![
            Write::Delete { key: key.clone() },
            Write::SetFields { key: key.clone(), fields },
            Write::Expire { ttl: self.ttl.hard(EntryKind::Store, &key), key },
        ])
    }

    /// One store of the directory as a write: only for a store that the directory has.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn write_directory_store(&self, store: &StoreInfo, now: i64) -> Result<Write, EncodeError> {
        let stamp = Stamp { now, as_of: store.days.last(), version: DataVersion::default() };
        let fields = vec![self.directory_field(store, &stamp)?];
        Ok(Write::SetFields { key: self.keys.directory(), fields })
    }

    fn directory_field(&self, store: &StoreInfo, stamp: &Stamp) -> Result<(String, Bytes), EncodeError> {
        let payload = entry::canonical_bytes(store)?;
        let value = self.encode(EntryKind::Store, format!("store {}", store.store_id), stamp, &payload)?;
        Ok((store.store_id.clone(), value))
    }

    /// When the data of each of these stores were last confirmed, milliseconds since 1970.
    pub async fn read_fresh(&self, stores: &[String]) -> Vec<Option<i64>> {
        let slots: Vec<Slot> = stores.iter().map(|store| self.keys.store_fresh(store)).collect();
        let reads = self.cache.read(&slots, Patience::Bulk).await;
        reads.into_iter().map(|read| read.hit().and_then(|bytes| parse_time(&bytes))).collect()
    }

    /// When the data of all stores were last confirmed, milliseconds since 1970.
    pub async fn read_fleet_fresh(&self) -> Option<i64> {
        let read = self.cache.read(&[self.keys.fleet_fresh()], Patience::Small).await.pop()?;
        read.hit().and_then(|bytes| parse_time(&bytes))
    }

    /// Removes what is kept of a store that is no more.
    #[must_use]
    pub fn forget_store(&self, store_id: &str) -> Vec<Write> {
        let (keys, delete) = (&self.keys, |key| Write::Delete { key });
        vec![
            delete(keys.day_cells(store_id)),
            delete(keys.product_cells(store_id)),
            delete(keys.store_fresh(store_id).key),
            Write::Bump { key: keys.store_version(store_id) },
            // Whoever watches it hears of the bump; then nothing is kept of stores that are no more.
            Write::Expire {
                key: keys.store_version(store_id),
                ttl: self.ttl.hard(EntryKind::Store, store_id),
            },
        ]
    }

    /// Notes when data were confirmed: of one store, or of all.
    #[must_use]
    pub fn write_fresh(&self, store_id: Option<&str>, now: i64) -> Write {
        let slot = store_id.map_or_else(|| self.keys.fleet_fresh(), |store| self.keys.store_fresh(store));
        Write::Set {
            ttl: self.ttl.hard(EntryKind::Store, &slot.key),
            key: slot.key,
            value: Bytes::from(now.to_string()),
        }
    }
}

/// What the plan's entry says it answers.
const PLAN: &str = "plan";

fn parse_time(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn cell_question(what: &str, store_id: &str, day: Day) -> String {
    format!("{what} {day} {store_id}")
}

fn partial_question(store_id: &str, range: DayRange) -> String {
    format!("partial {} {} {store_id}", range.from, range.to)
}

/// The cells of a store-day with their canonical bytes and content version.
#[derive(Clone, Debug)]
pub struct VersionedDay {
    /// The cells.
    pub cells: StoreDay,
    /// Version of both.
    pub version: DataVersion,
    day_bytes: Vec<u8>,
    product_bytes: Vec<u8>,
}

impl VersionedDay {
    /// Encodes the cells and hashes the bytes.
    ///
    /// # Errors
    /// If they cannot be encoded.
    pub fn new(cells: StoreDay) -> Result<Self, EncodeError> {
        let day_bytes = entry::canonical_bytes(&cells.day)?;
        let product_bytes = entry::canonical_bytes(&cells.products)?;
        let mut both = xxhash_rust::xxh3::Xxh3::new();
        both.update(&day_bytes);
        both.update(&product_bytes);
        let version = DataVersion::of(&both.digest128().to_le_bytes());
        Ok(Self { cells, version, day_bytes, product_bytes })
    }
}
