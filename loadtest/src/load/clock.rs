//! Waiting to some microseconds. Tokio's timers have steps of a millisecond: at its end all would ask at once that were
//! to ask within it, and each burst makes latencies longer than those of people, who do not ask in step.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tokio::sync::oneshot;

/// Wakes who sleeps, from a thread of its own, which ends with the last clone; where the system has no thread left, by
/// tokio's timers.
#[derive(Clone, Debug)]
pub struct Clock(Option<Arc<Running>>);

#[derive(Debug)]
struct Running {
    sleepers: Arc<Sleepers>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Sleepers {
    state: Mutex<State>,
    /// Somebody sleeps who wakes before all others, or it is over.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Those who sleep, by when they wake; numbers tell apart who wakes at the same time.
    waiting: BTreeMap<(Instant, u64), oneshot::Sender<()>>,
    number: u64,
    is_over: bool,
}

impl Sleepers {
    fn state(&self) -> MutexGuard<'_, State> {
        // A list of those who wait stays one, whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let mut state = self.state();
        while !state.is_over {
            let now = Instant::now();
            while let Some(first) = state.waiting.first_entry().filter(|first| first.key().0 <= now) {
                // Who does not wait any more need not be woken.
                let _ = first.remove().send(());
            }
            let left = state.waiting.keys().next().map(|(at, _)| at.saturating_duration_since(now));
            state = match left {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Clock {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        let sleepers = Arc::new(Sleepers::default());
        let of_thread = Arc::clone(&sleepers);
        let thread = thread::Builder::new().name("clock".to_owned()).spawn(move || of_thread.wake());
        Self(thread.ok().map(|thread| Arc::new(Running { sleepers, thread: Some(thread) })))
    }

    /// Waits until then; not at all, if that is over.
    pub async fn sleep_until(&self, at: Instant) {
        if at <= Instant::now() {
            return;
        }
        let Some(running) = &self.0 else { return tokio::time::sleep_until(at.into()).await };
        let sleepers = &*running.sleepers;
        let (wake, woken) = oneshot::channel();
        let sleeper = {
            let mut state = sleepers.state();
            state.number += 1;
            let key = (at, state.number);
            state.waiting.insert(key, wake);
            if state.waiting.keys().next() == Some(&key) {
                sleepers.changed.notify_one();
            }
            Sleeper { sleepers, key }
        };
        // Who wakes it lives as long as this clock.
        let _ = woken.await;
        drop(sleeper);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.sleepers.state().is_over = true;
        self.sleepers.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

/// Somebody who sleeps, and is forgotten when dropped.
struct Sleeper<'a> {
    sleepers: &'a Sleepers,
    key: (Instant, u64),
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.sleepers.state().waiting.remove(&self.key);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn all_wake_and_nobody_early() {
        let clock = Clock::start();
        let start = Instant::now();
        let sleep = async |ms: u64| {
            let at = start + Duration::from_micros(ms * 1_000 + 300);
            clock.sleep_until(at).await;
            assert!(Instant::now() >= at);
        };
        tokio::join!(sleep(30), sleep(10), sleep(0), sleep(20), sleep(10));
        // What is over is not waited for.
        clock.sleep_until(start).await;
    }

    #[tokio::test]
    async fn who_waits_no_more_is_forgotten_and_holds_nobody_up() {
        let clock = Clock::start();
        let soon = Instant::now() + Duration::from_millis(5);
        let given_up = tokio::time::timeout(
            Duration::from_millis(1),
            clock.sleep_until(Instant::now() + Duration::from_secs(3_600)),
        );
        assert!(given_up.await.is_err());
        tokio::select! {
            biased;
            () = clock.sleep_until(soon) => {}
            () = clock.sleep_until(soon + Duration::from_secs(3_600)) => {}
        }
        let left = clock.0.as_ref().unwrap().sleepers.state().waiting.len();
        assert_eq!(left, 0);
    }
}
