//! The thread that writes: it collects what comes within a short time and writes it with one call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use shared::runtime::{RotatedFile, now_ms};

use super::Shared;
use super::queue::{BATCH_BYTES, Batch, Next, Queue};

/// How long records are collected: one wake-up and one write for all that come within it. Readers see a line after
/// about this time.
const COLLECT: Duration = Duration::from_millis(50);
/// How often drops are told, at most.
const TELL_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Writer {
    file: RotatedFile,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    drops: Drops,
}

impl Writer {
    pub(super) fn new(file: RotatedFile, queue: Arc<Queue>, shared: Arc<Shared>) -> Self {
        Self { file, queue, shared, drops: Drops::default() }
    }

    /// Writes until it is told to stop, or no handle is left.
    pub(super) fn run(mut self) {
        let mut batch = Batch::default();
        loop {
            let next = self.queue.take(&mut batch, COLLECT);
            self.write(&mut batch);
            match next {
                Next::More => self.tell_drops(false),
                Next::End(done) => {
                    self.tell_drops(true);
                    self.file.sync();
                    if let Some(done) = done {
                        // Nobody waits any more if it took too long.
                        let _ = done.send(());
                    }
                    return;
                }
            }
        }
    }

    fn write(&mut self, batch: &mut Batch) {
        if batch.lines == 0 {
            return;
        }
        let was_failing = self.shared.failing.load(Ordering::Relaxed);
        let lines = batch.lines as u64;
        let outcome = self.file.write(&batch.bytes, now_ms());
        for waiting in batch.waiting.drain(..) {
            // Who asked may have gone.
            let _ = waiting.send(outcome.is_ok());
        }
        match outcome {
            Ok(rotated) => {
                self.shared.written.fetch_add(lines, Ordering::Relaxed);
                self.shared.written_bytes.fetch_add(batch.bytes.len() as u64, Ordering::Relaxed);
                self.shared.rotated.fetch_add(u64::from(rotated), Ordering::Relaxed);
                if was_failing {
                    let lost = self.shared.failed.load(Ordering::Relaxed);
                    tracing::info!(lost, "the access log can be written again");
                }
                self.shared.failing.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                self.shared.failed.fetch_add(lines, Ordering::Relaxed);
                self.shared.failing.store(true, Ordering::Relaxed);
                if !was_failing {
                    tracing::warn!(
                        path = %self.file.path().display(),
                        error = %error,
                        "the access log cannot be written; requests are served, their records are lost until it can"
                    );
                }
            }
        }
        batch.lines = 0;
        batch.bytes.clear();
        batch.bytes.shrink_to(BATCH_BYTES);
    }

    fn tell_drops(&mut self, now: bool) {
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        if let Some(more) = self.drops.news(dropped, Instant::now(), now) {
            tracing::warn!(
                dropped = more,
                total = dropped,
                "records of the access log were dropped, its queue was full; raise access_log.queue or use a faster disk"
            );
        }
    }
}

/// What was told of drops.
#[derive(Default)]
struct Drops {
    told: u64,
    at: Option<Instant>,
}

impl Drops {
    /// How many there are that were not told yet, if it is time to tell.
    fn news(&mut self, dropped: u64, now: Instant, at_once: bool) -> Option<u64> {
        let due = self.at.is_none_or(|at| now.saturating_duration_since(at) >= TELL_EVERY);
        if dropped == self.told || !(due || at_once) {
            return None;
        }
        let more = dropped - self.told;
        (self.told, self.at) = (dropped, Some(now));
        Some(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_told_once_in_a_while() {
        let (mut drops, start) = (Drops::default(), Instant::now());
        assert_eq!(drops.news(0, start, true), None);
        assert_eq!(drops.news(3, start, false), Some(3));
        assert_eq!(drops.news(5, start + Duration::from_secs(9), false), None);
        assert_eq!(drops.news(7, start + Duration::from_secs(10), false), Some(4));
        assert_eq!(drops.news(7, start + Duration::from_secs(99), true), None);
        assert_eq!(drops.news(8, start + Duration::from_secs(10), true), Some(1));
    }
}
