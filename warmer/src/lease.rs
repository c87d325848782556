//! The writer's lease for as long as one command runs: taken before the first write, renewed while it works, given
//! back at the end. What it writes meanwhile is fenced, so that a command that lost the lease changes nothing.

use std::time::Duration;

use shared::cache::{Cache, CacheError, Fence};
use shared::keys::Keys;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// A name that no other warmer ever has: who it is, for people, and a random part.
#[must_use]
pub fn owner() -> String {
    let host = sysinfo::System::host_name().unwrap_or_else(|_| "unknown".to_owned());
    format!("{host}/{}/{}", std::process::id(), uuid::Uuid::new_v4())
}

/// Why a command may not write.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another warmer writes.
    #[error(
        "{owner} has the writer's lease, and two writers would undo each other's work; stop it, wait until its lease \
         ends, or take the lease over with --force (a running warmer stands by meanwhile and goes on afterwards)"
    )]
    Taken {
        /// Who.
        owner: String,
    },
    /// Another one took it over while this one worked.
    #[error(
        "{owner} took the writer's lease over; what was written until then stays, run again when it has ended"
    )]
    Lost {
        /// Who.
        owner: String,
    },
    /// Redis.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// The lease of one command.
#[derive(Clone, Debug)]
pub struct Lease {
    cache: Cache,
    fence: Fence,
    time: Duration,
}

impl Lease {
    /// A lease that is not taken yet, for a `time` after which it ends unless it is renewed.
    #[must_use]
    pub fn new(cache: Cache, keys: &Keys, time: Duration) -> Self {
        let (lease_key, fence_key) = keys.lease();
        Self { cache, fence: Fence { lease_key, fence_key, owner: owner() }, time }
    }

    /// What fences the writes.
    #[must_use]
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Takes it; with `force` whoever has it. Gives from whom it was taken over.
    ///
    /// # Errors
    /// If another warmer has it, or Redis does not answer.
    pub async fn take(&self, force: bool) -> Result<Option<String>, LeaseError> {
        if force {
            return Ok(self.cache.seize(&self.fence, self.time).await?);
        }
        let owner = self.cache.acquire(&self.fence, self.time).await?.owner;
        if owner == self.fence.owner { Ok(None) } else { Err(LeaseError::Taken { owner }) }
    }

    /// Works, and renews the lease meanwhile. The work is dropped where it is when another one took over: its writes
    /// would be refused.
    ///
    /// # Errors
    /// If the lease was lost.
    pub async fn hold<T>(&self, work: impl Future<Output = T>) -> Result<T, LeaseError> {
        let mut work = std::pin::pin!(work);
        let period = (self.time / 3).max(Duration::from_millis(1));
        let mut renewals = interval_at(Instant::now() + period, period);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                _ = renewals.tick() => match self.cache.acquire(&self.fence, self.time).await {
                    Ok(holder) if holder.owner == self.fence.owner => {}
                    Ok(holder) => return Err(LeaseError::Lost { owner: holder.owner }),
                    // Writes are fenced: while nobody else takes over, they count.
                    Err(error) => tracing::warn!(error = %error, "the lease could not be renewed"),
                },
            }
        }
    }

    /// Gives it back, if it is still this command's.
    pub async fn give_back(&self) {
        if let Err(error) = self.cache.release(&self.fence).await {
            tracing::warn!(error = %error, "the lease could not be given back; it ends by itself");
        }
    }
}
