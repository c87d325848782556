//! What the monitor page asks: the status, its stream, the inventory; and the page itself.

use schemars::generate::SchemaGenerator;
use serde_json::{Map, Value, json};
use shared::model::query::MAX_STORES;

use super::operation::{OF_BODIES, OF_FREE, add, data};
use crate::inventory::{self, Entries, Envelope, StoreDays};
use crate::panel::{self, document::Document};

/// Their paths.
pub(super) fn paths(schemas: &mut SchemaGenerator) -> Map<String, Value> {
    let status = data::<Document>(schemas);
    let events = json!({ "text/event-stream": { "schema": {
        "type": "string",
        "description": "An event `status` every 5 s, and as soon as something important changes: its data are the document of \
                        /v1/status, whose history has what came since the event before.",
    }}});
    let inventory = data::<Envelope<Entries>>(schemas);
    let days = data::<Envelope<StoreDays>>(schemas);
    let page = json!({ "text/html": { "schema": { "type": "string" } } });
    [
        (panel::PATH, of("status", "How the service is, as this gateway sees it", &[], &json_of(&status))),
        (panel::STREAM, of("status_stream", "The same as server-sent events", &[], &events)),
        (
            inventory::PATH,
            of("inventory", "What is warm: entries, and why they are kept", &entries(), &json_of(&inventory)),
        ),
        (
            inventory::DAYS,
            of(
                "inventory_days",
                "Which days of which stores are ready, and why not",
                &store_days(),
                &json_of(&days),
            ),
        ),
        ("/", free("The monitor page and the store view, for browsers", &page)),
    ]
    .into_iter()
    .map(|(path, operation)| (path.to_owned(), operation))
    .collect()
}

fn json_of(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn of(id: &str, summary: &str, parameters: &[Value], content: &Value) -> Value {
    let mut responses = Map::new();
    responses.insert("200".to_owned(), json!({ "description": "As it is now", "content": content }));
    add(&mut responses, |status| !OF_BODIES.contains(&status));
    json!({ "get": {
        "operationId": id, "summary": summary, "parameters": parameters, "responses": responses,
    }})
}

fn free(summary: &str, content: &Value) -> Value {
    let mut responses = Map::new();
    responses.insert("200".to_owned(), json!({ "description": "The page", "content": content }));
    responses.insert("304".to_owned(), json!({ "description": "The client has it already" }));
    add(&mut responses, |status| OF_FREE.contains(&status));
    json!({ "get": { "summary": summary, "security": [], "responses": responses } })
}

fn parameter(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
}

fn number(name: &str, description: &str, (default, most): (u16, u16)) -> Value {
    let schema = json!({ "type": "integer", "minimum": 1, "maximum": most, "default": default });
    parameter(name, description, &schema)
}

fn stores() -> Value {
    let schema = json!({ "type": "array", "items": { "type": "string", "minLength": 1, "pattern": "^[^,]+$" }, "minItems": 1 });
    parameter(
        "stores",
        &format!("Ids, repeated or separated by commas. At most {MAX_STORES}. Without it: all."),
        &schema,
    )
}

fn after() -> Value {
    parameter("after", "`next` of the page before: a store.", &json!({ "type": "string", "minLength": 1 }))
}

fn entries() -> Vec<Value> {
    let names = inventory::Level::ALL.map(inventory::Level::as_str);
    let level = json!({ "type": "string", "enum": names });
    vec![
        stores(),
        parameter("level", "Only entries of this level.", &level),
        number("limit", "Most stores of a page.", inventory::STORES),
        after(),
    ]
}

fn store_days() -> Vec<Value> {
    vec![
        stores(),
        number("days", "Days up to the last data day.", inventory::DAYS_SHOWN),
        number("limit", "Most stores of a page.", inventory::DAYS_STORES),
        after(),
    ]
}
