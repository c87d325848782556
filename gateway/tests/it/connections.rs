//! Connections and their limits, on real sockets: both versions of HTTP, clients that dawdle, too many of them, and a
//! gateway that stops.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gateway::{App, Front};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use shared::config::GatewaySettings;
use testkit::{PostgresServer, postgres_client, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client;
use crate::fixture::{self, Gateway};

const LIMIT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);
const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";

async fn connect(gateway: &Gateway) -> TcpStream {
    TcpStream::connect(&gateway.address).await.unwrap()
}

/// Asks on a connection that stays open, and gives the answer's head.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(LIVEZ).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"alive\n") {
        let read = stream.read_buf(&mut answer).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}

/// Waits until the gateway closes a connection.
async fn closed(what: &str, stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(LIMIT, stream.read_to_end(&mut rest)).await;
    // Closed in order, or with bytes unread.
    assert!(end.is_ok(), "{what}: still open");
}

#[tokio::test]
async fn http2_answers_equal_those_of_http1() {
    let gateway = Gateway::without_servers().await;
    let stream = TokioIo::new(connect(&gateway).await);
    let (mut http2, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    for path in
        ["/v1/stores", "/v1/metrics/overview", "/v1/diagnosis", "/v1/stores/all/orders", "/livez", "/v2"]
    {
        for headers in [&[][..], &[("accept-encoding", "gzip")], &[("accept", "application/msgpack")]] {
            for method in [Method::GET, Method::HEAD] {
                let one = client::send(method.clone(), &gateway.address, path, headers).await;
                let mut request =
                    Request::builder().method(method).uri(format!("http://{}{path}", gateway.address));
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                let two = http2.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
                assert_eq!((two.status(), two.version()), (one.status, http::Version::HTTP_2), "{path}");
                for name in ["content-type", "content-encoding", "content-length", "etag", "vary"] {
                    assert_eq!(two.headers().get(name), one.headers.get(name), "{name} of {path}");
                }
                let body = two.into_body().collect().await.unwrap().to_bytes();
                let is_problem = one.header("content-type") == "application/problem+json";
                // A problem has its request's id.
                assert!(
                    body == one.body || (is_problem && body.len() == one.body.len()),
                    "{path} {headers:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_head_that_never_ends_ends_its_connection() {
    let gateway = Gateway::bare(|settings| settings.header_timeout = SHORT).await;
    let mut silent = connect(&gateway).await;
    let mut good = connect(&gateway).await;
    ask(&mut good).await;
    let mut slow = connect(&gateway).await;
    // A byte now and then does not keep it.
    slow.write_all(b"GET /livez HTTP/1.1\r\na: ").await.unwrap();
    wait_until("a slow head to be cut off", LIMIT, async || {
        let written = slow.write_all(b"a").await;
        written.is_err() || matches!(slow.try_read(&mut [0; 10]), Ok(0))
    })
    .await;
    closed("a client that says nothing", &mut silent).await;
    // One that slows down later has no more time either.
    let mut later = connect(&gateway).await;
    ask(&mut later).await;
    later.write_all(b"GET").await.unwrap();
    closed("a later slow head", &mut later).await;
    ask(&mut good).await;
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_in_order() {
    let gateway = Gateway::bare(|settings| settings.idle_timeout = SHORT).await;
    let mut stream = connect(&gateway).await;
    ask(&mut stream).await;
    let mut rest = Vec::new();
    let end = tokio::time::timeout(LIMIT, stream.read_to_end(&mut rest)).await;
    assert_eq!(end.unwrap().unwrap(), 0, "nothing more is said, and nothing is torn");

    let stream = TokioIo::new(connect(&gateway).await);
    let (mut http2, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let uri = format!("http://{}/livez", gateway.address);
    let answer = http2.send_request(Request::get(uri).body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    // GOAWAY is no error of the connection.
    tokio::time::timeout(LIMIT, connection).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn who_takes_no_answer_is_cut_off() {
    let gateway = Gateway::bare(|settings| settings.write_timeout = SHORT).await;
    let mut stream = connect(&gateway).await;
    // Requests without end, and not one answer read: first the gateway's writes block, then its reads stop.
    let requests = LIVEZ.repeat(1000);
    let torn = async { while stream.write_all(&requests).await.is_ok() {} };
    tokio::time::timeout(LIMIT, torn).await.expect("a client that takes nothing must not be waited for");
    assert_eq!(gateway.get("/livez").await.status, 200);
}

#[tokio::test]
async fn who_takes_no_answer_over_http2_is_cut_off() {
    let change = |settings: &mut GatewaySettings| {
        (settings.idle_timeout, settings.write_timeout) = (SHORT, SHORT);
    };
    let gateway = Gateway::bare(change).await;
    let stream = TokioIo::new(connect(&gateway).await);
    // Room for less than the answer, and never more.
    let mut http2 = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    http2.initial_stream_window_size(1);
    let (mut asking, connection) = http2.handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let uri = format!("http://{}/livez", gateway.address);
    let answer = asking.send_request(Request::get(uri).body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let ended = tokio::time::timeout(LIMIT, connection).await;
    assert!(ended.is_ok(), "a stream that stands still must not hold its connection");
    drop(answer);
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let gateway = Gateway::bare(|settings| settings.max_connections = 2).await;
    let (mut one, mut two) = (connect(&gateway).await, connect(&gateway).await);
    ask(&mut one).await;
    ask(&mut two).await;
    let told = async |gateway: &Gateway| {
        let answers = client::answers(&gateway.address, LIVEZ).await;
        let [answer] = &answers[..] else { panic!("{answers:?}") };
        answer.is_secure();
        assert_eq!((answer.header("retry-after"), answer.header("connection")), ("1", "close"));
        answer.problem(503)["detail"].as_str().unwrap().to_owned()
    };
    assert!(told(&gateway).await.contains("as many connections"));
    ask(&mut one).await;
    drop(two);
    wait_until("a place to be free", LIMIT, async || gateway.get("/livez").await.status == 200).await;

    let gateway = Gateway::bare(|settings| settings.max_connections_per_address = 1).await;
    let mut one = connect(&gateway).await;
    ask(&mut one).await;
    assert!(told(&gateway).await.contains("this address"));
    drop(one);
    wait_until("a place to be free", LIMIT, async || gateway.get("/livez").await.status == 200).await;
}

#[tokio::test]
async fn streams_beyond_the_limit_wait_and_floods_are_cut() {
    let gateway = Gateway::bare(|settings| settings.max_streams = 3).await;
    let mut stream = connect(&gateway).await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut settings = [0; 9];
    stream.read_exact(&mut settings).await.unwrap();
    let mut payload = vec![0; usize::from(settings[2])];
    stream.read_exact(&mut payload).await.unwrap();
    assert_eq!(settings[3], 4, "SETTINGS come first");
    assert!(payload.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 3]), "{payload:?}");
    // Streams opened and reset at once, again and again (CVE-2023-44487).
    let flood = async {
        let mut number = 1u32;
        loop {
            let mut frames = Vec::new();
            for _ in 0..1000 {
                let id = number.to_be_bytes();
                // HEADERS, complete: GET / of http://x.
                frames.extend([0, 0, 6, 1, 5]);
                frames.extend(id);
                frames.extend([0x82, 0x84, 0x86, 0x41, 1, b'x']);
                // RST_STREAM: CANCEL.
                frames.extend([0, 0, 4, 3, 0]);
                frames.extend(id);
                frames.extend(8u32.to_be_bytes());
                number += 2;
            }
            if stream.write_all(&frames).await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(LIMIT, flood).await.expect("a flood of resets must be cut");
    assert_eq!(gateway.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_gateway_that_stops_serves_on_until_it_was_seen() {
    let mut gateway = Gateway::bare(|settings| settings.stop_delay = Duration::from_secs(3600)).await;
    let mut stream = connect(&gateway).await;
    ask(&mut stream).await;
    gateway.ask_to_stop();
    wait_until("the gateway to be not ready", LIMIT, async || {
        gateway.get("/readyz").await.text().contains("stopping")
    })
    .await;
    // Old connections and new ones.
    ask(&mut stream).await;
    assert_eq!(gateway.get("/livez").await.status, 200);
}

#[tokio::test]
async fn who_has_just_connected_is_still_answered() {
    let mut gateway = Gateway::bare(|_| {}).await;
    let mut idle = connect(&gateway).await;
    ask(&mut idle).await;
    let mut fresh = connect(&gateway).await;
    // The kernel has let this one in; the gateway may not have taken it yet.
    gateway.ask_to_stop();
    fresh.write_all(LIVEZ).await.unwrap();
    let mut answer = String::new();
    fresh.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    closed("an idle connection", &mut idle).await;
    tokio::time::timeout(LIMIT, gateway.stopped()).await.unwrap();
}

/// Log lines of this test, which runs on one thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn requests_that_do_not_finish_are_named_and_cut() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _log = tracing::subscriber::set_default(subscriber);
    let server = PostgresServer::shared().await;
    let url = server.fresh_database().await;
    let source = fixture::postgres(&url).await;
    let blocker = postgres_client(&url).await;
    blocker.batch_execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let front = Front::new();
    let levels = fixture::levels(fixture::memory());
    front.open(App::new(&fixture::settings(), levels, source, fixture::compute()));
    let settings = GatewaySettings { drain_timeout: SHORT, ..fixture::settings().gateway };
    let mut gateway = Gateway::serve(front, fixture::local().await, settings);

    let mut stream = connect(&gateway).await;
    stream.write_all(b"GET /v1/stores? HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // One transaction would see the same activity for ever.
    let watcher = postgres_client(&url).await;
    let waits = "SELECT count(*) FROM pg_stat_activity \
                 WHERE wait_event_type = 'Lock' AND datname = current_database()";
    wait_until("the request to wait for the database", LIMIT, async || {
        watcher.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) > 0
    })
    .await;
    gateway.ask_to_stop();
    tokio::time::timeout(LIMIT, gateway.stopped()).await.expect("not longer than the drain limit");
    closed("a request that did not finish", &mut stream).await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let named = log.lines().find(|line| line.contains("did not finish in time")).unwrap_or_default();
    assert!(named.contains("path=\"/v1/stores\"") && named.contains("age_ms="), "{log}");
}
