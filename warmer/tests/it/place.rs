//! A daemon on real servers, and the comparison of everything that it keeps with what a fresh run makes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use shared::cache::{Cache, Levels, Patience, Read, RedisCache, RedisSettings};
use shared::config::{ChangeMode, Settings};
use shared::keys::{Keys, Slot};
use shared::model::Directory;
use shared::published::Counts;
use shared::runtime::ComputePool;
use shared::source::Source;
use shared::source::postgres::{PostgresSettings, PostgresSource, SCHEMA};
use testkit::{PostgresServer, RedisServer, wait_until};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use warmer::daemon::{self, Progress, Request};
use warmer::learned::Learned;
use warmer::once::once;
use warmer::scope::{Extent, Scope};
use warmer::warming::Warming;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// For one call of Redis.
const ONE_CALL: Duration = Duration::from_secs(10);
/// Days from 2026-03-01 on.
pub(crate) const DAYS: u64 = 30;
pub(crate) const STORES: u64 = 4;

/// 4 stores, 30 days, 4 orders a day; the first store, which is the hot one, has 6. The third was closed on the fifth day.
const ROWS: &str = "INSERT INTO orders (order_id, store_id, store_name, ordered_at, channel, product_name, quantity, \
     list_price, paid_price, cost, gross_profit, stock) \
     SELECT 'o' || n, 's' || s, 'Store ' || s, timestamp '2026-03-01 10:00' + d * interval '1 day', \
     CASE n % 3 WHEN 0 THEN '自营' ELSE '' END, 'p' || n % 5, 1 + n % 3, 10, 8 + n % 2, 5, 3, n \
     FROM generate_series(1, 4) s, generate_series(0, 29) d, generate_series(1, 6) n \
     WHERE (s = 1 OR n < 5) AND (s, d) <> (3, 4)";

pub(crate) struct Place {
    pub(crate) redis: RedisServer,
    pub(crate) client: tokio_postgres::Client,
    /// Of the daemon; those of the fresh run are the same, but for the addresses.
    pub(crate) settings: Settings,
    postgres: String,
}

pub(crate) struct Running {
    pub(crate) progress: Progress,
    pub(crate) requests: mpsc::Sender<Request>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Place {
    pub(crate) async fn new(mode: ChangeMode) -> Self {
        Self::on(PostgresServer::shared().await, mode).await
    }

    pub(crate) async fn on(server: &PostgresServer, mode: ChangeMode) -> Self {
        let (postgres, client) = server.database_after(&[SCHEMA, ROWS]).await;
        let redis = RedisServer::start().await;
        let mut settings = Settings::load(&[], &|_| None).unwrap();
        settings.redis = patient(&redis);
        settings.postgres.url = postgres.clone();
        settings.retention_days = 60;
        settings.changes.mode = mode;
        settings.changes.poll_days = 40;
        settings.changes.poll_interval = Duration::from_millis(200);
        settings.warm.interval = Duration::from_secs(3600);
        settings.warm.lease = Duration::from_secs(2);
        if mode == ChangeMode::Trigger {
            PostgresSource::new(&settings.postgres).unwrap().watch_changes().await.unwrap();
        }
        Self { redis, client, settings, postgres }
    }

    /// A folder for what outlives the daemon.
    pub(crate) fn with_state(&mut self) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        self.settings.warm.state = Some(folder.path().to_owned());
        let file = folder.path().join("changes.json");
        (folder, file)
    }

    pub(crate) async fn another_client(&self) -> tokio_postgres::Client {
        testkit::postgres_client(&self.postgres).await
    }

    fn warming(&self, prefix: &str, settings: &Settings) -> Warming {
        let source = PostgresSource::new(&settings.postgres).unwrap();
        let levels = levels(prefix, settings);
        Warming::new(settings, Source::Postgres(source), levels, ComputePool::new(2, 16).unwrap())
    }

    /// As it would be without a proxy, and with patience: what is looked up to be compared must not depend on how busy
    /// the machine is.
    fn direct(&self) -> Settings {
        let mut settings = self.settings.clone();
        settings.redis = patient(&self.redis);
        settings.postgres = PostgresSettings {
            url: self.postgres.clone(),
            wait_timeout: PATIENCE,
            ..PostgresSettings::default()
        };
        settings
    }

    pub(crate) fn live(&self) -> Levels {
        levels("live:", &self.direct())
    }

    pub(crate) fn start(&self) -> Running {
        let progress = Progress::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let warming = self.warming("live:", &self.settings);
        let (settings, shown) = (self.settings.clone(), progress.clone());
        let (requests, requested) = mpsc::channel(1);
        #[allow(clippy::disallowed_methods, reason = "the test waits for it")]
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            let learned = Arc::new(Learned::open(&settings));
            daemon::run(&settings, &warming, learned, shown, requested, stopped).await.unwrap();
        });
        Running { progress, requests, stop, task }
    }

    /// Starts it, and waits until everything is warm.
    pub(crate) async fn start_warm(&self) -> Running {
        let running = self.start();
        running.settled("the first cycle", |counts| counts.cycles > 0).await;
        running
    }

    pub(crate) async fn execute(&self, statement: &str) {
        self.client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }

    /// Number of notes that wait.
    pub(crate) async fn notes(&self) -> i64 {
        self.client.query_one("SELECT count(*) FROM orders_dirty", &[]).await.unwrap().get(0)
    }

    /// The version of a store's entries in Redis.
    pub(crate) async fn version(&self, store_id: &str) -> Option<u64> {
        let slot = Slot { key: Keys::new("live:").store_version(store_id), field: None };
        let read = self.live().cache().read(&[slot], Patience::Small).await.pop().unwrap();
        read.hit().map(|bytes| std::str::from_utf8(&bytes).unwrap().parse().unwrap())
    }

    /// Everything that a fresh run makes.
    pub(crate) async fn fresh(&self) -> Vec<String> {
        let settings = self.direct();
        let warming = self.warming("fresh:", &settings);
        let report = once(&warming, |_, _| {}).await.unwrap();
        assert_eq!(report.failed, 0);
        kept(&warming.levels, &warming.source.directory().await.unwrap(), &settings).await
    }

    /// All that is kept, as [`Place::fresh`] gives it.
    pub(crate) async fn kept(&self) -> Vec<String> {
        let settings = self.direct();
        let directory = PostgresSource::new(&settings.postgres).unwrap().directory().await.unwrap();
        kept(&self.live(), &directory, &settings).await
    }

    /// Waits until everything that is kept is what a fresh run makes.
    pub(crate) async fn becomes_fresh(&self, after: &str) {
        let fresh = self.fresh().await;
        let directory = PostgresSource::new(&self.direct().postgres).unwrap().directory().await.unwrap();
        let (live, settings) = (self.live(), self.direct());
        let mut last = Vec::new();
        let equal = async {
            wait_until(after, PATIENCE, async || {
                last = kept(&live, &directory, &settings).await;
                last == fresh
            })
            .await;
        };
        if tokio::time::timeout(PATIENCE - Duration::from_secs(5), equal).await.is_err() {
            let differ = fresh.iter().zip(&last).filter(|(a, b)| a != b);
            let shown: Vec<String> = differ.map(|(a, b)| format!("fresh {a:.400}\n live {b:.400}")).collect();
            panic!("{after}:\n{}", shown.join("\n"));
        }
    }
}

fn patient(redis: &RedisServer) -> RedisSettings {
    RedisSettings {
        url: redis.url(),
        connect_timeout: ONE_CALL,
        command_timeout: ONE_CALL,
        bulk_timeout: ONE_CALL,
        ..RedisSettings::default()
    }
}

fn levels(prefix: &str, settings: &Settings) -> Levels {
    let cache = Cache::Redis(RedisCache::connect(&settings.redis).unwrap());
    Levels::new(cache, Keys::new(prefix), settings.rules.fingerprint(), settings.ttl, settings.max_inflated)
}

impl Running {
    pub(crate) fn counts(&self) -> Counts {
        self.progress.counts()
    }

    /// Waits until `condition` holds and nothing waits to be warmed.
    pub(crate) async fn settled(&self, what: &str, mut condition: impl FnMut(&Counts) -> bool) {
        wait_until(what, PATIENCE, async || {
            let counts = self.counts();
            // The daemon counts once a second.
            condition(&counts) && counts.waiting == 0 && counts.stores_ready == counts.stores
        })
        .await;
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }

    /// Ends it where it stands, with nothing stored or given back.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// All that is kept of a directory, decoded: documents over all stores, cells, order lines of the hot stores.
async fn kept(levels: &Levels, directory: &Directory, settings: &Settings) -> Vec<String> {
    let scope = Scope::new(Arc::new(directory.clone()), &Extent::new(settings));
    let mut kept = vec![format!("{:?}", levels.read_directory().await)];
    for query in scope.queries.iter() {
        let answer = match levels.read_answer(query).await {
            Read::Hit((header, answer)) => format!("{} {}", header.data_version, answer.json),
            Read::Miss | Read::Unavailable => "none".to_owned(),
        };
        kept.push(format!("{} {answer}", query.canonical()));
    }
    for store in directory.stores() {
        let id = &store.store_id;
        let read = levels.read_store(id, scope.retention, scope.retention, &Default::default()).await;
        let data = read.hit().and_then(|stored| levels.decode_store(&stored));
        kept.push(format!("{id} {data:?}"));
    }
    for store in scope.largest(settings.warm.hot_share) {
        let days = scope.days_with_lines(&store, scope.orders.unwrap());
        let store_days: Vec<_> = days.iter().map(|day| (store.clone(), *day)).collect();
        for (read, day) in levels.read_orders(&store_days).await.into_iter().zip(&days) {
            let lines = read.hit().and_then(|bytes| levels.decode_orders(&store, *day, &bytes));
            let lines = lines.map(|(header, lines)| (header.data_version, lines));
            kept.push(format!("{store} {day} {lines:?}"));
        }
    }
    kept
}
