//! A small HTTP client.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A response, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Checks the headers that every answer has, so that browsers do nothing else with it.
    #[track_caller]
    pub(crate) fn is_secure(&self) {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(self.header(name), value, "{name} of {}", self.status);
        }
        assert!(!self.header("x-request-id").is_empty() && !self.header("date").is_empty());
        let kept = !self.header("etag").is_empty();
        assert_eq!(self.header("cache-control") == "no-store", !kept, "{}", self.status);
        assert_eq!(self.headers.get_all("cache-control").iter().count(), 1);
    }

    /// Checks that it is a problem document of this status, and gives it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"].as_u64(), Some(u64::from(status)));
        assert_eq!(problem["request_id"].as_str().unwrap(), self.header("x-request-id"));
        for text in ["type", "title", "detail"] {
            assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        problem
    }
}

/// Asks `http://address`.
pub(crate) async fn send(method: Method, address: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    send_body(method, address, path, headers, "").await
}

/// As [`send`], with a body.
pub(crate) async fn send_body(
    method: Method,
    address: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = Pooled::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// Sends bytes as they are and gives the head and body of what comes back, until the server closes.
pub(crate) async fn raw(address: &str, request: &[u8]) -> String {
    let answer = raw_or_torn(address, request).await;
    assert!(!answer.is_empty(), "closed without an answer");
    answer
}

/// As [`raw`], but the server may also close without a word.
pub(crate) async fn raw_or_torn(address: &str, request: &[u8]) -> String {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let mut answer = Vec::new();
    // A server may answer and close before it has read everything.
    let _ = tokio::join!(write.write_all(request), read.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends bytes as they are, and gives all answers that come until the server closes; none if it closes without one.
pub(crate) async fn answers(address: &str, request: &[u8]) -> Vec<Answer> {
    let all = tokio::time::timeout(Duration::from_secs(60), raw_or_torn(address, request)).await;
    let Ok(all) = all else { panic!("still open: {:?}", String::from_utf8_lossy(request)) };
    let mut rest = all.as_str();
    let mut answers = Vec::new();
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().strip_prefix("HTTP/1.").unwrap()[2..5].parse().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines.map(|line| line.split_once(": ").unwrap()) {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let length =
            headers.get("content-length").map_or(0, |length| length.to_str().unwrap().parse().unwrap());
        let (body, after) = after.split_at(length);
        answers.push(Answer { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) });
        rest = after;
    }
    assert_eq!(rest, "", "a torn answer");
    answers
}

/// Sends a command to Redis and gives the begin of what comes back.
pub(crate) async fn raw_command(address: &str, command: &[u8]) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(command).await.unwrap();
    let mut answer = vec![0; 1024];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// Percent-encodes a text for a place in a URL.
pub(crate) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
