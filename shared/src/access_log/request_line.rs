//! A request as its line of the log is written.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::record::{Kind, Outcome, Request};
use super::{LineError, MAX_TARGET_BYTES, line};
use crate::model::Day;

/// A request as its line is written, of texts that lie elsewhere: the gateway writes many, and keeps none.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestLine<'a> {
    /// When it came, who asked, and how.
    pub asker: Asker<'a>,
    /// What was asked.
    pub question: Question<'a>,
    /// What was answered.
    pub answer: Answered<'a>,
}

/// The first fields of a line. All are as in [`Request`].
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Asker<'a> {
    /// When it came.
    pub time: i64,
    /// Request id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// Id of the bearer token.
    pub token: Option<&'a str>,
    /// Method.
    pub method: &'a str,
}

/// What was asked: its fields, or their text from when the very same was asked before.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    /// Its fields.
    Fields(QuestionFields<'a>),
    /// Their text.
    Written(&'a WrittenQuestion),
}

impl Default for Question<'_> {
    fn default() -> Self {
        Self::Fields(QuestionFields::default())
    }
}

/// The fields of a line that are the same whenever the same is asked.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct QuestionFields<'a> {
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
}

/// The last fields of a line.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Answered<'a> {
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

/// The text of [`QuestionFields`]. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenQuestion(Arc<str>);

impl WrittenQuestion {
    /// The text as it stands in a line.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

impl<'a> QuestionFields<'a> {
    /// With this path and query, cut to [`MAX_TARGET_BYTES`].
    #[must_use]
    pub fn of_target(path: &'a str, query: &'a str) -> Self {
        let kept = |text: &'a str, room: usize| &text[..text.floor_char_boundary(room)];
        let kept_path = kept(path, MAX_TARGET_BYTES);
        let kept_query = kept(query, MAX_TARGET_BYTES - kept_path.len());
        let cut = kept_path.len() + kept_query.len() < path.len() + query.len();
        Self { path: kept_path, query: kept_query, cut, ..Self::default() }
    }

    /// Their text, for all lines of this question.
    ///
    /// # Errors
    /// If they cannot be written as JSON, which texts and numbers always can.
    pub fn written(&self) -> Result<WrittenQuestion, LineError> {
        let mut text = Vec::new();
        line::add_fields(self, &mut text)?;
        let text = String::from_utf8(text).map_err(|error| LineError::malformed(0, error.to_string()))?;
        Ok(WrittenQuestion(text.into()))
    }
}

impl<'a> From<&'a Request> for RequestLine<'a> {
    fn from(request: &'a Request) -> Self {
        Self {
            asker: Asker {
                time: request.time,
                request_id: request.request_id.as_deref(),
                token: request.token.as_deref(),
                method: &request.method,
            },
            question: Question::Fields(QuestionFields {
                path: &request.path,
                query: &request.query,
                cut: request.cut,
                kind: request.kind,
                stores: request.stores.as_deref(),
                limited: request.limited,
                store_count: request.store_count,
                last_day: request.last_day,
            }),
            answer: Answered {
                status: request.status,
                outcome: request.outcome,
                stale: request.stale,
                bytes: request.bytes,
                duration_us: request.duration_us,
                instance: request.instance.as_deref(),
            },
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
