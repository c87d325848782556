//! Times in buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shared::runtime::metrics::Distribution;

/// Upper bounds in microseconds: from a near-cache hit to a request's time limit.
const BOUNDS_US: [u64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// Buckets, that of longer times included.
pub const BUCKETS: usize = BOUNDS_US.len() + 1;

/// Upper bounds of the buckets in milliseconds; that of the last one, which has none, is twice the one before.
pub fn upper_bounds_ms() -> impl Iterator<Item = f64> {
    let [.., longest] = BOUNDS_US;
    BOUNDS_US.iter().copied().chain([longest * 2]).map(|bound| bound as f64 / 1000.0)
}

/// Counts of times up to each bound, and of longer ones.
#[derive(Debug)]
pub struct Histogram {
    counts: [AtomicU64; BUCKETS],
    /// Nanoseconds: the sum of 584 years fits.
    sum: AtomicU64,
}

impl Histogram {
    pub(super) const fn new() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; BUCKETS], sum: AtomicU64::new(0) }
    }

    pub(super) fn add(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let at = BOUNDS_US.partition_point(|bound| bound * 1000 < nanos);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Counts by bucket, several as one.
    pub(super) fn buckets<'a>(of: impl Iterator<Item = &'a Self>) -> [u64; BUCKETS] {
        let mut counts = [0; BUCKETS];
        for histogram in of {
            for (sum, count) in counts.iter_mut().zip(&histogram.counts) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        counts
    }

    /// Several as one, in seconds.
    pub(super) fn read<'a>(of: impl Iterator<Item = &'a Self>) -> Distribution {
        let (mut counts, mut nanos) = ([0; BUCKETS], 0_u64);
        for histogram in of {
            for (sum, count) in counts.iter_mut().zip(&histogram.counts) {
                *sum += count.load(Ordering::Relaxed);
            }
            nanos = nanos.saturating_add(histogram.sum.load(Ordering::Relaxed));
        }
        let mut count = 0;
        let mut cumulative = counts.iter().map(|of| {
            count += of;
            count
        });
        let buckets = BOUNDS_US.iter().map(|bound| *bound as f64 / 1e6).zip(cumulative.by_ref()).collect();
        let _longer = cumulative.next();
        Distribution { buckets, count, sum: nanos as f64 / 1e9 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_on_a_bound_is_within_it() {
        let histograms = [Histogram::new(), Histogram::new()];
        for (at, us) in [100, 101, 250, 30_000_000, 31_000_000].into_iter().enumerate() {
            histograms[at % 2].add(Duration::from_micros(us));
        }
        let read = Histogram::read(histograms.iter());
        assert_eq!(&read.buckets[..3], [(0.0001, 1), (0.00025, 3), (0.0005, 3)]);
        assert_eq!((read.buckets.last(), read.count), (Some(&(30.0, 4)), 5));
        assert!((read.sum - 61.000_451).abs() < 1e-9, "{}", read.sum);
    }
}
