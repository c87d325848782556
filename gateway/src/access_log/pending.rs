//! The record of a request that is being answered. It is taken by the log when it is dropped, so a request whose client
//! went away is there too.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, Request, Response};
use hyper::body::Body;
use shared::access_log::record::{few_stores, limited_stores};
use shared::access_log::{self, Outcome, token_id};
use shared::answers::parameters::Route;
use shared::model::{Day, Directory, Query};
use shared::runtime::now_ms;

use super::AccessLog;
use crate::auth;
use crate::auth::token::Presented;

/// Status of a request whose client went away before there was an answer, as nginx has it.
const CLIENT_GONE: u16 = 499;

/// What a question came to; travels with its response, whoever asked it.
#[derive(Clone, Debug)]
pub(crate) struct Details {
    /// Unless they are too many for any line.
    stores: Option<Arc<[String]>>,
    store_count: Option<u32>,
    last_day: Option<Day>,
}

impl Details {
    /// `directory` is that of all stores, whatever the caller may see: days are told relative to its last one.
    pub(crate) fn new(query: &Query, directory: &Directory) -> Self {
        Self {
            stores: limited_stores(&query.stores).map(Arc::from),
            store_count: u32::try_from(query.stores.len()).ok(),
            last_day: directory.last_day(),
        }
    }
}

/// Marks a response to somebody who may not see all stores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToList;

/// A record that is not complete yet.
pub(crate) struct Pending {
    log: AccessLog,
    started: Instant,
    /// `None` if this request is not logged.
    request: Option<access_log::Request>,
}

impl Pending {
    /// Begins the record of a request.
    pub(crate) fn begin<B>(log: &AccessLog, request: &Request<B>, request_id: &str) -> Self {
        let started = Instant::now();
        let path = request.uri().path();
        let logged = log.is_on() && !auth::is_free(path);
        let record = logged.then(|| {
            let mut record = access_log::Request {
                time: now_ms(),
                request_id: Some(request_id.to_owned()),
                token: token(request.headers()),
                method: request.method().as_str().to_owned().into(),
                kind: Route::of(path).map(|route| route.kind()),
                status: CLIENT_GONE,
                ..access_log::Request::default()
            };
            record.set_target(path, request.uri().query().unwrap_or_default());
            record
        });
        Self { log: log.clone(), started, request: record }
    }

    /// Adds what the response says.
    pub(crate) fn answered<B: Body>(&mut self, response: &Response<B>) {
        let Some(record) = &mut self.request else { return };
        record.status = response.status().as_u16();
        record.bytes = response.body().size_hint().exact().unwrap_or(0);
        let cache = response.headers().get("x-cache").and_then(|value| value.to_str().ok());
        (record.outcome, record.stale) = cache.map_or((Outcome::None, false), Outcome::from_header);
        if let Some(details) = response.extensions().get::<Details>() {
            // A question that names stores says so itself.
            record.limited =
                response.extensions().get::<ToList>().is_some() && !record.query.contains("stores=");
            let named = details.stores.as_deref();
            record.stores =
                if record.limited { named.map(<[_]>::to_vec) } else { named.and_then(few_stores) };
            record.store_count = details.store_count;
            record.last_day = details.last_day;
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(mut record) = self.request.take() {
            record.duration_us = u64::try_from(self.started.elapsed().as_micros()).ok();
            self.log.record(record);
        }
    }
}

/// The id of the bearer token.
fn token(headers: &HeaderMap) -> Option<String> {
    match Presented::of(headers) {
        Presented::Token(token) => Some(token_id(token)),
        Presented::Nothing | Presented::Malformed => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_went_away_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let settings = shared::config::Settings::load(&[], &|_| None).unwrap().access_log;
        let settings = shared::config::AccessLogSettings { path: Some(path.clone()), ..settings };
        let log = AccessLog::start(&settings, "here:1").unwrap();
        let request = Request::get("/v1/stores/a%2Fb/orders?limit=5").body(()).unwrap();
        drop(Pending::begin(&log, &request, "r-1"));
        drop(Pending::begin(&log, &Request::get("/livez").body(()).unwrap(), "r-2"));
        log.finish().await;
        let text = std::fs::read_to_string(path).unwrap();
        let Ok(access_log::Event::Request(record)) = access_log::parse_line(text.trim_end().as_bytes())
        else {
            panic!("{text}")
        };
        assert_eq!((record.status, record.outcome, record.kind), (499, Outcome::None, Some("orders")));
        assert_eq!((record.path.as_str(), record.query.as_str()), ("/v1/stores/a%2Fb/orders", "limit=5"));
        assert_eq!(record.instance.as_deref(), Some("here:1"));
        assert!(record.question().is_ok());
    }

    #[test]
    fn only_bearer_tokens_have_an_id() {
        let id = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::AUTHORIZATION, value.parse().unwrap());
            token(&headers)
        };
        for value in ["Bearer abc", "bearer  abc "] {
            assert_eq!(id(value).as_deref(), Some("ba7816bf8f01"), "{value}");
        }
        for value in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
            assert_eq!(id(value), None, "{value}");
        }
        assert_eq!(id(&format!("Bearer {}", "x".repeat(5 << 10))), None);
    }
}
