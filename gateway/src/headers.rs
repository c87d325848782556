//! Headers that do not depend on what was asked: for browsers (CORS, and what they must not do with an answer), and for
//! caches between.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW,
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ORIGIN, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};

use crate::auth::Access;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const TIMING_ALLOW_ORIGIN: HeaderName = HeaderName::from_static("timing-allow-origin");
/// What pages of listed origins may send beside what every page may.
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, if-none-match, if-modified-since, x-request-id");
/// What they may read beside what every page may.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "age, allow, etag, retry-after, server-timing, vary, www-authenticate, x-cache, x-request-id",
);
/// How long a browser need not ask again whether it may ask, in seconds.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");
/// Two years, as browsers' lists of such sites want.
const TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Adds what browsers must not do with any answer, whatever was asked and whoever answers it; `tls` if clients come by
/// TLS only.
pub(crate) fn secure(headers: &mut HeaderMap, tls: bool) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    // A page of our own may say what it needs; data need nothing.
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    // Some errors may be kept by a cache that is not told otherwise.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, TLS_ONLY);
    }
}

/// Adds the headers that every response has.
pub(crate) fn finish<B>(access: &Access, request: &Request<()>, response: &mut Response<B>) {
    let preflight = is_preflight(request);
    let headers = response.headers_mut();
    secure(headers, access.is_tls());
    if let Some(varies) = varies(headers.contains_key(VARY), access.has_tokens(), access.has_origins()) {
        headers.insert(VARY, HeaderValue::from_static(varies));
    }
    if let Some(origin) = access.allowed_origin(request.headers().get(ORIGIN)) {
        allow(headers, origin, preflight);
    }
}

/// What else decides which response a request gets, beside its method and target.
fn varies(document: bool, tokens: bool, origins: bool) -> Option<&'static str> {
    match (document, tokens, origins) {
        (false, false, false) => None,
        (false, true, false) => Some("authorization"),
        (false, false, true) => Some("origin"),
        (false, true, true) => Some("authorization, origin"),
        (true, false, false) => Some("accept, accept-encoding"),
        (true, true, false) => Some("accept, accept-encoding, authorization"),
        (true, false, true) => Some("accept, accept-encoding, origin"),
        (true, true, true) => Some("accept, accept-encoding, authorization, origin"),
    }
}

/// A question of a browser whether a page of another origin may ask.
fn is_preflight(request: &Request<()>) -> bool {
    *request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn allow(headers: &mut HeaderMap, origin: &HeaderValue, preflight: bool) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if !preflight {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        headers.insert(TIMING_ALLOW_ORIGIN, origin.clone());
        return;
    }
    if let Some(methods) = headers.get(ALLOW).cloned() {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
    }
}
