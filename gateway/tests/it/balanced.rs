//! Two gateways behind nginx with the configuration that we ship: whatever one of them does, clients get right answers.

mod load;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use shared::cache::Levels;
use shared::source::Source;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use testkit::{Authority, Nginx, PostgresServer, RedisServer, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::client::{self, Answer, encoded};
use crate::fixture::{self, Gateway, STORES};
use crate::process::Process;
use load::{Load, Questions};

const LIMIT: Duration = Duration::from_secs(120);
const CONFIG: &str = include_str!("../../../config/nginx.conf");
/// Answers that show that it goes on.
const SOME: u64 = 40;

/// A port that stays the same while nobody listens there: held by a socket that does not, so that the kernel gives it to
/// nobody else meanwhile.
struct Port {
    address: String,
    _held: Socket,
}

impl Port {
    fn new() -> Self {
        let held = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        held.set_reuse_port(true).unwrap();
        held.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = held.local_addr().unwrap().as_socket().unwrap().to_string();
        Self { address, _held: held }
    }
}

/// One of the two gateways: the program, on real servers.
struct Balanced {
    port: Port,
    settings: PathBuf,
    log: PathBuf,
    servers: [String; 2],
    process: Option<Process>,
    /// What those before this process said.
    said: String,
}

impl Balanced {
    fn new(folder: &Path, name: &str, servers: [&str; 2]) -> Self {
        let port = Port::new();
        let (settings, log) =
            (folder.join(name).with_extension("toml"), folder.join(name).join("access.log"));
        let text = format!(
            "[redis]\nprefix = \"test:\"\ncommand_timeout = \"10s\"\n[gateway]\nlisten = \"{}\"\nadmin_listen = \"\"\n\
             reuse_port = true\nrequest_timeout = \"2m\"\n[access_log]\npath = \"{}\"\nconfirm_timeout = \"1m\"\n",
            port.address,
            log.display()
        );
        std::fs::write(&settings, text).unwrap();
        Self { port, settings, log, servers: servers.map(str::to_owned), process: None, said: String::new() }
    }

    async fn start(&mut self) {
        let [redis, postgres] = &self.servers;
        let process = Process::over(redis, postgres, &["--config", self.settings.to_str().unwrap()]);
        process.wrote("listening").await;
        self.process = Some(process);
    }

    fn kill(&mut self) {
        let process = self.process.take().unwrap();
        self.said += &process.log();
        drop(process);
    }

    /// As a service manager does it: SIGTERM, and it says that all went well.
    async fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        process.signal("TERM");
        let code = process.code().await;
        self.said += &process.log();
        assert_eq!(code, Some(0), "{}", self.said);
    }

    /// Lines of this type in its access log.
    fn lines(&self, of: &str) -> usize {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().filter(|line| line.contains(&format!("\"type\":\"{of}\""))).count()
    }

    /// Waits until it serves.
    async fn serves(&self, phase: &str) {
        let before = self.lines("request");
        let what = format!("{phase}: {} to serve", self.port.address);
        wait_until(&what, LIMIT, async || self.lines("request") >= before + 10).await;
    }

    fn told(&self) -> String {
        let now = self.process.as_ref().map(Process::log).unwrap_or_default();
        format!("{}{now}", self.said)
    }
}

/// Both gateways, and what they stand on.
struct Place {
    gateways: [Balanced; 2],
    nginx: Nginx,
    questions: Questions,
    _servers: (RedisServer, TempDir),
}

impl Place {
    async fn new() -> Self {
        let redis = RedisServer::start().await;
        let database = PostgresServer::shared().await.fresh_database().await;
        let source = fixture::postgres(&database).await;
        let levels = fixture::levels(fixture::redis(&redis.url()));
        fixture::warm(&source, &levels).await;
        let questions = questions(source, levels).await;
        let folder = tempfile::tempdir().unwrap();
        let mut gateways =
            ["a", "b"].map(|name| Balanced::new(folder.path(), name, [&redis.url(), &database]));
        for gateway in &mut gateways {
            gateway.start().await;
        }
        let [a, b] = &gateways;
        let nginx = Nginx::start(CONFIG, [&a.port.address, &b.port.address]).await;
        Self { gateways, nginx, questions, _servers: (redis, folder) }
    }

    /// Checks what a load met.
    fn all_was_well(&self, wrong: &[String]) {
        let [a, b] = self.gateways.each_ref().map(Balanced::told);
        let said = || format!("nginx:\n{}\na:\n{a}\nb:\n{b}", self.nginx.log());
        assert!(wrong.is_empty(), "{} wrong:\n{}\n{}", wrong.len(), wrong.join("\n"), said());
    }
}

/// Warmed questions of every kind, and their answers by a gateway that stands alone and keeps nothing.
async fn questions(source: Source, levels: Levels) -> Questions {
    let alone = Gateway::start(source, levels).await;
    let mut paths = ["/v1/stores", "/v1/metrics/overview", "/v1/metrics/channels", "/v1/diagnosis"]
        .map(str::to_owned)
        .to_vec();
    for store in STORES {
        let store = encoded(store);
        paths.push(format!("/v1/metrics/trend?stores={store}"));
        paths.push(format!("/v1/metrics/products?stores={store}&limit=5"));
        paths.push(format!("/v1/stores/{store}/orders?limit=20"));
    }
    let mut questions = Vec::new();
    for path in paths {
        let answer = alone.ok(&path).await;
        questions.push((path, answer.body));
    }
    Arc::new(questions)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_killed_costs_no_request() {
    let mut place = Place::new().await;
    let load = Load::start(&place.nginx.address(), &place.questions, 6, 0);
    for gateway in &place.gateways {
        gateway.serves("both").await;
    }
    for round in 0..4 {
        let gateway = &mut place.gateways[round % 2];
        gateway.kill();
        load.goes_on("one is killed", SOME).await;
        gateway.start().await;
        load.goes_on("it is there again", SOME).await;
        gateway.serves("it is there again").await;
    }
    let (wrong, _) = load.stop().await;
    place.all_was_well(&wrong);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_that_are_restarted_in_turn_cost_no_request() {
    let mut place = Place::new().await;
    let load = Load::start(&place.nginx.address(), &place.questions, 6, 1);
    for round in 0..6 {
        for gateway in &mut place.gateways {
            gateway.stop().await;
            load.goes_on("one is stopped", SOME).await;
            gateway.start().await;
            // The first rounds give nginx time to find it again, the others none: one goes when the other one is there.
            if round < 2 {
                gateway.serves("it is there again").await;
            }
        }
    }
    load.refreshes(5).await;
    let (wrong, refreshes) = load.stop().await;
    place.all_was_well(&wrong);
    for gateway in &mut place.gateways {
        gateway.stop().await;
    }
    // A refresh whose answer was torn may have been taken, but none twice.
    let taken: usize = place.gateways.iter().map(|gateway| gateway.lines("refresh")).sum();
    let most = refreshes.taken + refreshes.refused;
    assert!((refreshes.taken..=most).contains(&(taken as u64)), "{taken} lines: {refreshes:?}");
}

/// Compressed or not, whole or not changed, with a URL as long as may be: nginx adds nothing and takes nothing away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_come_through_as_they_are() {
    let place = Place::new().await;
    let (direct, through) = (place.gateways[0].port.address.clone(), place.nginx.address());
    let all = format!("/v1/metrics/overview?stores={}", encoded(STORES[3]));
    // Nearly as long as the gateway takes; the client takes no longer ones.
    let longest = format!("{all},{}", "x".repeat(gateway::service::MAX_URI_BYTES - all.len() - 100));
    let tag = client::send(Method::GET, &direct, &all, &[]).await.header("etag").to_owned();
    let id = ("x-request-id", "r-1");
    for (method, path, header, status) in [
        (Method::GET, all.as_str(), ("accept-encoding", "gzip"), 200),
        (Method::GET, &all, ("accept", "application/msgpack"), 200),
        (Method::GET, "/v1/metrics/channels", ("accept", "text/csv"), 200),
        (Method::GET, &all, ("if-none-match", tag.as_str()), 304),
        (Method::HEAD, &all, ("accept-encoding", "gzip"), 200),
        (Method::OPTIONS, &all, ("accept", "*/*"), 204),
        (Method::DELETE, &all, ("accept", "*/*"), 405),
        (Method::GET, "/v1/nothing//of%2Fthe%20kind", ("accept", "*/*"), 404),
        (Method::GET, &longest, ("accept", "*/*"), 404),
        (Method::GET, "/readyz", ("accept", "*/*"), 200),
    ] {
        let shown = format!("{method} {} {header:?}", &path[..path.len().min(80)]);
        let expected = client::send(method.clone(), &direct, path, &[header, id]).await;
        let answer = client::send(method, &through, path, &[header, id]).await;
        assert_eq!((expected.status.as_u16(), answer.status.as_u16()), (status, status), "{shown}");
        assert_eq!(answer.body, expected.body, "{shown}");
        let own = [
            "server",
            "connection",
            "date",
            "age",
            "cache-control",
            "server-timing",
            "x-cache",
            "last-modified",
        ];
        for (name, value) in expected.headers.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
            assert_eq!(answer.headers.get(name), Some(value), "{shown}: {name}");
        }
        for name in answer.headers.keys() {
            assert!(
                expected.headers.contains_key(name) || own[..2].contains(&name.as_str()),
                "{shown}: {name}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_gateway_clients_are_told_so() {
    let mut place = Place::new().await;
    for gateway in &mut place.gateways {
        gateway.kill();
    }
    let address = place.nginx.address();
    // More than it takes for both to be left out.
    for _ in 0..10 {
        for (path, _) in &*place.questions {
            nobody(&client::send(Method::GET, &address, path, &[("x-request-id", "r-1")]).await);
        }
    }
    let refresh = client::send_body(Method::POST, &address, "/v1/refresh", &[("x-request-id", "r-1")], "{}");
    nobody(&refresh.await);
    // Left out or not: the first one that is there again is asked at once.
    place.gateways[1].start().await;
    for (path, right) in &*place.questions {
        let answer = client::send(Method::GET, &address, path, &[]).await;
        assert!(answer.status == 200 && answer.body == *right, "{path}: {}", answer.text());
    }
}

/// What nginx says when no gateway answers.
#[track_caller]
fn nobody(answer: &Answer) {
    let problem = answer.problem(503);
    assert!(problem["detail"].as_str().unwrap().starts_with("no gateway answers"), "{problem}");
    assert_eq!((answer.header("retry-after"), answer.header("x-request-id")), ("2", "r-1"));
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// A server in a gateway's place: reads a request and says always the same, or closes. Counts requests by their method.
struct Stand {
    address: String,
    asked: Arc<[AtomicU64; 2]>,
    heads: Arc<std::sync::Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Stand {
    async fn new(says: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new([const { AtomicU64::new(0) }; 2]);
        let heads = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (counts, kept) = (Arc::clone(&asked), Arc::clone(&heads));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 8192];
                let length = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                counts[usize::from(head.starts_with("POST"))].fetch_add(1, Ordering::Relaxed);
                kept.lock().unwrap().push(head);
                let _ = stream.write_all(says.as_bytes()).await;
            }
        });
        Self { address, asked, heads, _tasks: tasks }
    }

    fn asked(&self) -> [u64; 2] {
        self.asked.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

/// Gateways shed load, or miss PostgreSQL: that is theirs to say, and no reason to take them for dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_503_of_both_reaches_the_client_as_it_is() {
    const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\ncontent-type: application/problem+json\r\n\
                        content-length: 10\r\nconnection: close\r\n\r\n{\"busy\":1}";
    let [a, b] = [Stand::new(BUSY).await, Stand::new(BUSY).await];
    let nginx = Nginx::start(CONFIG, [&a.address, &b.address]).await;
    let path = "/v1/stores/a%2Fb//orders?channel=%E9%A5%BF";
    let headers = [("if-none-match", "\"x\""), ("x-request-id", "r-1"), ("authorization", "Bearer t")];
    for _ in 0..30 {
        let answer = client::send(Method::GET, &nginx.address(), path, &headers).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (503, "{\"busy\":1}"), "{}", nginx.log());
        assert_eq!(answer.header("retry-after"), "7");
    }
    let [[of_a, _], [of_b, _]] = [a.asked(), b.asked()];
    assert!(of_a >= 30 && of_b >= 30 && of_a + of_b <= 90, "each is asked, neither too often: {of_a} {of_b}");
    for head in a.heads.lock().unwrap().iter() {
        assert!(head.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{head}");
        for line in [
            "if-none-match: \"x\"",
            "X-Request-Id: r-1",
            "authorization: Bearer t",
            "X-Forwarded-For: 127.0.0.1",
        ] {
            assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line}: {head}");
        }
    }
    let refresh = client::send_body(Method::POST, &nginx.address(), "/v1/refresh", &[], "{}").await;
    assert_eq!((refresh.status.as_u16(), refresh.header("retry-after")), (503, "7"));
    assert_eq!(a.asked()[1] + b.asked()[1], 1, "a POST is sent once");
}

/// A request that ends gateways must not be passed on and on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_gateway_survives_is_sent_to_each_once_and_a_post_to_one() {
    let [a, b] = [Stand::new("").await, Stand::new("").await];
    let nginx = Nginx::start(CONFIG, [&a.address, &b.address]).await;
    let id = [("x-request-id", "r-1")];
    nobody(&client::send(Method::GET, &nginx.address(), "/v1/stores", &id).await);
    assert_eq!([a.asked(), b.asked()], [[1, 0]; 2]);
    nobody(&client::send_body(Method::POST, &nginx.address(), "/v1/refresh", &id, "{}").await);
    assert_eq!(a.asked()[1] + b.asked()[1], 1);
}

#[test]
fn nginx_takes_the_file_as_it_is_and_with_its_lines_for_tls() {
    let check = |file: &Path| {
        let (fits, said) = Nginx::check(file);
        // Whoever is not root may not make the folders that follow.
        assert!(said.contains("syntax is ok"), "{said}");
        assert!(fits || said.contains("Permission denied"), "{said}");
    };
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/nginx.conf"));

    let authority = Authority::new();
    let own = authority.issue("nginx", &["localhost"]);
    let mut text = CONFIG.replace("        listen 127.0.0.1:8080", "        # listen 127.0.0.1:8080");
    for of_tls in ["listen 443 ", "ssl_", "add_header Strict"] {
        let commented = format!("        # {of_tls}");
        assert!(text.contains(&commented), "{of_tls}");
        text = text.replace(&commented, &format!("        {of_tls}"));
    }
    text = text.replace("listen 443 ", "listen 127.0.0.1:8443 ");
    text = text.replace("/etc/hotshelf/nginx.pem", own.certificate.to_str().unwrap());
    text = text.replace("/etc/hotshelf/nginx.key", own.key.to_str().unwrap());
    let file = authority.folder().join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    check(&file);
}
