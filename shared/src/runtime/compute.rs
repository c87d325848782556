//! Computing on a rayon pool behind a bounded queue, away from the threads that serve.

use std::sync::Arc;

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
        Ok(Self { threads: Arc::new(threads), places: Arc::new(Semaphore::new(queue)) })
    }

    /// Runs `work` on the pool; inside it, rayon's parallel iterators use the pool's threads.
    ///
    /// # Errors
    /// [`Busy`] at once if the queue is full, or if the work panicked (which rayon reports on standard error).
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        self.run_placed(place, work).await
    }

    /// As [`ComputePool::run`], but waits for a place in the queue: for work that is bounded elsewhere.
    ///
    /// # Errors
    /// [`Busy`] if the work panicked.
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
        let (done, result) = oneshot::channel();
        self.threads.spawn(move || {
            let value = work();
            drop(place);
            // Nobody waits any more if the request went away.
            let _ = done.send(value);
        });
        result.await.map_err(|_| Busy)
    }
}
