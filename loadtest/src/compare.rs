//! Comparing two JSON documents: numbers as exact decimals, lists by order, keys by order.

use serde_json::Value;

/// Where two documents differ.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Path, such as `data.stores[3].sales`.
    pub path: String,
    /// What was recorded.
    pub expected: String,
    /// What came.
    pub got: String,
}

/// The differences between what was recorded and what came, at most `most`.
pub(crate) fn compare(root: &str, expected: &Value, got: &Value, most: usize) -> Vec<Difference> {
    let mut differences = Vec::new();
    walk(root, expected, got, most, &mut differences);
    differences
}

fn walk(path: &str, expected: &Value, got: &Value, most: usize, differences: &mut Vec<Difference>) {
    if differences.len() >= most {
        return;
    }
    let mut differ = |path: &str, expected: String, got: String| {
        differences.push(Difference { path: path.to_owned(), expected, got });
    };
    match (expected, got) {
        (Value::Object(wanted), Value::Object(came)) => {
            let keys = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>().join(", ");
            if !wanted.keys().eq(came.keys()) {
                differ(path, format!("keys {}", keys(wanted)), format!("keys {}", keys(came)));
            }
            for (key, value) in wanted {
                if let Some(other) = came.get(key) {
                    walk(&format!("{path}.{key}"), value, other, most, differences);
                }
            }
        }
        (Value::Array(wanted), Value::Array(came)) => {
            if wanted.len() != came.len() {
                differ(path, format!("{} items", wanted.len()), format!("{} items", came.len()));
            }
            for (at, (value, other)) in wanted.iter().zip(came).enumerate() {
                walk(&format!("{path}[{at}]"), value, other, most, differences);
            }
        }
        (Value::Number(wanted), Value::Number(came)) => {
            if decimal(wanted.as_str()) != decimal(came.as_str()) {
                differ(path, wanted.to_string(), came.to_string());
            }
        }
        _ if expected == got => {}
        _ => differ(path, short(expected), short(got)),
    }
}

/// A value for people, cut where it is long.
fn short(value: &Value) -> String {
    const MOST: usize = 200;
    let mut text = value.to_string();
    if text.len() > MOST {
        text.truncate(text.floor_char_boundary(MOST));
        text.push('…');
    }
    text
}

/// A JSON number as sign, digits without zeros at either end, and the power of ten of the last digit.
fn decimal(text: &str) -> (bool, String, i64) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    let mut power = exponent.parse::<i64>().unwrap_or(0) - i64::try_from(fraction.len()).unwrap_or(0);
    while digits.ends_with('0') {
        digits.pop();
        power += 1;
    }
    let digits = digits.trim_start_matches('0').to_owned();
    if digits.is_empty() { (false, digits, 0) } else { (negative, digits, power) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn differences(expected: &str, got: &str) -> Vec<String> {
        let parse = |text| serde_json::from_str(text).unwrap();
        compare("data", &parse(expected), &parse(got), 10).into_iter().map(|d| d.path).collect()
    }

    #[test]
    fn numbers_are_exact_decimals() {
        for (a, b) in [("30", "30.0"), ("1e2", "100"), ("-0", "0"), ("0.10", "1e-1"), ("6699.38", "6699.380")] {
            assert_eq!(differences(a, b), [""; 0], "{a} {b}");
        }
        for (a, b) in [("6699.38", "6699.3800001"), ("1", "-1"), ("10", "1"), ("0.1", "0.01"), ("1", "\"1\"")] {
            assert_eq!(differences(a, b), ["data"], "{a} {b}");
        }
        assert_eq!(differences("12345678901234567890.01", "12345678901234567890.02"), ["data"]);
    }

    #[test]
    fn order_counts() {
        assert_eq!(differences("[1,2]", "[2,1]"), ["data[0]", "data[1]"]);
        assert_eq!(differences("{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}"), ["data"]);
        assert_eq!(differences("{\"a\":{\"b\":[{\"c\":1}]}}", "{\"a\":{\"b\":[{\"c\":2}]}}"), ["data.a.b[0].c"]);
        assert_eq!(differences("[1,2]", "[1]"), ["data"]);
        assert_eq!(differences("null", "{}"), ["data"]);
    }
}
