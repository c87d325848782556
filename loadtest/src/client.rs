//! HTTP to a gateway: bounded in time and size.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Largest answer that is read.
const MAX_BODY: usize = 256 << 20;

/// A gateway that answers.
#[derive(Clone, Debug)]
pub struct Gateway {
    client: Client<HttpConnector, Empty<Bytes>>,
    base: String,
    token: Option<HeaderValue>,
    timeout: Duration,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Where the gateway says that it found the answer.
    pub x_cache: Option<String>,
    /// Body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No connection.
    #[error("cannot connect to {base}: {cause}; is the gateway running, and is this its address?")]
    Unreachable {
        /// The gateway's address.
        base: String,
        /// What went wrong.
        cause: String,
    },
    /// The path is not one that can be sent.
    #[error("the path cannot be sent: {0}; write it percent-encoded")]
    BadPath(String),
    /// The time limit passed.
    #[error("no answer within {0:?}; set a longer --timeout")]
    Timeout(Duration),
    /// The connection broke, or the answer is too large.
    #[error("the answer broke off: {0}")]
    Broken(String),
}

/// An error with those behind it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl Gateway {
    /// The gateway at `url` (`http://host:port`, with a path prefix if there is one).
    ///
    /// # Errors
    /// When the address or the token cannot be used.
    pub fn new(url: &str, token: Option<&str>, timeout: Duration) -> anyhow::Result<Self> {
        let uri: Uri =
            url.parse().with_context(|| format!("{url:?} is not an address; write http://HOST:PORT"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            bail!(
                "{url:?} is not an http address; write http://HOST:PORT of the gateway itself, not of a TLS proxy"
            );
        }
        if uri.query().is_some() {
            bail!("{url:?} has a query; write only the address, the requests have their own");
        }
        let token = match token {
            Some(token) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                    .context("the token has characters that no header can carry")?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeout));
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, base: url.trim_end_matches('/').to_owned(), token, timeout })
    }

    /// Asks for a path with query.
    ///
    /// # Errors
    /// When there is no whole answer; a status that is no success is an answer.
    pub async fn get(&self, path: &str) -> Result<Answer, RequestError> {
        let mut request = Request::get(format!("{}{path}", self.base)).header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request.body(Empty::new()).map_err(|error| RequestError::BadPath(error.to_string()))?;
        match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(RequestError::Timeout(self.timeout)),
        }
    }

    async fn exchange(&self, request: Request<Empty<Bytes>>) -> Result<Answer, RequestError> {
        let response = self.client.request(request).await.map_err(|error| {
            let cause = chain(&error);
            if error.is_connect() {
                RequestError::Unreachable { base: self.base.clone(), cause }
            } else {
                RequestError::Broken(cause)
            }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map_err(|error| RequestError::Broken(chain(error.as_ref())))?.to_bytes();
        let x_cache = head.headers.get("x-cache").and_then(|v| v.to_str().ok()).map(ToOwned::to_owned);
        Ok(Answer { status: head.status, x_cache, body })
    }
}

impl Answer {
    /// What the body of an error says in one line: the problem's title, detail and parameters, else its beginning.
    #[must_use]
    pub fn problem(&self) -> String {
        let field =
            |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let Ok(problem) = serde_json::from_slice::<Value>(&self.body) else {
            return String::from_utf8_lossy(&self.body).chars().take(200).collect();
        };
        let mut parts: Vec<String> =
            ["title", "detail"].iter().filter_map(|name| field(&problem, name)).collect();
        let errors = problem.get("errors").and_then(Value::as_array);
        for error in errors.into_iter().flatten().take(5) {
            let text = |name| field(error, name).unwrap_or_default();
            parts.push(format!("{}: {}", text("parameter"), text("reason")));
        }
        parts.join("; ")
    }
}
