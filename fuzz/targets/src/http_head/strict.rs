//! A reader of HTTP/1 requests that takes nothing on which RFC 9112 lets servers differ.

use super::Request;

/// Reads one request after the other.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

type Refused = &'static str;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next request, or why it is none.
    pub(super) fn next(&mut self) -> Result<Request, Refused> {
        // Before a request empty lines are left out (RFC 9112, 2.2).
        while let Some(rest) = self.rest.strip_prefix(b"\r\n") {
            self.rest = rest;
        }
        let (method, target, version) = request_line(self.line()?)?;
        let headers = self.headers()?;
        let framing = framing(&headers, version)?;
        let body = match framing {
            Framing::None => Some(Vec::new()),
            Framing::Length(length) => self.take(length).map(<[u8]>::to_vec),
            Framing::Chunked => self.chunks(),
        };
        let headers = super::without_length(headers);
        Ok(Request { method, target, headers, has_body: framing != Framing::None, body })
    }

    /// The bytes up to the next CRLF, which is passed.
    fn line(&mut self) -> Result<&'a [u8], Refused> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or("a line has no end")?;
        let line = self.rest[..end].strip_suffix(b"\r").ok_or("a line ends with a bare LF")?;
        self.rest = &self.rest[end + 1..];
        if line.contains(&b'\r') {
            return Err("a line holds a bare CR");
        }
        Ok(line)
    }

    fn headers(&mut self) -> Result<Vec<(String, Vec<u8>)>, Refused> {
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let colon = line.iter().position(|byte| *byte == b':').ok_or("a header line has no colon")?;
            let (name, value) = (&line[..colon], &line[colon + 1..]);
            if name.is_empty() || !name.iter().copied().all(is_token) {
                return Err("a header has no sound name");
            }
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            if value.contains(&0) {
                return Err("a header holds NUL");
            }
            headers.push((name, trim(value).to_vec()));
        }
        headers.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(headers)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// A body in chunks, without its trailers; `None` if it breaks off, or is not sound.
    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line().ok()?;
            let size = line.split(|byte| *byte == b';').next()?;
            let size = std::str::from_utf8(trim(size)).ok()?;
            if !size.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            let size = usize::from_str_radix(size, 16).ok()?;
            // Trailers may follow, but nothing behind a body is read as a request.
            if size == 0 {
                return Some(body);
            }
            body.extend_from_slice(self.take(size)?);
            self.take(2).filter(|end| end == b"\r\n")?;
        }
    }
}

fn request_line(line: &[u8]) -> Result<(String, String, &str), Refused> {
    let line = std::str::from_utf8(line).map_err(|_| "the request line is not UTF-8")?;
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("the request line has not three parts");
    };
    if method.is_empty() || !method.bytes().all(is_token) {
        return Err("the method is no token");
    }
    if !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
        return Err("the version is unknown");
    }
    Ok((method.to_owned(), path_and_query(target).to_owned(), version))
}

/// Path and query, where the target says nothing else (RFC 9112, 3.2).
fn path_and_query(target: &str) -> &str {
    if target.starts_with('/') || target == "*" { target.split('#').next().unwrap_or_default() } else { "" }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    None,
    Length(usize),
    Chunked,
}

fn framing(headers: &[(String, Vec<u8>)], version: &str) -> Result<Framing, Refused> {
    let named = |wanted: &'static str| {
        headers.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value.as_slice())
    };
    let mut lengths = named("content-length");
    let mut codings = named("transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Framing::None),
        (Some(_), Some(_)) => Err("the length is stated twice"),
        (Some(length), None) => {
            let length = number(length)?;
            // The same again says nothing else (RFC 9112, 6.3).
            if lengths.any(|other| number(other) != Ok(length)) {
                return Err("two lengths are stated");
            }
            Ok(Framing::Length(length))
        }
        (None, Some(coding)) => {
            // Of several codings a server may undo all, or the last one.
            if version != "HTTP/1.1" || !coding.eq_ignore_ascii_case(b"chunked") || codings.next().is_some() {
                return Err("the body is in other codings than chunks");
            }
            Ok(Framing::Chunked)
        }
    }
}

fn number(digits: &[u8]) -> Result<usize, Refused> {
    let digits =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or("the length is no number")
}

/// Without blanks and tabs around.
fn trim(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let from = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    let to = text.iter().rposition(|byte| !blank(byte)).map_or(from, |at| at + 1);
    &text[from..to]
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
