//! What outlives a restart: the fingerprints of what is written, each store's with the version that its entries in the
//! cache had. Where the cache has another version now, somebody wrote since, or the cache went back to an older state:
//! then nothing is known of that store's days.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::cache::{Levels, Patience, Read};
use shared::keys::Slot;
use shared::model::{Day, DaySet};

use super::book::{Book, Print};

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
    pub(super) swept: Option<i32>,
    examined: DaySet,
    stores: BTreeMap<String, StoredStore>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredStore {
    version: Option<u64>,
    prints: Vec<(i32, Print)>,
}

/// Versions of the stores' entries in the cache, those that are known.
pub(super) type Versions = BTreeMap<String, u64>;

/// Reads them; `None` if the cache does not answer.
pub(super) async fn versions(levels: &Levels, stores: Vec<String>) -> Option<Versions> {
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
    pub(super) fn new(place: Place, book: &Book, swept: Option<Day>, versions: &Versions) -> Self {
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
    pub(super) fn is_of(&self, place: &Place) -> bool {
        self.form == FORM && self.place == *place
    }

    /// Its stores.
    pub(super) fn stores(&self) -> Vec<String> {
        self.stores.keys().cloned().collect()
    }

    /// The book, with everything in doubt of stores whose entries in the cache have other versions now.
    pub(super) fn into_book(self, now: &Versions) -> Book {
        let everything = shared::model::DayRange { from: Day::MIN, to: Day::MAX };
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
