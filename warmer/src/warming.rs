//! What warming works with, and why it may fail.

use std::sync::Arc;

use shared::cache::{Cache, CacheError, Levels};
use shared::config::Settings;
use shared::entry::EncodeError;
use shared::keys::Keys;
use shared::model::Rules;
use shared::runtime::{Busy, ComputePool};
use shared::source::{Source, SourceError};

use crate::scope::Extent;

/// Why warming stopped. The failure of one store does not stop it.
#[derive(Debug, thiserror::Error)]
pub enum WarmError {
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// An entry could not be made.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A computation was lost.
    #[error("a computation failed; see the log")]
    Compute(#[from] Busy),
}

/// The levels of these settings in a cache.
#[must_use]
pub fn levels(settings: &Settings, cache: Cache) -> Levels {
    let keys = Keys::new(&settings.prefix);
    Levels::new(cache, keys, settings.rules.fingerprint(), settings.ttl, settings.max_inflated)
}

/// What warming works with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Warming {
    /// Where lines come from.
    pub source: Source,
    /// Where entries go.
    pub levels: Levels,
    /// Where cells are built.
    pub compute: ComputePool,
    /// Rules of the cells.
    pub rules: Arc<Rules>,
    /// How much is kept.
    pub extent: Extent,
    /// Stores at the same time.
    pub parallel_stores: usize,
}

impl Warming {
    /// From settings.
    #[must_use]
    pub fn new(settings: &Settings, source: Source, levels: Levels, compute: ComputePool) -> Self {
        Self {
            source,
            levels,
            compute,
            rules: Arc::new(settings.rules.clone()),
            extent: Extent::new(settings),
            parallel_stores: settings.warm.parallel_stores,
        }
    }
}
