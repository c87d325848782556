//! Which store is warmed next: what changed before what is cold, one job per store at a time, failed ones later.

use std::collections::{BTreeMap, BTreeSet};

use shared::model::Day;
use shared::published::Waits;

/// How urgent a store is; the first ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// It changed, and is asked for often.
    ChangedHot,
    /// It changed.
    Changed,
    /// Somebody asked for it and it was not ready, or asked for a refresh.
    Asked,
    /// It is not ready, and is asked for often.
    Hot,
    /// It is not ready.
    Cold,
}

/// What to do with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Read all of it.
    Whole,
    /// Read these days, none of them if only what is made of the cells has to be made again.
    Days(BTreeSet<Day>),
}

impl Work {
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Days(mut mine), Self::Days(theirs)) => {
                mine.extend(theirs);
                Self::Days(mine)
            }
            _ => Self::Whole,
        }
    }
}

#[derive(Debug)]
struct Waiting {
    priority: Priority,
    number: u64,
    work: Work,
    /// Not before this time, milliseconds since 1970.
    not_before: i64,
}

/// What went wrong with a store since it last went well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Failure {
    tries: u32,
    error: String,
}

/// The stores that wait. At most one entry per store, so it never grows beyond the directory.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<String, Waiting>,
    order: BTreeSet<(Priority, u64, String)>,
    running: BTreeSet<String>,
    failures: BTreeMap<String, Failure>,
    numbers: u64,
}

/// First wait after a failure; it doubles with each further one.
const FIRST_RETRY_MS: i64 = 1_000;
/// Characters of an error that are kept.
const MAX_ERROR: usize = 300;
/// Longest wait between two attempts.
const LONGEST_RETRY_MS: i64 = 300_000;

impl Queue {
    /// Adds work; what waits for the same store already is done together with it, at the more urgent priority.
    pub fn add(&mut self, store_id: &str, work: Work, priority: Priority) {
        self.insert(store_id, work, priority, 0);
    }

    fn insert(&mut self, store_id: &str, work: Work, priority: Priority, not_before: i64) {
        let (work, priority, number, not_before) = match self.waiting.remove(store_id) {
            Some(before) => {
                self.order.remove(&(before.priority, before.number, store_id.to_owned()));
                let number = before.number;
                (
                    before.work.with(work),
                    before.priority.min(priority),
                    number,
                    before.not_before.max(not_before),
                )
            }
            None => {
                self.numbers += 1;
                (work, priority, self.numbers, not_before)
            }
        };
        self.order.insert((priority, number, store_id.to_owned()));
        self.waiting.insert(store_id.to_owned(), Waiting { priority, number, work, not_before });
    }

    /// The next store whose time has come and that nobody is working on. It counts as running until
    /// [`Queue::done`] or [`Queue::failed`].
    pub fn next(&mut self, now: i64) -> Option<(String, Work, Priority)> {
        let is_due = |store_id: &String| {
            !self.running.contains(store_id)
                && self.waiting.get(store_id).is_some_and(|waiting| waiting.not_before <= now)
        };
        let key = self.order.iter().find(|(_, _, store_id)| is_due(store_id))?.clone();
        self.order.remove(&key);
        let (_, _, store_id) = key;
        let waiting = self.waiting.remove(&store_id)?;
        self.running.insert(store_id.clone());
        Some((store_id, waiting.work, waiting.priority))
    }

    /// The work on a store ended well.
    pub fn done(&mut self, store_id: &str) {
        self.running.remove(store_id);
        self.failures.remove(store_id);
    }

    /// The work on a store failed: it is tried again later. Gives the wait in milliseconds.
    pub fn failed(&mut self, store_id: &str, work: Work, priority: Priority, error: &str, now: i64) -> i64 {
        self.running.remove(store_id);
        let failure = self.failures.entry(store_id.to_owned()).or_default();
        failure.tries = failure.tries.saturating_add(1);
        failure.error = error.chars().take(MAX_ERROR).collect();
        let wait = (FIRST_RETRY_MS << failure.tries.saturating_sub(1).min(16)).min(LONGEST_RETRY_MS);
        self.insert(store_id, work, priority, now + wait);
        wait
    }

    /// Forgets a store that is no more; work that runs on it ends by itself.
    pub fn forget(&mut self, store_id: &str) {
        if let Some(waiting) = self.waiting.remove(store_id) {
            self.order.remove(&(waiting.priority, waiting.number, store_id.to_owned()));
        }
        self.failures.remove(store_id);
    }

    /// Whether work on this store waits or runs.
    #[must_use]
    pub fn has(&self, store_id: &str) -> bool {
        self.waiting.contains_key(store_id) || self.running.contains(store_id)
    }

    /// Whether work on this store waits.
    #[must_use]
    pub fn is_waiting(&self, store_id: &str) -> bool {
        self.waiting.contains_key(store_id)
    }

    /// Whether work at least as urgent as `priority` waits that is not put off, or runs.
    #[must_use]
    pub fn has_urgent(&self, priority: Priority, now: i64) -> bool {
        self.order.iter().take_while(|(waiting, ..)| *waiting <= priority).any(|(_, _, store_id)| {
            self.waiting.get(store_id).is_some_and(|waiting| waiting.not_before <= now)
        })
    }

    /// Stores that wait or run, those that are put off after a failure included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.running.iter().filter(|store| !self.waiting.contains_key(*store)).count()
    }

    /// Whether nothing waits or runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// The stores that are worked on, those that failed of late, and then the others in the order in which they come, with
    /// what they wait for.
    pub fn waits(&self) -> impl Iterator<Item = (&str, Waits)> {
        let running = self.running.iter().map(|store_id| (store_id.as_str(), Waits::Running));
        let failing = self.failures.iter().filter(|(store_id, _)| !self.running.contains(*store_id));
        let failing = failing.map(|(store_id, failure)| {
            let next_at = self.waiting.get(store_id).map_or(0, |waiting| waiting.not_before);
            let waits = Waits::Failing { error: failure.error.clone(), tries: failure.tries, next_at };
            (store_id.as_str(), waits)
        });
        let waiting = self.order.iter().map(|(_, _, store_id)| store_id.as_str());
        let waiting = waiting
            .filter(|store_id| !self.running.contains(*store_id) && !self.failures.contains_key(*store_id))
            .enumerate()
            .map(|(before, store_id)| (store_id, Waits::Waiting { place: before + 1 }));
        running.chain(failing).chain(waiting)
    }

    /// When the next store that was put off may be tried, milliseconds since 1970.
    #[must_use]
    pub fn next_retry(&self) -> Option<i64> {
        self.waiting.values().map(|waiting| waiting.not_before).min()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn days(days: &[i32]) -> Work {
        Work::Days(days.iter().map(|day| Day(*day)).collect())
    }

    #[test]
    fn the_most_urgent_comes_first_then_the_longest_waiting() {
        let mut queue = Queue::default();
        queue.add("cold", Work::Whole, Priority::Cold);
        queue.add("b", days(&[1]), Priority::Changed);
        queue.add("a", days(&[1]), Priority::Changed);
        queue.add("hot", days(&[1]), Priority::ChangedHot);
        queue.add("a", days(&[2]), Priority::Cold);
        let mut order = Vec::new();
        while let Some((store, work, _)) = queue.next(0) {
            order.push((store, work));
        }
        let expected = [("hot", days(&[1])), ("b", days(&[1])), ("a", days(&[1, 2])), ("cold", Work::Whole)];
        assert_eq!(order, expected.map(|(store, work)| (store.to_owned(), work)));
        assert_eq!(queue.len(), 4);
    }

    #[test]
    fn a_store_is_never_worked_on_twice_at_once() {
        let mut queue = Queue::default();
        queue.add("a", days(&[1]), Priority::Changed);
        assert!(queue.next(0).is_some());
        queue.add("a", days(&[2]), Priority::Changed);
        assert!(queue.next(0).is_none() && queue.has("a"));
        queue.done("a");
        assert_eq!(queue.next(0).unwrap().1, days(&[2]));
        queue.done("a");
        assert!(queue.is_empty() && !queue.has("a"));
    }

    #[test]
    fn failed_stores_wait_longer_each_time() {
        let mut queue = Queue::default();
        queue.add("a", days(&[1]), Priority::Hot);
        let mut now = 0;
        for wait in [1_000, 2_000, 4_000] {
            let (store, work, priority) = queue.next(now).unwrap();
            assert_eq!(queue.failed(&store, work, priority, "refused", now), wait);
            assert!(queue.next(now + wait - 1).is_none());
            assert!(!queue.has_urgent(Priority::Cold, now) && queue.has_urgent(Priority::Cold, now + wait));
            now += wait;
        }
        queue.add("b", Work::Whole, Priority::Hot);
        queue.add("c", Work::Whole, Priority::Cold);
        let running = queue.next(0).unwrap();
        let failing = Waits::Failing { error: "refused".to_owned(), tries: 3, next_at: now };
        let waits = [("b", Waits::Running), ("a", failing), ("c", Waits::Waiting { place: 1 })];
        assert_eq!(queue.waits().collect::<Vec<_>>(), waits);
        queue.done(&running.0);
        queue.forget("c");
        for _ in 0..40 {
            let (store, work, priority) = queue.next(now).unwrap();
            now += queue.failed(&store, work, priority, "refused", now);
        }
        assert_eq!(queue.next_retry(), Some(now));
        let (store, ..) = queue.next(now).unwrap();
        queue.done(&store);
        assert_eq!(queue.waits().count(), 0);
    }

    #[test]
    fn whole_includes_days() {
        let mut queue = Queue::default();
        queue.add("a", Work::Whole, Priority::Cold);
        queue.add("a", days(&[1]), Priority::ChangedHot);
        assert_eq!(queue.next(0).unwrap(), ("a".into(), Work::Whole, Priority::ChangedHot));
        queue.add("b", Work::Whole, Priority::Cold);
        queue.forget("b");
        assert!(queue.next(0).is_none());
    }
}
