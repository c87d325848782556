//! Lines that wait for the writer: one buffer under a lock that is held for as long as a copy takes.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Bytes after which a batch is written at once: few enough to stay in a core's cache, beside the answers.
pub(super) const BATCH_BYTES: usize = 64 << 10;

/// Tells whether a line was written; dropped if it never will be.
pub(super) type Written = oneshot::Sender<bool>;

/// Lines that are written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: usize,
    /// Who waits to hear of them; no more than there are lines.
    pub(super) waiting: Vec<Written>,
}

/// Whether the writer goes on.
#[derive(Debug)]
pub(super) enum Next {
    More,
    /// This was the last batch; who asked for the end hears of it.
    End(Option<oneshot::Sender<()>>),
}

#[derive(Debug, Default)]
struct State {
    batch: Batch,
    stopped: bool,
    done: Option<oneshot::Sender<()>>,
}

/// The lines that wait, and the writer that waits for them.
#[derive(Debug)]
pub(super) struct Queue {
    max_lines: usize,
    max_bytes: usize,
    state: Mutex<State>,
    wake: Condvar,
}

impl Queue {
    pub(super) fn new(max_lines: usize, max_bytes: usize) -> Self {
        Self { max_lines, max_bytes, state: Mutex::default(), wake: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line; `false` if there is no room for it, or nobody writes any more.
    pub(super) fn push(&self, line: &[u8], written: Option<Written>) -> bool {
        let mut state = self.lock();
        let State { batch, stopped, .. } = &mut *state;
        let before = batch.bytes.len();
        let bytes = before.saturating_add(line.len());
        if batch.lines >= self.max_lines || bytes > self.max_bytes || *stopped {
            return false;
        }
        batch.bytes.extend_from_slice(line);
        batch.lines += 1;
        batch.waiting.extend(written);
        let wakes = batch.lines == 1 || (before < BATCH_BYTES && bytes >= BATCH_BYTES);
        drop(state);
        if wakes {
            self.wake.notify_one();
        }
        true
    }

    /// No more lines: what waits is the last batch.
    pub(super) fn stop(&self, done: Option<oneshot::Sender<()>>) {
        let mut state = self.lock();
        // After a first stop the writer may be gone: who asks again is not left waiting.
        if !state.stopped {
            (state.stopped, state.done) = (true, done);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Waits for a line, then for `collect` or a full batch, and swaps what waits for the empty `batch`.
    pub(super) fn take(&self, batch: &mut Batch, collect: Duration) -> Next {
        let state = self.lock();
        let state = self.wake.wait_while(state, |state| state.batch.lines == 0 && !state.stopped);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let few = |state: &mut State| state.batch.bytes.len() < BATCH_BYTES && !state.stopped;
        let (mut state, _) =
            self.wake.wait_timeout_while(state, collect, few).unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.batch, batch);
        if state.stopped { Next::End(state.done.take()) } else { Next::More }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_in_lines_and_bytes() {
        let queue = Queue::new(3, 10);
        assert_eq!([b"aaaa", b"bbbb", b"cccc"].map(|line| queue.push(line, None)), [true, true, false]);
        assert_eq!([b"d", b"e"].map(|line| queue.push(line, None)), [true, false]);
        let mut batch = Batch::default();
        assert!(matches!(queue.take(&mut batch, Duration::ZERO), Next::More));
        assert_eq!((batch.bytes.as_slice(), batch.lines), (&b"aaaabbbbd"[..], 3));
        // There is room again.
        assert!(queue.push(b"f", None));
    }

    #[test]
    fn what_waits_when_it_is_stopped_is_the_last_batch() {
        let queue = Queue::new(3, 10);
        let (done, mut ended) = oneshot::channel();
        assert!(queue.push(b"a", None));
        queue.stop(Some(done));
        assert!(!queue.push(b"b", None));
        let mut batch = Batch::default();
        let Next::End(Some(done)) = queue.take(&mut batch, Duration::MAX) else { panic!() };
        assert_eq!(batch.bytes, b"a");
        done.send(()).unwrap();
        assert_eq!(ended.try_recv(), Ok(()));
        // Whoever asks once more hears that nobody answers.
        let (again, mut ended) = oneshot::channel();
        queue.stop(Some(again));
        assert_eq!(ended.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
