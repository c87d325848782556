//! Fingerprints of store-days as they were when last examined. What a look found changed counts as known only once the
//! store is written, so that nothing is lost on the way. 64 bits each, of the days that are kept ready only.

use std::collections::{BTreeMap, BTreeSet};

use shared::model::{Day, DayRange, Directory};
use shared::source::postgres::Fingerprint;
use xxhash_rust::xxh3::Xxh3;

use super::prints::Prints;

/// A fingerprint in short. Never [`DOUBT`].
pub(super) type Print = u64;

/// What no store-day's print is equal to: what is written of it is not known.
pub(super) const DOUBT: Print = 0;

fn print_of(fingerprint: &Fingerprint) -> Print {
    let mut hasher = Xxh3::new();
    hasher.update(&fingerprint.lines.to_le_bytes());
    hasher.update(&fingerprint.hash.to_le_bytes());
    hasher.digest().max(1)
}

/// What to make of days that were never examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unexamined {
    /// They may have changed.
    Changed,
    /// They are as the directory says; nothing else can be told of them.
    Learned,
}

/// What examining some days gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Examined {
    /// Store-days that changed, with what they are now (`None`: without lines).
    pub(super) changed: BTreeMap<(String, Day), Option<Print>>,
    learned: Vec<(String, Day, Print)>,
    days: BTreeSet<Day>,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Of store-days that have lines.
    pub(super) known: BTreeMap<String, BTreeMap<Day, Print>>,
    /// Of store-days whose change was seen and is not written (`None`: without lines).
    pub(super) seen: BTreeMap<String, BTreeMap<Day, Option<Print>>>,
    /// Days that were examined at least once.
    pub(super) examined: BTreeSet<Day>,
    /// Whether there is something that was not stored.
    pub(super) unsaved: bool,
}

impl Book {
    /// What was last seen of a store-day: nothing, or no lines, or their print.
    fn last(&self, store_id: &str, day: Day) -> Option<Option<Print>> {
        let seen = || self.seen.get(store_id)?.get(&day).copied();
        let known = || self.known.get(store_id)?.get(&day).copied().map(Some);
        seen().or_else(known)
    }

    /// Compares what the days of `range` are `now` with what they were. Prints are told of the days in `kept` only;
    /// of all others, whether there are lines where the directory has some.
    pub(super) fn examine(
        &self,
        range: DayRange,
        kept: Option<DayRange>,
        now: &Prints,
        directory: &Directory,
        unexamined: Unexamined,
    ) -> Examined {
        let mut examined = Examined::default();
        let is_kept = |day: Day| kept.is_some_and(|kept| kept.contains(day));
        let listed = |store_id: &str, day: Day| {
            let days = directory.get(store_id).map(|store| &store.days);
            days.is_some_and(|days| days.last_within(DayRange { from: day, to: day }).is_some())
        };
        for ((store_id, day), fingerprint) in &now.all {
            let print = print_of(fingerprint);
            let last = self.last(store_id, *day);
            let same = match last {
                Some(last) => last == Some(print),
                None if self.examined.contains(day) => false,
                None => (unexamined == Unexamined::Learned || !is_kept(*day)) && listed(store_id, *day),
            };
            if !same {
                examined.changed.insert((store_id.clone(), *day), Some(print));
            } else if last.is_none() && is_kept(*day) {
                examined.learned.push((store_id.clone(), *day, print));
            }
        }
        for (store_id, day) in self.had_lines(range, directory) {
            if !now.all.contains_key(&(store_id.to_owned(), day)) && !now.unreadable.contains(store_id) {
                examined.changed.insert((store_id.to_owned(), day), None);
            }
        }
        // Of the days to come, only those that came.
        let last = now.all.keys().map(|(_, day)| *day).max().max(directory.last_day());
        let days = kept.and_then(|kept| kept.intersect(range)).zip(last);
        let days = days.and_then(|(days, last)| DayRange::new(days.from, days.to.min(last)));
        examined.days = days.into_iter().flat_map(DayRange::days).collect();
        examined
    }

    /// The store-days of a range that had lines when last seen; of days that were never examined, and of stores of which
    /// everything is in doubt, also as the directory says.
    fn had_lines<'a>(
        &'a self,
        range: DayRange,
        directory: &'a Directory,
    ) -> impl Iterator<Item = (&'a str, Day)> {
        let days = range.from..=range.to;
        let known = self.known.iter().flat_map({
            let days = days.clone();
            move |(store_id, prints)| {
                prints.range(days.clone()).map(move |(day, _)| (store_id.as_str(), *day))
            }
        });
        let seen = self.seen.iter().flat_map(move |(store_id, prints)| {
            prints.range(days.clone()).map(move |(day, _)| (store_id.as_str(), *day))
        });
        let listed = directory.stores().iter().flat_map(move |store| {
            let prints = self.known.get(&store.store_id);
            let doubted = prints.is_some_and(|prints| prints.values().all(|print| *print == DOUBT));
            let days = store.days.within(range).filter(move |day| doubted || !self.examined.contains(day));
            days.map(|day| (store.store_id.as_str(), day))
        });
        known.chain(seen).chain(listed).filter(|(store_id, day)| self.last(store_id, *day) != Some(None))
    }

    /// The changes of `examined` are being seen to. Days before `first` are forgotten.
    pub(super) fn take(&mut self, examined: &Examined, first: Option<Day>) {
        for ((store_id, day), print) in &examined.changed {
            // Of other days nothing but the directory tells, which knows already.
            if examined.days.contains(day) {
                self.seen.entry(store_id.clone()).or_default().insert(*day, *print);
                self.unsaved = true;
            }
        }
        for (store_id, day, print) in &examined.learned {
            if self.last(store_id, *day).is_none() {
                self.known.entry(store_id.clone()).or_default().insert(*day, *print);
                self.unsaved = true;
            }
        }
        self.examined.extend(&examined.days);
        if let Some(first) = first {
            for prints in self.known.values_mut() {
                *prints = prints.split_off(&first);
            }
            self.known.retain(|_, prints| !prints.is_empty());
            self.examined = self.examined.split_off(&first);
        }
    }

    /// A store-day is being rewritten for another reason: what is then written of it is not known here.
    pub(super) fn doubt(&mut self, store_id: &str, day: Day) {
        if let Some(print) = self.known.get_mut(store_id).and_then(|prints| prints.get_mut(&day)) {
            *print = DOUBT;
            self.unsaved = true;
        }
    }

    /// What is written of a store is not known.
    pub(super) fn doubt_all(&mut self, store_id: &str) {
        for print in self.known.get_mut(store_id).into_iter().flat_map(BTreeMap::values_mut) {
            *print = DOUBT;
        }
    }

    /// Everything that was taken of a store is written.
    pub(super) fn written(&mut self, store_id: &str) {
        // The version that it has in the cache changed in any case.
        self.unsaved |= self.known.contains_key(store_id);
        let Some(seen) = self.seen.remove(store_id) else { return };
        self.unsaved = true;
        let known = self.known.entry(store_id.to_owned()).or_default();
        for (day, print) in seen {
            match print {
                Some(print) => known.insert(day, print),
                None => known.remove(&day),
            };
        }
        if known.is_empty() {
            self.known.remove(store_id);
        }
    }

    /// What was not written is forgotten, so that it is found again.
    pub(super) fn reset(&mut self) {
        self.seen.clear();
    }

    /// All that is known by store, with what is being rewritten in doubt: so much holds if this process ends now.
    pub(super) fn certain(&self) -> BTreeMap<String, BTreeMap<Day, Print>> {
        let mut all = self.known.clone();
        for (store_id, days) in &self.seen {
            let prints = all.entry(store_id.clone()).or_default();
            prints.extend(days.keys().map(|day| (*day, DOUBT)));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::model::StoreInfo;

    const RANGE: DayRange = DayRange { from: Day(10), to: Day(20) };

    fn prints(of: &[(&str, i32, i128)]) -> Prints {
        let print = |hash| Fingerprint { lines: 1, hash };
        let all =
            of.iter().map(|(store, day, hash)| (((*store).to_owned(), Day(*day)), print(*hash))).collect();
        Prints { all, ..Prints::default() }
    }

    fn directory(of: &[(&str, &[i32])]) -> Directory {
        let info = |(store, days): &(&str, &[i32])| StoreInfo {
            store_id: (*store).to_owned(),
            name: (*store).to_owned(),
            city: None,
            lines: 1,
            days: days.iter().copied().map(Day).collect(),
        };
        Directory::new(of.iter().map(info).collect())
    }

    fn look(
        book: &mut Book,
        now: &Prints,
        directory: &Directory,
        unexamined: Unexamined,
    ) -> Vec<(String, i32)> {
        let examined = book.examine(RANGE, Some(RANGE), now, directory, unexamined);
        book.take(&examined, Some(RANGE.from));
        examined.changed.into_keys().map(|(store, day)| (store, day.0)).collect()
    }

    fn found(of: &[(&str, i32)]) -> Vec<(String, i32)> {
        of.iter().map(|(store, day)| ((*store).to_owned(), *day)).collect()
    }

    #[test]
    fn learning_finds_only_what_the_directory_does_not_have() {
        let now = prints(&[("a", 10, 1), ("a", 11, 1), ("new", 10, 1)]);
        let listed = directory(&[("a", &[10, 12]), ("gone", &[15])]);
        let mut book = Book::default();
        let expected = [("a", 11), ("a", 12), ("gone", 15), ("new", 10)];
        assert_eq!(look(&mut book, &now, &listed, Unexamined::Learned), found(&expected));
        assert_eq!(look(&mut book, &now, &listed, Unexamined::Learned), found(&[]), "they are being seen to");
        let all = look(&mut Book::default(), &now, &listed, Unexamined::Changed);
        assert_eq!(all, found(&[("a", 10), ("a", 11), ("a", 12), ("gone", 15), ("new", 10)]));
    }

    #[test]
    fn what_is_not_written_is_found_again_after_a_reset() {
        let listed = directory(&[("a", &[10, 11])]);
        let mut book = Book::default();
        look(&mut book, &prints(&[("a", 10, 1), ("a", 11, 1)]), &listed, Unexamined::Learned);
        let now = prints(&[("a", 10, 2), ("a", 12, 1)]);
        let changes = found(&[("a", 10), ("a", 11), ("a", 12)]);
        assert_eq!(look(&mut book, &now, &listed, Unexamined::Learned), changes);
        assert_eq!(look(&mut book, &now, &listed, Unexamined::Learned), found(&[]));
        book.reset();
        assert_eq!(look(&mut book, &now, &listed, Unexamined::Learned), changes);
        book.written("a");
        book.reset();
        assert_eq!(look(&mut book, &now, &listed, Unexamined::Learned), found(&[]));
        let back = prints(&[("a", 10, 1), ("a", 11, 1)]);
        assert_eq!(look(&mut book, &back, &listed, Unexamined::Learned), changes, "and back");
    }

    #[test]
    fn what_is_stored_before_a_write_doubts_what_is_written() {
        let listed = directory(&[("a", &[10, 11]), ("b", &[10])]);
        let mut book = Book::default();
        let was = prints(&[("a", 10, 1), ("a", 11, 1), ("b", 10, 1)]);
        look(&mut book, &was, &listed, Unexamined::Learned);
        let now = prints(&[("a", 10, 2), ("b", 10, 1)]);
        look(&mut book, &now, &listed, Unexamined::Learned);
        let restart =
            |book: &Book| Book { known: book.certain(), examined: book.examined.clone(), ..Book::default() };
        // Even if it went back meanwhile.
        for source in [&was, &now] {
            let found_now = look(&mut restart(&book), source, &listed, Unexamined::Changed);
            assert_eq!(found_now, found(&[("a", 10), ("a", 11)]));
        }
        book.written("a");
        assert_eq!(look(&mut restart(&book), &now, &listed, Unexamined::Changed), found(&[]));
        assert_eq!(
            look(&mut restart(&book), &was, &listed, Unexamined::Changed),
            found(&[("a", 10), ("a", 11)])
        );
    }

    #[test]
    fn of_days_that_are_not_kept_only_the_directory_tells() {
        let everything = DayRange { from: Day::MIN, to: Day::MAX };
        let listed = directory(&[("a", &[5, 6, 15])]);
        let mut book = Book::default();
        for hash in [1, 2] {
            let now = prints(&[("a", 5, hash), ("a", 7, hash), ("a", 15, 1)]);
            let examined = book.examine(everything, Some(RANGE), &now, &listed, Unexamined::Learned);
            let changed: Vec<_> = examined.changed.keys().map(|(_, day)| day.0).collect();
            assert_eq!(changed, [6, 7]);
            book.take(&examined, Some(RANGE.from));
            assert_eq!(book.known.values().map(BTreeMap::len).sum::<usize>(), 1);
            book.written("a");
            assert_eq!(book.known.values().map(BTreeMap::len).sum::<usize>(), 1);
        }
    }

    #[test]
    fn of_a_store_that_cannot_be_read_nothing_is_concluded() {
        let listed = directory(&[("a", &[10]), ("b", &[10])]);
        let mut book = Book::default();
        look(&mut book, &prints(&[("a", 10, 1), ("b", 10, 1)]), &listed, Unexamined::Learned);
        let now = Prints { unreadable: ["a".to_owned()].into(), ..prints(&[("b", 10, 2)]) };
        assert_eq!(look(&mut book, &now, &listed, Unexamined::Learned), found(&[("b", 10)]));
        let back = prints(&[("a", 10, 1), ("b", 10, 2)]);
        assert_eq!(look(&mut book, &back, &listed, Unexamined::Learned), found(&[]));
    }

    #[test]
    fn a_doubted_day_is_found_and_days_that_left_are_forgotten() {
        let listed = directory(&[("a", &[10, 11])]);
        let now = prints(&[("a", 10, 1), ("a", 11, 1)]);
        let mut book = Book::default();
        look(&mut book, &now, &listed, Unexamined::Learned);
        book.doubt("a", Day(11));
        assert_eq!(look(&mut book, &now, &listed, Unexamined::Learned), found(&[("a", 11)]));
        book.written("a");
        book.take(&Examined::default(), Some(Day(11)));
        assert_eq!(book.known.values().map(BTreeMap::len).sum::<usize>(), 1);
        assert!(!book.examined.contains(&Day(10)));
        book.doubt_all("a");
        let listed = directory(&[("a", &[10, 11, 15])]);
        let expected = found(&[("a", 11), ("a", 15)]);
        assert_eq!(look(&mut book, &now, &listed, Unexamined::Learned), expected, "nor where it has lines");
    }
}
