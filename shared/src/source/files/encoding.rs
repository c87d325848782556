//! Which encoding a text file has: UTF-8, else GB18030, decided by validating the whole of it.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use encoding_rs::{DecoderResult, GB18030};

use super::cannot_read;
use crate::source::{SourceError, SourceErrorKind};

/// The encoding of a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// GB18030, of which GBK and GB2312 are parts; with the offset of the first byte that is not UTF-8.
    Gb18030 {
        /// Offset of the first byte that is not UTF-8.
        not_utf8_at: u64,
    },
}

impl Encoding {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Gb18030 { .. } => "GB18030",
        }
    }

    /// Text of bytes that were validated. Neither line feed nor quote nor comma is ever part of a longer character,
    /// so a file may be cut at them.
    pub(super) fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes),
            Self::Gb18030 { .. } => GB18030.decode_without_bom_handling(bytes).0,
        }
    }
}

const CHUNK: usize = 256 * 1024;

/// The encoding of a file, which is left at its start.
///
/// # Errors
/// When it is neither; with the offset of the first byte that fits none.
pub(super) fn detect(file: &mut File, path: &Path) -> Result<Encoding, SourceError> {
    let failed = |cause| cannot_read(path, cause);
    let utf8 = first_invalid_utf8(file).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let Some(not_utf8_at) = utf8 else { return Ok(Encoding::Utf8) };
    let gb18030 = first_invalid_gb18030(file).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    match gb18030 {
        None => Ok(Encoding::Gb18030 { not_utf8_at }),
        Some(not_gb18030_at) => Err(SourceError::new(
            SourceErrorKind::File,
            format!(
                "{} is neither UTF-8 (byte offset {not_utf8_at}) nor GB18030 (byte offset {not_gb18030_at})",
                path.display()
            ),
            "save it as CSV UTF-8, or export it again if it is damaged",
        )),
    }
}

/// Offset of the first byte that is not UTF-8.
fn first_invalid_utf8(input: &mut impl Read) -> std::io::Result<Option<u64>> {
    let mut buffer = vec![0; CHUNK];
    let (mut start, mut kept) = (0u64, 0);
    loop {
        let read = input.read(&mut buffer[kept..])?;
        let end = kept + read;
        let valid = match std::str::from_utf8(&buffer[..end]) {
            Ok(_) => end,
            Err(error) if error.error_len().is_none() && read > 0 => error.valid_up_to(),
            Err(error) => return Ok(Some(start + error.valid_up_to() as u64)),
        };
        if read == 0 {
            return Ok(None);
        }
        buffer.copy_within(valid..end, 0);
        (start, kept) = (start + valid as u64, end - valid);
    }
}

/// Offset of the first byte that is not GB18030.
fn first_invalid_gb18030(input: &mut impl Read) -> std::io::Result<Option<u64>> {
    let mut decoder = GB18030.new_decoder_without_bom_handling();
    let (mut buffer, mut text) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut start = 0u64;
    loop {
        let read = input.read(&mut buffer)?;
        let mut at = 0;
        loop {
            let (result, used, _) =
                decoder.decode_to_utf8_without_replacement(&buffer[at..read], &mut text, read == 0);
            at += used;
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(length, after) => {
                    let end = start + at as u64;
                    return Ok(Some(end.saturating_sub(u64::from(length) + u64::from(after))));
                }
            }
        }
        if read == 0 {
            return Ok(None);
        }
        start += read as u64;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn offsets_are_those_of_the_first_bad_byte() {
        assert_eq!(first_invalid_utf8(&mut "薯片".as_bytes()).unwrap(), None);
        assert_eq!(first_invalid_utf8(&mut &b"abc\xff"[..]).unwrap(), Some(3));
        assert_eq!(first_invalid_utf8(&mut &"ab片".as_bytes()[..4]).unwrap(), Some(2));
        let mut long = vec![b'a'; CHUNK - 1];
        long.extend("片\u{ff}".as_bytes());
        assert_eq!(first_invalid_utf8(&mut &long[..]).unwrap(), None);
        long.push(0xff);
        assert_eq!(first_invalid_utf8(&mut &long[..]).unwrap(), Some(long.len() as u64 - 1));
        let gbk = GB18030.encode("薯片abc").0;
        assert_eq!(first_invalid_gb18030(&mut &gbk[..]).unwrap(), None);
        assert_eq!(first_invalid_gb18030(&mut &b"abc\xff\xff"[..]).unwrap(), Some(3));
        assert_eq!(first_invalid_gb18030(&mut &b"abc\xb0"[..]).unwrap(), Some(3));
    }

    proptest! {
        #[test]
        fn gb18030_may_be_cut_at_line_feeds(text in "[\\PC\n]*") {
            let bytes = GB18030.encode(&text).0;
            prop_assert_eq!(first_invalid_gb18030(&mut &bytes[..]).unwrap(), None);
            let gb18030 = Encoding::Gb18030 { not_utf8_at: 0 };
            let pieces: String = bytes.split_inclusive(|b| *b == b'\n').map(|line| gb18030.decode(line)).collect();
            prop_assert_eq!(pieces, gb18030.decode(&bytes));
        }
    }
}
