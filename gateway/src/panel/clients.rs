//! Who asked of late: distinct tokens, else addresses, of the last five minutes. A request costs one comparison in its own
//! thread, and a lock once in a step of its client.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use thread_local::ThreadLocal;

/// What is counted as one moment.
pub(super) const STEP: Duration = Duration::from_secs(15);
/// For how many steps a client counts as there.
const STEPS: u64 = 20;
/// For how long a client counts as there.
pub const WINDOW: Duration = Duration::from_secs(STEP.as_secs() * STEPS);
/// Most clients that are told apart: of more, those who came first.
const MOST: usize = 100_000;
/// Clients that a thread remembers, so that it need not ask whether they are known.
const REMEMBERED: usize = 256;

/// Clients of a thread that are known in this step: hash and step in one number.
#[derive(Debug)]
struct Remembered([AtomicU64; REMEMBERED]);

impl Default for Remembered {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; REMEMBERED])
    }
}

/// Who asked of late.
#[derive(Debug, Default)]
pub struct Clients {
    hasher: foldhash::quality::RandomState,
    step: AtomicU64,
    remembered: ThreadLocal<Remembered>,
    /// The step in which each was seen last, by hash.
    seen: Mutex<HashMap<u64, u64, foldhash::fast::RandomState>>,
}

impl Clients {
    /// Notes that somebody asked.
    pub fn note(&self, who: impl Hash) {
        let hash = self.hasher.hash_one(who);
        let step = self.step.load(Ordering::Relaxed);
        // Two clients in one place push each other out, and ask the lock again.
        #[allow(clippy::cast_possible_truncation, reason = "a place")]
        let place = self.remembered.get_or_default().0.get(hash as usize % REMEMBERED);
        // A step changes every number, and none is 0.
        let number = hash.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1;
        let Some(place) = place.filter(|place| place.load(Ordering::Relaxed) != number) else { return };
        place.store(number, Ordering::Relaxed);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MOST || seen.contains_key(&hash) {
            seen.insert(hash, step);
        }
    }

    /// A step has passed: who has not asked for too long is gone.
    pub(super) fn step(&self) {
        let step = self.step.fetch_add(1, Ordering::Relaxed) + 1;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, last| step - *last <= STEPS);
    }

    /// How many are there.
    #[must_use]
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_counts_once_and_for_a_while() {
        let clients = Clients::default();
        for _ in 0..3 {
            for client in 0..1000 {
                clients.note(client);
            }
        }
        assert_eq!(clients.count(), 1000);
        for _ in 0..STEPS {
            clients.note(7);
            clients.step();
        }
        assert_eq!(clients.count(), 1000);
        clients.step();
        assert_eq!(clients.count(), 1, "only one has asked since");
    }

    #[test]
    fn clients_are_bounded() {
        let clients = Clients::default();
        for client in 0..MOST + 10 {
            clients.note(client);
        }
        assert_eq!(clients.count(), MOST);
    }
}
