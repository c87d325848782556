//! What an entry says of itself, whatever is expected of it: for those who look at a cache from outside.

use xxhash_rust::xxh3::xxh3_64;

use super::{Damage, EntryKind, Header, kind, open};

/// What an entry says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it holds; `None` for a number that no kind has.
    pub kind: Option<EntryKind>,
    /// Header.
    pub header: Header,
    /// Bytes of the payload as stored, as the header says.
    pub payload: u64,
    /// Bytes of the payload when inflated, as the header says.
    pub inflated: u64,
    /// What is wrong with the payload as stored: its length or its checksum.
    pub damage: Option<Damage>,
}

/// Reads the header of an entry; of its payload only length and checksum are compared. The first bytes of an entry
/// are enough for the header.
///
/// # Errors
/// If there is no header to be read.
pub fn look(bytes: &[u8]) -> Result<Look, Damage> {
    let (_, _, stored, payload) = open(bytes)?;
    let damage = if stored.length != payload.len() as u64 {
        Some(Damage::Truncated)
    } else {
        (stored.checksum != xxh3_64(payload)).then_some(Damage::Checksum)
    };
    Ok(Look {
        kind: kind(bytes),
        header: stored.header,
        payload: stored.length,
        inflated: stored.inflated,
        damage,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::entry::{canonical_bytes, encode};
    use crate::model::DataVersion;

    #[test]
    fn says_what_it_is_and_what_is_wrong() {
        let header = Header {
            question: "cells 2026-03-07 1001".into(),
            rules: 7,
            computed_at: 1,
            as_of: None,
            data_version: DataVersion::of(b"x"),
            soft_expiry: 2,
        };
        let payload = canonical_bytes(&"x".repeat(500)).unwrap();
        let whole = encode(EntryKind::DayCell, header.clone(), &payload).unwrap();
        let seen = look(&whole).unwrap();
        assert_eq!((seen.kind, &seen.header, seen.damage), (Some(EntryKind::DayCell), &header, None));
        assert_eq!(seen.inflated, payload.len() as u64);
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(look(&flipped).unwrap().damage, Some(Damage::Checksum));
        let cut = look(&whole[..whole.len() - 3]).unwrap();
        assert_eq!((cut.damage, cut.header), (Some(Damage::Truncated), header));
        assert_eq!(look(&whole[..20]), Err(Damage::Truncated));
        assert_eq!(look(b"1234567890123456"), Err(Damage::Foreign));
    }
}
