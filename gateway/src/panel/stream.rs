//! The status as server-sent events. A stream ends when the gateway stops, or when other tokens count: its client comes back,
//! to this gateway or another, and says again who he is.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::unfold;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderName, HeaderValue, Response};
use shared::entry::GzipPieces;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::View;
use crate::app::Front;
use crate::auth::Access;
use crate::body::ResponseBody;
use crate::problem::Problem;

/// What a client waits before it comes back.
const RETRY_MS: u32 = 2000;
/// For nginx, which would hold events back.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

struct Streaming {
    front: Front,
    view: View,
    access: Arc<Access>,
    looks: watch::Receiver<u64>,
    /// Seconds since 1970 of the last point that was sent; `None` before the first event.
    sent: Option<i64>,
    /// `None` for a client that does not take gzip.
    gzip: Option<GzipPieces>,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

pub(super) fn open(front: &Front, view: View, gzip: bool) -> Result<Response<ResponseBody>, Problem> {
    let panel = front.panel();
    let places = panel.streams.get().ok_or_else(Problem::starting)?;
    let place = Arc::clone(places).try_acquire_owned().map_err(|_| Problem::too_many_streams())?;
    let streaming = Streaming {
        front: front.clone(),
        view,
        access: Arc::clone(&front.access()),
        looks: panel.looks.subscribe(),
        sent: None,
        gzip: gzip.then(GzipPieces::default),
        ended: false,
        _place: place,
    };
    let events = unfold(streaming, |mut streaming| async move {
        let bytes = streaming.bytes().await?;
        Some((bytes, streaming))
    });
    let mut response = Response::new(ResponseBody::Events(Box::pin(events)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

impl Streaming {
    /// The next event as it is sent, or what ends the stream; `None` behind it.
    async fn bytes(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        match self.next().await {
            Some(event) => match &mut self.gzip {
                Some(gzip) => gzip.next(event.as_bytes()).ok().map(Bytes::from),
                None => Some(Bytes::from(event)),
            },
            None => {
                self.ended = true;
                self.gzip.take()?.end().ok().map(Bytes::from)
            }
        }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        let begin = if self.sent.is_none() { format!("retry: {RETRY_MS}\n") } else { String::new() };
        // The first look is on its way.
        if self.sent.is_some() || *self.looks.borrow_and_update() == 0 {
            self.looks.changed().await.ok()?;
            if self.front.is_stopping() || !Arc::ptr_eq(&self.access, &self.front.access()) {
                return None;
            }
        }
        let since = self.sent.unwrap_or(0);
        let document = self.front.panel().document(&self.front, &self.view, since);
        self.sent = Some(document.history.times.last().copied().unwrap_or(since));
        let json = serde_json::to_string(&document).ok()?;
        Some(format!("{begin}event: status\ndata: {json}\n\n"))
    }
}
