//! Exact money: 64-bit micro-units for one value, 128-bit for sums, and the one rounding rule.

use std::fmt;

use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Micro-units in one currency unit.
pub const MICRO: i64 = 1_000_000;

/// One money value of an order line: a count of micro-units (10⁻⁶ of the currency).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub i64);

/// Why a text or number is not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberFault {
    /// Not a number by the grammar of the order files, or infinite.
    #[error("not a number")]
    BadNumber,
    /// A fraction where a whole number is wanted.
    #[error("not a whole number")]
    NotInteger,
    /// Does not fit the column's type.
    #[error("too large")]
    Overflow,
}

/// Splits a decimal text into sign, digits and the power of ten of its last digit.
///
/// Grammar: `[+-]?(digits[.digits*]|.digits)([eE][+-]?1–3 digits)?`, ASCII only.
fn scan_decimal(text: &str) -> Result<(bool, Vec<u8>, i32), NumberFault> {
    let bytes = text.as_bytes();
    let (negative, mut rest) = match bytes.first() {
        Some(b'-') => (true, &bytes[1..]),
        Some(b'+') => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    let mut exponent = 0i32;
    if let Some(at) = rest.iter().position(|b| matches!(b, b'e' | b'E')) {
        let (mantissa, tail) = (&rest[..at], &rest[at + 1..]);
        let (minus, digits) = match tail.first() {
            Some(b'-') => (true, &tail[1..]),
            Some(b'+') => (false, &tail[1..]),
            _ => (false, tail),
        };
        if digits.is_empty() || digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(NumberFault::BadNumber);
        }
        let value = digits.iter().fold(0i32, |sum, d| sum * 10 + i32::from(d - b'0'));
        exponent = if minus { -value } else { value };
        rest = mantissa;
    }
    let (whole, fraction) = match rest.iter().position(|b| *b == b'.') {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, &rest[rest.len()..]),
    };
    if whole.len() + fraction.len() == 0 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(NumberFault::BadNumber);
    }
    let digits: Vec<u8> = whole.iter().chain(fraction).map(|d| d - b'0').skip_while(|d| *d == 0).collect();
    let scale = i32::try_from(fraction.len()).map_err(|_| NumberFault::BadNumber)?;
    Ok((negative, digits, exponent - scale))
}

/// Value × 10^`places` of a scanned decimal, rounded half-to-even, and whether rounding changed it.
fn scaled(digits: &[u8], power: i32, places: i32) -> Result<(i128, bool), NumberFault> {
    if digits.is_empty() {
        return Ok((0, false));
    }
    let shift = power.saturating_add(places);
    let length = i32::try_from(digits.len()).map_err(|_| NumberFault::Overflow)?;
    if length.saturating_add(shift) > 30 {
        return Err(NumberFault::Overflow);
    }
    let kept = usize::try_from(length.saturating_add(shift.min(0))).unwrap_or(0);
    let mut value = digits[..kept].iter().fold(0i128, |sum, d| sum * 10 + i128::from(*d));
    if shift >= 0 {
        for _ in 0..shift {
            value *= 10;
        }
        return Ok((value, false));
    }
    let dropped = &digits[kept..];
    let inexact = dropped.iter().any(|d| *d != 0);
    // The first dropped digit lies at 10⁻¹ only when nothing between is implied zero.
    let leading_zeros = length.saturating_add(shift) < 0;
    let up = if leading_zeros {
        false
    } else {
        match dropped.first() {
            Some(d) if *d > 5 => true,
            Some(5) => dropped[1..].iter().any(|d| *d != 0) || value % 2 == 1,
            _ => false,
        }
    };
    Ok((value + i128::from(up), inexact))
}

/// Reads a decimal text (already cleaned: ASCII, no blanks, signs of currency or separators) as a whole number.
///
/// # Errors
/// `BadNumber` for anything outside the grammar, `NotInteger` for a fraction, `Overflow` beyond 64 bits.
pub fn parse_integer(text: &str) -> Result<i64, NumberFault> {
    let (negative, digits, power) = scan_decimal(text)?;
    let (value, inexact) = scaled(&digits, power, 0)?;
    if inexact {
        return Err(NumberFault::NotInteger);
    }
    i64::try_from(if negative { -value } else { value }).map_err(|_| NumberFault::Overflow)
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Reads a decimal text (already cleaned), rounded half-to-even to micro-units.
    ///
    /// # Errors
    /// `BadNumber` for anything outside the grammar, `Overflow` beyond 64-bit micro-units.
    pub fn parse(text: &str) -> Result<Self, NumberFault> {
        let (negative, digits, power) = scan_decimal(text)?;
        let (value, _) = scaled(&digits, power, 6)?;
        i64::try_from(if negative { -value } else { value }).map(Self).map_err(|_| NumberFault::Overflow)
    }

    /// A decimal `unscaled` × 10^−`scale`, rounded half-to-even to micro-units.
    ///
    /// # Errors
    /// `Overflow` beyond 64-bit micro-units.
    pub fn from_decimal(unscaled: i128, scale: i32) -> Result<Self, NumberFault> {
        let value = match scale.cmp(&6) {
            // Zero fits at every scale, also where the factor does not.
            _ if unscaled == 0 => 0,
            std::cmp::Ordering::Equal => unscaled,
            std::cmp::Ordering::Less => {
                let factor = 10i128.checked_pow(scale.abs_diff(6)).ok_or(NumberFault::Overflow)?;
                unscaled.checked_mul(factor).ok_or(NumberFault::Overflow)?
            }
            std::cmp::Ordering::Greater => match 10i128.checked_pow(scale.abs_diff(6)) {
                Some(divisor) => div_half_even(unscaled, divisor),
                None => 0,
            },
        };
        i64::try_from(value).map(Self).map_err(|_| NumberFault::Overflow)
    }

    /// A binary floating value, which stands for its shortest decimal text that reads back as the same value.
    /// `None` for NaN (absent).
    ///
    /// # Errors
    /// `BadNumber` for infinity, `Overflow` beyond 64-bit micro-units.
    pub fn from_f64(value: f64) -> Result<Option<Self>, NumberFault> {
        if value.is_nan() {
            return Ok(None);
        }
        if value.is_infinite() {
            return Err(NumberFault::BadNumber);
        }
        // Whole hundredths and the like: a value of at most six decimals and 15 digits is its own shortest text.
        let micro = value * 1e6;
        if micro.abs() < 1e15 {
            let nearest = micro.round();
            #[allow(clippy::cast_possible_truncation, reason = "below 10^15")]
            if nearest / 1e6 == value {
                return Ok(Some(Self(nearest as i64)));
            }
        }
        Self::parse(&format!("{value:e}")).map(Some)
    }

    /// As [`Money::from_f64`], for single precision.
    ///
    /// # Errors
    /// As [`Money::from_f64`].
    pub fn from_f32(value: f32) -> Result<Option<Self>, NumberFault> {
        if value.is_nan() {
            return Ok(None);
        }
        if value.is_infinite() {
            return Err(NumberFault::BadNumber);
        }
        Self::parse(&format!("{value:e}")).map(Some)
    }

    /// This value × `quantity`, or `None` beyond 64 bits.
    #[must_use]
    pub fn checked_times(self, quantity: i32) -> Option<Self> {
        self.0.checked_mul(i64::from(quantity)).map(Self)
    }
}

impl fmt::Display for Money {
    /// Shortest decimal form, up to 6 decimals: `18.774`, `-0.01`, `30`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, i128::from(self.0), 6)
    }
}

/// Writes `units` × 10^−`places` in its shortest decimal form.
///
/// # Errors
/// Only those of the formatter.
pub fn write_decimal(out: &mut impl fmt::Write, units: i128, places: u32) -> fmt::Result {
    let scale = 10u128.pow(places);
    let magnitude = units.unsigned_abs();
    let (whole, mut fraction) = (magnitude / scale, magnitude % scale);
    if units < 0 {
        out.write_char('-')?;
    }
    write!(out, "{whole}")?;
    if fraction != 0 {
        let mut width = places as usize;
        while fraction % 10 == 0 {
            fraction /= 10;
            width -= 1;
        }
        write!(out, ".{fraction:0width$}")?;
    }
    Ok(())
}

/// `numerator / denominator` rounded half-to-even. The denominator must be positive.
#[must_use]
pub fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    debug_assert!(denominator > 0);
    let quotient = numerator.div_euclid(denominator);
    let remainder = numerator.rem_euclid(denominator);
    // Not twice the remainder, which may be beyond 128 bits.
    match remainder.cmp(&(denominator - remainder)) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + (quotient & 1),
    }
}

/// An exact sum of money in micro-units. 128 bits hold the sum of more values than can ever be stored, so adding
/// cannot overflow. Written as a MessagePack integer where it fits 64 bits, else as 16 bytes big-endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub i128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
}

impl From<Money> for Amount {
    fn from(value: Money) -> Self {
        Self(i128::from(value.0))
    }
}

impl std::ops::Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl std::ops::Neg for Amount {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl std::ops::AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
        values.fold(Self::ZERO, |sum, value| sum + value)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(self.0) {
            Ok(small) => serializer.serialize_i64(small),
            Err(_) => serializer.serialize_bytes(&self.0.to_be_bytes()),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AmountVisitor;
        impl Visitor<'_> for AmountVisitor {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer or 16 bytes")
            }
            fn visit_i64<E>(self, value: i64) -> Result<Amount, E> {
                Ok(Amount(i128::from(value)))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Amount, E> {
                Ok(Amount(i128::from(value)))
            }
            fn visit_bytes<E: serde::de::Error>(self, value: &[u8]) -> Result<Amount, E> {
                let bytes = value.try_into().map_err(|_| E::custom("amount of a wrong length"))?;
                Ok(Amount(i128::from_be_bytes(bytes)))
            }
        }
        deserializer.deserialize_any(AmountVisitor).map_err(D::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_denominators_round_too() {
        let largest = 10i128.pow(38);
        let rounded =
            [largest / 2, largest / 2 + 1, largest - 1, 1 - largest].map(|n| div_half_even(n, largest));
        assert_eq!(rounded, [0, 1, 1, -1]);
        assert_eq!(Money::from_decimal(largest - 1, 44), Ok(Money(1)));
    }

    #[test]
    fn reads_the_grammar() {
        for (text, micro) in [
            ("13", 13_000_000),
            ("-1.2345665", -1_234_566),
            ("1.2345665", 1_234_566),
            ("1.2345675", 1_234_568),
            ("1.23456651", 1_234_567),
            ("+013", 13_000_000),
            (".5", 500_000),
            ("5.", 5_000_000),
            ("1.25e1", 12_500_000),
            ("8E-05", 80),
            ("5e-7", 0),
            ("15e-7", 2),
            ("6e-7", 1),
            ("6e-8", 0),
            ("0e999", 0),
            ("9223372036854.775807", i64::MAX),
            ("-9223372036854.775808", i64::MIN),
        ] {
            assert_eq!(Money::parse(text), Ok(Money(micro)), "{text}");
        }
        for text in ["", ".", "-", "1.2.3", "abc", "0x1F", "inf", "1e", "1e1234", "1 2", "--1", "１"] {
            assert_eq!(Money::parse(text), Err(NumberFault::BadNumber), "{text}");
        }
        for text in ["9223372036854.775808", "99999999999999999999", "1e999"] {
            assert_eq!(Money::parse(text), Err(NumberFault::Overflow), "{text}");
        }
        assert_eq!(parse_integer("2.0"), Ok(2));
        assert_eq!(parse_integer("2e1"), Ok(20));
        assert_eq!(parse_integer("1.5"), Err(NumberFault::NotInteger));
    }

    #[test]
    fn a_float_is_its_shortest_text() {
        assert_eq!(Money::from_f64(5.528_562_5).unwrap(), Some(Money(5_528_562)));
        assert_eq!(Money::from_f64(0.1 + 0.2).unwrap(), Some(Money(300_000)));
        assert_eq!(Money::from_f64(f64::NAN).unwrap(), None);
        assert_eq!(Money::from_f64(f64::INFINITY), Err(NumberFault::BadNumber));
        assert_eq!(Money::from_f32(0.1).unwrap(), Some(Money(100_000)));
    }

    proptest! {
        #[test]
        fn prints_what_it_reads(micro in any::<i64>()) {
            prop_assert_eq!(Money::parse(&Money(micro).to_string()), Ok(Money(micro)));
        }

        #[test]
        fn the_fast_float_path_is_the_exact_one(value in any::<f64>().prop_filter("finite", |v| v.is_finite()), cents in -1_000_000_000i64..1_000_000_000) {
            for v in [value, cents as f64 / 100.0, cents as f64 / 1e7, cents as f64 * 1e-8] {
                prop_assert_eq!(Money::from_f64(v), Money::parse(&format!("{v:e}")).map(Some));
            }
        }

        #[test]
        fn rounds_half_to_even(numerator in -1_000_000i128..1_000_000, denominator in 1i128..1000) {
            let rounded = div_half_even(numerator, denominator);
            let twice_error = (2 * (numerator - rounded * denominator)).abs();
            prop_assert!(twice_error <= denominator);
            if twice_error == denominator {
                prop_assert_eq!(rounded % 2, 0);
            }
        }

        #[test]
        fn an_amount_survives_messagepack(value in any::<i128>(), small in any::<i64>()) {
            for amount in [Amount(value), Amount(i128::from(small))] {
                let bytes = rmp_serde::to_vec(&amount).unwrap();
                prop_assert_eq!(rmp_serde::from_slice::<Amount>(&bytes).unwrap(), amount);
            }
        }
    }
}
