//! Takes connections from one listening socket, and serves them.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hyper::service::service_fn;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::activity::Activity;
use super::connection::{self, End};
use super::exchange::Client;
use super::heads::Version;
use super::listening::Listener;
use super::places::{self, Full, Place};
use super::stream::Watched;
use super::threads::Seat;
use super::tls::Tls;
use super::{Server, exchange};
use crate::observe::OpenConnection;
use crate::refusal::WithRefusals;

/// Wait after a failed accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time without a failed accept after which all is well again.
const CALM: Duration = Duration::from_secs(1);
/// Clients without a place that are told so at the same time; more are only closed.
const MAX_TOLD: usize = 128;

/// What a connection holds while it lasts.
type Held = (Place, Seat, OpenConnection);

/// A connection as it comes.
enum Accepted {
    Tcp(std::net::TcpStream, IpAddr),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

/// Takes connections until the gateway stops.
pub(super) async fn accept(server: Arc<Server>, listener: Listener, handed_over: bool) {
    let mut phases = server.phases.clone();
    let mut troubles = Troubles::default();
    loop {
        tokio::select! {
            biased;
            // It only ever changes to stop.
            _ = phases.changed() => break,
            accepted = next(&listener) => match accepted {
                Ok(accepted) => {
                    troubles.over();
                    take(&server, accepted, &mut troubles);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    server.counters.connections.failed.fetch_add(1, Ordering::Relaxed);
                    troubles.begin(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // Who has been let in by the kernel would be turned away when the socket closes. Where somebody else holds it, too,
    // the next process takes them.
    if !handed_over {
        while let Some(accepted) = waiting(&listener) {
            take(&server, accepted, &mut troubles);
        }
    }
}

async fn next(listener: &Listener) -> io::Result<Accepted> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            Ok(Accepted::Tcp(stream.into_std()?, address.ip()))
        }
        #[cfg(unix)]
        Listener::Unix(socket) => Ok(Accepted::Unix(socket.listener.accept().await?.0.into_std()?)),
    }
}

/// A connection that the kernel has let in already. Asked directly: the runtime may not have heard of it yet.
fn waiting(listener: &Listener) -> Option<Accepted> {
    let accepted = |socket: &SockRef<'_>| {
        let (stream, address) = socket.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((stream, address))
    };
    match listener {
        Listener::Tcp(listener) => {
            let (stream, address) = accepted(&SockRef::from(listener))?;
            Some(Accepted::Tcp(stream.into(), address.as_socket()?.ip()))
        }
        #[cfg(unix)]
        Listener::Unix(socket) => {
            let (stream, _) = accepted(&SockRef::from(&socket.listener))?;
            Some(Accepted::Unix(stream.into()))
        }
    }
}

/// A client that left before it was let in says nothing of the next one.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// What went wrong last with taking connections: told when it begins and when it is over.
#[derive(Debug, Default)]
struct Troubles {
    failed: u64,
    last_failed: Option<Instant>,
    full: bool,
}

impl Troubles {
    fn begin(&mut self, error: &io::Error) {
        if self.failed == 0 {
            tracing::warn!(error = %error, "connections cannot be accepted; check the limit of open files (LimitNOFILE=)");
        }
        self.failed += 1;
        self.last_failed = Some(Instant::now());
    }

    /// A connection was accepted. One that finds the last free file says nothing of the next one.
    fn over(&mut self) {
        if self.last_failed.is_some_and(|last| last.elapsed() >= CALM) {
            tracing::info!(failed = self.failed, "connections are accepted again");
            self.failed = 0;
            self.last_failed = None;
        }
    }

    fn full(&mut self, full: bool) {
        if full && !self.full {
            tracing::warn!(
                "all connections are taken, so clients are turned away; raise gateway.max_connections"
            );
        }
        self.full = full;
    }
}

/// Serves a connection if there is a place for it, else tells its client.
fn take(server: &Arc<Server>, accepted: Accepted, troubles: &mut Troubles) {
    let address = match &accepted {
        Accepted::Tcp(_, address) => Some(*address),
        #[cfg(unix)]
        Accepted::Unix(_) => None,
    };
    let place = match server.places.take(address) {
        Ok(place) => place,
        Err(full) => {
            troubles.full(full == Full::All);
            return turn_away(server, accepted, full);
        }
    };
    troubles.full(false);
    if let Err(error) = begin(server, accepted, place) {
        server.counters.connections.failed.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(error = %error, "a connection could not be handed to a thread");
    }
}

/// Hands a connection to one of the threads that serve.
fn begin(server: &Arc<Server>, accepted: Accepted, place: Place) -> io::Result<()> {
    let (runtime, seat) = server.threads.seat();
    let (own, held) = (Arc::clone(server), (place, seat, OpenConnection::accepted(&server.counters)));
    // The stream's events go to the runtime that is entered when it is made.
    let _there = runtime.enter();
    match accepted {
        Accepted::Tcp(stream, address) => {
            // Answers are written in one piece: waiting for more only delays them.
            let _ = stream.set_nodelay(true);
            let stream = TcpStream::from_std(stream)?;
            match server.tls.clone() {
                None => server.tasks.spawn(serve(own, stream, Some(address), held)),
                Some(tls) => server.tasks.spawn(greet(own, tls, stream, address, held)),
            };
        }
        #[cfg(unix)]
        Accepted::Unix(stream) => {
            server.tasks.spawn(serve(own, UnixStream::from_std(stream)?, None, held));
        }
    }
    Ok(())
}

/// Tells a client that there is no place. With TLS that would take a handshake, so the connection only closes.
fn turn_away(server: &Arc<Server>, accepted: Accepted, full: Full) {
    server.counters.connections.refused.fetch_add(1, Ordering::Relaxed);
    let Ok(teller) = Arc::clone(&server.tellers).try_acquire_owned() else { return };
    let told = match accepted {
        Accepted::Tcp(stream, _) if server.tls.is_none() => TcpStream::from_std(stream).map(|stream| {
            server.tasks.spawn(async move {
                places::tell(stream, full).await;
                drop(teller);
            });
        }),
        Accepted::Tcp(..) => Ok(()),
        #[cfg(unix)]
        Accepted::Unix(stream) => UnixStream::from_std(stream).map(|stream| {
            server.tasks.spawn(async move {
                places::tell(stream, full).await;
                drop(teller);
            });
        }),
    };
    if let Err(error) = told {
        tracing::debug!(error = %error, "a client could not be told that there is no place");
    }
}

/// Does the handshake of TLS, then serves.
async fn greet(server: Arc<Server>, tls: Tls, stream: TcpStream, address: IpAddr, held: Held) {
    match tls.accept(stream).await {
        Ok(stream) => Box::pin(serve(server, stream, Some(address), held)).await,
        Err(error) => tracing::debug!(error = %error, "a TLS handshake failed"),
    }
}

/// Serves a connection to its end. What is prepared here stays out of the task, of which there may be many.
fn serve<S>(
    server: Arc<Server>,
    stream: S,
    address: Option<IpAddr>,
    held: Held,
) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new(Instant::now()));
    let registered = server.register(&activity);
    let mut stream = Watched::new(stream, Arc::clone(&activity));
    async move {
        let http = match connection::version(&mut stream, &server.limits, server.phases.clone()).await {
            Some(Version::Http1) => &server.http1,
            Some(Version::Http2) => &server.http2,
            None => return,
        };
        let _held = (registered, held);
        let service = Arc::clone(&server.service);
        let client = Arc::new(Client { service, activity: Arc::clone(&activity), address });
        let service = service_fn(move |request| exchange::answer(Arc::clone(&client), request));
        let stream = WithRefusals::new(stream, server.tls.is_some());
        let connection = std::pin::pin!(http.serve_connection(stream, service));
        match connection::drive(connection, &activity, &server.limits, server.phases.clone()).await {
            Ok(End::Closed) => {}
            Ok(end) => tracing::debug!(?end, "connection cut"),
            Err(error) => tracing::debug!(error = %error, "connection ended"),
        }
    }
}

/// As many as may be told at the same time.
pub(super) fn tellers() -> Arc<tokio::sync::Semaphore> {
    Arc::new(tokio::sync::Semaphore::new(MAX_TOLD))
}
