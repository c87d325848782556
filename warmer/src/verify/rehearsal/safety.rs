//! What must hold beside the levels themselves: entries go by themselves, damage is a miss, changes are told, and a writer that
//! lost its lease changes nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use shared::cache::{CacheError, CacheErrorKind, Change, Fence, Patience, Read, Write};
use shared::entry::EntryKind;
use shared::keys::Slot;
use tokio::sync::Notify;

use super::{PATIENCE, Seen, Stage};

impl Stage {
    /// Everything that was written goes by itself.
    pub(super) async fn expiry(&self) -> Seen {
        let keys = self.levels().keys();
        let soft = self.levels().ttl().soft(EntryKind::DayCell);
        let key = keys.day_cells(&self.store);
        let facts = self.redis.key_facts(&key).await.map_err(|error| error.to_string())?;
        match facts.and_then(|facts| facts.ttl) {
            Some(left) if left > soft => Ok(format!(
                "cells are fresh for {}, and go after {}",
                humantime::format_duration(soft),
                humantime::format_duration(Duration::from_secs(left.as_secs()))
            )),
            Some(left) => Err(format!("{key} goes in {} s, before it is stale", left.as_secs())),
            None => Err(format!("{key} never goes")),
        }
    }

    /// What was damaged is a miss, and counted.
    pub(super) async fn damage(&self) -> Seen {
        let (query, answer) = self.question()?;
        let slot = self.levels().keys().answer(&query);
        let write = self
            .levels()
            .write_answer(&query, &answer, &self.stamp(&query))
            .map_err(|error| error.to_string())?;
        let Write::Set { key, value, ttl } = write else { return Err("no write of one key".to_owned()) };
        let mut damaged = value.to_vec();
        if let Some(last) = damaged.last_mut() {
            *last ^= 1;
        }
        self.write(vec![Write::Set { key, value: Bytes::from(damaged), ttl }]).await?;
        let before = self.damages();
        match self.levels().read_answer(&query).await {
            Read::Miss if self.damages() == before + 1 => {
                Ok("an entry with a wrong byte is a miss, and counted".to_owned())
            }
            other => Err(format!("an entry with a wrong byte at {} was read as {other:?}", slot.key)),
        }
    }

    fn damages(&self) -> u64 {
        self.levels().damages().map(|(_, count)| count).sum()
    }

    /// Whoever watches hears of a change.
    pub(super) async fn change(&self) -> Seen {
        let key = self.levels().keys().store_version(&self.store);
        let (heard, ready) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let told = {
            let (heard, ready, key) = (Arc::clone(&heard), Arc::clone(&ready), key.clone());
            Arc::new(move |change: Change| match change {
                Change::Connected => ready.notify_one(),
                Change::Keys(keys) if keys.contains(&key) => heard.notify_one(),
                _ => {}
            })
        };
        let cache = self.levels().cache().clone();
        let watching = cache.watch(&key, Duration::from_secs(1), told);
        let changing = async {
            tokio::time::timeout(PATIENCE, ready.notified()).await.map_err(|_| {
                "changes cannot be followed (CLIENT TRACKING); Redis 6 or later is needed".to_owned()
            })?;
            let start = Instant::now();
            self.write(vec![Write::Bump { key: key.clone() }]).await?;
            tokio::time::timeout(PATIENCE, heard.notified())
                .await
                .map_err(|_| format!("a change was not told within {} s", PATIENCE.as_secs()))?;
            Ok(format!("a change is told after {:.1} ms", start.elapsed().as_secs_f64() * 1000.0))
        };
        tokio::select! {
            never = watching => match never {},
            seen = changing => seen,
        }
    }

    /// A writer whose lease another one has changes nothing.
    pub(super) async fn fence(&self) -> Seen {
        let (lease_key, fence_key) = self.levels().keys().lease();
        let fence = |owner: &str| Fence {
            lease_key: lease_key.clone(),
            fence_key: fence_key.clone(),
            owner: owner.to_owned(),
        };
        let told = |error: CacheError| error.to_string();
        let cache = self.levels().cache();
        cache.acquire(&fence("first"), PATIENCE).await.map_err(told)?;
        cache.seize(&fence("second"), PATIENCE).await.map_err(told)?;
        let key = format!("{}fenced", self.levels().keys().prefix());
        let write = Write::Set { key: key.clone(), value: Bytes::from_static(b"x"), ttl: PATIENCE };
        let late = cache.fenced(fence("first")).transact(vec![write]).await;
        match late {
            Err(error) if error.kind() == CacheErrorKind::LeaseLost => {}
            Err(error) => return Err(error.to_string()),
            Ok(()) => return Err("a writer that lost its lease could write".to_owned()),
        }
        match self.levels().cache().read(&[Slot { key, field: None }], Patience::Bulk).await.pop() {
            Some(Read::Miss) => Ok("a writer that lost its lease changes nothing".to_owned()),
            _ => Err("a writer that lost its lease changed something".to_owned()),
        }
    }
}
