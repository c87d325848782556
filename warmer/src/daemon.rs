//! The daemon: one task decides what is done next, jobs do it. A cycle looks for changes, finds what is not ready,
//! warms it, and confirms the rest; between cycles the same queue takes what changed or was asked for, before
//! scheduled work.

mod cycle;
mod jobs;
mod lease;
mod progress;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use shared::cache::{CacheErrorKind, Fence, Read, Write};
use shared::config::{Settings, WarmSettings};
use shared::model::{Ask, Directory, Query};
use shared::runtime::now_ms;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::changes::{Listening, Watcher};
use crate::queue::{Priority, Queue, Work};
use crate::shelf::{self, Shelf};
use crate::store::StoreJob;
use crate::warming::{WarmError, Warming};
use cycle::Cycle;
use jobs::Done;
pub use progress::{Counts, CycleReport, Progress, Role};

/// What the daemon is told from outside while it runs. Bounded by the channel it comes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A question was asked that was not ready.
    Ask(Ask),
    /// Stores were asked to be read again.
    Refresh(Vec<String>),
    /// A cycle is wanted now.
    Cycle,
}

/// Everything that a running daemon holds.
pub struct Daemon {
    warming: Warming,
    settings: WarmSettings,
    fence: Fence,
    watcher: Arc<Watcher>,
    queue: Queue,
    shelf: Shelf,
    cycle: Cycle,
    jobs: JoinSet<Done>,
    /// Jobs on stores, of which so many run at a time.
    store_jobs: usize,
    fleet_running: bool,
    look_running: bool,
    hot: Arc<BTreeSet<String>>,
    /// Questions that wait to be resolved and composed, as they came.
    asks: VecDeque<Ask>,
    /// Kept questions of which a store changed, by canonical text.
    again: BTreeMap<String, Query>,
    /// Documents that are not kept any more.
    gone: Vec<Write>,
    answer_jobs: usize,
    progress: Progress,
}

/// Questions composed at the same time.
const ANSWERS_AT_ONCE: usize = 2;
/// Most questions that wait; further ones are left to the gateways, which compute them.
const MOST_ASKS: usize = 1_000;

/// Why the active part of the daemon ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It was asked to stop.
    Stop,
    /// Another warmer writes now.
    Replaced,
}

/// Runs until `stop` completes: stands by until it has the lease, then warms. `requests` may be closed.
///
/// # Errors
/// When the settings do not fit the servers; outages are waited out.
pub async fn run(
    settings: &Settings,
    warming: &Warming,
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
        let mut daemon = Daemon::new(settings, fenced, fence.clone(), progress.clone());
        let end = daemon.active(&mut requests, &mut stop).await;
        daemon.drain().await;
        daemon.watcher.close().await;
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
    fn new(settings: &Settings, warming: Warming, fence: Fence, progress: Progress) -> Self {
        let watcher = Arc::new(Watcher::new(settings, &warming));
        let shelf = Shelf::new(Directory::default(), warming.extent, settings.warm.answers);
        Self {
            warming,
            settings: settings.warm.clone(),
            fence,
            watcher,
            queue: Queue::default(),
            shelf,
            cycle: Cycle::default(),
            jobs: JoinSet::new(),
            store_jobs: 0,
            fleet_running: false,
            look_running: false,
            hot: Arc::default(),
            asks: VecDeque::new(),
            again: BTreeMap::new(),
            gone: Vec::new(),
            answer_jobs: 0,
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
        let mut seconds = every(Duration::from_secs(1));
        if let Read::Hit(directory) = self.warming.levels.read_directory().await {
            self.start_from(directory);
        }
        let watcher = Arc::clone(&self.watcher);
        let (mut listener, mut last_look) = (Listening::default(), Instant::now());
        loop {
            self.start_jobs();
            tokio::select! {
                () = &mut *stop => return End::Stop,
                _ = cycles.tick() => self.begin_cycle(),
                _ = leases.tick() => if !self.renew_lease().await { return End::Replaced },
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
        self.jobs.abort_all();
        self.jobs = JoinSet::new();
        (self.store_jobs, self.answer_jobs) = (0, 0);
        (self.fleet_running, self.look_running) = (false, false);
        self.queue = Queue::default();
        self.watcher.reset();
        self.shelf.clear();
        self.cycle = Cycle::default();
        self.begin_cycle();
    }

    async fn renew_lease(&mut self) -> bool {
        match self.warming.levels.cache().acquire(&self.fence, self.settings.lease).await {
            Ok(owner) => owner == self.fence.owner,
            Err(error) => {
                tracing::warn!(error = %error, "the lease could not be renewed");
                true
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
        let mine = self.renew_lease().await;
        if mine {
            self.start_over();
        }
        mine
    }

    async fn every_second(&mut self) {
        if !self.progress.is_paused() && self.watcher.begin_sweep(Instant::now()) {
            self.jobs.spawn(jobs::sweep(Arc::clone(&self.watcher), self.shelf.scope().clone()));
        }
        let paused = self.warming.levels.is_paused().await;
        if let Some(paused) = paused
            && self.progress.set_paused(paused)
        {
            tracing::info!(paused, "warming was {}", if paused { "paused" } else { "resumed" });
        }
        for request in self.warming.levels.take_requests(MOST_ASKS).await {
            match request.as_str() {
                "cycle" => self.take(Request::Cycle),
                other => match other.strip_prefix("refresh ") {
                    Some(stores) => {
                        self.take(Request::Refresh(stores.split(',').map(str::to_owned).collect()));
                    }
                    None => tracing::warn!(request = other, "a request is not understood"),
                },
            }
        }
        self.progress.note(|counts| {
            counts.stores_ready = self.shelf.ready_stores().count();
            counts.stores = self.shelf.scope().directory.stores().len();
            counts.waiting = self.queue.len();
            counts.answers_kept = self.shelf.kept_count();
        });
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Cycle => self.begin_cycle(),
            Request::Refresh(stores) => {
                for store in stores.iter().filter(|store| self.shelf.scope().directory.get(store).is_some()) {
                    self.queue.add(store, Work::Whole, Priority::Asked);
                }
            }
            Request::Ask(ask) => {
                if self.asks.len() < MOST_ASKS && !self.asks.contains(&ask) {
                    self.asks.push_back(ask);
                }
            }
        }
    }

    /// Starts what may run now, the most urgent first.
    fn start_jobs(&mut self) {
        if self.progress.is_paused() {
            return;
        }
        let now = now_ms();
        while self.store_jobs < self.warming.parallel_stores {
            let Some((store_id, work, priority)) = self.queue.next(now) else { break };
            let scope = self.shelf.scope().clone();
            if scope.directory.get(&store_id).is_none() {
                self.queue.done(&store_id);
                continue;
            }
            let job = StoreJob {
                hot: self.hot.contains(&store_id),
                before: self.shelf.retention_of(&store_id).or(scope.retention),
                scope,
                store_id,
            };
            self.store_jobs += 1;
            self.jobs.spawn(jobs::store(self.warming.clone(), job, work, priority));
        }
        // Documents are composed when what they are made of is there.
        let stores_wait = self.queue.has_urgent(Priority::Changed, now);
        while self.answer_jobs < ANSWERS_AT_ONCE && !stores_wait {
            let Some(query) = self.next_question() else { break };
            self.answer_jobs += 1;
            self.jobs.spawn(jobs::answer(self.warming.clone(), self.shelf.scope().clone(), query));
        }
        if !self.fleet_running
            && !stores_wait
            && let Some(parts) = self.shelf.fleet()
        {
            self.fleet_running = true;
            self.shelf.fleet_taken(true);
            let (scope, gone) = (self.shelf.scope().clone(), std::mem::take(&mut self.gone));
            self.jobs.spawn(jobs::fleet(self.warming.clone(), scope, parts, gone));
        }
        self.advance_cycle(now);
    }

    /// The next question to be composed: what was asked and not ready, before what was and changed.
    fn next_question(&mut self) -> Option<Query> {
        while let Some(ask) = self.asks.pop_front() {
            // A question that has no answer now needs none.
            let Ok(query) = ask.resolve(&self.shelf.scope().directory) else { continue };
            if query.range.is_none() {
                continue;
            }
            let out = self.shelf.keep(ask, query.clone());
            self.gone.extend(shelf::forget(self.warming.levels.keys(), out.as_slice()));
            return Some(query);
        }
        self.again.pop_first().map(|(_, query)| query)
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
            Done::Answer { query, result } => {
                self.answer_jobs -= 1;
                match result {
                    Ok(outcome) => {
                        self.progress.read(outcome.lines_read, 0);
                        self.progress.wrote(&outcome.counts);
                        Ok(())
                    }
                    Err(error) => {
                        self.progress.failed(&query.canonical(), &error);
                        Err(error)
                    }
                }
            }
            Done::Looked(result) => self.apply_look(result),
            Done::Swept(result) => self.apply_sweep(result),
            Done::Probed(result) => self.apply_probe(result),
            Done::Confirmed(result) => self.end_cycle(result),
        }
    }

    fn apply_store(
        &mut self,
        job: &StoreJob,
        work: Work,
        priority: Priority,
        result: Result<crate::store::StoreOutcome, WarmError>,
    ) -> Result<(), WarmError> {
        match result {
            Ok(outcome) => {
                self.queue.done(&job.store_id);
                self.progress.warmed(&outcome);
                if !self.shelf.put(&job.store_id, &job.scope, outcome.parts, job.hot) {
                    self.queue.add(&job.store_id, Work::Days(BTreeSet::new()), Priority::Hot);
                }
                if !self.queue.has(&job.store_id) {
                    self.watcher.written(&job.store_id);
                }
                let (current, gone) = self.shelf.kept_of(&BTreeSet::from([job.store_id.clone()]));
                self.gone.extend(shelf::forget(self.warming.levels.keys(), &gone));
                self.again.extend(current.into_iter().map(|query| (query.canonical(), query)));
                Ok(())
            }
            Err(error) => {
                let wait_ms = self.queue.failed(&job.store_id, work, priority, now_ms());
                tracing::warn!(store = job.store_id, error = %error, wait_ms, "a store was not warmed; it is tried again");
                self.progress.failed(&job.store_id, &error);
                Err(error)
            }
        }
    }
}
