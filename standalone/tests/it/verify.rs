//! `warmer verify --gateway`: a warmer and a gateway on the same servers, asked as a dashboard does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gateway::access_log::AccessLog;
use gateway::auth::Access;
use gateway::server::{self, Listeners};
use gateway::{App, Front};
use shared::cache::{Cache, Levels, RedisCache};
use shared::config::Settings;
use shared::keys::Keys;
use shared::published::Warmers;
use shared::runtime::ComputePool;
use shared::source::Source;
use shared::source::postgres::{PostgresSource, SCHEMA};
use shared::verify::{Outcome, Report};
use tempfile::TempDir;
use testkit::{PostgresServer, RedisServer, wait_until};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use warmer::daemon::{self, Progress};
use warmer::learned::Learned;
use warmer::publish::{self, Reporter};
use warmer::verify::{Asking, Scope, verify};
use warmer::warming::Warming;

const PATIENCE: Duration = Duration::from_secs(60);
const ROWS: &str = "INSERT INTO orders (order_id, store_id, ordered_at, product_name, paid_price) \
     SELECT 'o' || n, 's' || s, timestamp '2026-03-01 10:00' + d * interval '1 day', 'p', 8 \
     FROM generate_series(1, 3) s, generate_series(0, 9) d, generate_series(1, 4) n";

fn levels(settings: &Settings) -> Levels {
    let cache = Cache::Redis(RedisCache::connect(&settings.redis).unwrap());
    let rules = settings.rules.fingerprint();
    Levels::new(cache, Keys::new(&settings.prefix), rules, settings.ttl, settings.max_inflated)
}

fn source(settings: &Settings) -> Source {
    Source::Postgres(PostgresSource::new(&settings.postgres).unwrap())
}

/// A warmer on real servers, and gateways that come and go.
struct Place {
    _redis: RedisServer,
    folder: TempDir,
    settings: Settings,
    /// The warmer, and what publishes its status.
    _warmer: JoinSet<()>,
}

/// A gateway; it ends when dropped.
struct Gateway {
    url: String,
    _stop: oneshot::Sender<()>,
    _task: JoinSet<()>,
}

impl Place {
    async fn new() -> Self {
        let (postgres, _) = PostgresServer::shared().await.database_after(&[SCHEMA, ROWS]).await;
        let redis =
            RedisServer::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).await;
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::load(&[], &|_| None).unwrap();
        settings.redis.url = redis.url();
        settings.redis.command_timeout = Duration::from_secs(10);
        settings.redis.slow_ping = Duration::from_secs(30);
        settings.postgres.url = postgres;
        settings.access_log.path = Some(folder.path().join("access.log"));
        settings.heat.logs = vec![folder.path().join("access.log*").display().to_string()];
        settings.warm.status_interval = Duration::from_secs(1);
        let mut warmer = JoinSet::new();
        let progress = Progress::default();
        let reporter = Reporter::new(progress.clone(), 0);
        warmer.spawn({
            let (settings, progress) = (settings.clone(), progress.clone());
            let warming = Warming::new(
                &settings,
                source(&settings),
                levels(&settings),
                ComputePool::new(1, 8).unwrap(),
            );
            async move {
                let (_requests, requests) = mpsc::channel(1);
                let learned = Arc::new(Learned::open(&settings));
                let ended =
                    daemon::run(&settings, &warming, learned, progress, requests, std::future::pending());
                ended.await.unwrap();
            }
        });
        warmer.spawn({
            let (levels, warm) = (levels(&settings), settings.warm.clone());
            async move { match publish::publish(levels.cache(), levels.keys(), &warm, &reporter).await {} }
        });
        let live = levels(&settings);
        wait_until("a warm cache, and its warmer's status", PATIENCE, async || {
            let warmers = Warmers::read(live.cache(), live.keys()).await.unwrap();
            warmers.warmers.iter().any(|status| status.is_active() && status.counts.cycles > 0)
        })
        .await;
        Self { _redis: redis, folder, settings, _warmer: warmer }
    }

    async fn gateway(&self, change: impl FnOnce(&mut Settings)) -> Gateway {
        let mut settings = self.settings.clone();
        settings.gateway.listen = vec!["127.0.0.1:0".parse().unwrap()];
        change(&mut settings);
        let listeners = Listeners::open(&settings.gateway, true, false).await.unwrap();
        let address = listeners.addresses().pop().unwrap();
        let log = AccessLog::start(&settings.access_log, "verified").unwrap();
        let front = Front::guarded(log, Access::new(&settings.access, false));
        let compute = ComputePool::new(1, 8).unwrap();
        front.open(App::new(&settings, levels(&settings), source(&settings), compute));
        let (stop, stopped) = oneshot::channel::<()>();
        let mut task = JoinSet::new();
        task.spawn(async move {
            server::serve(front, listeners, &settings.gateway, async { drop(stopped.await) }).await.unwrap();
        });
        Gateway { url: format!("http://{address}"), _stop: stop, _task: task }
    }

    async fn verify(&self, url: &str, token: Option<&str>) -> Report {
        self.verify_asking(Asking { urls: vec![url.to_owned()], token: token.map(str::to_owned), ca: None })
            .await
    }

    async fn verify_asking(&self, asking: Asking) -> Report {
        verify(&self.settings, &Scope { asking, gateway_user: "hotshelf_gateway".to_owned() }).await
    }
}

/// Names of the checks that failed.
fn failed(report: &Report) -> BTreeSet<&str> {
    report.checks().iter().filter(|check| check.outcome == Outcome::Fail).map(|check| check.name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_gateways_fail_their_check_and_no_other() {
    let place = Place::new().await;
    let gateway = place.gateway(|_| ()).await;
    let report = place.verify(&gateway.url, None).await;
    assert_eq!(failed(&report), [].into(), "{report}");
    for name in ["gateway.ready", "gateway.warm", "log.found", "log.advancing", "host.clock"] {
        let check = report.checks().iter().find(|check| check.name == name).unwrap();
        assert_eq!(check.outcome, Outcome::Pass, "{report}");
    }

    let stopped = gateway.url.clone();
    drop(gateway);
    wait_until("the gateway's end", PATIENCE, async || {
        failed(&place.verify(&stopped, None).await) == ["gateway.reachable"].into()
    })
    .await;

    let elsewhere: PathBuf = place.folder.path().join("elsewhere.log");
    let gateway = place.gateway(|settings| settings.access_log.path = Some(elsewhere)).await;
    let report = place.verify(&gateway.url, None).await;
    assert_eq!(failed(&report), ["log.advancing"].into(), "{report}");
    // Another one that does write it hides nothing.
    let writes = place.gateway(|_| ()).await;
    let both = Asking { urls: vec![writes.url.clone(), gateway.url.clone()], ..Asking::default() };
    let report = place.verify_asking(both).await;
    assert_eq!(failed(&report), ["log.advancing"].into(), "{report}");
    let seen = report.to_string();
    assert!(seen.contains(&format!("asked of {} is not in it", gateway.url)), "{seen}");
    drop(writes);

    let cold = place.gateway(|settings| settings.prefix = "other:1:".to_owned()).await;
    let report = place.verify(&cold.url, None).await;
    assert_eq!(failed(&report), ["gateway.warm"].into(), "{report}");

    let token = "a-token-that-is-long-enough-to-be-one";
    let guarded = place
        .gateway(|settings| {
            let hash = gateway::auth::token::hash(token.as_bytes());
            let scope = shared::config::StoreScope::All;
            let reader = shared::config::Role::Reader;
            let known = shared::config::TokenSettings::new("verify", hash, scope, reader).unwrap();
            settings.access.tokens = vec![known];
        })
        .await;
    let report = place.verify(&guarded.url, None).await;
    assert_eq!(failed(&report), ["gateway.warm"].into(), "{report}");
    assert!(report.to_string().contains("--token-file"), "{report}");
    let report = place.verify(&guarded.url, Some(token)).await;
    assert_eq!(failed(&report), [].into(), "{report}");
}
