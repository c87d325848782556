//! Differences between an expected and a received document, by JSON path. Numbers are compared as exact decimals:
//! 30 and 30.0 are equal, 6699.38 and 6699.3800001 are not. The order of lists counts; the order of keys counts too,
//! but is a difference of its own kind, since the content is the same.

mod numbers;

use std::fmt;

use serde_json::{Map, Value};

pub use numbers::Numbers;

/// Longest piece of a document that a difference shows, in characters.
const SHOWN: usize = 160;

/// What kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// Another value, or a value of another type.
    Value,
    /// A key or element that is expected is not there.
    Missing,
    /// A key or element that is not expected.
    Unexpected,
    /// The same keys in another order.
    KeyOrder,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Where, for example `$.data.buckets[3].orders`.
    pub path: String,
    /// What kind.
    pub kind: DifferenceKind,
    /// What was expected, shortened.
    pub expected: String,
    /// What came, shortened.
    pub got: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, expected, got, .. } = self;
        match self.kind {
            DifferenceKind::Value => write!(f, "{path}: expected {expected}, got {got}"),
            DifferenceKind::Missing => write!(f, "{path}: expected {expected}, got nothing"),
            DifferenceKind::Unexpected => write!(f, "{path}: expected nothing, got {got}"),
            DifferenceKind::KeyOrder => write!(f, "{path}: expected keys {expected}, got keys {got}"),
        }
    }
}

/// The differences of one document: all are counted, the first ones are kept.
#[derive(Clone, Debug)]
pub struct Differences {
    /// The first differences, in document order.
    pub kept: Vec<Difference>,
    /// Differences of content.
    pub values: u64,
    /// Objects whose keys come in another order.
    pub key_orders: u64,
    limit: usize,
    numbers: Numbers,
}

impl Differences {
    /// None yet; at most `limit` will be kept.
    #[must_use]
    pub fn new(limit: usize, numbers: Numbers) -> Self {
        Self { kept: Vec::new(), values: 0, key_orders: 0, limit, numbers }
    }

    /// Whether the documents are equal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values == 0 && self.key_orders == 0
    }

    /// How many differences there are beyond those kept.
    #[must_use]
    pub fn more(&self) -> u64 {
        self.values + self.key_orders - self.kept.len() as u64
    }

    fn add(&mut self, path: &Path<'_>, kind: DifferenceKind, expected: Option<&Value>, got: Option<&Value>) {
        self.values += 1;
        if self.kept.len() < self.limit {
            let text = |value: Option<&Value>| value.map(|v| shorten(&v.to_string())).unwrap_or_default();
            self.kept.push(Difference {
                path: path.to_string(),
                kind,
                expected: text(expected),
                got: text(got),
            });
        }
    }

    fn add_key_order(&mut self, path: &Path<'_>, expected: &[&str], got: &[&str]) {
        self.key_orders += 1;
        if self.kept.len() < self.limit {
            // From the first key that is out of place on.
            let same = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
            let text = |keys: &[&str]| {
                let start = if same > 0 { "… " } else { "" };
                shorten(&format!("{start}{}", keys[same..].join(", ")))
            };
            self.kept.push(Difference {
                path: path.to_string(),
                kind: DifferenceKind::KeyOrder,
                expected: text(expected),
                got: text(got),
            });
        }
    }

    /// Compares what is said about a document rather than in it, such as a header.
    pub fn compare_text(&mut self, name: &str, expected: Option<&str>, got: Option<&str>) {
        if expected == got {
            return;
        }
        let kind = match (expected, got) {
            (_, None) => DifferenceKind::Missing,
            (None, _) => DifferenceKind::Unexpected,
            _ => DifferenceKind::Value,
        };
        self.values += 1;
        if self.kept.len() < self.limit {
            let text = |value: Option<&str>| value.map(shorten).unwrap_or_default();
            self.kept.push(Difference {
                path: name.to_owned(),
                kind,
                expected: text(expected),
                got: text(got),
            });
        }
    }

    /// Compares whole documents; `name` is the path of their root.
    pub fn compare(&mut self, name: &str, expected: &Value, got: &Value) {
        self.walk(&Path::Root(name), expected, got);
    }

    /// Compares the fields that are expected and ignores all others, and the order of keys.
    pub fn compare_fields(&mut self, name: &str, expected: &Map<String, Value>, got: Option<&Value>) {
        let root = Path::Root(name);
        for (key, value) in expected {
            let path = Path::Key(&root, key);
            match got.and_then(|got| got.get(key)) {
                Some(got) => self.walk(&path, value, got),
                None => self.add(&path, DifferenceKind::Missing, Some(value), None),
            }
        }
    }

    /// Documents are as deep as the parser lets them be (128 levels), so this recursion is bounded.
    fn walk(&mut self, path: &Path<'_>, expected: &Value, got: &Value) {
        match (expected, got) {
            (Value::Object(expected), Value::Object(got)) => self.walk_objects(path, expected, got),
            (Value::Array(expected), Value::Array(got)) => {
                for at in 0..expected.len().max(got.len()) {
                    let path = Path::Index(path, at);
                    match (expected.get(at), got.get(at)) {
                        (Some(expected), Some(got)) => self.walk(&path, expected, got),
                        (Some(expected), None) => {
                            self.add(&path, DifferenceKind::Missing, Some(expected), None);
                        }
                        (None, got) => self.add(&path, DifferenceKind::Unexpected, None, got),
                    }
                }
            }
            (Value::Number(a), Value::Number(b)) if self.numbers.are_same(a, b) => {}
            (expected, got) if expected == got => {}
            (expected, got) => self.add(path, DifferenceKind::Value, Some(expected), Some(got)),
        }
    }

    fn walk_objects(&mut self, path: &Path<'_>, expected: &Map<String, Value>, got: &Map<String, Value>) {
        for (key, value) in expected {
            let path = Path::Key(path, key);
            match got.get(key) {
                Some(got) => self.walk(&path, value, got),
                None => self.add(&path, DifferenceKind::Missing, Some(value), None),
            }
        }
        for (key, value) in got {
            if !expected.contains_key(key) {
                self.add(&Path::Key(path, key), DifferenceKind::Unexpected, None, Some(value));
            }
        }
        let common = |of: &'_ Map<String, Value>, other: &Map<String, Value>| -> Vec<String> {
            of.keys().filter(|key| other.contains_key(*key)).cloned().collect()
        };
        let (a, b) = (common(expected, got), common(got, expected));
        if a != b {
            let a: Vec<&str> = a.iter().map(String::as_str).collect();
            let b: Vec<&str> = b.iter().map(String::as_str).collect();
            self.add_key_order(path, &a, &b);
        }
    }
}

/// A place in a document, written out only where there is a difference.
enum Path<'a> {
    Root(&'a str),
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => f.write_str(name),
            Self::Index(parent, at) => write!(f, "{parent}[{at}]"),
            Self::Key(parent, key) => {
                let plain = !key.is_empty()
                    && !key.starts_with(|c: char| c.is_ascii_digit())
                    && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if plain { write!(f, "{parent}.{key}") } else { write!(f, "{parent}[{}]", Value::from(*key)) }
            }
        }
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn differences(expected: &str, got: &str) -> Differences {
        let mut differences = Differences::new(10, Numbers::Exact);
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        differences.compare("$.data", &parse(expected), &parse(got));
        differences
    }

    fn texts(expected: &str, got: &str) -> Vec<String> {
        differences(expected, got).kept.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn numbers_are_exact_decimals() {
        for (a, b) in [
            ("30", "30.0"),
            ("0", "-0"),
            ("0", "0e5"),
            ("1500", "1.5e3"),
            ("0.00012", "12E-5"),
            ("-6699.38", "-6699.380"),
            ("123456789012345678901234567890", "123456789012345678901234567890.00"),
        ] {
            assert!(differences(a, b).is_empty(), "{a} and {b}");
        }
        for (a, b) in [
            ("6699.38", "6699.3800001"),
            ("1", "-1"),
            ("30", "300"),
            ("0.1", "0.01"),
            ("9007199254740993", "9007199254740992"),
            ("1e99999999999", "1"),
            ("30", "\"30\""),
            ("0", "null"),
        ] {
            assert_eq!(differences(a, b).values, 1, "{a} and {b}");
        }
    }

    #[test]
    fn places_are_named() {
        assert_eq!(
            texts(
                r#"{"a":{"饿了么":1,"b":[1,2,{"c":1}]},"":1,"gone":{"x":1}}"#,
                r#"{"a":{"饿了么":2,"b":[1,3,{"c":"1"},4]},"":2,"new":null}"#
            ),
            [
                r#"$.data.a["饿了么"]: expected 1, got 2"#,
                "$.data.a.b[1]: expected 2, got 3",
                r#"$.data.a.b[2].c: expected 1, got "1""#,
                "$.data.a.b[3]: expected nothing, got 4",
                r#"$.data[""]: expected 1, got 2"#,
                r#"$.data.gone: expected {"x":1}, got nothing"#,
                "$.data.new: expected nothing, got null",
            ]
        );
    }

    #[test]
    fn the_order_of_lists_is_content_and_the_order_of_keys_its_own_kind() {
        assert_eq!(differences("[1,2]", "[2,1]").values, 2);
        let turned = differences(r#"{"a":1,"b":2,"c":3,"x":9}"#, r#"{"a":1,"c":3,"b":2,"y":9}"#);
        assert_eq!((turned.values, turned.key_orders), (2, 1));
        assert_eq!(turned.kept[2].to_string(), "$.data: expected keys … b, c, got keys … c, b");
    }

    #[test]
    fn output_is_bounded_and_everything_is_counted() {
        let many = |value: u32| format!("[{}]", vec![value.to_string(); 1_000].join(","));
        let differences = differences(&many(1), &many(2));
        assert_eq!((differences.kept.len(), differences.values, differences.more()), (10, 1_000, 990));
        let long = texts(&format!("\"{}\"", "长".repeat(5_000)), "1");
        assert!(long[0].chars().count() < 250);
    }

    #[test]
    fn what_is_said_about_a_document_counts_as_well() {
        let mut differences = Differences::new(2, Numbers::Exact);
        differences.compare_text("Content-Encoding", None, None);
        differences.compare_text("HTTP version", Some("HTTP/2.0"), Some("HTTP/2.0"));
        assert!(differences.is_empty());
        differences.compare_text("Content-Encoding", Some("gzip"), None);
        differences.compare_text("Content-Encoding", None, Some("gzip"));
        differences.compare_text("HTTP version", Some("HTTP/2.0"), Some("HTTP/1.1"));
        let texts: Vec<String> = differences.kept.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["Content-Encoding: expected gzip, got nothing", "Content-Encoding: expected nothing, got gzip"]
        );
        assert_eq!((differences.values, differences.more()), (3, 1));
    }

    #[test]
    fn of_meta_only_the_given_fields_count() {
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let expected = parse(r#"{"stores":2,"as_of":"2026-03-07"}"#);
        let mut differences = Differences::new(10, Numbers::Exact);
        let got = parse(r#"{"data_version":"x","as_of":"2026-03-07","stores":2}"#);
        differences.compare_fields("$.meta", expected.as_object().unwrap(), Some(&got));
        assert!(differences.is_empty());
        differences.compare_fields("$.meta", expected.as_object().unwrap(), None);
        assert_eq!(differences.values, 2);
    }
}
