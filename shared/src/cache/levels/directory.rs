//! The directory of all stores, and when their data were last confirmed.

use bytes::Bytes;

use super::{Levels, Stamp};
use crate::cache::{Patience, Read, Write};
use crate::entry::{self, EncodeError, EntryKind};
use crate::keys::{DIRECTORY_SUMMARY, Slot};
use crate::model::{DataVersion, Directory, StoreInfo};

impl Levels {
    /// The directory of all stores. A directory that lacks a store is a miss, never a smaller directory.
    pub async fn read_directory(&self) -> Read<Directory> {
        let fields = match self.cache.read_hash(&self.keys.directory()).await {
            Read::Hit(fields) => fields,
            Read::Miss => return Read::Miss,
            Read::Unavailable => return Read::Unavailable,
        };
        let mut announced = None;
        let mut stores = Vec::with_capacity(fields.len());
        for (field, bytes) in fields {
            if field == DIRECTORY_SUMMARY {
                announced = self.decode::<u64>(EntryKind::Store, "directory", &bytes).map(|(_, count)| count);
                continue;
            }
            match self.decode::<StoreInfo>(EntryKind::Store, &format!("store {field}"), &bytes) {
                Some((_, info)) => stores.push(info),
                None => return Read::Miss,
            }
        }
        if announced == Some(stores.len() as u64) { Read::Hit(Directory::new(stores)) } else { Read::Miss }
    }

    /// The whole directory as writes that replace what is there.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn write_directory(&self, directory: &Directory, now: i64) -> Result<Vec<Write>, EncodeError> {
        let key = self.keys.directory();
        let stamp = Stamp { now, as_of: directory.last_day(), version: DataVersion::default() };
        let count = entry::canonical_bytes(&(directory.stores().len() as u64))?;
        let summary = self.encode(EntryKind::Store, "directory".to_owned(), &stamp, &count)?;
        let mut fields = vec![(DIRECTORY_SUMMARY.to_owned(), summary)];
        for store in directory.stores() {
            fields.push(self.directory_field(store, &stamp)?);
        }
        Ok(vec![
            Write::Delete { key: key.clone() },
            Write::SetFields { key: key.clone(), fields },
            Write::Expire { ttl: self.ttl.hard(EntryKind::Store, &key), key },
            // Gateways that keep the directory hear of a new one by this.
            Write::Bump { key: self.keys.fleet_version() },
        ])
    }

    /// One store of the directory as a write: only for a store that the directory has.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn write_directory_store(&self, store: &StoreInfo, now: i64) -> Result<Write, EncodeError> {
        let stamp = Stamp { now, as_of: store.days.last(), version: DataVersion::default() };
        let fields = vec![self.directory_field(store, &stamp)?];
        Ok(Write::SetFields { key: self.keys.directory(), fields })
    }

    fn directory_field(&self, store: &StoreInfo, stamp: &Stamp) -> Result<(String, Bytes), EncodeError> {
        let payload = entry::canonical_bytes(store)?;
        let value = self.encode(EntryKind::Store, format!("store {}", store.store_id), stamp, &payload)?;
        Ok((store.store_id.clone(), value))
    }

    /// When the data of each of these stores were last confirmed, milliseconds since 1970.
    pub async fn read_fresh(&self, stores: &[String]) -> Vec<Option<i64>> {
        let slots: Vec<Slot> = stores.iter().map(|store| self.keys.store_fresh(store)).collect();
        let reads = self.cache.read(&slots, Patience::Bulk).await;
        reads.into_iter().map(|read| read.hit().and_then(|bytes| parse_time(&bytes))).collect()
    }

    /// When the data of all stores were last confirmed, milliseconds since 1970. No request waits for it, so it says nothing to
    /// the breaker of how requests fare.
    pub async fn read_fleet_fresh(&self) -> Option<i64> {
        let read = self.cache.read(&[self.keys.fleet_fresh()], Patience::Bulk).await.pop()?;
        read.hit().and_then(|bytes| parse_time(&bytes))
    }

    /// Removes what is kept of a store that is no more.
    #[must_use]
    pub fn forget_store(&self, store_id: &str) -> Vec<Write> {
        let (keys, delete) = (&self.keys, |key| Write::Delete { key });
        vec![
            delete(keys.day_cells(store_id)),
            delete(keys.product_cells(store_id)),
            delete(keys.store_fresh(store_id).key),
            Write::Bump { key: keys.store_version(store_id) },
            // Whoever watches it hears of the bump; then nothing is kept of stores that are no more.
            Write::Expire {
                key: keys.store_version(store_id),
                ttl: self.ttl.hard(EntryKind::Store, store_id),
            },
        ]
    }

    /// Notes when data were confirmed: of one store, or of all.
    #[must_use]
    pub fn write_fresh(&self, store_id: Option<&str>, now: i64) -> Write {
        let slot = store_id.map_or_else(|| self.keys.fleet_fresh(), |store| self.keys.store_fresh(store));
        Write::Set {
            ttl: self.ttl.hard(EntryKind::Store, &slot.key),
            key: slot.key,
            value: Bytes::from(now.to_string()),
        }
    }
}

pub(super) fn parse_time(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
