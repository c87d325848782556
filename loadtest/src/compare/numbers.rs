//! When two numbers are the same: as exact decimals, to the last digit.

use serde_json::Number;

/// Digits that a float 64 carries whatever they are: up to so many, its shortest text is the decimal itself.
const FLOAT_DIGITS: usize = 15;

/// How the numbers that come are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// As exact decimals, in JSON.
    Exact,
    /// Amounts as float 64, in MessagePack: an amount with more digits than that carries is the nearest one.
    Float64,
}

impl Numbers {
    /// Whether a number that came is the one that is expected.
    #[must_use]
    pub fn are_same(self, expected: &Number, got: &Number) -> bool {
        let (expected, got) = (expected.as_str(), got.as_str());
        if expected == got {
            return true;
        }
        match (decimal(expected), decimal(got)) {
            (Some(a), Some(b)) if a == b => true,
            // Counts come as integers and stay exact.
            (Some((_, digits, _)), Some(_)) => {
                self == Self::Float64
                    && digits.len() > FLOAT_DIGITS
                    && got.contains(['.', 'e', 'E'])
                    && expected.parse::<f64>().ok() == got.parse::<f64>().ok()
            }
            _ => false,
        }
    }
}

/// Sign, digits without zeros at either end, and the power of ten of the last digit: equal values have equal forms.
/// `None` for exponents that nothing here ever has.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let power = i64::from(exponent) - fraction.len() as i64 + (digits.len() - significant.len()) as i64;
    Some((negative, significant.to_owned(), power))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn same(numbers: Numbers, expected: &str, got: &str) -> bool {
        let number = |text: &str| serde_json::from_str::<Number>(text).unwrap();
        numbers.are_same(&number(expected), &number(got))
    }

    #[test]
    fn a_float_is_the_amount_that_it_is_nearest_to() {
        // Each is what `f64` prints for the nearest float.
        for (expected, got, exactly) in [
            ("6699.38", "6699.38", true),
            ("30", "30.0", true),
            ("1234567890123.45", "1234567890123.45", true),
            ("92233720368547758.07", "92233720368547760.0", false),
            ("-92233720368547758.07", "-9.223372036854776e16", false),
        ] {
            assert_eq!(same(Numbers::Exact, expected, got), exactly, "{expected} and {got}");
            assert!(same(Numbers::Float64, expected, got), "{expected} and {got}");
        }
        for (expected, got) in [
            // The next floats of what is expected.
            ("6699.38", "6699.380000000001"),
            ("1234567890123.45", "1234567890123.4502"),
            ("92233720368547758.07", "92233720368547776.0"),
            ("92233720368547758.07", "-92233720368547760.0"),
            // Counts.
            ("9007199254740993", "9007199254740992"),
        ] {
            assert!(!same(Numbers::Float64, expected, got), "{expected} and {got}");
        }
    }
}
