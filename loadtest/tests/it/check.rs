//! Checking and recording, through the library and through the program.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use loadtest::check::{CheckSettings, check};
use loadtest::client::{Gateway, GatewaySettings, RequestError};
use loadtest::recording::{self, Recorded};
use loadtest::way::Way;
use tempfile::TempDir;

use crate::server::start;

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, x_cache, body) = match request.uri().path_and_query().map_or("", |p| p.as_str()) {
        "/v1/stores" => (
            200,
            "l4",
            r#"{"data":{"stores":[{"store_id":"1001","name":"星河路店","lines":12.0}]},"meta":{"stores":1,"as_of":null,"data_version":"7"}}"#,
        ),
        "/v1/metrics/overview?from=2026-03-07" => {
            (200, "l2-compose; stale", r#"{"data":{"sales":6699.3800001,"orders":215},"meta":{"stores":2}}"#)
        }
        "/v1/diagnosis" => (200, "source", "not json"),
        "/v1/secret" if request.headers().get("authorization").is_some_and(|v| v == "Bearer t0ken") => {
            (200, "near", r#"{"data":1,"meta":{}}"#)
        }
        _ => (
            400,
            "none",
            r#"{"title":"bad request","detail":"2 parameters are wrong","errors":[{"parameter":"from","reason":"no such day"}]}"#,
        ),
    };
    let body = Full::new(Bytes::from_static(body.as_bytes()));
    let head = Response::builder().status(status).header("Content-Type", "application/json");
    head.header("X-Cache", x_cache).body(body).unwrap()
}

fn recorded() -> Vec<Recorded> {
    serde_json::from_str(
        r#"[{"path":"/v1/stores","meta":{"stores":1,"as_of":null},"data":{"stores":[{"store_id":"1001","name":"星河路店","lines":12}]}},
            {"path":"/v1/metrics/overview?from=2026-03-07","meta":{"stores":1},"data":{"orders":215,"sales":6699.38}},
            {"path":"/v1/diagnosis","data":{}},
            {"path":"/v1/metrics/trend?from=x","data":{}}]"#,
    )
    .unwrap()
}

pub(crate) fn at(url: &str) -> GatewaySettings {
    GatewaySettings { url: url.to_owned(), token: None, ca: None, timeout: Duration::from_secs(60) }
}

fn gateway(url: &str) -> Gateway {
    Gateway::new(&at(url), Way::default()).unwrap()
}

#[tokio::test]
async fn every_difference_is_reported_with_its_place() {
    let url = format!("http://{}/", start(answer).await);
    let settings = CheckSettings { parallel: 3, shown: 10 };
    let mut answers = 0;
    let report = check(&gateway(&url), &recorded(), &settings, || answers += 1).await.unwrap();
    assert_eq!(answers, 4);
    assert_eq!((report.requests, report.equal, report.different, report.failed), (4, 1, 1, 2));
    assert_eq!((report.value_differences, report.key_order_differences), (2, 1));
    assert_eq!(report.x_cache["l2-compose; stale"], 1);
    assert!(!report.is_clean());
    let texts = |at: usize| -> Vec<String> {
        report.findings[at].differences.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        texts(0),
        [
            "$.data.sales: expected 6699.38, got 6699.3800001",
            "$.data: expected keys orders, sales, got keys sales, orders",
            "$.meta.stores: expected 1, got 2",
        ]
    );
    assert!(report.findings[1].failure.as_ref().unwrap().contains("not JSON"));
    assert_eq!(
        report.findings[2].failure.as_deref(),
        Some("status 400 Bad Request: bad request; 2 parameters are wrong; from: no such day")
    );
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_one_error() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let settings = CheckSettings { parallel: 1, shown: 1 };
    let error = check(&gateway(&url), &recorded(), &settings, || ()).await.unwrap_err();
    assert!(matches!(error, RequestError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("is the gateway running"));
    for bad in ["ftp://x", "127.0.0.1:8080", "http://x/?a=1", ""] {
        assert!(Gateway::new(&at(bad), Way::default()).is_err(), "{bad}");
    }
    let ca = Some("ca.pem".into());
    for (url, told) in [("http://x", "--ca is for https"), ("https://x", "--ca: ca.pem cannot be read")] {
        let error = Gateway::new(&GatewaySettings { ca: ca.clone(), ..at(url) }, Way::default()).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}

/// Refuses the first request, as a gateway does whose caller asks too fast.
fn at_first_refusing(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    if ASKED.fetch_add(1, Ordering::Relaxed) > 0 {
        return answer(request);
    }
    let refusal = Response::builder().status(429).header("Retry-After", "1");
    refusal.body(Full::default()).unwrap()
}

#[tokio::test]
async fn who_asks_too_fast_asks_again() {
    let url = format!("http://{}", start(at_first_refusing).await);
    assert_eq!(gateway(&url).get("/v1/stores").await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_is_sent() {
    let url = format!("http://{}", start(answer).await);
    let token = Some("t0ken".to_owned());
    let with_token = Gateway::new(&GatewaySettings { token, ..at(&url) }, Way::default()).unwrap();
    assert_eq!(with_token.get("/v1/secret").await.unwrap().status, StatusCode::OK);
    assert_eq!(gateway(&url).get("/v1/secret").await.unwrap().status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_token_comes_from_a_file() {
    let url = format!("http://{}", start(answer).await);
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (answers, token) = (path("answers.json"), path("token"));
    std::fs::write(&answers, r#"[{"path":"/v1/secret","data":1}]"#).unwrap();
    let check = || run(arguments(&["check", &answers, "--url", &url, "--token-file", &token]));
    for (text, code, told) in [
        (None, 64, "cannot be read"),
        (Some("\n"), 64, "is empty"),
        (Some("s3cret\nline"), 64, "in one line"),
        (Some("other\n"), 1, ""),
        (Some("t0ken\n"), 0, ""),
    ] {
        text.into_iter().for_each(|text| std::fs::write(&token, text).unwrap());
        let done = check().await;
        let error = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(code), "{text:?} {error}");
        assert!(error.contains(told) && !error.contains("s3cret"), "{error}");
    }
}

pub(crate) async fn run(arguments: Vec<String>) -> Output {
    let run = move || Command::new(env!("CARGO_BIN_EXE_loadtest")).args(arguments).output().unwrap();
    tokio::task::spawn_blocking(run).await.unwrap()
}

pub(crate) fn arguments(of: &[&str]) -> Vec<String> {
    of.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn what_is_recorded_is_found_equal_and_exit_codes_say_so() {
    let url = format!("http://{}", start(answer).await);
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (list, file) = (path("paths.txt"), path("answers.json"));
    std::fs::write(&list, "# two\n/v1/stores\n/v1/metrics/overview?from=2026-03-07\n").unwrap();

    let done = run(arguments(&["record", &file, "--paths", &list, "--url", &url])).await;
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(recording::read(file.as_ref()).unwrap().len(), 2);

    let done = run(arguments(&["check", &file, "--url", &url, "--output", "json"])).await;
    assert_eq!(done.status.code(), Some(0));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["equal"], 2);

    recording::write(file.as_ref(), &recorded()).unwrap();
    let done = run(arguments(&["check", &file, "--url", &url])).await;
    assert_eq!(done.status.code(), Some(1));
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("$.data.sales: expected 6699.38, got 6699.3800001"), "{text}");

    std::fs::write(&list, "/v1/unknown\n").unwrap();
    let done = run(arguments(&["record", &path("no.json"), "--paths", &list, "--url", &url])).await;
    assert_eq!(done.status.code(), Some(1));
    assert!(!folder.path().join("no.json").exists());
}

#[tokio::test]
async fn wrong_usage_is_64() {
    for of in [
        &["check"][..],
        &["generate"],
        &["generate", "--out", "orders.txt"],
        &["generate", "--out", "orders.csv", "--stores", "0"],
        &["check", "x.json", "--url", "ftp://example.org"],
        &["check", "x.json", "--http", "3"],
        &["check", "x.json", "--token", "t0ken"],
    ] {
        assert_eq!(run(arguments(of)).await.status.code(), Some(64), "{of:?}");
    }
    assert_eq!(run(arguments(&["generate", "--help"])).await.status.code(), Some(0));
}
