//! Loads on servers of which is known how they answer.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use loadtest::client::Gateway;
use loadtest::load::closed::ClosedSettings;
use loadtest::load::open::Rate;
use loadtest::load::report::Report;
use loadtest::load::run::{Load, Pattern, run};
use loadtest::load::scenario::Sessions;
use loadtest::way::{Http, Way};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::check::{arguments, at, run as program};
use crate::server::{start, start_slow};

/// A stall so long in every period.
const STALL: Duration = Duration::from_millis(400);
const PERIOD: Duration = Duration::from_millis(1_600);
/// Two periods.
const LENGTH: Duration = Duration::from_millis(3_200);

fn ok() -> Response<Full<Bytes>> {
    Response::builder().header("X-Cache", "near").body(Full::new(Bytes::from_static(b"{}"))).unwrap()
}

/// A server that answers at once, but for the stalls at the end of each period: then all wait for their end.
async fn stalling() -> String {
    let started = Instant::now();
    let address = start_slow(move |_| async move {
        let into = Duration::from_nanos((started.elapsed().as_nanos() % PERIOD.as_nanos()) as u64);
        if into > PERIOD - STALL {
            tokio::time::sleep(PERIOD - into).await;
        }
        ok()
    })
    .await;
    format!("http://{address}")
}

async fn load(url: &str, pattern: Pattern) -> Report {
    let gateways = vec![Gateway::new(&at(url), Way::default()).unwrap()];
    let sessions = Sessions::of_paths(&["/constant".to_owned()]);
    run(Load { gateways, sessions, pattern }, &CancellationToken::new(), |_, _| ()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stalls_shows_it_in_p99_in_the_open_loop() {
    let url = stalling().await;
    let rate = Rate { from: 100.0, to: 100.0, over: LENGTH };
    let open = load(&url, Pattern::Open { rate, limit: 1_000, seed: 1 }).await;
    assert_eq!((open.totals.requests, open.totals.failures), (320, 0));
    // A quarter of all requests were due in a stall, and those in its first half waited for longer than the half.
    let half = STALL.as_secs_f64() * 1e3 / 2.0;
    let p90 = open.latency.at(90.0).unwrap();
    assert!(p90 > half, "p90 {p90} ms in the open loop");
    assert!(open.latency.at(99.0).unwrap() > half * 1.5, "{:?}", open.latency);

    // One user waits once in each stall, and asks nothing meanwhile: only so many requests show it, of however many.
    let settings = ClosedSettings { users: 1, think: Duration::ZERO, ramp: Duration::ZERO, seed: 1 };
    let closed = load(&url, Pattern::Closed(settings, LENGTH)).await;
    assert!(closed.latency.max > half, "{:?}", closed.latency);
    if closed.totals.requests > 400 {
        let p99 = closed.latency.at(99.0).unwrap();
        assert!(p99 < half, "p99 {p99} ms of {} requests in the closed loop", closed.totals.requests);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_counts_as_missed() {
    // Three times as long as requests are due: the machine would have to stand still for two seconds to change anything.
    let address = start_slow(|_| async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        ok()
    })
    .await;
    let rate = Rate { from: 50.0, to: 50.0, over: Duration::from_secs(1) };
    let report = load(&format!("http://{address}"), Pattern::Open { rate, limit: 5, seed: 1 }).await;
    let totals = &report.totals;
    assert_eq!((totals.requests, totals.failures), (50, totals.missed));
    // On a machine that stands still now and then, some of the first five are answered before the last is due.
    assert!(totals.missed >= 35, "{totals:?}");
    assert_eq!(report.failures["missed"], totals.missed);
    assert_eq!(report.latency.count, totals.requests - totals.missed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_ask_and_all_is_counted() {
    let url = format!("http://{}", start(|_| ok()).await);
    let settings = ClosedSettings {
        users: 20,
        think: Duration::from_millis(20),
        ramp: Duration::from_millis(200),
        seed: 1,
    };
    let report = load(&url, Pattern::Closed(settings, Duration::from_millis(2_500))).await;
    let totals = &report.totals;
    assert!(totals.requests > 20 && totals.failures == 0, "{totals:?}");
    assert_eq!((totals.hit_percent, totals.success_percent), (Some(100.0), 100.0));
    assert_eq!((report.outcomes["near"], report.latency.count), (totals.requests, totals.requests));
    let rows: u64 = report.series.requests.iter().sum();
    assert!(report.series.len() >= 2 && rows <= totals.requests, "{:?}", report.series);
    assert!(report.servers[0].silent.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latencies_add_up_to_the_time_that_users_waited() {
    // Long beside what a busy machine needs between an answer and the next request.
    let address = start_slow(|_| async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        ok()
    })
    .await;
    let settings = ClosedSettings { users: 10, think: Duration::ZERO, ramp: Duration::ZERO, seed: 1 };
    let report = load(&format!("http://{address}"), Pattern::Closed(settings, Duration::from_secs(4))).await;
    // Without thinking a user always waits for an answer (Little's law), whatever the machine can do.
    let waited = report.latency.mean * report.latency.count as f64 / 1e3;
    let whole = 10.0 * report.seconds;
    assert!((0.8..=1.01).contains(&(waited / whole)), "{waited} s of {whole} s");
    assert!(report.latency.at(0.0).unwrap() >= 399.0, "{:?}", report.latency);
    // The histogram's three digits.
    let per_second = report.totals.requests as f64 / report.seconds;
    assert!((report.totals.per_second / per_second - 1.0).abs() < 0.01);
}

#[tokio::test]
async fn a_connection_tells_when_it_was_asked_and_answered() {
    let url = format!("http://{}", start(|_| ok()).await);
    let gateway = Gateway::new(&at(&url), Way::default()).unwrap();
    let first = gateway.get_once("/").await.unwrap().span.unwrap();
    assert_eq!(first.written, None, "it waited for its connection");
    let before = Instant::now();
    let second = gateway.get_once("/").await.unwrap().span.unwrap();
    let written = second.written.unwrap();
    assert!(first.read <= before && before <= written && written <= second.read, "{first:?} {second:?}");

    // Several at a time: no time of the connection is that of one request.
    let two = Gateway::new(&at(&url), Way { http: Http::Two, ..Way::default() }).unwrap();
    assert_eq!(two.get_once("/").await.unwrap().span, None);
}

fn gateway(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let body = match request.uri().path() {
        "/v1/stores" => {
            r#"{"data":{"stores":[{"store_id":"1001","name":"a","last_day":"2026-03-07","lines":12}]},"meta":{"stores":1,"as_of":"2026-03-07","data_version":"7"}}"#
        }
        "/v1/refresh" => {
            let status = if request.method() == "POST" { 202 } else { 405 };
            return Response::builder().status(status).body(Full::default()).unwrap();
        }
        "/v1/diagnosis" => return Response::builder().status(503).body(Full::default()).unwrap(),
        // With the fields of every other kind.
        _ => {
            r#"{"data":{"current":{},"previous":{},"change":{},"buckets":[],"channels":[],"products":[],"lines":[],"next":null},"meta":{"stores":1,"as_of":"2026-03-07","data_version":"7"}}"#
        }
    };
    let head = Response::builder().header("Content-Type", "application/json").header("X-Cache", "l3");
    head.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()
}

#[tokio::test]
async fn expectations_decide_the_exit_code_and_say_what_failed() {
    let url = format!("http://{}", start(gateway).await);
    let folder = TempDir::new().unwrap();
    let json = folder.path().join("run.json");
    let common = [
        "run",
        "--users",
        "3",
        "--think",
        "10ms",
        "--duration",
        "1s",
        "--scenario",
        "manager",
        "--refresh",
        "50",
    ];
    let run = async |more: &[&str]| program(arguments(&[&common, &["--url", &url][..], more].concat())).await;

    let file = json.to_str().unwrap();
    let done = run(&["--json", file, "--expect", "hit>=100% failures>0 overview.p50<60s"]).await;
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("met: hit>=100%, is 100"), "{text}");
    assert!(text.contains("status 503"), "{text}");
    let report: Report = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report.settings["users"], "3");
    assert_eq!(report.routes["diagnosis"].failures, report.routes["diagnosis"].requests);
    assert_eq!(report.failures.keys().collect::<Vec<_>>(), ["status 503"]);
    assert!(report.environment.cpus > 0 && report.environment.system.len() > 5, "{:?}", report.environment);

    let done = run(&["--expect", "success>=99.9% p50<60s"]).await;
    assert_eq!(done.status.code(), Some(1));
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(told.starts_with("FAILED: success>=99.9%, is ") && !told.contains("p50"), "{told}");

    for wrong in [
        &["--expect", "p99<1"][..],
        &["--duration", "0s"],
        &["--rate", "10"],
        &["--path", "v1"],
        &["--zipf", "1"],
    ] {
        let code = run(wrong).await.status.code();
        // The last one is a usual option, which nothing contradicts.
        assert_eq!(code, Some(if wrong[0] == "--zipf" { 0 } else { 64 }), "{wrong:?}");
    }
}

/// As [`gateway`], but with another document of the same data for the trend.
fn other(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.uri().path() != "/v1/metrics/trend" {
        return gateway(request);
    }
    let body = r#"{"data":{"buckets":[1]},"meta":{"stores":1,"as_of":"2026-03-07","data_version":"7"}}"#;
    let head = Response::builder().header("Content-Type", "application/json").header("X-Cache", "l3");
    head.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()
}

#[tokio::test]
async fn gateways_that_differ_are_found_under_load() {
    let urls = [start(gateway).await, start(other).await].map(|address| format!("http://{address}"));
    let gateways = urls.iter().map(|url| Gateway::new(&at(url), Way::default()).unwrap()).collect();
    let sessions = Sessions::of_paths(&["/v1/metrics/trend".to_owned(), "/v1/metrics/overview".to_owned()]);
    let rate = Rate { from: 40.0, to: 40.0, over: Duration::from_secs(1) };
    let pattern = Pattern::Open { rate, limit: 1_000, seed: 1 };
    // Arrivals go to the gateways in turn as paths do, so each would have a path of its own: three paths do not.
    let load = Load { gateways, sessions, pattern };
    let report = run(load.clone(), &CancellationToken::new(), |_, _| ()).await;
    assert_eq!(report.totals.failures, 0, "{:?}", report.examples);
    let of_each: Vec<_> =
        report.gateways.iter().map(|gateway| (gateway.gateway.clone(), gateway.part.requests)).collect();
    assert_eq!(of_each, urls.map(|url| (url, 20)));
    let paths = ["/v1/metrics/trend", "/v1/metrics/overview", "/v1/stores"].map(str::to_owned);
    let load = Load { sessions: Sessions::of_paths(&paths), ..load };
    let report = run(load, &CancellationToken::new(), |_, _| ()).await;
    let wrong = report.totals.wrong;
    assert!(wrong > 0 && report.failures["documents differ"] == wrong, "{:?}", report.failures);
    assert_eq!((report.totals.failures, report.routes["trend"].failures), (wrong, wrong));
    assert!(report.examples[0].contains("data version 7"), "{:?}", report.examples);
}

#[tokio::test]
async fn a_log_is_replayed_and_two_runs_are_compared() {
    let url = format!("http://{}", start(gateway).await);
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (log, before, after) = (path("access.log"), path("before.json"), path("after.json"));
    let line = |time: u64, path: &str, status: u16| {
        format!("{{\"v\":1,\"type\":\"request\",\"time\":{time},\"path\":\"{path}\",\"status\":{status}}}\n")
    };
    let lines = [
        line(1_000, "/v1/stores", 200),
        line(9_000, "/v1/metrics/trend", 200),
        line(5_000, "/v1/nothing", 404),
        line(11_000, "/v1/stores", 200),
    ];
    std::fs::write(&log, lines.concat()).unwrap();
    let replay = async |speed: &str, json: &str| {
        let expect = ["--expect", "success>=100% requests>=3 requests<=3"];
        let common = ["replay", &log, "--url", &url, "--speed", speed, "--json", json];
        program(arguments(&[&common[..], &expect[..]].concat())).await
    };
    for (speed, json) in [("20", &before), ("10", &after)] {
        let done = replay(speed, json).await;
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
        assert!(String::from_utf8_lossy(&done.stderr).contains("3 requests of 4 lines"));
    }
    let report: Report = serde_json::from_slice(&std::fs::read(&after).unwrap()).unwrap();
    // Ten seconds, ten times as fast.
    assert!(report.seconds >= 1.0, "{}", report.seconds);
    assert_eq!((report.command.as_str(), report.routes["stores"].requests), ("replay", 2));

    let done = program(arguments(&["diff", &before, &after])).await;
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("not the same: speed: 20 – 10"), "{text}");
    assert!(text.contains("trend p99"), "{text}");
    // The second took twice as long for as many answers.
    let done = program(arguments(&["diff", &before, &after, "--max-worse", "10%"])).await;
    let told = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{told}");
    assert!(told.contains("WORSE: right answers by "), "{told}");
    let done = program(arguments(&["diff", &before, &before, "--max-worse", "0"])).await;
    assert_eq!(done.status.code(), Some(0));
    let done = program(arguments(&["diff", &before, &log])).await;
    assert_eq!(done.status.code(), Some(1));
}

/// Counts what it answers, so that a test knows that a load has begun.
static ASKED: AtomicU32 = AtomicU32::new(0);

#[tokio::test]
async fn an_interrupt_ends_a_run_early_with_a_report() {
    let address = start(|request| {
        // It looks for the gateway's status, too.
        ASKED.fetch_add(u32::from(request.uri().path() == "/constant"), Ordering::Relaxed);
        ok()
    })
    .await;
    let url = format!("http://{address}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args([
        "run",
        "--path",
        "/constant",
        "--rate",
        "50",
        "--duration",
        "1h",
        "--output",
        "json",
        "--url",
        &url,
    ]);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    testkit::wait_until("it asks", Duration::from_secs(60), async || ASKED.load(Ordering::Relaxed) > 3).await;
    let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    let done = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(done.status.code(), Some(0));
    let report: Report = serde_json::from_slice(&done.stdout).unwrap();
    assert!(
        report.interrupted && report.totals.requests > 3 && report.totals.failures == 0,
        "{:?}",
        report.totals
    );
}
