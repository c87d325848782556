//! The first bytes of a file, by which it is known again.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Most bytes that count.
const HEAD_BYTES: usize = 1 << 10;

/// Hashes of what a stream starts with; only bytes that were read count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Length of the first line, with its end, or of what of it counts.
    line: usize,
    line_hash: u64,
    /// Length of all that counts.
    len: usize,
    hash: u64,
}

/// What a file's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// It holds the stream.
    Same,
    /// It is shorter, and starts alike: a copy that is being made, or another file.
    Perhaps,
    /// It holds something else.
    Other,
}

impl Head {
    /// Of a stream that starts with `start` and was read up to `position`.
    pub(super) fn new(start: &[u8], position: u64) -> Option<Self> {
        let read = usize::try_from(position).unwrap_or(usize::MAX).min(HEAD_BYTES);
        let start = start.get(..read).filter(|start| !start.is_empty())?;
        let line = start.iter().position(|byte| *byte == b'\n').map_or(start.len(), |at| at + 1);
        Some(Self { line, line_hash: xxh3_64(&start[..line]), len: start.len(), hash: xxh3_64(start) })
    }

    /// Whether more bytes would count.
    pub(super) fn may_grow(&self) -> bool {
        self.len < HEAD_BYTES
    }

    pub(super) fn likeness(&self, start: &[u8]) -> Likeness {
        let equal = |len: usize, hash: u64| start.get(..len).is_some_and(|start| xxh3_64(start) == hash);
        if start.len() >= self.len {
            if equal(self.len, self.hash) { Likeness::Same } else { Likeness::Other }
        } else if equal(self.line, self.line_hash) {
            Likeness::Perhaps
        } else {
            Likeness::Other
        }
    }
}

/// The bytes of a file that may count.
pub(super) fn start_of(file: &mut File) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(HEAD_BYTES);
    file.seek(SeekFrom::Start(0))?;
    file.take(HEAD_BYTES as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// Whether a file is compressed, whatever its name: gzip, zstd, xz, bzip2.
pub(super) fn is_compressed(start: &[u8]) -> bool {
    [&b"\x1f\x8b"[..], b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh"]
        .iter()
        .any(|magic| start.starts_with(magic))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn tells_copies_from_others() {
        let text = b"first\nsecond\nthird\n";
        let head = Head::new(text, 13).unwrap();
        assert_eq!(head.likeness(text), Likeness::Same);
        assert_eq!(head.likeness(&text[..13]), Likeness::Same);
        assert_eq!(head.likeness(&text[..12]), Likeness::Perhaps);
        assert_eq!(head.likeness(&text[..6]), Likeness::Perhaps);
        for other in [&text[..5], b"", b"first\nSecond\nthird\n", b"1\n"] {
            assert_eq!(head.likeness(other), Likeness::Other);
        }
        assert_eq!(Head::new(text, 0), None);
        let long = vec![b'x'; 5000];
        let head = Head::new(&long, 5000).unwrap();
        assert!(!head.may_grow() && head.likeness(&long) == Likeness::Same);
    }
}
