//! The access log: what was asked and how it was answered, the one channel from the gateways back to the warmer. Writer
//! and parser are here together; the format is described in `docs/access-log.md`.
//!
//! - [`record`]: requests and refreshes; [`request_line`]: a request as it is written; [`mod@line`]: their lines of JSON.
//! - [`lines`]: the lines of a file, plain or gzip.
//! - [`combined`]: lines of nginx and Apache, read as the same events.
//! - [`file_id`]: how a log file is told from another one at the same path.
//!
//! Parsers are total: whatever a line holds, the outcome is an event or an error that names the place.

pub mod combined;
pub mod file_id;
pub mod line;
pub mod lines;
pub mod record;
pub mod request_line;

use sha2::{Digest as _, Sha256};

pub use file_id::FileId;
pub use record::{Event, NoQuestion, Outcome, Refresh, Request};
pub use request_line::RequestLine;

/// Version of the lines that are written, and the only one that is read.
pub const VERSION: u32 = 1;
/// Longest path and query, together, that a line holds; what is longer is cut and marked. The gateway refuses longer ones.
pub const MAX_TARGET_BYTES: usize = 64 << 10;
/// Longest line: a target of which every byte is escaped fits, with the names of many stores.
pub const MAX_LINE_BYTES: usize = 256 << 10;
/// Hexadecimal digits of a token's id.
pub const TOKEN_ID_DIGITS: usize = 12;

/// Why a line is no event. Positions are bytes from the line's start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Nothing but blanks.
    #[error("the line is empty")]
    Empty,
    /// Longer than [`MAX_LINE_BYTES`].
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// Another version, of a newer gateway.
    #[error("version {0} of the format is unknown; update the reader")]
    Version(u32),
    /// A sound line of a server that got no HTTP request (`"-"`, or the bytes of a TLS hello).
    #[error("byte {at}: no request")]
    NoRequest {
        /// Where the request should be.
        at: usize,
    },
    /// Anything else.
    #[error("byte {at}: {what}")]
    Malformed {
        /// Where.
        at: usize,
        /// What is wrong there.
        what: String,
    },
}

impl LineError {
    fn malformed(at: usize, what: impl Into<String>) -> Self {
        Self::Malformed { at, what: what.into() }
    }
}

/// Reads a line without its end: JSON if it starts with a brace, else the combined format.
///
/// # Errors
/// What is wrong with it, and where.
pub fn parse_line(line: &[u8]) -> Result<Event, LineError> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineError::TooLong);
    }
    match line.trim_ascii() {
        [] => Err(LineError::Empty),
        [b'{', ..] => line::parse(line.trim_ascii_end()),
        _ => combined::parse(line.trim_ascii_end()).map(Event::Request),
    }
}

/// A short id of a bearer token: the first 12 digits of its SHA-256. Always the same for the same token, and of no use
/// to whoever wants the token, as long as tokens are long random texts.
#[must_use]
pub fn token_id(token: &[u8]) -> String {
    let hash = Sha256::digest(token);
    let mut id: String =
        hash.iter().take(TOKEN_ID_DIGITS.div_ceil(2)).map(|byte| format!("{byte:02x}")).collect();
    id.truncate(TOKEN_ID_DIGITS);
    id
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn token_ids_are_the_start_of_the_hash() {
        // printf %s abc | sha256sum
        assert_eq!(token_id(b"abc"), "ba7816bf8f01");
    }

    #[test]
    fn lines_without_content_are_empty() {
        for line in [&b""[..], b"  ", b"\r", b"\t \r"] {
            assert_eq!(parse_line(line), Err(LineError::Empty));
        }
        assert_eq!(parse_line(&vec![b'x'; MAX_LINE_BYTES + 1]), Err(LineError::TooLong));
    }

    proptest! {
        #[test]
        fn garbage_is_an_error(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_line(&line);
        }

        #[test]
        fn damaged_lines_are_no_panic(at in 0usize..300, byte in any::<u8>(), cut in 0usize..300) {
            let request = Request { path: "/v1/stores".into(), query: "a=1".into(), ..Request::default() };
            let mut json = Vec::new();
            line::write(&Event::Request(request), &mut json).unwrap();
            let combined = br#"1.2.3.4 - joe [21/Nov/2026:06:46:49 +0000] "GET /v1/stores?a=1 HTTP/1.1" 200 5 "-" "x\"y""#;
            for line in [&json[..json.len() - 1], &combined[..]] {
                let mut line = line.to_vec();
                if let Some(place) = line.get_mut(at) {
                    *place = byte;
                }
                line.truncate(cut.max(1));
                let _ = parse_line(&line);
            }
        }
    }
}
