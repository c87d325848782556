//! A connection's bytes on their way to hyper: heads are looked at, and what goes on is told to the activity.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;
use super::heads::{Heads, Seen, Version};

/// Bytes taken at once. They stay on the stack, so an idle connection has none.
const READ_BYTES: usize = 8 << 10;

/// A watched stream.
pub(super) struct Watched<S> {
    stream: S,
    heads: Heads,
    activity: Arc<Activity>,
    /// What was read to know which HTTP it is, until hyper takes it.
    first: Vec<u8>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, heads: Heads::new(), activity, first: Vec::new() }
    }

    fn told(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.activity.wrote(Instant::now(), *bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.activity.blocked(Instant::now()),
        }
        written
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Reads until it is settled which HTTP the client speaks. hyper-util would do it, but hands the bytes on in two
    /// pieces, after which hyper's buffer is twice as large for as long as the connection lasts. `None` if the client
    /// left.
    pub(super) async fn version(&mut self) -> Option<Version> {
        loop {
            if let Some(version) = self.heads.version() {
                return Some(version);
            }
            let known = self.first.len();
            let read = poll_fn(|context| {
                let mut first = std::mem::take(&mut self.first);
                let read = self.poll_bytes(context, READ_BYTES, |bytes| first.extend_from_slice(bytes));
                self.first = first;
                read
            });
            read.await.ok()?;
            if self.first.len() == known {
                return None;
            }
        }
    }

    /// Takes bytes from the stream, after a look at them.
    fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
        room: usize,
        take: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        let mut space = [const { MaybeUninit::<u8>::uninit() }; READ_BYTES];
        let mut bytes = ReadBuf::uninit(&mut space[..room.min(READ_BYTES)]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut bytes))?;
        if !bytes.filled().is_empty() {
            self.activity.read(Instant::now());
            match self.heads.look(bytes.filled_mut()) {
                Seen::Http2 => self.activity.is_http2(),
                Seen::Refused => tracing::debug!("a head with a bare LF or two lengths is refused"),
                Seen::Nothing => {}
            }
            take(bytes.filled());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> Read for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        if !self.first.is_empty() {
            let mut first = std::mem::take(&mut self.first);
            let rest = first.split_off(first.len().min(room));
            buffer.put_slice(&first);
            self.first = rest;
            return Poll::Ready(Ok(()));
        }
        self.poll_bytes(context, room, |bytes| buffer.put_slice(bytes))
    }
}

impl<S: AsyncWrite + Unpin> Write for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, buffer);
        self.told(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        match &flushed {
            Poll::Ready(_) => self.activity.flushed(),
            Poll::Pending => self.activity.blocked(Instant::now()),
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(context);
        if closed.is_pending() {
            self.activity.blocked(Instant::now());
        }
        closed
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.told(written)
    }
}
