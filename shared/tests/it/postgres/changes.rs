//! Which store-days changed, by triggers and by fingerprints.

mod fingerprints;
mod listening;
mod partitions;
mod rights;
mod triggers;

use std::collections::BTreeSet;

use super::*;
use shared::source::SourceErrorKind;
use shared::source::postgres::SCHEMA;
use tokio_postgres::Client;

type StoreDays = BTreeSet<(String, Day)>;

/// `["a 2026-03-01"]`
fn store_days(all: &[&str]) -> StoreDays {
    let pair = |text: &&str| {
        let (store, of) = text.split_once(' ').unwrap();
        (store.to_owned(), day(of))
    };
    all.iter().map(pair).collect()
}

/// Our own table, with partitions of two months, watched; and what was noted on the way, dealt with.
async fn watched() -> (PostgresSource, Client) {
    let (source, client) = source_after(SCHEMA, |_| {}).await;
    client.batch_execute("SELECT hotshelf_make_partitions('2026-02-01', '2026-03-31')").await.unwrap();
    client
        .batch_execute(&insert("orders", &["a 2026-03-01", "a 2026-03-02", "b 2026-03-01", "b 2026-02-28"]))
        .await
        .unwrap();
    source.watch_changes().await.unwrap();
    taken(&source).await;
    (source, client)
}

/// One line per store-day.
fn insert(table: &str, lines: &[&str]) -> String {
    let values: Vec<String> = lines
        .iter()
        .map(|line| {
            let (store, of) = line.split_once(' ').unwrap();
            format!("('1', '{store}', '{of} 12:00', 'p')")
        })
        .collect();
    format!(
        "INSERT INTO {table} (order_id, store_id, ordered_at, product_name) VALUES {}; ",
        values.join(", ")
    )
}

/// Reads and clears all that was noted; the store-days, and whether everything may have changed.
async fn noted(source: &PostgresSource) -> (StoreDays, bool) {
    let batch = source.dirty(100_000, &[]).await.unwrap();
    assert!(!batch.is_full);
    assert_eq!(source.clear(&batch.ids).await.unwrap(), batch.ids.len() as u64);
    (batch.store_days, batch.everything)
}

/// As [`noted`], when everything is not among it.
async fn taken(source: &PostgresSource) -> StoreDays {
    noted(source).await.0
}

/// Runs statements; exactly these store-days were noted by them.
async fn notes(source: &PostgresSource, client: &Client, statements: &str, expected: &[&str]) {
    client.batch_execute(statements).await.unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    assert_eq!(noted(source).await, (store_days(expected), false), "{statements}");
}

/// Number of rows that wait to be read.
async fn rows(client: &Client) -> i64 {
    client.query_one("SELECT count(*) FROM orders_dirty", &[]).await.unwrap().get(0)
}

/// Another client of the same database.
async fn another(client: &Client) -> Client {
    connect_as(client, "postgres").await
}

async fn connect_as(client: &Client, user: &str) -> Client {
    testkit::postgres_client(&url_as(client, user).await).await
}

async fn url_as(client: &Client, user: &str) -> String {
    let database: String = client.query_one("SELECT current_database()", &[]).await.unwrap().get(0);
    PostgresServer::shared().await.url(&database).replace("postgres@", &format!("{user}@"))
}
