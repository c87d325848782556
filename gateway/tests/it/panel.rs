//! What the monitor page asks: the status and its stream, who may see what of it, and what is seen when servers go.

use std::time::Duration;

use bytes::Bytes;
use gateway::AccessLog;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use shared::config::Settings;
use shared::published::{Counts, Role, Status, Unready, Waits, tell};
use testkit::{Nginx, PostgresServer, RedisServer, wait_until};

use crate::fixture::{self, Gateway, LAST_DAY, STORES, operator, reader};

const LIMIT: Duration = Duration::from_secs(60);
const STATUS: &str = "/v1/status";
const STREAM: &str = "/v1/status/stream";

/// A stream of events, as a browser reads it.
struct Events {
    body: hyper::body::Incoming,
    read: Vec<u8>,
}

impl Events {
    async fn open(address: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = Request::get(format!("http://{address}{STREAM}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = Pooled::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let response = client.request(request.body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(!response.headers().contains_key("content-length"));
        Self { body: response.into_body(), read: Vec::new() }
    }

    /// The next event's document; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.read.drain(..end + 2).collect();
                let event = String::from_utf8(event).unwrap();
                assert!(event.contains("event: status\n"), "{event}");
                let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
                return Some(serde_json::from_str(data).unwrap());
            }
            let frame = tokio::time::timeout(LIMIT, self.body.frame()).await.expect("an event in time");
            self.read.extend(frame?.unwrap().into_data().unwrap());
        }
    }
}

async fn status(gateway: &Gateway) -> Value {
    gateway.ok(STATUS).await.json()
}

fn kinds(status: &Value) -> Vec<&str> {
    status["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

/// An operator and a reader of two stores.
fn guarded() -> Settings {
    let mut settings = fixture::settings();
    settings.access.tokens = vec![operator(), reader("board", &[STORES[0], STORES[1]])];
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_counts_what_was_asked() {
    let gateway = Gateway::without_servers().await;
    for path in ["/v1/stores", "/v1/metrics/overview", "/v1/metrics/overview?stores=a_b", "/livez"] {
        gateway.ok(path).await;
    }
    let seen = async || status(&gateway).await["requests"]["total"] == 3;
    wait_until("three documents to be counted", LIMIT, seen).await;
    let status = status(&gateway).await;
    assert_eq!((&status["v"], &status["gateway"]["ready"]), (&1.into(), &true.into()));
    assert_eq!(
        status["viewer"],
        serde_json::json!({ "operator": true, "token": false, "stores": STORES.len() })
    );
    assert_eq!(status["data"]["last_day"], LAST_DAY);
    assert_eq!((&status["redis"]["kind"], &status["redis"]["state"]), (&"memory".into(), &"online".into()));
    assert_eq!(status["requests"]["hit_percent"], 100.0);
    assert!(status["requests"]["p99_ms"].as_f64().unwrap() > 0.0);
    let levels = status["levels"].as_array().unwrap();
    assert_eq!(levels.iter().map(|level| level["requests"].as_u64().unwrap()).sum::<u64>(), 3);
    assert_eq!(status["users"]["online"], 1);
    assert!(status["system"]["memory_percent"].as_f64().unwrap() > 0.0);
    assert_eq!(kinds(&status), ["gateway_started"]);
    let history = &status["history"];
    let points = history["times"].as_array().unwrap().len();
    assert!(points > 0);
    for column in ["hit_percent", "p99_ms", "warm_lag_s", "cpu_percent", "users", "redis_online"] {
        assert_eq!(history[column].as_array().unwrap().len(), points, "{column}");
    }
    assert_eq!(history["per_second"]["near"].as_array().unwrap().len(), points);
    // The largest first, while no plan says more.
    assert_eq!(status["hot"][0]["rank"], 1);
    assert_eq!(status["hot"].as_array().unwrap().len(), STORES.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_says_the_same_again_and_again_and_ends_with_the_gateway() {
    let mut gateway = Gateway::without_servers().await;
    let mut events = Events::open(&gateway.address, &[]).await;
    let first = events.next().await.unwrap();
    assert!(!first["history"]["times"].as_array().unwrap().is_empty());
    let second = events.next().await.unwrap();
    assert!(second["now"].as_i64() > first["now"].as_i64());
    // What was told is not told again.
    let last = first["history"]["times"].as_array().unwrap().last().unwrap().as_i64();
    let newer = second["history"]["times"].as_array().unwrap().iter().all(|time| time.as_i64() > last);
    assert!(newer, "{second}");
    gateway.ask_to_stop();
    while events.next().await.is_some() {}
    gateway.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_through_nginx_as_they_happen() {
    let (one, other) = (Gateway::without_servers().await, Gateway::without_servers().await);
    let config = include_str!("../../../config/nginx.conf");
    let nginx = Nginx::start(config, [&one.address, &other.address]).await;
    let mut events = Events::open(&nginx.address(), &[]).await;
    let (first, second) = (events.next().await.unwrap(), events.next().await.unwrap());
    assert_eq!(first["gateway"]["name"], second["gateway"]["name"], "both are of one gateway");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_bounded() {
    let mut settings = fixture::settings();
    settings.gateway.status_streams = 2;
    let gateway = Gateway::without_servers_as(settings).await;
    let (mut one, mut two) =
        (Events::open(&gateway.address, &[]).await, Events::open(&gateway.address, &[]).await);
    assert!(one.next().await.is_some() && two.next().await.is_some());
    let refused = gateway.get(STREAM).await;
    assert!(refused.problem(503)["detail"].as_str().unwrap().contains("gateway.status_streams"));
    assert_eq!(refused.header("retry-after"), "30");
    drop(one);
    let free = async || {
        let client = Pooled::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let request = Request::get(format!("http://{}{STREAM}", gateway.address)).body(Empty::new());
        client.request(request.unwrap()).await.unwrap().status() == 200
    };
    wait_until("a place to be free", LIMIT, free).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_his_stores_only() {
    let gateway = Gateway::without_servers_as(guarded()).await;
    for path in [STATUS, STREAM, "/v1/inventory", "/v1/inventory/days"] {
        gateway.get(path).await.problem(401);
    }
    let all = gateway.get_as("operator", STATUS).await.json();
    assert_eq!(all["viewer"], serde_json::json!({ "operator": true, "token": true, "stores": STORES.len() }));
    assert!(all["system"].is_object() && all["errors"].is_object() && all["gateway"]["name"].is_string());
    let own = gateway.get_as("board", STATUS).await.json();
    assert_eq!(own["viewer"], serde_json::json!({ "operator": false, "token": true, "stores": 2 }));
    for hidden in ["system", "postgres", "errors"] {
        assert!(own[hidden].is_null(), "{hidden}");
    }
    assert!(own["gateway"]["name"].is_null() && own["events"].as_array().unwrap().is_empty());
    let hot: Vec<&str> =
        own["hot"].as_array().unwrap().iter().map(|store| store["store_id"].as_str().unwrap()).collect();
    assert_eq!(hot.len(), 2);
    assert!(hot.iter().all(|store| STORES[..2].contains(store)), "{hot:?}");
    let days = gateway.get_as("board", "/v1/inventory/days").await.json();
    assert_eq!(days["data"]["stores"].as_array().unwrap().len(), 2);
    let entries = gateway.get_as("board", "/v1/inventory").await.json();
    let others = entries["data"]["entries"].as_array().unwrap().iter();
    let others =
        others.filter(|entry| entry["store_id"].as_str().is_some_and(|store| !STORES[..2].contains(&store)));
    assert_eq!(others.count(), 0);
    gateway.get_as("board", "/v1/inventory?stores=%7Bx%7D").await.problem(403);
    // Whose token is taken away is told no more.
    let mut events = Events::open(&gateway.address, &[("authorization", "Bearer board")]).await;
    assert!(events.next().await.is_some());
    gateway.front.replace_access(&fixture::settings().access);
    while events.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_goes_and_comes_back_is_told_as_it_happens() {
    let database = PostgresServer::shared().await.fresh_database().await;
    let source = fixture::postgres(&database).await;
    let mut redis = RedisServer::start().await;
    fixture::warm(&source, &fixture::levels(fixture::redis(&redis.url()))).await;
    let levels = fixture::levels(fixture::guarded_redis(&redis.url()));
    let gateway = Gateway::start_as(source, levels, AccessLog::off(), fixture::settings()).await;
    let mut events = Events::open(&gateway.address, &[]).await;
    let mut until = async |state: &str| {
        loop {
            let status = events.next().await.expect("an event");
            if status["redis"]["state"] == state {
                return status;
            }
        }
    };
    let well = until("online").await;
    assert_eq!((&well["redis"]["kind"], &well["redis"]["success_percent"]), (&"redis".into(), &100.0.into()));
    assert!(well["redis"]["keys"].as_u64().unwrap() > 0 && well["redis"]["ping_ms"].as_f64().unwrap() > 0.0);
    redis.stop();
    let away = until("offline").await;
    assert!(away["redis"]["success_percent"].as_f64().unwrap() < 100.0);
    assert!(away["redis"]["last_error"].is_string() && away["gateway"]["problem"].is_string());
    assert!(kinds(&away).contains(&"redis_offline"), "{:?}", kinds(&away));
    for path in ["/v1/inventory", "/v1/inventory/days"] {
        let problem = gateway.get(path).await.problem(503);
        assert!(problem["detail"].as_str().unwrap().contains("nobody knows"), "{problem}");
    }
    redis.start_again().await;
    let back = until("online").await;
    assert!(kinds(&back).contains(&"redis_online"), "{:?}", kinds(&back));
    let days = async || {
        let answer = gateway.get("/v1/inventory/days").await;
        answer.status == 200 && answer.json()["data"]["counts"]["cold"] == STORES.len()
    };
    wait_until("all stores to be cold", LIMIT, days).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warmers_are_told_with_what_waits() {
    let database = PostgresServer::shared().await.fresh_database().await;
    let source = fixture::postgres(&database).await;
    let redis = RedisServer::start().await;
    let levels = fixture::levels(fixture::guarded_redis(&redis.url()));
    let gateway = Gateway::start_as(source, levels.clone(), AccessLog::off(), guarded()).await;
    let unready = |store: &str, why| Unready { store_id: store.to_owned(), changed: false, why };
    let failing = Waits::Failing { error: "secret inside".to_owned(), tries: 3, next_at: 1_795_000_000_000 };
    let status = Status {
        instance: "warm-1".to_owned(),
        role: Role::Active,
        host: "shop".to_owned(),
        counts: Counts {
            role: Role::Active,
            stores: 6,
            unready: vec![
                unready(STORES[0], failing),
                unready(STORES[1], Waits::Waiting { place: 4 }),
                unready(STORES[2], Waits::LeftOut),
            ],
            ..Counts::default()
        },
        ..warmer_status()
    };
    let mut writes = tell(levels.cache(), levels.keys(), &status, LIMIT).await.unwrap();
    let (lease, _) = levels.keys().lease();
    writes.push(shared::cache::Write::Set { key: lease, value: "warm-1".into(), ttl: LIMIT });
    let plain = fixture::redis(&redis.url());
    plain.transact(writes).await.unwrap();

    let told = async || gateway.get_as("operator", STATUS).await.json()["warmers"][0]["role"] == "active";
    wait_until("the warmer to be told", LIMIT, told).await;
    let all = gateway.get_as("operator", STATUS).await.json();
    let warmer = &all["warmers"][0];
    assert_eq!((&warmer["instance"], warmer["unready"].as_array().unwrap().len()), (&"warm-1".into(), 3));
    let own = gateway.get_as("board", STATUS).await;
    assert!(!own.text().contains("secret inside") && !own.text().contains("warm-1"), "{}", own.text());
    let warmer = &own.json()["warmers"][0];
    assert_eq!(warmer["unready"].as_array().unwrap().len(), 2);
    // As if there were no other stores.
    let place = warmer["unready"].as_array().unwrap().iter().find(|store| store["store_id"] == STORES[1]);
    assert!(place.unwrap()["why"]["place"].is_null());
    assert_eq!((&warmer["stores"], &warmer["waiting"]), (&2.into(), &2.into()));
    assert!(own.json()["redis"]["keys"].is_null() && all["redis"]["keys"].is_u64());

    let reasons = async |token: &str| {
        let days = gateway.get_as(token, "/v1/inventory/days?days=3").await.json();
        let mut reasons = std::collections::BTreeMap::new();
        for store in days["data"]["stores"].as_array().unwrap() {
            assert_eq!((&store["state"], &store["days"]), (&"cold".into(), &"ccc".into()));
            let why = (store["why"]["code"].as_str().unwrap().to_owned(), store["why"]["text"].to_string());
            reasons.insert(store["store_id"].as_str().unwrap().to_owned(), why);
        }
        reasons
    };
    let told = reasons("operator").await;
    let codes = [0, 1, 2, 3].map(|at| told[STORES[at]].0.as_str());
    assert_eq!(codes, ["failing", "waiting", "left_out", "unknown"]);
    assert!(told[STORES[0]].1.contains("secret inside"));
    assert!(!reasons("board").await[STORES[0]].1.contains("secret"));

    // Why the others are cold follows from the state of the service.
    let pause = r#"{"by":"eve@shop","since":1795000000000,"until":null,"reason":"stocktaking"}"#;
    let key = levels.keys().paused().key;
    plain.transact(vec![shared::cache::Write::Keep { key: key.clone(), value: pause.into() }]).await.unwrap();
    assert_eq!(reasons("operator").await[STORES[3]].0, "paused");
    assert!(!gateway.get_as("board", "/v1/inventory/days").await.text().contains("eve@shop"));
    plain.transact(vec![shared::cache::Write::Delete { key }]).await.unwrap();
    let (lease, _) = levels.keys().lease();
    plain.transact(vec![shared::cache::Write::Delete { key: lease }]).await.unwrap();
    assert_eq!(reasons("operator").await[STORES[3]].0, "no_warmer");
}

fn warmer_status() -> Status {
    Status {
        v: shared::published::STATUS_FORM,
        instance: String::new(),
        role: Role::Standby,
        problem: None,
        started_at: 0,
        now: shared::runtime::now_ms(),
        pid: 1,
        host: String::new(),
        version: "1".to_owned(),
        memory_bytes: 0,
        counts: Counts::default(),
        redis: shared::cache::MonitorStatus::default(),
    }
}
