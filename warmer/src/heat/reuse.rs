//! What keeping a key is worth: hits expected per unit of time kept, learned from the stream itself.
//!
//! Keys are sorted into classes by how often they were asked for and how far apart. For each class and age (time since
//! the last request) it is counted how many keys were asked for again and how long keys were that old: a hazard rate.
//! A key's value is the largest ratio of hits to time that any stopping age gives from its age on (the Gittins
//! index; LHD of Beckmann, Chen, Cidon, NSDI 2018, takes the whole lifetime instead). Unlike there, keys that are not kept are
//! watched as well, so what was evicted does not distort what is learned.

use serde::{Deserialize, Serialize};

/// Age buckets: one per doubling.
const AGES: usize = 64;
/// Classes by number of requests: two per doubling, up to 16.
const COUNTS: usize = 9;
/// Classes by gap: none yet, then one per factor of four.
const GAPS: usize = 34;
const CLASSES: usize = COUNTS * GAPS;
/// Hits of the wider class that a class is thought to have had before it had any of its own.
const PRIOR: f64 = 1.0;
/// What the counts of earlier periods keep of their weight, each period.
const FADE: f64 = 0.8;

/// What is remembered of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Time of the last request.
    pub last: u64,
    count: u32,
    /// Mean of log2 of the gaps, later ones weighing more.
    gap: f64,
}

impl History {
    /// A key asked for the first time.
    #[must_use]
    pub fn first(at: u64) -> Self {
        Self { last: at, count: 1, gap: -1.0 }
    }

    /// After another request. A time before the last one counts as no time since.
    #[must_use]
    pub fn again(self, at: u64) -> Self {
        let gap = log2(at.saturating_sub(self.last));
        let gap = if self.gap < 0.0 { gap } else { f64::midpoint(self.gap, gap) };
        Self { last: at.max(self.last), count: self.count.saturating_add(1), gap }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small positive numbers")]
    fn class(&self) -> usize {
        let doublings = self.count.max(1).ilog2();
        let half = u64::from(self.count).pow(2) >= 1 << (2 * doublings + 1);
        let count = (2 * doublings as usize + usize::from(half)).min(COUNTS - 1);
        let gap = if self.gap < 0.0 { 0 } else { ((self.gap / 2.0) as usize + 1).min(GAPS - 1) };
        count * GAPS + gap
    }
}

/// Per class and age: requests, and time that keys were that old.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reuse {
    hits: Vec<f64>,
    /// Intervals of age that end (+) or begin (−) in this bucket, and how far into it.
    ends: Vec<f64>,
    offsets: Vec<f64>,
    values: Vec<f64>,
    period_start: u64,
}

impl Default for Reuse {
    fn default() -> Self {
        let zeros = || vec![0.0; CLASSES * AGES];
        let mut reuse =
            Self { hits: zeros(), ends: zeros(), offsets: zeros(), values: zeros(), period_start: 0 };
        reuse.value_all();
        reuse
    }
}

impl Reuse {
    /// The value of keeping a key at a time: hits per unit of time.
    #[must_use]
    pub fn value(&self, history: &History, now: u64) -> f64 {
        self.values[history.class() * AGES + bucket(now.saturating_sub(history.last))]
    }

    /// Learns that a key with this history is asked for.
    pub fn learn(&mut self, history: &History, at: u64) {
        self.spend(history, at);
        self.hits[history.class() * AGES + bucket(at.saturating_sub(history.last))] += 1.0;
    }

    /// Ends a period: adds the ages of the keys that wait for their next request, and computes all values anew.
    pub fn end_period<'a>(&mut self, watched: impl Iterator<Item = &'a History>, now: u64) {
        watched.for_each(|history| self.spend(history, now));
        self.value_all();
        for counts in [&mut self.hits, &mut self.ends, &mut self.offsets] {
            counts.iter_mut().for_each(|count| *count *= FADE);
        }
        self.period_start = now;
    }

    /// Adds the ages a key went through in this period.
    fn spend(&mut self, history: &History, now: u64) {
        let class = history.class();
        self.mark(class, now.saturating_sub(history.last), 1.0);
        if history.last < self.period_start {
            self.mark(class, self.period_start - history.last, -1.0);
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "ages are sorted by doublings")]
    fn mark(&mut self, class: usize, age: u64, sign: f64) {
        let bucket = bucket(age);
        self.ends[class * AGES + bucket] += sign;
        self.offsets[class * AGES + bucket] += sign * (age as f64 - start(bucket));
    }

    /// Time spent at each age by the keys of a class.
    fn times(&self, class: usize) -> [f64; AGES] {
        let mut times = [0.0; AGES];
        let mut older = 0.0;
        for age in (0..AGES).rev() {
            times[age] = (older * width(age) + self.offsets[class * AGES + age]).max(0.0);
            older += self.ends[class * AGES + age];
        }
        times
    }

    /// A class with few requests of its own leans on all of the same count, those on all keys.
    fn value_all(&mut self) {
        let times: Vec<[f64; AGES]> = (0..CLASSES).map(|class| self.times(class)).collect();
        let unknown: [f64; AGES] = std::array::from_fn(|age| 0.25 / start(age + 1));
        let everything = self.hazards(0..CLASSES, &times, &unknown, 0.5);
        for count in 0..COUNTS {
            let classes = count * GAPS..(count + 1) * GAPS;
            let wider = self.hazards(classes.clone(), &times, &everything, PRIOR);
            for class in classes {
                let hazards = self.hazards(class..class + 1, &times, &wider, PRIOR);
                let asked = std::array::from_fn(|age| -(-hazards[age] * width(age)).exp_m1());
                for age in 0..AGES {
                    self.values[class * AGES + age] = best_ratio(&hazards, &asked, age);
                }
            }
        }
    }

    fn hazards(
        &self,
        classes: std::ops::Range<usize>,
        times: &[[f64; AGES]],
        wider: &[f64; AGES],
        prior: f64,
    ) -> [f64; AGES] {
        std::array::from_fn(|age| {
            let hits: f64 = classes.clone().map(|class| self.hits[class * AGES + age]).sum();
            let time: f64 = classes.clone().map(|class| times[class][age]).sum();
            (hits + prior) / (time + prior / wider[age])
        })
    }
}

/// The largest ratio of expected hits to expected time over all ages at which one might stop.
///
/// `asked` is the share that is asked for again within each age.
fn best_ratio(hazards: &[f64; AGES], asked: &[f64; AGES], from: usize) -> f64 {
    let (mut waiting, mut hits, mut time, mut best) = (1.0, 0.0, 0.0, 0.0_f64);
    for (hazard, asked) in hazards.iter().zip(asked).skip(from) {
        let asked = waiting * asked;
        hits += asked;
        time += asked / hazard;
        best = best.max(hits / time);
        waiting -= asked;
        if waiting < 1e-4 {
            break;
        }
    }
    best
}

#[allow(clippy::cast_precision_loss, reason = "ages are sorted by doublings")]
fn log2(age: u64) -> f64 {
    (age.max(1) as f64).log2()
}

/// 0 and 1 in the first bucket, then one bucket per doubling.
fn bucket(age: u64) -> usize {
    age.max(1).ilog2() as usize
}

/// 2 to the power of the bucket, written as its exponent: a call of `powi` for each would be half of the work.
fn start(bucket: usize) -> f64 {
    if bucket == 0 { 0.0 } else { f64::from_bits((1023 + bucket as u64) << 52) }
}

fn width(bucket: usize) -> f64 {
    start(bucket + 1) - start(bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_counted_once_over_period_ends() {
        let history = History::first(10);
        let mut cut = Reuse { period_start: 60, ..Reuse::default() };
        cut.spend(&history, 110);
        // Ages 50 to 100: 14 in [32, 64), 36 in [64, 128).
        let times = cut.times(history.class());
        assert_eq!((times[4], times[5], times[6], times[7]), (0.0, 14.0, 36.0, 0.0));
    }

    #[test]
    fn what_is_asked_again_soon_is_worth_more() {
        let mut reuse = Reuse::default();
        let (mut often, once) = (History::first(0), History::first(0));
        for at in (4..400).step_by(4) {
            reuse.learn(&often, at);
            often = often.again(at);
        }
        reuse.end_period([&often, &once].into_iter(), 400);
        assert!(reuse.value(&often, 400) > 10.0 * reuse.value(&once, 400));
    }

    #[test]
    fn values_stay_finite_for_any_time() {
        let mut reuse = Reuse::default();
        let history = History::first(u64::MAX);
        reuse.learn(&history, 5);
        let history = history.again(0).again(u64::MAX);
        reuse.learn(&history, u64::MAX);
        reuse.end_period([&history].into_iter(), u64::MAX);
        for value in &reuse.values {
            assert!(value.is_finite() && *value > 0.0);
        }
    }
}
