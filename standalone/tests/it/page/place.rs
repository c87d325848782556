//! A shop for visitors of the page: made orders in PostgreSQL, a warmer that keeps them ready in Redis and reads the access log, and
//! a gateway.

use std::sync::Arc;
use std::time::Duration;

use gateway::access_log::AccessLog;
use gateway::auth::Access;
use gateway::server::{self, Listeners};
use gateway::{App, Front};
use loadtest::generate::{GenerateSettings, Generator};
use shared::cache::{Cache, Levels, Monitor, RedisCache};
use shared::config::{Settings, TokenSettings};
use shared::keys::Keys;
use shared::model::Lines;
use shared::published::Warmers;
use shared::runtime::{ComputePool, now_ms};
use shared::source::Source;
use shared::source::postgres::{PostgresImport, PostgresSource, SCHEMA};
use tempfile::TempDir;
use testkit::{PostgresServer, RedisServer, wait_until};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use warmer::daemon::{self, Progress};
use warmer::follow::Follower;
use warmer::learned::Learned;
use warmer::publish::{self, Reporter};
use warmer::warming::Warming;

const PATIENCE: Duration = Duration::from_secs(120);

/// How large a shop is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) stores: u32,
    pub(crate) days: u32,
    pub(crate) lines_per_store: u64,
}

/// A shop on real servers.
pub(crate) struct Shop {
    pub(crate) redis: RedisServer,
    /// Warmer and gateway.
    _tasks: JoinSet<()>,
    _folder: TempDir,
    _stop: oneshot::Sender<()>,
    pub(crate) origin: String,
}

/// The levels of a cache.
pub(crate) fn levels(settings: &Settings, cache: RedisCache) -> Levels {
    let rules = settings.rules.fingerprint();
    let keys = Keys::new(&settings.prefix);
    Levels::new(Cache::Redis(cache), keys, rules, settings.ttl, settings.max_inflated)
}

impl Shop {
    /// One that asks for tokens if there are any.
    pub(crate) async fn open(size: Size, tokens: Vec<TokenSettings>) -> Self {
        let (database, _) = PostgresServer::shared().await.database_after(&[SCHEMA]).await;
        let redis = RedisServer::start_with(&["--maxmemory", "200mb", "--maxmemory-policy", "allkeys-lru"]);
        let redis = redis.await;
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("access.log");
        let mut settings = Settings::load(&[], &|_| None).unwrap();
        settings.redis.url = redis.url();
        // A busy machine is no outage.
        settings.redis.command_timeout = Duration::from_secs(5);
        settings.redis.slow_ping = Duration::from_secs(30);
        settings.postgres.url = database;
        settings.access_log.path = Some(log.clone());
        settings.heat.logs = vec![log.display().to_string()];
        settings.warm.budget = 50 << 20;
        settings.warm.status_interval = Duration::from_secs(1);
        settings.access.tokens = tokens;
        import(&settings, size).await;
        let mut tasks = JoinSet::new();
        warm(&settings, &mut tasks);
        let live = levels(&settings, RedisCache::connect(&settings.redis).unwrap());
        wait_until("a warm cache, and its warmer's status", PATIENCE, async || {
            let warmers = Warmers::read(live.cache(), live.keys()).await.unwrap();
            warmers.writer().is_some_and(|status| status.counts.cycles > 0)
        })
        .await;
        let (stop, origin) = serve(&settings, &mut tasks).await;
        Self { redis, _tasks: tasks, _folder: folder, _stop: stop, origin }
    }
}

async fn import(settings: &Settings, size: Size) {
    let generator = Generator::new(&GenerateSettings {
        stores: size.stores,
        days: size.days,
        lines_per_store: Some(size.lines_per_store),
        seed: 7,
        last_day: "2026-03-07".parse().unwrap(),
    })
    .unwrap();
    let source = PostgresSource::new(&settings.postgres).unwrap();
    let mut import = PostgresImport::begin(&source).await.unwrap();
    for store in 0..size.stores {
        let mut lines = Lines::default();
        for day in generator.store(store) {
            lines.append(&day);
        }
        import.write(&lines).await.unwrap();
    }
    import.commit().await.unwrap();
}

/// A warmer as `warmer run` has it.
fn warm(settings: &Settings, tasks: &mut JoinSet<()>) {
    let redis = || RedisCache::connect(&settings.redis).unwrap();
    let progress = Progress::default();
    let reporter = Reporter::new(progress.clone(), now_ms());
    let source = Source::Postgres(PostgresSource::new(&settings.postgres).unwrap());
    let compute = ComputePool::new(2, 8).unwrap();
    let warming = Warming::new(settings, source, levels(settings, redis()), compute);
    let learned = Arc::new(Learned::open(settings));
    let (sender, requests) = mpsc::channel(100);
    let follower = Follower::open(&settings.heat, &learned).unwrap();
    let following = follower.run(Arc::clone(&learned), progress.clone(), sender);
    tasks.spawn(following);
    tasks.spawn({
        let settings = settings.clone();
        async move {
            let run = daemon::run(&settings, &warming, learned, progress, requests, std::future::pending());
            run.await.unwrap();
        }
    });
    let (levels, settings) = (levels(settings, redis()), settings.warm.clone());
    tasks.spawn(async move {
        match publish::publish(levels.cache(), levels.keys(), &settings, &reporter).await {}
    });
}

/// A gateway as the program has it; it stops with what is returned first.
async fn serve(settings: &Settings, tasks: &mut JoinSet<()>) -> (oneshot::Sender<()>, String) {
    let mut settings = settings.clone();
    settings.gateway.listen = vec!["127.0.0.1:0".parse().unwrap()];
    let listeners = Listeners::open(&settings.gateway, true, false).await.unwrap();
    let origin = format!("http://{}", listeners.addresses().pop().unwrap());
    let redis = RedisCache::connect(&settings.redis).unwrap().guarded().monitored(&Monitor::default(), None);
    let source = Source::Postgres(PostgresSource::guarded(&settings.postgres).unwrap());
    let log = AccessLog::start(&settings.access_log, "page").unwrap();
    let front = Front::guarded(log, Access::new(&settings.access, false));
    let levels = levels(&settings, redis);
    front.open(App::new(&settings, levels, source, ComputePool::new(2, 64).unwrap()));
    let (stop, stopped) = oneshot::channel::<()>();
    tasks.spawn(async move {
        server::serve(front, listeners, &settings.gateway, async { drop(stopped.await) }).await.unwrap();
    });
    (stop, origin)
}
