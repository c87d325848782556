//! Lines of the access log: one JSON object each, the version first, then the type.

use std::io::Write as _;

use serde::Serialize;

use super::record::Event;
use super::request_line::{Question, RequestLine};
use super::{LineError, MAX_LINE_BYTES, VERSION};

/// Adds an event's line, with its end, to `out`.
///
/// # Errors
/// [`LineError::TooLong`] if the line is longer than readers take; nothing is added then.
pub fn write(event: &Event, out: &mut Vec<u8>) -> Result<(), LineError> {
    match event {
        Event::Request(request) => write_request(&request.into(), out),
        Event::Refresh(refresh) => write_object("refresh", out, |out| add_fields(refresh, out)),
    }
}

/// As [`write()`], of a request.
///
/// # Errors
/// As [`write()`].
pub fn write_request(request: &RequestLine<'_>, out: &mut Vec<u8>) -> Result<(), LineError> {
    let RequestLine { asker, question, answer } = request;
    write_object("request", out, |out| {
        add_fields(asker, out)?;
        match question {
            Question::Fields(fields) => add_fields(fields, out)?,
            Question::Written(written) => out.extend_from_slice(written.text().as_bytes()),
        }
        add_fields(answer, out)
    })
}

fn write_object(
    kind: &str,
    out: &mut Vec<u8>,
    fields: impl FnOnce(&mut Vec<u8>) -> Result<(), LineError>,
) -> Result<(), LineError> {
    let start = out.len();
    let begun = write!(out, "{{\"v\":{VERSION},\"type\":\"{kind}\"");
    let begun = begun.map_err(|error| LineError::malformed(0, error.to_string()));
    let written = begun.and_then(|()| fields(out));
    out.extend_from_slice(b"}\n");
    let written = written.and_then(|()| {
        let length = out.len() - start - 1;
        if length > MAX_LINE_BYTES { Err(LineError::TooLong) } else { Ok(()) }
    });
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Adds the fields of a record, each with a comma before it.
pub(super) fn add_fields<T: Serialize>(record: &T, out: &mut Vec<u8>) -> Result<(), LineError> {
    let at = out.len();
    serde_json::to_writer(&mut *out, record).map_err(|error| LineError::malformed(0, error.to_string()))?;
    // They go on in an object that was begun before, and will be ended later.
    if let Some(brace) = out.get_mut(at) {
        *brace = b',';
    }
    out.pop();
    Ok(())
}

/// Reads a line that starts with a brace.
pub(super) fn parse(line: &[u8]) -> Result<Event, LineError> {
    let mut start = Start { line, at: 0 };
    let version = start.version()?;
    if version != VERSION {
        return Err(LineError::Version(version));
    }
    let kind_at = start.at;
    // Checked once for the whole line, which is faster than text by text.
    let text = std::str::from_utf8(line)
        .map_err(|error| LineError::malformed(error.valid_up_to(), "the bytes are not UTF-8"))?;
    let wrong = |error: serde_json::Error| LineError::malformed(error.column(), error.to_string());
    let event = match start.kind()? {
        b"request" => Event::Request(serde_json::from_str(text).map_err(wrong)?),
        b"refresh" => Event::Refresh(serde_json::from_str(text).map_err(wrong)?),
        _ => return Err(LineError::malformed(kind_at, "the type is unknown")),
    };
    if event.time() < 0 {
        return Err(LineError::malformed(kind_at, "the time lies before 1970"));
    }
    Ok(event)
}

/// The start of a line, `{"v":1,"type":"request"`, read by hand: what follows depends on it.
struct Start<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Start<'a> {
    fn rest(&self) -> &'a [u8] {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn tokens(&mut self, tokens: &[&[u8]]) -> Result<(), LineError> {
        for token in tokens {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_ascii_start().len();
            if !self.rest().starts_with(token) {
                let token = String::from_utf8_lossy(token);
                return Err(LineError::malformed(self.at, format!("{token} is expected")));
            }
            self.at += token.len();
        }
        let rest = self.rest();
        self.at += rest.len() - rest.trim_ascii_start().len();
        Ok(())
    }

    fn version(&mut self) -> Result<u32, LineError> {
        self.tokens(&[b"{", b"\"v\"", b":"])?;
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(&self.rest()[..digits]).ok().and_then(|digits| digits.parse().ok());
        let number = number.ok_or_else(|| LineError::malformed(self.at, "a version is expected"))?;
        self.at += digits;
        Ok(number)
    }

    fn kind(&mut self) -> Result<&'a [u8], LineError> {
        self.tokens(&[b",", b"\"type\"", b":", b"\""])?;
        let rest = self.rest();
        let end = rest.iter().position(|byte| *byte == b'"');
        end.map(|end| &rest[..end]).ok_or_else(|| LineError::malformed(self.at, "the type has no end"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use std::borrow::Cow;

    use super::super::record::tests::request;
    use super::super::record::{Outcome, Refresh, Request, limited_stores};
    use super::super::{MAX_TARGET_BYTES, parse_line};
    use super::*;
    use crate::answers::parameters::Route;
    use crate::model::Day;
    use proptest::prelude::*;

    fn line(event: &Event) -> String {
        let mut out = Vec::new();
        write(event, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_lines_are_as_documented() {
        let expected = concat!(
            r#"{"v":1,"type":"request","time":1795243609123,"request_id":"r-1","token":"ba7816bf8f01","method":"GET","#,
            r#""path":"/v1/metrics/overview","query":"stores=a%2Cb,c","kind":"overview","stores":["a,b","c"],"store_count":2,"#,
            r#""last_day":"2026-03-07","status":200,"outcome":"l3-compose","stale":true,"bytes":1234,"duration_ms":12.345,"#,
            r#""instance":"127.0.0.1:8080"}"#,
            "\n"
        );
        assert_eq!(line(&Event::Request(request())), expected);
        let refresh = Refresh {
            requested_at: 5,
            token: None,
            stores: Some(vec!["门".into()]),
            from: Some("2026-03-07".parse().unwrap()),
            ..Refresh::default()
        };
        let expected = "{\"v\":1,\"type\":\"refresh\",\"requested_at\":5,\"token\":null,\"stores\":[\"门\"],\
                        \"from\":\"2026-03-07\",\"to\":null}\n";
        assert_eq!(line(&Event::Refresh(refresh)), expected);
        // The reference shows these very lines.
        let reference = include_str!("../../../docs/access-log.md");
        for line in [line(&Event::Request(request())).as_str(), expected] {
            assert!(reference.contains(line), "docs/access-log.md lacks {line}");
        }
    }

    #[test]
    fn a_question_that_was_written_before_makes_the_same_line() {
        let request = request();
        let fields = RequestLine::from(&request);
        let Question::Fields(question) = fields.question else { panic!() };
        let written = question.written().unwrap();
        let mut again = Vec::new();
        write_request(&RequestLine { question: Question::Written(&written), ..fields }, &mut again).unwrap();
        assert_eq!(String::from_utf8(again).unwrap(), line(&Event::Request(request)));
    }

    #[test]
    fn reads_what_others_write() {
        let read = |line: &str| parse_line(line.as_bytes());
        let Ok(Event::Request(request)) = read(
            r#" { "v" : 1 , "type" : "request", "time": 7, "path": "/v1/stores", "status": 404, "outcome": "l9", "kind": "future", "new": {"a": [1e400]} }"#,
        ) else {
            panic!()
        };
        assert_eq!(
            (request.time, request.status, request.outcome, request.kind),
            (7, 404, Outcome::None, None)
        );
        assert!(request.question().is_ok());
        assert_eq!(read(r#"{"v":2,"anything":1"#), Err(LineError::Version(2)));
        let wrong = parse_line(b"{\"v\":1,\"type\":\"request\",\"path\":\"/\xff\"}");
        assert!(matches!(wrong, Err(LineError::Malformed { at: 33, .. })), "{wrong:?}");
        for (line, place) in [
            (r#"{"time":7}"#, 1),
            (r#"{"v":"1"}"#, 5),
            (r#"{"v":99999999999}"#, 5),
            (r#"{"v":1,"type":"x"}"#, 6),
            (r#"{"v":1,"type":"request","time":-1,"path":"/","status":200}"#, 6),
            (r#"{"v":1,"type":"request","time":1,"path":"/","status":70000}"#, 58),
            (r#"{"v":1,"type":"request","time":1,"path":"/","status":200,"duration_ms":-1}"#, 73),
            (r#"{"v":1,"type":"request","time":1,"path":"/","status":200} x"#, 58),
            (r#"{"v":1,"type":"refresh","requested_at":1,"from":"tomorrow"}"#, 58),
        ] {
            let error = read(line).unwrap_err();
            assert!(
                matches!(&error, LineError::Malformed { at, .. } if at.abs_diff(place) <= 1),
                "{line}: {error:?}"
            );
        }
    }

    #[test]
    fn the_longest_lines_can_be_read() {
        let mut request = request();
        request.stores = limited_stores(&vec!["\u{1}".repeat(16); 500]).map(<[_]>::to_vec);
        assert!(request.stores.is_some());
        // The longest target and the worst characters fit into a line.
        request.set_target("/", &"\"".repeat(MAX_TARGET_BYTES));
        assert!(line(&Event::Request(request)).len() < MAX_LINE_BYTES);
        let stores = Some(vec!["x".repeat(1 << 10); 300]);
        let mut out = b"before".to_vec();
        let event = Event::Refresh(Refresh { stores, ..Refresh::default() });
        assert_eq!((write(&event, &mut out), out.as_slice()), (Err(LineError::TooLong), &b"before"[..]));
    }

    proptest! {
        #[test]
        fn requests_survive(
            time in 0i64..1 << 50, token in proptest::option::of("\\PC{0,12}"), path in "/\\PC{0,20}", query in "\\PC{0,20}",
            stores in proptest::collection::vec("\\PC{0,5}", 0..25), status in 0u16.., outcome in 0usize..8, stale: bool,
            bytes: u64, duration_us in proptest::option::of(0u64..1 << 50), kind in proptest::option::of(0usize..8),
        ) {
            let mut request = Request {
                time, token, status, stale, bytes, duration_us,
                method: Cow::Borrowed("PATCH"),
                kind: kind.map(|kind| Route::KINDS[kind]),
                outcome: Outcome::ALL[outcome],
                ..Request::default()
            };
            request.set_target(&path, &query);
            request.set_stores(&stores);
            let event = Event::Request(request);
            prop_assert_eq!(parse_line(line(&event).trim_end_matches('\n').as_bytes()).unwrap(), event);
        }

        #[test]
        fn refreshes_survive(
            requested_at in 0i64..1 << 50, stores in proptest::option::of(proptest::collection::vec("\\PC{0,5}", 0..9)),
            from in proptest::option::of(0..=Day::MAX.0), request_id in proptest::option::of("\\PC{0,9}"),
        ) {
            let event = Event::Refresh(Refresh { requested_at, stores, from: from.map(Day), request_id, ..Refresh::default() });
            prop_assert_eq!(parse_line(line(&event).trim_end_matches('\n').as_bytes()).unwrap(), event);
        }
    }
}
