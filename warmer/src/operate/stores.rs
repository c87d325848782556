//! Store ids that operators type: checked against the stores there are, with the near ones named.

use std::collections::BTreeSet;
use std::fmt;

use shared::cache::Read;
use shared::model::Directory;

use super::{Desk, OperateError};

/// Near ids that are named for each unknown one.
const NEAR: usize = 3;
/// Unknown ids that a message names.
const NAMED: usize = 10;

/// Store ids that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct UnknownStores {
    /// Each with ids that are near it.
    unknown: Vec<(String, Vec<String>)>,
    /// Stores there are.
    known: usize,
}

impl fmt::Display for UnknownStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (id, near)) in self.unknown.iter().take(NAMED).enumerate() {
            write!(f, "{}no store {id:?}", if at == 0 { "" } else { "; " })?;
            if !near.is_empty() {
                write!(f, " (near: {})", near.join(", "))?;
            }
        }
        if self.unknown.len() > NAMED {
            write!(f, "; and {} more", self.unknown.len() - NAMED)?;
        }
        write!(f, "; give ids of the {} stores there are, as `/v1/stores` lists them", self.known)
    }
}

/// Checks ids against a directory; repeated ones count once.
///
/// # Errors
/// If any is unknown: all of them, with the near ones.
pub fn check(directory: &Directory, wanted: &[String]) -> Result<BTreeSet<String>, UnknownStores> {
    let (known, unknown): (BTreeSet<&String>, BTreeSet<&String>) =
        wanted.iter().partition(|id| directory.get(id).is_some());
    if unknown.is_empty() {
        return Ok(known.into_iter().cloned().collect());
    }
    let unknown = unknown.into_iter().map(|id| (id.clone(), near(directory, id))).collect();
    Err(UnknownStores { unknown, known: directory.stores().len() })
}

/// Ids near a text: of the store that is named so, else those that are typed much like it, or hold it.
fn near(directory: &Directory, wanted: &str) -> Vec<String> {
    let stores = directory.stores();
    let named = stores.iter().filter(|store| store.name == wanted).map(|store| store.store_id.as_str());
    let ids = stores.iter().map(|store| store.store_id.as_str());
    named.chain(nearest(wanted, ids, NEAR)).take(NEAR).map(str::to_owned).collect()
}

/// The texts that are most like `wanted`, the likest first: at most a third of its letters differ, or one holds the
/// other.
pub(super) fn nearest<'a>(wanted: &str, texts: impl Iterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let limit = (wanted.chars().count() / 3).max(1);
    let mut found: Vec<(usize, &str)> = texts
        .filter_map(|text| {
            let apart = strsim::damerau_levenshtein(wanted, text);
            let holds = !wanted.is_empty() && (text.contains(wanted) || wanted.contains(text));
            (apart <= limit || holds).then_some((apart, text))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(most).map(|(_, text)| text).collect()
}

impl Desk {
    /// The directory in the cache.
    ///
    /// # Errors
    /// If there is none, or Redis does not answer.
    pub async fn directory(&self) -> Result<Directory, OperateError> {
        match self.levels.read_directory().await {
            Read::Hit(directory) => Ok(directory),
            Read::Miss => Err(OperateError::NoDirectory),
            Read::Unavailable => Err(OperateError::Unavailable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::model::{Day, StoreInfo};

    #[test]
    fn unknown_ids_name_the_near_ones() {
        let store = |id: &str, name: &str| StoreInfo {
            store_id: id.to_owned(),
            name: name.to_owned(),
            city: None,
            lines: 1,
            days: [Day(1)].into_iter().collect(),
        };
        let directory =
            Directory::new(vec![store("1001", "Hill"), store("1002", "Lake"), store("far-away", "Far")]);
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            check(&directory, &ids(&["1002", "1001", "1002"])),
            Ok(ids(&["1001", "1002"]).into_iter().collect())
        );
        let message = |wanted: &[&str]| check(&directory, &ids(wanted)).err().map(|error| error.to_string());
        assert_eq!(
            message(&["1001", "1003", "Far", "away", "zzz"]).as_deref(),
            Some(
                "no store \"1003\" (near: 1001, 1002); no store \"Far\" (near: far-away); no store \"away\" (near: far-away); \
                 no store \"zzz\"; give ids of the 3 stores there are, as `/v1/stores` lists them"
            )
        );
        let many: Vec<String> = (0..30).map(|n| format!("unknown{n}")).collect();
        let message = check(&directory, &many).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains("and 20 more"), "{message}");
    }
}
