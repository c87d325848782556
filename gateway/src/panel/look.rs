//! One look at everything that the page shows.

use std::sync::Arc;
use std::time::Duration;

use shared::cache::levels::Paused;
use shared::cache::{Levels, MonitorState, MonitorStatus, Read};
use shared::model::Directory;
use shared::published::{PlanRecord, Warmers};
use shared::runtime::host::{HostUse, HostWatch};
use shared::runtime::now_ms;
use shared::runtime::process::{self, ProcessUse};
use shared::source::postgres::SourceHealth;
use tokio::time::Instant;

use super::clients;
use super::document::PausedBy;
use super::facts::Facts;
use super::history::{self, Point};
use super::traffic::{LevelShare, Reading, Window, percent, rounded};
use crate::app::{App, Front};

/// Most time for what Redis is asked at a look. What is not told in time is not known.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time from one reading of the plan to the next: it is large, and changes once in a cycle.
const PLAN_INTERVAL: Duration = Duration::from_secs(30);
/// A point of the history may come so much early.
const EARLY: Duration = Duration::from_millis(500);

/// What one look saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// `None` for memory.
    pub(super) redis: Option<MonitorStatus>,
    /// `None` for files.
    pub(super) postgres: Option<SourceHealth>,
    pub(super) per_second: f64,
    pub(super) hit_percent: Option<f64>,
    pub(super) failed_percent: Option<f64>,
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) total: u64,
    pub(super) failed: u64,
    pub(super) levels: Vec<LevelShare>,
    pub(super) users: usize,
    pub(super) host: HostUse,
    pub(super) host_name: String,
    pub(super) process_memory: u64,
    /// `None` while Redis does not say.
    pub(super) warmers: Option<Warmers>,
    pub(super) paused: Option<PausedBy>,
    pub(super) plan: Option<Arc<PlanRecord>>,
    pub(super) directory: Arc<Directory>,
    pub(super) confirmed_at: Option<i64>,
}

/// Looks again and again; keeps what a look needs of the ones before.
pub(super) struct Looker {
    host: Option<HostWatch>,
    host_name: String,
    window: Window,
    /// The counters at the last point of the history.
    last_point: Option<Reading>,
    next_step: Instant,
    /// Evictions that the server counted at the last look, and those seen since the first.
    evicted: (Option<u64>, u64),
    evicted_at_point: u64,
    plan: Option<Arc<PlanRecord>>,
    next_plan: Instant,
    directory: Arc<Directory>,
}

/// What Redis tells of the warmers.
#[derive(Default)]
struct Told {
    warmers: Option<Warmers>,
    paused: Option<Paused>,
    confirmed_at: Option<i64>,
}

impl Looker {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            host: HostWatch::new(),
            host_name: process::host_name(),
            window: Window::default(),
            last_point: None,
            next_step: now + clients::STEP,
            evicted: (None, 0),
            evicted_at_point: 0,
            plan: None,
            next_plan: now,
            directory: Arc::default(),
        }
    }

    /// What is seen now, what of it tells what happened, and, when its time has come, a point of the history.
    pub(super) async fn look(&mut self, front: &Front) -> (Seen, Facts, Option<Point>) {
        let told = match front.app() {
            Some(app) => self.ask(app).await,
            None => Told::default(),
        };
        let (now, at) = (Instant::now(), now_ms());
        while self.next_step <= now {
            front.panel().clients().step();
            self.next_step += clients::STEP;
        }
        let health = front.app().and_then(|app| app.levels().cache().health());
        let redis = health.map(|health| health.monitor.unwrap_or_default());
        let server = redis.as_ref().and_then(|redis| redis.server.as_ref());
        self.count_evictions(server.map(|server| server.evicted_keys));
        let postgres = front.app().and_then(|app| app.source().health());
        let reading = Reading::of(front.counters(), now);
        let (total, failed) = (reading.total(), reading.failed);
        let traffic = self.window.take(reading.clone());
        let percentile = |share| traffic.percentile(share).map(rounded);
        let host = self.host.as_mut().map(HostWatch::look).unwrap_or_default();
        let users = front.panel().clients().count();
        let facts = Facts {
            at,
            redis: redis.as_ref().map_or(MonitorState::Online, |redis| redis.state),
            redis_uptime_s: server.map(|server| server.uptime_s),
            keys: server.map(|server| server.databases.values().sum()),
            emptied: front.app().map_or(0, |app| app.near().counters().dropped_by_emptying()),
            evicted: self.evicted.1,
            // In memory nobody else writes, and nobody need.
            warmer: told.warmers.as_ref().filter(|_| redis.is_some()).map(|warmers| warmers.active),
            paused: told.paused.as_ref().map(|paused| *paused != Paused::No),
            postgres: postgres.as_ref().and_then(|health| Some(health.breaker.as_ref()?.admits)),
            hit_percent: traffic.hit_percent(),
            answered: traffic.answered(),
        };
        let online = facts.redis == MonitorState::Online;
        let point = self.is_due(now).then(|| {
            let since = self.last_point.replace(reading.clone());
            let since = since.map_or_else(|| reading.since(&reading), |before| reading.since(&before));
            let evictions = self.evicted.1 - self.evicted_at_point;
            self.evicted_at_point = self.evicted.1;
            Point {
                time: at / 1000,
                warm_lag_s: told.confirmed_at.map(|confirmed| (at - confirmed).max(0) as f64 / 1000.0),
                cpu_percent: host.cpu_percent.map(rounded),
                memory_percent: percent(host.memory_used, host.memory_total),
                redis_memory_percent: server
                    .filter(|_| online)
                    .and_then(|server| percent(server.used_memory, server.max_memory)),
                redis_online: online,
                evictions,
                users,
                ..Point::of(&since)
            }
        });
        let seen = Seen {
            postgres,
            per_second: traffic.per_second(),
            hit_percent: traffic.hit_percent(),
            failed_percent: traffic.failed_percent(),
            p50_ms: percentile(0.5),
            p95_ms: percentile(0.95),
            p99_ms: percentile(0.99),
            total,
            failed,
            levels: traffic.levels(),
            users,
            host,
            host_name: self.host_name.clone(),
            process_memory: ProcessUse::now().map_or(0, |used| used.memory),
            warmers: told.warmers,
            paused: told.paused.and_then(paused_by),
            plan: self.plan.clone(),
            directory: Arc::clone(&self.directory),
            confirmed_at: told.confirmed_at,
            redis,
        };
        (seen, facts, point)
    }

    fn is_due(&self, now: Instant) -> bool {
        let since = self.last_point.as_ref().map(|last| now.saturating_duration_since(last.at));
        since.is_none_or(|since| since + EARLY >= history::STEP)
    }

    /// Adds up what the server counts, which begins anew when it does.
    fn count_evictions(&mut self, counted: Option<u64>) {
        let Some(counted) = counted else { return };
        if let Some(before) = self.evicted.0 {
            self.evicted.1 += counted.checked_sub(before).unwrap_or(counted);
        }
        self.evicted.0 = Some(counted);
    }

    /// Asks Redis, unless it is known to be away, and takes over the directory.
    async fn ask(&mut self, app: &App) -> Told {
        if let Ok(Ok(directory)) = tokio::time::timeout(PATIENCE, app.directory()).await {
            self.directory = directory;
        }
        let levels = app.levels();
        let monitor = levels.cache().health().and_then(|health| health.monitor);
        if monitor.is_some_and(|monitor| monitor.state == MonitorState::Offline) {
            return Told::default();
        }
        if self.next_plan <= Instant::now()
            && let Ok(read) = tokio::time::timeout(PATIENCE, levels.read_plan::<PlanRecord>()).await
        {
            if let Read::Hit(plan) = read {
                self.plan = Some(Arc::new(plan));
            }
            self.next_plan = Instant::now() + PLAN_INTERVAL;
        }
        tokio::time::timeout(PATIENCE, told(levels)).await.unwrap_or_default()
    }
}

async fn told(levels: &Levels) -> Told {
    Told {
        warmers: Warmers::read(levels.cache(), levels.keys()).await,
        paused: levels.read_paused().await,
        confirmed_at: levels.read_fleet_fresh().await,
    }
}

fn paused_by(paused: Paused) -> Option<PausedBy> {
    match paused {
        Paused::No => None,
        Paused::Yes(pause) => Some(PausedBy {
            by: Some(pause.by),
            since: Some(pause.since),
            until: pause.until,
            reason: pause.reason,
        }),
        Paused::Unexplained(text) => Some(PausedBy { reason: Some(text), ..PausedBy::default() }),
    }
}
