//! Servers, networks and rows that fail while the daemon runs: nothing is shown as fresher than it is, everything else goes
//! on, and afterwards all is as a fresh run makes it.

use std::collections::BTreeSet;
use std::time::Duration;

use shared::cache::Write;
use shared::config::ChangeMode;
use shared::runtime::now_ms;
use testkit::{ChaosProxy, PostgresServer, RedisServer, wait_until};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use warmer::daemon::Request;

use crate::place::{PATIENCE, Place};

const UPDATE: &str = "UPDATE orders SET paid_price = 6 WHERE ordered_at::date = '2026-03-15'";

fn stores() -> Vec<String> {
    ["s1", "s2", "s3", "s4"].map(str::to_owned).to_vec()
}

/// When the data of any store, or of all together, were confirmed last.
async fn latest_fresh(place: &Place) -> i64 {
    let live = place.live();
    let all = live.read_fresh(&stores()).await.into_iter().chain([live.read_fleet_fresh().await]);
    all.flatten().max().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_dies_while_it_is_read_is_waited_for() {
    let mut server = PostgresServer::start().await;
    let mut place = Place::on(&server, ChangeMode::Trigger).await;
    place.settings.warm.interval = Duration::from_millis(200);
    place.settings.changes.keepalive = Duration::from_millis(200);
    let running = place.start_warm().await;
    place.becomes_fresh("the first warm-up").await;
    // Reads wait for this lock, and are under way when the server dies.
    let locker = place.another_client().await;
    locker.batch_execute("BEGIN; LOCK orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    running.requests.send(Request::Refresh { stores: Some(stores()), from: None, to: None }).await.unwrap();
    let reads = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'COPY%'";
    wait_until("a read", PATIENCE, async || {
        place.client.query_one(reads, &[]).await.unwrap().get::<_, i64>(0) > 0
    })
    .await;
    server.stop();
    let died = now_ms();
    let before = running.counts();
    wait_until("the reads to fail, and cycles without a database", PATIENCE, async || {
        let counts = running.counts();
        counts.failures > before.failures + 4 && counts.cycles > before.cycles + 2
    })
    .await;
    assert!(latest_fresh(&place).await <= died);
    assert!(running.counts().last_cycle.is_some_and(|cycle| !cycle.confirmed));
    server.start_again().await;
    place.client = place.another_client().await;
    place.execute(UPDATE).await;
    place.becomes_fresh("the database's return").await;
    wait_until("everything to be confirmed", PATIENCE, async || latest_fresh(&place).await > died).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_while_it_is_written_is_filled_again() {
    for mode in [ChangeMode::Trigger, ChangeMode::Poll] {
        let mut place = Place::new(mode).await;
        let proxy = ChaosProxy::start(format!("127.0.0.1:{}", place.redis.port())).await;
        place.settings.redis.url = format!("redis://{}", proxy.address());
        place.settings.redis.bulk_timeout = Duration::from_millis(500);
        place.settings.warm.interval = Duration::from_millis(500);
        let running = place.start_warm().await;
        let before = running.counts();
        proxy.silence();
        place.execute(UPDATE).await;
        wait_until("a write that does not get through", PATIENCE, async || {
            let counts = running.counts();
            counts.changes > before.changes && counts.failures > before.failures
        })
        .await;
        place.redis.stop();
        proxy.restore();
        place.redis.start_again().await;
        place.becomes_fresh("the return of Redis, empty").await;
        running.stop().await;
    }
}

/// A write that is refused has the daemon drop all its work. The cells that are there look whole, so nothing but the change
/// itself, found once more, leads to the new data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_work_was_dropped_is_found_again() {
    for mode in [ChangeMode::Trigger, ChangeMode::Poll] {
        let mut place = Place::new(mode).await;
        // The fence is put up again only every 20 s, or after a refusal.
        place.settings.warm.lease = Duration::from_secs(60);
        let running = place.start_warm().await;
        let before = running.counts();
        let live = place.live();
        let (_, fence) = live.keys().lease();
        live.cache().transact(vec![Write::Delete { key: fence }]).await.unwrap();
        place.execute(UPDATE).await;
        place.becomes_fresh("work that was dropped").await;
        let after = running.counts();
        assert!(after.failures > before.failures);
        // Read at most twice, and nothing else.
        assert!(after.store_days_read - before.store_days_read <= 8);
        running.stop().await;
    }
}

/// The keys of versions, in the order in which they are written, until that of the fleet.
async fn versions_written(redis: &RedisServer, emptied: &tokio::sync::Notify) -> Vec<String> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", redis.port())).await.unwrap());
    stream.get_mut().write_all(b"MONITOR\r\n").await.unwrap();
    let mut versions: Vec<String> = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        if line == "+OK\r\n" {
            emptied.notify_one();
        }
        let key = line.split('"').find(|word| word.starts_with("live:version:"));
        if let Some(key) = key.filter(|_| line.to_ascii_uppercase().contains("\"INCR")) {
            versions.push(key.trim_start_matches("live:version:").to_owned());
            if key.ends_with("fleet") {
                return versions;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_redis_is_filled_within_one_cycle_the_hot_stores_first() {
    let mut place = Place::new(ChangeMode::Trigger).await;
    place
        .execute(
            "INSERT INTO orders (order_id, store_id, store_name, ordered_at, product_name, paid_price) \
             SELECT 'more' || n, 's4', 'Store 4', '2026-03-08 12:00', 'p1', 3 FROM generate_series(1, 200) n",
        )
        .await;
    place.settings.warm.hot_share = 0.5;
    place.settings.warm.parallel_stores = 1;
    place.settings.warm.interval = Duration::from_secs(2);
    let running = place.start_warm().await;
    place.becomes_fresh("the first warm-up").await;
    let listening = tokio::sync::Notify::new();
    let (written, cycles) = tokio::join!(versions_written(&place.redis, &listening), async {
        listening.notified().await;
        let cycles = running.counts().cycles;
        place.redis.flush_all().await;
        cycles
    });
    let set = |stores: &[String]| stores.iter().cloned().collect::<BTreeSet<String>>();
    let of = |stores: [&str; 2]| BTreeSet::from(stores.map(str::to_owned));
    assert_eq!(written.len(), 5, "{written:?}");
    assert_eq!(set(&written[..2]), of(["{s1}", "{s4}"]), "{written:?}");
    assert_eq!(set(&written[2..4]), of(["{s2}", "{s3}"]), "{written:?}");
    // The one that was under way, and the one that found it empty.
    let took = running.counts().cycles - cycles;
    assert!(took <= 1, "{took} cycles ended before everything was written");
    place.becomes_fresh("the emptied cache to be full").await;
    running.stop().await;
}

/// A view of which the rows of one store cannot be computed while a switch is thrown.
const VIEW: &str = "CREATE TABLE switch (divisor int); INSERT INTO switch VALUES (1); \
     ALTER TABLE orders RENAME TO lines; \
     DO $$ DECLARE list text; BEGIN \
     SELECT string_agg(CASE attname WHEN 'cost' THEN '(cost / CASE store_id WHEN ''s3'' THEN (SELECT divisor FROM switch) \
     ELSE 1 END)::numeric(19,6) AS cost' ELSE quote_ident(attname) END, ', ' ORDER BY attnum) INTO list \
     FROM pg_attribute WHERE attrelid = 'lines'::regclass AND attnum > 0 AND NOT attisdropped; \
     EXECUTE 'CREATE VIEW orders AS SELECT ' || list || ' FROM lines'; END $$";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_read_stops_no_other() {
    let place = Place::new(ChangeMode::Poll).await;
    place.execute(VIEW).await;
    let running = place.start_warm().await;
    place.becomes_fresh("the first warm-up").await;
    let fresh = place.fresh().await;
    place.execute("UPDATE switch SET divisor = 0").await;
    // Also a change of its own, which cannot be seen to.
    place.execute(&UPDATE.replace("orders", "lines")).await;
    wait_until("it to be told of", PATIENCE, async || {
        let counts = running.counts();
        counts.failures > 1
            && counts.last_failure.is_some_and(|what| what.starts_with("s3: ") && what.contains("zero"))
    })
    .await;
    // The others are followed, and what was there of this one is served still.
    place
        .execute("UPDATE lines SET paid_price = 4 WHERE store_id = 's2' AND ordered_at::date = '2026-03-16'")
        .await;
    let version = place.version("s2").await;
    wait_until("another store's change", PATIENCE, async || place.version("s2").await > version).await;
    let now = place.kept().await;
    assert_eq!(now.len(), fresh.len());
    assert!(now.iter().all(|entry| !entry.ends_with("none") && !entry.ends_with("None")));
    let of = |all: &[String], store: &str| {
        all.iter().filter(|entry| entry.starts_with(&format!("{store} "))).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of(&now, "s3"), of(&fresh, "s3"));
    assert_ne!(of(&now, "s1"), of(&fresh, "s1"));
    // It is tried again later and later: between two further failures, more than a second passes.
    let failures = running.counts().failures;
    assert!(failures < 20, "{failures} failures");
    place.execute("UPDATE switch SET divisor = 1").await;
    place.becomes_fresh("a store that can be read again").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_values_of_the_table_stop_nothing() {
    let place = Place::new(ChangeMode::Trigger).await;
    let running = place.start_warm().await;
    // Beyond what a line may have (left out), at its limit, and so many that sums pass 64 bits.
    for (quantity, price) in [
        ("2147483647", "9999999999999.999999"),
        ("1", "9223372036854.775807"),
        ("2147483647", "4294.967296"),
        ("-2147483648", "4294.967295"),
    ] {
        place
            .execute(&format!(
                "INSERT INTO orders (order_id, store_id, store_name, ordered_at, product_name, quantity, list_price, \
                 paid_price, cost, gross_profit, delivery_cost, platform_fee, distance_m, stock) \
                 SELECT n, 's1', 'Store 1', timestamp '2026-03-20 10:00' + n % 3 * interval '1 day', 'p' || n % 2, \
                 {quantity}, {price}, {price}, 9223372036854.775807, -9223372036854.775807, 9223372036854.775807, \
                 -9223372036854.775807, 9223372036854.775807, 2147483647 FROM generate_series(1, 50) n"
            ))
            .await;
    }
    place.becomes_fresh("the largest values").await;
    assert_eq!(running.counts().last_failure, None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_that_nobody_told_of_is_found() {
    let mut place = Place::new(ChangeMode::Trigger).await;
    place.settings.changes.keepalive = Duration::from_millis(300);
    let running = place.start_warm().await;
    place
        .execute(
            "BEGIN; ALTER TABLE orders DISABLE TRIGGER USER; \
             UPDATE orders SET paid_price = 6 WHERE store_id = 's2' AND ordered_at::date = '2026-03-15'; \
             INSERT INTO orders_dirty (store, day) VALUES (ARRAY['s2'], '2026-03-15'); \
             DO $$ DECLARE t record; BEGIN FOR t IN SELECT tgname FROM pg_trigger WHERE NOT tgisinternal \
             AND tgrelid = 'orders'::regclass LOOP \
             EXECUTE format('ALTER TABLE orders ENABLE ALWAYS TRIGGER %I', t.tgname); END LOOP; END $$; COMMIT",
        )
        .await;
    place.becomes_fresh("a note without a word").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_during_a_silent_network_is_found_afterwards() {
    for mode in [ChangeMode::Trigger, ChangeMode::Poll] {
        let mut place = Place::new(mode).await;
        let port =
            place.settings.postgres.url.split(':').nth(2).unwrap().split('/').next().unwrap().to_owned();
        let proxy = ChaosProxy::start(format!("127.0.0.1:{port}")).await;
        place.settings.postgres.url = place.settings.postgres.url.replace(&port, &proxy.port().to_string());
        place.settings.postgres.connect_timeout = Duration::from_millis(300);
        place.settings.postgres.wait_timeout = Duration::from_millis(300);
        place.settings.postgres.statement_timeout = Duration::from_secs(2);
        place.settings.changes.keepalive = Duration::from_millis(200);
        let running = place.start_warm().await;
        let failures = running.counts().failures;
        proxy.silence();
        place.execute(UPDATE).await;
        wait_until("the silence to be noticed", PATIENCE, async || running.counts().failures > failures)
            .await;
        // Not what was kept back, but new connections.
        proxy.break_off();
        wait_until("the cut", PATIENCE, async || proxy.connections() == 0).await;
        proxy.restore();
        place.becomes_fresh("a change in the silence").await;
        running.stop().await;
    }
}
