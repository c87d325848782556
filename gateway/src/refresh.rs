//! `POST /v1/refresh`: a wish for fresh answers, which the access log carries to the warmer. It is taken only when its
//! line is written.

mod wish;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body;
use shared::access_log::Refresh;
use shared::answers::response::JSON;
use shared::runtime::now_ms;

use crate::app::{App, Front};
use crate::auth::Caller;
use crate::body::ResponseBody;
use crate::negotiate::{self, Format};
use crate::problem::Problem;
use crate::reply::Reply;
pub use wish::Wish;

/// The path.
pub(crate) const PATH: &str = "/v1/refresh";
/// Its methods, for `Allow`.
pub(crate) const METHODS: &str = "OPTIONS, POST";

/// Takes a refresh: 202 once the warmer will read of it.
///
/// # Errors
/// If it cannot be understood, is of others' stores, or cannot be logged.
pub(crate) async fn take<B>(
    front: &Front,
    app: &App,
    caller: Caller<'_>,
    request: &Request<()>,
    request_id: &str,
    body: B,
) -> Result<Reply, Problem>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if negotiate::format(request.headers(), &[Format::Json]).is_none() {
        return Err(Problem::not_acceptable(JSON));
    }
    check_kind(request.headers())?;
    let wish = Wish::read(&read(app, body).await?)?;
    caller.check(wish.stores.iter().flatten())?;
    let stores = stores(app, caller, wish.stores).await?;
    let requested_at = now_ms();
    let refresh = Refresh {
        requested_at,
        request_id: Some(request_id.to_owned()),
        token: caller.token().map(|token| token.id().to_owned()),
        stores,
        from: wish.from,
        to: wish.to,
        instance: None,
    };
    front.access_log().refresh(refresh).await.map_err(Problem::not_taken)?;
    let mut response = Response::new(ResponseBody::from(format!("{{\"requested_at\":{requested_at}}}")));
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    Ok(response.into())
}

/// JSON only, which no form of another web site can send without asking first.
fn check_kind(headers: &HeaderMap) -> Result<(), Problem> {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter().map(|value| value.to_str().unwrap_or(""));
    let kind = kinds.next().unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    let encoded = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if essence.eq_ignore_ascii_case(JSON) && kinds.next().is_none() && !encoded {
        return Ok(());
    }
    Err(Problem::media_type(JSON))
}

/// The body, within its limits of bytes and time.
async fn read<B>(app: &App, body: B) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let most = app.max_body_bytes();
    // Known before a byte of it is read, if its length is announced.
    if body.size_hint().lower() > u64::try_from(most).unwrap_or(u64::MAX) {
        return Err(Problem::body_too_large(most));
    }
    let body = std::pin::pin!(Limited::new(body, most));
    match tokio::time::timeout(app.body_timeout(), body.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::body_too_large(most)),
        Ok(Err(_)) => Err(Problem::body_broken()),
        Err(_) => Err(Problem::body_timeout()),
    }
}

/// The stores of a wish; `None` = all that there are. They must exist, and "all" of somebody with a list are his.
async fn stores(
    app: &App,
    caller: Caller<'_>,
    named: Option<Vec<String>>,
) -> Result<Option<Vec<String>>, Problem> {
    if named.is_none() && caller.list().is_none() {
        return Ok(None);
    }
    let directory = caller.directory(&app.directory().await?);
    let Some(named) = named else {
        return Ok(Some(directory.stores().iter().map(|store| store.store_id.clone()).collect()));
    };
    match named.iter().find(|store| directory.get(store).is_none()) {
        Some(unknown) => Err(Problem::unknown_store(unknown)),
        None => Ok(Some(named)),
    }
}
