//! Decoded cells and partials, from which other questions are composed without reading or decoding again.

use std::sync::Arc;

use shared::cells::{DayCell, ProductCell};
use shared::diagnosis::Partial;
use shared::model::{DataVersion, Day, DayRange};

use super::entries::{Entry, KeptPiece, Of, Piece};
use super::{Count, Epoch, Near, SOURCE_MS};

// Beside those of responses and memos, in `near.rs`.
const DAY_CELL: u8 = 2;
const PRODUCT_CELL: u8 = 3;
const PARTIAL: u8 = 4;

/// Since when a cell or partial was read, and whence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadIn {
    /// When reading began; `None` if it is not to be kept.
    pub(crate) epoch: Option<Epoch>,
    /// When it was read from the source, milliseconds since 1970, if it was.
    pub(crate) source_at: Option<i64>,
}

impl Near {
    fn piece(&self, kind: u8, of: Of<'_>, now: i64) -> Option<Arc<KeptPiece>> {
        let found = self.inner.pieces.get(of.key(kind), now);
        let usable = |kept: &Arc<KeptPiece>| {
            Of { store_id: &kept.store_id, from: kept.from, to: kept.to } == of
                && now < kept.until
                && self.inner.epochs.is_right(&kept.watched, kept.epoch)
        };
        let found = match found {
            Some(Entry::Piece(kept)) => Some(kept).filter(usable),
            _ => None,
        };
        let count = if found.is_some() { Count::cell_hits } else { Count::cell_misses };
        self.inner.counters.add(count, 1);
        found
    }

    fn keep_piece(&self, kind: u8, of: Of<'_>, piece: (DataVersion, Piece), read: ReadIn) {
        let watched = self.of_store(of.store_id);
        let Some(epoch) = read.epoch.filter(|_| self.is_connected()) else { return };
        let Some(epoch) = self.may_keep(epoch, &watched) else { return };
        let until = read.source_at.map_or(i64::MAX, |now| now.saturating_add(SOURCE_MS));
        let (version, piece) = piece;
        let kept = KeptPiece {
            store_id: of.store_id.into(),
            from: of.from,
            to: of.to,
            version,
            piece,
            watched,
            epoch,
            until,
        };
        self.inner.pieces.keep(of.key(kind), Entry::Piece(Arc::new(kept)));
    }

    /// A day cell; an empty one if the store has no lines on that day.
    pub(crate) fn day_cell(&self, store_id: &str, day: Day, now: i64) -> Option<(DataVersion, Arc<DayCell>)> {
        let kept = self.piece(DAY_CELL, Of::day(store_id, day), now)?;
        let Piece::Day(cell) = &kept.piece else { return None };
        Some((kept.version, Arc::clone(cell)))
    }

    /// A product cell; an empty one if the store has no lines on that day.
    pub(crate) fn product_cell(
        &self,
        store_id: &str,
        day: Day,
        now: i64,
    ) -> Option<(DataVersion, Arc<ProductCell>)> {
        let kept = self.piece(PRODUCT_CELL, Of::day(store_id, day), now)?;
        let Piece::Products(cell) = &kept.piece else { return None };
        Some((kept.version, Arc::clone(cell)))
    }

    /// A store's partial of a diagnosis.
    pub(crate) fn partial(
        &self,
        store_id: &str,
        range: DayRange,
        now: i64,
    ) -> Option<(DataVersion, Arc<Partial>)> {
        let kept = self.piece(PARTIAL, Of::range(store_id, range), now)?;
        let Piece::Partial(partial) = &kept.piece else { return None };
        Some((kept.version, Arc::clone(partial)))
    }

    /// Keeps a day cell.
    pub(crate) fn keep_day_cell(
        &self,
        (store_id, day): (&str, Day),
        version: DataVersion,
        cell: &Arc<DayCell>,
        read: ReadIn,
    ) {
        self.keep_piece(DAY_CELL, Of::day(store_id, day), (version, Piece::Day(Arc::clone(cell))), read);
    }

    /// Keeps a product cell.
    pub(crate) fn keep_product_cell(
        &self,
        (store_id, day): (&str, Day),
        version: DataVersion,
        cell: &Arc<ProductCell>,
        read: ReadIn,
    ) {
        let piece = (version, Piece::Products(Arc::clone(cell)));
        self.keep_piece(PRODUCT_CELL, Of::day(store_id, day), piece, read);
    }

    /// Keeps a partial.
    pub(crate) fn keep_partial(
        &self,
        (store_id, range): (&str, DayRange),
        version: DataVersion,
        partial: &Arc<Partial>,
        read: ReadIn,
    ) {
        let piece = (version, Piece::Partial(Arc::clone(partial)));
        self.keep_piece(PARTIAL, Of::range(store_id, range), piece, read);
    }
}
