//! What is asked for most of late: exponentially decayed counts in bounded memory.
//!
//! A request of weight w at time t counts w × 2^(−age ÷ half-life). This is kept as one number that needs no ageing,
//! log2 Σ w × 2^(t ÷ half-life) ("forward decay": Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009), so that neither late
//! lines nor a clock that steps back disturb it. Memory is bounded by Space-Saving (Metwally, Agrawal, El Abbadi,
//! ICDT 2005) over these counts: when all places are taken, a new key takes the place of the coldest one and inherits
//! its count as its possible error.
//! Heat is thus never told too low for a key that is kept, and too high by at most the heat of all requests together ÷ capacity.

pub mod keep;
pub mod reuse;

use std::cmp::Ordering;
use std::hash::Hash;

use foldhash::{HashMap, HashMapExt as _};
use serde::{Deserialize, Serialize};

/// Half-life of a request's weight, in milliseconds: 6 hours.
pub const HALF_LIFE_MS: u64 = 6 * 60 * 60 * 1000;

/// What a key counts, and the part of it that may belong to keys that had its place before. Both as log2 at time 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place<K> {
    key: K,
    #[serde(with = "bits")]
    count: f64,
    #[serde(with = "bits::option")]
    error: Option<f64>,
}

/// Numbers as their bits: through decimals the last digit would change, and with it the order of ties.
mod bits {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(number.to_bits())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        u64::deserialize(from).map(f64::from_bits)
    }

    pub(super) mod option {
        use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

        pub(crate) fn serialize<S: Serializer>(number: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
            number.map(f64::to_bits).serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
            Ok(Option::<u64>::deserialize(from)?.map(f64::from_bits))
        }
    }
}

/// A key with its heat.
#[derive(Clone, Debug, PartialEq)]
pub struct Hot<K> {
    /// The key.
    pub key: K,
    /// Decayed count: never below the true one.
    pub heat: f64,
    /// The true count is at least `heat - error`.
    pub error: f64,
}

/// Heat as it is kept across restarts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeatSnapshot<K> {
    half_life_ms: u64,
    places: Vec<Place<K>>,
}

/// Decayed counts of the hottest keys.
#[derive(Clone, Debug)]
pub struct Heat<K> {
    half_life_ms: u64,
    capacity: usize,
    places: Vec<Place<K>>,
    /// Which place a key has.
    of_key: HashMap<K, u32>,
    /// Places as a binary heap, the coldest first.
    heap: Vec<u32>,
    /// Where in the heap a place is.
    at: Vec<u32>,
}

impl<K: Clone + Ord + Hash> Heat<K> {
    /// Heat of at most `capacity` keys (at least 1, at most 2³²−1), each request's weight halved every `half_life_ms` (at least 1).
    #[must_use]
    pub fn new(half_life_ms: u64, capacity: usize) -> Self {
        let capacity = capacity.clamp(1, u32::MAX as usize);
        let half_life_ms = half_life_ms.max(1);
        let (places, heap, at) = (Vec::new(), Vec::new(), Vec::new());
        Self { half_life_ms, capacity, places, of_key: HashMap::new(), heap, at }
    }

    /// Counts a request. Times may come in any order; times ahead of the clock count as hotter than now, so a reader
    /// caps them with its clock. A weight that is not above 0 counts nothing.
    pub fn record(&mut self, key: &K, at_ms: u64, weight: f64) {
        if !(weight > 0.0 && weight.is_finite()) {
            return;
        }
        let added = weight.log2() + self.scaled(at_ms);
        if let Some(place) = self.of_key.get(key) {
            let place = *place as usize;
            self.places[place].count = log_sum(self.places[place].count, added);
            self.sink(self.at[place] as usize);
        } else if self.places.len() < self.capacity {
            self.insert(Place { key: key.clone(), count: added, error: None });
        } else {
            let place = self.heap[0] as usize;
            let coldest = self.places[place].count;
            let new = Place { key: key.clone(), count: log_sum(coldest, added), error: Some(coldest) };
            let old = std::mem::replace(&mut self.places[place], new);
            self.of_key.remove(&old.key);
            self.of_key.insert(key.clone(), self.heap[0]);
            self.sink(0);
        }
    }

    /// The heat of a key at a time; 0 if it is not kept (its true heat is then at most [`Heat::bound`]).
    #[must_use]
    pub fn heat(&self, key: &K, now_ms: u64) -> f64 {
        let place = self.of_key.get(key).map(|place| &self.places[*place as usize]);
        place.map_or(0.0, |place| self.at_time(place.count, now_ms))
    }

    /// The most that a heat may be told too high by, and that a key which is not kept may have.
    #[must_use]
    pub fn bound(&self, now_ms: u64) -> f64 {
        if self.places.len() < self.capacity {
            return 0.0;
        }
        self.heap.first().map_or(0.0, |place| self.at_time(self.places[*place as usize].count, now_ms))
    }

    /// The `most` hottest keys, hottest first, ties by key.
    #[must_use]
    pub fn ranking(&self, now_ms: u64, most: usize) -> Vec<Hot<K>> {
        let told = |place: &&Place<K>| Hot {
            key: place.key.clone(),
            heat: self.at_time(place.count, now_ms),
            error: place.error.map_or(0.0, |error| self.at_time(error, now_ms)),
        };
        self.ranked(most).iter().map(told).collect()
    }

    /// A fingerprint of which keys are the `most` hottest and in which order: equal for equal rankings in any process, so
    /// that one that stays the same although requests come can be found and told.
    #[must_use]
    pub fn fingerprint(&self, most: usize, bytes_of: impl Fn(&K) -> Vec<u8>) -> u64 {
        // FNV-1a, with lengths so that no two lists run together.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for place in self.ranked(most) {
            let bytes = bytes_of(&place.key);
            for byte in (bytes.len() as u64).to_le_bytes().into_iter().chain(bytes) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash
    }

    /// Whether a key is kept.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.of_key.contains_key(key)
    }

    /// Keys that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// If nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Everything, by key, to be kept across restarts.
    #[must_use]
    pub fn snapshot(&self) -> HeatSnapshot<K> {
        let mut places = self.places.clone();
        places.sort_by(|a, b| a.key.cmp(&b.key));
        HeatSnapshot { half_life_ms: self.half_life_ms, places }
    }

    /// From a snapshot. With a smaller capacity the hottest keys stay; with another half-life, counts of another scale
    /// would lie, so nothing is taken over. Keys twice and counts that are no numbers are left out.
    #[must_use]
    pub fn restore(snapshot: HeatSnapshot<K>, half_life_ms: u64, capacity: usize) -> Self {
        let mut heat = Self::new(half_life_ms, capacity);
        if snapshot.half_life_ms != heat.half_life_ms {
            return heat;
        }
        let mut places = snapshot.places;
        places.retain(|place| place.count.is_finite() && place.error.is_none_or(f64::is_finite));
        places.sort_by(hotter);
        for place in places {
            if heat.places.len() < heat.capacity && !heat.of_key.contains_key(&place.key) {
                heat.insert(place);
            }
        }
        heat
    }

    fn ranked(&self, most: usize) -> Vec<&Place<K>> {
        let mut places: Vec<&Place<K>> = self.places.iter().collect();
        if most < places.len() {
            places.select_nth_unstable_by(most, |a, b| hotter(a, b));
            places.truncate(most);
        }
        places.sort_unstable_by(|a, b| hotter(a, b));
        places
    }

    #[allow(clippy::cast_precision_loss, reason = "milliseconds of the next 200,000 years are exact")]
    fn scaled(&self, at_ms: u64) -> f64 {
        at_ms as f64 / self.half_life_ms as f64
    }

    fn at_time(&self, count: f64, now_ms: u64) -> f64 {
        (count - self.scaled(now_ms)).exp2()
    }

    #[allow(clippy::cast_possible_truncation, reason = "the capacity fits in 32 bits")]
    fn insert(&mut self, place: Place<K>) {
        let number = self.places.len() as u32;
        self.of_key.insert(place.key.clone(), number);
        self.places.push(place);
        self.heap.push(number);
        self.at.push(number);
        let mut child = self.heap.len() - 1;
        while child > 0 && self.colder(child, (child - 1) / 2) {
            self.swap(child, (child - 1) / 2);
            child = (child - 1) / 2;
        }
    }

    /// Puts the place at `parent` of the heap below those that are now colder.
    fn sink(&mut self, mut parent: usize) {
        loop {
            let mut coldest = parent;
            for child in [2 * parent + 1, 2 * parent + 2] {
                if child < self.heap.len() && self.colder(child, coldest) {
                    coldest = child;
                }
            }
            if coldest == parent {
                return;
            }
            self.swap(parent, coldest);
            parent = coldest;
        }
    }

    fn colder(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.places[self.heap[a] as usize], &self.places[self.heap[b] as usize]);
        hotter(a, b) == Ordering::Greater
    }

    #[allow(clippy::cast_possible_truncation, reason = "the capacity fits in 32 bits")]
    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.at[self.heap[a] as usize] = a as u32;
        self.at[self.heap[b] as usize] = b as u32;
    }
}

fn hotter<K: Ord>(a: &Place<K>, b: &Place<K>) -> Ordering {
    b.count.total_cmp(&a.count).then_with(|| a.key.cmp(&b.key))
}

/// log2(2^a + 2^b).
fn log_sum(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    high + (low - high).exp2().ln_1p() * std::f64::consts::LOG2_E
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600_000;

    fn exact(requests: &[(u8, u64)], now: u64) -> BTreeMap<u8, f64> {
        let mut counts = BTreeMap::new();
        for (key, at) in requests {
            *counts.entry(*key).or_insert(0.0) += ((*at as f64 - now as f64) / HALF_LIFE_MS as f64).exp2();
        }
        counts
    }

    #[test]
    fn a_request_counts_half_after_a_half_life() {
        let mut heat = Heat::new(HALF_LIFE_MS, 10);
        heat.record(&"a", 1_700_000_000_000, 3.0);
        assert!((heat.heat(&"a", 1_700_000_000_000) - 3.0).abs() < 1e-6);
        assert!((heat.heat(&"a", 1_700_000_000_000 + HALF_LIFE_MS) - 1.5).abs() < 1e-6);
        assert_eq!(heat.heat(&"b", 0), 0.0);
    }

    #[test]
    fn favourites_of_long_ago_give_way() {
        let mut heat = Heat::new(HALF_LIFE_MS, 10);
        (0..100).for_each(|_| heat.record(&"old", HOUR, 1.0));
        (0..2).for_each(|_| heat.record(&"new", 49 * HOUR, 1.0));
        let keys: Vec<_> = heat.ranking(49 * HOUR, 2).into_iter().map(|hot| hot.key).collect();
        assert_eq!(keys, ["new", "old"]);
    }

    #[test]
    fn ties_go_by_key_and_weights_that_are_none_count_nothing() {
        let mut heat = Heat::new(HALF_LIFE_MS, 10);
        for key in ["c", "a", "b"] {
            heat.record(&key, HOUR, 1.0);
        }
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            heat.record(&"x", HOUR, weight);
        }
        let keys: Vec<_> = heat.ranking(HOUR, 9).into_iter().map(|hot| hot.key).collect();
        assert_eq!(keys, ["a", "b", "c"]);
    }

    #[test]
    fn the_fingerprint_changes_with_the_ranking_only() {
        let bytes = |key: &String| key.clone().into_bytes();
        let mut heat = Heat::new(HALF_LIFE_MS, 10);
        heat.record(&"a".to_owned(), HOUR, 2.0);
        heat.record(&"b".to_owned(), HOUR, 1.0);
        let before = heat.fingerprint(5, bytes);
        heat.record(&"a".to_owned(), 2 * HOUR, 1.0);
        assert_eq!(heat.fingerprint(5, bytes), before);
        heat.record(&"b".to_owned(), 2 * HOUR, 9.0);
        assert_ne!(heat.fingerprint(5, bytes), before);
    }

    proptest! {
        #[test]
        fn heat_is_never_too_low_and_too_high_within_the_bound(
            requests in prop::collection::vec((0u8..40, 0u64..48 * HOUR), 1..400), capacity in 1usize..50,
        ) {
            let now = 48 * HOUR;
            let mut heat = Heat::new(HALF_LIFE_MS, capacity);
            requests.iter().for_each(|(key, at)| heat.record(key, *at, 1.0));
            let exact = exact(&requests, now);
            let all: f64 = exact.values().sum();
            prop_assert!(heat.len() <= capacity);
            prop_assert!(heat.bound(now) <= all / capacity as f64 * (1.0 + 1e-9));
            let ranking = heat.ranking(now, capacity);
            for hot in &ranking {
                let true_heat = exact[&hot.key];
                prop_assert!(hot.heat >= true_heat * (1.0 - 1e-9));
                prop_assert!(hot.heat - hot.error <= true_heat * (1.0 + 1e-9) + 1e-12);
                prop_assert!(hot.error <= heat.bound(now) * (1.0 + 1e-9));
            }
            for (key, true_heat) in exact {
                if heat.heat(&key, now) == 0.0 {
                    prop_assert!(true_heat <= heat.bound(now) * (1.0 + 1e-9));
                }
            }
        }

        #[test]
        fn order_does_not_matter_while_there_is_room(
            mut requests in prop::collection::vec((0u8..40, 0u64..48 * HOUR), 1..200),
        ) {
            let mut forward = Heat::new(HALF_LIFE_MS, 40);
            requests.iter().for_each(|(key, at)| forward.record(key, *at, 1.0));
            requests.reverse();
            let mut backward = Heat::new(HALF_LIFE_MS, 40);
            requests.iter().for_each(|(key, at)| backward.record(key, *at, 1.0));
            for key in 0..40 {
                let (a, b) = (forward.heat(&key, HOUR), backward.heat(&key, HOUR));
                prop_assert!((a - b).abs() <= 1e-9 * a.max(1.0));
            }
        }

        #[test]
        fn a_snapshot_gives_back_what_was_kept(
            requests in prop::collection::vec((0u8..40, 0u64..48 * HOUR), 1..200), capacity in 1usize..50,
        ) {
            let mut heat = Heat::new(HALF_LIFE_MS, capacity);
            requests.iter().for_each(|(key, at)| heat.record(key, *at, 1.0));
            let text = serde_json::to_string(&heat.snapshot()).unwrap();
            let snapshot = serde_json::from_str(&text).unwrap();
            let mut restored = Heat::restore(snapshot, HALF_LIFE_MS, capacity);
            prop_assert_eq!(restored.snapshot(), heat.snapshot());
            heat.record(&99, HOUR, 1.0);
            restored.record(&99, HOUR, 1.0);
            prop_assert_eq!(restored.ranking(HOUR, 99), heat.ranking(HOUR, 99));
        }
    }
}
