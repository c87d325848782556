//! Single flight: what many ask for at the same time is done once, for all of them.
//!
//! - [`Flights`]: one fill per question and representation, in a task of its own, so that a client that leaves does not
//!   cancel it for the others.
//! - [`store_days`]: one read of the source per missing store-day, whatever questions it is missing for.

pub(crate) mod store_days;

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::near::{Count, Counters};
use crate::problem::Problem;

/// What a fill came to, once it has.
type Landed<V> = Option<Result<V, Problem>>;

/// What is being done, by key.
pub(crate) struct Flights<K, V> {
    limit: usize,
    time_limit: Duration,
    flying: Mutex<HashMap<K, watch::Receiver<Landed<V>>>>,
    tasks: TaskTracker,
    counters: Arc<Counters>,
}

impl<K, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Makes room for the next flight of a key when dropped, also if the fill panics.
struct Landing<K: Hash + Eq, V> {
    flights: Arc<Flights<K, V>>,
    key: K,
}

impl<K: Hash + Eq, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.flights.flying.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl<K, V> Flights<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// At most `limit` at the same time, each of which may take `time_limit`.
    pub(crate) fn new(limit: usize, time_limit: Duration, counters: Arc<Counters>) -> Arc<Self> {
        let (flying, tasks) = (Mutex::default(), TaskTracker::new());
        Arc::new(Self { limit, time_limit, flying, tasks, counters })
    }

    /// How many there are now.
    pub(crate) fn len(&self) -> usize {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What `fill` comes to, or the fill of the same key that is under way. Whoever asks may stop waiting at any time; the
    /// fill goes on. Nothing of a failure is kept: the next asker tries again.
    ///
    /// # Errors
    /// As the fill; 503 if there are too many, or if it takes too long; 500 if it panics.
    pub(crate) async fn join<F>(self: &Arc<Self>, key: &K, fill: impl FnOnce() -> F) -> Result<V, Problem>
    where
        F: Future<Output = Result<V, Problem>> + Send + 'static,
    {
        let mut waiting = self.board(key, fill)?;
        match waiting.wait_for(Option::is_some).await {
            Ok(landed) => landed.clone().unwrap_or_else(|| Err(Problem::internal())),
            // The sender is gone without a word: the fill panicked.
            Err(_) => Err(Problem::internal()),
        }
    }

    fn board<F>(
        self: &Arc<Self>,
        key: &K,
        fill: impl FnOnce() -> F,
    ) -> Result<watch::Receiver<Landed<V>>, Problem>
    where
        F: Future<Output = Result<V, Problem>> + Send + 'static,
    {
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = flying.get(key) {
            self.counters.add(Count::flight_waits, 1);
            return Ok(waiting.clone());
        }
        if flying.len() >= self.limit {
            self.counters.add(Count::flights_refused, 1);
            return Err(Problem::too_many_questions());
        }
        let (landed, waiting) = watch::channel(None);
        flying.insert(key.clone(), waiting.clone());
        drop(flying);
        self.counters.add(Count::flights, 1);
        let landing = Landing { flights: Arc::clone(self), key: key.clone() };
        let (fill, limit, counters) = (fill(), self.time_limit, Arc::clone(&self.counters));
        self.tasks.spawn(async move {
            let result = match tokio::time::timeout(limit, fill).await {
                Ok(result) => result,
                Err(_) => Err(Problem::timeout()),
            };
            counters.add(Count::flights_failed, u64::from(result.is_err()));
            // First no more may join: what it filled is where the next asker looks first.
            drop(landing);
            landed.send_replace(Some(result));
        });
        Ok(waiting)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    fn flights(limit: usize) -> Arc<Flights<u8, usize>> {
        Flights::new(limit, Duration::from_secs(60), Arc::default())
    }

    /// A fill that waits for a permit, counts itself, and fails when told to.
    fn fill(
        gate: &Arc<Semaphore>,
        count: &Arc<AtomicUsize>,
        fails: bool,
    ) -> impl Future<Output = Result<usize, Problem>> + Send + 'static {
        let (gate, count) = (Arc::clone(gate), Arc::clone(count));
        async move {
            gate.acquire().await.unwrap().forget();
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            if fails { Err(Problem::starting()) } else { Ok(number) }
        }
    }

    #[tokio::test]
    async fn many_askers_one_fill_and_a_failure_is_not_kept() {
        let (flights, gate, count) = (flights(8), Arc::new(Semaphore::new(0)), Arc::default());
        for (fails, expected) in [(false, Ok(1)), (true, Err(Problem::starting())), (false, Ok(3))] {
            let askers: Vec<_> = (0..50)
                .map(|_| {
                    let (flights, fill) = (Arc::clone(&flights), fill(&gate, &count, fails));
                    tokio::spawn(async move { flights.join(&1, || fill).await })
                })
                .collect();
            let waits = || flights.counters.flight_waits();
            let before = waits();
            testkit::wait_until("all wait", Duration::from_secs(60), async || waits() == before + 49).await;
            gate.add_permits(1);
            for asker in askers {
                assert_eq!(asker.await.unwrap(), expected);
            }
            assert_eq!(flights.len(), 0);
        }
        assert_eq!((flights.counters.flights(), flights.counters.flights_failed()), (3, 1));
    }

    #[tokio::test]
    async fn whoever_leaves_does_not_cancel_it() {
        let (flights, gate, count) = (flights(8), Arc::new(Semaphore::new(0)), Arc::<AtomicUsize>::default());
        {
            let mut first = Box::pin(flights.join(&1, || fill(&gate, &count, false)));
            // Polled once: under way. Then it is dropped.
            assert!(futures_poll(first.as_mut()).is_none());
        }
        assert_eq!(flights.len(), 1);
        gate.add_permits(1);
        let second = flights.join(&1, || async { panic!("joins the first") }).await;
        assert_eq!((second, count.load(Ordering::SeqCst)), (Ok(1), 1));
    }

    fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn their_number_is_bounded_and_a_panic_makes_room() {
        let (flights, gate, count) = (flights(1), Arc::new(Semaphore::new(0)), Arc::<AtomicUsize>::default());
        let held = {
            let (flights, fill) = (Arc::clone(&flights), fill(&gate, &count, false));
            tokio::spawn(async move { flights.join(&1, || fill).await })
        };
        testkit::wait_until("it flies", Duration::from_secs(60), async || flights.len() == 1).await;
        let refused = flights.join(&2, || async { Ok(7) }).await;
        assert_eq!(refused.unwrap_err().status, http::StatusCode::SERVICE_UNAVAILABLE);
        gate.add_permits(1);
        assert_eq!(held.await.unwrap(), Ok(1));
        let panicked = flights.join(&3, || async { panic!("as this test wants") }).await;
        assert_eq!(panicked, Err(Problem::internal()));
        assert_eq!(flights.join(&3, || async { Ok(7) }).await, Ok(7));
    }

    #[tokio::test]
    async fn a_fill_has_a_time_limit() {
        let flights: Arc<Flights<u8, ()>> = Flights::new(1, Duration::from_millis(5), Arc::default());
        assert_eq!(flights.join(&1, std::future::pending).await, Err(Problem::timeout()));
        assert_eq!(flights.len(), 0);
    }
}
