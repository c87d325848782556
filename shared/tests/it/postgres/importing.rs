//! Imports replace whole store-days or orders, all at once or not at all.

use super::*;

fn priced(store: &str, order: &str, at: &str, paid: i64) -> Line {
    let mut line = line(store, order, at, "p");
    line.decimals[Column::PaidPrice.slot()] = paid;
    line
}

fn two_days() -> Vec<Line> {
    vec![
        priced("a", "1", "2026-02-28 23:59:59", 1),
        priced("a", "1", "2026-03-01 00:00:00", 2),
        priced("a", "2", "2026-03-01 12:00:00", 3),
        priced("a", "2", "2026-03-01 12:00:00", 3),
        priced("b", "1", "2026-03-01 12:00:00", 4),
    ]
}

/// Store, day, lines before and after.
fn changes(plan: &ImportPlan) -> Vec<(&str, String, u64, u64)> {
    plan.changes.iter().map(|c| (c.store_id.as_str(), c.day.to_string(), c.before, c.after)).collect()
}

#[tokio::test]
async fn importing_twice_changes_nothing() {
    let (source, client) = source().await;
    let mut first = PostgresImport::begin(&source).await.unwrap();
    assert!(first.made_schema());
    first.write(&columns(&two_days()[..2])).await.unwrap();
    first.write(&Lines::default()).await.unwrap();
    first.write(&columns(&two_days()[2..])).await.unwrap();
    let plan = first.plan(ImportMode::StoreDays).await.unwrap();
    assert_eq!((plan.lines_added, plan.lines_removed), (5, 0));
    assert_eq!(
        changes(&plan),
        [
            ("a", "2026-02-28".to_owned(), 0, 1),
            ("a", "2026-03-01".to_owned(), 0, 3),
            ("b", "2026-03-01".to_owned(), 0, 1)
        ]
    );
    first.commit().await.unwrap();
    let once = all(&source, &["a", "b"]).await;
    assert_eq!(once, sorted(&two_days()));
    let directory = source.directory().await.unwrap();
    for mode in [ImportMode::StoreDays, ImportMode::Orders] {
        let plan = import(&source, &two_days(), mode).await;
        assert_eq!((plan.lines_added, plan.lines_removed), (5, 5));
        assert_eq!(plan.shrinking().count(), 0);
        assert_eq!(
            changes(&plan),
            [
                ("a", "2026-02-28".to_owned(), 1, 1),
                ("a", "2026-03-01".to_owned(), 3, 3),
                ("b", "2026-03-01".to_owned(), 1, 1)
            ]
        );
        assert_eq!(all(&source, &["a", "b"]).await, once);
        assert_eq!(source.directory().await.unwrap(), directory);
    }
    assert!(!PostgresImport::begin(&source).await.unwrap().made_schema());
    let partitions = "SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY inhrelid::regclass::text) \
                      FROM pg_inherits WHERE inhparent = 'orders'::regclass";
    let names: String = client.query_one(partitions, &[]).await.unwrap().get(0);
    assert_eq!(names, "orders_2026_02 orders_2026_03 orders_default");
    let left: i64 = client.query_one("SELECT count(*) FROM orders_default", &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_store_day_is_replaced_whole() {
    let (source, _client) = source().await;
    import(&source, &two_days(), ImportMode::StoreDays).await;
    let plan = import(&source, &[priced("a", "9", "2026-03-01 08:00:00", 7)], ImportMode::StoreDays).await;
    assert_eq!((plan.lines_added, plan.lines_removed), (1, 3));
    assert_eq!(changes(&plan), [("a", "2026-03-01".to_owned(), 3, 1)]);
    assert_eq!(plan.shrinking().count(), 1);
    let expected = [two_days()[0].clone(), priced("a", "9", "2026-03-01 08:00:00", 7), two_days()[4].clone()];
    assert_eq!(all(&source, &["a", "b"]).await, sorted(&expected));
}

#[tokio::test]
async fn merging_replaces_order_by_order() {
    let (source, _client) = source().await;
    import(&source, &two_days(), ImportMode::StoreDays).await;
    // Order 2 of the day gets one line instead of two, order 3 is new; order 1 of the other day and the other store stay.
    let merged = [priced("a", "2", "2026-03-01 12:00:00", 8), priced("a", "3", "2026-03-01 13:00:00", 9)];
    let plan = import(&source, &merged, ImportMode::Orders).await;
    assert_eq!((plan.lines_added, plan.lines_removed), (2, 2));
    let changes: Vec<_> = plan.changes.iter().map(|c| (c.before, c.after)).collect();
    assert_eq!(changes, [(3, 3)]);
    let mut expected = two_days();
    expected.drain(2..4);
    expected.extend(merged);
    assert_eq!(all(&source, &["a", "b"]).await, sorted(&expected));
}

#[tokio::test]
async fn an_import_that_ends_early_leaves_nothing() {
    let (source, client) = source().await;
    // Not even the table.
    let mut import_of_nothing = PostgresImport::begin(&source).await.unwrap();
    import_of_nothing.write(&columns(&two_days())).await.unwrap();
    import_of_nothing.abandon().await.unwrap();
    let made: bool = client.query_one("SELECT to_regclass('orders') IS NOT NULL", &[]).await.unwrap().get(0);
    assert!(!made);

    import(&source, &two_days(), ImportMode::StoreDays).await;
    let before = all(&source, &["a", "b"]).await;
    let changed = [priced("a", "9", "2026-03-01 08:00:00", 7), priced("c", "1", "2026-05-01 08:00:00", 7)];
    for planned in [false, true] {
        let mut dropped = PostgresImport::begin(&source).await.unwrap();
        dropped.write(&columns(&changed)).await.unwrap();
        if planned {
            dropped.plan(ImportMode::StoreDays).await.unwrap();
        }
        drop(dropped);
        // The next one waits for the lock, so it begins after the end of the dropped one.
        PostgresImport::begin(&source).await.unwrap().abandon().await.unwrap();
        assert_eq!(all(&source, &["a", "b", "c"]).await, before, "planned: {planned}");
    }

    // The database refuses the new lines after the old ones were deleted.
    client.batch_execute("ALTER TABLE orders ADD CHECK (store_id <> 'c')").await.unwrap();
    let mut refused = PostgresImport::begin(&source).await.unwrap();
    refused.write(&columns(&changed)).await.unwrap();
    let error = refused.commit().await.unwrap_err();
    assert!(error.to_string().contains("check constraint"), "{error}");
    assert_eq!(all(&source, &["a", "b", "c"]).await, before);
    client.batch_execute("ALTER TABLE orders DROP CONSTRAINT orders_store_id_check1").await.ok();
}

#[tokio::test]
async fn a_commit_without_a_plan_replaces_store_days() {
    let (source, _client) = source().await;
    import(&source, &two_days(), ImportMode::StoreDays).await;
    let mut unplanned = PostgresImport::begin(&source).await.unwrap();
    unplanned.write(&columns(&[priced("a", "9", "2026-03-01 08:00:00", 7)])).await.unwrap();
    unplanned.commit().await.unwrap();
    let expected = [two_days()[0].clone(), priced("a", "9", "2026-03-01 08:00:00", 7), two_days()[4].clone()];
    assert_eq!(all(&source, &["a", "b"]).await, sorted(&expected));
}

#[tokio::test]
async fn imports_follow_each_other() {
    let (source, _client) = source().await;
    let mut first = PostgresImport::begin(&source).await.unwrap();
    let second = tokio::spawn({
        let source = source.clone();
        async move { import(&source, &[priced("a", "9", "2026-03-01 08:00:00", 7)], ImportMode::StoreDays).await }
    });
    first.write(&columns(&two_days())).await.unwrap();
    first.commit().await.unwrap();
    // The second one saw what the first one left.
    assert_eq!(second.await.unwrap().lines_removed, 3);
    assert_eq!(all(&source, &["a"]).await.len(), 2);
}

#[tokio::test]
async fn a_day_far_away_makes_one_partition_only() {
    let (source, client) = source().await;
    let lines = [priced("a", "1", "1970-01-01", 1), priced("a", "1", "2199-12-31 23:59:59", 1)];
    import(&source, &lines, ImportMode::StoreDays).await;
    let query = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'orders'::regclass";
    let partitions: i64 = client.query_one(query, &[]).await.unwrap().get(0);
    assert_eq!(partitions, 3);
    assert_eq!(all(&source, &["a"]).await, sorted(&lines));
}

#[tokio::test]
async fn nothing_is_imported_into_a_table_of_ones_own() {
    let (source, _client) = source_after("CREATE TABLE sales (no text)", |settings| {
        settings.table = "sales".to_owned();
        settings.columns = [(Column::OrderId, vec!["no".to_owned()])].into();
    })
    .await;
    let error = PostgresImport::begin(&source).await.unwrap_err();
    assert!(error.to_string().contains("sales is a table of your own"), "{error}");
}
