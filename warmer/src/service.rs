//! The daemon as a service: it starts, reads its settings again on SIGHUP, and stops when asked, while its manager, the
//! admin listener and Redis hear how it is.

mod generation;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use shared::config::{Settings, diff};
use shared::runtime::logging::{self, LogHandle};
use shared::runtime::program::SettingsSource;
use shared::runtime::reload::RELOAD;
use shared::runtime::{ReloadSignal, ServiceManager, now_ms, process, shutdown};
use tokio::task::JoinSet;

use crate::daemon::{Health, Progress};
use crate::learned::Learned;
use crate::publish::Reporter;
use crate::verify;
use generation::{Generation, Parts};

/// How the process was started, so that it can read its settings again.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Files and values of the command line.
    pub source: SettingsSource,
    /// Address of the admin listener from the command line; inner `None` = no listener.
    pub admin: Option<Option<String>>,
    /// The running log.
    pub log: LogHandle,
}

impl Launch {
    /// Settings with what the command line says.
    fn with_flags(&self, mut settings: Settings) -> Settings {
        if let Some(listen) = &self.admin {
            settings.admin.listen.clone_from(listen);
        }
        settings
    }

    /// The settings as they are now and what runs with them, or every reason why they do not fit.
    fn load(&self) -> Result<(Settings, Parts), Vec<String>> {
        let settings = self.source.load().map_err(|error| {
            error
                .problems
                .iter()
                .map(|problem| format!("{}: {}", problem.place, problem.what))
                .collect::<Vec<_>>()
        })?;
        let settings = self.with_flags(settings);
        if let Err(error) = logging::read_filter(&settings.log.filter) {
            return Err(vec![format!("log.filter: {:?} cannot be used: {error}", settings.log.filter)]);
        }
        let parts = Parts::new(&settings).map_err(|error| vec![format!("{error:#}")])?;
        Ok((settings, parts))
    }
}

/// Runs the daemon until the process is asked to stop.
///
/// # Errors
/// If the settings do not fit, or signals cannot be listened to.
pub async fn run(settings: Settings, launch: Launch) -> anyhow::Result<ExitCode> {
    let mut reload = ReloadSignal::listen().context("cannot listen to SIGHUP")?;
    let mut settings = launch.with_flags(settings);
    allow_open_files(&settings);
    let parts = Parts::new(&settings)?;
    let reporter = Arc::new(Reporter::new(Progress::default(), now_ms()));
    let manager = Arc::new(
        ServiceManager::of_process().context("cannot start the thread that tells the service manager")?,
    );
    let limit = Arc::new(Limit::new(&settings));
    let mut watch = JoinSet::new();
    watch.spawn({
        let (manager, reporter, limit) = (Arc::clone(&manager), Arc::clone(&reporter), Arc::clone(&limit));
        async move { manager.watch(|| reporter.service_state(limit.get())).await }
    });
    let mut stop = std::pin::pin!(shutdown::requested());
    let mut learned = Arc::new(Learned::open(&settings));
    let mut running = Generation::start(&settings, parts, &reporter, &learned);
    loop {
        tokio::select! {
            signal = &mut stop => {
                match signal {
                    Ok(signal) => tracing::info!(signal, "stopping; the stores under way are finished"),
                    Err(error) => tracing::error!(error = %error, "cannot listen to signals; stopping"),
                }
                manager.stopping();
                running.stop().await?;
                watch.shutdown().await;
                tracing::info!("stopped");
                return Ok(ExitCode::SUCCESS);
            }
            () = reload.next() => {
                manager.reloading();
                if let Some((new, parts)) = read_again(&settings, &launch) {
                    settings = new;
                    if let Some(parts) = parts {
                        // The longer limit counts until the old daemon has ended.
                        limit.raise(&settings);
                        running.stop().await?;
                        limit.set(&settings);
                        reporter.progress().health().start_over();
                        learned = Arc::new(learned.under(&settings));
                        running = Generation::start(&settings, parts, &reporter, &learned);
                    }
                }
                manager.reloaded();
            }
            ended = running.ended() => {
                ended?;
                anyhow::bail!("the daemon ended without being asked to; see the log before this");
            }
            _ = watch.join_next() => {
                anyhow::bail!("what tells the service manager ended; see the log before this");
            }
        }
    }
}

/// Raises the limit of open files to what is needed at most.
fn allow_open_files(settings: &Settings) {
    let needed = verify::open_files(settings);
    if let Some(allowed) = process::allow_open_files(needed).filter(|allowed| *allowed < needed as u64) {
        tracing::warn!(
            allowed,
            needed,
            "fewer files may be open than heat.max_files and connections may need; raise LimitNOFILE= or ulimit -n"
        );
    }
}

/// Sections that this program does not use, or that need no other daemon.
const WITHOUT_EFFECT_ON_THE_DAEMON: [&str; 3] = ["gateway.", "access_log.", "log."];

/// Settings that differ from those in force, and what runs with them if the daemon must start again for them. All that
/// does not fit, or is another than before, is logged.
fn read_again(before: &Settings, launch: &Launch) -> Option<(Settings, Option<Parts>)> {
    let (settings, parts) = match launch.load() {
        Ok(loaded) => loaded,
        Err(problems) => {
            for problem in &problems {
                tracing::error!("a setting does not fit: {problem}");
            }
            tracing::error!(
                problems = problems.len(),
                "the settings were read again and do not fit; the old ones stay: correct them and ask again ({RELOAD})"
            );
            return None;
        }
    };
    let changes = diff::changes(before, &settings);
    if changes.is_empty() {
        tracing::info!("the settings were read again; nothing changed");
        return None;
    }
    tracing::info!(changes = changes.len(), "the settings were read again");
    for change in &changes {
        tracing::info!("{change}");
        if change.key.starts_with("log.") && change.key != "log.filter" {
            tracing::warn!("{} takes effect after a restart", change.key);
        }
    }
    if let Err(error) = launch.log.set_filter(&settings.log.filter) {
        tracing::error!(error = %error, "the log's filter stays as it was");
    }
    let concerns_daemon = |change: &diff::Change| {
        !WITHOUT_EFFECT_ON_THE_DAEMON.iter().any(|section| change.key.starts_with(section))
    };
    Some((settings, changes.iter().any(concerns_daemon).then_some(parts)))
}

/// After how much silence the daemon's loop counts as hanging, in milliseconds: as the settings in force say.
#[derive(Debug)]
struct Limit(AtomicU64);

impl Limit {
    fn new(settings: &Settings) -> Self {
        let limit = Self(AtomicU64::new(0));
        limit.set(settings);
        limit
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, settings: &Settings) {
        self.0.store(Self::of(settings), Ordering::Relaxed);
    }

    fn raise(&self, settings: &Settings) {
        self.0.fetch_max(Self::of(settings), Ordering::Relaxed);
    }

    fn of(settings: &Settings) -> u64 {
        u64::try_from(Health::limit(settings).as_millis()).unwrap_or(u64::MAX)
    }
}
