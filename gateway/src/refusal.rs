//! Requests that hyper refuses before the service sees them (a line that is no HTTP, a URL or header over the limit):
//! hyper answers those itself, with a bare status. This stream gives such an answer the body and the headers that every
//! error has.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, UNIX_EPOCH};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderValue, Response, header};
use hyper::rt::{Read, ReadBufCursor, Write};
use shared::runtime::now_ms;

use crate::body::ResponseBody;
use crate::headers::secure;
use crate::problem::Problem;
use crate::service::MAX_URI_BYTES;

/// A connection on which hyper's own refusals become problem documents.
pub(crate) struct WithRefusals<S> {
    stream: S,
    /// What is left to write instead of hyper's refusal; the connection ends after it.
    refusal: Bytes,
    /// Whether clients come by TLS only.
    tls: bool,
}

impl<S> WithRefusals<S> {
    pub(crate) fn new(stream: S, tls: bool) -> Self {
        Self { stream, refusal: Bytes::new(), tls }
    }
}

/// The answer in place of hyper's, if these bytes are a refusal by hyper: a head without a body, as one write. The
/// service's own errors always have one, and its 4xx heads to HEAD announce it.
fn in_place_of(written: &[u8], tls: bool) -> Option<Bytes> {
    let head = std::str::from_utf8(written).ok()?.strip_prefix("HTTP/1.1 ")?.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').next()?;
    if !lines.any(|line| line.eq_ignore_ascii_case("content-length: 0")) {
        return None;
    }
    let problem = match status {
        "400" => Problem::no_http(),
        "414" => Problem::uri_too_long(MAX_URI_BYTES),
        "431" => Problem::headers_too_large(),
        _ => return None,
    };
    Some(answer(&problem, tls))
}

/// A problem as the bytes of an HTTP/1.1 answer, after which the connection ends; `tls` if clients come by TLS only.
pub(crate) fn answer(problem: &Problem, tls: bool) -> Bytes {
    let (mut headers, body) = parts(problem, tls);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let since_1970 = Duration::from_millis(u64::try_from(now_ms()).unwrap_or_default());
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(UNIX_EPOCH + since_1970)) {
        headers.insert(header::DATE, date);
    }
    let mut answer = format!("HTTP/1.1 {}\r\n", problem.status).into_bytes();
    for (name, value) in &headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            answer.extend_from_slice(part);
        }
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(body.as_bytes());
    answer.into()
}

/// A problem as the answer to a request that the service does not see; `tls` if clients come by TLS only.
pub(crate) fn response(problem: &Problem, tls: bool) -> Response<ResponseBody> {
    let (headers, body) = parts(problem, tls);
    let mut response = Response::new(ResponseBody::from(body));
    *response.status_mut() = problem.status;
    *response.headers_mut() = headers;
    response
}

/// Headers and body of a problem that is told without the service.
fn parts(problem: &Problem, tls: bool) -> (HeaderMap, String) {
    let request_id = uuid::Uuid::new_v4().to_string();
    let body = problem.body(&request_id);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        headers.insert("x-request-id", request_id);
    }
    if let Some(seconds) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    secure(&mut headers, tls);
    (headers, body)
}

impl<S: Write + Unpin> WithRefusals<S> {
    /// Writes what is left of a refusal.
    fn write_refusal(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.refusal))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.refusal.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Read + Unpin> Read for WithRefusals<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: Write + Unpin> Write for WithRefusals<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.starts_with(b"HTTP/1.1 4")
            && let Some(refusal) = in_place_of(buffer, self.tls)
        {
            self.refusal = refusal;
            return Poll::Ready(Ok(buffer.len()));
        }
        ready!(self.write_refusal(context))?;
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_refusal(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_refusal(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match buffers {
            // Refusals are one buffer: they have no body.
            [single] => self.poll_write(context, single),
            several => {
                ready!(self.write_refusal(context))?;
                Pin::new(&mut self.stream).poll_write_vectored(context, several)
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_bare_refusals_are_replaced() {
        let refusal =
            b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let answer = in_place_of(refusal, false).unwrap();
        let answer = std::str::from_utf8(&answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 414 URI Too Long\r\n"), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert_eq!(header("content-type: "), "application/problem+json");
        assert_eq!(header("content-length: "), body.len().to_string());
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["request_id"], header("x-request-id: "));
        for other in [
            &b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 5\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 5\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        ] {
            assert_eq!(in_place_of(other, false), None);
        }
    }
}
