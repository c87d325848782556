//! The record of a request that is being answered. It is taken by the log at the latest when it is dropped, so a request
//! whose client went away is there too.

use std::time::{Duration, Instant};

use http::Request;
use hyper::body::Body as _;
use shared::access_log::RequestLine;
use shared::access_log::record::{Kind, few_stores, limited_stores};
use shared::access_log::request_line::{Answered, Asker, Question, QuestionFields, WrittenQuestion};
use shared::answers::parameters::Route;
use shared::model::{Directory, Query};
use shared::runtime::now_ms;

use super::AccessLog;
use crate::auth::{self, Identity};
use crate::reply::Reply;

/// Status of a request whose client went away before there was an answer, as nginx has it.
const CLIENT_GONE: u16 = 499;

/// The part of its lines that a question has in common whoever asks it when, in these words. `directory` is that of all
/// stores, whatever the caller may see: days are told relative to its last one. `to_list` says that he may not see all.
pub(crate) fn question(
    request: &Request<()>,
    route: &Route,
    query: &Query,
    directory: &Directory,
    to_list: bool,
) -> Option<WrittenQuestion> {
    let named = request.uri().query().unwrap_or_default();
    // A question that names stores says so itself.
    let limited = to_list && !named.contains("stores=");
    let stores = if limited { limited_stores(&query.stores) } else { few_stores(&query.stores) };
    let fields = QuestionFields {
        kind: Some(route.kind()),
        stores,
        limited,
        store_count: u32::try_from(query.stores.len()).ok(),
        last_day: directory.last_day(),
        ..QuestionFields::of_target(request.uri().path(), named)
    };
    // Texts and numbers can always be written; if not, the line has what the request says.
    fields.written().ok()
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
            let asker = Asker {
                time: now_ms(),
                request_id: Some(request_id),
                token: identity.id(),
                method: request.method().as_str(),
            };
            let target = QuestionFields::of_target(path, request.uri().query().unwrap_or_default());
            let question = Question::Fields(QuestionFields { kind, ..target });
            RequestLine { asker, question, answer: Answered { status: CLIENT_GONE, ..Answered::default() } }
        });
        Self { log, started, line }
    }

    /// Records what the request came to, and how long it took.
    pub(crate) fn answered(&mut self, reply: &Reply, took: Duration) {
        let Some(mut line) = self.line.take() else { return };
        line.answer = Answered {
            status: reply.response.status().as_u16(),
            outcome: reply.outcome,
            stale: reply.stale,
            bytes: reply.response.body().size_hint().exact().unwrap_or(0),
            ..line.answer
        };
        let written = reply.question.as_ref().map(Question::Written);
        self.record(RequestLine { question: written.unwrap_or(line.question), ..line }, took);
    }

    fn record(&self, mut line: RequestLine<'_>, took: Duration) {
        line.answer.duration_us = u64::try_from(took.as_micros()).ok();
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
