//! Comparison of two windows.

use ethnum::I256;

use super::ratio::scaled_ratio;

/// An exact value as a fraction; the denominator is positive.
#[derive(Clone, Copy, Debug)]
pub struct Exact {
    /// Numerator.
    pub numerator: i128,
    /// Denominator, positive.
    pub denominator: i128,
}

impl Exact {
    /// A whole number of its unit.
    #[must_use]
    pub fn whole(value: i128) -> Self {
        Self { numerator: value, denominator: 1 }
    }

    /// `numerator / denominator`, 0 if the denominator is ≤ 0.
    #[must_use]
    pub fn ratio(numerator: i128, denominator: i128) -> Self {
        if denominator <= 0 { Self::whole(0) } else { Self { numerator, denominator } }
    }
}

/// (current − previous) / previous in hundredths of a percent; previous ≤ 0 gives 100 % when current > 0, else 0.
#[must_use]
pub fn change_percent(current: Exact, previous: Exact) -> i128 {
    if previous.numerator <= 0 {
        return if current.numerator > 0 { 10_000 } else { 0 };
    }
    let cross = |a: Exact, b: Exact| I256::from(a.numerator) * I256::from(b.denominator);
    let (now, before) = (cross(current, previous), cross(previous, current));
    scaled_ratio(now - before, before, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares() {
        let change = |a, b| change_percent(Exact::whole(a), Exact::whole(b));
        assert_eq!(change(174, 131), 3282);
        assert_eq!(change(5, 0), 10_000);
        assert_eq!(change(0, 0), 0);
        assert_eq!(change(5, -1), 10_000);
        assert_eq!(change(0, 8), -10_000);
        assert_eq!(change_percent(Exact::ratio(3, 2), Exact::ratio(1, 1)), 5000);
    }
}
