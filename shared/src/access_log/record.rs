//! Records of the access log.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use super::request_line::QuestionFields;
use crate::answers::parameters::{self, Asked, ParametersError, Route};
use crate::model::Day;
use crate::model::query::MAX_STORES;

/// Most stores that a request's record names, and most bytes of their names; otherwise only their number is there.
const NAMED_STORES: usize = 20;
const NAMED_BYTES: usize = 1 << 10;
/// Most bytes of the names of the stores that a caller's list made of "all": without them there is no question, so more
/// of them fit.
const LIMITED_BYTES: usize = 8 << 10;

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

/// A request and its answer. It is written as its [`super::RequestLine`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Request {
    /// When it came, milliseconds since 1970.
    pub time: i64,
    /// Request id; logs of other servers have none.
    #[serde(default)]
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
    #[serde(default)]
    pub cut: bool,
    /// Kind of document asked for ([`Route::kind`]).
    #[serde(default, deserialize_with = "kind")]
    pub kind: Option<Kind>,
    /// The stores that the question came to, if they are few.
    #[serde(default)]
    pub stores: Option<Vec<String>>,
    /// Whether its caller may not see all stores, so that it came to his where it named none: to be taken as if it had
    /// named `stores`.
    #[serde(default)]
    pub limited: bool,
    /// How many stores the question came to.
    #[serde(default)]
    pub store_count: Option<u32>,
    /// Last data day of all stores when it was asked.
    #[serde(default)]
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
    #[serde(default, rename = "duration_ms", deserialize_with = "milliseconds::deserialize")]
    pub duration_us: Option<u64>,
    /// Which gateway.
    #[serde(default)]
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
    /// It came to more stores of its caller than a line holds.
    #[error("the stores that it came to are too many to be named")]
    Stores,
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
    /// Sets path and query, cut to [`super::MAX_TARGET_BYTES`].
    pub fn set_target(&mut self, path: &str, query: &str) {
        let target = QuestionFields::of_target(path, query);
        (self.path, self.query, self.cut) = (target.path.to_owned(), target.query.to_owned(), target.cut);
    }

    /// Sets what the question came to.
    pub fn set_stores(&mut self, stores: &[String]) {
        self.store_count = u32::try_from(stores.len()).ok();
        self.stores = few_stores(stores).map(<[String]>::to_vec);
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
        let mut asked = parameters::read(&route, &self.query)?;
        if self.limited
            && let Asked::Document(ask) = &mut asked
        {
            let stores = self.stores.as_ref().ok_or(NoQuestion::Stores)?;
            ask.stores.get_or_insert_with(|| stores.iter().cloned().collect());
        }
        Ok(asked)
    }
}

/// The stores, if they are so few that a record names them.
#[must_use]
pub fn few_stores(stores: &[String]) -> Option<&[String]> {
    within(stores, NAMED_STORES, NAMED_BYTES)
}

/// The stores that a limited question came to, if a record can name them.
#[must_use]
pub fn limited_stores(stores: &[String]) -> Option<&[String]> {
    within(stores, MAX_STORES, LIMITED_BYTES)
}

fn within(stores: &[String], most: usize, most_bytes: usize) -> Option<&[String]> {
    let few = stores.len() <= most && stores.iter().map(String::len).sum::<usize>() <= most_bytes;
    few.then_some(stores)
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

/// Microseconds, read from milliseconds.
mod milliseconds {
    use serde::{Deserialize as _, Deserializer};

    /// Above this a double does not hold every microsecond.
    const MOST_US: f64 = 9e15;

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
pub(super) mod tests {
    use super::super::MAX_TARGET_BYTES;
    use super::*;

    pub(in crate::access_log) fn request() -> Request {
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
    fn long_targets_are_cut_and_marked() {
        let mut request = request();
        request.set_target("/v1/metrics/overview", &format!("stores={}", "门".repeat(MAX_TARGET_BYTES)));
        assert!(request.cut && request.path.len() + request.query.len() <= MAX_TARGET_BYTES);
        assert_eq!(request.question(), Err(NoQuestion::Cut));
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
    fn a_limited_question_is_about_the_stores_it_came_to() {
        let stores = |request: &Request| match request.question() {
            Ok(Asked::Document(ask)) => Ok(ask.stores.map(|stores| stores.into_iter().collect::<Vec<_>>())),
            Ok(Asked::Orders(_)) => panic!("no document"),
            Err(error) => Err(error),
        };
        let names = ["a", "b"].map(str::to_owned).to_vec();
        // Also where no parameter could name them.
        for path in ["/v1/metrics/overview", "/v1/metrics/stores"] {
            let mut request =
                Request { limited: true, stores: limited_stores(&names).map(<[_]>::to_vec), ..request() };
            request.set_target(path, "to=2026-03-07");
            assert_eq!(stores(&request), Ok(Some(names.clone())));
            request.limited = false;
            assert_eq!(stores(&request), Ok(None));
            request.limited = true;
            request.stores = limited_stores(&["s".repeat(LIMITED_BYTES + 1)]).map(<[_]>::to_vec);
            assert_eq!(stores(&request), Err(NoQuestion::Stores));
        }
        assert!(limited_stores(&vec!["s".to_owned(); MAX_STORES + 1]).is_none());
        assert_eq!(limited_stores(&vec!["s".to_owned(); MAX_STORES]).map(<[_]>::len), Some(MAX_STORES));
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
}
