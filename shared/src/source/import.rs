//! What an import does to a store of order lines, whichever store it is: stage everything, say what would change,
//! then commit whole or not at all.

use crate::model::Day;

/// What an import replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportMode {
    /// Every (store, day) that occurs in the imported files.
    StoreDays,
    /// Every order (store, day, order id) that occurs in the imported files; other orders of those days stay.
    Orders,
}

/// One (store, day) that an import touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDayChange {
    /// Store.
    pub store_id: String,
    /// Day.
    pub day: Day,
    /// Lines stored before.
    pub before: u64,
    /// Lines stored after.
    pub after: u64,
}

/// What committing a staged import would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportPlan {
    /// By store and day.
    pub changes: Vec<StoreDayChange>,
    /// Stored lines that go.
    pub lines_removed: u64,
    /// Staged lines that come.
    pub lines_added: u64,
}

impl ImportPlan {
    /// The store-days that would be left with over 20 % fewer lines than before.
    pub fn shrinking(&self) -> impl Iterator<Item = &StoreDayChange> {
        self.changes.iter().filter(|change| change.after * 5 < change.before * 4)
    }
}
