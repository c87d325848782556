//! Policies of what to keep under a budget of entries.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::trace::Stream;
use crate::heat::keep::Keeper;

/// Decides what is kept.
pub trait Policy: Send {
    /// A request: true if the key was kept. Afterwards the policy may keep it, or not.
    fn request(&mut self, key: u32, at: u64) -> bool;
}

/// The policies that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// The warmer's.
    Hotshelf,
    /// The key asked for longest ago goes.
    Lru,
    /// The key asked for least since it is kept goes; of equal ones the one asked for longest ago.
    Lfu,
    /// The most counted keys of the period before, exchanged each period: the system that Hotshelf replaced.
    TopByCount,
    /// Knows the future (Belady 1966): the key asked for again latest goes, the new one included.
    Optimum,
}

/// All of them, in the order of reports.
pub const POLICIES: [PolicyKind; 5] =
    [PolicyKind::Hotshelf, PolicyKind::Lru, PolicyKind::Lfu, PolicyKind::TopByCount, PolicyKind::Optimum];

/// Periods of equal numbers of requests that a trace is cut into for [`PolicyKind::TopByCount`].
const PERIODS: usize = 24;

impl PolicyKind {
    /// As told in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hotshelf => "hotshelf",
            Self::Lru => "LRU",
            Self::Lfu => "LFU",
            Self::TopByCount => "top by count",
            Self::Optimum => "optimum",
        }
    }

    /// The policy with nothing kept yet. Only the optimum looks at what the stream will bring.
    #[must_use]
    pub fn start(self, stream: &Stream, entries: usize) -> Box<dyn Policy> {
        match self {
            Self::Hotshelf => Box::new(Keeper::new(entries)),
            Self::Lru => Box::new(Ordered::new(entries, false)),
            Self::Lfu => Box::new(Ordered::new(entries, true)),
            Self::TopByCount => Box::new(TopByCount {
                entries,
                period: stream.requests().len().div_ceil(PERIODS).max(1),
                seen: 0,
                counts: BTreeMap::new(),
                kept: HashSet::new(),
            }),
            Self::Optimum => Box::new(Optimum::new(stream, entries)),
        }
    }
}

impl Policy for Keeper<u32> {
    fn request(&mut self, key: u32, at: u64) -> bool {
        Keeper::request(self, &key, at)
    }
}

/// LRU and LFU: kept keys in the order in which they go.
struct Ordered {
    entries: usize,
    by_count: bool,
    clock: u64,
    rank: HashMap<u32, (u64, u64)>,
    order: BTreeSet<((u64, u64), u32)>,
}

impl Ordered {
    fn new(entries: usize, by_count: bool) -> Self {
        Self { entries, by_count, clock: 0, rank: HashMap::new(), order: BTreeSet::new() }
    }
}

impl Policy for Ordered {
    fn request(&mut self, key: u32, _at: u64) -> bool {
        self.clock += 1;
        let before = self.rank.get(&key).copied();
        match before {
            Some(rank) => {
                self.order.remove(&(rank, key));
            }
            None if self.rank.len() >= self.entries => {
                if let Some((_, gone)) = self.order.pop_first() {
                    self.rank.remove(&gone);
                }
            }
            None => {}
        }
        let count = if self.by_count { before.map_or(1, |(count, _)| count + 1) } else { 0 };
        self.rank.insert(key, (count, self.clock));
        self.order.insert(((count, self.clock), key));
        before.is_some()
    }
}

struct TopByCount {
    entries: usize,
    period: usize,
    seen: usize,
    counts: BTreeMap<u32, u64>,
    kept: HashSet<u32>,
}

impl Policy for TopByCount {
    fn request(&mut self, key: u32, _at: u64) -> bool {
        if self.seen == self.period {
            let mut counts: Vec<(u32, u64)> = std::mem::take(&mut self.counts).into_iter().collect();
            counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
            self.kept = counts.into_iter().take(self.entries).map(|(key, _)| key).collect();
            self.seen = 0;
        }
        self.seen += 1;
        *self.counts.entry(key).or_insert(0) += 1;
        self.kept.contains(&key)
    }
}

struct Optimum {
    entries: usize,
    /// For each request, the number of the next one for the same key.
    next: Vec<usize>,
    number: usize,
    kept: HashMap<u32, usize>,
    order: BTreeSet<(usize, u32)>,
}

impl Optimum {
    fn new(stream: &Stream, entries: usize) -> Self {
        let requests = stream.requests();
        let mut next = vec![usize::MAX; requests.len()];
        let mut later = HashMap::new();
        for (number, request) in requests.iter().enumerate().rev() {
            if let Some(later) = later.insert(request.key, number) {
                next[number] = later;
            }
        }
        Self { entries, next, number: 0, kept: HashMap::new(), order: BTreeSet::new() }
    }
}

impl Policy for Optimum {
    fn request(&mut self, key: u32, _at: u64) -> bool {
        let next = self.next[self.number];
        self.number += 1;
        let hit = self.kept.remove(&key).is_some_and(|before| self.order.remove(&(before, key)));
        self.kept.insert(key, next);
        self.order.insert((next, key));
        if self.order.len() > self.entries
            && let Some((_, gone)) = self.order.pop_last()
        {
            self.kept.remove(&gone);
        }
        hit
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hits(kind: PolicyKind, keys: &[u8], entries: usize) -> usize {
        let mut stream = Stream::default();
        for (at, key) in keys.iter().enumerate() {
            stream.push(&key.to_string(), at as u64).unwrap();
        }
        let mut policy = kind.start(&stream, entries);
        stream.requests().iter().filter(|request| policy.request(request.key, request.at)).count()
    }

    /// The most hits any choice of what to drop gives, by trying all of them.
    fn most_hits(keys: &[u8], kept: &BTreeSet<u8>, entries: usize) -> usize {
        let Some((key, rest)) = keys.split_first() else { return 0 };
        if kept.contains(key) {
            return 1 + most_hits(rest, kept, entries);
        }
        let mut with = kept.clone();
        with.insert(*key);
        if with.len() <= entries {
            return most_hits(rest, &with, entries);
        }
        let without = |gone: &u8| {
            let mut kept = with.clone();
            kept.remove(gone);
            most_hits(rest, &kept, entries)
        };
        with.iter().map(without).max().unwrap_or(0)
    }

    /// LRU and LFU by looking at the whole past each time.
    fn plain_hits(keys: &[u8], entries: usize, by_count: bool) -> usize {
        let mut kept: Vec<(u8, usize, usize)> = Vec::new();
        let mut hits = 0;
        for (at, key) in keys.iter().enumerate() {
            if let Some(place) = kept.iter_mut().find(|place| place.0 == *key) {
                *place = (*key, place.1 + 1, at);
                hits += 1;
                continue;
            }
            if kept.len() == entries {
                let order = |place: &&(u8, usize, usize)| (if by_count { place.1 } else { 0 }, place.2);
                let gone = kept.iter().min_by_key(order).unwrap().0;
                kept.retain(|place| place.0 != gone);
            }
            kept.push((*key, 1, at));
        }
        hits
    }

    #[test]
    fn the_most_counted_of_the_last_period_are_kept() {
        // 24 periods of two: each brings the key of the one before, then a new one.
        let keys: Vec<u8> = (0..48).map(|at| if at % 2 == 0 { 1 } else { 100 + at }).collect();
        assert_eq!(hits(PolicyKind::TopByCount, &keys, 1), 23);
    }

    proptest! {
        // The warmer's policy computes its tables at the start: slow without optimisation.
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn lru_and_lfu_are_what_they_say(keys in prop::collection::vec(0u8..8, 0..120), entries in 1usize..6) {
            prop_assert_eq!(hits(PolicyKind::Lru, &keys, entries), plain_hits(&keys, entries, false));
            prop_assert_eq!(hits(PolicyKind::Lfu, &keys, entries), plain_hits(&keys, entries, true));
        }

        #[test]
        fn the_optimum_is_the_best_there_is(keys in prop::collection::vec(0u8..5, 0..11), entries in 1usize..4) {
            let most = most_hits(&keys, &BTreeSet::new(), entries);
            prop_assert_eq!(hits(PolicyKind::Optimum, &keys, entries), most);
        }

        #[test]
        fn no_policy_is_above_the_optimum(keys in prop::collection::vec(0u8..20, 0..400), entries in 1usize..12) {
            let most = hits(PolicyKind::Optimum, &keys, entries);
            // Not the top by count: it brings in keys that were not asked for.
            for kind in [PolicyKind::Hotshelf, PolicyKind::Lru, PolicyKind::Lfu] {
                prop_assert!(hits(kind, &keys, entries) <= most, "{}", kind.name());
            }
        }

        #[test]
        fn equal_streams_give_equal_choices(keys in prop::collection::vec(0u8..200, 300..900)) {
            let first = hits(PolicyKind::Hotshelf, &keys, 70);
            prop_assert_eq!(hits(PolicyKind::Hotshelf, &keys, 70), first);
        }
    }
}
