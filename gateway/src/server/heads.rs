//! Heads of HTTP/1 requests that two servers may read in different ways (RFC 9112, 2.2 and 6.1): lines that end with a bare
//! LF, and two statements of the body's length. hyper lets both pass, so they are broken here before it sees them, and
//! it refuses them with 400. After a request with a body nothing more is read from the connection, so that every byte
//! of every head is seen.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH as LENGTH, TRANSFER_ENCODING as ENCODING};
use memchr::memchr;

/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const CONTENT_LENGTH: &[u8] = b"content-length";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding";
/// As much of a line as tells these names.
const NAME_BYTES: usize = TRANSFER_ENCODING.len() + 1;

/// Reads heads as they pass.
#[derive(Debug)]
pub struct Heads {
    /// Bytes of the preface that fit so far; `None` once it is settled which HTTP it is.
    preface: Option<usize>,
    /// False once nothing that comes is a head.
    on: bool,
    last: u8,
    /// Lines of this head before the one that is being read.
    lines: u64,
    name: [u8; NAME_BYTES],
    /// Bytes of the line so far.
    length: usize,
    has_length: bool,
    has_encoding: bool,
}

/// What came to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing new.
    Nothing,
    /// The connection speaks HTTP/2; no need to look further.
    Http2,
    /// A head that must not be read; it is broken now.
    Refused,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1, or nothing that is known.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Default for Heads {
    fn default() -> Self {
        Self::new()
    }
}

impl Heads {
    /// At the begin of a connection.
    #[must_use]
    pub fn new() -> Self {
        Self {
            preface: Some(0),
            on: true,
            last: 0,
            lines: 0,
            name: [0; NAME_BYTES],
            length: 0,
            has_length: false,
            has_encoding: false,
        }
    }

    /// Which HTTP it is, as soon as that is settled.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        match self.preface {
            None => Some(Version::Http1),
            Some(known) => (known == PREFACE.len()).then_some(Version::Http2),
        }
    }

    /// Looks at bytes that came, before they are parsed. Of a head that must not be read one byte is replaced, so that no
    /// parser takes it.
    pub fn look(&mut self, bytes: &mut [u8]) -> Seen {
        if !self.on {
            return Seen::Nothing;
        }
        if self.is_http2(bytes) {
            self.on = false;
            return Seen::Http2;
        }
        let mut at = 0;
        while let Some(offset) = memchr(b'\n', &bytes[at..]) {
            let end = at + offset;
            self.add(&bytes[at..end]);
            let before = if end > 0 { bytes[end - 1] } else { self.last };
            if before != b'\r' || !self.ends_line() {
                // No part of a head may hold it, so the parser stops here whatever came before.
                bytes[end] = 0;
                self.on = false;
                return Seen::Refused;
            }
            if !self.on {
                return Seen::Nothing;
            }
            at = end + 1;
        }
        self.add(&bytes[at..]);
        if let Some(last) = bytes.last() {
            self.last = *last;
        }
        Seen::Nothing
    }

    fn is_http2(&mut self, bytes: &[u8]) -> bool {
        let Some(known) = self.preface else { return false };
        let rest = &PREFACE[known..];
        let count = rest.len().min(bytes.len());
        if bytes[..count] != rest[..count] {
            self.preface = None;
            return false;
        }
        self.preface = Some(known + count);
        count == rest.len()
    }

    /// Adds to the line.
    fn add(&mut self, part: &[u8]) {
        let from = self.length.min(NAME_BYTES);
        let count = part.len().min(NAME_BYTES - from);
        self.name[from..from + count].copy_from_slice(&part[..count]);
        self.length += part.len();
    }

    /// Ends the line; false if the head must not be read.
    fn ends_line(&mut self) -> bool {
        let line = &self.name[..self.length.min(NAME_BYTES)];
        if self.length == 1 {
            // Only CR. Before a request such lines are left out.
            if self.lines > 0 {
                self.on = !(self.has_length || self.has_encoding);
                (self.lines, self.has_length, self.has_encoding) = (0, false, false);
            }
        } else {
            self.lines += 1;
            if let Some(colon) = line.iter().position(|byte| *byte == b':') {
                self.has_length |= line[..colon].eq_ignore_ascii_case(CONTENT_LENGTH);
                self.has_encoding |= line[..colon].eq_ignore_ascii_case(TRANSFER_ENCODING);
            }
        }
        self.length = 0;
        !(self.has_length && self.has_encoding)
    }
}

/// Whether a head announces a body, also an empty one. No request is read behind it.
#[must_use]
pub fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(LENGTH) || headers.contains_key(ENCODING)
}

/// Whether the coding of a body is one that all servers undo alike: none, or `chunked` and nothing before it. hyper undoes
/// only the last one of a list, `gzip, chunked` or `chunked, chunked` (RFC 9112, 6.1).
#[must_use]
pub fn is_plainly_coded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(ENCODING).iter();
    codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        && codings.next().is_none()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// What is seen when the bytes come in pieces of `size`.
    fn seen(text: &[u8], size: usize) -> (Vec<u8>, Vec<Seen>) {
        let mut heads = Heads::new();
        let (mut passed, mut news) = (Vec::new(), Vec::new());
        for piece in text.chunks(size) {
            let mut piece = piece.to_vec();
            let what = heads.look(&mut piece);
            if what != Seen::Nothing {
                news.push(what);
            }
            passed.extend(piece);
        }
        (passed, news)
    }

    const GOOD: &[u8] =
        b"\r\nGET / HTTP/1.1\r\nhost: x\r\nx-content-length: 1\r\n\r\nGET /b HTTP/1.1\r\n\r\n";

    #[test]
    fn whatever_the_pieces() {
        for size in 1..40 {
            assert_eq!(seen(GOOD, size), (GOOD.to_vec(), vec![]), "{size}");
            for bad in [
                &b"GET / HTTP/1.1\nhost: x\r\n\r\n"[..],
                b"GET / HTTP/1.1\r\nhost: x\n\r\n",
                b"GET / HTTP/1.1\r\nhost: x\r\n\n",
                b"\nGET / HTTP/1.1\r\n\r\n",
                b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTRANSFER-ENCODING: chunked\r\n\r\n",
                b"POST / HTTP/1.1\r\ntransfer-encoding:chunked\r\na: b\r\ncontent-length:3\r\n\r\n",
            ] {
                let both = [GOOD, bad].concat();
                let (passed, news) = seen(&both, size);
                assert_eq!(news, [Seen::Refused], "{size} {bad:?}");
                let broken: Vec<usize> = (0..both.len()).filter(|at| passed[*at] != both[*at]).collect();
                assert_eq!((broken.len(), passed[broken[0]], both[broken[0]]), (1, 0, b'\n'));
            }
        }
    }

    #[test]
    fn one_coding_is_plain() {
        let coded = |values: &[&'static str]| {
            let values = values.iter().map(|value| (ENCODING, http::HeaderValue::from_static(value)));
            is_plainly_coded(&values.fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            }))
        };
        assert!(coded(&[]) && coded(&["chunked"]) && coded(&["Chunked"]));
        for codings in [
            &["gzip, chunked"][..],
            &["gzip"],
            &["chunked", "chunked"],
            &["chunked, chunked"],
            &["chunked;a"],
        ] {
            assert!(!coded(codings), "{codings:?}");
        }
    }

    #[test]
    fn bodies_and_frames_are_left_alone() {
        for size in 1..60 {
            let body = b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\na\nb\nGET / HTTP/1.1\n\n";
            assert_eq!(seen(body, size), (body.to_vec(), vec![]));
            let frames = [PREFACE, b"\x00\n\n\n content-length"].concat();
            assert_eq!(seen(&frames, size), (frames.clone(), vec![Seen::Http2]));
        }
        let version = |bytes: &[u8]| {
            let mut heads = Heads::new();
            heads.look(&mut bytes.to_vec());
            heads.version()
        };
        assert_eq!(version(PREFACE), Some(Version::Http2));
        assert_eq!((version(&PREFACE[..20]), version(b"")), (None, None));
        assert_eq!((version(b"P"), version(b"PO")), (None, Some(Version::Http1)));
        // What only begins as HTTP/2 does is looked at.
        assert_eq!(seen(b"PRI * HTTP/1.1\n\n", 5).1, [Seen::Refused]);
    }
}
