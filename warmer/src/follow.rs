//! Follows the access logs: what is asked for becomes heat; what was missed and what shall be refreshed is told to the
//! daemon at once.

mod allowance;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shared::access_log::{Event, Refresh, Request as Record};
use shared::config::HeatSettings;
use shared::runtime::now_ms;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::daemon::{Progress, Request};
use crate::interest::Wanted;
use crate::learned::Learned;
use crate::log_reader::{Batch, Fault, LogReader, PatternError, ReaderSettings};
use allowance::Allowance;

/// Bytes that are read at a time, between which the daemon may look at what was learned.
const BATCH_BYTES: usize = 1 << 20;
/// Misses older than this are heat only: whoever missed has an answer by now, as when old logs are read.
const MISSED_LATELY_MS: i64 = 60_000;
/// Refreshes older than this are left out: what changed since is found by looking.
const REFRESHED_LATELY_MS: i64 = 3_600_000;
/// From one time that what was learned is saved to the next.
const SAVE_PERIOD: Duration = Duration::from_secs(30);
/// From one time that faults are told to the next: damaged logs would fill the log.
const TELL_PERIOD_MS: i64 = 60_000;
/// Requests about which one batch tells the daemon, at most.
const MOST_REQUESTS: usize = 1_000;

/// Checks that the patterns of logs are patterns.
///
/// # Errors
/// If one is no glob.
pub fn check(settings: &HeatSettings) -> Result<(), PatternError> {
    LogReader::new(ReaderSettings::new(settings.logs.clone())).map(|_| ())
}

/// Reads the logs, and makes of them what the daemon wants to know.
#[derive(Debug)]
pub struct Follower {
    reader: LogReader,
    allowance: Allowance,
    poll_interval: Duration,
    /// When faults were told last.
    told: i64,
}

impl Follower {
    /// Begins where what was learned says.
    ///
    /// # Errors
    /// If a pattern is no glob.
    pub fn open(settings: &HeatSettings, learned: &Learned) -> Result<Self, PatternError> {
        if settings.logs.is_empty() {
            tracing::warn!("no access log is read, so the largest stores count as hot; set heat.logs");
        }
        let mut reader_settings = ReaderSettings::new(settings.logs.clone());
        reader_settings.max_files = settings.max_files;
        let positions = learned.with(|state| state.positions.clone());
        Ok(Self {
            reader: LogReader::restore(reader_settings, positions)?,
            allowance: Allowance::new(settings),
            poll_interval: settings.poll_interval,
            told: i64::MIN,
        })
    }

    /// Follows the logs until dropped. Only the warmer that writes tells its daemon of misses, and saves what it learned.
    pub async fn run(self, learned: Arc<Learned>, progress: Progress, requests: mpsc::Sender<Request>) {
        let mut ticks = interval(self.poll_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut follower, mut saved) = (self, Instant::now());
        loop {
            ticks.tick().await;
            loop {
                let (of_learned, of_progress) = (Arc::clone(&learned), progress.clone());
                let step = tokio::task::spawn_blocking(move || {
                    let (more, wishes) = follower.step(&of_learned, &of_progress);
                    (follower, more, wishes)
                });
                let (back, more, wishes) = match step.await {
                    Ok(step) => step,
                    Err(error) => {
                        tracing::error!(error = %error, "reading the access logs ended; what is asked is not learned any more: restart the warmer");
                        return;
                    }
                };
                follower = back;
                if progress.is_active() {
                    tell(&requests, &progress, wishes);
                }
                if !more {
                    break;
                }
            }
            if saved.elapsed() >= SAVE_PERIOD && progress.is_active() {
                saved = Instant::now();
                save(Arc::clone(&learned)).await;
            }
        }
    }
}

/// Saves what was learned; a failure is logged, and the next time tries again.
pub async fn save(learned: Arc<Learned>) {
    match tokio::task::spawn_blocking(move || learned.save()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = %error, "what was learned could not be saved"),
        Err(error) => tracing::error!(error = %error, "saving what was learned ended without a result"),
    }
}

/// What does not fit into the queue is left to the next cycle, which knows it by its heat.
fn tell(requests: &mpsc::Sender<Request>, progress: &Progress, wishes: Vec<Request>) {
    for wish in wishes {
        if requests.try_send(wish).is_err() {
            progress.note(|counts| counts.requests_dropped += 1);
        }
    }
}

impl Follower {
    /// Reads what is new; gives whether there is more, and what the daemon is to be told.
    fn step(&mut self, learned: &Learned, progress: &Progress) -> (bool, Vec<Request>) {
        let now = now_ms();
        let Batch { events, counts, faults, more } = self.reader.poll(BATCH_BYTES, now);
        progress.note(|of| {
            of.log.add(&counts);
            of.log_backlog = self.reader.backlog();
        });
        self.tell_faults(&faults, now);
        if events.is_empty() && counts.bytes == 0 && counts.files == 0 && counts.restarted == 0 {
            return (more, Vec::new());
        }
        let mut wishes = Wishes::default();
        learned.with(|state| {
            let last_day = state.last_day;
            for event in &events {
                match event {
                    Event::Request(record) => {
                        let wanted = state.interest.record(record, last_day, now);
                        if now.saturating_sub(record.time) < MISSED_LATELY_MS {
                            wishes.add(wanted, record, &mut self.allowance, now);
                        }
                    }
                    Event::Refresh(refresh) => {
                        if now.saturating_sub(refresh.requested_at) < REFRESHED_LATELY_MS {
                            wishes.refresh(refresh, &mut self.allowance, now);
                        }
                    }
                }
            }
            // Together with what was made of them.
            state.positions = self.reader.positions();
        });
        progress.note(|counts| counts.requests_limited += wishes.limited);
        (more, wishes.told())
    }

    fn tell_faults(&mut self, faults: &[Fault], now: i64) {
        let Some(fault) = faults.first().filter(|_| now.saturating_sub(self.told) >= TELL_PERIOD_MS) else {
            return;
        };
        self.told = now;
        tracing::warn!(
            file = %fault.path.display(),
            offset = fault.offset,
            what = fault.what,
            "a line of an access log, or a file, cannot be read; it is left out"
        );
    }
}

/// What the daemon is to be told: each question and store once.
#[derive(Default)]
struct Wishes {
    asks: BTreeMap<String, Request>,
    lines: BTreeMap<String, Request>,
    refreshes: Vec<Request>,
    limited: u64,
}

impl Wishes {
    fn add(&mut self, wanted: Wanted, record: &Record, allowance: &mut Allowance, now: i64) {
        let token = record.token.as_deref().unwrap_or("");
        match wanted {
            Wanted::Question { ask, missed: true } => {
                let text = ask.to_string();
                if self.asks.contains_key(&text) {
                    return;
                }
                if allowance.miss(token, now) {
                    self.asks.insert(text, Request::Ask { ask, at: record.time });
                } else {
                    self.limited += 1;
                }
            }
            Wanted::Lines { store_id, missed: true } => {
                if self.lines.contains_key(&store_id) {
                    return;
                }
                if allowance.miss(token, now) {
                    let request = Request::Lines { store_id: store_id.clone(), at: record.time };
                    self.lines.insert(store_id, request);
                } else {
                    self.limited += 1;
                }
            }
            Wanted::Question { .. } | Wanted::Lines { .. } | Wanted::Nothing => {}
        }
    }

    fn refresh(&mut self, refresh: &Refresh, allowance: &mut Allowance, now: i64) {
        if !allowance.refresh(refresh.token.as_deref().unwrap_or(""), now) {
            self.limited += 1;
            return;
        }
        self.refreshes.push(Request::Refresh {
            stores: refresh.stores.clone(),
            from: refresh.from,
            to: refresh.to,
        });
    }

    fn told(self) -> Vec<Request> {
        let all = self.refreshes.into_iter().chain(self.asks.into_values()).chain(self.lines.into_values());
        all.take(MOST_REQUESTS).collect()
    }
}
