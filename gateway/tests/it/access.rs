//! Tokens: what each may see, and that nothing is told of what it may not.

use std::time::Duration;

use gateway::AccessLog;
use http::Method;
use serde_json::Value;
use shared::config::{AccessLogSettings, Settings};
use shared::source::Source;
use shared::source::postgres::PostgresSource;
use testkit::{RedisServer, wait_until};

use crate::client::{self, Answer, encoded};
use crate::fixture::{self, Gateway, STORES, operator, reader};

const LIMIT: Duration = Duration::from_secs(60);
const DOCUMENTS: [&str; 6] = [
    "/v1/metrics/overview",
    "/v1/metrics/trend",
    "/v1/metrics/channels",
    "/v1/metrics/stores",
    "/v1/metrics/products",
    "/v1/diagnosis",
];
/// Those that may name stores.
const NAMING: [&str; 5] = [DOCUMENTS[0], DOCUMENTS[1], DOCUMENTS[2], DOCUMENTS[4], DOCUMENTS[5]];
/// The first ends two days before the others.
const OWN: [&str; 2] = [STORES[0], STORES[3]];

/// An operator, a reader of two stores (and of one that does not exist), and readers of one.
fn settings() -> Settings {
    let mut settings = fixture::settings();
    let board = reader("board", &[OWN[0], OWN[1], "nobody"]);
    settings.access.tokens =
        vec![operator(), board, reader("first", &[STORES[0]]), reader("second", &[STORES[1]])];
    settings
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|store| store["store_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_answered() {
    let gateway = Gateway::without_servers_as(settings()).await;
    let paths = DOCUMENTS.iter().chain(&["/v1/stores", "/v1/stores/all/orders", "/v1/refresh", "/nowhere"]);
    let mut refused = 0;
    for path in paths {
        for (header, challenge) in [
            (None, "Bearer realm=\"hotshelf\""),
            (Some("Basic b3BlcmF0b3I6"), "Bearer realm=\"hotshelf\""),
            (Some("operator"), "Bearer realm=\"hotshelf\""),
            (Some("Bearer Operator"), "Bearer realm=\"hotshelf\", error=\"invalid_token\""),
            (Some("Bearer operator2"), "Bearer realm=\"hotshelf\", error=\"invalid_token\""),
            (Some("Bearer "), "Bearer realm=\"hotshelf\""),
        ] {
            let headers: Vec<_> = header.map(|value| ("authorization", value)).into_iter().collect();
            for method in [Method::GET, Method::POST, Method::HEAD] {
                let answer = client::send(method.clone(), &gateway.address, path, &headers).await;
                assert_eq!(answer.header("www-authenticate"), challenge, "{method} {path} {header:?}");
                assert_eq!(answer.status.as_u16(), 401);
                assert_eq!(answer.header("cache-control"), "no-store");
                if method != Method::HEAD {
                    answer.problem(401);
                }
                refused += 1;
            }
        }
        let both = [("authorization", "Bearer operator"), ("authorization", "Bearer board")];
        gateway.get_with(path, &both).await.problem(401);
        refused += 1;
    }
    assert_eq!(gateway.refused().unauthorized, refused);
    // What watches the service, and browsers that ask whether they may, have no token.
    for path in ["/livez", "/readyz"] {
        gateway.ok(path).await;
    }
    let options = client::send(Method::OPTIONS, &gateway.address, DOCUMENTS[0], &[]).await;
    assert_eq!((options.status.as_u16(), options.body.len()), (204, 0));
    // A token of a URL is none: URLs are logged.
    gateway.get("/v1/stores?access_token=operator").await.problem(401);
}

#[tokio::test]
async fn a_reader_sees_his_stores_as_if_there_were_no_others() {
    let gateway = Gateway::without_servers_as(settings()).await;
    let list = gateway.get_as("board", "/v1/stores").await.json();
    assert_eq!(ids(&list["data"]["stores"]), OWN);
    let named = OWN.map(encoded).join(",");
    for path in NAMING {
        let own = gateway.get_as("board", path).await;
        // The very question that names them, so also its entries in the cache and its tag.
        let same = gateway.get_as("operator", &format!("{path}?stores={named}")).await;
        assert_eq!((&own.body, own.header("etag")), (&same.body, same.header("etag")), "{path}");
        assert_eq!(own.json()["meta"]["stores"].as_u64(), Some(2));
        let all = gateway.get_as("operator", path).await;
        assert_eq!(all.json()["meta"]["stores"].as_u64(), Some(6));
        assert_ne!(all.header("etag"), own.header("etag"));
        assert_eq!(gateway.get_as("board", &format!("{path}?stores={named}")).await.body, own.body);
    }
    let table = gateway.get_as("board", "/v1/metrics/stores").await.json();
    let rows = table["data"]["stores"].as_array().unwrap();
    let mut ranks: Vec<u64> = rows.iter().map(|row| row["rank_sales"].as_u64().unwrap()).collect();
    ranks.sort_unstable();
    assert_eq!((ranks, ids(&table["data"]["stores"]).len()), (vec![1, 2], 2));
    let overview = gateway.get_as("board", DOCUMENTS[0]).await.json();
    assert_eq!(table["data"]["summary"], overview["data"]["current"]);
    // Days, too, are those of his stores.
    let first = gateway.get_as("first", DOCUMENTS[0]).await.json();
    assert_eq!((&first["meta"]["as_of"], &first["meta"]["to"]), (&"2026-03-09".into(), &"2026-03-09".into()));
    let orders = format!("/v1/stores/{}/orders?limit=3", encoded(OWN[1]));
    assert_eq!(gateway.get_as("board", &orders).await.json()["data"]["lines"].as_array().unwrap().len(), 3);
    // What is on his list and not there is told as such.
    gateway.get_as("board", "/v1/metrics/overview?stores=nobody").await.problem(404);
}

#[tokio::test]
async fn no_representation_names_a_store_of_others() {
    let gateway = Gateway::without_servers_as(settings()).await;
    let others = [STORES[1], STORES[2], STORES[4], STORES[5]];
    let orders = format!("/v1/stores/{}/orders", encoded(OWN[1]));
    for path in DOCUMENTS.iter().copied().chain(["/v1/stores", &orders]) {
        for accept in ["application/json", "application/msgpack", "text/csv"] {
            let headers = [("authorization", "Bearer board"), ("accept", accept)];
            let answer = gateway.get_with(path, &headers).await;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(answer.status == 200 || answer.status == 406, "{text}");
            for other in others {
                // Names of stores in the sample are their ids and this.
                assert!(!text.contains(&format!("{other} 店")), "{other} in {path}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn callers_do_not_see_each_others_answers() {
    let gateway = Gateway::without_servers_as(settings()).await;
    let mut expected = Vec::new();
    for path in DOCUMENTS {
        for token in ["operator", "board", "first", "second"] {
            let answer = gateway.get_as(token, path).await;
            expected.push((token, path, answer.header("etag").to_owned(), answer.body));
        }
    }
    // The same again, in another order: whatever was kept of the first round must not go to somebody else.
    for (token, path, tag, body) in expected.iter().rev() {
        let answer = gateway.get_as(token, path).await;
        assert_eq!((answer.header("etag"), &answer.body), (tag.as_str(), body), "{token} {path}");
        // Nor is another's tag known.
        for (other, ..) in expected.iter().filter(|(other, of, ..)| of == path && other != token) {
            let authorization = format!("Bearer {other}");
            let headers = [("authorization", authorization.as_str()), ("if-none-match", tag.as_str())];
            assert_eq!(gateway.get_with(path, &headers).await.status.as_u16(), 200, "{other} {path}");
        }
    }
}

/// A refusal without the names that the client sent itself.
fn without(answer: &Answer, store: &str) -> (u16, Vec<String>, String) {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort_unstable();
    (answer.status.as_u16(), headers, answer.text().replace(store, "STORE"))
}

#[tokio::test]
async fn whether_a_store_of_others_exists_is_never_told() {
    let gateway = Gateway::without_servers_as(settings()).await;
    // Names of one length, so that nothing else differs.
    let (real, unreal) = (STORES[1], "a_c");
    for token in ["board", "first"] {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("x-request-id", "r")];
        for path in NAMING {
            for form in ["STORE", "STORE,all", "STORE,nobody"] {
                let ask = async |store: &str| {
                    let path = format!("{path}?stores={}", form.replace("STORE", store));
                    without(&gateway.get_with(&path, &headers).await, store)
                };
                let (known, unknown) = (ask(real).await, ask(unreal).await);
                assert_eq!(known, unknown, "{path} {form}");
                assert_eq!(known.0, 403);
            }
        }
        let ask = async |store: &str| {
            without(&gateway.get_with(&format!("/v1/stores/{store}/orders"), &headers).await, store)
        };
        assert_eq!(ask(real).await, ask(unreal).await);
        let all = [headers[0], headers[1], ("content-type", "application/json")];
        let ask = async |store: &str| {
            let body = format!("{{\"stores\":[\"{store}\"]}}");
            let sent = client::send_body(Method::POST, &gateway.address, "/v1/refresh", &all, body).await;
            without(&sent, store)
        };
        assert_eq!(ask(real).await, ask(unreal).await);
        assert_eq!(ask(real).await.0, 403);
    }
    assert!(gateway.refused().forbidden > 0);
    // An operator is told.
    gateway.get_as("operator", &format!("/v1/metrics/overview?stores={unreal}")).await.problem(404);
}

/// Time tells nothing either: with cache and source both gone every look-up fails, and these do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_of_others_are_refused_before_anything_is_looked_up() {
    let mut redis = RedisServer::start().await;
    let levels = fixture::levels(fixture::redis(&redis.url()));
    redis.stop();
    let mut nowhere = settings();
    nowhere.postgres.url = "postgres://nobody@127.0.0.1:1/nothing".to_owned();
    let source = Source::Postgres(PostgresSource::new(&nowhere.postgres).unwrap());
    let gateway = Gateway::start_as(source, levels, AccessLog::off(), nowhere).await;
    for store in [STORES[1], "a_c"] {
        for path in NAMING {
            gateway.get_as("board", &format!("{path}?stores={store}")).await.problem(403);
        }
        gateway.get_as("board", &format!("/v1/stores/{store}/orders")).await.problem(403);
        let headers = [("authorization", "Bearer board"), ("content-type", "application/json")];
        let body = format!("{{\"stores\":[\"{store}\"]}}");
        let sent = client::send_body(Method::POST, &gateway.address, "/v1/refresh", &headers, body).await;
        sent.problem(403);
    }
    // Whatever is looked up fails here.
    for path in DOCUMENTS.iter().chain(&["/v1/stores", "/v1/stores/all/orders"]) {
        gateway.get_as("board", path).await.problem(503);
    }
    // Tokens are checked before that, too.
    gateway.get_as("unknown", DOCUMENTS[0]).await.problem(401);
}

#[tokio::test]
async fn the_log_has_ids_of_tokens_and_never_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = AccessLogSettings { path: Some(path.clone()), ..fixture::settings().access_log };
    let log = AccessLog::start(&log, "127.0.0.1:1").unwrap();
    let (source, levels) = (fixture::files().await, fixture::levels(fixture::memory()));
    fixture::warm(&source, &levels).await;
    let gateway = Gateway::start_as(source, levels, log.clone(), settings()).await;
    gateway.get_as("board", "/v1/metrics/overview").await;
    gateway.get_as("board", "/v1/metrics/overview?stores=all").await;
    gateway.get_as("operator", "/v1/metrics/overview").await;
    gateway.get_as("wrong-token", "/v1/metrics/overview").await.problem(401);
    gateway.get_as("first", "/v1/metrics/overview").await;
    wait_until("five lines", LIMIT, async || log.counts().written == 5).await;
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [board, named, all, wrong, first] = &lines[..] else { panic!("{text}") };
    for (line, token) in
        [(board, "board"), (named, "board"), (all, "operator"), (wrong, "wrong-token"), (first, "first")]
    {
        assert_eq!(line["token"], shared::access_log::token_id(token.as_bytes()), "{line}");
    }
    // What the warmer needs in order to know which question it was; days are relative to the last day of all stores.
    assert_eq!((&board["limited"], &board["stores"]), (&true.into(), &serde_json::json!(OWN)));
    assert_eq!((&named["limited"], &all["limited"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (&first["last_day"], &board["last_day"]),
        (&fixture::LAST_DAY.into(), &fixture::LAST_DAY.into())
    );
    for secret in ["wrong-token", "Bearer", "\"board\"", "\"operator\""] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn without_tokens_everything_is_open() {
    let gateway = Gateway::without_servers().await;
    for token in ["anything", "operator"] {
        assert_eq!(gateway.get_as(token, "/v1/metrics/overview").await.status.as_u16(), 200);
    }
    assert_eq!(gateway.refused(), gateway::auth::Refused::default());
}
