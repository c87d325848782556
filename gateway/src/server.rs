//! Connections: where they come from, their limits, and a graceful stop.
//!
//! - `listening`, `unix_socket`, `tls`: addresses, sockets that are handed over, certificates.
//! - `accepting`: takes connections, as many as there are `places` for; a further client is told so.
//! - `threads`: serve them, each those it was given.
//! - `connection`: drives one within its limits, by its `activity`.
//! - `stream`, [`heads`]: its bytes; heads that must not be read.
//! - `exchange`: one request, counted while it is in flight.

mod accepting;
mod activity;
mod connection;
mod exchange;
pub mod heads;
mod listening;
mod places;
mod stream;
mod threads;
mod tls;
#[cfg(unix)]
mod unix_socket;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto::Builder;
use shared::config::GatewaySettings;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::app::Front;
use crate::observe::Counters;
use crate::{panel, service};
use activity::{Activity, Limits};
use connection::Phase;
pub use exchange::RequestBody;
use exchange::Service;
pub use listening::{ListenError, Listeners, may_listen};
use places::Places;
use threads::Threads;
pub use tls::Tls;

/// Streams of HTTP/2 that a client may reset before they are accepted, and that this side may reset, before the connection
/// is cut as a flood (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
const MAX_OWN_RESETS: usize = 256;
/// Requests that are named when they did not finish in time.
const MAX_NAMED: usize = 20;
/// What is left after the drain limit ends at once; this is for what hangs even then.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Serves until `stop` completes, then finishes what is in flight within the drain limit, and writes the access log.
///
/// # Errors
/// If the threads that serve cannot be started.
pub async fn serve(
    front: Front,
    listeners: impl Into<Listeners>,
    settings: &GatewaySettings,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let listeners = listeners.into();
    front.panel().serves(&listeners.addresses().join(", "), settings.status_streams);
    let (phase, phases) = watch::channel(Phase::Serving);
    let server = Arc::new(Server::new(&front, settings, listeners.tls, phases)?);
    front.served_by(server.threads.told());
    let mut accepting = JoinSet::new();
    for listener in listeners.sockets {
        accepting.spawn(accepting::accept(Arc::clone(&server), listener, listeners.handed_over));
    }
    let mut looking = JoinSet::new();
    looking.spawn(panel::follow(front.clone()));
    tokio::select! {
        () = stop => {}
        // They end when asked to, and only then.
        ended = accepting.join_next() => tracing::error!(?ended, "nothing is listened on any more; stopping"),
    }
    front.stop();
    if !settings.stop_delay.is_zero() {
        let wait_ms = settings.stop_delay.as_millis();
        tracing::info!(wait_ms, "not ready any more; serving on until balancers have seen it");
        tokio::time::sleep(settings.stop_delay).await;
    }
    phase.send_replace(Phase::Draining);
    while accepting.join_next().await.is_some() {}
    let open = server.open.lock().unwrap_or_else(PoisonError::into_inner).len();
    server.tasks.close();
    if tokio::time::timeout(settings.drain_timeout, server.tasks.wait()).await.is_err() {
        server.name_stragglers(settings.drain_timeout);
        phase.send_replace(Phase::Over);
        let _ = tokio::time::timeout(LAST_MOMENT, server.tasks.wait()).await;
    }
    front.access_log().finish().await;
    tracing::info!(open, "stopped");
    Ok(())
}

/// Runs what hyper does beside a connection where the drain waits for it.
#[derive(Clone)]
struct Tasks(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// What all connections share.
struct Server {
    service: Arc<Service>,
    counters: Arc<Counters>,
    http1: Builder<Tasks>,
    http2: Builder<Tasks>,
    tls: Option<Tls>,
    limits: Limits,
    places: Arc<Places>,
    threads: Threads,
    /// For telling clients that there is no place.
    tellers: Arc<Semaphore>,
    tasks: TaskTracker,
    phases: watch::Receiver<Phase>,
    open: Mutex<HashMap<u64, Arc<Activity>>>,
    connections: AtomicU64,
}

impl Server {
    fn new(
        front: &Front,
        settings: &GatewaySettings,
        tls: Option<Tls>,
        phases: watch::Receiver<Phase>,
    ) -> io::Result<Self> {
        let tasks = TaskTracker::new();
        let http = http(settings, Tasks(tasks.clone()));
        Ok(Self {
            service: Arc::new(Service {
                front: front.clone(),
                limits: service::Limits::of(settings),
                max_body: settings.max_body_bytes,
                tls: tls.is_some(),
            }),
            counters: Arc::clone(front.counters()),
            http1: http.clone().http1_only(),
            http2: http.http2_only(),
            tls,
            limits: Limits::of(settings),
            places: Places::new(settings.max_connections, settings.max_connections_per_address),
            threads: Threads::start(settings.serving_threads)?,
            tellers: accepting::tellers(),
            tasks,
            phases,
            open: Mutex::default(),
            connections: AtomicU64::new(0),
        })
    }

    /// Registers a connection for as long as the guard lives.
    fn register(self: &Arc<Self>, activity: &Arc<Activity>) -> Registered {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::clone(activity));
        Registered { server: Arc::clone(self), number }
    }

    /// Says which requests did not finish.
    fn name_stragglers(&self, limit: Duration) {
        let open: Vec<_> =
            self.open.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let (now, limit_ms) = (Instant::now(), limit.as_millis());
        let requests: Vec<_> = open.iter().flat_map(|activity| activity.in_flight()).collect();
        for request in requests.iter().take(MAX_NAMED) {
            let age_ms = now.saturating_duration_since(request.since).as_millis();
            tracing::warn!(path = request.uri.path(), age_ms, limit_ms, "a request did not finish in time");
        }
        let (connections, requests) = (open.len(), requests.len());
        tracing::warn!(connections, requests, limit_ms, "connections did not finish in time, and are cut");
    }
}

/// Of both versions of HTTP. Times are kept by `connection`: hyper would count an idle connection as a slow head.
fn http(settings: &GatewaySettings, tasks: Tasks) -> Builder<Tasks> {
    let mut http = Builder::new(tasks);
    http.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(settings.max_header_bytes);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_streams)
        .max_header_list_size(u32::try_from(settings.max_header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_OWN_RESETS);
    http
}

/// A connection in the list of those that are open.
struct Registered {
    server: Arc<Server>,
    number: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.server.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}
