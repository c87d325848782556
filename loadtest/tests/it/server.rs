//! A server on a free port that answers by path, over real HTTP of either version.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) type Handler = fn(&Request<Incoming>) -> Response<Full<Bytes>>;

/// Starts the server; it ends with the test's runtime.
pub(crate) async fn start(handler: Handler) -> SocketAddr {
    start_slow(move |request| {
        let answer = handler(&request);
        async { answer }
    })
    .await
}

/// Starts a server that takes its time.
pub(crate) async fn start_slow<H, A>(handler: H) -> SocketAddr
where
    H: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let handler = handler.clone();
            let service = service_fn(move |request| {
                let answer = handler(request);
                async { Ok::<_, Infallible>(answer.await) }
            });
            connections.spawn(async move {
                let serving = auto::Builder::new(TokioExecutor::new());
                // A client that leaves ends its connection as it likes.
                let _ = serving.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    // Dropped, the set would end the server at once; the runtime ends it with the test.
    accepting.detach_all();
    address
}
