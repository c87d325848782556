//! Clients that ask without a pause, over connections that they keep, and want the right answer every time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use testkit::wait_until;
use tokio::task::JoinSet;

use super::LIMIT;

/// What is asked, and the body that is right.
pub(super) type Questions = Arc<Vec<(String, Bytes)>>;

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    answered: AtomicU64,
    taken: AtomicU64,
    refused: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

/// What became of the refreshes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refreshes {
    /// 202.
    pub(super) taken: u64,
    /// 503: torn on the way, or not taken.
    pub(super) refused: u64,
}

/// Clients at work.
pub(super) struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

impl Load {
    /// So many clients that ask, and as many that want refreshes.
    pub(super) fn start(address: &str, questions: &Questions, askers: usize, refreshers: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let mut clients = JoinSet::new();
        for number in 0..askers {
            let client = Client { http: pooled(), address: address.to_owned(), shared: Arc::clone(&shared) };
            clients.spawn(client.ask(Arc::clone(questions), number));
        }
        for _ in 0..refreshers {
            let client = Client { http: pooled(), address: address.to_owned(), shared: Arc::clone(&shared) };
            clients.spawn(client.refresh());
        }
        Self { shared, clients }
    }

    /// Waits until so many more questions were answered.
    pub(super) async fn goes_on(&self, phase: &str, more: u64) {
        let answered = || self.shared.answered.load(Ordering::Relaxed);
        let enough = answered() + more;
        wait_until(&format!("{phase}: {more} answers"), LIMIT, async || answered() >= enough).await;
    }

    /// Waits until so many more refreshes were taken.
    pub(super) async fn refreshes(&self, more: u64) {
        let taken = || self.shared.taken.load(Ordering::Relaxed);
        let enough = taken() + more;
        wait_until("refreshes", LIMIT, async || taken() >= enough).await;
    }

    /// Ends it; what was not as it must be, and the refreshes.
    pub(super) async fn stop(mut self) -> (Vec<String>, Refreshes) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        let [taken, refused] =
            [&self.shared.taken, &self.shared.refused].map(|count| count.load(Ordering::Relaxed));
        (std::mem::take(&mut *self.shared.wrong.lock().unwrap()), Refreshes { taken, refused })
    }
}

fn pooled() -> Pooled<HttpConnector, Full<Bytes>> {
    Pooled::builder(TokioExecutor::new()).build_http()
}

struct Client {
    http: Pooled<HttpConnector, Full<Bytes>>,
    address: String,
    shared: Arc<Shared>,
}

impl Client {
    /// Asks one question after the other, each client from another one on.
    async fn ask(self, questions: Questions, first: usize) {
        let mut next = first * 7;
        while !self.shared.stopped.load(Ordering::Relaxed) {
            let (path, right) = &questions[next % questions.len()];
            next += 1;
            match self.send(Method::GET, path, "").await {
                Ok((StatusCode::OK, body)) if body == *right => {
                    self.shared.answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok((status, body)) => {
                    self.is_wrong(format!("{path}: {status} {}", String::from_utf8_lossy(&body)));
                }
                Err(error) => self.is_wrong(format!("{path}: {error}")),
            }
        }
    }

    async fn refresh(self) {
        while !self.shared.stopped.load(Ordering::Relaxed) {
            match self.send(Method::POST, "/v1/refresh", "{}").await {
                Ok((StatusCode::ACCEPTED, _)) => self.shared.taken.fetch_add(1, Ordering::Relaxed),
                Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => {
                    self.shared.refused.fetch_add(1, Ordering::Relaxed)
                }
                other => {
                    self.is_wrong(format!("a refresh: {other:?}"));
                    0
                }
            };
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &'static str,
    ) -> Result<(StatusCode, Bytes), String> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap();
        let response = self.http.request(request).await.map_err(|error| format!("{error:?}"))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| format!("torn: {error:?}"))?.to_bytes();
        Ok((parts.status, body))
    }

    fn is_wrong(&self, what: String) {
        let mut wrong = self.shared.wrong.lock().unwrap();
        if wrong.len() < 100 {
            wrong.push(what);
        }
    }
}
