//! Numbers written as text: full-width forms, currency signs, thousands separators, signs for absent.

use std::borrow::Cow;

use crate::model::Money;
use crate::model::money::{NumberFault, parse_integer};

/// Money of a text; `None` if absent.
pub(super) fn money(text: &str) -> Result<Option<Money>, NumberFault> {
    let text = text.trim();
    if let Some(value) = plain(text.as_bytes()) {
        return Ok(Some(value));
    }
    clean(text)?.map(|clean| Money::parse(&clean)).transpose()
}

/// A whole number of a text; `None` if absent.
pub(super) fn integer(text: &str) -> Result<Option<i64>, NumberFault> {
    clean(text.trim())?.map(|clean| parse_integer(&clean)).transpose()
}

/// A whole number of a binary float; `None` for NaN.
#[allow(clippy::cast_possible_truncation, reason = "below 10^15")]
pub(super) fn whole(value: f64) -> Result<Option<i64>, NumberFault> {
    match value {
        _ if value.is_nan() => Ok(None),
        _ if value.is_infinite() => Err(NumberFault::BadNumber),
        _ if value.fract() != 0.0 => Err(NumberFault::NotInteger),
        _ if value.abs() >= 1e15 => Err(NumberFault::Overflow),
        _ => Ok(Some(value as i64)),
    }
}

/// The usual case without an allocation: up to 12 digits, up to 6 decimals, nothing else.
fn plain(bytes: &[u8]) -> Option<Money> {
    let (negative, digits) = match bytes.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, bytes),
    };
    let point = digits.iter().position(|b| *b == b'.').unwrap_or(digits.len());
    let fraction = digits.get(point + 1..).unwrap_or_default();
    if point == 0 || point > 12 || fraction.len() > 6 {
        return None;
    }
    let mut value = 0i64;
    for digit in digits[..point].iter().chain(fraction) {
        value = value * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    for _ in fraction.len()..6 {
        value *= 10;
    }
    Some(Money(if negative { -value } else { value }))
}

/// The text in the grammar of [`Money::parse`]; `None` if it stands for absent. Blanks around are gone already.
fn clean(text: &str) -> Result<Option<Cow<'_, str>>, NumberFault> {
    let narrow = narrow(text);
    if matches!(&*narrow, "" | "-" | "--" | "NULL" | "null" | "NaN" | "nan") {
        return Ok(None);
    }
    if narrow.is_ascii() && !narrow.contains(',') {
        return Ok(Some(narrow));
    }
    let mut rest = narrow.as_ref();
    let mut out = String::with_capacity(rest.len());
    if let Some(unsigned) = without_currency(rest) {
        rest = unsigned;
    } else if let Some(sign @ ('+' | '-')) = rest.chars().next()
        && let Some(unsigned) = without_currency(&rest[1..])
    {
        out.push(sign);
        rest = unsigned;
    }
    if let Some(sign @ ('+' | '-')) = rest.chars().next()
        && out.is_empty()
    {
        out.push(sign);
        rest = &rest[1..];
    }
    let end = rest.find(['.', 'e', 'E']).unwrap_or(rest.len());
    let (whole, tail) = rest.split_at(end);
    if whole.contains(',') {
        let mut groups = whole.split(',');
        let first = groups.next().unwrap_or_default();
        if !(1..=3).contains(&first.len()) || groups.any(|group| group.len() != 3) {
            return Err(NumberFault::BadNumber);
        }
    }
    out.extend(whole.chars().filter(|c| *c != ','));
    out.push_str(tail);
    Ok(Some(Cow::Owned(out)))
}

fn without_currency(text: &str) -> Option<&str> {
    text.strip_prefix(['¥', '￥'])
}

/// Full-width forms U+FF01–FF5E as ASCII.
pub(super) fn narrow(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let narrow = |c: char| match u32::from(c) {
        code @ 0xff01..=0xff5e => char::from_u32(code - 0xfee0).unwrap_or(c),
        _ => c,
    };
    Cow::Owned(text.chars().map(narrow).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, micro) in [
            ("1,234.50", 1_234_500_000),
            ("1,034,567.89", 1_034_567_890_000),
            ("￥12.50", 12_500_000),
            ("¥13", 13_000_000),
            ("-¥8.00", -8_000_000),
            ("¥-8", -8_000_000),
            ("+￥1,000", 1_000_000_000),
            ("１２．５０", 12_500_000),
            ("－８", -8_000_000),
            (" 12.50\u{3000}", 12_500_000),
            ("1.25e1", 12_500_000),
            ("１，２３４", 1_234_000_000),
            ("5.", 5_000_000),
            (".5", 500_000),
            ("-0", 0),
        ] {
            assert_eq!(money(text), Ok(Some(Money(micro))), "{text}");
        }
        for text in ["", "  ", "-", "--", "NULL", "null", "NaN", "nan", "－", "ＮＵＬＬ"] {
            assert_eq!(money(text), Ok(None), "{text}");
        }
        for text in [
            "12,34.50", "1.234,50", "$12.50", "12.5元", "12%", "(12.50)", "1 234", "0x1F", "#REF!", "inf",
            ",123", "1,,234", "1234,567", "1,2345", "¥¥1", "¥", "-¥-1", "+-1", "--1", "1,23e1", "¥ 1",
            "Null", "1.5,000",
        ] {
            assert_eq!(money(text), Err(NumberFault::BadNumber), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_fast_path_is_the_exact_one(text in "-?[0-9]{1,14}(\\.[0-9]{0,8})?") {
            prop_assert_eq!(money(&text), Money::parse(&text).map(Some));
        }

        #[test]
        fn separators_and_width_change_nothing(micro in any::<i64>()) {
            let plain = Money(micro).to_string();
            let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |d| ("-", d));
            let (whole, tail) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
            let mut grouped = String::new();
            for (at, digit) in whole.chars().enumerate() {
                if at > 0 && (whole.len() - at) % 3 == 0 {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            let text = format!("{sign}¥{grouped}{tail}");
            prop_assert_eq!(money(&text), Ok(Some(Money(micro))));
            let wide: String = text
                .chars()
                .map(|c| if c.is_ascii() { char::from_u32(u32::from(c) + 0xfee0).unwrap() } else { c })
                .collect();
            prop_assert_eq!(money(&wide), Ok(Some(Money(micro))));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = money(&text);
            let _ = integer(&text);
        }
    }
}
