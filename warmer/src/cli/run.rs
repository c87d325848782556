//! `warmer run`: the daemon as a process.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use shared::cache::{Cache, RedisCache};
use shared::config::Settings;
use shared::runtime::{ComputePool, shutdown};
use shared::source::Source;
use shared::source::postgres::PostgresSource;
use tokio::task::JoinSet;

use super::levels;
use crate::daemon::{self, Progress};
use crate::follow::{self, Follower};
use crate::learned::Learned;
use crate::warming::Warming;

/// Requests that may wait for the daemon.
const REQUESTS: usize = 1_000;

/// Runs the daemon until the process is asked to stop.
pub(super) async fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let cache = Cache::Redis(RedisCache::connect(&settings.redis)?);
    let source = Source::Postgres(PostgresSource::new(&settings.postgres)?);
    let compute = ComputePool::new(settings.warm.threads, settings.warm.parallel_stores)
        .context("cannot start the computing threads; lower warm.threads")?;
    let warming = Warming::new(settings, source, levels(settings, cache), compute);
    let learned = Arc::new(Learned::open(settings));
    let progress = Progress::default();
    let (sender, requests) = tokio::sync::mpsc::channel(REQUESTS);
    let follower = Follower::open(&settings.heat, &learned)?;
    let mut following = JoinSet::new();
    following.spawn(follower.run(Arc::clone(&learned), progress.clone(), sender));
    let stop = async {
        match shutdown::requested().await {
            Ok(signal) => tracing::info!(signal, "stopping; the stores under way are finished"),
            Err(error) => tracing::error!(error = %error, "cannot listen to signals; stopping"),
        }
    };
    let ended = daemon::run(settings, &warming, Arc::clone(&learned), progress, requests, stop).await;
    following.shutdown().await;
    follow::save(learned).await;
    ended?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
