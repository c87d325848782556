//! The service: the routes, behind the layers of `layers.rs`.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use shared::answers::parameters::{self, Asked, OrdersAsk, Route};
use shared::answers::response::{JSON, Meta};
use shared::model::{Ask, Document, Query};

use crate::access_log::Details;
use crate::app::{App, Front};
use crate::auth::{self, Caller};
pub use crate::layers::Limits;
use crate::negotiate::Format;
use crate::problem::Problem;
use crate::{layers, ladder, openapi, order_pages, refresh, represent};

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
    limits: Limits,
) -> Result<Response<ResponseBody>, Infallible>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, ());
    let request_id = layers::request_id(&request);
    let route = route(&front, &request, &request_id, body);
    Ok(layers::through(&front, &request, &request_id, limits, route).await)
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
        return Ok(match path {
            "/livez" => plain(StatusCode::OK, "alive\n".to_owned()),
            "/openapi.json" => described(),
            _ => ready(front),
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

fn described() -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(openapi::json()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

/// Ready, or why not: from what is known, so that it waits for nobody.
fn ready(front: &Front) -> Response<ResponseBody> {
    match front.readiness() {
        Ok(text) => plain(StatusCode::OK, text + "\n"),
        Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

async fn question(
    app: &App,
    caller: Caller<'_>,
    request: &Request<()>,
    route: &Route,
) -> Result<Response<ResponseBody>, Problem> {
    let asked = parameters::read(route, request.uri().query().unwrap_or_default())?;
    // Before anything is looked up.
    match asked {
        Asked::Document(ask) => {
            caller.check(ask.stores.iter().flatten())?;
            document(app, caller, request, &ask).await
        }
        Asked::Orders(ask) => {
            caller.check([&ask.store_id])?;
            orders(app, request, &ask).await
        }
    }
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
    let limited = ask.stores.is_none() && !Arc::ptr_eq(&directory, &all);
    response.extensions_mut().insert(Details::new(&query, &all, limited));
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
    response.extensions_mut().insert(Details::new(&query, &directory, false));
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
