//! gzip of bytes that are sent as they are, and its inverse. Payloads of entries have their own, with MessagePack.

use std::io::{Read, Write as _};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

/// gzip of bytes that are sent as they are.
///
/// # Errors
/// If they cannot be compressed.
pub fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    gzip_at(bytes, Compression::fast())
}

/// As [`gzip`], as small as it gets: for what is compressed once and sent often.
///
/// # Errors
/// If they cannot be compressed.
pub fn gzip_small(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    gzip_at(bytes, Compression::best())
}

#[allow(clippy::disallowed_methods, reason = "the owner of gzip")]
fn gzip_at(bytes: &[u8], level: Compression) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), level);
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// gzip of what comes piece by piece: each piece can be inflated as soon as it is there. What was sent before makes later pieces
/// small. Takes about 300 kB of memory.
#[derive(Debug)]
pub struct GzipPieces(GzEncoder<Vec<u8>>);

impl Default for GzipPieces {
    #[allow(clippy::disallowed_methods, reason = "the owner of gzip")]
    fn default() -> Self {
        Self(GzEncoder::new(Vec::new(), Compression::fast()))
    }
}

impl GzipPieces {
    /// The next piece.
    ///
    /// # Errors
    /// If it cannot be compressed.
    pub fn next(&mut self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        self.0.write_all(bytes)?;
        self.0.flush()?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    /// What ends it.
    ///
    /// # Errors
    /// If it cannot be compressed.
    pub fn end(self) -> std::io::Result<Vec<u8>> {
        self.0.finish()
    }
}

/// Inflates a gzip file (also several members) while it is read; ends without an error after `limit` bytes.
#[allow(clippy::disallowed_methods, reason = "the owner of gzip")]
pub fn gunzip(reader: impl std::io::BufRead, limit: u64) -> impl Read {
    MultiGzDecoder::new(reader).take(limit)
}
