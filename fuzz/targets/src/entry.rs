//! Entries as they come from Redis: header, payload, and every kind of payload that is decoded.
//!
//! The first byte of an input says what it is, so that what a checksum keeps from the decoders gets there: `e` and the
//! bytes of an entry; `p`, the digit of a kind, and a payload (MessagePack), which is put into a sound entry; `z`, a digit, and
//! a payload compressed already.

use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::cache::StoredAnswer;
use shared::cells::{DayCell, ProductCell};
use shared::diagnosis::Partial;
use shared::entry::{self, EntryKind, Expected, Header, Look, OrderBlock};
use shared::model::{DataVersion, StoreInfo};
use xxhash_rust::xxh3::xxh3_64;

use crate::ALLOCATED;

/// Most bytes of an inflated payload here; it is `cache.max_inflated` elsewhere.
const MAX_INFLATED: u64 = 64 << 10;
/// Bytes in memory for a byte of a payload, at most: an empty text is one byte of MessagePack and 24 in a list, which has
/// been copied when it grew.
const GROWTH: usize = 64;
/// What lists take on the word of a header, whatever follows: serde believes 1 MiB of each, and the lists lie within each
/// other.
const ON_ITS_WORD: usize = 8 << 20;

/// Takes an input as described above. Whatever it is, decoding takes memory in proportion to its size; what is decoded
/// is encoded, and decoded again as the same.
pub fn check(data: &[u8]) {
    let _ = is_whole(data);
}

/// As [`check`]; whether it is an entry that can be decoded.
#[must_use]
pub fn is_whole(data: &[u8]) -> bool {
    match data {
        [b'e', bytes @ ..] => bare(bytes),
        [b'p', kind, payload @ ..] => kind_of(*kind).is_some_and(|kind| {
            let bytes = entry::encode(kind, header(), payload).expect("a payload is compressed");
            decoded(kind, &bytes, &header())
        }),
        [b'z', kind, compressed @ ..] => {
            kind_of(*kind).is_some_and(|kind| decoded(kind, &around(kind, compressed), &header()))
        }
        _ => false,
    }
}

fn kind_of(digit: u8) -> Option<EntryKind> {
    EntryKind::ALL.into_iter().find(|kind| b'0' + *kind as u8 == digit)
}

/// The header of the entries that are made here.
#[must_use]
pub fn header() -> Header {
    Header {
        question: "store 1001".to_owned(),
        rules: 7,
        computed_at: 1_795_243_609_123,
        as_of: None,
        data_version: DataVersion::of(b"x"),
        soft_expiry: 1_795_243_909_123,
    }
}

/// An entry around a payload that is compressed already, as large as gzip's last bytes say. `docs/wire-format.md` has the
/// layout.
fn around(kind: EntryKind, compressed: &[u8]) -> Vec<u8> {
    let size = compressed.last_chunk().map_or(0, |size| u32::from_le_bytes(*size));
    let stored = (header(), u64::from(size), compressed.len() as u64, xxh3_64(compressed));
    let header = entry::canonical_bytes(&stored).expect("a header is MessagePack");
    let length = u32::try_from(header.len()).expect("a header is short");
    let preamble = [&b"HTSF"[..], &[1, kind as u8, 1, 0], &length.to_le_bytes()].concat();
    [preamble.as_slice(), &header, compressed].concat()
}

/// Bytes as they lie in Redis, read as what they say they are; whether they are an entry that can be decoded.
fn bare(bytes: &[u8]) -> bool {
    let kind = entry::kind(bytes);
    let Ok(Look { kind: seen, header: read, damage, .. }) = measured(bytes.len(), || entry::look(bytes))
    else {
        let kind = kind.unwrap_or(EntryKind::DayCell);
        assert!(!decoded(kind, bytes, &header()), "an entry without a header is decoded");
        return false;
    };
    assert_eq!(seen, kind);
    let whole = kind.is_some_and(|kind| decoded(kind, bytes, &read));
    assert!(damage.is_none() || !whole, "decoded in spite of {damage:?}");
    whole
}

/// Decodes an entry as those do who read it; whether it is one.
fn decoded(kind: EntryKind, bytes: &[u8], header: &Header) -> bool {
    match kind {
        EntryKind::Orders => survives::<OrderBlock>(kind, bytes, header).is_some(),
        EntryKind::DayCell => survives::<DayCell>(kind, bytes, header).is_some_and(|cell| cell.is_sound()),
        EntryKind::ProductCell => {
            survives::<ProductCell>(kind, bytes, header).is_some_and(|cell| cell.is_sound())
        }
        EntryKind::Partial => survives::<Partial>(kind, bytes, header).is_some(),
        EntryKind::Answer => survives::<StoredAnswer>(kind, bytes, header).is_some(),
        // The directory holds stores, and their number.
        EntryKind::Store => {
            survives::<StoreInfo>(kind, bytes, header).is_some()
                || survives::<u64>(kind, bytes, header).is_some()
        }
        EntryKind::Hot => body(bytes, header),
        // Only the warmer knows its plan.
        EntryKind::Plan => false,
    }
}

fn expected(kind: EntryKind, header: &Header, max_inflated: u64) -> Expected<'_> {
    Expected { kind, question: &header.question, rules: header.rules, max_inflated }
}

fn survives<T>(kind: EntryKind, bytes: &[u8], header: &Header) -> Option<T>
where
    T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug,
{
    let expected_here = expected(kind, header, MAX_INFLATED);
    let limit = bytes.len() + usize::try_from(MAX_INFLATED).unwrap_or(usize::MAX);
    let (read, value) = measured(limit, || entry::decode::<T>(bytes, &expected_here)).ok()?;
    assert_eq!(&read, header);
    let payload = entry::canonical_bytes(&value).expect("what was decoded is encoded");
    let again = entry::encode(kind, read, &payload).expect("what was decoded is encoded");
    // Fields that were left out are written, so it may be larger.
    let (_, same) = entry::decode::<T>(&again, &expected(kind, header, 2 * MAX_INFLATED))
        .expect("what is encoded can be decoded");
    assert_eq!(same, value);
    assert_eq!(entry::canonical_bytes(&same).expect("the same again"), payload, "two texts of one value");
    Some(value)
}

/// A ready response.
fn body(bytes: &[u8], header: &Header) -> bool {
    let Ok((read, at, gzip)) = entry::decode_body(bytes, &expected(EntryKind::Hot, header, MAX_INFLATED))
    else {
        return false;
    };
    assert_eq!(&read, header);
    let body = bytes.get(at..).expect("a body begins within its entry");
    let again = entry::encode_body(read, body, gzip).expect("a body is encoded");
    assert_eq!(entry::look(&again).map(|look| look.damage), Ok(None));
    true
}

/// Does it, and holds what it allocates at its peak against the bytes that it was given or may inflate to.
fn measured<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    ALLOCATED.reset_peak_usage();
    let before = ALLOCATED.current_usage();
    let done = work();
    let most = ALLOCATED.peak_usage().saturating_sub(before);
    let allowed = ON_ITS_WORD + GROWTH * bytes;
    assert!(most <= allowed, "{most} bytes allocated, {allowed} are allowed");
    done
}
