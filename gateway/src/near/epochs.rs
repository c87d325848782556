//! When what last changed, counted in epochs: whether something that was read before is still right. Pure.
//!
//! A fill notes the epoch before it reads. What it read is right for as long as nothing it was made of moved after that
//! epoch: the same test tells whether a fill may be kept, and whether what was kept may be used.

use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

/// Keys share this many places, so that memory does not grow with the number of keys ever seen. Keys that share one seem
/// to change together, which costs a look-up and is never wrong.
const SLOTS: usize = 1 << 12;

/// A count of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Epoch(u64);

/// What something was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    all_stores: bool,
    /// Ascending, without repeats.
    slots: Box<[u16]>,
}

impl Watched {
    /// What has versions under these keys; `all_stores` if a change of any store counts.
    pub(crate) fn new(keys: impl IntoIterator<Item = String>, all_stores: bool) -> Self {
        let mut slots: Vec<u16> = keys.into_iter().map(|key| slot(&key)).collect();
        slots.sort_unstable();
        slots.dedup();
        Self { all_stores, slots: slots.into() }
    }

    /// Bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        self.slots.len() * size_of::<u16>()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "below the number of slots")]
fn slot(key: &str) -> u16 {
    (xxh3_64(key.as_bytes()) % SLOTS as u64) as u16
}

/// The epoch now, and that in which each key last changed.
#[derive(Debug)]
pub(crate) struct Epochs {
    now: AtomicU64,
    everything: AtomicU64,
    any_store: AtomicU64,
    slots: Box<[AtomicU64]>,
}

impl Default for Epochs {
    fn default() -> Self {
        Self {
            now: AtomicU64::default(),
            everything: AtomicU64::default(),
            any_store: AtomicU64::default(),
            slots: (0..SLOTS).map(|_| AtomicU64::default()).collect(),
        }
    }
}

impl Epochs {
    /// The epoch now, to be noted before anything is read.
    pub(crate) fn now(&self) -> Epoch {
        Epoch(self.now.load(Ordering::SeqCst))
    }

    fn next(&self) -> u64 {
        self.now.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// What has its version under this key changed.
    pub(crate) fn moved(&self, key: &str) {
        let at = self.next();
        self.slots[usize::from(slot(key))].fetch_max(at, Ordering::SeqCst);
    }

    /// Some store changed, or which stores there are.
    pub(crate) fn stores_moved(&self) {
        let at = self.next();
        self.any_store.fetch_max(at, Ordering::SeqCst);
    }

    /// Everything may have changed.
    pub(crate) fn everything_moved(&self) {
        let at = self.next();
        self.everything.fetch_max(at, Ordering::SeqCst);
    }

    /// The epoch in which any of it last changed.
    pub(crate) fn last_change(&self, watched: &Watched) -> Epoch {
        let mut last = self.everything.load(Ordering::SeqCst);
        if watched.all_stores {
            last = last.max(self.any_store.load(Ordering::SeqCst));
        }
        let slots = watched.slots.iter().map(|slot| self.slots[usize::from(*slot)].load(Ordering::SeqCst));
        Epoch(slots.fold(last, u64::max))
    }

    /// Whether what was read in an epoch is still right.
    pub(crate) fn is_right(&self, watched: &Watched, read_in: Epoch) -> bool {
        self.last_change(watched) <= read_in
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(keys: &[&str]) -> Watched {
        Watched::new(keys.iter().map(ToString::to_string), false)
    }

    #[test]
    fn what_was_read_before_a_change_is_wrong_and_after_it_right() {
        let epochs = Epochs::default();
        let (ab, c, all) = (watched(&["a", "b"]), watched(&["c"]), Watched::new([], true));
        let right = |epoch| [&ab, &c, &all].map(|watched| epochs.is_right(watched, epoch));
        let before = epochs.now();
        assert_eq!(right(before), [true, true, true]);
        epochs.moved("b");
        assert_eq!(right(before), [false, true, true]);
        assert_eq!(right(epochs.now()), [true, true, true]);
        let between = epochs.now();
        epochs.stores_moved();
        assert_eq!((right(before), right(between)), ([false, true, false], [true, true, false]));
        let last = epochs.now();
        epochs.everything_moved();
        assert_eq!(right(last), [false, false, false]);
        assert_eq!(right(epochs.now()), [true, true, true]);
    }

    #[test]
    fn a_change_makes_another_last_change() {
        let epochs = Epochs::default();
        let of = watched(&["a"]);
        let first = epochs.last_change(&of);
        epochs.moved("b");
        assert_eq!(epochs.last_change(&of), first);
        epochs.moved("a");
        assert!(epochs.last_change(&of) > first);
    }
}
