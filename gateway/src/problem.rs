//! Errors as RFC 9457 problem documents: the only place that turns errors into status codes.

use http::StatusCode;
use serde::Serialize;
use shared::answers::parameters::{ParameterError, ParametersError};
use shared::entry::EncodeError;
use shared::model::AskError;
use shared::model::query::MAX_DAYS;
use shared::runtime::Busy;
use shared::source::{SourceError, SourceErrorKind};

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
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ParameterError],
    request_id: &'a str,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), allow: None, retry_after: None }
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

    /// Header lines over the limit.
    #[must_use]
    pub fn headers_too_large() -> Self {
        let detail = "the header lines are larger than gateway.max_header_bytes; send fewer or shorter ones";
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
    }

    /// The time limit passed.
    #[must_use]
    pub fn timeout() -> Self {
        let detail = "the answer took too long; try again, or ask for fewer stores or days";
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// Nothing is ready yet.
    #[must_use]
    pub fn starting() -> Self {
        let detail = "the data are being made ready; try again in a moment";
        Self { retry_after: Some(2), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
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

    /// The source cannot answer. Its address and internals stay in the log.
    #[must_use]
    pub fn source(error: &SourceError) -> Self {
        tracing::warn!(kind = error.kind().as_str(), error = %error, "the source cannot answer");
        let detail = match error.kind() {
            SourceErrorKind::Unreachable | SourceErrorKind::Denied => {
                "the data are not ready and the source cannot be reached; try again later"
            }
            SourceErrorKind::Timeout => "the data are not ready and the source is too slow; try again later",
            _ => {
                "the data are not ready and the source cannot be read; the operator finds the reason in the log"
            }
        };
        Self { retry_after: Some(10), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
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
