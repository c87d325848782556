//! What the triggers note, statement by statement.

use super::*;
use shared::model::Column;

#[tokio::test]
async fn every_kind_of_statement_notes_exactly_its_store_days() {
    let (source, client) = watched().await;
    let changes = [
        (insert("orders", &["a 2026-03-01", "a 2026-03-01", "c 2026-03-05"]), &["a 2026-03-01", "c 2026-03-05"][..]),
        // Late, into another partition, and into the default one.
        (insert("orders", &["a 2026-02-03", "a 2031-01-01"]), &["a 2026-02-03", "a 2031-01-01"]),
        ("UPDATE orders SET paid_price = 2 WHERE store_id = 'b' AND ordered_at >= '2026-03-01'".into(), &["b 2026-03-01"]),
        ("UPDATE orders SET store_id = 'd' WHERE store_id = 'c'".into(), &["c 2026-03-05", "d 2026-03-05"]),
        // To another day, of another partition.
        (
            "UPDATE orders SET ordered_at = '2026-02-07' WHERE store_id = 'd'".into(),
            &["d 2026-03-05", "d 2026-02-07"],
        ),
        ("DELETE FROM orders WHERE ordered_at < '2026-02-20'".into(), &["a 2026-02-03", "d 2026-02-07"]),
        ("DELETE FROM orders WHERE store_id = 'nobody'".into(), &[]),
        ("COPY orders (order_id, store_id, ordered_at) FROM PROGRAM 'printf \"1\\te\\t2026-03-09\\n\"'".into(), &["e 2026-03-09"]),
        (
            "MERGE INTO orders USING (VALUES ('e', '2026-03-09'::timestamp), ('f', '2026-03-10')) AS v (s, t) \
             ON store_id = s AND ordered_at = t WHEN MATCHED THEN DELETE \
             WHEN NOT MATCHED THEN INSERT (order_id, store_id, ordered_at) VALUES ('1', s, t)"
                .into(),
            &["e 2026-03-09", "f 2026-03-10"],
        ),
        (
            "WITH gone AS (DELETE FROM orders WHERE store_id = 'f' RETURNING *) \
             INSERT INTO orders SELECT * FROM gone UNION ALL SELECT * FROM gone"
                .into(),
            &["f 2026-03-10"],
        ),
        // A load that turns other triggers off.
        (format!("SET session_replication_role = replica; {}RESET session_replication_role", insert("orders", &["a 2026-03-02"])), &["a 2026-03-02"]),
    ];
    for (statements, expected) in &changes {
        notes(&source, &client, statements, expected).await;
    }
}

#[tokio::test]
async fn an_upsert_notes_what_it_wrote() {
    let (source, client) = source_after(
        "CREATE TABLE sales (order_id int PRIMARY KEY, store_id text, ordered_at timestamp); \
         INSERT INTO sales VALUES (1, 'a', '2026-03-01')",
        |settings| {
            settings.table = "sales".to_owned();
            settings.columns = [(Column::OrderId, vec!["order_id".to_owned()])].into();
        },
    )
    .await;
    source.watch_changes().await.unwrap();
    assert_eq!(noted(&source).await, (StoreDays::new(), true), "what changed before, nobody knows");
    let upsert = "INSERT INTO sales VALUES (1, 'b', '2026-03-02'), (2, 'c', '2026-03-03') \
                  ON CONFLICT (order_id) DO UPDATE SET store_id = excluded.store_id, ordered_at = excluded.ordered_at";
    notes(&source, &client, upsert, &["a 2026-03-01", "b 2026-03-02", "c 2026-03-03"]).await;
    let nothing = "INSERT INTO sales VALUES (1, 'z', '2026-03-09') ON CONFLICT DO NOTHING";
    notes(&source, &client, nothing, &[]).await;
}

#[tokio::test]
async fn truncate_notes_what_was_there() {
    let (source, client) = watched().await;
    notes(&source, &client, "TRUNCATE orders_2026_02", &["b 2026-02-28"]).await;
    client.batch_execute("TRUNCATE orders").await.unwrap();
    // Once for each, though parent and partitions are truncated.
    assert_eq!(rows(&client).await, 3);
    assert_eq!(noted(&source).await, (store_days(&["a 2026-03-01", "a 2026-03-02", "b 2026-03-01"]), false));

    // A snapshot that is older than lines which TRUNCATE removes.
    let other = another(&client).await;
    other.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM orders LIMIT 1").await.unwrap();
    notes(&source, &client, &insert("orders_default", &["z 2031-01-01"]), &["z 2031-01-01"]).await;
    other.batch_execute("TRUNCATE orders_default; COMMIT").await.unwrap();
    assert_eq!(noted(&source).await, (StoreDays::new(), true));
}

#[tokio::test]
async fn a_rollback_leaves_nothing() {
    let (source, client) = watched().await;
    let statements = format!("BEGIN; {}TRUNCATE orders; ROLLBACK", insert("orders", &["a 2026-03-09"]));
    notes(&source, &client, &statements, &[]).await;
    let half = format!(
        "BEGIN; {}SAVEPOINT s; {}ROLLBACK TO s; COMMIT",
        insert("orders", &["a 2026-03-09"]),
        insert("orders", &["b 2026-03-09"])
    );
    notes(&source, &client, &half, &["a 2026-03-09"]).await;
}

#[tokio::test]
async fn writers_do_not_wait_and_a_late_commit_is_not_lost() {
    let (source, client) = watched().await;
    // Whoever waits fails.
    client.batch_execute("SET lock_timeout = '2s'").await.unwrap();
    let early = another(&client).await;
    early.batch_execute(&format!("BEGIN; {}", insert("orders", &["a 2026-03-01"]))).await.unwrap();
    let late = another(&client).await;
    late.batch_execute(&format!("BEGIN; {}", insert("orders", &["a 2026-03-01", "late 2026-03-01"])))
        .await
        .unwrap();
    // The same store-day from a third one, which commits first; it has the largest number.
    client.batch_execute(&insert("orders", &["a 2026-03-01"])).await.unwrap();
    let first = source.dirty(100, &[]).await.unwrap();
    assert_eq!(first.store_days, store_days(&["a 2026-03-01"]));
    early.batch_execute("COMMIT").await.unwrap();
    // Read before the commit, cleared after it: the newer note of the same store-day stays.
    assert_eq!(source.clear(&first.ids).await.unwrap(), 1);
    let second = source.dirty(100, &[]).await.unwrap();
    assert_eq!(second.store_days, store_days(&["a 2026-03-01"]));
    assert!(second.ids.iter().max() < first.ids.iter().min(), "older numbers: {second:?}, {first:?}");
    assert_eq!(source.clear(&second.ids).await.unwrap(), 1);
    late.batch_execute("COMMIT").await.unwrap();
    assert_eq!(taken(&source).await, store_days(&["a 2026-03-01", "late 2026-03-01"]));
    assert_eq!(source.clear(&first.ids).await.unwrap(), 0, "again changes nothing");
}

#[tokio::test]
async fn batches_are_bounded_and_keep_the_oldest() {
    let (source, client) = watched().await;
    let now = "SELECT (extract(epoch from clock_timestamp()) * 1000)::int8";
    let before: i64 = client.query_one(now, &[]).await.unwrap().get(0);
    for of in ["a 2026-03-03", "a 2026-03-04", "a 2026-03-05"] {
        client.batch_execute(&insert("orders", &[of])).await.unwrap();
    }
    let after: i64 = client.query_one(now, &[]).await.unwrap().get(0);
    let first = source.dirty(2, &[]).await.unwrap();
    assert!(first.is_full && (before..=after).contains(&first.oldest_ms.unwrap()), "{first:?}");
    assert_eq!(first.store_days, store_days(&["a 2026-03-03", "a 2026-03-04"]));
    assert_eq!(source.dirty(2, &[]).await.unwrap(), first, "until they are cleared");
    let newer = source.dirty(2, &first.ids).await.unwrap();
    assert_eq!(
        newer.store_days,
        store_days(&["a 2026-03-05"]),
        "what waits keeps nothing newer from being read"
    );
    assert_eq!(newer.of.into_values().collect::<StoreDays>(), newer.store_days);
    source.clear(&first.ids).await.unwrap();
    let rest = source.dirty(2, &[]).await.unwrap();
    assert!(!rest.is_full && rest.store_days == store_days(&["a 2026-03-05"]));
    source.clear(&rest.ids).await.unwrap();
    assert_eq!(source.dirty(2, &[]).await.unwrap(), shared::source::postgres::DirtyBatch::default());
}

#[tokio::test]
async fn a_mapped_table_is_noted_as_its_reader_spells_it() {
    let table = r#"CREATE TABLE "订单 明细" ("单" int, "店" numeric, "店名" text, "时" timestamptz, old text, "new" text)"#;
    let (source, client) = source_after(table, |settings| {
        settings.table = "订单 明细".to_owned();
        settings.columns = [
            (Column::OrderId, vec!["单".to_owned()]),
            (Column::StoreId, vec!["店".to_owned(), "店名".to_owned()]),
            (Column::OrderedAt, vec!["时".to_owned()]),
            (Column::City, vec!["new".to_owned()]),
        ]
        .into();
        settings.timezone = Some("Asia/Shanghai".to_owned());
    })
    .await;
    source.directory().await.unwrap();
    source.watch_changes().await.unwrap();
    source.watch_changes().await.unwrap();
    assert_eq!(noted(&source).await, (StoreDays::new(), true));
    let statement = r#"INSERT INTO "订单 明细" VALUES (1, 7.50, NULL, '2026-02-28 16:30+00'),
        (2, NULL, E' 老街\u3000', '2026-02-28 15:30+00'), (3, NULL, NULL, '2026-02-28'), (4, 9, NULL, NULL), (5, 9, NULL, 'infinity')"#;
    notes(&source, &client, statement, &["7.5 2026-03-01", "老街 2026-02-28"]).await;
    // Spellings that the directory has not seen are found by reads from now on.
    assert_eq!(all(&source, &["7.5"]).await.len(), 1);
    assert_eq!(all(&source, &["老街"]).await.len(), 1);

    // Under other settings, the notes would be of other store-days.
    let elsewhere = PostgresSource::new(&PostgresSettings {
        url: url_as(&client, "postgres").await,
        table: "订单 明细".to_owned(),
        columns: [
            (Column::OrderId, vec!["单".to_owned()]),
            (Column::StoreId, vec!["店名".to_owned()]),
            (Column::OrderedAt, vec!["时".to_owned()]),
        ]
        .into(),
        timezone: Some("Europe/Berlin".to_owned()),
        ..PostgresSettings::default()
    })
    .unwrap();
    let error = elsewhere.dirty(10, &[]).await.unwrap_err();
    assert!(
        error.kind() == SourceErrorKind::Settings && error.to_string().contains("watched anew"),
        "{error}"
    );
    elsewhere.watch_changes().await.unwrap();
    assert_eq!(noted(&elsewhere).await, (StoreDays::new(), true));
    notes(&elsewhere, &client, r#"UPDATE "订单 明细" SET "单" = 8 WHERE "单" = 2"#, &["老街 2026-02-28"])
        .await;
}

#[tokio::test]
async fn watching_again_changes_nothing_and_it_can_be_undone() {
    let (source, client) = watched().await;
    let triggers = "SELECT string_agg(tgrelid::regclass || ' ' || tgname, ',' ORDER BY 1) FROM pg_trigger WHERE tgname LIKE 'hotshelf%'";
    let before: String = client.query_one(triggers, &[]).await.unwrap().get(0);
    assert_eq!(before.matches(',').count() + 1, 3 + 3 * 4);
    client.batch_execute(&insert("orders", &["a 2026-03-09"])).await.unwrap();
    // By the script and its defaults, too.
    client.batch_execute(&source.watch_sql().await.unwrap()).await.unwrap();
    client.batch_execute("SELECT hotshelf_watch('orders')").await.unwrap();
    assert_eq!(client.query_one(triggers, &[]).await.unwrap().get::<_, String>(0), before);
    assert_eq!(noted(&source).await, (store_days(&["a 2026-03-09"]), false));
    client
        .batch_execute("SELECT hotshelf_unwatch('orders'); SELECT hotshelf_unwatch('orders')")
        .await
        .unwrap();
    assert!(client.query_one(triggers, &[]).await.unwrap().get::<_, Option<String>>(0).is_none());
    client.batch_execute(&insert("orders", &["a 2026-03-09"])).await.unwrap();
    let error = source.dirty(1, &[]).await.unwrap_err();
    assert!(error.to_string().contains("are not noted"), "{error}");
}

#[tokio::test]
async fn a_table_of_another_schema_whose_name_leaves_no_room() {
    // 60 of 63 bytes.
    let name = "订单明细".repeat(5);
    let table = format!(
        "CREATE SCHEMA \"销售\"; CREATE TABLE \"销售\".\"{name}\" (order_id int, store_id text, ordered_at timestamp)"
    );
    let (source, client) = source_after(&table, |settings| {
        settings.table = format!("销售.{name}");
        settings.columns = [(Column::OrderId, vec!["order_id".to_owned()])].into();
    })
    .await;
    source.watch_changes().await.unwrap();
    taken(&source).await;
    let mut listener = source.listen(std::time::Duration::from_secs(600)).await.unwrap();
    let insert = format!("INSERT INTO \"销售\".\"{name}\" VALUES (1, 'a', '2026-03-01')");
    notes(&source, &client, &insert, &["a 2026-03-01"]).await;
    tokio::time::timeout(std::time::Duration::from_secs(20), listener.changed()).await.unwrap().unwrap();
    notes(&source, &client, &format!("TRUNCATE \"销售\".\"{name}\""), &["a 2026-03-01"]).await;
    assert_eq!(source.watch_partitions().await.unwrap(), 0);
}
