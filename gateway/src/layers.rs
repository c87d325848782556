//! What every request goes through, outside in: request id, trace, counts, access log, catch panic; then, what waits for
//! something, load shed and time limit. Written as one value rather than as nested services: it is the hot path, and what
//! is answered at once pays for no timer and no large future.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Body as _;
use shared::access_log::record::Kind;
use shared::config::GatewaySettings;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::access_log::Pending;
use crate::app::Front;
use crate::auth::{Access, Identity};
use crate::body::ResponseBody;
use crate::headers;
use crate::observe::Observed;
use crate::problem::Problem;
use crate::reply::Reply;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over.
const REQUEST_ID_BYTES: usize = 128;

/// Limits of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From its head to its answer, with every wait for Redis, database and computing.
    pub request_timeout: Duration,
    /// Requests in flight from which on what would have to wait is turned away.
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

/// A request on its way through the layers.
pub(crate) struct Passage<'a> {
    front: &'a Front,
    access: &'a Access,
    request: &'a Request<()>,
    request_id: &'a str,
    limits: Limits,
    span: Span,
    observed: Observed<'a>,
    record: Pending<'a>,
}

impl<'a> Passage<'a> {
    /// Lets a request in; `kind` is that of the documents that its path leads to.
    pub(crate) fn begin(
        front: &'a Front,
        access: &'a Access,
        request: &'a Request<()>,
        request_id: &'a str,
        identity: &'a Identity<'_>,
        kind: Option<Kind>,
        limits: Limits,
    ) -> Self {
        let path = request.uri().path();
        // At debug: a span of every request costs more than a hit. Warnings name the request id themselves.
        let span = tracing::debug_span!(
            "request", request_id, method = %request.method(), path,
            status = Empty, outcome = Empty, duration_ms = Empty,
        );
        let observed = front.counters().begin(path, kind);
        let record =
            Pending::begin(front.access_log(), observed.started, request, kind, request_id, identity);
        Self { front, access, request, request_id, limits, span, observed, record }
    }

    /// What needs no wait.
    ///
    /// # Errors
    /// As `work`; 500 if it panics.
    pub(crate) fn at_once<T>(&self, work: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
        // What a panic leaves half done belongs to this request alone, or is behind a lock that does not mind.
        let outcome = self.span.in_scope(|| catch_unwind(AssertUnwindSafe(work)));
        outcome.unwrap_or_else(|panic| Err(self.panicked(panic.as_ref())))
    }

    /// What waits for something, if not too much does already.
    ///
    /// # Errors
    /// As `work`; 503 if too much waits already, or if it takes too long; 500 if it panics.
    pub(crate) async fn waiting<F>(&self, work: F) -> Result<Reply, Problem>
    where
        F: Future<Output = Result<Reply, Problem>>,
    {
        let counters = self.front.counters();
        if counters.in_flight() > self.limits.max_in_flight {
            counters.shed.fetch_add(1, Ordering::Relaxed);
            return Err(Problem::overloaded());
        }
        let work = AssertUnwindSafe(work).catch_unwind();
        let work = tokio::time::timeout(self.limits.request_timeout, work);
        match work.instrument(self.span.clone()).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(self.panicked(panic.as_ref())),
            Err(_) => {
                counters.timeouts.fetch_add(1, Ordering::Relaxed);
                Err(Problem::timeout())
            }
        }
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> Problem {
        self.front.counters().panics.fetch_add(1, Ordering::Relaxed);
        let (request_id, path) = (self.request_id, self.request.uri().path());
        tracing::error!(request_id, path, panic = panic_text(panic), "a handler panicked; report this");
        Problem::internal()
    }

    /// The response, finished and recorded; every error is a problem document.
    pub(crate) fn end(mut self, outcome: Result<Reply, Problem>) -> Response<ResponseBody> {
        let mut reply = outcome.unwrap_or_else(|problem| problem_response(&problem, self.request_id).into());
        let response = &mut reply.response;
        if let Ok(value) = HeaderValue::from_str(self.request_id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        headers::finish(self.access, self.request, response);
        if self.request.method() == Method::HEAD && response.status() != StatusCode::NOT_MODIFIED {
            let length = response.body().size_hint().exact().unwrap_or(0);
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
            *response.body_mut() = ResponseBody::default();
        }
        let took = self.observed.started.elapsed();
        self.record.answered(&reply, took);
        self.observed.answered(reply.response.status(), reply.outcome, took);
        if !self.span.is_disabled() {
            self.span.record("status", reply.response.status().as_u16());
            self.span.record("outcome", reply.outcome.as_str());
            self.span.record("duration_ms", took.as_secs_f64() * 1000.0);
        }
        if took >= self.limits.slow_request {
            self.tell_slow(&reply, took);
        }
        reply.response
    }

    fn tell_slow(&self, reply: &Reply, took: Duration) {
        let counters = self.front.counters();
        counters.slow.fetch_add(1, Ordering::Relaxed);
        let Some(not_told) = counters.slow_log.pass() else { return };
        let timing = reply.response.headers().get("server-timing").and_then(|value| value.to_str().ok());
        tracing::warn!(
            request_id = self.request_id,
            path = self.request.uri().path(),
            outcome = reply.outcome.as_str(),
            duration_ms = took.as_millis(),
            server_timing = timing.unwrap_or_default(),
            not_told,
            "a request was slow"
        );
    }
}

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
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
    let mut response = Response::new(ResponseBody::from(problem.body(request_id)));
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
    use shared::answers::parameters::Route;

    /// A request whose answer is `work`.
    async fn through(
        front: &Front,
        request: &Request<()>,
        limits: Limits,
        work: impl Future<Output = Result<Reply, Problem>>,
    ) -> Response<ResponseBody> {
        let access = front.access();
        let identity = access.identify(request.headers());
        let kind = Route::of(request.uri().path()).map(|route| route.kind());
        let passage = Passage::begin(front, &access, request, "r-1", &identity, kind, limits);
        let outcome = passage.waiting(work).await;
        passage.end(outcome)
    }

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
        let response = through(&front, &request("/v1/stores"), limits(), broken).await;
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
    async fn what_waits_over_the_limit_is_shed() {
        let front = Front::new();
        let fine = || async { Ok(Response::new(ResponseBody::default()).into()) };
        let busy = request("/v1/stores");
        let waiting = through(&front, &busy, limits(), std::future::pending());
        let mut waiting = std::pin::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        let shed = through(&front, &request("/v1/stores"), limits(), fine()).await;
        assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(shed.headers().contains_key("retry-after"));
        // What is at hand is answered.
        let (near, access) = (request("/v1/stores"), Access::default());
        let identity = access.identify(near.headers());
        let passage = Passage::begin(&front, &access, &near, "r-1", &identity, None, limits());
        let at_hand = passage.at_once(|| Ok(Response::new(ResponseBody::default()).into()));
        assert_eq!(passage.end(at_hand).status(), StatusCode::OK);
        assert_eq!(front.counters().shed.load(Ordering::Relaxed), 1);
        assert_eq!(front.counters().in_flight(), 1);
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_no_longer_in_flight() {
        let front = Front::new();
        let request = request("/v1/diagnosis");
        let mut left = Box::pin(through(&front, &request, limits(), std::future::pending()));
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
        let response = through(&front, &request("/v1/diagnosis"), limits, std::future::pending()).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let count = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let counters = front.counters();
        assert_eq!((count(&counters.timeouts), count(&counters.slow)), (1, 1));
    }
}
