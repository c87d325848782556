//! Pages of raw order lines.

use std::time::Duration;

use gateway::AccessLog;
use serde_json::Value;
use shared::model::{Column, Day, Line, Lines, LocalTime};
use testkit::{PostgresServer, RedisServer, wait_until};

use crate::client::encoded;
use crate::fixture::{self, FIRST_DAY, Gateway, LAST_DAY, STORES};

/// The lines of a store in their stated order.
fn of_store(store: &str) -> Lines {
    let sorted = fixture::lines().sorted();
    let rows = (0u32..).take(sorted.len()).filter(|row| sorted.text(Column::StoreId, *row as usize) == store);
    sorted.take(&rows.collect::<Vec<_>>())
}

/// All pages of a question: the lines, the bodies and what `X-Cache` said.
async fn pages(gateway: &Gateway, url: &str) -> (Vec<Value>, Vec<String>, Vec<String>) {
    pages_behind(gateway, url, String::new()).await
}

/// As [`pages`], from the one with this parameter on.
async fn pages_behind(
    gateway: &Gateway,
    url: &str,
    mut cursor: String,
) -> (Vec<Value>, Vec<String>, Vec<String>) {
    let (mut lines, mut bodies, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let answer = gateway.ok(&format!("{url}{cursor}")).await;
        outcomes.push(answer.header("x-cache").to_owned());
        bodies.push(answer.text().to_owned());
        let body = answer.json();
        let page = body["data"]["lines"].as_array().unwrap();
        lines.extend(page.iter().cloned());
        match body["data"]["next"].as_str() {
            Some(next) => {
                assert!(!page.is_empty());
                cursor = format!("&cursor={}", encoded(next));
            }
            None => return (lines, bodies, outcomes),
        }
    }
}

fn shown(lines: &Lines, row: usize) -> (String, String, String) {
    let text = |column| lines.text(column, row).to_owned();
    let time = shared::model::LocalTime(lines.ordered_at[row]).to_string();
    (time, text(Column::OrderId), text(Column::ProductName))
}

#[track_caller]
fn check(lines: &[Value], expected: &Lines) {
    assert_eq!(lines.len(), expected.len());
    for (row, line) in lines.iter().enumerate() {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        assert_eq!((text("ordered_at"), text("order_id"), text("product_name")), shown(expected, row));
        assert_eq!(line["quantity"].as_i64(), Some(i64::from(expected.quantity[row])));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_give_every_line_once() {
    let database = PostgresServer::shared().await.fresh_database().await;
    let redis = RedisServer::start().await;
    let source = fixture::postgres(&database).await;
    let levels = fixture::levels(fixture::redis(&redis.url()));
    fixture::warm(&source, &levels).await;
    let warm = Gateway::start(source.clone(), levels).await;
    let cold = Gateway::start(source, fixture::levels(fixture::memory())).await;
    let files = Gateway::start(fixture::files().await, fixture::levels(fixture::memory())).await;
    let mut largest = 0;
    for store in STORES {
        let expected = of_store(store);
        let path = format!("/v1/stores/{}/orders?from={FIRST_DAY}&to={LAST_DAY}", encoded(store));
        let (lines, bodies, outcomes) = pages(&warm, &format!("{path}&limit=17")).await;
        check(&lines, &expected);
        assert_eq!(bodies.len(), expected.len().div_ceil(17));
        largest += usize::from(outcomes.iter().all(|outcome| outcome == "l1"));
        for other in [&cold, &files] {
            let (_, same, outcomes) = pages(other, &format!("{path}&limit=17")).await;
            assert_eq!(same, bodies);
            assert!(outcomes.iter().all(|outcome| outcome == "source"), "{outcomes:?}");
        }
        for limit in [1000, 1] {
            // One line a page is slow: of the smallest store only.
            if limit > 1 || store == "all" {
                check(&pages(&files, &format!("{path}&limit={limit}")).await.0, &expected);
            }
        }
    }
    // A fifth of six stores, rounded up.
    assert_eq!(largest, 2);
}

#[tokio::test]
async fn a_page_is_of_the_last_day_by_default() {
    let gateway = Gateway::without_servers().await;
    for store in STORES {
        let path = format!("/v1/stores/{}/orders", encoded(store));
        let answer = gateway.ok(&path).await.json();
        let last = if store == "all" { "2026-03-09" } else { LAST_DAY };
        assert_eq!(
            (answer["meta"]["from"].as_str(), answer["meta"]["to"].as_str()),
            (Some(last), Some(last))
        );
        let lines = answer["data"]["lines"].as_array().unwrap();
        assert!(!lines.is_empty());
        assert!(lines.iter().all(|line| line["store_id"] == store));
        assert!(lines.iter().all(|line| line["ordered_at"].as_str().unwrap().starts_with(last)));

        // By channel: that of the order. Together they are all.
        let mut count = 0;
        for channel in ["美团闪购", "", "自营", "饿了么"] {
            let of_channel = gateway.ok(&format!("{path}?channel={}", encoded(channel))).await.json();
            let of_channel = of_channel["data"]["lines"].as_array().unwrap();
            assert!(of_channel.iter().all(|line| line["channel"] == channel));
            count += of_channel.len();
        }
        assert_eq!(count, lines.len());
    }
    let empty = gateway.ok("/v1/stores/all/orders?from=2020-01-01&to=2020-01-02").await.json();
    assert_eq!(empty["data"], serde_json::json!({ "lines": [], "next": null }));
}

/// The store whose lines change, by far the one with most.
const STORE: &str = "a/b";

fn sorted(lines: &[Line]) -> Lines {
    let mut all = Lines::default();
    lines.iter().for_each(|line| all.push(line));
    all.sorted()
}

/// What comes behind a line in the stated order, whether the line itself is there or not.
fn behind(lines: &[Line], last: Option<&Line>) -> Vec<Line> {
    let mut lines = lines.to_vec();
    lines.extend(last.filter(|last| !lines.contains(last)).cloned());
    let sorted = sorted(&lines);
    let first =
        last.map_or(0, |last| (0..sorted.len()).position(|row| sorted.line(row) == *last).unwrap() + 1);
    (first..sorted.len()).map(|row| sorted.line(row)).collect()
}

/// A line like another, but for its order or the name of its store, and with a quantity of its own.
fn like(line: &Line, column: Column, text: &str, quantity: i32) -> Line {
    let mut line = Line { quantity, ..line.clone() };
    text.clone_into(&mut line.texts[column.slot()]);
    line
}

/// Lines come and go around the one that a page ended with.
fn change(lines: &mut Vec<Line>, last: &Line, step: i32) {
    let rest = behind(lines, Some(last));
    let all = behind(lines, None);
    let at = all.len() - rest.len();
    let day = |line: &Line| line.ordered_at.day();
    let mut gone = vec![at - 3, at + 1, at + 9];
    if step % 2 == 0 {
        // The very line that the cursor names.
        gone.push(at - 1);
    } else {
        // Of the same order and product, just before it and just behind it.
        lines.push(like(last, Column::StoreName, "", 1000 * step));
        lines.push(like(last, Column::StoreName, "\u{10ffff}", 1000 * step + 1));
    }
    lines.push(like(&all[0], Column::OrderId, "late", 1000 * step + 2));
    lines.push(like(last, Column::OrderId, "a first order", 1000 * step + 3));
    lines.push(like(last, Column::OrderId, "the last order", 1000 * step + 4));
    if let Some(other_day) = rest.iter().find(|line| day(line) > day(last)) {
        lines.push(like(other_day, Column::OrderId, "to come", 1000 * step + 5));
    }
    let gone: Vec<&Line> = gone.into_iter().filter_map(|row| all.get(row)).collect();
    lines.retain(|line| !gone.contains(&line));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_neither_skip_nor_repeat_while_lines_come_and_go() {
    for is_warm in [false, true] {
        let database = PostgresServer::shared().await.fresh_database().await;
        let (source, levels) = (fixture::postgres(&database).await, fixture::levels(fixture::memory()));
        if is_warm {
            fixture::warm(&source, &levels).await;
        }
        let gateway = Gateway::start(source.clone(), levels.clone()).await;
        let path = format!("/v1/stores/{}/orders?from={FIRST_DAY}&to={LAST_DAY}&limit=50", encoded(STORE));
        let all = of_store(STORE);
        let mut lines: Vec<Line> = (0..all.len()).map(|row| all.line(row)).collect();
        let (mut cursor, mut last) = (String::new(), None);
        for step in 1.. {
            let answer = gateway.ok(&format!("{path}{cursor}")).await;
            assert_eq!(answer.header("x-cache"), if is_warm { "l1" } else { "source" });
            let body = answer.json();
            let mut expected = behind(&lines, last.as_ref());
            expected.truncate(50);
            check(body["data"]["lines"].as_array().unwrap(), &sorted(&expected));
            let Some(next) = body["data"]["next"].as_str() else { break };
            cursor = format!("&cursor={}", encoded(next));
            last = expected.pop();
            change(&mut lines, last.as_ref().unwrap(), step);
            fixture::import(&source, &sorted(&lines)).await;
            if is_warm {
                fixture::warm(&source, &levels).await;
            }
        }
        assert!(behind(&lines, last.as_ref()).len() <= 50 && lines.iter().any(|line| line.quantity > 4000));
    }
}

/// Without a range, the pages behind the first are of its day, also if the next day has begun meanwhile.
#[tokio::test]
async fn a_day_that_begins_does_not_end_the_pages_of_the_one_before() {
    let database = PostgresServer::shared().await.fresh_database().await;
    let source = fixture::postgres(&database).await;
    let mut settings = fixture::settings();
    settings.gateway.directory_ttl = Duration::from_millis(50);
    let levels = fixture::levels(fixture::memory());
    let gateway = Gateway::start_as(source.clone(), levels, AccessLog::off(), settings).await;
    let path = format!("/v1/stores/{}/orders?limit=5", encoded(STORE));
    let expected = pages(&gateway, &path).await.0;
    assert!(expected.len() > 10);
    let first = gateway.ok(&path).await.json();

    let mut line = of_store(STORE).line(0);
    line.ordered_at = LocalTime::midnight(LAST_DAY.parse::<Day>().unwrap().plus(1));
    fixture::import(&source, &sorted(&[line])).await;
    let day = async || gateway.ok(&path).await.json()["meta"]["to"].as_str().unwrap().to_owned();
    wait_until("the next day to be seen", Duration::from_secs(60), async || *day().await > *LAST_DAY).await;
    let next = format!("&cursor={}", encoded(first["data"]["next"].as_str().unwrap()));
    let rest = pages_behind(&gateway, &path, next).await.0;
    assert_eq!(rest, expected[5..]);
}
