//! The other side of `scripts/bench-serve`: what a bare server of the same library can do, and clients that wrk has no
//! form for. `cargo bench -p gateway --bench serve -- MEASUREMENT …`; all but the first print one JSON object:
//! - `constant BODY HEAD`: hyper answering every request with the bytes of a file, and with the headers that another lists as
//!   lines of `name: value`; prints its address, and serves until killed;
//! - `users ADDRESS PATHS USERS SECONDS`: users who think for a second between two requests;
//! - `many ADDRESS PATHS CONNECTIONS REQUESTS`: so many connections at the same time, each sending so many requests;
//! - `idle ADDRESS CONNECTIONS PID`: memory of a server before and after so many connections that send nothing;
//! - `crowd ADDRESS PATH ASKERS`: one question, asked by so many at the same moment.
//!
//! `PATHS` is a file with a path per line. `BENCH_TOKEN` of the environment is the token that requests bring.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a bench that cannot run has no result"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

const THINK: Duration = Duration::from_secs(1);

#[allow(clippy::disallowed_methods, reason = "the bench's own argument")]
static TOKEN: LazyLock<String> =
    LazyLock::new(|| format!("Bearer {}", std::env::var("BENCH_TOKEN").unwrap_or_default()));

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["constant", body, head] => constant(std::fs::read(body).unwrap().into(), headers(head)).await,
        ["users", address, paths, users, seconds] => {
            users_who_think(address, &lines(paths), number(users), number(seconds)).await
        }
        ["many", address, paths, connections, requests] => {
            many(address, &lines(paths), number(connections), number(requests)).await
        }
        ["idle", address, connections, process] => idle(address, number(connections), process).await,
        ["crowd", address, path, askers] => crowd(address, path, number(askers)).await,
        // `cargo test --all-targets` runs it to see that it starts.
        _ => return,
    };
    println!("{result}");
}

fn number(text: &str) -> usize {
    text.parse().unwrap()
}

fn lines(path: &str) -> Arc<Vec<String>> {
    Arc::new(std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect())
}

fn headers(path: &str) -> HeaderMap {
    let lines = std::fs::read_to_string(path).unwrap();
    let pairs = lines.lines().map(|line| line.split_once(": ").unwrap());
    pairs.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
}

async fn constant(body: Bytes, headers: HeaderMap) -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = stream.set_nodelay(true);
        let (body, headers) = (body.clone(), headers.clone());
        connections.spawn(async move {
            let answer = service_fn(move |_| {
                let mut response = Response::new(Full::new(body.clone()));
                response.headers_mut().clone_from(&headers);
                async { Ok::<_, Infallible>(response) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// One keep-alive connection.
struct Client {
    sender: SendRequest<Empty<Bytes>>,
    _connection: JoinSet<()>,
}

struct Answered {
    status: u16,
    outcome: String,
    took: Duration,
}

impl Client {
    async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.set_nodelay(true);
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move { drop(connection.await) });
        Self { sender, _connection: task }
    }

    async fn get(&mut self, path: &str) -> Answered {
        let request = Request::get(path).header(HOST, "bench").header(ACCEPT_ENCODING, "gzip");
        let request = request.header(AUTHORIZATION, TOKEN.as_str());
        let start = Instant::now();
        let response = self.sender.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
        let outcome = response.headers().get("x-cache").and_then(|value| value.to_str().ok());
        let outcome = outcome.unwrap_or("none").to_owned();
        let status = response.status().as_u16();
        response.into_body().collect().await.unwrap();
        Answered { status, outcome, took: start.elapsed() }
    }
}

/// What a number of answers were.
#[derive(Default)]
struct Tally {
    milliseconds: Vec<f64>,
    statuses: BTreeMap<u16, u64>,
    outcomes: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, answered: Answered) {
        self.milliseconds.push(answered.took.as_secs_f64() * 1e3);
        *self.statuses.entry(answered.status).or_default() += 1;
        *self.outcomes.entry(answered.outcome).or_default() += 1;
    }

    fn merge(&mut self, other: Self) {
        self.milliseconds.extend(other.milliseconds);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
    }

    fn told(mut self) -> Value {
        self.milliseconds.sort_by(f64::total_cmp);
        let at = |share: usize| {
            let last = self.milliseconds.len().saturating_sub(1);
            self.milliseconds.get((self.milliseconds.len() * share / 1000).min(last)).copied()
        };
        json!({
            "requests": self.milliseconds.len(),
            "median_ms": at(500), "p99_ms": at(990), "p999_ms": at(999), "max_ms": at(1000),
            "statuses": self.statuses, "outcomes": self.outcomes,
        })
    }
}

async fn all(tasks: JoinSet<Tally>) -> Tally {
    let mut all = Tally::default();
    for tally in tasks.join_all().await {
        all.merge(tally);
    }
    all
}

async fn users_who_think(address: &str, paths: &Arc<Vec<String>>, users: usize, seconds: usize) -> Value {
    let mut tasks = JoinSet::new();
    for user in 0..users {
        let (address, paths) = (address.to_owned(), Arc::clone(paths));
        tasks.spawn(async move {
            // They do not come all at once.
            tokio::time::sleep(THINK.mul_f64(user as f64 / users as f64)).await;
            let (mut client, mut tally) = (Client::connect(&address).await, Tally::default());
            for request in 0..seconds {
                tally.add(client.get(&paths[(user * 7919 + request) % paths.len()]).await);
                tokio::time::sleep(THINK).await;
            }
            tally
        });
    }
    all(tasks).await.told()
}

async fn many(address: &str, paths: &Arc<Vec<String>>, connections: usize, requests: usize) -> Value {
    let together = Arc::new(Barrier::new(connections));
    let mut tasks = JoinSet::new();
    for number in 0..connections {
        let (address, paths, together) = (address.to_owned(), Arc::clone(paths), Arc::clone(&together));
        tasks.spawn(async move {
            let (mut client, mut tally) = (Client::connect(&address).await, Tally::default());
            together.wait().await;
            for request in 0..requests {
                tally.add(client.get(&paths[(number * 7919 + request) % paths.len()]).await);
            }
            tally
        });
    }
    all(tasks).await.told()
}

async fn idle(address: &str, connections: usize, process: &str) -> Value {
    let before = resident(process);
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        // Each has asked once, as a browser that stays on a page.
        let mut client = Client::connect(address).await;
        assert_eq!(client.get("/livez").await.status, 200);
        open.push(client);
    }
    json!({ "connections": open.len(), "before_mb": before, "after_mb": resident(process) })
}

/// Megabytes, as Linux tells of a process.
fn resident(process: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

async fn crowd(address: &str, path: &str, askers: usize) -> Value {
    let together = Arc::new(Barrier::new(askers));
    let mut tasks = JoinSet::new();
    for _ in 0..askers {
        let (address, path, together) = (address.to_owned(), path.to_owned(), Arc::clone(&together));
        tasks.spawn(async move {
            let mut client = Client::connect(&address).await;
            together.wait().await;
            let answered = client.get(&path).await;
            // Connections stay, as those of browsers do: to close them while others wait is not what is measured.
            (Instant::now(), answered, client)
        });
    }
    let (mut tally, mut ends) = (Tally::default(), Vec::new());
    let all = tasks.join_all().await;
    for (end, answered, _client) in all {
        tally.add(answered);
        ends.push(end);
    }
    ends.sort_unstable();
    let spread = ends[ends.len() - 1] - ends[0];
    json!({ "answers": tally.told(), "last_after_first_ms": spread.as_secs_f64() * 1e3 })
}
