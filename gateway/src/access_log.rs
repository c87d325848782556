//! The access log's writer: requests hand their records to a bounded queue and never wait; a thread of its own writes
//! them in batches (`access_log/writer.rs`) to a file that it rotates (`access_log/file.rs`). Format:
//! `docs/access-log.md`.

mod file;
mod pending;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use shared::access_log::{Event, MAX_LINE_BYTES, Refresh};
use shared::config::AccessLogSettings;
use tokio::sync::{mpsc, oneshot};

use file::LogFile;
pub(crate) use pending::{Details, Pending, ToList};

/// Bytes that a record takes beside its texts, about.
const RECORD_BYTES: usize = 400;

/// Why a refresh was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// No access log is kept.
    #[error("there is no access log; set access_log.path")]
    Off,
    /// Too many records wait.
    #[error("the access log's queue is full")]
    Full,
    /// The last write failed.
    #[error("the access log cannot be written; its disk may be full")]
    Failing,
    /// It would be longer than readers take.
    #[error("the refresh names too much; name fewer stores, or all")]
    TooLong,
    /// It was not written in time; it may still be.
    #[error("the access log was not written in time; its disk may be too slow")]
    Slow,
}

/// How many records came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines written.
    pub written: u64,
    /// Records dropped because the queue was full.
    pub dropped: u64,
    /// Records lost because the disk failed.
    pub failed: u64,
    /// Files that were rotated.
    pub rotated: u64,
}

/// A handle for records. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct AccessLog {
    open: Option<Arc<Open>>,
}

#[derive(Debug)]
struct Open {
    queue: mpsc::Sender<Message>,
    shared: Arc<Shared>,
    instance: String,
    queue_bytes: usize,
    drain_timeout: Duration,
    confirm_timeout: Duration,
}

/// What handles and writer both see.
#[derive(Debug, Default)]
struct Shared {
    /// Bytes of the records that wait.
    waiting: AtomicUsize,
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    rotated: AtomicU64,
    /// Whether the last write failed.
    failing: AtomicBool,
}

/// Tells whether a line was written; dropped if it never will be.
type Written = oneshot::Sender<bool>;

#[derive(Debug)]
enum Message {
    Record {
        event: Box<Event>,
        bytes: usize,
        /// Who waits to hear whether it was written.
        written: Option<Written>,
    },
    /// Everything before it is to be written, then the thread ends.
    Stop(oneshot::Sender<()>),
}

impl AccessLog {
    /// A log that takes nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Starts the writer; off if the settings name no file. `address` is the name of this gateway if they give none. The
    /// file is opened with the first record, and again whenever it cannot be written.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(settings: &AccessLogSettings, address: &str) -> std::io::Result<Self> {
        let Some(path) = settings.path.clone() else { return Ok(Self::off()) };
        let (queue, records) = mpsc::channel(settings.queue);
        let shared = Arc::new(Shared::default());
        let file = LogFile::new(path, settings.max_size, settings.max_age, settings.keep);
        let writer = writer::Writer::new(file, records, Arc::clone(&shared));
        // Not joined: a disk that hangs must not keep the process from ending.
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run())?;
        let open = Open {
            queue,
            shared,
            instance: settings.instance.clone().unwrap_or_else(|| address.to_owned()),
            queue_bytes: settings.queue_bytes,
            drain_timeout: settings.drain_timeout,
            confirm_timeout: settings.confirm_timeout,
        };
        Ok(Self { open: Some(Arc::new(open)) })
    }

    /// Whether records go anywhere.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.open.is_some()
    }

    /// What came of the records so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let Some(open) = &self.open else { return Counts::default() };
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            written: count(&open.shared.written),
            dropped: count(&open.shared.dropped),
            failed: count(&open.shared.failed),
            rotated: count(&open.shared.rotated),
        }
    }

    /// Takes the record of a request, or drops and counts it. Never waits.
    pub(crate) fn record(&self, mut request: shared::access_log::Request) {
        let Some(open) = &self.open else { return };
        request.instance = Some(open.instance.clone());
        let stores =
            request.stores.iter().flatten().map(|store| store.len() + size_of::<String>()).sum::<usize>();
        let bytes = RECORD_BYTES + request.path.len() + request.query.len() + stores;
        if open.queue(Event::Request(request), bytes, None).is_err() {
            open.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a refresh for the warmer, and waits until its line is written, at most `access_log.confirm_timeout`.
    ///
    /// # Errors
    /// If it was not written: whoever asked for it must know.
    pub async fn refresh(&self, refresh: Refresh) -> Result<(), NotTaken> {
        let (sender, written) = oneshot::channel();
        self.take_refresh(refresh, Some(sender))?;
        let limit = self.open.as_ref().map_or(Duration::ZERO, |open| open.confirm_timeout);
        match tokio::time::timeout(limit, written).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) => Err(NotTaken::Failing),
            Err(_) => Err(NotTaken::Slow),
        }
    }

    /// As [`Self::refresh`], without waiting: it is in the queue then, and may still be lost with it.
    ///
    /// # Errors
    /// If it cannot be taken.
    pub fn try_refresh(&self, refresh: Refresh) -> Result<(), NotTaken> {
        self.take_refresh(refresh, None)
    }

    fn take_refresh(&self, mut refresh: Refresh, written: Option<Written>) -> Result<(), NotTaken> {
        let open = self.open.as_ref().ok_or(NotTaken::Off)?;
        if open.shared.failing.load(Ordering::Relaxed) {
            return Err(NotTaken::Failing);
        }
        refresh.instance = Some(open.instance.clone());
        let stores =
            refresh.stores.iter().flatten().map(|store| store.len() + size_of::<String>()).sum::<usize>();
        let event = Event::Refresh(refresh);
        // Refreshes are rare: writing one to see its length costs nothing.
        if stores > MAX_LINE_BYTES || shared::access_log::line::write(&event, &mut Vec::new()).is_err() {
            return Err(NotTaken::TooLong);
        }
        open.queue(event, RECORD_BYTES + stores, written).map_err(|_| NotTaken::Full)
    }

    /// Writes what waits, and ends the writer; at most for the time that the settings give it.
    pub async fn finish(&self) {
        let Some(open) = &self.open else { return };
        let finished = async {
            let (done, written) = oneshot::channel();
            // A writer that has ended already has written everything.
            if open.queue.send(Message::Stop(done)).await.is_ok() {
                let _ = written.await;
            }
        };
        if tokio::time::timeout(open.drain_timeout, finished).await.is_err() {
            tracing::warn!(
                limit_ms = open.drain_timeout.as_millis(),
                "the access log could not be written in time; its last lines are lost"
            );
        }
    }
}

/// The queue has no room.
struct NoRoom;

impl Open {
    fn queue(&self, event: Event, bytes: usize, written: Option<Written>) -> Result<(), NoRoom> {
        let waiting = self.shared.waiting.fetch_add(bytes, Ordering::Relaxed);
        let fits = waiting.saturating_add(bytes) <= self.queue_bytes;
        let message = Message::Record { event: Box::new(event), bytes, written };
        if fits && self.queue.try_send(message).is_ok() {
            return Ok(());
        }
        self.shared.waiting.fetch_sub(bytes, Ordering::Relaxed);
        Err(NoRoom)
    }
}
