//! `POST /v1/refresh`: taken when its line is written, refused otherwise.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::AccessLog;
use http::Method;
use shared::access_log::{Event, Refresh, parse_line, token_id};
use shared::config::{AccessLogSettings, Settings};

use crate::client::{self, Answer};
use crate::fixture::{self, Gateway, STORES, operator, reader};

const JSON: (&str, &str) = ("content-type", "application/json");

fn settings() -> Settings {
    let mut settings = fixture::settings();
    settings.access.tokens = vec![operator(), reader("board", &[STORES[0], STORES[3], "nobody"])];
    settings
}

fn log(path: &Path, confirm_timeout: Duration) -> AccessLog {
    let settings = AccessLogSettings {
        path: Some(path.to_owned()),
        confirm_timeout,
        drain_timeout: Duration::from_millis(10),
        ..fixture::settings().access_log
    };
    AccessLog::start(&settings, "127.0.0.1:1").unwrap()
}

/// A gateway, and where its log is.
struct Place {
    gateway: Gateway,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn new(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let (source, levels) = (fixture::files().await, fixture::levels(fixture::memory()));
        // A busy machine must not look like a hanging disk.
        let log = log(&path, Duration::from_secs(60));
        Self { gateway: Gateway::start_as(source, levels, log, settings).await, path, _folder: folder }
    }

    async fn post(&self, token: &str, body: &str) -> Answer {
        post(&self.gateway, token, body).await
    }

    fn refreshes(&self) -> Vec<Refresh> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let refresh = |line: &str| match parse_line(line.as_bytes()).unwrap() {
            Event::Refresh(refresh) => Some(refresh),
            Event::Request(_) => None,
        };
        text.lines().filter_map(refresh).collect()
    }
}

async fn post(gateway: &Gateway, token: &str, body: &str) -> Answer {
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), JSON, ("x-request-id", "r-1")];
    client::send_body(Method::POST, &gateway.address, "/v1/refresh", &headers, body.to_owned()).await
}

#[tokio::test]
async fn what_was_taken_is_written_when_it_is_answered() {
    let place = Place::new(settings()).await;
    let body = r#"{"stores":["a_b","all","a_b"],"from":"2026-03-01","to":"2026-03-07"}"#;
    let answer = place.post("operator", body).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (202, "application/json"));
    assert_eq!(answer.header("cache-control"), "no-store");
    let requested_at = answer.json()["requested_at"].as_i64().unwrap();
    // At once: nothing is waited for.
    let expected = Refresh {
        requested_at,
        request_id: Some("r-1".to_owned()),
        token: Some(token_id(b"operator")),
        stores: Some(vec!["a_b".to_owned(), "all".to_owned()]),
        from: Some("2026-03-01".parse().unwrap()),
        to: Some("2026-03-07".parse().unwrap()),
        instance: Some("127.0.0.1:1".to_owned()),
    };
    assert_eq!(place.refreshes(), [expected]);
    // Many at the same time, each with its line.
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let address = place.gateway.address.clone();
        tasks.spawn(async move {
            let headers = [("authorization", "Bearer operator"), JSON];
            client::send_body(Method::POST, &address, "/v1/refresh", &headers, "{}").await.status
        });
    }
    let statuses = tasks.join_all().await;
    assert!(statuses.iter().all(|status| *status == 202));
    let all = place.refreshes();
    assert_eq!(all.len(), 21);
    assert!(all[1..].iter().all(|refresh| refresh.stores.is_none() && refresh.from.is_none()));
}

#[tokio::test]
async fn a_reader_refreshes_his_stores_only() {
    let place = Place::new(settings()).await;
    assert_eq!(place.post("board", "{}").await.status, 202);
    assert_eq!(place.post("board", r#"{"stores":["all"]}"#).await.status, 202);
    for others in [r#"{"stores":["a_b"]}"#, r#"{"stores":["all","unreal"]}"#] {
        place.post("board", others).await.problem(403);
    }
    // On his list, but not there.
    place.post("board", r#"{"stores":["nobody"]}"#).await.problem(404);
    place.post("operator", r#"{"stores":["unreal"]}"#).await.problem(404);
    place.post("wrong", "{}").await.problem(401);
    let stores: Vec<_> = place.refreshes().into_iter().map(|refresh| refresh.stores.unwrap()).collect();
    assert_eq!(stores, [vec!["all", "门店:1"], vec!["all"]]);
}

#[tokio::test]
async fn bodies_are_checked_field_by_field() {
    let place = Place::new(settings()).await;
    let problem =
        place.post("operator", r#"{"stores":"all","from":"x","to":7,"store":1}"#).await.problem(400);
    let names: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["parameter"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["stores", "from", "to", "store"]);
    for body in ["", "{", "[]", "{\"stores\":[]}"] {
        place.post("operator", body).await.problem(400);
    }
    place.post("operator", r#"{"from":"2025-01-01","to":"2026-01-02"}"#).await.problem(422);
    let many: Vec<String> = (0..501).map(|id| id.to_string()).collect();
    place.post("operator", &serde_json::json!({ "stores": many }).to_string()).await.problem(422);
    let kinds = [
        vec![],
        vec![("content-type", "text/plain")],
        vec![("content-type", "application/x-www-form-urlencoded")],
        vec![("content-type", "application/jsonx")],
        vec![JSON, ("content-encoding", "gzip")],
        vec![JSON, JSON],
    ];
    let send = async |headers: &[(&str, &str)], body: String| {
        let all = [&[("authorization", "Bearer operator")], headers].concat();
        client::send_body(Method::POST, &place.gateway.address, "/v1/refresh", &all, body).await
    };
    for headers in kinds {
        send(&headers, "{}".to_owned()).await.problem(415);
    }
    send(&[JSON, ("accept", "text/csv")], "{}".to_owned()).await.problem(406);
    let large = |bytes: usize| format!("{{}}{}", " ".repeat(bytes - 2));
    send(&[JSON], large((64 << 10) + 1)).await.problem(413);
    assert!(place.refreshes().is_empty());
    let kind = [("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(send(&kind, large(64 << 10)).await.status, 202);
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
        let headers = [("authorization", "Bearer operator")];
        let answer = client::send(method, &place.gateway.address, "/v1/refresh", &headers).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "OPTIONS, POST"));
    }
    let options = client::send(Method::OPTIONS, &place.gateway.address, "/v1/refresh", &[]).await;
    assert_eq!((options.status.as_u16(), options.header("allow")), (204, "OPTIONS, POST"));
}

#[tokio::test]
async fn bodies_that_grow_or_do_not_come_are_given_up() {
    let mut settings = settings();
    settings.gateway.body_timeout = Duration::from_millis(50);
    let place = Place::new(settings).await;
    let head = "POST /v1/refresh HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer operator\r\nConnection: close\r\n\
                Content-Type: application/json\r\n";
    let send =
        async |rest: &str| client::raw(&place.gateway.address, format!("{head}{rest}").as_bytes()).await;
    // The connection stays open until the gateway closes it.
    let slow = send("Content-Length: 10\r\n\r\n{").await;
    assert!(slow.starts_with("HTTP/1.1 408 ") && slow.contains("application/problem+json"), "{slow}");
    let announced = send("Content-Length: 1000000\r\n\r\n").await;
    assert!(announced.starts_with("HTTP/1.1 413 "), "{announced}");
    let chunk = format!("{:x}\r\n{}\r\n", 70_000, " ".repeat(70_000));
    let grown = send(&format!("Transfer-Encoding: chunked\r\n\r\n{chunk}")).await;
    assert!(grown.starts_with("HTTP/1.1 413 "), "{grown}");
    assert!(place.refreshes().is_empty());
}

#[tokio::test]
async fn what_cannot_be_logged_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let soon = Duration::from_millis(100);
    let logs = [
        ("off", AccessLog::off()),
        ("full", log(Path::new("/dev/full"), Duration::from_secs(60))),
        ("hanging", log(&pipe, soon)),
    ];
    // Nobody reads the pipe, so whatever comes after its 64 KiB waits for ever.
    for _ in 0..4 {
        let large = Refresh { stores: Some(vec!["x".repeat(50_000)]), ..Refresh::default() };
        logs[2].1.try_refresh(large).unwrap();
    }
    for (name, log) in logs {
        let (source, levels) = (fixture::files().await, fixture::levels(fixture::memory()));
        let gateway = Gateway::start_as(source, levels, log, settings()).await;
        for _ in 0..2 {
            let answer = post(&gateway, "operator", "{}").await;
            let problem = answer.problem(503);
            assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{name}");
            // Where the log is, is nobody's business.
            assert!(
                !problem.to_string().contains("pipe") && !problem.to_string().contains("/dev"),
                "{problem}"
            );
        }
    }
}
