//! Times written as text: `YYYY-MM-DD` or `YYYY/M/D`, optionally a blank or `T` and `H:MM[:SS[.fraction]]`.

use super::numbers::narrow;
use crate::model::{Day, LocalTime};

/// The time of a text, `None` if it has another form, a zone, or a year outside 1970–2199.
pub(super) fn parse(text: &str) -> Option<LocalTime> {
    let text = narrow(text.trim());
    let bytes = text.as_bytes();
    let (year, rest) = digits(bytes, 4, 4)?;
    let (separator, rest) = rest.split_first()?;
    let least = match separator {
        b'-' => 2,
        b'/' => 1,
        _ => return None,
    };
    let (month, rest) = digits(rest, least, 2)?;
    let (day, rest) = digits(rest.strip_prefix(std::slice::from_ref(separator))?, least, 2)?;
    let day = Day::from_ymd(i32::try_from(year).ok()?, month, day)?;
    let clock = match rest.split_first() {
        None => 0,
        Some((b' ' | b'T', rest)) => clock(rest)?,
        Some(_) => return None,
    };
    Some(LocalTime(LocalTime::midnight(day).0 + clock))
}

/// Microseconds since midnight.
fn clock(bytes: &[u8]) -> Option<i64> {
    let (hour, rest) = digits(bytes, 1, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(b":")?, 2, 2)?;
    let (second, rest) = match rest.strip_prefix(b":") {
        Some(rest) => digits(rest, 2, 2)?,
        None => (0, rest),
    };
    // A fraction belongs to the seconds: there are some only after two colons.
    let seconds_given = bytes.iter().filter(|b| **b == b':').count() == 2;
    let micros = match rest.split_first() {
        None => 0,
        Some((b'.', fraction))
            if seconds_given && !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit) =>
        {
            let kept = fraction.iter().chain(std::iter::repeat(&b'0')).take(6);
            kept.fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0'))
        }
        Some(_) => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)) * 1_000_000 + micros)
}

fn digits(bytes: &[u8], least: usize, most: usize) -> Option<(u32, &[u8])> {
    let count = bytes.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = bytes.split_at_checked(count).filter(|_| count >= least)?;
    Some((number.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')), rest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_two_forms() {
        for (text, shown) in [
            ("2026-03-05 10:00:00", "2026-03-05T10:00:00"),
            ("2026/3/5 9:05", "2026-03-05T09:05:00"),
            ("2026/03/05", "2026-03-05T00:00:00"),
            ("2026-03-05", "2026-03-05T00:00:00"),
            ("2026-03-05T09:05:06.123456789", "2026-03-05T09:05:06.123456"),
            ("2024-02-29 23:59:59", "2024-02-29T23:59:59"),
            (" ２０２６－０３－０５ １０：００ ", "2026-03-05T10:00:00"),
            ("1970-01-01", "1970-01-01T00:00:00"),
            ("2199-12-31 23:59:59.9999999", "2199-12-31T23:59:59.999999"),
        ] {
            assert_eq!(parse(text).map(|time| time.to_string()), Some(shown.to_owned()), "{text}");
        }
        for text in [
            "",
            "2026-02-30 10:00:00",
            "2026-03-05 25:00:00",
            "05/03/2026 10:00",
            "2026-03-05 10:00:00+08:00",
            "2026-03-05T10:00:00Z",
            "46086.4167",
            "0226-03-05 10:00:00",
            "2026-3-5",
            "2026-03/05",
            "2026-03-05 10",
            "2026-03-05 10:0",
            "2026-03-05 10:00.5",
            "2026-03-05 10:00:00.",
            "2026-03-05 24:00",
            "2026-03-05 10:00:60",
            "2026-03-05  10:00",
            "2026-03-05 ",
            "2200-01-01",
            "20260305",
        ] {
            assert_eq!(parse(text).is_some(), text == "2026-03-05 ", "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_prints(micros in 0i64..7_258_118_400_000_000) {
            prop_assert_eq!(parse(&LocalTime(micros).to_string()), Some(LocalTime(micros)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*", near in "[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}[ T]?[0-9:.]*") {
            let _ = (parse(&text), parse(&near));
        }
    }
}
