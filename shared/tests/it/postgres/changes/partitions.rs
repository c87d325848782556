//! Partitions: written directly, made, attached, detached and dropped.

use super::*;

#[tokio::test]
async fn what_is_written_to_a_partition_itself() {
    let (source, client) = watched().await;
    notes(&source, &client, &insert("orders_2026_03", &["a 2026-03-04"]), &["a 2026-03-04"]).await;
    notes(&source, &client, &insert("orders_default", &["a 2031-01-01"]), &["a 2031-01-01"]).await;
    let update = "UPDATE orders_2026_03 SET store_id = 'x' WHERE store_id = 'b'";
    notes(&source, &client, update, &["b 2026-03-01", "x 2026-03-01"]).await;
    notes(&source, &client, "DELETE FROM orders_2026_02", &["b 2026-02-28"]).await;
    // Through the parent, each is noted once.
    client.batch_execute("UPDATE orders SET paid_price = 1").await.unwrap();
    let expected = ["a 2026-03-01", "a 2026-03-02", "a 2026-03-04", "a 2031-01-01", "x 2026-03-01"];
    assert_eq!(rows(&client).await, 5);
    assert_eq!(noted(&source).await, (store_days(&expected), false));
}

#[tokio::test]
async fn a_partition_that_was_made_later() {
    let (source, client) = watched().await;
    client.batch_execute("SELECT hotshelf_make_partitions('2026-04-01', '2026-05-31')").await.unwrap();
    // Through the parent it is noted at once; directly, at the next look.
    notes(&source, &client, &insert("orders", &["a 2026-04-01"]), &["a 2026-04-01"]).await;
    notes(&source, &client, &insert("orders_2026_05", &["b 2026-05-01"]), &[]).await;
    assert_eq!(source.watch_partitions().await.unwrap(), 2);
    assert_eq!(noted(&source).await, (store_days(&["a 2026-04-01", "b 2026-05-01"]), false));
    assert_eq!(source.watch_partitions().await.unwrap(), 0);
    notes(&source, &client, "DELETE FROM orders_2026_05", &["b 2026-05-01"]).await;

    // While somebody writes to it, the triggers wait, and see what was written.
    let writer = another(&client).await;
    client.batch_execute("SELECT hotshelf_make_partitions('2026-06-01', '2026-06-30')").await.unwrap();
    writer.batch_execute(&format!("BEGIN; {}", insert("orders_2026_06", &["c 2026-06-01"]))).await.unwrap();
    let watching = tokio::spawn({
        let source = source.clone();
        async move { source.watch_partitions().await }
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    testkit::wait_until("the triggers wait", std::time::Duration::from_secs(4), async || {
        client.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 1
    })
    .await;
    writer.batch_execute("COMMIT").await.unwrap();
    assert_eq!(watching.await.unwrap().unwrap(), 1);
    assert_eq!(taken(&source).await, store_days(&["c 2026-06-01"]));
}

#[tokio::test]
async fn an_import_watches_the_partitions_that_it_makes() {
    let (source, client) = watched().await;
    import(
        &source,
        &[line("a", "1", "2026-07-01", "p"), line("b", "1", "2026-03-01", "q")],
        ImportMode::StoreDays,
    )
    .await;
    assert_eq!(noted(&source).await, (store_days(&["a 2026-07-01", "b 2026-03-01"]), false));
    assert_eq!(source.watch_partitions().await.unwrap(), 0);
    notes(&source, &client, "DELETE FROM orders_2026_07", &["a 2026-07-01"]).await;
}

#[tokio::test]
async fn partitions_that_are_attached_and_detached() {
    let (source, client) = watched().await;
    let attach = format!(
        "CREATE TABLE extra (LIKE orders INCLUDING ALL); {} \
         ALTER TABLE orders ATTACH PARTITION extra FOR VALUES FROM ('2027-01-01') TO ('2027-02-01')",
        insert("extra", &["a 2027-01-05", "b 2027-01-06"])
    );
    client.batch_execute(&attach).await.unwrap();
    assert_eq!(source.watch_partitions().await.unwrap(), 1);
    assert_eq!(noted(&source).await, (store_days(&["a 2027-01-05", "b 2027-01-06"]), false));
    client.batch_execute("ALTER TABLE orders DETACH PARTITION extra").await.unwrap();
    assert_eq!(source.watch_partitions().await.unwrap(), 1);
    assert_eq!(noted(&source).await, (store_days(&["a 2027-01-05", "b 2027-01-06"]), false));
    notes(&source, &client, "DELETE FROM extra", &[]).await;
    assert_eq!(source.watch_partitions().await.unwrap(), 0);

    // Nobody knows what lay in one that is gone, or what was written while its triggers were.
    client.batch_execute("DROP TABLE orders_2026_02").await.unwrap();
    assert_eq!(source.watch_partitions().await.unwrap(), 1);
    assert_eq!(noted(&source).await, (StoreDays::new(), true));
    client.batch_execute("DROP TRIGGER hotshelf_delete ON orders_2026_03").await.unwrap();
    assert_eq!(source.watch_partitions().await.unwrap(), 1);
    assert_eq!(noted(&source).await, (StoreDays::new(), true));
    notes(&source, &client, "DELETE FROM orders_2026_03 WHERE store_id = 'b'", &["b 2026-03-01"]).await;
}

#[tokio::test]
async fn partitions_of_partitions() {
    let table = "CREATE TABLE orders (order_id text, store_id text, ordered_at timestamp) PARTITION BY RANGE (ordered_at); \
         CREATE TABLE y2026 PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (store_id); \
         CREATE TABLE y2026_a PARTITION OF y2026 FOR VALUES IN ('a'); CREATE TABLE y2026_rest PARTITION OF y2026 DEFAULT; \
         CREATE TABLE rest PARTITION OF orders DEFAULT";
    let (source, client) = source_after(table, |settings| {
        settings.columns = [(shared::model::Column::OrderId, vec!["order_id".to_owned()])].into();
    })
    .await;
    source.watch_changes().await.unwrap();
    taken(&source).await;
    let insert = "INSERT INTO y2026 VALUES ('1', 'a', '2026-03-01'), ('2', 'b', '2026-03-02')";
    notes(&source, &client, insert, &["a 2026-03-01", "b 2026-03-02"]).await;
    let moved = "UPDATE y2026 SET store_id = 'c' WHERE store_id = 'a'";
    notes(&source, &client, moved, &["a 2026-03-01", "c 2026-03-01"]).await;
    notes(
        &source,
        &client,
        "UPDATE y2026_rest SET store_id = 'd' WHERE store_id = 'c'",
        &["c 2026-03-01", "d 2026-03-01"],
    )
    .await;
    client.batch_execute("TRUNCATE y2026").await.unwrap();
    assert_eq!(rows(&client).await, 2);
    assert_eq!(noted(&source).await, (store_days(&["b 2026-03-02", "d 2026-03-01"]), false));
}
