//! The daemon on real servers: whatever changes in the table, what is kept ready becomes what a fresh run makes, and
//! only the store-days that changed are read.

use std::sync::Arc;
use std::time::Duration;

use shared::cache::{Cache, Levels, Read, RedisCache};
use shared::config::{ChangeMode, Settings};
use shared::keys::Keys;
use shared::model::Directory;
use shared::runtime::ComputePool;
use shared::source::Source;
use shared::source::postgres::{PostgresSource, SCHEMA};
use testkit::{PostgresServer, RedisServer, wait_until};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use warmer::daemon::{self, Progress};
use warmer::learned::Learned;
use warmer::once::once;
use warmer::scope::{Extent, Scope};
use warmer::warming::Warming;

const PATIENCE: Duration = Duration::from_secs(60);

/// 4 stores, 12 days, 6 orders a day.
const ROWS: &str = "INSERT INTO orders (order_id, store_id, store_name, ordered_at, channel, product_name, quantity, \
     list_price, paid_price, cost, gross_profit, stock) \
     SELECT 'o' || n, 's' || s, 'Store ' || s, timestamp '2026-03-01 10:00' + d * interval '1 day', \
     CASE n % 3 WHEN 0 THEN '自营' ELSE '' END, 'p' || n % 5, 1 + n % 3, 10, 8 + n % 2, 5, 3, n \
     FROM generate_series(1, 4) s, generate_series(0, 11) d, generate_series(1, 6) n";

struct Place {
    redis: RedisServer,
    client: tokio_postgres::Client,
    settings: Settings,
    source: PostgresSource,
}

struct Running {
    progress: Progress,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Place {
    async fn new(mode: ChangeMode) -> Self {
        let url = PostgresServer::shared().await.fresh_database().await;
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        #[allow(clippy::disallowed_methods, reason = "ends with the test")]
        tokio::spawn(connection);
        client.batch_execute(SCHEMA).await.unwrap();
        client.batch_execute(ROWS).await.unwrap();
        let redis = RedisServer::start().await;
        let mut settings = Settings::load(&[], &|_| None).unwrap();
        settings.redis.url = redis.url();
        settings.redis.connect_timeout = Duration::from_secs(10);
        settings.redis.bulk_timeout = Duration::from_secs(10);
        settings.postgres.url = url;
        settings.retention_days = 60;
        settings.changes.mode = mode;
        settings.changes.poll_days = 20;
        settings.changes.poll_interval = Duration::from_millis(200);
        settings.warm.interval = Duration::from_secs(3600);
        let source = PostgresSource::new(&settings.postgres).unwrap();
        if mode == ChangeMode::Trigger {
            source.watch_changes().await.unwrap();
        }
        Self { redis, client, settings, source }
    }

    fn levels(&self, prefix: &str) -> Levels {
        let cache = Cache::Redis(RedisCache::connect(&self.settings.redis).unwrap());
        let (rules, ttl) = (self.settings.rules.fingerprint(), self.settings.ttl);
        Levels::new(cache, Keys::new(prefix), rules, ttl, self.settings.max_inflated)
    }

    fn warming(&self, prefix: &str) -> Warming {
        let compute = ComputePool::new(2, 16).unwrap();
        Warming::new(&self.settings, Source::Postgres(self.source.clone()), self.levels(prefix), compute)
    }

    fn start(&self) -> Running {
        let progress = Progress::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let (settings, warming, shown) = (self.settings.clone(), self.warming("live:"), progress.clone());
        #[allow(clippy::disallowed_methods, reason = "the test waits for it")]
        let task = tokio::spawn(async move {
            let (_requests, requests) = mpsc::channel(1);
            let stopped = async { drop(stopped.await) };
            let learned = Arc::new(Learned::open(&settings));
            daemon::run(&settings, &warming, learned, shown, requests, stopped).await.unwrap();
        });
        Running { progress, stop, task }
    }

    async fn execute(&self, statement: &str) {
        self.client.batch_execute(statement).await.unwrap();
    }

    /// Waits until everything that is kept is what a fresh run makes.
    async fn becomes_fresh(&self, after: &str) {
        let fresh = self.levels("fresh:");
        once(&self.warming("fresh:"), |_, _| {}).await.unwrap();
        let live = self.levels("live:");
        let directory = self.source.directory().await.unwrap();
        wait_until(after, PATIENCE, async || kept(&live, &directory).await == kept(&fresh, &directory).await)
            .await;
    }
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// All that is kept of a directory: documents over all stores with their versions, and versions of all cells.
async fn kept(levels: &Levels, directory: &Directory) -> Vec<String> {
    let extent = Extent { retention_days: 60, hot_share: 0.2, order_days: 35 };
    let scope = Scope::new(std::sync::Arc::new(directory.clone()), &extent);
    let mut kept = vec![format!("{:?}", levels.read_directory().await)];
    for query in scope.queries.iter() {
        let answer = match levels.read_answer(query).await {
            Read::Hit((header, answer)) => format!("{} {}", header.data_version, answer.json),
            Read::Miss | Read::Unavailable => "none".to_owned(),
        };
        kept.push(format!("{} {answer}", query.canonical()));
    }
    for store in directory.stores() {
        let read =
            levels.read_store(&store.store_id, scope.retention, scope.retention, &Default::default()).await;
        let versions = read.hit().and_then(|stored| levels.decode_store(&stored)).map(|data| data.versions);
        kept.push(format!("{} {versions:?}", store.store_id));
    }
    kept
}

async fn follows(mode: ChangeMode) {
    let place = Place::new(mode).await;
    let running = place.start();
    place.becomes_fresh("the first warm-up").await;
    wait_until("the first cycle", PATIENCE, async || running.progress.counts().cycles > 0).await;
    let read = || running.progress.counts().store_days_read;
    let settled = async || {
        let before = read();
        wait_until("nothing to wait", PATIENCE, async || running.progress.counts().waiting == 0).await;
        before.max(read())
    };
    for (what, statement, store_days) in [
        (
            "an update",
            "UPDATE orders SET paid_price = 7 WHERE store_id = 's2' AND ordered_at::date = '2026-03-05'",
            1,
        ),
        (
            "a late line",
            "INSERT INTO orders SELECT * FROM orders WHERE store_id = 's3' AND ordered_at::date = '2026-03-02' LIMIT 1",
            1,
        ),
        ("a deletion", "DELETE FROM orders WHERE store_id = 's1' AND ordered_at::date = '2026-03-07'", 1),
        (
            "a move",
            "UPDATE orders SET store_id = 's4' WHERE store_id = 's2' AND ordered_at::date = '2026-03-09'",
            2,
        ),
    ] {
        let before = settled().await;
        place.execute(statement).await;
        place.becomes_fresh(what).await;
        let after = settled().await;
        assert!(after - before <= store_days, "{what}: {} store-days read", after - before);
    }
    place.execute("UPDATE orders SET ordered_at = ordered_at + interval '1 day' WHERE ordered_at::date = '2026-03-12'").await;
    place.becomes_fresh("a new last day").await;
    place.execute("TRUNCATE orders").await;
    wait_until("an empty directory", PATIENCE, async || {
        matches!(place.levels("live:").read_directory().await, Read::Hit(directory) if directory.stores().is_empty())
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_noted_by_triggers_are_followed() {
    follows(ChangeMode::Trigger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_found_by_polling_are_followed() {
    follows(ChangeMode::Poll).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_redis_is_filled_again_and_a_second_warmer_takes_over() {
    let place = Place::new(ChangeMode::Trigger).await;
    let first = place.start();
    place.becomes_fresh("the first warm-up").await;
    let second = place.start();
    place.redis.flush_all().await;
    place.becomes_fresh("the emptied cache to be full").await;
    first.stop().await;
    place.execute("UPDATE orders SET paid_price = 1 WHERE store_id = 's1'").await;
    place.becomes_fresh("the second warmer's work").await;
    second.stop().await;
}
