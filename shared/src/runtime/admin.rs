//! The admin listener: metrics, liveness, readiness and status over HTTP, for people and programs that look after a
//! daemon. It answers from memory only, one request per connection, and everything about it is bounded.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use crate::config::AdminSettings;

/// What a daemon tells. Called for each request, so it must neither wait nor compute much.
pub trait AdminPages: Send + Sync + 'static {
    /// `/metrics`: Prometheus' text form.
    fn metrics(&self) -> String;

    /// `/livez`: whether the daemon does not hang.
    ///
    /// # Errors
    /// Why it should be started again.
    fn live(&self) -> Result<String, String>;

    /// `/readyz`: whether it can do its work.
    ///
    /// # Errors
    /// Why it cannot, with the next step.
    fn ready(&self) -> Result<String, String>;

    /// `/status`: a JSON document.
    fn status(&self) -> String;
}

/// Wait after a failed accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// From one attempt to listen to the next: the port may be another warmer's, which ends some day.
const BIND_PAUSE: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
const TEXT: &str = "text/plain; charset=utf-8";
/// As Prometheus' own exporters announce their text form.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A listener on a thread of its own, so that it answers even while the daemon's threads hang. It ends when dropped.
#[derive(Debug)]
pub struct AdminListener {
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl AdminListener {
    /// Starts one, unless the settings want none.
    ///
    /// # Errors
    /// If the thread cannot be started. An address that cannot be had is warned of and tried again.
    pub fn start(settings: &AdminSettings, pages: Arc<dyn AdminPages>) -> io::Result<Self> {
        if settings.listen.is_none() {
            return Ok(Self { stop: None, thread: None });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let settings = settings.clone();
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    _ = run(&settings, pages) => {}
                }
            });
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for AdminListener {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Its pages do not wait, so neither does this; afterwards the address is free again.
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin listener panicked; see the log before this");
        }
    }
}

/// Listens and answers for as long as this is polled. An address that cannot be had is warned of and tried again: what
/// looks after a daemon must not end it.
async fn run(settings: &AdminSettings, pages: Arc<dyn AdminPages>) -> Infallible {
    let Some(address) = &settings.listen else { return std::future::pending().await };
    let mut warned = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return serve(listener, settings, pages).await,
            Err(error) if !warned => {
                warned = true;
                tracing::warn!(
                    address,
                    error = %error,
                    "the admin listener has no address, so there are no metrics; another program may use it: set admin.listen \
                     (the gateway's: gateway.admin_listen) to a free one, or to \"\" for none. It is tried again every {} s",
                    BIND_PAUSE.as_secs()
                );
            }
            Err(_) => {}
        }
        tokio::time::sleep(BIND_PAUSE).await;
    }
}

/// Answers for as long as this is polled.
async fn serve(listener: TcpListener, settings: &AdminSettings, pages: Arc<dyn AdminPages>) -> Infallible {
    if let Ok(address) = listener.local_addr() {
        let open = if address.ip().is_loopback() { "" } else { "; whoever reaches it can read it" };
        tracing::info!(%address, "metrics, /livez, /readyz and /status are there{open}");
    }
    let places = Arc::new(Semaphore::new(settings.max_connections));
    let mut server = Builder::new();
    // One request per connection: then the time of one exchange bounds that of a connection, whatever its client does.
    server
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false);
    let limit = settings.header_timeout * 2;
    let mut connections = JoinSet::new();
    loop {
        // The semaphore is never closed.
        let place = Arc::clone(&places).acquire_owned().await;
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted; check the open-file limit");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let pages = Arc::clone(&pages);
        let answers = service_fn(move |request: Request<Incoming>| {
            let response = answer(request.method(), request.uri().path(), pages.as_ref());
            async { Ok::<_, Infallible>(response) }
        });
        let connection = server.serve_connection(TokioIo::new(stream), answers);
        connections.spawn(async move {
            let _place = place;
            // A client that is slow or breaks off is its own problem.
            let _ = tokio::time::timeout(limit, connection).await;
        });
    }
}

/// The answer to a request; hyper leaves out the body for HEAD.
fn answer(method: &Method, path: &str, pages: &dyn AdminPages) -> Response<Full<Bytes>> {
    if !matches!(path, "/metrics" | "/livez" | "/readyz" | "/status") {
        let what = format!("{path:?} is not here; ask for /metrics, /livez, /readyz or /status\n");
        return response(StatusCode::NOT_FOUND, TEXT, what);
    }
    if method != Method::GET && method != Method::HEAD {
        let what = format!("{method} changes nothing here; use GET\n");
        let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, what);
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match path {
        "/metrics" => response(StatusCode::OK, METRICS, pages.metrics()),
        "/livez" => verdict(pages.live()),
        "/readyz" => verdict(pages.ready()),
        _ => response(StatusCode::OK, "application/json", pages.status()),
    }
}

fn verdict(verdict: Result<String, String>) -> Response<Full<Bytes>> {
    let (status, text) = match verdict {
        Ok(text) => (StatusCode::OK, text),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    };
    response(status, TEXT, text + "\n")
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    struct Pages;

    impl AdminPages for Pages {
        fn metrics(&self) -> String {
            "x 1\n".to_owned()
        }

        fn live(&self) -> Result<String, String> {
            Ok("alive".to_owned())
        }

        fn ready(&self) -> Result<String, String> {
            Err("redis does not answer".to_owned())
        }

        fn status(&self) -> String {
            "{}".to_owned()
        }
    }

    async fn listen(max_connections: usize) -> (JoinSet<Infallible>, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let settings =
            AdminSettings { listen: None, max_connections, header_timeout: Duration::from_millis(300) };
        let mut server = JoinSet::new();
        server.spawn(async move { serve(listener, &settings, Arc::new(Pages)).await });
        (server, address)
    }

    async fn exchange(address: std::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn routes_answer_and_everything_else_is_refused_in_plain_words() {
        let (_server, address) = listen(4).await;
        for (request, status, end) in [
            ("GET /metrics", "200 OK", "\r\n\r\nx 1\n"),
            ("GET /livez?verbose", "200 OK", "\r\n\r\nalive\n"),
            ("GET /readyz", "503 Service Unavailable", "\r\n\r\nredis does not answer\n"),
            ("GET /status", "200 OK", "\r\n\r\n{}"),
            ("HEAD /metrics", "200 OK", "\r\n\r\n"),
            ("POST /metrics", "405 Method Not Allowed", "\r\n\r\nPOST changes nothing here; use GET\n"),
            ("GET /", "404 Not Found", "ask for /metrics, /livez, /readyz or /status\n"),
        ] {
            let answer = exchange(address, &format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answer}");
            assert!(answer.ends_with(end), "{request}: {answer}");
        }
        let long = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(MAX_HEAD));
        let answer = exchange(address, &long).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }

    #[tokio::test]
    async fn silent_connections_give_their_place_to_others() {
        let (_server, address) = listen(2).await;
        let silent = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let answer = exchange(address, "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(answer.ends_with("alive\n"), "{answer}");
        drop(silent);
    }
}
