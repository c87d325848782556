//! Standing by until this warmer is the one that writes.

use std::time::Duration;

use shared::cache::{Cache, Fence};

use super::{Progress, Writer};
pub(super) use crate::lease::owner;
use shared::published::Role;

/// Most time between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Completes when the lease is this warmer's. An outage is waited out.
pub(super) async fn wait_for(cache: &Cache, fence: &Fence, time: Duration, progress: &Progress) {
    let mut told = String::new();
    let health = progress.health();
    loop {
        health.beat();
        let now = match cache.acquire(fence, time).await.map(|holder| holder.owner) {
            Ok(owner) if owner == fence.owner => {
                progress.set_role(Role::Active);
                health.settled(Writer::This);
                tracing::info!(owner, "this warmer writes now");
                return;
            }
            Ok(owner) => {
                let reason = format!("{owner} writes");
                health.settled(Writer::Other(owner));
                reason
            }
            Err(error) => {
                health.outage(error.to_string());
                error.to_string()
            }
        };
        progress.set_role(Role::Standby);
        if now != told {
            tracing::info!(reason = now, "standing by");
            told = now;
        }
        tokio::time::sleep(LONGEST_WAIT.min(time / 3)).await;
    }
}
