//! PostgreSQL's binary numeric, without big integers.

use bytes::{BufMut, BytesMut};

use crate::model::Money;
use crate::model::money::NumberFault;

/// A numeric in base-10000 digits.
pub(super) struct Numeric<'a> {
    /// Power of 10000 of the first digit.
    weight: i32,
    negative: bool,
    digits: &'a [u8],
}

/// What a binary numeric may be besides a number.
pub(super) enum Parsed<'a> {
    Number(Numeric<'a>),
    NotANumber,
    Infinite,
}

/// Splits the binary form; `None` if it is malformed.
pub(super) fn parse(bytes: &[u8]) -> Option<Parsed<'_>> {
    let (head, digits) = bytes.split_at_checked(8)?;
    let at = |n: usize| i16::from_be_bytes([head[n], head[n + 1]]);
    let sign = at(4).cast_unsigned();
    if digits.len() != usize::try_from(at(0)).ok()? * 2 {
        return None;
    }
    Some(match sign {
        0x0000 | 0x4000 => {
            Parsed::Number(Numeric { weight: i32::from(at(2)), negative: sign == 0x4000, digits })
        }
        0xC000 => Parsed::NotANumber,
        0xD000 | 0xF000 => Parsed::Infinite,
        _ => return None,
    })
}

impl Numeric<'_> {
    /// The value in micro-units, rounded half-to-even.
    pub(super) fn money(&self) -> Result<Money, NumberFault> {
        // Digits of 10000⁰ and above, then 10⁻⁴, then two decimals of 10⁻⁸; what follows only breaks ties.
        let mut micro = 0i128;
        let (mut dropped, mut beyond) = (0, false);
        for (digit, power) in self.digits.chunks_exact(2).zip((i32::MIN..=self.weight).rev()) {
            let digit = i128::from(i16::from_be_bytes([digit[0], digit[1]]));
            match power {
                // 10^16 in currency units is beyond any value that fits.
                4.. if digit != 0 => return Err(NumberFault::Overflow),
                4.. => {}
                0..4 => micro += digit * WHOLE[power.unsigned_abs() as usize],
                -1 => micro += digit * 100,
                -2 => {
                    micro += digit / 100;
                    dropped = digit % 100;
                }
                _ => beyond |= digit != 0,
            }
        }
        if dropped > 50 || (dropped == 50 && (beyond || micro % 2 == 1)) {
            micro += 1;
        }
        i64::try_from(if self.negative { -micro } else { micro })
            .map(Money)
            .map_err(|_| NumberFault::Overflow)
    }

    /// The value as `unscaled` × 10^−scale, exactly.
    pub(super) fn decimal(&self) -> Result<(i128, i32), NumberFault> {
        let mut value = 0i128;
        let mut power = self.weight + 1;
        for digit in self.digits.chunks_exact(2) {
            let digit = i128::from(i16::from_be_bytes([digit[0], digit[1]]));
            value =
                value.checked_mul(10_000).and_then(|v| v.checked_add(digit)).ok_or(NumberFault::Overflow)?;
            power -= 1;
        }
        Ok((if self.negative { -value } else { value }, -power * 4))
    }
}

/// 10000ⁿ in micro-units.
const WHOLE: [i128; 4] = [1_000_000, 10_000_000_000, 100_000_000_000_000, 1_000_000_000_000_000_000];

/// Appends micro-units as a binary numeric of scale 6, with its length.
pub(super) fn put(message: &mut BytesMut, micro: i64) {
    // Two decimals more make whole base-10000 digits; 10^21 takes six of them.
    let mut rest = u128::from(micro.unsigned_abs()) * 100;
    let mut digits = [0u16; 6];
    for digit in digits.iter_mut().rev() {
        *digit = u16::try_from(rest % 10_000).unwrap_or(0);
        rest /= 10_000;
    }
    let first = digits.iter().position(|digit| *digit != 0).unwrap_or(digits.len());
    let end = digits.iter().rposition(|digit| *digit != 0).map_or(first, |last| last + 1);
    let count = i16::try_from(end - first).unwrap_or(0);
    message.put_i32(8 + 2 * i32::from(count));
    message.put_i16(count);
    message.put_i16(3 - i16::try_from(first).unwrap_or(0));
    message.put_u16(if micro < 0 { 0x4000 } else { 0 });
    message.put_u16(6);
    for digit in &digits[first..end] {
        message.put_u16(*digit);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn numeric(weight: i16, negative: bool, digits: &[i16]) -> Vec<u8> {
        let head = [i16::try_from(digits.len()).unwrap(), weight, if negative { 0x4000 } else { 0 }, 8];
        head.iter().chain(digits).flat_map(|value| value.to_be_bytes()).collect()
    }

    fn money(bytes: &[u8]) -> Result<Money, NumberFault> {
        match parse(bytes).unwrap() {
            Parsed::Number(number) => number.money(),
            _ => panic!("not a number"),
        }
    }

    #[test]
    fn reads_base_10000() {
        assert_eq!(money(&numeric(0, false, &[])), Ok(Money(0)));
        assert_eq!(money(&numeric(0, false, &[12, 5000])), Ok(Money(12_500_000)));
        assert_eq!(money(&numeric(-1, true, &[1, 2300])), Ok(Money(-123)));
        assert_eq!(money(&numeric(1, false, &[1])), Ok(Money(10_000_000_000)));
        // 1.2345665 and 1.2345675 are ties, 1.23456650…1 is not.
        assert_eq!(money(&numeric(0, false, &[1, 2345, 6650])), Ok(Money(1_234_566)));
        assert_eq!(money(&numeric(0, false, &[1, 2345, 6750])), Ok(Money(1_234_568)));
        assert_eq!(money(&numeric(0, false, &[1, 2345, 6650, 0, 0, 0, 0, 0, 0, 1])), Ok(Money(1_234_567)));
        assert_eq!(money(&numeric(3, false, &[9, 2233, 7203, 6854])), Ok(Money(9_223_372_036_854_000_000)));
        assert_eq!(money(&numeric(5, false, &[9])), Err(NumberFault::Overflow));
        assert_eq!(
            money(&numeric(3, false, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
            Ok(Money(1_000_000_000_000_000_000))
        );
        assert_eq!(money(&numeric(-2, false, &[50])), Ok(Money(0)));
        assert_eq!(money(&numeric(-2, false, &[51])), Ok(Money(1)));
        assert_eq!(money(&numeric(-2, true, &[150])), Ok(Money(-2)));
        assert_eq!(money(&numeric(-3, false, &[9999])), Ok(Money(0)));
        assert!(matches!(parse(&[0, 0, 0, 0, 0xC0, 0, 0, 0]), Some(Parsed::NotANumber)));
        assert!(parse(&[0, 1]).is_none());
    }

    proptest::proptest! {
        #[test]
        fn money_survives(micro in proptest::num::i64::ANY) {
            let mut message = BytesMut::new();
            put(&mut message, micro);
            proptest::prop_assert_eq!(money(&message[4..]), Ok(Money(micro)));
        }
    }
}
