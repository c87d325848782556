//! The service: the routes, behind the layers of `layers.rs`.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use shared::answers::parameters::Route;
use shared::answers::response::JSON;

use crate::app::Front;
use crate::auth;
pub use crate::layers::Limits;
use crate::problem::Problem;
use crate::{layers, openapi, questions, refresh};

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
    let access = front.access();
    let caller = access.admit(request)?;
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
        Some(route) => questions::answer(app, caller, request, &route).await,
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
