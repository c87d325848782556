//! Watching keys: whoever keeps what he read from the cache hears when it changes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::Write;

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// From now on every change is told. What was read before may be old.
    Connected,
    /// These keys changed.
    Keys(Vec<String>),
    /// Everything may have changed: the cache was emptied, or a message could not be read.
    Everything,
    /// Changes are not told any more, until the next [`Change::Connected`].
    Disconnected,
}

/// Takes what a watcher is told, on the thread that reads it: must be quick, and must not call the cache.
pub type Told = Arc<dyn Fn(Change) + Send + Sync>;

/// Those who watch the cache in this process's memory.
#[derive(Clone, Default)]
pub(super) struct Watchers {
    watchers: Arc<Mutex<Vec<Watcher>>>,
}

struct Watcher {
    prefix: String,
    told: Told,
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").finish_non_exhaustive()
    }
}

/// Ends its watching when dropped.
pub(super) struct Watching {
    watchers: Watchers,
    told: Told,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut watchers = self.watchers.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| !Arc::ptr_eq(&watcher.told, &self.told));
        (self.told)(Change::Disconnected);
    }
}

impl Watchers {
    /// Tells `told` of changes of the keys that begin with `prefix`.
    pub(super) fn watch(&self, prefix: &str, told: Told) -> Watching {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.push(Watcher { prefix: prefix.to_owned(), told: Arc::clone(&told) });
        told(Change::Connected);
        Watching { watchers: self.clone(), told }
    }

    /// Tells of the keys that a transaction changes. Call it while readers still wait for the transaction: what they
    /// read before it is then old, and what they read after it new.
    pub(super) fn tell(&self, writes: &[Write]) {
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        for Watcher { prefix, told } in watchers.iter() {
            let keys = writes.iter().map(Write::key).filter(|key| key.starts_with(prefix.as_str()));
            let keys: Vec<String> = keys.map(str::to_owned).collect();
            if !keys.is_empty() {
                told(Change::Keys(keys));
            }
        }
    }
}
