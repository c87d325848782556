//! When a request went onto its connection, and when the last of its answer came off it: taken where the bytes pass, since
//! what a task waits for its turn on a busy machine is no part of a server's latency.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

/// The times of a connection by HTTP/1.1, which answers one request after the other. It is an extension of each response.
#[derive(Clone, Debug, Default)]
pub(super) struct Wire(Arc<Mutex<Times>>);

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    /// Requests that were begun.
    requests: u64,
    /// When the first bytes of the last request were handed to the system.
    written: Option<Instant>,
    /// When bytes came last; none while none came since the request.
    read: Option<Instant>,
}

/// What is known of one request's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it went onto a connection that was there already; none if it was the connection's first, which had to wait for that.
    pub written: Option<Instant>,
    /// When the last of the answer came.
    pub read: Instant,
}

impl Wire {
    fn times(&self) -> MutexGuard<'_, Times> {
        // Two times stay two times, whoever panicked between them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writes(&self) {
        let mut times = self.times();
        if times.written.is_none() || times.read.is_some() {
            *times = Times { requests: times.requests + 1, written: Some(Instant::now()), read: None };
        }
    }

    fn reads(&self) {
        self.times().read = Some(Instant::now());
    }

    /// The times of the request whose answer was just read whole; none if the next one is under way already.
    pub(super) fn span(&self) -> Option<Span> {
        let Times { requests, written, read } = *self.times();
        Some(Span { written: written.filter(|_| requests > 1), read: read? })
    }
}

/// Makes connections whose times are taken.
#[derive(Clone, Debug)]
pub(super) struct TimedConnector<C> {
    connector: C,
    /// Whether a connection has one request at a time, so that its times are a request's.
    one_by_one: bool,
}

impl<C> TimedConnector<C> {
    pub(super) fn new(connector: C, one_by_one: bool) -> Self {
        Self { connector, one_by_one }
    }
}

impl<C> Service<Uri> for TimedConnector<C>
where
    C: Service<Uri>,
    C::Response: Send,
    C::Future: Send + 'static,
{
    type Response = Timed<C::Response>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let wire = self.one_by_one.then(Wire::default);
        let connecting = self.connector.call(uri);
        Box::pin(async { Ok(Timed { stream: connecting.await?, wire }) })
    }
}

/// A connection whose times are taken.
#[derive(Debug)]
pub(super) struct Timed<S> {
    stream: S,
    wire: Option<Wire>,
}

impl<S: Connection> Connection for Timed<S> {
    fn connected(&self) -> Connected {
        let connected = self.stream.connected();
        match &self.wire {
            Some(wire) => connected.extra(wire.clone()),
            None => connected,
        }
    }
}

impl<S: Read + Unpin> Read for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let (Poll::Ready(Ok(())), Some(wire)) = (&polled, &self.wire) {
            wire.reads();
        }
        polled
    }
}

impl<S: Write + Unpin> Write for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wire.iter().for_each(Wire::writes);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire.iter().for_each(Wire::writes);
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_of_the_request_whose_answer_came_last() {
        let wire = Wire::default();
        assert_eq!(wire.span(), None);
        wire.writes();
        wire.writes();
        assert_eq!(wire.span(), None, "no answer yet");
        wire.reads();
        let first = wire.span().unwrap();
        assert_eq!(first.written, None, "it waited for its connection");
        wire.reads();
        assert!(wire.span().unwrap().read >= first.read);

        let before = Instant::now();
        wire.writes();
        assert_eq!(wire.span(), None, "the next request is under way");
        wire.reads();
        let Span { written, read } = wire.span().unwrap();
        assert!(before <= written.unwrap() && written.unwrap() <= read);
    }
}
