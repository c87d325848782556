//! Pages of raw order lines.

use serde_json::Value;
use shared::model::{Column, Lines};
use testkit::{PostgresServer, RedisServer};

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
    let (mut lines, mut bodies, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    let mut cursor = String::new();
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
