//! What to keep under a budget of entries: an online policy on the learned value of each key.
//!
//! When a key that is not kept is asked for and the budget is used up, the least valuable of a sample of the kept ones
//! gives way, unless the new one is worth less. History is bounded: of the keys that are not kept, those asked for
//! longest ago are forgotten first.

use std::hash::Hash;

use foldhash::HashMap;
use serde::{Deserialize, Serialize};

use super::reuse::{History, Reuse};

/// Kept keys that are compared when one must go. A full scan gains under 0.001 of hit rate.
const SAMPLE: usize = 64;
/// Keys whose history is kept, as a multiple of the budget.
const WATCHED: usize = 10;
/// History for budgets so small that nothing could be learned otherwise.
const WATCHED_AT_LEAST: usize = 1024;
/// Requests between two computations of the values, at least and at most.
const PERIOD: (u64, u64) = (256, 1 << 17);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Watched<K> {
    key: K,
    history: History,
    /// Its number among the kept ones.
    kept: Option<usize>,
}

/// Keys that are kept, and the history they are chosen by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Keeper<K> {
    budget: usize,
    watched: Vec<Watched<K>>,
    #[serde(skip, default = "HashMap::default")]
    of_key: HashMap<K, usize>,
    /// Kept keys, by their number in `watched`.
    kept: Vec<usize>,
    reuse: Reuse,
    requests: u64,
    period_end: u64,
    random: u64,
}

impl<K: Clone + Ord + Hash> Keeper<K> {
    /// Keeps at most `budget` entries (at least 1).
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            budget: budget.max(1),
            watched: Vec::new(),
            of_key: HashMap::default(),
            kept: Vec::new(),
            reuse: Reuse::default(),
            requests: 0,
            period_end: PERIOD.0,
            // Any number but 0; always the same, so that equal streams give equal choices.
            random: 0x0139_408d_cbbf_7a45,
        }
    }

    /// The same with another budget, after it was read back.
    #[must_use]
    pub fn within(mut self, budget: usize) -> Self {
        self.budget = budget.max(1);
        self.kept.clear();
        // Numbers of a file are not trusted: they would be used as places.
        for (number, watched) in self.watched.iter_mut().enumerate() {
            watched.kept = watched.kept.filter(|_| self.kept.len() < self.budget).map(|_| self.kept.len());
            if watched.kept.is_some() {
                self.kept.push(number);
            }
            self.of_key.insert(watched.key.clone(), number);
        }
        if !self.reuse.is_sound() {
            self.reuse = Reuse::default();
        }
        self
    }

    /// A request at a time of any unit; true if the key was kept.
    pub fn request(&mut self, key: &K, at: u64) -> bool {
        let number = self.note(key, at);
        if self.watched[number].kept.is_some() {
            return true;
        }
        self.admit(number, at);
        false
    }

    /// A request at a time of any unit, for those who only want to know values: nothing is kept.
    pub fn watch(&mut self, key: &K, at: u64) {
        self.note(key, at);
    }

    /// Adds a request to the history of its key; gives its number.
    fn note(&mut self, key: &K, at: u64) -> usize {
        if self.requests >= self.period_end {
            self.end_period(at);
        }
        self.requests += 1;
        if let Some(number) = self.of_key.get(key).copied() {
            let history = &mut self.watched[number].history;
            self.reuse.learn(history, at);
            *history = history.again(at);
            number
        } else {
            self.of_key.insert(key.clone(), self.watched.len());
            self.watched.push(Watched { key: key.clone(), history: History::first(at), kept: None });
            self.watched.len() - 1
        }
    }

    /// The value of keeping a key: expected hits per unit of time; 0 for a key without history.
    #[must_use]
    pub fn value(&self, key: &K, now: u64) -> f64 {
        self.of_key.get(key).map_or(0.0, |number| self.reuse.value(&self.watched[*number].history, now))
    }

    /// When a key was asked for last; `None` without history.
    #[must_use]
    pub fn last(&self, key: &K) -> Option<u64> {
        self.of_key.get(key).map(|number| self.watched[*number].history.last)
    }

    /// The `most` watched keys of highest value, kept or not, highest first, ties by key.
    #[must_use]
    pub fn ranking(&self, now: u64, most: usize) -> Vec<(K, f64)> {
        let value = |watched: &Watched<K>| (watched.key.clone(), self.reuse.value(&watched.history, now));
        let mut ranking: Vec<(K, f64)> = self.watched.iter().map(value).collect();
        ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        ranking.truncate(most);
        ranking
    }

    /// Keys that have a history now.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.watched.len()
    }

    fn admit(&mut self, number: usize, at: u64) {
        if self.kept.len() < self.budget {
            self.watched[number].kept = Some(self.kept.len());
            self.kept.push(number);
            return;
        }
        let all = self.kept.len();
        let mut worst: Option<(f64, u64, usize)> = None;
        for turn in 0..SAMPLE.min(all) {
            let place = if all <= SAMPLE { turn } else { self.random_below(all) };
            let history = &self.watched[self.kept[place]].history;
            let (value, last) = (self.reuse.value(history, at), history.last);
            if worst.is_none_or(|(lowest, oldest, _)| (value, last) < (lowest, oldest)) {
                worst = Some((value, last, place));
            }
        }
        let Some((value, _, place)) = worst else { return };
        if self.reuse.value(&self.watched[number].history, at) < value {
            return;
        }
        self.watched[self.kept[place]].kept = None;
        self.watched[number].kept = Some(place);
        self.kept[place] = number;
    }

    /// Learns, and forgets what is beyond the bound. Between two of these, history grows by at most one period.
    fn end_period(&mut self, now: u64) {
        self.reuse.end_period(self.watched.iter().map(|watched| &watched.history), now);
        self.forget(self.budget.saturating_mul(WATCHED).max(WATCHED_AT_LEAST));
        self.period_end = self.requests + (self.watched.len() as u64 / 2).clamp(PERIOD.0, PERIOD.1);
    }

    /// Leaves `most` histories: those of kept keys, then the latest ones. Only what goes, and what takes its place, is
    /// touched in the map: this happens within one request.
    fn forget(&mut self, most: usize) {
        if self.watched.len() <= most {
            return;
        }
        let of =
            |(number, watched): (usize, &Watched<K>)| (watched.kept.is_some(), watched.history.last, number);
        let mut order: Vec<(bool, u64, usize)> = self.watched.iter().enumerate().map(of).collect();
        order.select_nth_unstable_by(most, |a, b| {
            let key = |number: usize| &self.watched[number].key;
            (b.0, b.1).cmp(&(a.0, a.1)).then_with(|| key(a.2).cmp(key(b.2)))
        });
        let mut forgotten: Vec<usize> = order.drain(most..).map(|(_, _, number)| number).collect();
        // From the last one on: what takes a free place is then never one that has to go itself.
        forgotten.sort_unstable_by(|a, b| b.cmp(a));
        for number in forgotten {
            let gone = self.watched.swap_remove(number);
            self.of_key.remove(&gone.key);
            let Some(moved) = self.watched.get(number) else { continue };
            if let Some(number_of) = self.of_key.get_mut(&moved.key) {
                *number_of = number;
            }
            if let Some(place) = moved.kept {
                self.kept[place] = number;
            }
        }
    }

    /// xorshift64 (Marsaglia 2003).
    #[allow(clippy::cast_possible_truncation, reason = "below a length")]
    fn random_below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % limit as u64) as usize
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn favourites_survive_a_scan() {
        let mut keeper = Keeper::new(10);
        let mut at = 0;
        let mut hits = 0;
        for round in 0..2000_u64 {
            for key in (0..10).chain([1000 + 2 * round, 1001 + 2 * round]) {
                at += 1;
                hits += u64::from(keeper.request(&key, at));
            }
        }
        // 10 of 12 requests could be hits; LRU would have none.
        assert!(hits > 2000 * 9, "{hits}");
        let best: Vec<u64> = keeper.ranking(at, 10).into_iter().map(|(key, _)| key).collect();
        assert!(best.iter().all(|key| *key < 10), "{best:?}");
    }

    #[test]
    fn what_is_read_back_goes_on_and_a_damaged_one_does_no_harm() {
        let mut keeper = Keeper::new(5);
        (0..100_u64).for_each(|at| _ = keeper.request(&(at % 7), at));
        let text = serde_json::to_string(&keeper).unwrap();
        let mut back: Keeper<u64> = serde_json::from_str::<Keeper<u64>>(&text).unwrap().within(3);
        assert_eq!((back.kept.len(), back.watched()), (3, 7));
        (0..1000_u64).for_each(|at| _ = back.request(&(at % 9), 100 + at));
        let damaged = text.replace("\"kept\":0", "\"kept\":99").replace("\"hits\":[", "\"hits\":[1.0,");
        let mut damaged = serde_json::from_str::<Keeper<u64>>(&damaged).unwrap().within(5);
        (0..1000_u64).for_each(|at| _ = damaged.request(&(at % 9), 100 + at));
        assert_eq!(damaged.kept.len(), 5);
    }

    #[test]
    fn history_is_bounded_and_kept_keys_stay_findable() {
        let mut keeper = Keeper::new(50);
        for at in 0..100_000_u64 {
            keeper.request(&at, at);
            assert!(keeper.watched() <= 2 * WATCHED_AT_LEAST);
        }
        assert_eq!(keeper.kept.len(), 50);
        for (place, number) in keeper.kept.iter().enumerate() {
            assert_eq!(keeper.watched[*number].kept, Some(place));
            assert_eq!(keeper.of_key[&keeper.watched[*number].key], *number);
        }
    }
    #[test]
    fn of_keys_that_are_not_kept_the_earliest_are_forgotten() {
        let mut keeper = Keeper::new(2);
        for at in 0..3000_u64 {
            // Two favourites, and in between keys that come once.
            keeper.request(&if at % 3 == 0 { at + 10 } else { at % 3 }, at);
        }
        keeper.forget(100);
        assert_eq!(keeper.watched(), 100);
        let once: Vec<u64> = (0..3000).filter(|at| at % 3 == 0).map(|at| at + 10).collect();
        for (age, key) in once.iter().rev().enumerate() {
            assert_eq!(keeper.of_key.contains_key(key), age < 98, "{key}");
        }
        for (key, number) in &keeper.of_key {
            assert_eq!(keeper.watched[*number].key, *key);
        }
        keeper.forget(100);
        assert_eq!(keeper.watched(), 100);
    }
}
