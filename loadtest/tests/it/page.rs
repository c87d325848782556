//! The page of a report, in a browser.

use std::collections::BTreeMap;

use loadtest::load::html;
use loadtest::load::report::{Latency, PERCENTILES, PartReport, Report};
use loadtest::load::series::Series;
use loadtest::load::servers::ServerSeries;
use tempfile::TempDir;
use testkit::{Browser, Visitor};

fn report() -> Report {
    let latency = |ms: f64| Latency {
        count: 1_000,
        mean: ms,
        max: ms * 50.0,
        percentiles: PERCENTILES.into_iter().map(|percent| (percent, ms * (1.0 + percent / 50.0))).collect(),
    };
    let seconds = 90;
    let wave = |most: f64| -> Vec<f64> {
        (0..seconds).map(|at| most * (1.2 + (f64::from(at) / 9.0).sin())).collect()
    };
    let column = |most: f64| -> Vec<Option<f64>> { wave(most).into_iter().map(Some).collect() };
    let counts = |most: f64| -> Vec<u64> { wave(most).into_iter().map(|n| n as u64).collect() };
    let routes = ["overview", "trend"];
    // A second without an answer is a gap.
    let mut p50 = column(2.0);
    p50[40] = None;
    Report {
        latency: latency(3.0),
        routes: routes
            .map(|kind| (kind.to_owned(), PartReport { latency: latency(2.0), ..PartReport::default() }))
            .into(),
        series: Series {
            row_seconds: 1,
            requests: counts(500.0),
            failures: counts(2.0),
            in_flight: counts(20.0),
            p50_ms: p50,
            p99_ms: column(20.0),
            max_ms: column(200.0),
            // One came late.
            route_p99_ms: BTreeMap::from([
                ("overview".to_owned(), column(9.0)),
                ("trend".to_owned(), column(7.0)[..50].to_vec()),
            ]),
            outcomes: [("near".to_owned(), counts(400.0)), ("l3".to_owned(), counts(50.0))].into(),
        },
        servers: vec![ServerSeries {
            gateway: "http://127.0.0.1:8080".to_owned(),
            seconds: (0..seconds).map(f64::from).collect(),
            cpu_percent: column(40.0),
            memory: counts(1e8).into_iter().map(Some).collect(),
            ..ServerSeries::default()
        }],
        ..Report::default()
    }
}

#[tokio::test]
async fn all_plots_are_drawn_without_errors_and_without_a_network() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("report.html");
    std::fs::write(&file, html::page(&report()).unwrap()).unwrap();
    let browser = Browser::start().await;
    let page = browser.page(&Visitor::default()).await;
    page.goto(&format!("file://{}", file.display())).await;
    page.wait_for("the plots are drawn", "document.documentElement.dataset.plots === '6'").await;
    let drawn: usize = page.evaluate("document.querySelectorAll('.plot canvas').length").await;
    assert_eq!(drawn, 6);
    assert!(page.console_errors().is_empty(), "{:?}", page.console_errors());
    assert!(page.foreign_requests("file://").is_empty(), "{:?}", page.foreign_requests("file://"));

    // A run in which nothing was answered is a page, too.
    std::fs::write(&file, html::page(&Report::default()).unwrap()).unwrap();
    page.goto(&format!("file://{}", file.display())).await;
    page.wait_for("there is nothing to draw", "document.documentElement.dataset.plots === '0'").await;
    assert!(page.text("#latency").await.contains("nothing to draw"));
    assert!(page.console_errors().is_empty(), "{:?}", page.console_errors());
}
