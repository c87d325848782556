//! The daemon: one task decides what is done next, jobs do it. A cycle looks for changes, finds what is not ready,
//! warms it, and confirms the rest; between cycles the same queue takes what changed or was asked for, before
//! scheduled work.

mod cycle;
mod health;
mod jobs;
mod lease;
mod progress;
mod questions;
mod rank;
mod requests;
mod stores;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shared::cache::{CacheErrorKind, Fence, Read};
use shared::config::{Settings, WarmSettings};
use shared::model::Directory;
use shared::published::{Unready, Waits};
use shared::runtime::now_ms;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::changes::{Listening, Watcher};
use crate::learned::Learned;
use crate::memory::Room;
use crate::pace::Pace;
use crate::queue::{Priority, Queue};
use crate::shelf::Shelf;
use crate::warming::{WarmError, Warming};
use cycle::Cycle;
pub use health::{Health, Writer};
use jobs::Done;
pub use progress::Progress;
use questions::Questions;
pub use requests::Request;

/// Stores that are to be warmed of which it is told what they wait for.
const UNREADY_TOLD: usize = 100;

/// What a renewal of the lease found.
struct Renewed {
    /// Whether this warmer has it.
    mine: bool,
    /// Whether no fence stood: nothing expires it.
    emptied: bool,
}

/// Everything that a running daemon holds.
pub struct Daemon {
    warming: Warming,
    settings: WarmSettings,
    fence: Fence,
    watcher: Arc<Watcher>,
    learned: Arc<Learned>,
    queue: Queue,
    /// Stores that Redis has no room for, as the last probe found.
    left_out: BTreeSet<String>,
    shelf: Shelf,
    cycle: Cycle,
    /// Whether another cycle is wanted after the one under way.
    cycle_wanted: bool,
    jobs: JoinSet<Done>,
    /// Jobs on stores, of which so many run at a time.
    store_jobs: usize,
    fleet_running: bool,
    look_running: bool,
    /// Stores that are warmed first.
    hot: Arc<BTreeSet<String>>,
    /// Stores of which order lines are kept.
    orders: Arc<BTreeSet<String>>,
    /// Bytes that the plan may take, as Redis had room at the last ranking.
    allowed: u64,
    /// Bytes that the plan leaves, for what is missed before the next one.
    bytes_left: u64,
    room: Room,
    /// Whether a ranking is under way.
    ranking: bool,
    /// Whether there is no room for cold stores that are not there.
    full: bool,
    pace: Pace,
    questions: Questions,
    /// Whether documents of earlier warmers were looked for.
    adopted: bool,
    /// Whether a write was refused, and nobody could be asked since why.
    doubted: bool,
    /// The state of the source that the last look saw, milliseconds since 1970; `None` if it failed.
    looked_at: Option<i64>,
    /// What was confirmed last.
    confirmed_at: i64,
    progress: Progress,
}

/// Why the active part of the daemon ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It was asked to stop.
    Stop,
    /// Another warmer writes now.
    Replaced,
}

/// Runs until `stop` completes: stands by until it has the lease, then warms what `learned` says is asked for.
/// `requests` may be closed.
///
/// # Errors
/// When the settings do not fit the servers; outages are waited out.
pub async fn run(
    settings: &Settings,
    warming: &Warming,
    learned: Arc<Learned>,
    progress: Progress,
    mut requests: tokio::sync::mpsc::Receiver<Request>,
    stop: impl Future<Output = ()>,
) -> Result<(), WarmError> {
    let (lease_key, fence_key) = warming.levels.keys().lease();
    let fence = Fence { lease_key, fence_key, owner: lease::owner() };
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = lease::wait_for(warming.levels.cache(), &fence, settings.warm.lease, &progress) => {}
        }
        let fenced = Warming { levels: warming.levels.fenced(fence.clone()), ..warming.clone() };
        let mut daemon = Daemon::new(settings, fenced, fence.clone(), Arc::clone(&learned), progress.clone());
        let end = daemon.active(&mut requests, &mut stop).await;
        daemon.drain().await;
        daemon.watcher.close().await;
        daemon.remember();
        match end {
            End::Stop => {
                if let Err(error) = warming.levels.cache().release(&fence).await {
                    tracing::warn!(error = %error, "the lease could not be given back; it ends by itself");
                }
                return Ok(());
            }
            End::Replaced => tracing::warn!("another warmer writes now; standing by"),
        }
    }
}

impl Daemon {
    fn new(
        settings: &Settings,
        warming: Warming,
        fence: Fence,
        learned: Arc<Learned>,
        progress: Progress,
    ) -> Self {
        let watcher = Arc::new(Watcher::new(settings, &warming));
        let shelf = Shelf::new(Directory::default(), warming.extent, settings.warm.answers);
        Self {
            warming,
            settings: settings.warm.clone(),
            fence,
            watcher,
            learned,
            queue: Queue::default(),
            left_out: BTreeSet::new(),
            shelf,
            cycle: Cycle::default(),
            cycle_wanted: false,
            jobs: JoinSet::new(),
            store_jobs: 0,
            fleet_running: false,
            look_running: false,
            hot: Arc::default(),
            orders: Arc::default(),
            allowed: settings.warm.budget,
            bytes_left: 0,
            room: Room::default(),
            ranking: false,
            full: false,
            pace: Pace::default(),
            questions: Questions::default(),
            adopted: false,
            doubted: false,
            looked_at: None,
            confirmed_at: 0,
            progress,
        }
    }

    async fn active(
        &mut self,
        requests: &mut tokio::sync::mpsc::Receiver<Request>,
        stop: &mut (impl Future<Output = ()> + Unpin),
    ) -> End {
        let every = |period: Duration| {
            let mut ticks = interval_at(Instant::now(), period);
            // A tick that was missed is made up by the next one, never by two at once.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let mut cycles = every(self.settings.interval);
        let mut leases = every(self.settings.lease / 3);
        let mut ranks = every(self.settings.rank_interval);
        let mut seconds = every(Duration::from_secs(1));
        if let Read::Hit(directory) = self.warming.levels.read_directory().await {
            self.start_from(directory);
        }
        let watcher = Arc::clone(&self.watcher);
        let (mut listener, mut last_look) = (Listening::default(), Instant::now());
        loop {
            self.progress.health().beat();
            self.start_jobs();
            tokio::select! {
                () = &mut *stop => return End::Stop,
                _ = cycles.tick() => self.begin_cycle(),
                _ = ranks.tick() => self.rank(),
                _ = leases.tick() => if !self.keep_lease().await { return End::Replaced },
                _ = seconds.tick() => self.every_second().await,
                () = watcher.wait(&mut listener, last_look), if !self.look_running => {
                    last_look = Instant::now();
                    self.look();
                }
                Some(request) = requests.recv() => self.take(request),
                Some(done) = self.jobs.join_next() => {
                    let outcome = match done {
                        Ok(done) => self.apply(done),
                        Err(error) => {
                            tracing::error!(error = %error, "a job ended without a result; everything is looked at again");
                            self.start_over();
                            Ok(())
                        }
                    };
                    if let Err(error) = outcome && !self.regain(&error).await {
                        return End::Replaced;
                    }
                }
            }
        }
    }

    /// Lets what runs end, within the limit; what is left ends with its connection, and leaves only whole entries.
    async fn drain(&mut self) {
        let finish = async { while self.jobs.join_next().await.is_some() {} };
        if tokio::time::timeout(self.settings.drain_timeout, finish).await.is_err() {
            let left = self.jobs.len();
            let limit_ms = self.settings.drain_timeout.as_millis();
            tracing::warn!(left, limit_ms, "jobs did not end in time; they are abandoned");
            self.jobs.abort_all();
        }
    }

    /// Everything that is thought to be ready is looked at again.
    fn start_over(&mut self) {
        self.doubted = false;
        self.jobs.abort_all();
        self.jobs = JoinSet::new();
        self.store_jobs = 0;
        (self.fleet_running, self.look_running, self.ranking) = (false, false, false);
        self.queue = Queue::default();
        self.watcher.reset();
        self.shelf.clear();
        self.questions.start_over();
        let (current, gone) = self.shelf.kept_of(None);
        self.make_again(current, &gone);
        self.adopted = false;
        self.cycle = Cycle::default();
        self.begin_cycle();
        // Whoever looks before the next second must not be told of what was.
        self.note_state();
    }

    /// Renews the lease, and finds out in the same step whether the cache was emptied: then the fence, which never expires, is
    /// gone.
    async fn keep_lease(&mut self) -> bool {
        match self.renew_lease().await {
            Some(Renewed { mine: false, .. }) => false,
            Some(Renewed { emptied, .. }) => {
                if emptied {
                    tracing::warn!("redis was emptied; everything is made again");
                }
                if emptied || self.doubted {
                    self.start_over();
                }
                true
            }
            None => true,
        }
    }

    /// What the cache says of the lease; `None` if it says nothing.
    async fn renew_lease(&mut self) -> Option<Renewed> {
        match self.warming.levels.cache().acquire(&self.fence, self.settings.lease).await {
            Ok(holder) => {
                Some(Renewed { mine: holder.owner == self.fence.owner, emptied: !holder.fence_stood })
            }
            Err(error) => {
                tracing::warn!(error = %error, "the lease could not be renewed");
                None
            }
        }
    }

    /// After a failed write: whether this warmer may go on. A fence that is gone means an emptied cache.
    async fn regain(&mut self, error: &WarmError) -> bool {
        let WarmError::Cache(error) = error else { return true };
        if error.kind() != CacheErrorKind::LeaseLost {
            return true;
        }
        tracing::warn!(error = %error, "a write was refused");
        match self.renew_lease().await {
            Some(renewed) => {
                if renewed.mine {
                    self.start_over();
                }
                renewed.mine
            }
            // Started over at once, it would be refused again and again; the next renewal that is answered sees to it.
            None => {
                self.doubted = true;
                true
            }
        }
    }

    async fn every_second(&mut self) {
        if !self.progress.is_paused() && self.watcher.begin_sweep(Instant::now()) {
            self.jobs.spawn(jobs::sweep(Arc::clone(&self.watcher), self.shelf.scope().clone()));
        }
        let paused = self.warming.levels.is_paused().await;
        self.progress.health().redis_answers(paused.is_some());
        if let Some(paused) = paused
            && self.progress.set_paused(paused)
        {
            tracing::info!(paused, "warming was {}", if paused { "paused" } else { "resumed" });
        }
        self.take_operators_requests().await;
        self.refresh_confirmations();
        self.remember();
        self.note_state();
    }

    /// What is shown of the daemon from now on.
    fn note_state(&self) {
        let answered = self.learned.with(|state| {
            state.last_day = self.shelf.scope().directory.last_day();
            state.interest.answered().clone()
        });
        let unready = self.unready();
        self.progress.note(|counts| {
            counts.unready = unready;
            counts.answered = answered;
            counts.stores_ready = self.shelf.ready_stores().count();
            counts.stores = self.shelf.scope().directory.stores().len();
            counts.waiting = self.queue.len();
            counts.phase = self.cycle.phase;
            counts.answers_kept = self.shelf.kept_count();
        });
    }

    /// The first of the stores that are to be warmed.
    fn unready(&self) -> Vec<Unready> {
        let left_out = self.left_out.iter().map(|store_id| (store_id.as_str(), Waits::LeftOut));
        let waits = self.queue.waits().chain(left_out).take(UNREADY_TOLD);
        let told = |(store_id, why): (&str, Waits)| Unready {
            store_id: store_id.to_owned(),
            changed: self.shelf.is_ready(store_id),
            why,
        };
        waits.map(told).collect()
    }

    /// Starts what may run now, the most urgent first.
    fn start_jobs(&mut self) {
        if self.progress.is_paused() {
            return;
        }
        let now = now_ms();
        self.start_stores(now);
        self.start_questions(now);
        if !self.fleet_running
            && !self.queue.has_urgent(Priority::Changed, now)
            && let Some(parts) = self.shelf.fleet()
        {
            self.fleet_running = true;
            self.shelf.fleet_taken(true);
            let (scope, ready) = (self.shelf.scope().clone(), self.shelf.responses());
            self.jobs.spawn(jobs::fleet(self.warming.clone(), scope, parts, ready));
        }
        self.advance_cycle(now);
    }

    fn apply(&mut self, done: Done) -> Result<(), WarmError> {
        match done {
            Done::Store { job, work, priority, result } => {
                self.store_jobs -= 1;
                self.apply_store(&job, work, priority, result)
            }
            Done::Fleet(result) => {
                self.fleet_running = false;
                match result {
                    Ok(counts) => {
                        self.progress.wrote(&counts);
                        if !self.shelf.is_fleet_dirty() {
                            self.watcher.directory_written();
                        }
                    }
                    Err(error) => {
                        self.shelf.fleet_taken(false);
                        self.progress.failed("fleet", &error);
                        return Err(error);
                    }
                }
                Ok(())
            }
            Done::Answer { query, missed, result } => self.apply_answer(&query, missed, result),
            Done::Forgotten(left, result) => self.apply_forgotten(left, result),
            Done::Looked(result) => self.apply_look(result),
            Done::Swept(result) => self.apply_sweep(result),
            Done::Memory(result) => self.apply_memory(result),
            Done::Published(result) => result.inspect_err(|error| self.progress.failed("plan", error)),
            Done::Probed(result) => self.apply_probe(result),
            Done::Confirmed(result) => self.end_cycle(result),
            Done::Refreshed(result) => result.inspect_err(|error| self.progress.failed("confirm", error)),
        }
    }

    /// What must outlive this daemon: which documents are kept.
    fn remember(&self) {
        let kept = self.shelf.kept().map(|(_, relative)| relative).collect();
        self.learned.with(|state| state.kept = kept);
    }
}
