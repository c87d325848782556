//! `warmer flush`: removes what is cached, level by level. What coordinates writers and readers stays: lease, fence,
//! versions, pause, requests and states.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use shared::cache::{Read, Write};
use shared::entry::{self, EntryKind};
use shared::keys::Place;
use shared::model::{Directory, Query};

use super::words::{number, size, table};
use super::{Desk, OperateError, OperatorRequest, Writer};
use crate::level::Level;

/// Versions that are bumped in one transaction.
const BUMPS_AT_ONCE: usize = 1_000;
/// Bytes of a document's entry that hold its header: a question of 500 stores.
const HEADER: usize = 64 << 10;

/// What is to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flush {
    /// Levels; `None` = all, and what is known of the stores besides.
    pub levels: Option<BTreeSet<Level>>,
    /// Only what is made of these stores; `None` = of all.
    pub stores: Option<BTreeSet<String>>,
}

/// A row of what is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// A level.
    Level(Level),
    /// The directory, and when data were confirmed.
    Directory,
}

impl Row {
    fn name(self) -> &'static str {
        match self {
            Self::Level(level) => level.name(),
            Self::Directory => "directory, confirmations",
        }
    }

    /// For scripts.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Level(level) => level.as_str(),
            Self::Directory => "directory",
        }
    }
}

/// Keys and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Keys.
    pub keys: u64,
    /// Bytes of memory; `None` if this Redis user may not ask.
    pub bytes: Option<u64>,
}

/// Keys and bytes by level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts(pub BTreeMap<Row, Amount>);

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Keys; bytes are not measured again.
    pub keys: u64,
    /// Stores whose versions changed, so that gateways forget them.
    pub stores: usize,
    /// Who makes it again; `None` if no warmer runs.
    pub writer: Option<Writer>,
}

/// What would be removed.
///
/// # Errors
/// If Redis does not answer.
pub async fn plan(desk: &Desk, flush: &Flush) -> Result<Amounts, OperateError> {
    let mut amounts = Amounts::default();
    let mut cursor = 0;
    loop {
        let (next, selected) = step(desk, flush, cursor).await?;
        let keys: Vec<String> = selected.iter().map(|(key, _)| key.clone()).collect();
        let sizes = desk.redis.memory_usage(&keys).await?;
        for (at, (_, place)) in selected.iter().enumerate() {
            let Some(row) = flush.row(place) else { continue };
            let amount = amounts.0.entry(row).or_insert(Amount { keys: 0, bytes: Some(0) });
            amount.keys += 1;
            let bytes = sizes.as_ref().and_then(|sizes| sizes.get(at));
            amount.bytes = amount.bytes.zip(bytes).map(|(sum, bytes)| sum + bytes);
        }
        cursor = next;
        if cursor == 0 {
            return Ok(amounts);
        }
    }
}

/// Removes it, then bumps the versions that gateways watch, and tells the warmer that runs to look again. It may be
/// given again after a failure: what is gone is gone, the rest follows.
///
/// # Errors
/// If Redis does not answer.
pub async fn execute(desk: &Desk, flush: &Flush) -> Result<Flushed, OperateError> {
    // Before it goes: whose versions are to be bumped where only documents are removed.
    let directory = match desk.levels.read_directory().await {
        Read::Hit(directory) => directory,
        Read::Miss => Directory::default(),
        Read::Unavailable => return Err(OperateError::Unavailable),
    };
    let (mut removed, mut concerned, mut documents) = (0, BTreeSet::new(), false);
    let mut cursor = 0;
    loop {
        let (next, selected) = step(desk, flush, cursor).await?;
        removed += selected.len() as u64;
        concerned.extend(selected.iter().filter_map(|(_, place)| place.store_id().map(str::to_owned)));
        documents |= selected.iter().any(|(_, place)| place.store_id().is_none());
        let deletes = selected.into_iter().map(|(key, _)| Write::Delete { key }).collect();
        desk.levels.cache().transact(deletes).await?;
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    if documents {
        match &flush.stores {
            Some(stores) => concerned.extend(stores.iter().cloned()),
            None => concerned.extend(directory.stores().iter().map(|store| store.store_id.clone())),
        }
    }
    let writer = desk.writer().await?;
    if removed > 0 {
        announce(desk, &directory, &concerned, writer.is_some()).await?;
    }
    Ok(Flushed { keys: removed, stores: concerned.len(), writer })
}

/// Bumps the versions of stores and then the fleet's, and tells the warmer.
async fn announce(
    desk: &Desk,
    directory: &Directory,
    stores: &BTreeSet<String>,
    warmer_runs: bool,
) -> Result<(), OperateError> {
    let keys = desk.levels.keys();
    let mut writes = Vec::new();
    for store_id in stores {
        let key = keys.store_version(store_id);
        writes.push(Write::Bump { key: key.clone() });
        if directory.get(store_id).is_none() {
            // Of a store that is no more nothing stays for ever.
            writes.push(Write::Expire { ttl: desk.levels.ttl().hard(EntryKind::Store, store_id), key });
        }
    }
    writes.push(Write::Bump { key: keys.fleet_version() });
    if warmer_runs {
        writes.push(OperatorRequest::LookAgain.write(keys)?);
    }
    for chunk in writes.chunks(BUMPS_AT_ONCE) {
        desk.levels.cache().transact(chunk.to_vec()).await?;
    }
    Ok(())
}

/// The selected keys of one step through all of them.
async fn step(desk: &Desk, flush: &Flush, cursor: u64) -> Result<(u64, Vec<(String, Place)>), OperateError> {
    let keys = desk.levels.keys();
    let (next, found) = desk.redis.scan_step(keys.prefix(), cursor).await?;
    // A step may name a key twice.
    let found: BTreeSet<String> = found.into_iter().collect();
    let mut selected: Vec<(String, Place)> = found
        .into_iter()
        .filter_map(|key| keys.place(&key).map(|place| (key, place)))
        .filter(|(_, place)| flush.row(place).is_some())
        .collect();
    if let Some(stores) = &flush.stores {
        let documents: Vec<String> = selected
            .iter()
            .filter(|(_, place)| *place == Place::Answer)
            .map(|(key, _)| key.clone())
            .collect();
        let heads = desk.redis.heads(&documents, HEADER).await?;
        let untouched: BTreeSet<&String> = documents
            .iter()
            .zip(&heads)
            .filter(|(_, head)| !names(head, stores))
            .map(|(key, _)| key)
            .collect();
        selected.retain(|(key, _)| !untouched.contains(key));
    }
    Ok((next, selected))
}

/// Whether a document is of any of these stores. Of one that cannot be read, nobody knows.
fn names(head: &[u8], stores: &BTreeSet<String>) -> bool {
    let of = entry::look(head).ok().and_then(|look| Query::stores_of(&look.header.question));
    of.is_none_or(|of| of.iter().any(|store| stores.contains(store)))
}

impl Flush {
    /// The row in which something is counted; `None` if it stays.
    fn row(&self, place: &Place) -> Option<Row> {
        let of_stores = match (&self.stores, place.store_id()) {
            (Some(stores), Some(store_id)) => stores.contains(store_id),
            // The directory is of all stores. Ready responses do not say of which they are; they are made again soon.
            (Some(_), None) => matches!(place, Place::Answer | Place::Hot),
            (None, _) => true,
        };
        let row = match place {
            Place::Directory | Place::StoreFresh(_) | Place::FleetFresh => {
                self.levels.is_none().then_some(Row::Directory)
            }
            place => Level::of(place)
                .filter(|level| self.levels.as_ref().is_none_or(|levels| levels.contains(level)))
                .map(Row::Level),
        };
        row.filter(|_| of_stores)
    }
}

impl Amounts {
    /// Keys of all rows.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.0.values().map(|amount| amount.keys).sum()
    }

    /// Bytes of all rows, if known.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.0.values().map(|amount| amount.bytes).sum()
    }

    /// For scripts: keys and bytes by level.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let row = |(row, amount): (&Row, &Amount)| (row.as_str().to_owned(), serde_json::json!(amount));
        serde_json::Value::Object(self.0.iter().map(row).collect())
    }

    /// As a table.
    #[must_use]
    pub fn text(&self) -> String {
        let words = |amount: Option<u64>| amount.map_or_else(|| "?".to_owned(), size);
        let mut rows: Vec<[String; 3]> = self
            .0
            .iter()
            .map(|(row, amount)| [row.name().to_owned(), amount.keys.to_string(), words(amount.bytes)])
            .collect();
        rows.push(["total".to_owned(), self.keys().to_string(), words(self.bytes())]);
        table(["level", "keys", "memory"], 1..3, rows)
    }
}

impl Flushed {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let next = match &self.writer {
            None => "no warmer runs: gateways compute what they are asked for; `warmer once` or `warmer run` fills it again".to_owned(),
            Some(writer) => format!("{} makes it again, within a second or, if paused, after `warmer resume`", writer.owner),
        };
        format!(
            "removed {}; the versions of {} changed, so gateways forget them\n{next}",
            number(self.keys, "key", "keys"),
            number(self.stores as u64, "store", "stores")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::model::Day;

    #[test]
    fn what_coordinates_always_stays() {
        let everything = Flush { levels: None, stores: None };
        for place in [
            Place::Lease,
            Place::Fence,
            Place::Paused,
            Place::Requests,
            Place::FleetVersion,
            Place::StoreVersion("a".to_owned()),
            Place::Status("x".to_owned()),
        ] {
            assert_eq!(everything.row(&place), None, "{place:?}");
        }
        assert_eq!(everything.row(&Place::Directory), Some(Row::Directory));
    }

    #[test]
    fn levels_and_stores_select() {
        let of = |levels: &[Level], stores: &[&str]| Flush {
            levels: Some(levels.iter().copied().collect()),
            stores: Some(stores.iter().map(|store| (*store).to_owned()).collect()),
        };
        let flush = of(&[Level::Orders, Level::Answers], &["a"]);
        let orders = |store: &str| Place::Orders { store_id: store.to_owned(), day: Day(1) };
        assert_eq!(flush.row(&orders("a")), Some(Row::Level(Level::Orders)));
        assert_eq!(flush.row(&orders("b")), None);
        assert_eq!(flush.row(&Place::DayCells("a".to_owned())), None);
        assert_eq!(flush.row(&Place::Answer), Some(Row::Level(Level::Answers)));
        assert_eq!(flush.row(&Place::Directory), None);
        let stores = Flush { levels: None, ..flush };
        assert_eq!(stores.row(&Place::Directory), None, "of all stores");
        assert_eq!(stores.row(&Place::StoreFresh("a".to_owned())), Some(Row::Directory));
    }
}
