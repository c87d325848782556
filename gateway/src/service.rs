//! The service: tower layers around the routes.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use shared::answers::parameters::{self, Asked, OrdersAsk, Route};
use shared::answers::response::Meta;
use shared::model::{Ask, Document, Query};
use shared::runtime::now_ms;

use crate::access_log::{Details, Pending, ToList};
use crate::app::{App, Front};
use crate::auth::{self, Caller};
use crate::negotiate::Format;
use crate::problem::Problem;
use crate::{headers, ladder, order_pages, refresh, represent};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over.
const REQUEST_ID_BYTES: usize = 128;
/// Longest URL: 500 Chinese store names, percent-encoded, fit.
pub const MAX_URI_BYTES: usize = 64 << 10;
const METHODS: &str = "GET, HEAD, OPTIONS";

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
) -> Result<Response<ResponseBody>, Infallible>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, ());
    let started = now_ms();
    let request_id = request_id(&request);
    let mut record = Pending::begin(front.access_log(), &request, &request_id);
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let outcome = match tokio::time::timeout(limit, route(&front, &request, &request_id, body)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Problem::timeout()),
    };
    let mut response = outcome.unwrap_or_else(|problem| problem_response(&problem, &request_id));
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    headers::finish(front.access(), &request, &mut response);
    if method == Method::HEAD && response.status() != StatusCode::NOT_MODIFIED {
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
    if let Some(challenge) = problem.challenge {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

async fn route<B>(
    front: &Front,
    request: &Request<()>,
    request_id: &str,
    body: B,
) -> Result<Response<ResponseBody>, Problem>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let caller = front.access().admit(request)?;
    let uri = request.uri();
    let length = uri.path_and_query().map_or(0, |path| path.as_str().len());
    if length > MAX_URI_BYTES {
        return Err(Problem::uri_too_long(MAX_URI_BYTES));
    }
    let path = uri.path();
    let route = Route::of(path);
    let posts = path == refresh::PATH;
    if route.is_none() && !posts && !auth::is_free(path) {
        return Err(Problem::unknown_path(path));
    }
    let methods = if posts { refresh::METHODS } else { METHODS };
    match *request.method() {
        Method::GET | Method::HEAD if !posts => {}
        Method::POST if posts => {}
        Method::OPTIONS => return Ok(options(methods)),
        _ => return Err(Problem::method(methods)),
    }
    let Some(caller) = caller else {
        return Ok(if path == "/livez" {
            plain(StatusCode::OK, "alive\n".to_owned())
        } else {
            ready(front).await
        });
    };
    let app = front.app().ok_or_else(Problem::starting)?;
    match route {
        Some(route) => question(app, caller, request, &route).await,
        None => refresh::take(front, app, caller, request, request_id, body).await,
    }
}

fn options(methods: &'static str) -> Response<ResponseBody> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
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

async fn question(
    app: &App,
    caller: Caller<'_>,
    request: &Request<()>,
    route: &Route,
) -> Result<Response<ResponseBody>, Problem> {
    let asked = parameters::read(route, request.uri().query().unwrap_or_default())?;
    // Checked before anything is looked up.
    let mut response = match asked {
        Asked::Document(ask) => {
            caller.check(ask.stores.iter().flatten())?;
            document(app, caller, request, &ask).await?
        }
        Asked::Orders(ask) => {
            caller.check([&ask.store_id])?;
            orders(app, request, &ask).await?
        }
    };
    if caller.list().is_some() {
        response.extensions_mut().insert(ToList);
    }
    Ok(response)
}

async fn document(
    app: &App,
    caller: Caller<'_>,
    request: &Request<()>,
    ask: &Ask,
) -> Result<Response<ResponseBody>, Problem> {
    let shape = represent::shape(ask.document);
    let format = shape.negotiate(request.headers())?;
    let all = app.directory().await?;
    let directory = caller.directory(&all);
    let query = ask.resolve(&directory)?;
    let answer = ladder::answer(app, &query, &directory, format == Format::Json).await?;
    let meta = Meta::new(&query, answer.version);
    let rules = app.levels().rules();
    let (headers, question) = (request.headers().clone(), query.canonical());
    let write = move || represent::response(&headers, &shape, format, &question, rules, &meta, &answer);
    let mut response = app.compute().run(write).await??;
    response.extensions_mut().insert(Details::new(&query, &all));
    Ok(response)
}

async fn orders(
    app: &App,
    request: &Request<()>,
    ask: &OrdersAsk,
) -> Result<Response<ResponseBody>, Problem> {
    let shape = represent::order_shape();
    let format = shape.negotiate(request.headers())?;
    let directory = app.directory().await?;
    let query = orders_query(ask, &directory)?;
    let store = directory.get(&ask.store_id).ok_or_else(|| Problem::unknown_store(&ask.store_id))?;
    let days = query.range.into_iter().flat_map(|range| store.days.within(range)).collect();
    let answer = order_pages::page(app, ask, &query, days).await?;
    let meta = Meta::new(&query, answer.version);
    let rules = app.levels().rules();
    let cursor = ask.cursor.as_ref().map(ToString::to_string).unwrap_or_default();
    let question = format!("orders&limit={}&cursor={cursor}&{}", ask.limit, query.canonical());
    let headers = request.headers().clone();
    let write = move || represent::response(&headers, &shape, format, &question, rules, &meta, &answer);
    let mut response = app.compute().run(write).await??;
    response.extensions_mut().insert(Details::new(&query, &directory));
    Ok(response)
}

/// Store, range and channels of a page, with defaults: `from` is `to` if absent.
fn orders_query(ask: &OrdersAsk, directory: &shared::model::Directory) -> Result<Query, Problem> {
    let document = Ask {
        stores: Some([ask.store_id.clone()].into()),
        from: ask.from,
        to: ask.to,
        channels: ask.channels.clone(),
        ..Ask::default_for(Document::Channels)
    };
    let query = document.resolve(directory)?;
    match (ask.from, query.range) {
        (None, Some(range)) => {
            let from = Some(range.to);
            Ok(Ask { from, to: Some(range.to), ..document }.resolve(directory)?)
        }
        _ => Ok(query),
    }
}
