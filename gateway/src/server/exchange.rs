//! One request and its answer: counted while it is in flight, its body bounded.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use http_body_util::Limited;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use super::activity::Activity;
use super::heads::{has_body, is_plainly_coded};
use crate::problem::Problem;
use crate::refusal;
use crate::service::ResponseBody;

/// A request's body, which fails where it grows beyond the limit.
pub type RequestBody = Limited<Incoming>;
/// What answers requests.
pub(super) type Routes = BoxCloneSyncService<Request<RequestBody>, Response<ResponseBody>, Infallible>;

/// A request in flight, until this is dropped.
struct InFlight {
    activity: Arc<Activity>,
    number: u64,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.activity.end(Instant::now(), self.number);
    }
}

/// A body that keeps its request in flight.
pub(super) struct Counted<B> {
    body: B,
    _request: InFlight,
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Answers one request of a connection.
pub(super) fn answer(
    routes: Routes,
    activity: &Arc<Activity>,
    request: Request<Incoming>,
    max_body: usize,
) -> impl Future<Output = Result<Response<Counted<ResponseBody>>, Infallible>> + Send + use<> {
    let number = activity.begin(Instant::now(), request.uri());
    let in_flight = InFlight { activity: Arc::clone(activity), number };
    // See `heads`: what follows a body is not looked at.
    let last = request.version() < Version::HTTP_2 && has_body(request.headers());
    let plain = is_plainly_coded(request.headers());
    let too_large = request.body().size_hint().lower() > max_body as u64;
    async move {
        let answered = if !plain {
            Ok(refusal::response(&Problem::transfer_coding()))
        } else if too_large {
            Ok(refusal::response(&Problem::body_too_large(max_body)))
        } else {
            routes.oneshot(request.map(|body| Limited::new(body, max_body))).await
        };
        answered.map(|mut response| {
            if last {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response.map(|body| Counted { body, _request: in_flight })
        })
    }
}
