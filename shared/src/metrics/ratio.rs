//! Exact ratios, rounded half-to-even once, at output.

use ethnum::I256;

/// `numerator / denominator × 10^places`, rounded half-to-even. The denominator must be positive.
///
/// 256 bits hold the products of two sums of money and the scale, so nothing overflows.
#[must_use]
pub fn scaled_ratio(numerator: I256, denominator: I256, places: u32) -> i128 {
    debug_assert!(denominator > 0);
    let scaled = numerator * I256::new(10).pow(places);
    let (quotient, remainder) = (scaled.div_euclid(denominator), scaled.rem_euclid(denominator));
    let twice = remainder * 2;
    let up = twice > denominator || (twice == denominator && quotient & 1 == 1);
    (quotient + I256::from(u8::from(up))).as_i128()
}

/// `part / whole` in percent with `places` decimals, in units of 10^−places; 0 if `whole` ≤ 0.
#[must_use]
pub fn percent(part: i128, whole: i128, places: u32) -> i128 {
    if whole <= 0 {
        return 0;
    }
    match part.checked_mul(10i128.pow(places + 2)) {
        Some(scaled) => crate::model::money::div_half_even(scaled, whole),
        None => scaled_ratio(I256::from(part), I256::from(whole), places + 2),
    }
}
