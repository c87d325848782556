//! Computing on a rayon pool behind a bounded queue, away from the threads that serve.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Semaphore, oneshot};

/// The queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many computations are waiting")]
pub struct Busy;

/// A pool of threads for computing, with a limit on what runs and waits.
#[derive(Clone, Debug)]
pub struct ComputePool {
    threads: Arc<rayon::ThreadPool>,
    places: Arc<Semaphore>,
    queue: usize,
    refused: Arc<AtomicU64>,
}

impl ComputePool {
    /// A pool of `threads` threads on which at most `queue` computations run or wait.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn new(threads: usize, queue: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|n| format!("compute-{n}"))
            .build()?;
        let places = Arc::new(Semaphore::new(queue));
        Ok(Self { threads: Arc::new(threads), places, queue, refused: Arc::default() })
    }

    /// Computations that run or wait now.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.queue.saturating_sub(self.places.available_permits())
    }

    /// Most computations that may run or wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.queue
    }

    /// Computations that found the queue full.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Runs `work` on the pool; inside it, rayon's parallel iterators use the pool's threads. A panic of the work goes on
    /// in who waits for it: the pool and everybody else's work are none the worse.
    ///
    /// # Errors
    /// [`Busy`] at once if the queue is full.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Busy);
        };
        self.run_placed(place, work).await
    }

    /// As [`ComputePool::run`], but waits for a place in the queue: for work that is bounded elsewhere.
    ///
    /// # Errors
    /// None: the pool takes work for as long as it is there.
    pub async fn run_waiting<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Busy)?;
        self.run_placed(place, work).await
    }

    async fn run_placed<T: Send + 'static>(
        &self,
        place: tokio::sync::OwnedSemaphorePermit,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (done, result) = oneshot::channel::<Result<T, Box<dyn Any + Send>>>();
        self.threads.spawn(move || {
            // A panic that reaches rayon ends the process. What the work leaves half done goes with it.
            let value = catch_unwind(AssertUnwindSafe(work));
            drop(place);
            // Nobody waits any more if the request went away.
            let _ = done.send(value);
        });
        match result.await.map_err(|_| Busy)? {
            Ok(value) => Ok(value),
            Err(panic) => resume_unwind(panic),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_work_is_that_of_who_asked_for_it_alone() {
        let pool = ComputePool::new(1, 1).unwrap();
        let asker = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(|| panic!("a mistake")).await }
        });
        assert!(asker.await.unwrap_err().is_panic());
        // Its place is free again, and its thread lives.
        assert_eq!(pool.run(|| 7).await, Ok(7));
        assert_eq!((pool.in_use(), pool.refused()), (0, 0));
    }

    #[tokio::test]
    async fn work_beyond_the_queue_is_refused_and_counted() {
        let pool = ComputePool::new(1, 1).unwrap();
        let (go, wait) = std::sync::mpsc::sync_channel::<()>(0);
        let first = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || wait.recv().is_ok()).await }
        });
        while pool.in_use() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(|| true).await, Err(Busy));
        assert_eq!((pool.in_use(), pool.refused()), (1, 1));
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(true));
    }
}
