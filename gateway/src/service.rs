//! The service: tower layers around the routes.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body as _;
use shared::answers::parameters::Route;
use shared::runtime::now_ms;

use crate::access_log::Pending;
use crate::app::Front;
use crate::problem::Problem;
use crate::questions;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over.
const REQUEST_ID_BYTES: usize = 128;
/// Longest URL: 500 Chinese store names, percent-encoded, fit.
pub const MAX_URI_BYTES: usize = 64 << 10;
const METHODS: &str = "GET, HEAD, OPTIONS";
/// Until there are tokens, everybody may see all stores.
const EVERYBODY: u64 = 0;

/// A response body.
pub type ResponseBody = Full<Bytes>;

/// Answers one request; every error is a problem document.
///
/// # Errors
/// Never.
pub async fn handle<B>(
    front: Front,
    request: Request<B>,
    limit: Duration,
) -> Result<Response<ResponseBody>, Infallible> {
    let started = now_ms();
    let request_id = request_id(&request);
    let mut record = Pending::begin(front.access_log(), &request, &request_id);
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let outcome = match tokio::time::timeout(limit, route(&front, &request)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Problem::timeout()),
    };
    let mut response = outcome.unwrap_or_else(|problem| problem_response(&problem, &request_id));
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if method == Method::HEAD {
        let length = response.body().size_hint().exact().unwrap_or(0);
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        *response.body_mut() = Full::default();
    }
    record.answered(&response);
    tracing::debug!(
        request_id,
        %method,
        path = uri.path(),
        status = response.status().as_u16(),
        duration_ms = now_ms() - started,
        "request"
    );
    Ok(response)
}

/// The client's request id when well-formed, else a new one.
fn request_id<B>(request: &Request<B>) -> String {
    let given = request.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let fits = |id: &&str| {
        (1..=REQUEST_ID_BYTES).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(&b))
    };
    given.filter(fits).map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

fn problem_response(problem: &Problem, request_id: &str) -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(Bytes::from(problem.body(request_id))));
    *response.status_mut() = problem.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(allow) = problem.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

async fn route<B>(front: &Front, request: &Request<B>) -> Result<Response<ResponseBody>, Problem> {
    let uri = request.uri();
    let length = uri.path_and_query().map_or(0, |path| path.as_str().len());
    if length > MAX_URI_BYTES {
        return Err(Problem::uri_too_long(MAX_URI_BYTES));
    }
    let path = uri.path();
    let route = Route::of(path);
    if route.is_none() && !matches!(path, "/livez" | "/readyz") {
        return Err(Problem::unknown_path(path));
    }
    match *request.method() {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
            return Ok(response);
        }
        _ => return Err(Problem::method(METHODS)),
    }
    match (path, route) {
        ("/livez", _) => Ok(plain(StatusCode::OK, "alive\n".to_owned())),
        (_, Some(route)) => match front.app() {
            Some(app) => questions::answer(app, request, &route, EVERYBODY).await,
            None => Err(Problem::starting()),
        },
        _ => Ok(ready(front).await),
    }
}

fn plain(status: StatusCode, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Ready, or the list of reasons.
async fn ready(front: &Front) -> Response<ResponseBody> {
    let (status, mut text) = match front.not_ready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    };
    if let Some(app) = front.app()
        && let Err(error) = app.levels().cache().ping().await
    {
        // Answers still come from the source.
        tracing::warn!(error = %error, "the cache does not answer");
        text.push_str("warning: the cache does not answer; answers come from the source\n");
    }
    plain(status, text)
}
