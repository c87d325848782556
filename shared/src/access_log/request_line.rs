//! A request as its line of the log is written.

use serde::{Serialize, Serializer};

use super::MAX_TARGET_BYTES;
use super::record::{Kind, Outcome, Request};
use crate::model::Day;

/// A request as its line is written, of texts that lie elsewhere: the gateway writes many, and keeps none.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct RequestLine<'a> {
    /// As in [`Request`], like all that follows.
    pub time: i64,
    /// Request id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// Id of the bearer token.
    pub token: Option<&'a str>,
    /// Method.
    pub method: &'a str,
    /// Path.
    pub path: &'a str,
    /// Query string.
    pub query: &'a str,
    /// Whether path and query were cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Kind of document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// The stores, if they are few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stores: Option<&'a [String]>,
    /// Whether its caller may not see all stores.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub limited: bool,
    /// How many stores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_count: Option<u32>,
    /// Last data day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_day: Option<Day>,
    /// HTTP status.
    pub status: u16,
    /// Which step answered.
    pub outcome: Outcome,
    /// Whether the answer was past its soft expiry.
    pub stale: bool,
    /// Bytes of the body.
    pub bytes: u64,
    /// Microseconds.
    #[serde(
        rename = "duration_ms",
        serialize_with = "in_milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub duration_us: Option<u64>,
    /// Which gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<&'a str>,
}

impl<'a> RequestLine<'a> {
    /// Sets path and query, cut to [`MAX_TARGET_BYTES`].
    pub fn set_target(&mut self, path: &'a str, query: &'a str) {
        let kept = |text: &'a str, room: usize| &text[..text.floor_char_boundary(room)];
        self.path = kept(path, MAX_TARGET_BYTES);
        self.query = kept(query, MAX_TARGET_BYTES - self.path.len());
        self.cut = self.path.len() + self.query.len() < path.len() + query.len();
    }
}

impl<'a> From<&'a Request> for RequestLine<'a> {
    fn from(request: &'a Request) -> Self {
        Self {
            time: request.time,
            request_id: request.request_id.as_deref(),
            token: request.token.as_deref(),
            method: &request.method,
            path: &request.path,
            query: &request.query,
            cut: request.cut,
            kind: request.kind,
            stores: request.stores.as_deref(),
            limited: request.limited,
            store_count: request.store_count,
            last_day: request.last_day,
            status: request.status,
            outcome: request.outcome,
            stale: request.stale,
            bytes: request.bytes,
            duration_us: request.duration_us,
            instance: request.instance.as_deref(),
        }
    }
}

/// Microseconds, written in milliseconds with three decimals at most.
#[allow(clippy::ref_option, reason = "the form that serde wants")]
fn in_milliseconds<S: Serializer>(us: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    #[allow(clippy::cast_precision_loss, reason = "285 years of microseconds fit")]
    match us {
        Some(us) => serializer.serialize_f64(*us as f64 / 1000.0),
        None => serializer.serialize_none(),
    }
}
