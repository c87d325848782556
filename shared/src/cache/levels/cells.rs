//! L1 and L2: order lines and cells of store-days, and partials of a diagnosis.

use bytes::Bytes;

use super::{Levels, Stamp};
use crate::cache::{Patience, Read, Write};
use crate::cells::{DayCell, ProductCell, StoreDay};
use crate::diagnosis::Partial;
use crate::entry::{self, Damage, EncodeError, EntryKind, Header, OrderBlock};
use crate::keys::Slot;
use crate::model::{DataVersion, Day, DayRange, Lines};

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

impl Levels {
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

    /// Order lines of some store-days as stored.
    pub async fn read_orders(&self, store_days: &[(String, Day)]) -> Vec<Read<Bytes>> {
        let slots: Vec<Slot> = store_days.iter().map(|(store, day)| self.keys.orders(store, *day)).collect();
        self.cache.read(&slots, Patience::Bulk).await
    }

    /// Order lines from their stored bytes, or `None` (counted) if they are damaged. Slow: run it where computing runs.
    #[must_use]
    pub fn decode_orders(&self, store_id: &str, day: Day, bytes: &[u8]) -> Option<(Header, Lines)> {
        let question = cell_question("orders", store_id, day);
        let (header, block) = self.decode::<OrderBlock>(EntryKind::Orders, &question, bytes)?;
        Some((header, block.0))
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
}

pub(super) fn cell_question(what: &str, store_id: &str, day: Day) -> String {
    format!("{what} {day} {store_id}")
}

pub(super) fn partial_question(store_id: &str, range: DayRange) -> String {
    format!("partial {} {} {store_id}", range.from, range.to)
}
