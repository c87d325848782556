//! Notes of triggers that were read: which stores each of them still waits for. At most one per store-day is held; further
//! ones of the same store-day may go at once, since the first stays in the database until everything is written.

use std::collections::{BTreeMap, BTreeSet};

use shared::model::Day;

/// Notes that a look read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Notes of store-days.
    pub(super) of: BTreeMap<i64, (String, Day)>,
    /// Notes that everything may have changed.
    pub(super) everything: Vec<i64>,
    /// Notes of nothing that is a line.
    pub(super) empty: Vec<i64>,
}

/// What became of them.
#[derive(Debug, Default)]
pub(super) struct Notes {
    waiting: BTreeMap<String, BTreeMap<Day, i64>>,
    /// A note of everything, and the stores that it waits for.
    everything: Option<(i64, BTreeSet<String>)>,
    /// Notes whose store-days are written, to be deleted.
    done: BTreeSet<i64>,
}

impl Notes {
    /// Numbers of all that were read and are in the database still: they are no news.
    pub(super) fn known(&self) -> Vec<i64> {
        let waiting = self.waiting.values().flat_map(BTreeMap::values);
        let everything = self.everything.iter().map(|(id, _)| id);
        waiting.chain(everything).chain(&self.done).copied().collect()
    }

    /// Numbers of those to be deleted.
    pub(super) fn done(&self) -> Vec<i64> {
        self.done.iter().copied().collect()
    }

    /// These are deleted.
    pub(super) fn cleared(&mut self, ids: &[i64]) {
        for id in ids {
            self.done.remove(id);
        }
    }

    /// The changes of `news` are being seen to, those of everything in `stores`.
    pub(super) fn take(&mut self, news: &News, stores: impl Iterator<Item = String>) {
        self.done.extend(&news.empty);
        for (id, (store_id, day)) in &news.of {
            let days = self.waiting.entry(store_id.clone()).or_default();
            if *days.entry(*day).or_insert(*id) != *id {
                self.done.insert(*id);
            }
        }
        let Some((first, further)) = news.everything.split_first() else { return };
        self.done.extend(further);
        match &mut self.everything {
            Some((_, waits_for)) => {
                waits_for.extend(stores);
                self.done.insert(*first);
            }
            None => self.everything = Some((*first, stores.collect())),
        }
        self.settle();
    }

    /// Everything that was taken of a store is written.
    pub(super) fn written(&mut self, store_id: &str) {
        self.done.extend(self.waiting.remove(store_id).unwrap_or_default().into_values());
        if let Some((_, waits_for)) = &mut self.everything {
            waits_for.remove(store_id);
        }
        self.settle();
    }

    fn settle(&mut self) {
        if let Some((id, _)) = self.everything.take_if(|(_, waits_for)| waits_for.is_empty()) {
            self.done.insert(id);
        }
    }

    /// What was not written becomes news again.
    pub(super) fn reset(&mut self) {
        self.waiting.clear();
        self.everything = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(of: &[(i64, &str, i32)], everything: &[i64]) -> News {
        let of = of.iter().map(|(id, store, day)| (*id, ((*store).to_owned(), Day(*day)))).collect();
        News { of, everything: everything.to_vec(), empty: Vec::new() }
    }

    #[test]
    fn a_note_is_done_when_its_store_is_written() {
        let mut notes = Notes::default();
        notes.take(&news(&[(1, "a", 1), (2, "b", 1), (3, "a", 2)], &[]), std::iter::empty());
        assert!(notes.done().is_empty());
        notes.written("a");
        assert_eq!(notes.done(), [1, 3]);
        notes.cleared(&[1]);
        assert_eq!((notes.done(), notes.known()), (vec![3], vec![2, 3]));
    }

    #[test]
    fn what_a_store_that_fails_is_noted_for_does_not_grow() {
        let mut notes = Notes::default();
        for id in 0..1_000 {
            notes.take(&news(&[(id, "a", 1)], &[]), std::iter::empty());
        }
        let done = notes.done();
        assert_eq!(done, (1..1_000).collect::<Vec<_>>(), "the oldest stays");
        notes.cleared(&done);
        assert_eq!(notes.known(), [0]);
        notes.written("a");
        assert_eq!(notes.done(), [0]);
    }

    #[test]
    fn a_note_of_everything_waits_for_all_stores() {
        let both = || ["a", "b"].map(str::to_owned).into_iter();
        let mut notes = Notes::default();
        notes.take(&news(&[], &[1]), both());
        notes.written("a");
        notes.take(&news(&[], &[2, 3]), both());
        assert_eq!(notes.done(), [2, 3]);
        notes.written("b");
        assert_eq!(notes.done(), [2, 3], "it came for a once more");
        notes.written("a");
        assert_eq!(notes.done(), [1, 2, 3]);
        notes.take(&news(&[], &[4]), std::iter::empty());
        assert_eq!(notes.done(), [1, 2, 3, 4], "no store is soon written");
    }

    #[test]
    fn after_a_reset_what_was_not_written_is_news() {
        let mut notes = Notes::default();
        notes.take(&news(&[(1, "a", 1), (2, "b", 1)], &[]), std::iter::empty());
        notes.take(&news(&[], &[3]), std::iter::once("b".to_owned()));
        notes.written("a");
        notes.reset();
        assert_eq!((notes.known(), notes.done()), (vec![1], vec![1]));
    }
}
