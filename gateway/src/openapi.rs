//! `GET /openapi.json`: the description of the API in OpenAPI 3.1, generated from the code that it describes: the routes
//! and their parameters, the types of the documents, the limits that are checked.

mod monitor;
mod operation;
mod parameters;

use std::sync::LazyLock;

use bytes::Bytes;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};
use shared::answers::parameters::Route;

use crate::{problem, refresh};

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));

/// The description as JSON, made once.
#[must_use]
pub fn json() -> Bytes {
    DOCUMENT.clone()
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.meta_schema = None;
        settings.definitions_path = "/components/schemas".into();
    });
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<problem::Body<'_>>();
    let mut paths = Map::new();
    for route in Route::all() {
        paths.insert(route.template().to_owned(), operation::of_route(&route, &mut schemas));
    }
    paths.insert(refresh::PATH.to_owned(), operation::refresh());
    paths.extend(monitor::paths(&mut schemas));
    paths.insert("/livez".to_owned(), operation::health("Whether the process is alive", &[200]));
    paths.insert(
        "/readyz".to_owned(),
        operation::health("Whether requests are welcome, or why not", &[200, 503]),
    );
    paths.insert("/openapi.json".to_owned(), operation::description());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hotshelf",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Metrics and diagnosis of a retail chain's orders",
            "description": "Every answer carries the version of the data it was made of: equal versions mean equal data. \
                Money is in currency units with at most 2 decimals, rates are percent with 2 decimals.",
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        // Without tokens in the settings nobody needs one.
        "security": [{ "token": [] }, {}],
        "components": {
            "schemas": definitions(schemas),
            "headers": operation::headers(),
            "responses": operation::problems(&Value::from(problem)),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn definitions(mut schemas: SchemaGenerator) -> Value {
    Value::Object(schemas.take_definitions(true))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Every `$ref` of a value.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value) {
                        ("$ref", Value::String(target)) => found.push(target),
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100, "{}", found.len());
        for reference in found {
            let place = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_route_has_its_parameters() {
        let document = document();
        for route in Route::all() {
            let operation = &document["paths"][route.template()]["get"];
            let named: Vec<&str> = operation["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            assert_eq!(named, route.parameters(), "{}", route.template());
        }
    }
}
