//! What runs with one set of settings: the daemon, and what tells of it.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Context as _;
use shared::cache::{Cache, RedisCache, RedisSettings};
use shared::config::Settings;
use shared::keys::Keys;
use shared::runtime::admin::AdminListener;
use shared::runtime::{ComputePool, process};
use shared::source::Source;
use shared::source::postgres::PostgresSource;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::admin::Pages;
use crate::cli::levels;
use crate::daemon::{self, Health};
use crate::follow::{self, Follower};
use crate::learned::Learned;
use crate::publish::{self, Reporter};
use crate::warming::Warming;

/// Requests that may wait for the daemon.
const REQUESTS: usize = 1_000;

/// What is made from settings before anything is started with them. No connection is made yet.
#[derive(Debug)]
pub(super) struct Parts {
    warming: Warming,
    /// Redis by a connection of its own: status and monitor must not wait for bulk writes.
    status_redis: RedisCache,
}

impl Parts {
    /// # Errors
    /// If an address, the table, a pattern of logs or the number of threads does not fit.
    pub(super) fn new(settings: &Settings) -> anyhow::Result<Self> {
        follow::check(&settings.heat).context("heat.logs")?;
        let cache = Cache::Redis(RedisCache::connect(&settings.redis)?);
        let one = RedisSettings { write_connections: 1, ..settings.redis.clone() };
        let status_redis = RedisCache::connect(&one)?;
        let source = Source::Postgres(PostgresSource::new(&settings.postgres)?);
        let compute = ComputePool::new(settings.warm.threads, settings.warm.parallel_stores)
            .context("cannot start the computing threads; lower warm.threads")?;
        let warming = Warming::new(settings, source, levels(settings, cache), compute);
        Ok(Self { warming, status_redis })
    }
}

/// A running daemon and what tells of it.
pub(super) struct Generation {
    stop: oneshot::Sender<()>,
    task: JoinSet<anyhow::Result<()>>,
}

impl Generation {
    /// Starts a daemon. It runs in a task of its own: signals are heard even if it hangs.
    pub(super) fn start(
        settings: &Settings,
        parts: Parts,
        reporter: &Arc<Reporter>,
        learned: &Arc<Learned>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(live(settings.clone(), parts, Arc::clone(reporter), Arc::clone(learned), stopped));
        Self { stop, task }
    }

    /// Completes when the daemon ends by itself.
    pub(super) async fn ended(&mut self) -> anyhow::Result<()> {
        match self.task.join_next().await {
            Some(ended) => ended.context("the daemon failed")?,
            None => Ok(()),
        }
    }

    /// Lets the daemon finish what is under way, within its limit.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        let Self { stop, mut task } = self;
        // It may have ended by itself.
        let _ = stop.send(());
        match task.join_next().await {
            Some(ended) => ended.context("the daemon failed")?,
            None => Ok(()),
        }
    }
}

async fn live(
    settings: Settings,
    parts: Parts,
    reporter: Arc<Reporter>,
    learned: Arc<Learned>,
    stopped: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let Parts { warming, status_redis } = parts;
    let keys = Keys::new(&settings.prefix);
    let proof = keys.proof(&format!("{}/{}", process::host_name(), std::process::id()));
    let status_cache = Cache::Redis(status_redis.monitored(reporter.monitor(), Some(proof)));
    let mut telling: JoinSet<Infallible> = JoinSet::new();
    let pages = Arc::new(Pages::new(Arc::clone(&reporter), Health::limit(&settings), Handle::current()));
    let listener = AdminListener::start(&settings.admin, pages)
        .context("cannot start the thread of the admin listener; check the limit of threads")?;
    telling.spawn({
        let (cache, keys, reporter) = (status_cache.clone(), keys.clone(), Arc::clone(&reporter));
        let warm = settings.warm.clone();
        async move { publish::publish(&cache, &keys, &warm, &reporter).await }
    });
    let ended = tokio::select! {
        ended = run_daemon(&settings, &warming, &reporter, &learned, stopped) => ended,
        // It ends by a panic only.
        _ = telling.join_next() => {
            Err(anyhow::anyhow!("what publishes the status failed; see the log before this"))
        }
    };
    drop(listener);
    telling.shutdown().await;
    publish::withdraw(&status_cache, &keys, &reporter).await;
    ended
}

async fn run_daemon(
    settings: &Settings,
    warming: &Warming,
    reporter: &Reporter,
    learned: &Arc<Learned>,
    stopped: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let progress = reporter.progress();
    let (sender, requests) = tokio::sync::mpsc::channel(REQUESTS);
    let follower = Follower::open(&settings.heat, learned)?;
    let mut following = JoinSet::new();
    following.spawn(follower.run(Arc::clone(learned), progress.clone(), sender));
    let stop = async { drop(stopped.await) };
    let ended = daemon::run(settings, warming, Arc::clone(learned), progress.clone(), requests, stop).await;
    following.shutdown().await;
    follow::save(Arc::clone(learned)).await;
    Ok(ended?)
}
