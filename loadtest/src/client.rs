//! The HTTP client: hyper's pooled one, with limits.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Largest body that is read: the store table of 10,000 stores has under 10 MB.
const MAX_BODY: usize = 256 << 20;

/// Asks one gateway.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    client: Client<HttpConnector, Empty<Bytes>>,
    base: String,
    token: Option<String>,
    timeout: Duration,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Gateway {
    pub(crate) fn new(url: &str, token: Option<String>, timeout: Duration) -> anyhow::Result<Self> {
        let base = url.trim_end_matches('/').to_owned();
        let uri: Uri = base.parse().with_context(|| format!("--url {url:?} cannot be read"))?;
        ensure!(uri.scheme_str() == Some("http"), "--url {url:?} must begin with http://");
        Ok(Self { client: Client::builder(TokioExecutor::new()).build_http(), base, token, timeout })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Reply> {
        let uri = format!("{}{path}", self.base);
        let mut request = Request::get(&uri).header(header::ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::new()).with_context(|| format!("{uri} is not a URL"))?;
        let whole = async {
            let response = self.client.request(request).await.with_context(|| format!("{uri} does not answer"))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_BODY).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("the body of {uri} broke off: {error}"))?.to_bytes();
            Ok(Reply { status: head.status, headers: head.headers, body })
        };
        let limit = self.timeout;
        tokio::time::timeout(limit, whole)
            .await
            .with_context(|| format!("{uri} did not answer within {} s", limit.as_secs()))?
    }
}
