//! One question in every way.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use loadtest::check::CheckSettings;
use loadtest::recording::{self, Recorded};
use loadtest::way::{Encoding, Format, Http, Way};
use loadtest::ways::{WaysReport, check_ways};
use serde::Serialize;
use tempfile::TempDir;

use crate::check::{arguments, at, run};
use crate::server::{Handler, start};

#[derive(Serialize)]
struct Envelope {
    data: Data,
    meta: Meta,
}

#[derive(Serialize)]
struct Data {
    orders: u32,
    sales: f64,
    note: String,
}

#[derive(Serialize)]
struct Meta {
    stores: u32,
}

/// Long enough to be worth gzip.
fn note() -> String {
    "星河路店 ".repeat(100)
}

fn wants(headers: &HeaderMap, name: &str, value: &str) -> bool {
    headers.get(name).is_some_and(|given| given == value)
}

/// As a gateway answers, with these sales in MessagePack, and gzip as often as `zips` says.
fn answer(request: &Request<Incoming>, sales: f64, zips: bool) -> Response<Full<Bytes>> {
    let (packs, zips) = (
        wants(request.headers(), "accept", "application/msgpack"),
        zips && wants(request.headers(), "accept-encoding", "gzip"),
    );
    let sales = if packs { sales } else { 6699.38 };
    let envelope = Envelope { data: Data { orders: 215, sales, note: note() }, meta: Meta { stores: 1 } };
    let (kind, body) = if packs {
        ("application/msgpack", shared::entry::message_pack(&envelope).unwrap())
    } else {
        ("application/json", serde_json::to_vec(&envelope).unwrap())
    };
    let mut response = Response::builder().header("Content-Type", kind);
    let version_2 = request.version() == Version::HTTP_2;
    response = response.header("X-Cache", if version_2 { "near" } else { "l2-compose" });
    let body = if zips {
        response = response.header("Content-Encoding", "gzip");
        shared::entry::gzip(&body).unwrap()
    } else {
        body
    };
    response.body(Full::new(Bytes::from(body))).unwrap()
}

fn recorded() -> Vec<Recorded> {
    let text = format!(
        r#"[{{"path":"/v1/metrics/overview","meta":{{"stores":1}},"data":{{"orders":215,"sales":6699.38,"note":"{}"}}}}]"#,
        note()
    );
    serde_json::from_str(&text).unwrap()
}

async fn checked(handler: Handler) -> WaysReport {
    let url = format!("http://{}", start(handler).await);
    let check = CheckSettings { parallel: 2, shown: 10 };
    check_ways(&at(&url), &Way::every(None, None, None), &recorded(), &check, || ()).await.unwrap()
}

/// Ways in which something was different, with the first differences.
fn different(report: &WaysReport) -> Vec<(Way, String)> {
    let findings =
        report.ways.iter().flat_map(|way| way.report.findings.iter().map(|found| (way.way, found)));
    findings.map(|(way, found)| (way, found.differences[0].to_string())).collect()
}

#[tokio::test]
async fn every_way_is_asked_and_counted() {
    let report = checked(|request| answer(request, 6699.38, true)).await;
    assert!(report.is_clean(), "{:?}", different(&report));
    assert_eq!(report.ways.len(), 8);
    for way in &report.ways {
        let rung = if way.way.http == Http::Two { "near" } else { "l2-compose" };
        let only = [(rung.to_owned(), 1)].into();
        assert_eq!(
            (&way.report.x_cache, way.report.requests, way.report.equal),
            (&only, 1, 1),
            "{}",
            way.way
        );
    }
}

#[tokio::test]
async fn one_wrong_way_does_not_hide_behind_the_others() {
    let report = checked(|request| answer(request, 6699.380000000001, true)).await;
    let found = different(&report);
    assert_eq!(found.len(), 4);
    for (way, told) in found {
        assert_eq!(
            (way.format, told.as_str()),
            (Format::MessagePack, "$.data.sales: expected 6699.38, got 6699.380000000001")
        );
    }
    let report = checked(|request| answer(request, 6699.38, false)).await;
    let found = different(&report);
    assert_eq!(found.len(), 4);
    for (way, told) in found {
        assert_eq!(
            (way.encoding, told.as_str()),
            (Encoding::Gzip, "Content-Encoding: expected gzip, got nothing")
        );
    }
    assert!(!report.is_clean());
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_unreachable_in_every_way() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let check = CheckSettings { parallel: 1, shown: 1 };
    let ways = Way::every(None, Some(Encoding::Plain), Some(Format::Json));
    let report = check_ways(&at(&url), &ways, &recorded(), &check, || ()).await.unwrap();
    for way in &report.ways {
        assert_eq!((way.report.requests, way.report.unreachable), (1, 1));
        assert!(way.error.as_ref().unwrap().contains("is the gateway running"));
    }
    assert!(!report.is_clean() && report.ways.len() == 2);
}

#[tokio::test]
async fn the_program_prints_a_row_per_way() {
    let url = format!("http://{}", start(|request| answer(request, 6699.38, true)).await);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("answers.json");
    recording::write(&file, &recorded()).unwrap();
    let file = file.to_str().unwrap();

    let done = run(arguments(&["check", file, "--url", &url, "--all-ways"])).await;
    let text = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(0), "{text}");
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows[0][3..],
        ["requests", "equal", "different", "failed", "unreachable", "near", "l2-compose"]
    );
    assert_eq!(rows[1], ["1.1", "json", "plain", "1", "1", "0", "0", "0", "0", "1"]);
    assert_eq!(rows[8], ["2", "msgpack", "gzip", "1", "1", "0", "0", "0", "1", "0"]);

    let ways = ["--all-ways", "--http", "2", "--format", "msgpack", "--output", "json"];
    let done = run(arguments(&[&["check", file, "--url", &url][..], &ways].concat())).await;
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let rows = report["ways"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["encoding"], "gzip");
    assert_eq!((&rows[1]["http"], &rows[1]["equal"]), (&"2".into(), &1.into()));

    let one = ["--http", "2", "--encoding", "gzip", "--format", "msgpack", "--output", "json"];
    let done = run(arguments(&[&["check", file, "--url", &url][..], &one].concat())).await;
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&report["equal"], &report["x_cache"]["near"]), (&1.into(), &1.into()));
}
