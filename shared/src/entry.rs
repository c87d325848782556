//! Cache entries: MessagePack + gzip behind a versioned header with a checksum. The only owner of gzip and
//! MessagePack of what is stored. Pure.
//!
//! Layout: `HTSF`, format version, kind, codec, 0, header length (u32 little-endian), header (MessagePack array),
//! payload (gzip of MessagePack). See `docs/wire-format.md`.

mod gzip;
mod look;
mod orders;

use std::io::Write;

use flate2::write::GzEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::model::{DataVersion, Day};

pub use gzip::{GzipPieces, gunzip, gzip, gzip_small};
pub use look::{Look, look};
pub use orders::OrderBlock;

const MAGIC: &[u8; 4] = b"HTSF";
/// Version of the layout of entries and payloads; another one is a miss.
const FORMAT: u8 = 1;
/// gzip of MessagePack: all but ready responses.
const CODEC_GZIP_MESSAGEPACK: u8 = 1;
/// A response body, plain.
const CODEC_PLAIN_BODY: u8 = 2;
/// A response body, gzip.
const CODEC_GZIP_BODY: u8 = 3;
const CODECS: [u8; 3] = [CODEC_GZIP_MESSAGEPACK, CODEC_PLAIN_BODY, CODEC_GZIP_BODY];
const PREAMBLE: usize = 12;

/// The largest window that gzip has.
const WINDOW_BITS: u8 = 15;
/// gzip level: the knee of the measured curve, see "Compression" in `docs/performance.md`.
const COMPRESSION: u32 = 2;

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// L1: order lines of a store and day.
    Orders = 1,
    /// L2 (a): day cell.
    DayCell = 2,
    /// L2 (b): product cell.
    ProductCell = 3,
    /// L3 (a): partial of a diagnosis.
    Partial = 4,
    /// L3 (b): whole document.
    Answer = 5,
    /// A store of the directory.
    Store = 6,
    /// L4: a ready response.
    Hot = 7,
    /// The plan that the warmer follows.
    Plan = 8,
}

impl EntryKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Orders,
        Self::DayCell,
        Self::ProductCell,
        Self::Partial,
        Self::Answer,
        Self::Store,
        Self::Hot,
        Self::Plan,
    ];

    /// The cache level it belongs to, for people and metrics.
    #[must_use]
    pub const fn level(self) -> &'static str {
        match self {
            Self::Orders => "L1",
            Self::DayCell | Self::ProductCell => "L2",
            Self::Partial | Self::Answer => "L3",
            Self::Hot => "L4",
            Self::Store => "directory",
            Self::Plan => "plan",
        }
    }
}

/// What is known of an entry besides its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// What it answers: the canonical question, or the store and day. Checked on read.
    pub question: String,
    /// Fingerprint of the rule settings. Checked on read.
    pub rules: u64,
    /// When it was computed, milliseconds since 1970.
    pub computed_at: i64,
    /// Last data day of what it was made of.
    pub as_of: Option<Day>,
    /// Version of the data it was made of.
    pub data_version: DataVersion,
    /// From when on it is stale unless confirmed since, milliseconds since 1970.
    pub soft_expiry: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredHeader {
    header: Header,
    /// Bytes of the payload, inflated.
    inflated: u64,
    /// Bytes of the payload as stored.
    length: u64,
    /// XXH3 of the payload as stored.
    checksum: u64,
}

/// Why stored bytes are not the entry that was looked for: a miss, counted by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Damage {
    /// Not an entry of ours.
    #[error("foreign bytes")]
    Foreign,
    /// Of another format version or codec.
    #[error("another format version")]
    Format,
    /// Cut short or too long.
    #[error("truncated")]
    Truncated,
    /// The payload is not what was written.
    #[error("checksum differs")]
    Checksum,
    /// Larger than allowed when inflated.
    #[error("too large when inflated")]
    TooLarge,
    /// Not MessagePack of the expected shape.
    #[error("malformed")]
    Malformed,
    /// Of another kind or question: a hash collision, or moved by hand.
    #[error("of another question")]
    OtherQuestion,
    /// Made under other rule settings.
    #[error("of other rule settings")]
    OtherRules,
}

impl Damage {
    /// All, for counters.
    pub const ALL: [Self; 8] = [
        Self::Foreign,
        Self::Format,
        Self::Truncated,
        Self::Checksum,
        Self::TooLarge,
        Self::Malformed,
        Self::OtherQuestion,
        Self::OtherRules,
    ];

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Format => "format",
            Self::Truncated => "truncated",
            Self::Checksum => "checksum",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::OtherQuestion => "other_question",
            Self::OtherRules => "other_rules",
        }
    }
}

/// A value that cannot be written as MessagePack; none of ours is.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode an entry: {0}")]
pub struct EncodeError(String);

impl From<std::io::Error> for EncodeError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// What a reader expects of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Kind.
    pub kind: EntryKind,
    /// Question.
    pub question: &'a str,
    /// Fingerprint of the rule settings.
    pub rules: u64,
    /// Most bytes of the inflated payload.
    pub max_inflated: u64,
}

/// The canonical bytes of a value, of which its content version is made.
///
/// # Errors
/// If the value cannot be written as MessagePack.
#[allow(clippy::disallowed_methods, reason = "the owner of MessagePack")]
pub fn canonical_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, EncodeError> {
    rmp_serde::to_vec(value).map_err(|error| EncodeError(error.to_string()))
}

/// An entry of a payload made by [`canonical_bytes`].
///
/// # Errors
/// If the payload cannot be compressed.
#[allow(clippy::disallowed_methods, reason = "the owner of gzip and MessagePack")]
pub fn encode(kind: EntryKind, header: Header, payload: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let failed = |error: std::io::Error| EncodeError(error.to_string());
    let mut encoder = GzEncoder::new(Vec::with_capacity(payload.len() / 3), Compression::new(COMPRESSION));
    encoder.write_all(payload).map_err(failed)?;
    let compressed = encoder.finish().map_err(failed)?;
    assemble(kind, CODEC_GZIP_MESSAGEPACK, header, payload.len() as u64, &compressed)
}

/// A ready response (L4): its body is stored as it is sent.
///
/// # Errors
/// If the header cannot be written.
pub fn encode_body(header: Header, body: &[u8], gzip: bool) -> Result<Vec<u8>, EncodeError> {
    let codec = if gzip { CODEC_GZIP_BODY } else { CODEC_PLAIN_BODY };
    assemble(EntryKind::Hot, codec, header, body.len() as u64, body)
}

fn assemble(
    kind: EntryKind,
    codec: u8,
    header: Header,
    inflated: u64,
    payload: &[u8],
) -> Result<Vec<u8>, EncodeError> {
    let length = payload.len() as u64;
    let stored = StoredHeader { header, inflated, length, checksum: xxh3_64(payload) };
    let header = canonical_bytes(&stored)?;
    let length = u32::try_from(header.len()).map_err(|error| EncodeError(error.to_string()))?;
    let mut entry = Vec::with_capacity(PREAMBLE + header.len() + payload.len());
    entry.extend_from_slice(MAGIC);
    entry.extend_from_slice(&[FORMAT, kind as u8, codec, 0]);
    entry.extend_from_slice(&length.to_le_bytes());
    entry.extend_from_slice(&header);
    entry.extend_from_slice(payload);
    Ok(entry)
}

/// Kind, codec, header and payload as stored. Of the payload nothing is checked.
#[allow(clippy::disallowed_methods, reason = "the owner of MessagePack")]
fn open(bytes: &[u8]) -> Result<(u8, u8, StoredHeader, &[u8]), Damage> {
    let (preamble, rest) = bytes.split_at_checked(PREAMBLE).ok_or(Damage::Truncated)?;
    if &preamble[..4] != MAGIC {
        return Err(Damage::Foreign);
    }
    if preamble[4] != FORMAT || !CODECS.contains(&preamble[6]) {
        return Err(Damage::Format);
    }
    let length = u32::from_le_bytes([preamble[8], preamble[9], preamble[10], preamble[11]]);
    let (header, payload) = rest.split_at_checked(length as usize).ok_or(Damage::Truncated)?;
    let stored: StoredHeader = rmp_serde::from_slice(header).map_err(|_| Damage::Malformed)?;
    Ok((preamble[5], preamble[6], stored, payload))
}

/// Codec, checked header and payload as stored.
fn checked<'a>(bytes: &'a [u8], expected: &Expected<'_>) -> Result<(u8, StoredHeader, &'a [u8]), Damage> {
    let (kind, codec, stored, payload) = open(bytes)?;
    if stored.length != payload.len() as u64 {
        return Err(Damage::Truncated);
    }
    if stored.checksum != xxh3_64(payload) {
        return Err(Damage::Checksum);
    }
    if kind != expected.kind as u8 || stored.header.question != expected.question {
        return Err(Damage::OtherQuestion);
    }
    if stored.header.rules != expected.rules {
        return Err(Damage::OtherRules);
    }
    if stored.inflated > expected.max_inflated {
        return Err(Damage::TooLarge);
    }
    Ok((codec, stored, payload))
}

/// The header and payload of an entry, checked against what is expected.
///
/// # Errors
/// The [`Damage`] that makes it a miss.
#[allow(clippy::disallowed_methods, reason = "the owner of gzip and MessagePack")]
pub fn decode<T: DeserializeOwned>(bytes: &[u8], expected: &Expected<'_>) -> Result<(Header, T), Damage> {
    let (codec, stored, payload) = checked(bytes, expected)?;
    if codec != CODEC_GZIP_MESSAGEPACK {
        return Err(Damage::Format);
    }
    let announced = usize::try_from(stored.inflated).map_err(|_| Damage::TooLarge)?;
    // At once and whole, so that nothing goes through a window. One byte more shows a payload that lies about its size.
    let mut inflated = Vec::with_capacity(announced.saturating_add(1));
    let status = Decompress::new_gzip(WINDOW_BITS)
        .decompress_vec(payload, &mut inflated, FlushDecompress::Finish)
        .map_err(|_| Damage::Malformed)?;
    if inflated.len() > announced {
        return Err(Damage::TooLarge);
    }
    if status != Status::StreamEnd || inflated.len() < announced {
        return Err(Damage::Malformed);
    }
    let value = rmp_serde::from_slice(&inflated).map_err(|_| Damage::Malformed)?;
    Ok((stored.header, value))
}

/// The header of a ready response, where its body starts, and whether it is gzip.
///
/// # Errors
/// The [`Damage`] that makes it a miss.
pub fn decode_body(bytes: &[u8], expected: &Expected<'_>) -> Result<(Header, usize, bool), Damage> {
    let (codec, stored, payload) = checked(bytes, expected)?;
    if codec == CODEC_GZIP_MESSAGEPACK {
        return Err(Damage::Format);
    }
    Ok((stored.header, bytes.len() - payload.len(), codec == CODEC_GZIP_BODY))
}

/// What the bytes of an entry say they hold, unchecked; `None` if they are not an entry.
#[must_use]
pub fn kind(bytes: &[u8]) -> Option<EntryKind> {
    let preamble = bytes.get(..PREAMBLE).filter(|preamble| &preamble[..4] == MAGIC)?;
    EntryKind::ALL.into_iter().find(|kind| *kind as u8 == preamble[5])
}

/// A document as JSON text, exact to the last digit.
///
/// # Errors
/// If the value cannot be written as JSON.
pub fn json<T: Serialize>(value: &T) -> Result<String, EncodeError> {
    serde_json::to_string(value).map_err(|error| EncodeError(error.to_string()))
}

/// A document as MessagePack for a client: named maps.
///
/// # Errors
/// If the value cannot be written as MessagePack.
#[allow(clippy::disallowed_methods, reason = "the owner of MessagePack")]
pub fn message_pack<T: Serialize>(value: &T) -> Result<Vec<u8>, EncodeError> {
    rmp_serde::to_vec_named(value).map_err(|error| EncodeError(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header {
            question: "cells 1001 2026-03-07".into(),
            rules: 7,
            computed_at: 1,
            as_of: None,
            data_version: DataVersion::of(b"x"),
            soft_expiry: 2,
        }
    }

    const EXPECTED: Expected<'_> = Expected {
        kind: EntryKind::DayCell,
        question: "cells 1001 2026-03-07",
        rules: 7,
        max_inflated: 1 << 20,
    };

    fn entry(payload: &[String]) -> Vec<u8> {
        encode(EntryKind::DayCell, header(), &canonical_bytes(&payload).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn entries_survive(payload in proptest::collection::vec(".{0,40}", 0..40)) {
            let (read, value) = decode::<Vec<String>>(&entry(&payload), &EXPECTED).unwrap();
            prop_assert_eq!(read, header());
            prop_assert_eq!(value, payload);
        }

        #[test]
        fn any_changed_byte_is_a_miss(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<bool>()) {
            let whole = entry(&["some".into(), "payload".into()]);
            let mut damaged = whole.clone();
            let at = at.index(damaged.len());
            if cut {
                damaged.truncate(at);
            } else {
                damaged[at] = to;
            }
            if damaged != whole {
                // The spare byte is not looked at, and times carry no check of their own.
                if let Ok((read, value)) = decode::<Vec<String>>(&damaged, &EXPECTED) {
                    prop_assert_eq!(value, vec!["some".to_owned(), "payload".to_owned()]);
                    prop_assert_eq!(read.question, header().question);
                }
            }
        }

        #[test]
        fn garbage_is_a_miss(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode::<Vec<String>>(&bytes, &EXPECTED).is_err());
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let whole = entry(&["x".repeat(5000)]);
        let damage =
            |bytes: &[u8], expected: Expected<'_>| decode::<Vec<String>>(bytes, &expected).unwrap_err();
        assert_eq!(damage(b"", EXPECTED), Damage::Truncated);
        assert_eq!(damage(b"\x1f\x8b somebody else's", EXPECTED), Damage::Foreign);
        assert_eq!(damage(&whole[..whole.len() - 1], EXPECTED), Damage::Truncated);
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(damage(&flipped, EXPECTED), Damage::Checksum);
        let mut newer = whole.clone();
        newer[4] = 2;
        assert_eq!(damage(&newer, EXPECTED), Damage::Format);
        assert_eq!(damage(&whole, Expected { max_inflated: 100, ..EXPECTED }), Damage::TooLarge);
        assert_eq!(damage(&whole, Expected { question: "other", ..EXPECTED }), Damage::OtherQuestion);
        assert_eq!(damage(&whole, Expected { rules: 8, ..EXPECTED }), Damage::OtherRules);
        assert_eq!(decode::<u64>(&whole, &EXPECTED).unwrap_err(), Damage::Malformed);
    }

    #[test]
    fn a_payload_that_lies_about_its_size_is_a_miss() {
        let payload = canonical_bytes(&vec!["x".repeat(5000)]).unwrap();
        let (packed, size) = (gzip(&payload).unwrap(), payload.len() as u64);
        let read = |inflated, packed: &[u8]| {
            let kind = EXPECTED.kind;
            let whole = assemble(kind, CODEC_GZIP_MESSAGEPACK, header(), inflated, packed).unwrap();
            decode::<Vec<String>>(&whole, &EXPECTED).map(|(_, value)| value[0].len())
        };
        assert_eq!(read(size, &packed), Ok(5000));
        assert_eq!(read(size - 1, &packed), Err(Damage::TooLarge));
        assert_eq!(read(0, &packed), Err(Damage::TooLarge));
        assert_eq!(read(size + 1, &packed), Err(Damage::Malformed));
        assert_eq!(read(size, &packed[..packed.len() - 9]), Err(Damage::Malformed));
    }
}
