//! Changes that are found with SELECT alone, and the directory's entries of single stores.

use super::*;
use shared::model::{Column, Directory};
use shared::source::postgres::Fingerprints;
use shared::source::postgres::changes::changed;

fn march() -> DayRange {
    DayRange::new(day("2026-03-01"), day("2026-03-31")).unwrap()
}

async fn prints(source: &PostgresSource) -> Fingerprints {
    source.fingerprints(march(), None).await.unwrap()
}

/// Our table with some lines, not watched.
async fn polled() -> (PostgresSource, Client) {
    let (source, client) = source_after(SCHEMA, |_| {}).await;
    client.batch_execute("SELECT hotshelf_make_partitions('2026-02-01', '2026-03-31')").await.unwrap();
    let lines =
        ["a 2026-03-01", "a 2026-03-01", "a 2026-03-02", "b 2026-03-01", "b 2026-02-28", "c 2026-04-01"];
    client.batch_execute(&insert("orders", &lines)).await.unwrap();
    (source, client)
}

#[tokio::test]
async fn every_kind_of_change_is_found_and_nothing_else() {
    let (source, client) = polled().await;
    let mut before = prints(&source).await;
    let counts: Vec<_> =
        before.iter().map(|((store, day), print)| (format!("{store} {day}"), print.lines)).collect();
    assert_eq!(
        counts,
        [("a 2026-03-01", 2), ("a 2026-03-02", 1), ("b 2026-03-01", 1)].map(|(of, n)| (of.to_owned(), n))
    );
    for (statements, expected) in [
        ("SELECT 1", &[][..]),
        (&*insert("orders", &["c 2026-03-09"]), &["c 2026-03-09"]),
        // Outside of the range.
        (&*insert("orders", &["c 2026-02-09", "c 2031-01-01"]), &[]),
        ("UPDATE orders SET stock = 3 WHERE store_id = 'b'", &["b 2026-03-01"]),
        // Nothing, empty and zero are not the same.
        ("UPDATE orders SET city = '' WHERE store_id = 'b'", &["b 2026-03-01"]),
        ("UPDATE orders SET distance_m = 0 WHERE store_id = 'b'", &["b 2026-03-01"]),
        // What is not read does not count, and equal numbers are equal.
        ("UPDATE orders SET updated_at = 'epoch', paid_price = 0.000", &[]),
        ("UPDATE orders SET store_id = 'd' WHERE store_id = 'c'", &["c 2026-03-09", "d 2026-03-09"]),
        (
            "UPDATE orders SET ordered_at = ordered_at + interval '1 day' WHERE store_id = 'd'",
            &["d 2026-03-09", "d 2026-03-10"],
        ),
        // The count stays.
        (
            "BEGIN; DELETE FROM orders WHERE store_id = 'd'; INSERT INTO orders (order_id, store_id, ordered_at) \
             VALUES ('2', 'd', '2026-03-10 13:00'); COMMIT",
            &["d 2026-03-10"],
        ),
        ("DELETE FROM orders WHERE store_id = 'd'", &["d 2026-03-10"]),
        ("TRUNCATE orders_2026_03", &["a 2026-03-01", "a 2026-03-02", "b 2026-03-01"]),
    ] {
        client.batch_execute(statements).await.unwrap();
        let now = prints(&source).await;
        assert_eq!(changed(&before, &now), store_days(expected), "{statements}");
        before = now;
    }
}

/// Each column holds what it held, and each sum of a column is what it was.
#[tokio::test]
async fn lines_that_swap_a_value_are_found() {
    let (source, client) = source_after(SCHEMA, |_| {}).await;
    client
        .batch_execute(
            "INSERT INTO orders (order_id, store_id, ordered_at) VALUES ('1', 'a', '2026-03-01'), ('2', 'a', '2026-03-01')",
        )
        .await
        .unwrap();
    for n in 1..20 {
        let set = format!("UPDATE orders SET cost = CASE order_id WHEN '1' THEN {n} ELSE 0 END");
        client.batch_execute(&set).await.unwrap();
        let before = prints(&source).await;
        client.batch_execute(&format!("UPDATE orders SET cost = {n} - cost")).await.unwrap();
        assert_eq!(changed(&before, &prints(&source).await), store_days(&["a 2026-03-01"]), "{n}");
    }
}

#[tokio::test]
async fn an_update_of_a_long_transaction_is_found() {
    let (source, client) = polled().await;
    let long = another(&client).await;
    // It stamps its rows with its beginning.
    long.batch_execute("BEGIN; UPDATE orders SET cost = 5, updated_at = now() WHERE store_id = 'b'")
        .await
        .unwrap();
    client.batch_execute(&insert("orders", &["a 2026-03-02"])).await.unwrap();
    let before = prints(&source).await;
    long.batch_execute("COMMIT").await.unwrap();
    let newest = "SELECT store_id FROM orders ORDER BY updated_at DESC LIMIT 1";
    assert_eq!(
        client.query_one(newest, &[]).await.unwrap().get::<_, String>(0),
        "a",
        "the newest time is older than the commit"
    );
    assert_eq!(changed(&before, &prints(&source).await), store_days(&["b 2026-03-01"]));
}

#[tokio::test]
async fn ranges_and_stores_add_up_to_the_whole() {
    let (source, client) = polled().await;
    let whole = prints(&source).await;
    let mut parts = Fingerprints::new();
    for range in [("2026-03-01", "2026-03-01"), ("2026-03-02", "2026-03-31")] {
        let range = DayRange::new(day(range.0), day(range.1)).unwrap();
        for stores in [vec!["a".to_owned()], vec!["b".to_owned(), "nobody".to_owned()], vec![]] {
            parts.extend(source.fingerprints(range, Some(&stores)).await.unwrap());
        }
    }
    assert_eq!(parts, whole);
    // With the right to select only.
    client
        .batch_execute("CREATE ROLE changes_poller LOGIN; GRANT SELECT ON orders TO changes_poller")
        .await
        .unwrap();
    let url = url_as(&client, "changes_poller").await;
    let poller = PostgresSource::new(&PostgresSettings { url, ..PostgresSettings::default() }).unwrap();
    assert_eq!(prints(&poller).await, whole);
}

fn mapped(settings: &mut PostgresSettings) {
    settings.table = "lines".to_owned();
    settings.columns = [
        (Column::OrderId, vec!["no".to_owned()]),
        (Column::StoreId, vec!["shop".to_owned(), "name".to_owned()]),
        (Column::StoreName, vec!["name".to_owned()]),
        (Column::OrderedAt, vec!["at".to_owned()]),
        (Column::Cost, vec!["cost".to_owned()]),
    ]
    .into();
    settings.timezone = Some("Asia/Shanghai".to_owned());
}

/// Views with times that the database can compare, and with texts that it cannot.
#[tokio::test]
async fn views_of_any_types() {
    for (of_time, as_time) in [
        ("timestamptz", "at"),
        ("timestamptz", "to_char(at AT TIME ZONE 'Asia/Shanghai', 'YYYY/MM/DD HH24:MI') AS at"),
    ] {
        let view = format!(
            "CREATE TABLE raw (no int, shop numeric, name text, at {of_time}, cost float8); \
             CREATE VIEW lines AS SELECT no, shop, name, {as_time}, cost FROM raw; \
             INSERT INTO raw VALUES (1, 7.50, 'n', '2026-02-28 16:30+00', 1), (2, 7.5, 'n', '2026-03-01 15:30+00', 2), \
             (3, NULL, ' m', '2026-03-01 16:30+00', 3), (4, NULL, 'm', '2026-03-31 15:59+00', 4), (5, NULL, 'm', '2026-03-31 16:00+00', 5), \
             (NULL, 7.5, 'n', '2026-03-01', 6), (6, NULL, ' ', '2026-03-01', 7), (7, 1, 'n', NULL, 8)"
        );
        let (source, client) = source_after(&view, mapped).await;
        let before = prints(&source).await;
        let shown: Vec<_> =
            before.iter().map(|((store, day), print)| (format!("{store} {day}"), print.lines)).collect();
        let expected = [("7.5 2026-03-01", 2), ("m 2026-03-02", 1), ("m 2026-03-31", 1)];
        assert_eq!(shown, expected.map(|(of, lines)| (of.to_owned(), lines)), "{as_time}");
        let of_m = source.fingerprints(march(), Some(&["m".to_owned()])).await.unwrap();
        assert_eq!(
            of_m,
            before.clone().into_iter().filter(|((store, _), _)| store == "m").collect(),
            "{as_time}"
        );
        client
            .batch_execute("UPDATE raw SET cost = 9 WHERE no = 3; UPDATE raw SET shop = 8 WHERE no = 2")
            .await
            .unwrap();
        let now = prints(&source).await;
        let expected = ["7.5 2026-03-01", "8 2026-03-01", "m 2026-03-02"];
        assert_eq!(changed(&before, &now), store_days(&expected), "{as_time}");
        // A spelling that was not there when the directory was read.
        client.batch_execute("INSERT INTO raw VALUES (9, NULL, '  m  ', '2026-03-05', 1)").await.unwrap();
        if as_time == "at" {
            prints(&source).await;
            assert_eq!(all(&source, &["m"]).await.len(), 4);
        }
    }
}

/// The whole directory's entries of these stores.
async fn entries(source: &PostgresSource, stores: &[String]) -> Directory {
    let all = source.directory().await.unwrap();
    Directory::new(all.stores().iter().filter(|info| stores.contains(&info.store_id)).cloned().collect())
}

#[tokio::test]
async fn entries_of_single_stores_are_those_of_the_directory() {
    let own = polled().await;
    own.1
        .batch_execute(
            "UPDATE orders SET store_name = 'N' || ordered_at::date, city = 'C' WHERE store_id = 'a'",
        )
        .await
        .unwrap();
    let lines = "CREATE TABLE lines (no int, shop numeric, name text, at timestamptz, cost float8); \
                 INSERT INTO lines VALUES (1, 7.50, 'n', '2026-02-28', 1), (2, 7.5, 'o', '2026-03-01', 2), (3, NULL, ' m', '2026-03-01', 3), \
                 (4, NULL, 'm', '2026-03-31', 4), (NULL, 7.5, 'n', '2026-03-01', 6), (6, 8, NULL, '2026-03-01', 7)";
    let as_text = lines.replace("timestamptz", "text");
    for ((source, _client), stores) in [
        (own, ["a", "b", "c"]),
        (source_after(lines, mapped).await, ["7.5", "m", "8"]),
        (source_after(&as_text, mapped).await, ["7.5", "m", "8"]),
    ] {
        // Before anyone read the directory, too.
        for stores in [&stores[..1], &stores[1..], &[], &["nobody"], &stores[..]] {
            let stores: Vec<String> = stores.iter().map(ToString::to_string).collect();
            let found = source.store_info(&stores).await.unwrap();
            assert_eq!(found, entries(&source, &stores).await);
            assert_eq!(
                found.stores().len(),
                stores.iter().filter(|store| *store != "nobody").count(),
                "{stores:?}"
            );
        }
    }
}
