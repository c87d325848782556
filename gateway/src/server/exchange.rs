//! One request and its answer: counted while it is in flight, its body bounded.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, Response, Version};
use http_body_util::Limited;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::activity::Activity;
use super::heads::{has_body, is_plainly_coded};
use crate::app::Front;
use crate::body::ResponseBody;
use crate::problem::Problem;
use crate::{refusal, service};

/// A request's body, which fails where it grows beyond the limit.
pub type RequestBody = Limited<Incoming>;

/// What answers requests, and what they must keep to.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) front: Front,
    pub(super) limits: service::Limits,
    /// Most bytes of a request's body.
    pub(super) max_body: usize,
    /// Whether clients come by TLS only.
    pub(super) tls: bool,
}

/// A client of one connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) service: Arc<Service>,
    pub(super) activity: Arc<Activity>,
    pub(super) address: Option<IpAddr>,
}

/// A request in flight, until this is dropped.
struct InFlight {
    client: Arc<Client>,
    number: u64,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.client.activity.end(Instant::now(), self.number);
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
    client: Arc<Client>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Counted<ResponseBody>>, Infallible>> + Send {
    let number = client.activity.begin(Instant::now(), request.uri());
    let in_flight = InFlight { client, number };
    async move {
        let Client { service, address, .. } = &*in_flight.client;
        let refused = refused(&request, service.max_body);
        // See `heads`: what follows a body is not looked at. Nor is what follows a head without a meaning.
        let last = request.version() < Version::HTTP_2 && (refused.is_some() || has_body(request.headers()));
        let mut response = if let Some(problem) = refused {
            refusal::response(&problem, service.tls)
        } else {
            let request = request.map(|body| Limited::new(body, service.max_body));
            service::handle(&service.front, *address, request, service.limits).await
        };
        if last {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| Counted { body, _request: in_flight }))
    }
}

/// Why a request is not for the service, if it is not.
fn refused(request: &Request<Incoming>, max_body: usize) -> Option<Problem> {
    // RFC 9112, 3.2. Two servers may take two hosts for different ones.
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, another) = (hosts.next(), hosts.next());
    if another.is_some() || (host.is_none() && request.version() == Version::HTTP_11) {
        return Some(Problem::not_one_host());
    }
    if !is_plainly_coded(request.headers()) {
        return Some(Problem::transfer_coding());
    }
    (request.body().size_hint().lower() > max_body as u64).then(|| Problem::body_too_large(max_body))
}
