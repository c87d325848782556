//! What is kept near, and how many bytes it counts for.

use std::sync::{Arc, Weak};

use shared::access_log::request_line::WrittenQuestion;
use shared::cells::{DayCell, ProductCell, ProductRow, Sums};
use shared::diagnosis::Partial;
use shared::model::{DataVersion, Day, DayRange};
use xxhash_rust::xxh3::xxh3_128;

use super::epochs::{Epoch, Watched};
use crate::represent::Represented;

/// Keys are hashes; what lies there says in full what it is, checked on every look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u128);

impl Key {
    pub(super) fn of(kind: u8, identity: &[u8]) -> Self {
        // Different kinds never meet: the last byte is the kind.
        Self(xxh3_128(identity) & !0xff | u128::from(kind))
    }
}

/// The day or range of a cell or partial of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Of<'a> {
    pub(super) store_id: &'a str,
    pub(super) from: Day,
    pub(super) to: Day,
}

impl<'a> Of<'a> {
    pub(super) fn day(store_id: &'a str, day: Day) -> Self {
        Self { store_id, from: day, to: day }
    }

    pub(super) fn range(store_id: &'a str, range: DayRange) -> Self {
        Self { store_id, from: range.from, to: range.to }
    }

    pub(super) fn key(self, kind: u8) -> Key {
        let mut identity = Vec::with_capacity(self.store_id.len() + 8);
        identity.extend_from_slice(&self.from.0.to_le_bytes());
        identity.extend_from_slice(&self.to.0.to_le_bytes());
        identity.extend_from_slice(self.store_id.as_bytes());
        Key::of(kind, &identity)
    }
}

/// A decoded part of an answer.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Day(Arc<DayCell>),
    Products(Arc<ProductCell>),
    Partial(Arc<Partial>),
}

/// A cell or partial.
#[derive(Debug)]
pub(super) struct KeptPiece {
    pub(super) store_id: Box<str>,
    pub(super) from: Day,
    pub(super) to: Day,
    pub(super) version: DataVersion,
    pub(super) piece: Piece,
    pub(super) watched: Watched,
    pub(super) epoch: Epoch,
    /// When it is looked up again, milliseconds since 1970.
    pub(super) until: i64,
}

/// A response.
#[derive(Debug)]
pub(super) struct KeptResponse {
    pub(super) represented: Arc<Represented>,
    pub(super) watched: Watched,
    pub(super) epoch: Epoch,
    /// When it is looked up again, milliseconds since 1970.
    pub(super) until: i64,
}

/// Which response a request came to.
#[derive(Debug)]
pub(super) struct Memo {
    /// The request: what of it decides.
    pub(super) request: Box<[u8]>,
    /// As the access log has it.
    pub(super) question: Option<WrittenQuestion>,
    /// Kept alive by its own entry alone, so that its bytes count once.
    pub(super) represented: Weak<Represented>,
    /// Of that entry.
    pub(super) key: Key,
    /// As of that entry.
    pub(super) watched: Watched,
    pub(super) until: i64,
    /// When the request was read, or the response if that was before: the stores and days that the request came to may
    /// have changed since.
    pub(super) epoch: Epoch,
}

/// An entry with what it counts for, and until when it may be used.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) size: u32,
    /// Milliseconds since 1970.
    pub(super) until: i64,
    pub(super) entry: Entry,
}

#[derive(Clone, Debug)]
pub(super) enum Entry {
    Piece(Arc<KeptPiece>),
    Response(Arc<KeptResponse>),
    Memo(Arc<Memo>),
}

/// What an entry takes beside its content: keys, places in the cache's lists, counts.
const OVERHEAD: usize = 200;

impl Entry {
    /// Bytes that it counts for, about.
    pub(super) fn size(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Piece(kept) => kept.store_id.len() + kept.watched.size() + kept.piece.size(),
                Self::Response(kept) => kept.represented.size() + kept.watched.size(),
                Self::Memo(memo) => {
                    let question = memo.question.as_ref().map_or(0, WrittenQuestion::size);
                    memo.request.len() + memo.watched.size() + question
                }
            }
    }
}

impl Piece {
    fn size(&self) -> usize {
        match self {
            Self::Day(cell) => {
                let channels: usize = cell.channels.iter().map(|(name, _)| name.len()).sum();
                let active: usize = cell.active.by_channel.iter().map(|keys| keys.len() * 4 + 24).sum();
                cell.channels.len() * size_of::<(String, Sums)>()
                    + channels
                    + active
                    + cell.active.keys.size()
            }
            Self::Products(cell) => {
                let texts = [&cell.keys, &cell.channels, &cell.names, &cell.categories];
                let texts: usize = texts.iter().map(|texts| texts.size()).sum();
                cell.rows.len() * size_of::<ProductRow>() + texts
            }
            // As MessagePack it is about half as large as in memory.
            Self::Partial(partial) => {
                shared::entry::canonical_bytes(&**partial).map_or(64 << 10, |bytes| bytes.len() * 2)
            }
        }
    }
}
