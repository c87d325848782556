//! Errors as RFC 9457 problem documents: the only place that turns errors into status codes.

use std::sync::LazyLock;
use std::time::Duration;

use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use shared::answers::parameters::{ParameterError, ParametersError};
use shared::cache::{CacheError, CacheErrorKind};
use shared::entry::EncodeError;
use shared::model::AskError;
use shared::model::query::MAX_DAYS;
use shared::runtime::Busy;
use shared::source::{SourceError, SourceErrorKind};

use crate::access_log::NotTaken;
use crate::observe::Sparse;

/// Most stores that a refusal names.
const MOST_NAMED: usize = 20;
/// Lines about failed reads: one a second tells as much as a thousand.
static SOURCE_LOG: LazyLock<Sparse> = LazyLock::new(|| Sparse::every(Duration::from_secs(1)));

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Status code.
    pub status: StatusCode,
    /// For people.
    pub detail: String,
    /// Bad parameters.
    pub errors: Vec<ParameterError>,
    /// Methods that the path has, for 405.
    pub allow: Option<&'static str>,
    /// Seconds after which to try again, for 429 and 503.
    pub retry_after: Option<u32>,
    /// How to say who one is, for 401.
    pub challenge: Option<&'static str>,
}

/// The document, as it is sent.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct Body<'a> {
    /// A page on this kind of problem; none is there yet.
    r#type: &'static str,
    /// The status in words.
    title: &'a str,
    /// HTTP status.
    status: u16,
    /// What is wrong, and what to do.
    detail: &'a str,
    /// Bad parameters, all at once.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ParameterError],
    /// As in `X-Request-Id`.
    request_id: &'a str,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: Vec::new(),
            allow: None,
            retry_after: None,
            challenge: None,
        }
    }

    /// Bad parameters, all at once.
    #[must_use]
    pub fn parameters(errors: Vec<ParameterError>) -> Self {
        let detail = format!("{} parameter(s) do not fit", errors.len());
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }

    /// No such path.
    #[must_use]
    pub fn unknown_path(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {path}"))
    }

    /// No such store.
    #[must_use]
    pub fn unknown_store(store_id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no store {store_id:?}; /v1/stores lists them"))
    }

    /// No token came with the request.
    #[must_use]
    pub fn no_token() -> Self {
        let detail = "this needs a token; send it in a header: Authorization: Bearer TOKEN";
        let challenge = Some("Bearer realm=\"hotshelf\"");
        Self { challenge, ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// What came is no valid token.
    #[must_use]
    pub fn unknown_token() -> Self {
        let detail = "this token is not valid; ask the operator for one";
        let challenge = Some("Bearer realm=\"hotshelf\", error=\"invalid_token\"");
        Self { challenge, ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// Stores that the caller may not see. Nothing here depends on whether they exist.
    #[must_use]
    pub fn others_stores(stores: &[&String]) -> Self {
        let detail = "the token may see only the stores that /v1/stores lists; ask for those";
        let reason = |store: &&String| ParameterError {
            parameter: "stores".to_owned(),
            reason: format!("{store:?} is not among the token's stores"),
        };
        let errors = stores.iter().take(MOST_NAMED).map(reason).collect();
        Self { errors, ..Self::new(StatusCode::FORBIDDEN, detail) }
    }

    /// More requests than the caller may make.
    #[must_use]
    pub fn too_often(seconds: u32) -> Self {
        let detail = format!("too many requests; wait {seconds} s, or ask the operator for a higher rate");
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// The body did not come in time.
    #[must_use]
    pub fn body_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time; send it at once")
    }

    /// The body broke off.
    #[must_use]
    pub fn body_broken() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "the body could not be read to its end; send it again")
    }

    /// A body longer than the limit.
    #[must_use]
    pub fn body_too_large(limit: usize) -> Self {
        let detail =
            format!("the body is larger than {limit} bytes; name fewer stores, or leave them out for all");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// A body in more than chunks, which not all servers undo alike.
    #[must_use]
    pub fn transfer_coding() -> Self {
        let detail =
            "the body may be sent in chunks, but in no other transfer coding; send it with a Content-Length";
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// A body of another kind.
    #[must_use]
    pub fn media_type(wanted: &str) -> Self {
        let detail = format!("the body must be {wanted}, not compressed; say so in the header Content-Type");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// A body that cannot be understood as a whole.
    #[must_use]
    pub fn bad_body(what: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, what)
    }

    /// A refresh that the access log did not take.
    #[must_use]
    pub fn not_taken(why: NotTaken) -> Self {
        match why {
            NotTaken::TooLong => Self::new(StatusCode::UNPROCESSABLE_ENTITY, why.to_string()),
            NotTaken::Off | NotTaken::Full | NotTaken::Failing | NotTaken::Slow => {
                // Its path and its disk are the operator's.
                tracing::warn!(reason = %why, "a refresh was refused");
                let detail = "the refresh cannot be passed on now; try again later, or tell the operator";
                Self { retry_after: Some(10), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
            }
        }
    }

    /// The method is not for this path.
    #[must_use]
    pub fn method(allow: &'static str) -> Self {
        let detail = format!("this path answers {allow} only");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    /// No acceptable representation.
    #[must_use]
    pub fn not_acceptable(offered: &str) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, format!("this document comes as {offered}"))
    }

    /// A URL longer than the limit.
    #[must_use]
    pub fn uri_too_long(limit: usize) -> Self {
        let detail = format!("the URL is longer than {limit} bytes; ask in parts, or for all stores");
        Self::new(StatusCode::URI_TOO_LONG, detail)
    }

    /// Bytes that are no HTTP request.
    #[must_use]
    pub fn no_http() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "this is no HTTP/1.1 request; percent-encode what is not ASCII")
    }

    /// Not one host.
    #[must_use]
    pub fn not_one_host() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "a request of HTTP/1.1 has one Host header; send exactly one")
    }

    /// Header lines over the limit.
    #[must_use]
    pub fn headers_too_large() -> Self {
        let detail = "the header lines are larger than gateway.max_header_bytes; send fewer or shorter ones";
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
    }

    /// No place for one more connection.
    #[must_use]
    pub fn no_place(why: &str) -> Self {
        let detail = format!("{why}; try again in a moment, and keep connections open between requests");
        Self { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// The time limit passed.
    #[must_use]
    pub fn timeout() -> Self {
        let detail = "the answer took too long; try again, or ask for fewer stores or days";
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// Too many requests are being answered.
    #[must_use]
    pub fn overloaded() -> Self {
        let detail = "too many requests are being answered; try again in a moment";
        Self { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// Nothing is ready yet.
    #[must_use]
    pub fn starting() -> Self {
        let detail = "the data are being made ready; try again in a moment";
        Self { retry_after: Some(2), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// What the cache was asked about its entries, it did not say.
    #[must_use]
    pub fn cache(error: &CacheError) -> Self {
        if error.kind() == CacheErrorKind::Denied {
            let detail = "this gateway's user of Redis may not look at entries; grant what it needs (warmer setup redis --apply)";
            return Self { retry_after: Some(60), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) };
        }
        Self::cache_away()
    }

    /// What only the cache knows is not known.
    #[must_use]
    pub fn cache_away() -> Self {
        let detail = "redis does not answer, so nobody knows what is warm; see that it runs (redis-cli PING)";
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// As many streams of events are open as may be.
    #[must_use]
    pub fn too_many_streams() -> Self {
        let detail = "as many pages follow this gateway's status as may (gateway.status_streams); close some, or ask \
                      /v1/status now and then";
        Self { retry_after: Some(30), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// Something that must not happen, without its internals.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "an internal error; the log has it under the request id")
    }

    /// Too many different questions are being answered.
    #[must_use]
    pub fn too_many_questions() -> Self {
        let detail = "too many questions are being answered; try again in a moment";
        Self { retry_after: Some(2), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// Too much would have to be read from the source.
    #[must_use]
    pub fn too_much_source(store_days: usize, limit: usize) -> Self {
        let detail = format!(
            "{store_days} store-days are not ready, more than {limit} that one question may read; ask for fewer stores or days"
        );
        Self { retry_after: Some(60), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// The source cannot answer: it is down, too busy, or too slow. Its address and internals stay in the log.
    #[must_use]
    pub fn source(error: &SourceError) -> Self {
        let kind = error.kind();
        // That it is down was told when it went; each request that it costs would flood the log.
        if kind == SourceErrorKind::Down {
            tracing::debug!(kind = kind.as_str(), "the source is down");
        } else if let Some(not_told) = SOURCE_LOG.pass() {
            tracing::warn!(kind = kind.as_str(), error = %error, not_told, "the source cannot answer");
        }
        let (detail, retry_after) = match kind {
            SourceErrorKind::Unreachable | SourceErrorKind::Down | SourceErrorKind::Denied => {
                ("the data are not ready and the source cannot be reached; try again later", 10)
            }
            SourceErrorKind::Busy => {
                ("the data are not ready and the source is too busy; try again in a moment", 2)
            }
            SourceErrorKind::Timeout => {
                ("the data are not ready and the source is too slow; try again later", 10)
            }
            SourceErrorKind::Schema
            | SourceErrorKind::File
            | SourceErrorKind::Settings
            | SourceErrorKind::Other => (
                "the data are not ready and the source cannot be read; the operator finds the reason in the log",
                10,
            ),
        };
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// The body as JSON.
    #[must_use]
    pub fn body(&self, request_id: &str) -> String {
        let body = Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
            request_id,
        };
        serde_json::to_string(&body).unwrap_or_default()
    }
}

impl From<ParametersError> for Problem {
    fn from(error: ParametersError) -> Self {
        match error {
            ParametersError::Unfit(errors) => Self::parameters(errors),
            ParametersError::TooManyStores(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
            }
        }
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        match &error {
            AskError::UnknownStore(store_id) => Self::unknown_store(store_id),
            AskError::EmptyRange { .. } => Self::parameters(vec![ParameterError {
                parameter: "from".to_owned(),
                reason: error.to_string(),
            }]),
            AskError::TooManyDays { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{error} (at most {MAX_DAYS} days)"))
            }
        }
    }
}

impl From<Busy> for Problem {
    fn from(_: Busy) -> Self {
        let detail = "too many computations are waiting; try again in a moment";
        Self { retry_after: Some(2), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }
}

impl From<EncodeError> for Problem {
    fn from(error: EncodeError) -> Self {
        tracing::error!(error = %error, "a document cannot be written");
        Self::internal()
    }
}
