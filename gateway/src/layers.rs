//! What every request goes through, outside in: request id, trace, counts, access log, catch panic, time limit, load
//! shed; then the route. Written as one function rather than as nested services: it is the hot path, and a request
//! pays for no boxed future and no copied body.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body as _;
use shared::access_log::Outcome;
use shared::config::GatewaySettings;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::access_log::Pending;
use crate::app::Front;
use crate::headers;
use crate::observe::{Counters, Observed};
use crate::problem::Problem;
use crate::service::ResponseBody;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over.
const REQUEST_ID_BYTES: usize = 128;

/// Limits of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From its head to its answer, with every wait for Redis, database and computing.
    pub request_timeout: Duration,
    /// Requests that are answered at the same time.
    pub max_in_flight: usize,
    /// What takes longer is logged.
    pub slow_request: Duration,
}

impl Limits {
    /// As the settings say.
    #[must_use]
    pub fn of(settings: &GatewaySettings) -> Self {
        Self {
            request_timeout: settings.request_timeout,
            max_in_flight: settings.max_in_flight,
            slow_request: settings.slow_request,
        }
    }
}

/// The answer of `route` to a request, through all layers; every error is a problem document.
pub(crate) async fn through(
    front: &Front,
    request: &Request<()>,
    request_id: &str,
    limits: Limits,
    route: impl Future<Output = Result<Response<ResponseBody>, Problem>>,
) -> Response<ResponseBody> {
    let counters = front.counters();
    let path = request.uri().path();
    // At debug: a span of every request costs more than a hit. Warnings name the request id themselves.
    let span = tracing::debug_span!(
        "request", request_id, method = %request.method(), path,
        status = Empty, outcome = Empty, duration_ms = Empty,
    );
    let mut observed = counters.begin(path);
    let mut record = Pending::begin(front.access_log(), request, request_id);
    let outcome = async {
        if observed.in_flight > limits.max_in_flight && !observed.is_health() {
            counters.shed.fetch_add(1, Ordering::Relaxed);
            return Err(Problem::overloaded());
        }
        match tokio::time::timeout(limits.request_timeout, route).await {
            Ok(outcome) => outcome,
            Err(_) => {
                counters.timeouts.fetch_add(1, Ordering::Relaxed);
                Err(Problem::timeout())
            }
        }
    };
    // What a panic leaves half done belongs to this request alone, or is behind a lock that does not mind.
    let outcome = AssertUnwindSafe(outcome).catch_unwind().instrument(span.clone()).await;
    let outcome = outcome.unwrap_or_else(|panic| {
        counters.panics.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            request_id,
            path,
            panic = panic_text(panic.as_ref()),
            "a handler panicked; report this"
        );
        Err(Problem::internal())
    });
    let mut response = outcome.unwrap_or_else(|problem| problem_response(&problem, request_id));
    if let Ok(value) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    headers::finish(&front.access(), request, &mut response);
    if request.method() == Method::HEAD && response.status() != StatusCode::NOT_MODIFIED {
        let length = response.body().size_hint().exact().unwrap_or(0);
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        *response.body_mut() = Full::default();
    }
    record.answered(&response);
    let text = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let (outcome, _) = text("x-cache").map_or((Outcome::None, false), Outcome::from_header);
    observed.answered(response.status(), outcome);
    span.record("status", response.status().as_u16());
    span.record("outcome", outcome.as_str());
    let took = observed.elapsed();
    span.record("duration_ms", took.as_secs_f64() * 1000.0);
    if took >= limits.slow_request {
        tell_slow(counters, &observed, request_id, path, outcome, text("server-timing").unwrap_or_default());
    }
    response
}

fn tell_slow(
    counters: &Counters,
    observed: &Observed<'_>,
    request_id: &str,
    path: &str,
    outcome: Outcome,
    server_timing: &str,
) {
    counters.slow.fetch_add(1, Ordering::Relaxed);
    if let Some(not_told) = counters.slow_log.pass() {
        tracing::warn!(
            request_id,
            path,
            outcome = outcome.as_str(),
            duration_ms = observed.elapsed().as_millis(),
            server_timing,
            not_told,
            "a request was slow"
        );
    }
}

/// What a panic said.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

/// The client's request id when well-formed, else a new one.
pub(crate) fn request_id<B>(request: &Request<B>) -> String {
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
    if let Some(challenge) = problem.challenge {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used, reason = "tests")]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn limits() -> Limits {
        Limits {
            request_timeout: Duration::from_secs(60),
            max_in_flight: 1,
            slow_request: Duration::from_secs(60),
        }
    }

    fn request(path: &str) -> Request<()> {
        Request::get(path).header("x-request-id", "r-1").body(()).unwrap()
    }

    fn counted(front: &Front) -> Vec<([&'static str; 3], u64)> {
        front.counters().requests()
    }

    #[tokio::test]
    async fn a_panic_is_a_500_without_its_internals() {
        let front = Front::new();
        let broken = async { panic!("the secret inside") };
        let response = through(&front, &request("/v1/stores"), "r-1", limits(), broken).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["x-request-id"], "r-1");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = std::str::from_utf8(&body).unwrap();
        assert!(body.contains("r-1") && !body.contains("secret"), "{body}");
        assert_eq!(front.counters().panics.load(Ordering::Relaxed), 1);
        assert_eq!(counted(&front), [(["stores", "5xx", "none"], 1)]);
        assert_eq!(front.counters().in_flight(), 0);
    }

    #[tokio::test]
    async fn what_is_over_the_limit_is_shed_and_health_is_not() {
        let front = Front::new();
        let fine = || async { Ok(Response::new(Full::default())) };
        let busy = request("/v1/stores");
        let waiting = through(&front, &busy, "r-1", limits(), std::future::pending());
        let mut waiting = std::pin::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        let shed = through(&front, &request("/v1/stores"), "r-1", limits(), fine()).await;
        assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(shed.headers().contains_key("retry-after"));
        let health = through(&front, &request("/readyz"), "r-1", limits(), fine()).await;
        assert_eq!(health.status(), StatusCode::OK);
        assert_eq!(front.counters().shed.load(Ordering::Relaxed), 1);
        assert_eq!(front.counters().in_flight(), 1);
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_no_longer_in_flight() {
        let front = Front::new();
        let request = request("/v1/diagnosis");
        let mut left = Box::pin(through(&front, &request, "r-1", limits(), std::future::pending()));
        assert!(left.as_mut().now_or_never().is_none());
        drop(left);
        assert_eq!(counted(&front), [(["diagnosis", "4xx", "none"], 1)]);
        assert_eq!(front.counters().in_flight(), 0);
    }

    #[tokio::test]
    async fn the_time_limit_bounds_every_wait_and_slow_requests_are_counted() {
        let front = Front::new();
        let limits = Limits {
            request_timeout: Duration::from_millis(1),
            slow_request: Duration::from_nanos(1),
            ..limits()
        };
        let response =
            through(&front, &request("/v1/diagnosis"), "r-1", limits, std::future::pending()).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let count = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let counters = front.counters();
        assert_eq!((count(&counters.timeouts), count(&counters.slow)), (1, 1));
    }
}
