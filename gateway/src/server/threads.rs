//! The threads that serve connections. Each has a runtime of its own: a connection stays on its thread, and with it what its
//! requests wait for, so that an answer of Redis wakes nobody on another core.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shared::runtime::Heartbeat;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Time between two signs of life.
const BEAT: Duration = Duration::from_secs(1);

/// Threads that serve; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Threads {
    first: Thread,
    others: Vec<Thread>,
}

#[derive(Debug)]
struct Thread {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    heartbeat: Heartbeat,
    /// Ends the thread when dropped.
    _stop: oneshot::Sender<()>,
}

/// A thread, chosen for a connection; it counts there until this is dropped.
#[derive(Debug)]
pub(super) struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Threads {
    /// So many; 0 = one per core.
    ///
    /// # Errors
    /// If one cannot be started.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let count = match count {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        Ok(Self {
            first: Thread::start(0)?,
            others: (1..count).map(Thread::start).collect::<io::Result<_>>()?,
        })
    }

    /// What shows that they do not hang, and their runtimes.
    pub(super) fn told(&self) -> Vec<(Heartbeat, Handle)> {
        self.all().map(|thread| (thread.heartbeat.clone(), thread.runtime.clone())).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Thread> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The thread with the fewest connections, and a seat on it.
    pub(super) fn seat(&self) -> (&Handle, Seat) {
        let seats = |thread: &Thread| thread.connections.load(Ordering::Relaxed);
        let fewest = self
            .others
            .iter()
            .fold(&self.first, |fewest, other| if seats(other) < seats(fewest) { other } else { fewest });
        fewest.connections.fetch_add(1, Ordering::Relaxed);
        (&fewest.runtime, Seat(Arc::clone(&fewest.connections)))
    }
}

impl Thread {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let (handle, heartbeat) = (runtime.handle().clone(), Heartbeat::default());
        let beats = heartbeat.clone();
        // Not joined: it ends when nothing is left for it to do, or with the process.
        std::thread::Builder::new().name(format!("serve-{number}")).spawn(move || {
            runtime.block_on(beating(&beats, stopped));
            // What still blocks is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, connections: Arc::default(), heartbeat, _stop: stop })
    }
}

/// Beats until `stopped` completes.
async fn beating(heartbeat: &Heartbeat, mut stopped: oneshot::Receiver<()>) {
    let mut beats = tokio::time::interval(BEAT);
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            _ = beats.tick() => heartbeat.beat(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn connections_are_shared_out_evenly() {
        let threads = Threads::start(3).unwrap();
        let mut seats: Vec<Seat> = (0..9).map(|_| threads.seat().1).collect();
        let seated = || threads.all().map(|thread| thread.connections.load(Ordering::Relaxed));
        assert_eq!(seated().collect::<Vec<_>>(), [3, 3, 3]);
        // The first took the first, fourth and seventh.
        drop((seats.remove(3), seats.remove(0)));
        let more = [threads.seat().1, threads.seat().1];
        assert_eq!(seated().collect::<Vec<_>>(), [3, 3, 3]);
        drop((seats, more));
        assert_eq!(seated().sum::<usize>(), 0);
    }
}
