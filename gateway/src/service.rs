//! The service: the routes, behind the layers of `layers.rs`.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use shared::answers::parameters::{self, Asked, OrdersAsk, Route};
use shared::answers::response::Meta;
use shared::model::{Ask, Document, Query};

use crate::access_log::Details;
use crate::app::{App, Front};
pub use crate::layers::Limits;
use crate::negotiate::Format;
use crate::problem::Problem;
use crate::{ladder, layers, order_pages, represent};

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
) -> Result<Response<ResponseBody>, Infallible> {
    Ok(layers::through(&front, &request, limits, route(&front, &request)).await)
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
            Some(app) => question(app, request, &route).await,
            None => Err(Problem::starting()),
        },
        _ => Ok(ready(front)),
    }
}

fn plain(status: StatusCode, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Ready, or why not: from what is known, so that it waits for nobody.
fn ready(front: &Front) -> Response<ResponseBody> {
    match front.readiness() {
        Ok(text) => plain(StatusCode::OK, text + "\n"),
        Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

async fn question<B>(
    app: &App,
    request: &Request<B>,
    route: &Route,
) -> Result<Response<ResponseBody>, Problem> {
    let asked = parameters::read(route, request.uri().query().unwrap_or_default())?;
    match asked {
        Asked::Document(ask) => document(app, request, &ask).await,
        Asked::Orders(ask) => orders(app, request, &ask).await,
    }
}

async fn document<B>(app: &App, request: &Request<B>, ask: &Ask) -> Result<Response<ResponseBody>, Problem> {
    let shape = represent::shape(ask.document);
    let format = shape.negotiate(request.headers())?;
    let directory = app.directory().await?;
    let query = ask.resolve(&directory)?;
    let answer = ladder::answer(app, &query, &directory, format == Format::Json).await?;
    let meta = Meta::new(&query, answer.version);
    let rules = app.levels().rules();
    let (headers, question) = (request.headers().clone(), query.canonical());
    let write = move || represent::response(&headers, &shape, format, &question, rules, &meta, &answer);
    let mut response = app.compute().run(write).await??;
    response.extensions_mut().insert(Details::new(&query, &directory));
    Ok(response)
}

async fn orders<B>(
    app: &App,
    request: &Request<B>,
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
