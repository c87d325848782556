//! The access log's writer: requests add their lines to what waits (`access_log/queue.rs`, bounded) and never wait
//! themselves; a thread of its own writes them in batches (`access_log/writer.rs`) to a file that it rotates
//! (`RotatedFile`). Format: `docs/access-log.md`.

mod pending;
mod queue;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use shared::access_log::request_line::Answered;
use shared::access_log::{Event, Refresh, RequestLine, line};
use shared::config::AccessLogSettings;
use shared::runtime::RotatedFile;
use tokio::sync::oneshot;

pub(crate) use pending::{Pending, question};
use queue::{Queue, Written};

/// About as long as most lines.
const LINE_BYTES: usize = 512;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Lines written.
    pub written: u64,
    /// Bytes of lines written.
    pub written_bytes: u64,
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
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    instance: String,
    drain_timeout: Duration,
    confirm_timeout: Duration,
}

/// What handles and writer both see.
#[derive(Debug, Default)]
struct Shared {
    written: AtomicU64,
    written_bytes: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    rotated: AtomicU64,
    /// Whether the last write failed.
    failing: AtomicBool,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.queue.stop(None);
    }
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
        let queue = Arc::new(Queue::new(settings.queue, settings.queue_bytes));
        let shared = Arc::new(Shared::default());
        let file = RotatedFile::new(path, settings.max_size, settings.max_age, settings.keep);
        let writer = writer::Writer::new(file, Arc::clone(&queue), Arc::clone(&shared));
        // Not joined: a disk that hangs must not keep the process from ending.
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run())?;
        let open = Open {
            queue,
            shared,
            instance: settings.instance.clone().unwrap_or_else(|| address.to_owned()),
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
            written_bytes: count(&open.shared.written_bytes),
            dropped: count(&open.shared.dropped),
            failed: count(&open.shared.failed),
            rotated: count(&open.shared.rotated),
        }
    }

    /// Takes the line of a request, or drops and counts it. Never waits.
    pub(crate) fn record(&self, request: RequestLine<'_>) {
        let Some(open) = &self.open else { return };
        let answer = Answered { instance: Some(&open.instance), ..request.answer };
        let request = RequestLine { answer, ..request };
        let mut text = Vec::with_capacity(LINE_BYTES);
        match line::write_request(&request, &mut text) {
            Ok(()) if open.queue.push(&text, None) => {}
            Ok(()) => _ = open.shared.dropped.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                // Targets are cut and names bounded, so this is a mistake of the program.
                open.shared.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(error = %error, "a request cannot be written as a line of the access log");
            }
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
        let mut text = Vec::with_capacity(LINE_BYTES);
        line::write(&Event::Refresh(refresh), &mut text).map_err(|_| NotTaken::TooLong)?;
        if open.queue.push(&text, written) { Ok(()) } else { Err(NotTaken::Full) }
    }

    /// Writes what waits, and ends the writer; at most for the time that the settings give it.
    pub async fn finish(&self) {
        let Some(open) = &self.open else { return };
        let finished = async {
            let (done, written) = oneshot::channel();
            open.queue.stop(Some(done));
            // A writer that has ended already has written everything.
            let _ = written.await;
        };
        if tokio::time::timeout(open.drain_timeout, finished).await.is_err() {
            tracing::warn!(
                limit_ms = open.drain_timeout.as_millis(),
                "the access log could not be written in time; its last lines are lost"
            );
        }
    }
}
