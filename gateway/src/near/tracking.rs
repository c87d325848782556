//! What is told of changes, and what follows from it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use shared::cache::{Cache, Change};
use shared::model::Directory;

use super::{Count, Near};

/// Tells when it ends, however that happens.
struct Following(Near);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.told(Change::Disconnected);
    }
}

impl Near {
    /// Follows the cache's changes, for ever, and beside it `directory`, which reads the directory again after them. If
    /// the near cache is off, does nothing. Should either of them panic, nothing is kept near any more.
    pub(crate) async fn follow(
        self,
        cache: Cache,
        keepalive: Duration,
        directory: impl Future<Output = Infallible>,
    ) -> Infallible {
        if !self.inner.enabled {
            return std::future::pending().await;
        }
        let following = Following(self);
        let (near, prefix) = (following.0.clone(), following.0.inner.keys.versions());
        tokio::select! {
            never = cache.watch(&prefix, keepalive, Arc::new(move |change| near.told(change))) => never,
            never = directory => never,
        }
    }

    pub(super) fn told(&self, change: Change) {
        let counters = &self.inner.counters;
        match change {
            Change::Connected => {
                // First the epoch: whoever sees the connection sees that all before it is old.
                self.inner.epochs.everything_moved();
                self.inner.session.fetch_add(1, Ordering::SeqCst);
                self.inner.connected.store(true, Ordering::SeqCst);
                tracing::info!("changes are told; answers are kept near");
                self.inner.directory.notify_one();
            }
            Change::Keys(keys) => {
                counters.add(Count::changes, keys.len() as u64);
                for key in &keys {
                    self.key_changed(key);
                }
            }
            Change::Everything => {
                self.inner.epochs.everything_moved();
                self.inner.responses.clear();
                self.inner.pieces.clear();
                counters.add(Count::dropped_by_emptying, 1);
                self.inner.directory.notify_one();
            }
            Change::Disconnected => {
                self.inner.connected.store(false, Ordering::SeqCst);
                self.inner.epochs.everything_moved();
                self.inner.responses.clear();
                self.inner.pieces.clear();
                counters.add(Count::dropped_by_disconnection, 1);
            }
        }
    }

    fn key_changed(&self, key: &str) {
        let Self { inner } = self;
        inner.epochs.moved(key);
        // Documents made again say nothing of stores.
        if !key.starts_with(&inner.keys.answer_versions()) {
            inner.epochs.stores_moved();
            inner.directory.notify_one();
        }
    }

    /// Completes when the directory may have changed since the last time.
    pub(crate) async fn directory_may_have_changed(&self) {
        self.inner.directory.notified().await;
        self.inner.counters.add(Count::directory_reads, 1);
    }

    /// A newer directory is used from now on: what was made with the older one is right only where they agree.
    pub(crate) fn directory_changed(&self, before: &Directory, now: &Directory) {
        let epochs = &self.inner.epochs;
        let differ = |a: &Directory, b: &Directory| {
            for store in a.stores().iter().filter(|store| b.get(&store.store_id) != Some(*store)) {
                epochs.moved(&self.inner.keys.store_version(&store.store_id));
            }
        };
        differ(before, now);
        differ(now, before);
        epochs.stores_moved();
    }
}
