//! Whatever changes in the table, what is kept ready becomes what a fresh run makes, and only the store-days that changed
//! are read.

use std::path::Path;
use std::time::Duration;

use shared::cache::Read;
use shared::config::ChangeMode;
use testkit::wait_until;

use crate::place::{DAYS, PATIENCE, Place, Running, STORES};

/// What happens, and how many store-days that changes.
const CHANGES: [(&str, &str, u64); 9] = [
    (
        "an update",
        "UPDATE orders SET paid_price = 7 WHERE store_id = 's2' AND ordered_at::date = '2026-03-15'",
        1,
    ),
    (
        "a late line, 20 days back",
        "INSERT INTO orders (order_id, store_id, store_name, ordered_at, product_name, paid_price) \
         VALUES ('late', 's3', 'Store 3', '2026-03-10 23:59:59.999999', 'p1', 3)",
        1,
    ),
    (
        "a late line on a day without lines",
        "INSERT INTO orders (order_id, store_id, store_name, ordered_at, product_name, paid_price) \
         VALUES ('later', 's3', 'Store 3', '2026-03-05 08:00', 'p1', 3)",
        1,
    ),
    (
        "a deletion",
        "DELETE FROM orders WHERE store_id = 's1' AND ordered_at::date = '2026-03-17' AND order_id = 'o1'",
        1,
    ),
    ("a day's deletion", "DELETE FROM orders WHERE store_id = 's2' AND ordered_at::date = '2026-03-02'", 1),
    (
        "a move to another store",
        "UPDATE orders SET store_id = 's4', store_name = 'Store 4' WHERE store_id = 's2' AND ordered_at::date = '2026-03-19'",
        2,
    ),
    (
        "a move to another day",
        "UPDATE orders SET ordered_at = ordered_at + interval '2 days' WHERE store_id = 's3' \
         AND ordered_at::date = '2026-03-21' AND order_id = 'o2'",
        2,
    ),
    (
        "a statement on a partition",
        "UPDATE orders_default SET quantity = 9 WHERE store_id = 's4' AND ordered_at::date = '2026-03-23'",
        1,
    ),
    (
        "a new store and a new last day",
        "INSERT INTO orders (order_id, store_id, store_name, ordered_at, product_name, paid_price) \
         VALUES ('first', 's5', 'Store 5', '2026-03-31 08:00', 'p1', 3)",
        1,
    ),
];

async fn follows(mode: ChangeMode) {
    let mut place = Place::new(mode).await;
    // Fewer than some statements note.
    place.settings.changes.batch_rows = 5;
    let running = place.start_warm().await;
    place.becomes_fresh("the first warm-up").await;
    let mut expected = running.counts().store_days_read;
    assert_eq!(expected, STORES * DAYS - 1);
    for (what, statement, store_days) in CHANGES {
        place.execute(statement).await;
        place.becomes_fresh(what).await;
        expected += store_days;
        running.settled(what, |_| true).await;
        assert_eq!(running.counts().store_days_read, expected, "{what}");
    }
    if mode == ChangeMode::Trigger {
        wait_until("no note to be left", PATIENCE, async || place.notes().await == 0).await;
    }
    several_writers(&place).await;
    emptied_and_filled_again(&place).await;
    running.stop().await;
}

/// Four at once, each over all stores, one of them with transactions that are rolled back.
async fn several_writers(place: &Place) {
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(place.another_client().await);
    }
    let write = async |writer: usize, client: tokio_postgres::Client| {
        let end = if writer == 3 { "ROLLBACK" } else { "COMMIT" };
        for round in 0..6 {
            let day = 10 + round;
            // All in the same order of stores, or they would lock each other out.
            let statement = format!(
                "BEGIN; INSERT INTO orders (order_id, store_id, store_name, ordered_at, product_name, paid_price) \
                 VALUES ('w{writer}-{round}', 's{}', 'Store', '2026-03-{day} 09:00', 'p{writer}', {round}); \
                 UPDATE orders SET paid_price = paid_price + 1 \
                 WHERE store_id = 's{}' AND order_id = 'o{}' AND ordered_at::date = '2026-03-{day}'; {end}",
                1 + round % 4,
                1 + (round + writer) % 4,
                1 + writer
            );
            client.batch_execute(&statement).await.unwrap();
        }
    };
    let mut all = clients.into_iter().enumerate().map(|(writer, client)| write(writer, client));
    let [a, b, c, d] = std::array::from_fn(|_| all.next().unwrap());
    tokio::join!(a, b, c, d);
    place.becomes_fresh("several writers").await;
}

async fn emptied_and_filled_again(place: &Place) {
    place
        .execute(
            "CREATE TABLE copy AS SELECT * FROM orders; BEGIN; TRUNCATE orders; \
             INSERT INTO orders SELECT * FROM copy WHERE store_id <> 's2'; COMMIT",
        )
        .await;
    place.becomes_fresh("a table that was filled again, without a store").await;
    place.execute("TRUNCATE orders").await;
    wait_until("an empty directory", PATIENCE, async || {
        matches!(place.live().read_directory().await, Read::Hit(directory) if directory.stores().is_empty())
    })
    .await;
    place.execute("INSERT INTO orders SELECT * FROM copy").await;
    place.becomes_fresh("a table that was empty").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_noted_by_triggers_touch_exactly_their_store_days() {
    follows(ChangeMode::Trigger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_found_by_polling_touch_exactly_their_store_days() {
    follows(ChangeMode::Poll).await;
}

/// Everything of the list happens while no warmer runs: the next one reads only what that was. Then it stops or is killed,
/// and nothing happens: the next one reads nothing.
async fn follows_over_restarts(mode: ChangeMode) {
    let mut place = Place::new(mode).await;
    let (_folder, file) = place.with_state();
    let running = place.start_warm().await;
    running.stop().await;
    assert!(mode == ChangeMode::Trigger || all_stored(&place, &file).await);
    for (_, statement, _) in CHANGES {
        place.execute(statement).await;
    }
    let running = place.start_warm().await;
    place.becomes_fresh("what changed meanwhile").await;
    let store_days: u64 = CHANGES.iter().map(|(.., store_days)| store_days).sum();
    assert_eq!(running.counts().store_days_read, store_days);
    running.stop().await;
    let running = place.start_warm().await;
    assert_eq!(running.counts().store_days_read, 0);
    running.stop().await;
    place.becomes_fresh("a restart without changes").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_noted_while_no_warmer_runs_are_all_that_is_read() {
    follows_over_restarts(ChangeMode::Trigger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_between_two_polls_over_a_restart_is_all_that_is_read() {
    follows_over_restarts(ChangeMode::Poll).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polling_finds_what_a_long_transaction_commits_late() {
    let place = Place::new(ChangeMode::Poll).await;
    let running = place.start_warm().await;
    let long = place.another_client().await;
    long.batch_execute(
        "BEGIN; UPDATE orders SET paid_price = 5, updated_at = now() WHERE store_id = 's2' AND ordered_at::date = '2026-03-15'",
    )
    .await
    .unwrap();
    // Others are found meanwhile, so polls have passed over it; their stamp is younger than its.
    place.execute("UPDATE orders SET paid_price = 5, updated_at = now() WHERE store_id = 's3' AND ordered_at::date = '2026-03-15'").await;
    place.becomes_fresh("a change beside a long transaction").await;
    let before = running.counts().store_days_read;
    long.batch_execute("COMMIT").await.unwrap();
    place.becomes_fresh("the end of a long transaction").await;
    assert_eq!(running.counts().store_days_read, before + 1);
    running.stop().await;
}

/// Statements of which no trigger tells.
fn silently(statements: &str) -> String {
    let all = |what: &str| {
        format!(
            "DO $$ DECLARE t record; BEGIN FOR t IN SELECT tgname FROM pg_trigger WHERE NOT tgisinternal \
             AND tgrelid = 'orders_default'::regclass LOOP \
             EXECUTE format('ALTER TABLE orders_default {what} TRIGGER %I', t.tgname); END LOOP; END $$;"
        )
    };
    format!("BEGIN; {} {statements}; {} COMMIT", all("DISABLE"), all("ENABLE ALWAYS"))
}

/// Whether the fingerprints of all store-days are stored, for what is in Redis now.
async fn all_stored(place: &Place, file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let stored: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let mut store_days = 0;
    for (store, of) in stored["stores"].as_object().into_iter().flatten() {
        let prints = of["prints"].as_array().unwrap();
        store_days += prints.iter().filter(|print| print[1] != 0).count();
        if place.version(store).await != of["version"].as_u64() {
            return false;
        }
    }
    store_days as u64 == STORES * DAYS - 1
}

/// Without its triggers, or on days that are not polled: the sweep finds each change, once.
async fn sweeps(mode: ChangeMode) {
    let mut place = Place::new(mode).await;
    place.settings.changes.poll_days = 3;
    place.settings.changes.sweep_days = 4;
    place.settings.changes.sweep_interval = Duration::from_millis(100);
    let (_folder, file) = place.with_state();
    let running = place.start_warm().await;
    wait_until("all days to be learned", PATIENCE, async || all_stored(&place, &file).await).await;
    let mut expected = running.counts().store_days_read;
    for (what, statement, store_days) in [
        (
            "an update",
            "UPDATE orders_default SET paid_price = 7 WHERE store_id = 's2' AND ordered_at::date = '2026-03-02'",
            1,
        ),
        (
            "a deletion",
            "DELETE FROM orders_default WHERE store_id = 's3' AND ordered_at::date = '2026-03-07'",
            1,
        ),
        (
            "a move",
            "UPDATE orders_default SET store_id = 's4', store_name = 'Store 4' WHERE store_id = 's2' AND ordered_at::date = '2026-03-09'",
            2,
        ),
        (
            "a new store, before all days",
            "INSERT INTO orders_default (order_id, store_id, store_name, ordered_at, product_name, paid_price) \
             VALUES ('old', 's6', 'Store 6', '2026-02-20 08:00', 'p1', 3)",
            1,
        ),
        ("a store's end", "DELETE FROM orders_default WHERE store_id = 's6'", 0),
    ] {
        place
            .execute(&if mode == ChangeMode::Trigger { silently(statement) } else { statement.to_owned() })
            .await;
        place.becomes_fresh(what).await;
        expected += store_days;
        running.settled(what, |_| true).await;
        assert_eq!(running.counts().store_days_read, expected, "{what}");
    }
    if mode == ChangeMode::Trigger {
        assert_eq!(place.notes().await, 0);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sweep_finds_what_no_trigger_told() {
    sweeps(ChangeMode::Trigger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sweep_finds_changes_on_days_that_are_not_polled() {
    sweeps(ChangeMode::Poll).await;
}

/// A daemon that saw a change and could not write it, as the network to Redis is cut.
async fn saw_and_did_not_write(place: &mut Place, file: &Path) -> Running {
    let proxy = testkit::ChaosProxy::start(format!("127.0.0.1:{}", place.redis.port())).await;
    place.settings.redis.url = format!("redis://{}", proxy.address());
    place.settings.redis.bulk_timeout = Duration::from_millis(500);
    let running = place.start_warm().await;
    let before = running.counts().changes;
    wait_until("fingerprints to be stored", PATIENCE, async || all_stored(place, file).await).await;
    proxy.silence();
    place.execute(CHANGES[0].1).await;
    wait_until("the change to be seen", PATIENCE, async || running.counts().changes > before).await;
    // One poll later, so that what was seen before would be stored.
    place.execute(CHANGES[1].1).await;
    wait_until("the next change to be seen", PATIENCE, async || running.counts().changes > before + 1).await;
    // What was on its way must not arrive later.
    drop(proxy);
    running
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_seen_and_not_written_is_found_after_a_kill() {
    let mut place = Place::new(ChangeMode::Poll).await;
    let (_folder, file) = place.with_state();
    let running = saw_and_did_not_write(&mut place, &file).await;
    running.kill().await;
    place.settings.redis.url = place.redis.url();
    let running = place.start_warm().await;
    place.becomes_fresh("a change that was seen before").await;
    assert_eq!(running.counts().store_days_read, 2);
    running.stop().await;
}
