//! The record of a request that is being answered. It is taken by the log at the latest when it is dropped, so a request
//! whose client went away is there too.

use std::time::{Duration, Instant};

use http::Request;
use hyper::body::Body as _;
use shared::access_log::RequestLine;
use shared::access_log::record::{Kind, few_stores, limited_stores};
use shared::model::{Day, Directory, Query};
use shared::runtime::now_ms;

use super::AccessLog;
use crate::auth::{self, Identity};
use crate::reply::Reply;

/// Status of a request whose client went away before there was an answer, as nginx has it.
const CLIENT_GONE: u16 = 499;

/// What a question came to, whoever asked it.
#[derive(Debug)]
pub(crate) struct Details {
    /// Unless they are too many for any line.
    stores: Option<Vec<String>>,
    store_count: Option<u32>,
    last_day: Option<Day>,
}

impl Details {
    /// `directory` is that of all stores, whatever the caller may see: days are told relative to its last one.
    pub(crate) fn new(query: &Query, directory: &Directory) -> Self {
        Self {
            stores: limited_stores(&query.stores).map(<[_]>::to_vec),
            store_count: u32::try_from(query.stores.len()).ok(),
            last_day: directory.last_day(),
        }
    }

    /// Bytes that it takes beside itself.
    pub(crate) fn size(&self) -> usize {
        self.stores.iter().flatten().map(|store| store.len() + size_of::<String>()).sum()
    }
}

/// A record that is not complete yet.
pub(crate) struct Pending<'a> {
    log: &'a AccessLog,
    started: Instant,
    /// `None` if this request is not logged, or was.
    line: Option<RequestLine<'a>>,
}

impl<'a> Pending<'a> {
    /// Begins the record of a request that came at `started`.
    pub(crate) fn begin<B>(
        log: &'a AccessLog,
        started: Instant,
        request: &'a Request<B>,
        kind: Option<Kind>,
        request_id: &'a str,
        identity: &'a Identity<'_>,
    ) -> Self {
        let path = request.uri().path();
        let logged = log.is_on() && !auth::is_free(path);
        let line = logged.then(|| {
            let mut line = RequestLine {
                time: now_ms(),
                request_id: Some(request_id),
                token: identity.id(),
                method: request.method().as_str(),
                kind,
                status: CLIENT_GONE,
                ..RequestLine::default()
            };
            line.set_target(path, request.uri().query().unwrap_or_default());
            line
        });
        Self { log, started, line }
    }

    /// Records what the request came to, and how long it took.
    pub(crate) fn answered(&mut self, reply: &Reply, took: Duration) {
        let Some(mut line) = self.line.take() else { return };
        line.status = reply.response.status().as_u16();
        line.bytes = reply.response.body().size_hint().exact().unwrap_or(0);
        (line.outcome, line.stale) = (reply.outcome, reply.stale);
        if let Some(details) = reply.details() {
            // A question that names stores says so itself.
            line.limited = reply.to_list && !line.query.contains("stores=");
            let named = details.stores.as_deref();
            line.stores = if line.limited { named } else { named.and_then(few_stores) };
            line.store_count = details.store_count;
            line.last_day = details.last_day;
        }
        self.record(line, took);
    }

    fn record(&self, mut line: RequestLine<'_>, took: Duration) {
        line.duration_us = u64::try_from(took.as_micros()).ok();
        self.log.record(line);
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            self.record(line, self.started.elapsed());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::auth::Access;
    use shared::access_log::{self, Outcome};

    #[tokio::test]
    async fn a_client_that_went_away_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let settings = shared::config::Settings::load(&[], &|_| None).unwrap().access_log;
        let settings = shared::config::AccessLogSettings { path: Some(path.clone()), ..settings };
        let log = AccessLog::start(&settings, "here:1").unwrap();
        let access = Access::default();
        for (target, kind) in [("/v1/stores/a%2Fb/orders?limit=5", Some("orders")), ("/livez", None)] {
            let request = Request::get(target).header("authorization", "Bearer abc").body(()).unwrap();
            let identity = access.identify(request.headers());
            drop(Pending::begin(&log, Instant::now(), &request, kind, "r-1", &identity));
        }
        log.finish().await;
        let text = std::fs::read_to_string(path).unwrap();
        let Ok(access_log::Event::Request(record)) = access_log::parse_line(text.trim_end().as_bytes())
        else {
            panic!("{text}")
        };
        assert_eq!((record.status, record.outcome, record.kind), (499, Outcome::None, Some("orders")));
        assert_eq!((record.path.as_str(), record.query.as_str()), ("/v1/stores/a%2Fb/orders", "limit=5"));
        assert_eq!(
            (record.instance.as_deref(), record.token.as_deref()),
            (Some("here:1"), Some("ba7816bf8f01"))
        );
        assert!(record.question().is_ok());
    }
}
