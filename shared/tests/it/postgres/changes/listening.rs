//! Being told at once, and noticing that one is not told any more.

use std::time::Duration;

use super::*;
use testkit::ChaosProxy;

/// Longer than any test may take: whatever happens within it happens by itself.
const NEVER: Duration = Duration::from_secs(600);
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn many_changes_are_told_once() {
    let (source, client) = watched().await;
    let mut listener = source.listen(NEVER).await.unwrap();
    for _ in 0..3 {
        client.batch_execute(&insert("orders", &["a 2026-03-01"])).await.unwrap();
    }
    tokio::time::timeout(LIMIT, listener.changed()).await.unwrap().unwrap();
    assert_eq!(taken(&source).await, store_days(&["a 2026-03-01"]));
    // Nothing of before is told to a new one.
    drop(listener);
    let mut listener = source.listen(NEVER).await.unwrap();
    client.batch_execute("TRUNCATE orders_2026_02").await.unwrap();
    tokio::time::timeout(LIMIT, listener.changed()).await.unwrap().unwrap();
    assert_eq!(taken(&source).await, store_days(&["b 2026-02-28"]));
}

#[tokio::test]
async fn a_terminated_connection_is_reported() {
    let (source, client) = watched().await;
    let mut listener = source.listen(NEVER).await.unwrap();
    let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(client.query(terminate, &[]).await.unwrap().len(), 1);
    let error = tokio::time::timeout(LIMIT, listener.changed()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Unreachable, "{error}");
    assert!(listener.changed().await.is_err(), "and again, to whoever asks again");
    // What was noted meanwhile is there for the next one.
    client.batch_execute(&insert("orders", &["a 2026-03-01"])).await.unwrap();
    let mut anew = source.listen(NEVER).await.unwrap();
    assert_eq!(taken(&source).await, store_days(&["a 2026-03-01"]));
    client.batch_execute(&insert("orders", &["a 2026-03-02"])).await.unwrap();
    tokio::time::timeout(LIMIT, anew.changed()).await.unwrap().unwrap();
}

/// A source behind a proxy.
async fn behind(client: &Client) -> (PostgresSource, ChaosProxy) {
    let port = PostgresServer::shared().await.port().to_string();
    let proxy = ChaosProxy::start(format!("127.0.0.1:{port}")).await;
    let url = url_as(client, "postgres").await.replace(&port, &proxy.port().to_string());
    (PostgresSource::new(&PostgresSettings { url, ..PostgresSettings::default() }).unwrap(), proxy)
}

#[tokio::test]
async fn a_connection_that_was_cut_silently_is_found() {
    let (_, client) = watched().await;
    let (source, proxy) = behind(&client).await;
    let mut listener = source.listen(Duration::from_millis(300)).await.unwrap();
    client.batch_execute(&insert("orders", &["a 2026-03-01"])).await.unwrap();
    tokio::time::timeout(LIMIT, listener.changed()).await.unwrap().unwrap();
    proxy.silence();
    let error = tokio::time::timeout(LIMIT, listener.changed()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Timeout, "{error}");
    assert!(error.is_retryable() && error.to_string().contains("silent for 300ms"), "{error}");
    proxy.restore();
    let mut anew = source.listen(NEVER).await.unwrap();
    client.batch_execute(&insert("orders", &["a 2026-03-01"])).await.unwrap();
    tokio::time::timeout(LIMIT, anew.changed()).await.unwrap().unwrap();
    // Cut loudly, it is known without waiting.
    proxy.break_off();
    assert!(tokio::time::timeout(LIMIT, anew.changed()).await.unwrap().is_err());
}

#[tokio::test]
async fn a_listener_that_is_dropped_leaves_no_connection() {
    let (source, client) = watched().await;
    let listener = source.listen(NEVER).await.unwrap();
    let listening =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(client.query_one(listening, &[]).await.unwrap().get::<_, i64>(0), 1);
    drop(listener);
    testkit::wait_until("the connection is closed", LIMIT, async || {
        client.query_one(listening, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
}
