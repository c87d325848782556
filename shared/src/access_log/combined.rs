//! The "combined" (and "common") format of nginx and Apache:
//! `host ident user [21/Nov/2026:06:46:49 +0000] "GET /path?query HTTP/1.1" 200 1234 "referer" "agent"`. What follows the
//! number of bytes is not read, so logs with further fields at the end fit too.

use std::borrow::Cow;

use super::LineError;
use super::record::{Request, known_method};
use crate::answers::parameters::Route;
use crate::model::Day;

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
/// Longest name of a user that is kept.
const MAX_USER_BYTES: usize = 128;

/// Reads one line.
///
/// # Errors
/// [`LineError::NoRequest`] for a sound line whose request is no HTTP; otherwise what is wrong, and where.
pub fn parse(line: &[u8]) -> Result<Request, LineError> {
    let mut fields = Fields { line, at: 0 };
    fields.word("a host")?;
    fields.word("an ident")?;
    let user = fields.user()?;
    let time = fields.time()?;
    let request_at = fields.at;
    let request = fields.quoted()?;
    let status = fields.word("a status")?;
    let status_at = fields.at - status.len() - 1;
    let status = number(status)
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (100..=999).contains(status))
        .ok_or_else(|| LineError::malformed(status_at, "a status of three digits is expected"))?;
    let bytes_at = fields.at;
    let bytes = match fields.last_word() {
        b"-" => 0,
        bytes => number(bytes)
            .ok_or_else(|| LineError::malformed(bytes_at, "a number of bytes or - is expected"))?,
    };
    let (method, path, query) = split_request(&request).ok_or(LineError::NoRequest { at: request_at })?;
    Ok(Request {
        time,
        token: user,
        kind: Route::of(path).map(|route| route.kind()),
        method: known_method(method),
        path: path.to_owned(),
        query: query.to_owned(),
        status,
        bytes,
        ..Request::default()
    })
}

/// Method, path and query of `GET /path?query HTTP/1.1`.
fn split_request(request: &[u8]) -> Option<(&str, &str, &str)> {
    let request = std::str::from_utf8(request).ok()?;
    let (method, rest) = request.split_once(' ')?;
    let (target, protocol) = rest.rsplit_once(' ')?;
    let known = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    if !known || !protocol.starts_with("HTTP/") {
        return None;
    }
    // A proxy may be asked for http://host/path.
    let target = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    if !target.starts_with('/') && target != "*" {
        return None;
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Some((method, path, query))
}

fn number(digits: &[u8]) -> Option<u64> {
    let digit = |sum: u64, byte: &u8| {
        byte.is_ascii_digit().then_some(())?;
        sum.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, digit) }
}

/// A line and how far it was read.
struct Fields<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn rest(&self) -> &'a [u8] {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn expect(&mut self, text: &[u8], what: &str) -> Result<(), LineError> {
        if !self.rest().starts_with(text) {
            return Err(LineError::malformed(self.at, format!("{what} is expected")));
        }
        self.at += text.len();
        Ok(())
    }

    /// The bytes up to the next blank, which is passed.
    fn word(&mut self, what: &str) -> Result<&'a [u8], LineError> {
        let rest = self.rest();
        match rest.iter().position(|byte| *byte == b' ') {
            Some(length) if length > 0 => {
                self.at += length + 1;
                Ok(&rest[..length])
            }
            _ => Err(LineError::malformed(self.at, format!("{what} and a blank are expected"))),
        }
    }

    /// The bytes up to the next blank or the end.
    fn last_word(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// The user, who may have blanks in his name: everything up to the time.
    fn user(&mut self) -> Result<Option<String>, LineError> {
        let rest = self.rest();
        let end = rest.windows(2).position(|pair| pair == b" [").filter(|end| *end > 0);
        let Some(end) = end else {
            return Err(LineError::malformed(self.at, "a user and a time in [] are expected"));
        };
        self.at += end + 1;
        let user = &rest[..end.min(MAX_USER_BYTES)];
        Ok((user != b"-").then(|| String::from_utf8_lossy(user).into_owned()))
    }

    /// `[21/Nov/2026:06:46:49 +0000] `, in milliseconds since 1970.
    fn time(&mut self) -> Result<i64, LineError> {
        let start = self.at;
        let wrong = || LineError::malformed(start, "a time such as [21/Nov/2026:06:46:49 +0000] is expected");
        let text: &[u8; 28] = self.rest().first_chunk().ok_or_else(wrong)?;
        let layout =
            [(0, b'['), (3, b'/'), (7, b'/'), (12, b':'), (15, b':'), (18, b':'), (21, b' '), (27, b']')];
        if layout.iter().any(|(at, byte)| text[*at] != *byte) {
            return Err(wrong());
        }
        let part = |from: usize, to: usize, most: u64| {
            number(&text[from..to])
                .filter(|value| *value <= most)
                .and_then(|value| i64::try_from(value).ok())
                .ok_or_else(wrong)
        };
        let month = MONTHS.iter().position(|month| *month == &text[4..7]).ok_or_else(wrong)?;
        let (year, day) = (part(8, 12, 2199)?, part(1, 3, 31)?);
        let ymd = (i32::try_from(year), u32::try_from(month + 1), u32::try_from(day));
        let (Ok(year), Ok(month), Ok(day)) = ymd else { return Err(wrong()) };
        let date = Day::from_ymd(year, month, day).ok_or_else(wrong)?;
        // A leap second is the 60th.
        let seconds = part(13, 15, 23)? * 3600 + part(16, 18, 59)? * 60 + part(19, 21, 60)?;
        let zone = part(23, 25, 23)? * 3600 + part(25, 27, 59)? * 60;
        let zone = match text[22] {
            b'+' => zone,
            b'-' => -zone,
            _ => return Err(wrong()),
        };
        self.at += text.len();
        self.expect(b" ", "a blank")?;
        Ok((i64::from(date.0) * 86_400 + seconds - zone).max(0) * 1000)
    }

    /// `"…" ` with escapes: `\"`, `\\`, `\n`, `\r`, `\t`, `\v`, `\xhh`, and `\/` of those who escape as JSON does.
    fn quoted(&mut self) -> Result<Cow<'a, [u8]>, LineError> {
        self.expect(b"\"", "a quotation mark")?;
        let rest = self.rest();
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len());
        if rest.get(plain) == Some(&b'"') {
            self.at += plain + 1;
            self.expect(b" ", "a blank")?;
            return Ok(Cow::Borrowed(&rest[..plain]));
        }
        let mut text = rest[..plain].to_vec();
        self.at += plain;
        loop {
            let (byte, length) = match *self.rest() {
                [] => return Err(LineError::malformed(self.at, "the closing quotation mark is missing")),
                [b'"', ..] => break,
                [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    (hex(high) << 4 | hex(low), 4)
                }
                [b'\\', escaped, ..] => (unescaped(escaped).ok_or_else(|| self.unknown_escape())?, 2),
                [b'\\'] => return Err(self.unknown_escape()),
                [byte, ..] => (byte, 1),
            };
            text.push(byte);
            self.at += length;
        }
        self.at += 1;
        self.expect(b" ", "a blank")?;
        Ok(Cow::Owned(text))
    }

    fn unknown_escape(&self) -> LineError {
        LineError::malformed(self.at, "there is no such escape")
    }
}

fn unescaped(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' | b'/' => byte,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'f' => 12,
        b'v' => 11,
        _ => return None,
    })
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Request, LineError> {
        parse(line.as_bytes())
    }

    /// A line with this request.
    fn requested(request: &str) -> Result<Request, LineError> {
        read(&format!("10.0.0.1 - - [21/Nov/2026:06:46:49 +0000] \"{request}\" 200 17 \"-\" \"curl\""))
    }

    #[test]
    fn reads_common_and_combined_lines() {
        let line = r#"c01 - - [20/Feb/2017:00:02:15 -0500] "GET /v1/metrics/stores?from=2017-02-13&to=2017-02-19 HTTP/1.1" 200 1766"#;
        let request = read(line).unwrap();
        // date -d '2017-02-20T00:02:15-05:00' +%s
        assert_eq!(request.time, 1_487_566_935_000);
        assert_eq!((request.method.as_ref(), request.path.as_str()), ("GET", "/v1/metrics/stores"));
        assert_eq!(request.query, "from=2017-02-13&to=2017-02-19");
        assert_eq!((request.status, request.bytes, request.kind), (200, 1766, Some("store_table")));
        assert_eq!((request.token, request.request_id), (None, None));
        let line = r#"::1 - joe the admin [29/Feb/2024:23:59:60 +0130] "HEAD /x HTTP/2.0" 304 - "http://a/\"b" "Mozilla" 0.003"#;
        let request = read(line).unwrap();
        assert_eq!(request.time, 1_709_245_800_000);
        assert_eq!(
            (request.token.as_deref(), request.bytes, request.status),
            (Some("joe the admin"), 0, 304)
        );
        assert_eq!((request.query.as_str(), request.kind), ("", None));
    }

    #[test]
    fn reads_escapes() {
        let request = requested(r#"GET /a\"b\\c\x41\xe9\x97\xa8?q=\x22 HTTP/1.1"#).unwrap();
        assert_eq!(
            (request.path.as_str(), request.query.as_str()),
            ("/a\"b\\cA門".replace('門', "门").as_str(), "q=\"")
        );
        let request = requested("GET http://shop:80/v1/stores?x HTTP/1.1").unwrap();
        assert_eq!((request.path.as_str(), request.query.as_str()), ("/v1/stores", "x"));
        assert_eq!(requested("GET /r?to=http://a/b HTTP/1.1").unwrap().query, "to=http://a/b");
    }

    #[test]
    fn what_is_no_request_is_told_apart() {
        for request in [
            "-",
            "",
            r"\x16\x03\x01",
            "GET",
            "GET /",
            "get / HTTP/1.1",
            "GET / FTP/1",
            "CONNECT a:1 HTTP/1.1",
            r"GET /\xff HTTP/1.1",
        ] {
            assert_eq!(requested(request), Err(LineError::NoRequest { at: 42 }), "{request}");
        }
    }

    #[test]
    fn errors_name_the_place() {
        let good = r#"h - - [21/Nov/2026:06:46:49 +0000] "GET / HTTP/1.1" 200 17"#;
        read(good).unwrap();
        for (from, to, at) in [
            ("21/Nov", "31/Nov", 6),
            ("Nov", "NOV", 6),
            ("+0000", "*0000", 6),
            ("06:46", "24:46", 6),
            ("2026", "1969", 6),
            ("\"GET", "GET", 35),
            ("1.1\" ", "1.1", 56),
            (" 200", " abc", 52),
            (" 17", " x", 56),
            ("h - - [", "h - -[", 4),
        ] {
            let line = good.replacen(from, to, 1);
            let error = read(&line).unwrap_err();
            assert!(
                matches!(&error, LineError::Malformed { at: place, .. } if *place == at),
                "{line}: {error}"
            );
        }
        for end in 0..good.len() - 3 {
            assert!(read(&good[..end]).is_err(), "{end}");
        }
    }
}
