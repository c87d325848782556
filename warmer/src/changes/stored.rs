//! What outlives a restart: the fingerprints of what is written, each store's with the version that its entries in the
//! cache had. Where the cache has another version now, somebody wrote since, or the cache went back to an older state:
//! then nothing is known of that store's days.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::cache::{Levels, Patience, Read};
use shared::keys::Slot;
use shared::model::{Day, DayRange, DaySet};
use shared::source::Source;

use super::Watcher;
use super::book::{Book, Print};
use crate::log_reader::positions;

/// Name of the file in the state's folder.
pub(super) const FILE: &str = "changes.json";
/// Changes with the form of the file and the meaning of a print.
const FORM: u32 = 1;

/// What the fingerprints are of, and where what they tell of is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) table: String,
    pub(super) prefix: String,
}

/// Content of the file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    form: u32,
    place: Place,
    /// First day of the last window that was swept.
    swept: Option<i32>,
    examined: DaySet,
    stores: BTreeMap<String, StoredStore>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredStore {
    version: Option<u64>,
    prints: Vec<(i32, Print)>,
}

/// Longest time that the end of a process waits for what the next one would do otherwise.
const LONGEST_END: Duration = Duration::from_secs(2);

/// Reads what is stored of a place. A file that cannot be read is told of and passed over.
pub(super) fn load(file: &Path, place: &Place) -> Option<Stored> {
    let stored = positions::load::<Stored>(file).unwrap_or_else(|error| {
        tracing::warn!(error = %error, "what was known of changes is lost; recent days are read again");
        None
    });
    stored.filter(|stored| stored.is_of(place))
}

/// Versions of the stores' entries in the cache, those that are known.
type Versions = BTreeMap<String, u64>;

/// Reads them; `None` if the cache does not answer.
async fn versions(levels: &Levels, stores: Vec<String>) -> Option<Versions> {
    let slot = |store: &String| Slot { key: levels.keys().store_version(store), field: None };
    let slots: Vec<Slot> = stores.iter().map(slot).collect();
    let reads = levels.cache().read(&slots, Patience::Bulk).await;
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse().ok();
    let mut versions = Versions::new();
    for (store_id, read) in stores.into_iter().zip(reads) {
        match read {
            Read::Hit(bytes) => versions.extend(number(&bytes).map(|version| (store_id, version))),
            Read::Miss => {}
            Read::Unavailable => return None,
        }
    }
    Some(versions)
}

impl Stored {
    /// What is certain in `book`. `versions` must have been read before: a store that was written in between then has
    /// another version when this is read again.
    fn new(place: Place, book: &Book, swept: Option<Day>, versions: &Versions) -> Self {
        let store = |(store_id, prints): (String, BTreeMap<Day, Print>)| {
            let version = versions.get(&store_id).copied();
            (
                store_id,
                StoredStore {
                    version,
                    prints: prints.into_iter().map(|(day, print)| (day.0, print)).collect(),
                },
            )
        };
        Self {
            form: FORM,
            place,
            swept: swept.map(|day| day.0),
            examined: book.examined.iter().copied().collect(),
            stores: book.certain().into_iter().map(store).collect(),
        }
    }

    /// Whether it is of this form and tells of this place.
    fn is_of(&self, place: &Place) -> bool {
        self.form == FORM && self.place == *place
    }

    /// Its stores.
    fn stores(&self) -> Vec<String> {
        self.stores.keys().cloned().collect()
    }

    /// The book, with everything in doubt of stores whose entries in the cache have other versions now.
    fn into_book(self, now: &Versions) -> Book {
        let everything = DayRange { from: Day::MIN, to: Day::MAX };
        let mut book = Book { examined: self.examined.within(everything).collect(), ..Book::default() };
        for (store_id, store) in self.stores {
            let prints = store.prints.into_iter().map(|(day, print)| (Day(day), print)).collect();
            book.known.insert(store_id.clone(), prints);
            if store.version.is_none() || now.get(&store_id).copied() != store.version {
                book.doubt_all(&store_id);
            }
        }
        book
    }
}

impl Watcher {
    /// Takes over what an earlier process stored, as far as the cache still holds what that process wrote.
    pub(super) async fn recall(&self) {
        let Some(stores) = self.with(|state| state.stored.as_ref().map(Stored::stores)) else { return };
        // If the cache does not say, everything is in doubt.
        let now = versions(&self.levels, stores).await.unwrap_or_default();
        self.with(|state| {
            if let Some(stored) = state.stored.take() {
                state.swept = stored.swept.map(Day);
                state.book = stored.into_book(&now);
            }
        });
    }

    /// Leaves to the next process what is known, so that it reads nothing again. Takes 2 s at most, whatever fails: then
    /// some days are read once more.
    pub async fn close(&self) {
        let end = async {
            self.save().await;
            let done = self.with(|state| state.notes.done());
            if let Source::Postgres(source) = &self.source
                && let Err(error) = source.clear(&done).await
            {
                tracing::debug!(error = %error, "notes of changes that are written stay; they are read once more");
            }
        };
        let _ = tokio::time::timeout(LONGEST_END, end).await;
    }

    /// Stores what is known, if there is a folder for it and something new.
    pub(super) async fn save(&self) {
        let Some(file) = self.file.clone() else { return };
        let stores = self.with(|state| {
            let unsaved = std::mem::take(&mut state.book.unsaved);
            unsaved.then(|| state.book.known.keys().cloned().collect::<Vec<_>>())
        });
        let Some(stores) = stores else { return };
        let Some(now) = versions(&self.levels, stores).await else {
            return self.with(|state| state.book.unsaved = true);
        };
        let stored = self.with(|state| Stored::new(self.place.clone(), &state.book, state.swept, &now));
        let saved = tokio::task::spawn_blocking(move || positions::save(&file, &stored)).await;
        let error = match saved {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(error, "what is known of changes was not stored; a restart reads more again");
        self.with(|state| state.book.unsaved = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::book::DOUBT;

    fn place() -> Place {
        Place { table: "orders".to_owned(), prefix: "hs:1:".to_owned() }
    }

    #[test]
    fn prints_count_only_for_the_version_they_were_stored_with() {
        let days = |print| [(Day(1), print), (Day(2), print)].into_iter().collect::<BTreeMap<_, _>>();
        let known =
            ["same", "written", "back", "evicted", "unknown"].map(|store| (store.to_owned(), days(7)));
        let book = Book { known: known.into(), examined: [Day(1), Day(2)].into(), ..Book::default() };
        let versions = |of: &[(&str, u64)]| of.iter().map(|(store, v)| ((*store).to_owned(), *v)).collect();
        let then: Versions = versions(&[("same", 3), ("written", 3), ("back", 3), ("evicted", 3)]);
        let stored = Stored::new(place(), &book, Some(Day(2)), &then);
        let text = serde_json::to_string(&stored).unwrap_or_default();
        let again: Option<Stored> = serde_json::from_str(&text).ok();
        assert_eq!(again.as_ref(), Some(&stored));
        assert!(stored.is_of(&place()));
        assert!(!stored.is_of(&Place { prefix: "other:".to_owned(), ..place() }));
        assert_eq!((stored.swept, stored.stores().len()), (Some(2), 5));
        let now: Versions = versions(&[("same", 3), ("written", 4), ("back", 2), ("unknown", 3)]);
        let read = stored.into_book(&now);
        assert_eq!(read.examined, book.examined);
        for (store, prints) in &read.known {
            assert_eq!(*prints, days(if store == "same" { 7 } else { DOUBT }), "{store}");
        }
    }
}
