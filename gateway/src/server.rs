//! Connections: limits, and a graceful stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use shared::config::GatewaySettings;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tower::ServiceBuilder;
use tower::util::BoxCloneSyncService;

use crate::app::Front;
use crate::observe::OpenConnection;
use crate::refusal::WithRefusals;
use crate::service;

/// Wait after a failed accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` completes, then finishes what is in flight within the drain limit, and writes the access log.
pub async fn serve(
    front: Front,
    listener: TcpListener,
    settings: &GatewaySettings,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(settings.max_connections));
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    let limits = service::Limits::of(settings);
    let service = {
        let front = front.clone();
        let routes = tower::service_fn(move |request| service::handle(front.clone(), request, limits));
        BoxCloneSyncService::new(ServiceBuilder::new().service(routes))
    };
    let mut server = Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(settings.max_header_bytes);
    let mut stop = std::pin::pin!(stop);
    loop {
        let place = tokio::select! {
            () = &mut stop => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let (stream, _) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    front.counters().connections.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(error = %error, "a connection could not be accepted; check the open-file limit");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // Answers are written in one piece: waiting for more only delays them.
        let _ = stream.set_nodelay(true);
        let stream = WithRefusals::new(TokioIo::new(stream));
        let connection = server.serve_connection(stream, TowerToHyperService::new(service.clone()));
        let watched = graceful.watch(connection);
        let open = OpenConnection::accepted(front.counters());
        connections.spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(error = %error, "connection ended");
            }
            drop((open, place));
        });
    }
    front.stop();
    drop(listener);
    connections.close();
    let open = connections.len();
    if tokio::time::timeout(settings.drain_timeout, graceful.shutdown()).await.is_err() {
        let left = connections.len();
        tracing::warn!(
            left,
            limit_ms = settings.drain_timeout.as_millis(),
            "connections did not finish in time"
        );
    }
    front.access_log().finish().await;
    tracing::info!(open, "stopped");
}
