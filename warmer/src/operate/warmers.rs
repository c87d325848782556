//! The warmers of a prefix: who writes, and what each publishes.

use serde::Serialize;
use shared::cache::{Cache, Patience, Read};
use shared::keys::{Keys, Slot};

use super::OperateError;
use crate::publish::Status;

/// Warmers that are read.
const MOST: usize = 100;

/// The warmers of a prefix.
#[derive(Debug, Serialize)]
pub struct Warmers {
    /// Whether one of them writes.
    pub active: bool,
    /// Who has the lease.
    pub lease: Option<String>,
    /// What each publishes, by name.
    pub warmers: Vec<Status>,
    /// Names of those whose status cannot be read: of another version.
    pub unreadable: Vec<String>,
}

impl Warmers {
    /// What the warmers of a prefix publish.
    ///
    /// # Errors
    /// If the cache does not answer.
    pub async fn read(cache: &Cache, keys: &Keys) -> Result<Self, OperateError> {
        let prefix = keys.warmer_statuses();
        let names = cache.scan(&prefix, MOST).await?;
        let (lease, _) = keys.lease();
        let slots: Vec<Slot> =
            names.iter().chain([&lease]).map(|key| Slot { key: key.clone(), field: None }).collect();
        let mut reads = cache.read(&slots, Patience::Bulk).await;
        let lease = match reads.pop() {
            Some(Read::Hit(owner)) => Some(String::from_utf8_lossy(&owner).into_owned()),
            Some(Read::Miss) => None,
            Some(Read::Unavailable) | None => {
                return Err(OperateError::Unavailable);
            }
        };
        let (mut warmers, mut unreadable) = (Vec::new(), Vec::new());
        for (name, read) in names.iter().zip(reads) {
            // One that went meanwhile is none.
            let Read::Hit(bytes) = read else { continue };
            match serde_json::from_slice(&bytes) {
                Ok(status) => warmers.push(status),
                Err(_) => unreadable.push(name.strip_prefix(&prefix).unwrap_or(name).to_owned()),
            }
        }
        Ok(Self { active: lease.is_some(), lease, warmers, unreadable })
    }

    /// Why nobody writes, and what to do.
    #[must_use]
    pub fn remedy(&self, prefix: &str) -> String {
        let problem = self.warmers.iter().find_map(|status| status.problem.as_ref().map(|why| (status, why)));
        if let Some((status, why)) = problem {
            return format!(
                "no warmer is active under the prefix {prefix:?}; {} says: {why}",
                status.instance
            );
        }
        if self.warmers.is_empty() {
            return format!(
                "no warmer is active under the prefix {prefix:?}; start one with `warmer run`, or give this command the settings \
             (--config, --redis) of the one that runs"
            );
        }
        format!(
            "no warmer is active under the prefix {prefix:?}; one that stands by takes over within a few seconds: if this stays, see \
         its log"
        )
    }
}
