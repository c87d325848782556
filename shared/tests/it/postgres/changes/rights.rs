//! Who may do what, and what is told when it cannot be done.

use super::*;
use shared::model::Column;

async fn as_user(client: &Client, user: &str) -> PostgresSource {
    PostgresSource::new(&PostgresSettings { url: url_as(client, user).await, ..PostgresSettings::default() })
        .unwrap()
}

#[tokio::test]
async fn each_role_can_do_its_part_and_no_more() {
    let (source, client) = watched().await;
    // Roles are shared by all databases of the server.
    client
        .batch_execute(
            "CREATE ROLE changes_warmer LOGIN IN ROLE hotshelf_warmer; CREATE ROLE changes_gateway LOGIN IN ROLE hotshelf_reader; \
             CREATE ROLE changes_writer LOGIN; GRANT INSERT ON orders, orders_2026_03 TO changes_writer",
        )
        .await
        .unwrap();
    let warmer = as_user(&client, "changes_warmer").await;
    let writer = connect_as(&client, "changes_writer").await;
    writer.batch_execute(&insert("orders", &["a 2026-03-07"])).await.unwrap();
    writer.batch_execute(&insert("orders_2026_03", &["b 2026-03-07"])).await.unwrap();
    assert!(writer.batch_execute("INSERT INTO orders_dirty DEFAULT VALUES").await.is_err());
    assert!(writer.batch_execute("SELECT hotshelf_mark_all('orders', 'orders_2026_03')").await.is_err());
    client.batch_execute("SELECT hotshelf_make_partitions('2026-04-01', '2026-04-01')").await.unwrap();

    let mut listener = warmer.listen(std::time::Duration::from_secs(30)).await.unwrap();
    assert_eq!(warmer.watch_partitions().await.unwrap(), 1);
    assert_eq!(noted(&warmer).await, (store_days(&["a 2026-03-07", "b 2026-03-07"]), false));
    writer.batch_execute(&insert("orders", &["a 2026-03-07"])).await.unwrap();
    listener.changed().await.unwrap();
    let of_march = DayRange::new(day("2026-03-01"), day("2026-03-31")).unwrap();
    assert_eq!(warmer.fingerprints(of_march, None).await.unwrap().len(), 5);
    let warmer = connect_as(&client, "changes_warmer").await;
    for forbidden in
        ["DELETE FROM orders", "UPDATE orders_dirty SET day = NULL", "DELETE FROM hotshelf_watches"]
    {
        assert!(warmer.batch_execute(forbidden).await.is_err(), "{forbidden}");
    }

    let gateway = as_user(&client, "changes_gateway").await;
    for error in [gateway.dirty(1, &[]).await.unwrap_err(), gateway.watch_changes().await.unwrap_err()] {
        assert_eq!(error.kind(), SourceErrorKind::Denied, "{error}");
        assert!(error.to_string().contains("hotshelf_warmer"), "{error}");
    }
    assert_eq!(taken(&source).await.len(), 1);
}

#[tokio::test]
async fn tables_that_cannot_be_watched() {
    let own: std::collections::BTreeMap<_, _> = [Column::OrderId, Column::StoreId, Column::OrderedAt]
        .map(|column| (column, vec![column.name().to_owned()]))
        .into();
    let columns = "order_id text, store_id text, ordered_at";
    for (statements, part) in [
        (format!("CREATE TABLE t ({columns} timestamp); CREATE VIEW orders AS SELECT * FROM t"), "is a view"),
        (
            format!(
                "CREATE TABLE t ({columns} timestamp) PARTITION BY LIST (store_id); CREATE TABLE orders PARTITION OF t DEFAULT"
            ),
            "is a part of t",
        ),
        (
            format!(
                "CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing; \
                 CREATE TABLE orders ({columns} timestamp) PARTITION BY LIST (store_id); \
                 CREATE FOREIGN TABLE far PARTITION OF orders DEFAULT SERVER elsewhere"
            ),
            "partition far of orders is a foreign table",
        ),
        (format!("CREATE TABLE orders ({columns} text)"), "times as text"),
    ] {
        let (source, client) = source_after(&statements, |settings| settings.columns = own.clone()).await;
        let error = source.watch_changes().await.unwrap_err();
        assert_eq!(error.kind(), SourceErrorKind::Settings, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.to_string().contains("mode = \"poll\""), "{error}");
        let left =
            "SELECT to_regclass('orders_dirty') IS NOT NULL OR to_regclass('hotshelf_watches') IS NOT NULL";
        assert!(
            !client.query_one(left, &[]).await.unwrap().get::<_, bool>(0),
            "{part}: nothing is left behind"
        );
    }
}

#[tokio::test]
async fn a_table_that_is_not_watched_or_busy() {
    let (source, client) = source_after(SCHEMA, |_| {}).await;
    for error in [source.dirty(1, &[]).await.unwrap_err(), source.watch_partitions().await.unwrap_err()] {
        assert_eq!(error.kind(), SourceErrorKind::Schema);
        assert!(error.to_string().contains("config/changes.sql"), "{error}");
    }
    // A table of that name which is not ours.
    client.batch_execute("CREATE TABLE orders_dirty (dishes text)").await.unwrap();
    let error = source.watch_changes().await.unwrap_err();
    assert!(error.to_string().contains("orders_dirty is there and is somebody else's; rename it"), "{error}");
    client.batch_execute("DROP TABLE orders_dirty").await.unwrap();
    // Writers are not made to queue behind the triggers for long.
    let writer = another(&client).await;
    writer.batch_execute(&format!("BEGIN; {}", insert("orders", &["a 2026-03-01"]))).await.unwrap();
    let error = source.watch_changes().await.unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Timeout, "{error}");
    assert!(error.is_retryable() && error.to_string().contains("quieter time"), "{error}");
    writer.batch_execute("COMMIT").await.unwrap();
    source.watch_changes().await.unwrap();
    assert_eq!(noted(&source).await, (StoreDays::new(), true));
}
