//! SQL made from a table's plan: stores, times and texts, as narrow as an index allows.

use postgres_protocol::escape::escape_literal;

use super::catalog::{Field, PgType, TablePlan};
use crate::model::{Column, Day, DayRange};

impl TablePlan {
    /// What is selected for a read.
    pub(super) fn select_list(&self, columns: crate::source::Columns) -> String {
        let fields: Vec<&str> = self
            .selected(columns)
            .flat_map(|(_, fields)| fields.iter().map(|field| field.expression.as_str()))
            .collect();
        fields.join(", ")
    }

    /// The order time as a local timestamp, where the database can compare it.
    pub(super) fn time(&self) -> Option<String> {
        let fields = self.of(Column::OrderedAt);
        let are_times = fields.iter().all(|field| matches!(field.kind, PgType::Timestamp | PgType::Date));
        match fields {
            [] => None,
            _ if !are_times => None,
            [field] => Some(field.expression.clone()),
            several => {
                let times: Vec<String> =
                    several.iter().map(|field| format!("{}::timestamp", field.expression)).collect();
                Some(format!("coalesce({})", times.join(", ")))
            }
        }
    }

    /// A condition on the order time that no line of the range fails; the caller checks each row's day anyway.
    pub(super) fn within(&self, range: DayRange) -> Option<String> {
        let (from, end) = (range.from, range.to.plus(1));
        match (self.of(Column::OrderedAt), &self.timezone) {
            ([field], Some(zone)) if field.has_zone => {
                let (column, zone) = (&field.name, escape_literal(zone));
                // A day more on both sides covers hours that a zone has twice or not at all.
                let (from, end) = (from.plus(-1), end.plus(1));
                Some(format!(
                    "{column} >= timestamp '{from}' AT TIME ZONE {zone} AND {column} < timestamp '{end}' AT TIME ZONE {zone}"
                ))
            }
            _ => self.time().map(|time| format!("{time} >= '{from}' AND {time} < '{end}'")),
        }
    }

    /// The rows that can be lines at all: with an order id and a time of the years that days can name.
    pub(super) fn countable(&self, time: &str) -> String {
        let end = Day::MAX.plus(1);
        let order = self.text(Column::OrderId).unwrap_or_else(|| "''".to_owned());
        format!("{order} <> '' AND {time} >= '{}' AND {time} < '{end}'", Day::MIN)
    }

    /// A text column as reads make it: the first of its fields that is not blank, trimmed. Texts of our own table
    /// were trimmed by the import.
    pub(super) fn text(&self, column: Column) -> Option<String> {
        let trimmed = |field: &Field| match self.is_canonical {
            true => field.name.clone(),
            false => format!("btrim({}::text, {})", field.expression, self.white_space),
        };
        match self.of(column) {
            [] => None,
            [field] => Some(trimmed(field)),
            several => {
                let parts: Vec<String> =
                    several.iter().map(|field| format!("nullif({}, '')", trimmed(field))).collect();
                Some(format!("coalesce({})", parts.join(", ")))
            }
        }
    }

    /// A condition that holds for all rows of these stores, and perhaps for others: the spellings of each store
    /// by the field that they stand in.
    pub(super) fn of_stores(&self, spellings: &[Vec<String>]) -> String {
        let conditions: Vec<String> = self
            .of(Column::StoreId)
            .iter()
            .zip(spellings)
            .filter(|(_, texts)| !texts.is_empty())
            .map(|(field, texts)| field.is_one_of(texts))
            .collect();
        match conditions.len() {
            0 => "false".to_owned(),
            _ => format!("({})", conditions.join(" OR ")),
        }
    }
}

impl Field {
    /// The column as the text that stands for it in this module.
    pub(super) fn as_text(&self) -> String {
        format!("{}::text", self.expression)
    }

    fn is_one_of(&self, texts: &[String]) -> String {
        let literals: Vec<String> = texts.iter().map(|text| escape_literal(text)).collect();
        let (column, kind) = match self.compared_as {
            Some(kind) => (self.name.clone(), kind),
            None => (self.as_text(), "text"),
        };
        match &literals[..] {
            [one] => format!("{column} = {one}::{kind}"),
            several => format!("{column} = ANY(ARRAY[{}]::{kind}[])", several.join(",")),
        }
    }

    /// The text of a store id, from the column's text; empty if it is none.
    pub(super) fn store_id(&self, text: &str) -> String {
        let shortest = |value: Option<f64>, shown: String| {
            if value.is_some_and(f64::is_finite) { shown } else { String::new() }
        };
        match self.kind {
            PgType::Text => text.trim().to_owned(),
            PgType::Float4 => {
                let value = text.parse::<f32>().ok();
                shortest(value.map(f64::from), value.map(|v| (v + 0.0).to_string()).unwrap_or_default())
            }
            PgType::Float8 => {
                let value = text.parse::<f64>().ok();
                shortest(value, value.map(|v| (v + 0.0).to_string()).unwrap_or_default())
            }
            PgType::Numeric if !text.ends_with(|c: char| c.is_ascii_digit()) => String::new(),
            PgType::Numeric if text.contains('.') => {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            PgType::Int2 | PgType::Int4 | PgType::Int8 | PgType::Numeric => text.to_owned(),
            PgType::Timestamp | PgType::Date => text.replacen(' ', "T", 1),
        }
    }

    /// How a store id that was not seen in the table would stand in this column, if it could.
    pub(super) fn spelling(&self, store_id: &str) -> Option<String> {
        let fits = match self.kind {
            PgType::Text => true,
            PgType::Int2 | PgType::Int4 | PgType::Int8 => {
                store_id.parse::<i64>().is_ok_and(|number| number.to_string() == store_id)
            }
            PgType::Float4 | PgType::Float8 | PgType::Numeric => {
                let digits = store_id.strip_prefix('-').unwrap_or(store_id);
                !digits.is_empty()
                    && digits.starts_with(|c: char| c.is_ascii_digit())
                    && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
                    && digits.matches('.').count() < 2
            }
            PgType::Timestamp | PgType::Date => false,
        };
        fits.then(|| store_id.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: PgType, compared_as: Option<&'static str>) -> Field {
        Field {
            name: "\"s\"".to_owned(),
            expression: "\"s\"".to_owned(),
            kind,
            compared_as,
            has_zone: false,
            not_null: false,
        }
    }

    #[test]
    fn literals_cannot_leave_their_quotes() {
        let field = field(PgType::Text, Some("text"));
        assert_eq!(field.is_one_of(&["a'; --".to_owned()]), "\"s\" = 'a''; --'::text");
        assert_eq!(
            field.is_one_of(&["a\\".to_owned(), "b".to_owned()]),
            "\"s\" = ANY(ARRAY[ E'a\\\\','b']::text[])"
        );
    }

    #[test]
    fn store_ids_are_shortest_texts() {
        let of = |kind, text: &str| field(kind, None).store_id(text);
        assert_eq!(of(PgType::Text, "\u{3000}a "), "a");
        assert_eq!(of(PgType::Numeric, "1200.50"), "1200.5");
        assert_eq!(of(PgType::Numeric, "1200"), "1200");
        assert_eq!(of(PgType::Numeric, "7.00"), "7");
        assert_eq!(of(PgType::Numeric, "NaN"), "");
        assert_eq!(of(PgType::Float8, "1e+17"), "100000000000000000");
        assert_eq!(of(PgType::Float8, "-0"), "0");
        assert_eq!(of(PgType::Float4, "0.1"), "0.1");
        assert_eq!(of(PgType::Float8, "Infinity"), "");
        let spelling = |kind, text: &str| field(kind, None).spelling(text);
        assert_eq!(spelling(PgType::Int8, "17"), Some("17".to_owned()));
        assert_eq!(spelling(PgType::Int8, "017"), None);
        assert_eq!(spelling(PgType::Numeric, "1.5"), Some("1.5".to_owned()));
        assert_eq!(spelling(PgType::Float8, "nan"), None);
    }
}
