//! The parameters of questions, as they are checked.

use serde_json::{Value, json};
use shared::answers::parameters::{LINES, PRODUCTS, Route};
use shared::model::query::{Granularity, MAX_DAYS, MAX_STORES, ProductSort, SortOrder, StoreSort};

/// A text in percent-encoded UTF-8 without dots.
macro_rules! encoded {
    () => {
        concat!(
            "([^%.]|%[0-7][0-9A-F]|%(C[2-9A-F]|D[0-9A-F])%[89AB][0-9A-F]|",
            "%E[1-9A-CE-F](%[89AB][0-9A-F]){2}|%F[1-3](%[89AB][0-9A-F]){3})*"
        )
    };
}

/// A cursor: microseconds since 1970, two counts, a hash, product key and order id.
const CURSOR: &str = concat!(
    "^([0-9]{1,15}|[1-6][0-9]{15}|7[01][0-9]{14})\\.[0-9]{1,9}\\.[0-9]{1,9}\\.[0-9a-f]{16}\\.",
    encoded!(),
    "\\.",
    encoded!(),
    "$"
);

/// A day that can be named, but for those that the calendar lacks.
pub(super) const DAY: &str = "^(19[7-9]|20[0-9]|21[0-9])[0-9]-[0-9]{2}-[0-9]{2}$";

/// The parameters of a route's path and query.
pub(super) fn of(route: &Route) -> Vec<Value> {
    let path = matches!(route, Route::Orders(_)).then(|| {
        json!({
            "name": "id", "in": "path", "required": true, "description": "Store, percent-encoded.",
            "schema": { "type": "string", "minLength": 1 },
        })
    });
    path.into_iter().chain(route.parameters().iter().map(|name| parameter(route, name))).collect()
}

fn parameter(route: &Route, name: &str) -> Value {
    let (description, schema) = match name {
        "stores" => (
            format!(
                "Ids, repeated or separated by commas; order and duplicates have no meaning. At most {MAX_STORES}. Without it: all."
            ),
            json!({ "type": "array", "items": { "type": "string", "minLength": 1, "pattern": "^[^,]+$" }, "minItems": 1 }),
        ),
        "from" => (format!("First day. At most {MAX_DAYS} days before `to`."), day()),
        "to" => ("Last day. Without it: the last day with data of the selection.".to_owned(), day()),
        "channel" => (
            "Only orders of these channels, exact names; the empty one selects orders without a channel."
                .to_owned(),
            json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }),
        ),
        "granularity" => (
            "Length of a bucket.".to_owned(),
            choice(Granularity::ALL, Granularity::as_str, Granularity::Day),
        ),
        "sort" => ("What the list is sorted by.".to_owned(), sort(route)),
        "order" => {
            ("Direction.".to_owned(), choice(SortOrder::ALL, SortOrder::as_str, SortOrder::Descending))
        }
        "limit" => {
            let (default, most) = if matches!(route, Route::Orders(_)) { LINES } else { PRODUCTS };
            let schema = json!({ "type": "integer", "minimum": 1, "maximum": most, "default": default });
            ("Most items.".to_owned(), schema)
        }
        _ => ("`next` of the page before.".to_owned(), json!({ "type": "string", "pattern": CURSOR })),
    };
    json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
}

fn day() -> Value {
    json!({ "type": "string", "format": "date", "pattern": DAY })
}

fn sort(route: &Route) -> Value {
    match route {
        Route::Products => choice(ProductSort::ALL, ProductSort::as_str, ProductSort::Units),
        _ => choice(StoreSort::ALL, StoreSort::as_str, StoreSort::Sales),
    }
}

fn choice<T: Copy>(all: &[T], text: fn(T) -> &'static str, default: T) -> Value {
    let names: Vec<&str> = all.iter().map(|value| text(*value)).collect();
    json!({ "type": "string", "enum": names, "default": text(default) })
}
