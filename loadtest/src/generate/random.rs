//! A small random number generator of its own, so that a seed gives the same data with every version of the
//! dependencies: xoshiro256** (Blackman and Vigna, 2018), seeded by SplitMix64 (Steele, Lea and Flood, 2014).

/// A stream of random numbers, fully determined by the numbers it was made from.
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: [u64; 4],
}

/// One step of SplitMix64: spreads close numbers over all 64 bits.
pub(super) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Random {
    /// The stream of these numbers, in this order.
    pub(super) fn new(parts: &[u64]) -> Self {
        let seed = parts.iter().fold(0, |seed, part| mix(seed ^ mix(*part)));
        Self { state: [1, 2, 3, 4].map(|step| mix(seed.wrapping_add(step))) }
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in 0..`bound`; 0 if the bound is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// Uniform in `low..=high`.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(usize::try_from(high - low + 1).unwrap_or(0)) as i64
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of `items`, all equally likely. The list must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// One of `items` by its weight.
    pub(super) fn weighted<T: Copy>(&mut self, items: &[(T, f64)]) -> T {
        let total: f64 = items.iter().map(|(_, weight)| weight).sum();
        let mut at = self.unit() * total;
        for (item, weight) in items {
            at -= weight;
            if at < 0.0 {
                return *item;
            }
        }
        items[items.len() - 1].0
    }

    /// Normally distributed with mean 0 and deviation 1 (Box and Muller, 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Log-normally distributed around a median.
    pub(super) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (self.normal() * sigma).exp()
    }

    /// A value of a distribution given by its quantiles, between which its logarithm is linear.
    pub(super) fn by_quantiles(&mut self, quantiles: &[(f64, f64)]) -> f64 {
        let at = self.unit();
        let upper = quantiles.partition_point(|(share, _)| *share <= at).clamp(1, quantiles.len() - 1);
        let ((p, low), (q, high)) = (quantiles[upper - 1], quantiles[upper]);
        (low.ln() + (high.ln() - low.ln()) * (at - p) / (q - p)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_fixed_for_ever() {
        let mut random = Random::new(&[1, 2]);
        let first = [random.bits(), random.bits(), random.bits()];
        assert_eq!(
            first,
            [10_166_529_746_186_741_941, 12_037_862_469_675_525_905, 4_419_220_231_400_637_659],
            "a changed stream changes everybody's generated data"
        );
    }

    #[test]
    fn bounds_hold() {
        let mut random = Random::new(&[7]);
        for _ in 0..10_000 {
            assert!(random.below(3) < 3);
            assert!((-2..=2).contains(&random.between(-2, 2)));
            assert!((0.0..1.0).contains(&random.unit()));
        }
    }
}
