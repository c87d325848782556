//! The body of a refresh: which stores and days, every bad field named at once.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use shared::answers::parameters::{ParameterError, ParametersError};
use shared::model::query::MAX_STORES;
use shared::model::{AskError, Day};

use crate::problem::Problem;

const FIELDS: [&str; 3] = ["stores", "from", "to"];

/// What is to be fresh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Stores by id, without repeats; `None` = all.
    pub stores: Option<Vec<String>>,
    /// First day.
    pub from: Option<Day>,
    /// Last day.
    pub to: Option<Day>,
}

impl Wish {
    /// Reads a body.
    ///
    /// # Errors
    /// 400 with every bad field, 422 for too many stores or days.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        let fields = match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return Err(Problem::bad_body("the body is no JSON object; send {} to refresh all")),
            Err(error) => {
                let what = format!("the body is no JSON ({error}); send {{}} to refresh all");
                return Err(Problem::bad_body(what));
            }
        };
        let mut reader = Reader { fields, errors: Vec::new() };
        let (stores, from, to) = (reader.stores(), reader.day("from"), reader.day("to"));
        let unknown: Vec<String> =
            reader.fields.keys().filter(|name| !FIELDS.contains(&name.as_str())).cloned().collect();
        for name in unknown {
            reader.error(&name, format!("there is no such field; known: {}", FIELDS.join(", ")));
        }
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            reader.error("from", format!("{from} is after to={to}; swap them"));
        }
        if !reader.errors.is_empty() {
            return Err(Problem::parameters(reader.errors));
        }
        if let Some(stores) = stores.as_ref().filter(|stores| stores.len() > MAX_STORES) {
            return Err(ParametersError::TooManyStores(stores.len()).into());
        }
        if let (Some(from), Some(to)) = (from, to) {
            check_length(from, to)?;
        }
        Ok(Self { stores: stores.map(|stores| stores.into_iter().collect()), from, to })
    }
}

fn check_length(from: Day, to: Day) -> Result<(), Problem> {
    let days = to.since(from) + 1;
    if days > shared::model::query::MAX_DAYS {
        return Err(AskError::TooManyDays { from, to, days }.into());
    }
    Ok(())
}

struct Reader {
    fields: Map<String, Value>,
    errors: Vec<ParameterError>,
}

impl Reader {
    fn error(&mut self, field: &str, reason: String) {
        self.errors.push(ParameterError { parameter: field.to_owned(), reason });
    }

    fn day(&mut self, name: &str) -> Option<Day> {
        let reason = match self.fields.get(name)? {
            Value::Null => return None,
            Value::String(text) => match text.parse() {
                Ok(day) => return Some(day),
                Err(error) => format!("{text:?} is {error}"),
            },
            _ => "is no text; write a day such as \"2026-03-07\"".to_owned(),
        };
        self.error(name, reason);
        None
    }

    fn stores(&mut self) -> Option<BTreeSet<String>> {
        let stores = match self.fields.get("stores")? {
            Value::Null => return None,
            Value::Array(stores) => stores,
            _ => {
                let reason = "is no list; write ids such as [\"1001\"], or leave it out for all";
                self.error("stores", reason.to_owned());
                return None;
            }
        };
        let ids: BTreeSet<String> = stores.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let texts = stores.iter().all(Value::is_string);
        if ids.is_empty() || ids.contains("") || !texts {
            let reason = "must hold at least one id, each a text that is not empty; leave it out for all";
            self.error("stores", reason.to_owned());
            return None;
        }
        Some(ids)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Wish, Problem> {
        Wish::read(body.as_bytes())
    }

    #[test]
    fn everything_may_be_left_out() {
        assert_eq!(read("{}"), Ok(Wish::default()));
        assert_eq!(read(r#"{"stores":null,"from":null}"#), Ok(Wish::default()));
        let wish = read(r#" {"stores":["b","a","b"],"from":"2026-03-01","to":"2026-03-07"} "#).unwrap();
        assert_eq!(wish.stores, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(wish.to.unwrap().since(wish.from.unwrap()), 6);
    }

    #[test]
    fn every_bad_field_is_named() {
        let named = |body: &str| {
            let problem = read(body).unwrap_err();
            assert_eq!(problem.status, 400);
            problem.errors.into_iter().map(|error| error.parameter).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            named(r#"{"stores":[1],"from":"2026-02-29","to":7,"store":"a","x":{}}"#),
            "stores from to store x"
        );
        assert_eq!(named(r#"{"from":"2026-03-02","to":"2026-03-01"}"#), "from");
        for stores in ["[]", r#"[""]"#, r#""a""#, "{}", r#"["a",null]"#] {
            assert_eq!(named(&format!("{{\"stores\":{stores}}}")), "stores", "{stores}");
        }
        for body in ["", "[]", "null", "{", "{}{}", "\u{fffd}", &"[".repeat(10_000)] {
            assert_eq!(named(body), "", "{body}");
        }
    }

    #[test]
    fn limits_are_those_of_questions() {
        let stores = |count: usize| {
            let ids: Vec<String> = (0..count).map(|id| id.to_string()).collect();
            serde_json::json!({ "stores": ids }).to_string()
        };
        assert_eq!(read(&stores(501)).unwrap_err().status, 422);
        assert_eq!(read(&stores(500)).unwrap().stores.unwrap().len(), 500);
        assert_eq!(read(r#"{"from":"2025-01-01","to":"2026-01-02"}"#).unwrap_err().status, 422);
        assert!(read(r#"{"from":"2025-01-01","to":"2026-01-01"}"#).is_ok());
    }
}
