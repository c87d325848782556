//! Records of the access log, and their lines: one JSON object each, the version first, then the type.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use super::{LineError, MAX_LINE_BYTES, MAX_TARGET_BYTES, VERSION};
use crate::answers::parameters::{self, Asked, ParametersError, Route};
use crate::model::Day;

/// Most stores that a request's record names, and most bytes of their names; otherwise only their number is there.
const NAMED_STORES: usize = 20;
const NAMED_BYTES: usize = 1 << 10;

/// One line of a log.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A request was answered.
    Request(Request),
    /// A refresh was asked for.
    Refresh(Refresh),
}

/// Which step answered, as in `X-Cache`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The gateway's own memory.
    #[serde(rename = "near")]
    Near,
    /// A ready response.
    #[serde(rename = "l4")]
    L4,
    /// A whole document.
    #[serde(rename = "l3")]
    L3,
    /// Merged partials.
    #[serde(rename = "l3-compose")]
    L3Compose,
    /// Composed cells.
    #[serde(rename = "l2-compose")]
    L2Compose,
    /// Order lines.
    #[serde(rename = "l1")]
    L1,
    /// Something was read from the source.
    #[serde(rename = "source")]
    Source,
    /// No document was answered, or the log does not say; a text of a later version, too.
    #[default]
    #[serde(rename = "none", other)]
    None,
}

impl Outcome {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::Near,
        Self::L4,
        Self::L3,
        Self::L3Compose,
        Self::L2Compose,
        Self::L1,
        Self::Source,
        Self::None,
    ];

    /// Its text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::L4 => "l4",
            Self::L3 => "l3",
            Self::L3Compose => "l3-compose",
            Self::L2Compose => "l2-compose",
            Self::L1 => "l1",
            Self::Source => "source",
            Self::None => "none",
        }
    }

    /// Outcome and staleness of a header `X-Cache`, such as `l3; stale`.
    #[must_use]
    pub fn from_header(value: &str) -> (Self, bool) {
        let (name, rest) = value.split_once(';').unwrap_or((value, ""));
        let outcome = Self::ALL.into_iter().find(|outcome| outcome.as_str() == name.trim());
        (outcome.unwrap_or_default(), rest.split(';').any(|part| part.trim() == "stale"))
    }
}

/// A kind of document, one of [`Route::KINDS`].
pub type Kind = &'static str;

/// A request and its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// When it came, milliseconds since 1970.
    pub time: i64,
    /// Request id; logs of other servers have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Id of the bearer token ([`super::token_id`]), or the user of another server's log.
    #[serde(default)]
    pub token: Option<String>,
    /// Method.
    #[serde(default = "get", deserialize_with = "method")]
    pub method: Cow<'static, str>,
    /// Path as asked, percent-encoded.
    pub path: String,
    /// Query string as asked, percent-encoded, without its question mark.
    #[serde(default)]
    pub query: String,
    /// Whether path and query were cut: no question can be read from them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Kind of document asked for ([`Route::kind`]).
    #[serde(default, deserialize_with = "kind", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// The stores that the question came to, if they are few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stores: Option<Vec<String>>,
    /// How many stores the question came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_count: Option<u32>,
    /// Last data day of all stores when it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_day: Option<Day>,
    /// HTTP status; 499 if the client went away before.
    pub status: u16,
    /// Which step answered.
    #[serde(default)]
    pub outcome: Outcome,
    /// Whether the answer was past its soft expiry.
    #[serde(default)]
    pub stale: bool,
    /// Bytes of the body.
    #[serde(default)]
    pub bytes: u64,
    /// From the request's head to the answer being ready, in microseconds; written in milliseconds.
    #[serde(default, rename = "duration_ms", with = "milliseconds", skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// Which gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// A wish for fresh answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    /// When it was asked for, milliseconds since 1970.
    pub requested_at: i64,
    /// Request id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Id of the bearer token.
    #[serde(default)]
    pub token: Option<String>,
    /// Which stores; `None` = all.
    #[serde(default)]
    pub stores: Option<Vec<String>>,
    /// First day.
    #[serde(default)]
    pub from: Option<Day>,
    /// Last day.
    #[serde(default)]
    pub to: Option<Day>,
    /// Which gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// Why a request asks for nothing that could be warmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoQuestion {
    /// Only GET and HEAD ask.
    #[error("the method asks for no document")]
    Method,
    /// The log does not hold all of it.
    #[error("path and query are cut")]
    Cut,
    /// Another path.
    #[error("the path leads to no document")]
    Path,
    /// Refused by the gateway, too.
    #[error(transparent)]
    Parameters(#[from] ParametersError),
}

impl Event {
    /// When it happened, milliseconds since 1970.
    #[must_use]
    pub fn time(&self) -> i64 {
        match self {
            Self::Request(request) => request.time,
            Self::Refresh(refresh) => refresh.requested_at,
        }
    }

    /// Changes the time, for readers that know it cannot be right.
    pub fn set_time(&mut self, time: i64) {
        match self {
            Self::Request(request) => request.time = time,
            Self::Refresh(refresh) => refresh.requested_at = time,
        }
    }
}

impl Request {
    /// Sets path and query, cut to [`MAX_TARGET_BYTES`].
    pub fn set_target(&mut self, path: &str, query: &str) {
        let kept = |text: &str, room: usize| text[..text.floor_char_boundary(room)].to_owned();
        self.path = kept(path, MAX_TARGET_BYTES);
        self.query = kept(query, MAX_TARGET_BYTES - self.path.len());
        self.cut = self.path.len() + self.query.len() < path.len() + query.len();
    }

    /// Sets what the question came to.
    pub fn set_stores(&mut self, stores: &[String]) {
        self.store_count = u32::try_from(stores.len()).ok();
        let few =
            stores.len() <= NAMED_STORES && stores.iter().map(String::len).sum::<usize>() <= NAMED_BYTES;
        self.stores = few.then(|| stores.to_vec());
    }

    /// The question, as the gateway reads it.
    ///
    /// # Errors
    /// If it asks for no document.
    pub fn question(&self) -> Result<Asked, NoQuestion> {
        if !matches!(self.method.as_ref(), "GET" | "HEAD") {
            return Err(NoQuestion::Method);
        }
        if self.cut {
            return Err(NoQuestion::Cut);
        }
        let route = Route::of(&self.path).ok_or(NoQuestion::Path)?;
        Ok(parameters::read(&route, &self.query)?)
    }
}

/// The stores, if they are so few that a record names them.
#[must_use]
pub fn few_stores(stores: &[String]) -> Option<Vec<String>> {
    let few = stores.len() <= NAMED_STORES && stores.iter().map(String::len).sum::<usize>() <= NAMED_BYTES;
    few.then(|| stores.to_vec())
}

/// Adds an event's line, with its end, to `out`.
///
/// # Errors
/// [`LineError::TooLong`] if the line is longer than readers take; nothing is added then.
pub fn write(event: &Event, out: &mut Vec<u8>) -> Result<(), LineError> {
    let start = out.len();
    let mut object = |kind: &str| {
        out.extend_from_slice(format!("{{\"v\":{VERSION},\"type\":\"{kind}\"").as_bytes());
        out.len()
    };
    let (at, written) = match event {
        Event::Request(request) => (object("request"), serde_json::to_writer(&mut *out, request)),
        Event::Refresh(refresh) => (object("refresh"), serde_json::to_writer(&mut *out, refresh)),
    };
    // The record's own fields go on in the same object.
    if let Some(brace) = out.get_mut(at) {
        *brace = b',';
    }
    if let Err(error) = written {
        out.truncate(start);
        return Err(LineError::malformed(0, error.to_string()));
    }
    if out.len() - start > MAX_LINE_BYTES {
        out.truncate(start);
        return Err(LineError::TooLong);
    }
    out.push(b'\n');
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

fn get() -> Cow<'static, str> {
    Cow::Borrowed("GET")
}

/// A method, without memory of its own if it is a common one.
pub(super) fn known_method(method: &str) -> Cow<'static, str> {
    let known = ["GET", "HEAD", "POST", "OPTIONS"].into_iter().find(|known| *known == method);
    known.map_or_else(|| Cow::Owned(method.to_owned()), Cow::Borrowed)
}

/// Reads a text without copying it.
struct Text<T>(fn(&str) -> T);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok((self.0)(text))
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok((self.0)(""))
    }
}

fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'static, str>, D::Error> {
    deserializer.deserialize_str(Text(known_method))
}

/// A kind that this version does not know is none.
fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Kind>, D::Error> {
    deserializer.deserialize_any(Text(|text| Route::KINDS.into_iter().find(|kind| *kind == text)))
}

/// Microseconds, written in milliseconds with three decimals at most.
mod milliseconds {
    use serde::{Deserialize as _, Deserializer, Serializer};

    /// Above this a double does not hold every microsecond.
    const MOST_US: f64 = 9e15;

    #[allow(clippy::ref_option, reason = "the form that serde wants")]
    pub(super) fn serialize<S: Serializer>(us: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        #[allow(clippy::cast_precision_loss, reason = "285 years of microseconds fit")]
        match us {
            Some(us) => serializer.serialize_f64(*us as f64 / 1000.0),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        let Some(ms) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
        let us = (ms * 1000.0).round();
        if (0.0..=MOST_US).contains(&us) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within limits")]
            Ok(Some(us as u64))
        } else {
            Err(serde::de::Error::custom("a duration is negative or too long"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::super::parse_line;
    use super::*;
    use proptest::prelude::*;

    fn line(event: &Event) -> String {
        let mut out = Vec::new();
        write(event, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn request() -> Request {
        let mut request = Request {
            time: 1_795_243_609_123,
            request_id: Some("r-1".into()),
            token: Some("ba7816bf8f01".into()),
            method: get(),
            kind: Some("overview"),
            last_day: Some("2026-03-07".parse().unwrap()),
            status: 200,
            outcome: Outcome::L3Compose,
            stale: true,
            bytes: 1234,
            duration_us: Some(12_345),
            instance: Some("127.0.0.1:8080".into()),
            ..Request::default()
        };
        request.set_target("/v1/metrics/overview", "stores=a%2Cb,c");
        request.set_stores(&["a,b".into(), "c".into()]);
        request
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
    fn long_targets_are_cut_and_marked() {
        let mut request = request();
        request.set_target("/v1/metrics/overview", &format!("stores={}", "门".repeat(MAX_TARGET_BYTES)));
        assert!(request.cut && request.path.len() + request.query.len() <= MAX_TARGET_BYTES);
        assert_eq!(request.question(), Err(NoQuestion::Cut));
        // The longest target and the worst characters fit into a line.
        request.set_target("/", &"\"".repeat(MAX_TARGET_BYTES));
        assert!(line(&Event::Request(request)).len() < MAX_LINE_BYTES);
        let stores = Some(vec!["x".repeat(1 << 10); 300]);
        let mut out = b"before".to_vec();
        let event = Event::Refresh(Refresh { stores, ..Refresh::default() });
        assert_eq!((write(&event, &mut out), out.as_slice()), (Err(LineError::TooLong), &b"before"[..]));
    }

    #[test]
    fn many_stores_are_counted_only() {
        let mut request = request();
        request.set_stores(&vec!["s".to_owned(); 21]);
        assert_eq!((request.stores.as_ref(), request.store_count), (None, Some(21)));
        request.set_stores(&["s".repeat(2000)]);
        assert_eq!((request.stores.as_ref(), request.store_count), (None, Some(1)));
    }

    #[test]
    fn outcomes_have_one_text() {
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("{:?}", outcome.as_str()));
            assert_eq!(Outcome::from_header(outcome.as_str()), (outcome, false));
            assert_eq!(Outcome::from_header(&format!("{}; stale", outcome.as_str())), (outcome, true));
        }
    }

    #[test]
    fn requests_without_a_question_say_why() {
        let ask = |method: &'static str, path: &str, query: &str| {
            let mut request = Request { method: method.into(), ..request() };
            request.set_target(path, query);
            request.question()
        };
        assert!(matches!(ask("HEAD", "/v1/diagnosis", ""), Ok(Asked::Document(_))));
        assert!(matches!(ask("GET", "/v1/stores/a/orders", ""), Ok(Asked::Orders(_))));
        assert_eq!(ask("POST", "/v1/diagnosis", ""), Err(NoQuestion::Method));
        assert_eq!(ask("GET", "/favicon.ico", ""), Err(NoQuestion::Path));
        assert!(matches!(ask("GET", "/v1/diagnosis", "to=x"), Err(NoQuestion::Parameters(_))));
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
