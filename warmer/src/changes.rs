//! What changed in the source since the last look.

use std::collections::{BTreeMap, BTreeSet};

use shared::model::{Day, StoreInfo};
use shared::runtime::now_ms;
use shared::source::{Source, SourceError};

use crate::scope::Scope;

/// What a look found.
#[derive(Debug, Default)]
pub struct Look {
    /// The state of the source that it saw, milliseconds since 1970.
    pub at: i64,
    /// The days that changed by store; `None` if any may have.
    pub store_days: BTreeMap<String, Option<BTreeSet<Day>>>,
    /// What is known of stores that changed, came or went (`None`).
    pub infos: Vec<(String, Option<StoreInfo>)>,
}

/// Looks for changes by the counts of the directory: finds stores whose number of lines, days or name changed.
#[derive(Debug)]
pub struct Watcher {
    source: Source,
}

impl Watcher {
    /// Of a source.
    #[must_use]
    pub fn new(source: &Source) -> Self {
        Self { source: source.clone() }
    }

    /// What changed since `scope` was true.
    ///
    /// # Errors
    /// If the source cannot be read.
    pub async fn look(&self, scope: &Scope) -> Result<Look, SourceError> {
        let at = now_ms();
        let directory = self.source.directory().await?;
        let mut look = Look { at, ..Look::default() };
        for store in directory.stores() {
            let before = scope.directory.get(&store.store_id);
            if before != Some(store) {
                look.store_days.insert(store.store_id.clone(), None);
                look.infos.push((store.store_id.clone(), Some(store.clone())));
            }
        }
        for store in scope.directory.stores().iter().filter(|store| directory.get(&store.store_id).is_none())
        {
            look.infos.push((store.store_id.clone(), None));
        }
        Ok(look)
    }
}
