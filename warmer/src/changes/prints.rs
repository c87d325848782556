//! Fingerprints of all stores, as far as they can be read.

use std::collections::BTreeSet;

use shared::model::{DayRange, Directory};
use shared::source::postgres::{Fingerprints, PostgresSource};
use shared::source::{SourceError, SourceErrorKind};

/// What could be read.
#[derive(Debug, Default)]
pub(super) struct Prints {
    /// Of all other stores.
    pub(super) all: Fingerprints,
    /// Stores of which the server cannot give the lines.
    pub(super) unreadable: BTreeSet<String>,
}

/// Those of a range. One statement, as long as the server can execute it: one damaged row, or one that an expression of a
/// view fails on, makes it fail for all stores. Then one for each store of the directory, so that the others are
/// followed; stores that are new are found when it works again.
///
/// # Errors
/// If the source cannot be reached, or no store can be read.
pub(super) async fn of_all(
    source: &PostgresSource,
    range: DayRange,
    directory: &Directory,
) -> Result<Prints, SourceError> {
    let failure = match source.fingerprints(range, None).await {
        Ok(all) => return Ok(Prints { all, ..Prints::default() }),
        Err(error) if error.kind() == SourceErrorKind::Other => error,
        Err(error) => return Err(error),
    };
    let mut prints = Prints::default();
    for store in directory.stores() {
        let store_id = &store.store_id;
        match source.fingerprints(range, Some(std::slice::from_ref(store_id))).await {
            Ok(of_store) => prints.all.extend(of_store),
            Err(error) if error.kind() == SourceErrorKind::Other => {
                prints.unreadable.insert(store_id.clone());
            }
            Err(error) => return Err(error),
        }
    }
    if prints.unreadable.len() == directory.stores().len() {
        return Err(failure);
    }
    let stores = prints.unreadable.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    tracing::warn!(stores, error = %failure, "lines of these stores cannot be compared; the others are");
    Ok(prints)
}
