//! The service: the routes, behind the layers of `layers.rs`.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Body;
use shared::answers::parameters::{Parameters, Route};
use shared::answers::response::JSON;

use crate::app::{App, Front};
use crate::auth::{self, Access, Caller, Identity};
use crate::body::ResponseBody;
pub use crate::layers::Limits;
use crate::layers::Passage;
use crate::problem::Problem;
use crate::questions::Asking;
use crate::reply::Reply;
use crate::{inventory, layers, openapi, page, panel, questions, refresh};

/// Longest URL: 500 Chinese store names, percent-encoded, fit.
pub const MAX_URI_BYTES: usize = 64 << 10;
const METHODS: &str = "GET, HEAD, OPTIONS";

/// Answers one request of a client at an address (none for a Unix socket); every error is a problem document.
pub async fn handle<B>(
    front: &Front,
    address: Option<IpAddr>,
    request: Request<B>,
    limits: Limits,
) -> Response<ResponseBody>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, ());
    let request_id = layers::request_id(&request);
    let access = front.access();
    let identity = access.identify(request.headers());
    let route = Route::of(request.uri().path());
    let kind = route.as_ref().map(Route::kind);
    let passage = Passage::begin(front, &access, &request, &request_id, &identity, kind, limits);
    // What waits is boxed: most requests do not, and their future is copied on its way.
    let outcome = match passage.at_once(|| at_once(front, &access, address, &request, &identity, route)) {
        Ok(Next::Answered(reply)) => Ok(reply),
        Ok(Next::Question(asked)) => passage.waiting(Box::pin(questions::answer(asked))).await,
        Ok(Next::Refresh(app, caller)) => {
            let refresh = refresh::take(front, app, caller, &request, &request_id, body);
            passage.waiting(Box::pin(refresh)).await
        }
        Ok(Next::Inventory(app, caller)) => {
            let inventory = Box::pin(inventory::answer(front, app, caller, &request));
            passage.waiting(async { inventory.await.map(Reply::from) }).await
        }
        Err(problem) => Err(problem),
    };
    passage.end(outcome)
}

/// What is to be done with a request.
enum Next<'a> {
    Answered(Reply),
    Question(Asking<'a>),
    Refresh(&'a App, Caller<'a>),
    Inventory(&'a App, Caller<'a>),
}

/// All that needs no wait: whether the caller may ask, what is asked, and its answer if it is near.
fn at_once<'a>(
    front: &'a Front,
    access: &'a Access,
    address: Option<IpAddr>,
    request: &'a Request<()>,
    identity: &Identity<'a>,
    route: Option<Route>,
) -> Result<Next<'a>, Problem> {
    let caller = access.admit(request, identity, address)?;
    // Where `scripts/faults` breaks handlers; nothing in any other build.
    #[cfg(feature = "failpoints")]
    fail::fail_point!("handler");
    let uri = request.uri();
    let length = uri.path_and_query().map_or(0, |path| path.as_str().len());
    if length > MAX_URI_BYTES {
        return Err(Problem::uri_too_long(MAX_URI_BYTES));
    }
    let path = uri.path();
    let posts = path == refresh::PATH;
    let watches = path == panel::PATH || path == panel::STREAM;
    if route.is_none() && !posts && !watches && !inventory::is_at(path) && !auth::is_free(path) {
        return Err(Problem::unknown_path(path));
    }
    let methods = if posts { refresh::METHODS } else { METHODS };
    let answered = |response: Response<ResponseBody>| Ok(Next::Answered(response.into()));
    match *request.method() {
        Method::GET | Method::HEAD if !posts => {}
        Method::POST if posts => {}
        Method::OPTIONS => return answered(options(methods)),
        _ => return Err(Problem::method(methods)),
    }
    let Some(caller) = caller else {
        return answered(match path {
            "/livez" => plain(StatusCode::OK, "alive\n".to_owned()),
            "/openapi.json" => described(),
            _ if page::is_at(path) => page::answer(path, request.headers())?,
            _ => ready(front),
        });
    };
    if watches {
        // As far as it is known, also while nothing is ready yet.
        no_parameters(uri.query())?;
        return answered(if path == panel::STREAM {
            panel::stream(front, caller, request.headers())?
        } else {
            panel::answer(front, caller, request.headers())?
        });
    }
    let app = front.app().ok_or_else(Problem::starting)?;
    if inventory::is_at(path) {
        return Ok(Next::Inventory(app, caller));
    }
    match caller.token() {
        Some(token) => front.panel().clients().note(token.place()),
        None => front.panel().clients().note(address),
    }
    let Some(route) = route else { return Ok(Next::Refresh(app, caller)) };
    let asking = Asking::new(app, caller, request, route);
    Ok(match asking.near() {
        Some(reply) => Next::Answered(reply),
        None => Next::Question(asking),
    })
}

/// # Errors
/// 400 with every parameter that there is.
fn no_parameters(query: Option<&str>) -> Result<(), Problem> {
    Parameters::of(query.unwrap_or_default(), &[]).finish()?;
    Ok(())
}

fn options(methods: &'static str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

fn plain(status: StatusCode, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn described() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(openapi::json()));
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
