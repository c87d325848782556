//! The requests that hyper reads from some bytes, with the gateway's settings.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use gateway::server::heads::{has_body, is_plainly_coded};
use http::header::CONNECTION;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::Request;

/// `gateway.max_header_bytes`, unless set otherwise.
const MAX_HEAD: usize = 1536 << 10;

/// A client that has sent all it has to say, and closed its side.
struct Client<'a> {
    rest: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Read for Client<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let size = self.sizes.next().copied().unwrap_or(1).min(buffer.remaining()).min(self.rest.len());
        let (piece, rest) = self.rest.split_at(size);
        buffer.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

impl Write for Client<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Those that the gateway's service would see; a body that is not whole is `None`.
pub(super) fn requests(bytes: &[u8], sizes: &[usize]) -> Vec<Request> {
    let read = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request| {
        let read = Rc::clone(&read);
        async move {
            let plain = is_plainly_coded(request.headers());
            let request = whole(request).await;
            let mut response = Response::new(Empty::<Bytes>::new());
            // As the gateway does: what follows a body is not read.
            if request.has_body {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            if plain {
                read.borrow_mut().push(request);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let client = Client { rest: bytes, sizes: sizes.iter().cycle() };
    let mut http = http1::Builder::new();
    http.header_read_timeout(None).max_buf_size(MAX_HEAD);
    {
        let mut connection = pin!(http.serve_connection(client, service));
        let mut context = Context::from_waker(Waker::noop());
        // Every byte is there already, so it only waits in order to let others run.
        let mut turns = 100 + bytes.len();
        while connection.as_mut().poll(&mut context).is_pending() {
            turns -= 1;
            assert!(turns > 0, "the connection does not end");
        }
    }
    read.take()
}

async fn whole(request: http::Request<Incoming>) -> Request {
    let (head, body) = request.into_parts();
    let has_body = has_body(&head.headers);
    let mut headers: Vec<(String, Vec<u8>)> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    headers.sort_by(|a, b| a.0.cmp(&b.0));
    let headers = super::without_length(headers);
    let path = head.uri.path_and_query().filter(|_| head.uri.authority().is_none());
    let target = path.map_or("", http::uri::PathAndQuery::as_str);
    let body = body.collect().await.ok().map(|body| body.to_bytes().to_vec());
    Request { method: head.method.to_string(), target: target.to_owned(), headers, has_body, body }
}
