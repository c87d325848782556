//! What stores there are, under which name, and on which days they have lines.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::day::{Day, DayRange};

/// A set of days as ascending runs that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaySet {
    runs: Vec<DayRange>,
}

impl DaySet {
    /// First day.
    #[must_use]
    pub fn first(&self) -> Option<Day> {
        self.runs.first().map(|run| run.from)
    }

    /// Last day.
    #[must_use]
    pub fn last(&self) -> Option<Day> {
        self.runs.last().map(|run| run.to)
    }

    /// Last day within `range`.
    #[must_use]
    pub fn last_within(&self, range: DayRange) -> Option<Day> {
        self.runs.iter().rev().find_map(|run| run.intersect(range)).map(|run| run.to)
    }

    /// Its days within `range`, ascending.
    pub fn within(&self, range: DayRange) -> impl Iterator<Item = Day> + '_ {
        self.runs.iter().filter_map(move |run| run.intersect(range)).flat_map(DayRange::days)
    }

    /// Its runs, ascending.
    #[must_use]
    pub fn runs(&self) -> &[DayRange] {
        &self.runs
    }
}

impl FromIterator<Day> for DaySet {
    /// From days in any order, repeats allowed.
    fn from_iter<I: IntoIterator<Item = Day>>(days: I) -> Self {
        let mut days: Vec<Day> = days.into_iter().collect();
        days.sort_unstable();
        let mut runs: Vec<DayRange> = Vec::new();
        for day in days {
            match runs.last_mut() {
                Some(run) if day.since(run.to) <= 1 => run.to = day,
                _ => runs.push(DayRange { from: day, to: day }),
            }
        }
        Self { runs }
    }
}

impl Serialize for DaySet {
    /// A flat list: days from the end of the run before to the first day, then to the last day, of each run.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut at = 0;
        let steps = self.runs.iter().flat_map(|run| {
            let pair = [run.from.0 - at, run.to.0 - run.from.0];
            at = run.to.0;
            pair
        });
        serializer.collect_seq(steps.collect::<Vec<i32>>())
    }
}

impl<'de> Deserialize<'de> for DaySet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let steps = Vec::<i32>::deserialize(deserializer)?;
        let mut at = 0i32;
        let mut runs = Vec::with_capacity(steps.len() / 2);
        for pair in steps.chunks(2) {
            let &[gap, length] = pair else {
                return Err(serde::de::Error::custom("days: a run without an end"));
            };
            let from = at.checked_add(gap);
            let to = from.and_then(|from| from.checked_add(length));
            match (from, to) {
                (Some(from), Some(to)) if length >= 0 && (runs.is_empty() || gap > 1) => {
                    runs.push(DayRange { from: Day(from), to: Day(to) });
                    at = to;
                }
                _ => return Err(serde::de::Error::custom("days: runs out of order")),
            }
        }
        Ok(Self { runs })
    }
}

/// One store of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreInfo {
    /// Identity.
    pub store_id: String,
    /// Name of the line with the latest time among those that have one (ties: smallest), else the store's id.
    pub name: String,
    /// City of the line with the latest time among those that have one (ties: smallest).
    pub city: Option<String>,
    /// Number of accepted lines.
    pub lines: u64,
    /// Days with lines.
    pub days: DaySet,
}

/// All stores by id (code point order).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    stores: Vec<StoreInfo>,
}

impl Directory {
    /// A directory of these stores; those without a day are left out.
    #[must_use]
    pub fn new(mut stores: Vec<StoreInfo>) -> Self {
        stores.retain(|store| store.days.first().is_some());
        stores.sort_by(|a, b| a.store_id.cmp(&b.store_id));
        Self { stores }
    }

    /// The stores by id.
    #[must_use]
    pub fn stores(&self) -> &[StoreInfo] {
        &self.stores
    }

    /// One store.
    #[must_use]
    pub fn get(&self, store_id: &str) -> Option<&StoreInfo> {
        let at = self.stores.binary_search_by(|store| store.store_id.as_str().cmp(store_id)).ok()?;
        self.stores.get(at)
    }

    /// The directory as it is for somebody who may see only these stores.
    #[must_use]
    pub fn only(&self, stores: &BTreeSet<String>) -> Self {
        Self { stores: stores.iter().filter_map(|id| self.get(id)).cloned().collect() }
    }

    /// Last day with a line of any store.
    #[must_use]
    pub fn last_day(&self) -> Option<Day> {
        self.stores.iter().filter_map(|store| store.days.last()).max()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_part_of_a_directory_is_a_directory() {
        let info = |id: &str| StoreInfo {
            store_id: id.to_owned(),
            name: id.to_owned(),
            city: None,
            lines: 1,
            days: [Day(id.len().try_into().unwrap())].into_iter().collect(),
        };
        let directory = Directory::new(["c", "aaa", "bb"].map(info).to_vec());
        let only = directory.only(&["nobody", "c", "bb"].map(str::to_owned).into());
        assert_eq!(only, Directory::new(["bb", "c"].map(info).to_vec()));
        assert_eq!((only.get("aaa"), only.last_day()), (None, Some(Day(2))));
    }

    proptest! {
        #[test]
        fn day_sets_keep_their_days(days in proptest::collection::vec(0i32..400, 0..60)) {
            let set: DaySet = days.iter().copied().map(Day).collect();
            let everything = DayRange { from: Day::MIN, to: Day::MAX };
            let mut sorted = days.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(set.within(everything).map(|day| day.0).collect::<Vec<_>>(), sorted);
            let bytes = rmp_serde::to_vec(&set).unwrap();
            prop_assert_eq!(rmp_serde::from_slice::<DaySet>(&bytes).unwrap(), set);
        }
    }
}
