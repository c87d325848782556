//! Operations: what a path answers.

use schemars::JsonSchema;
use schemars::generate::SchemaGenerator;
use serde_json::{Map, Value, json};
use shared::answers::documents;
use shared::answers::parameters::Route;
use shared::answers::response::Meta;

use super::parameters;
use crate::represent;

/// Status and name of every problem that a question may have.
const PROBLEMS: [(u16, &str, &str); 15] = [
    (400, "BadParameters", "Bad parameters, all of them at once"),
    (401, "Unauthorized", "No token, or one that is not known"),
    (403, "Forbidden", "A store that the token is not for"),
    (404, "NotFound", "No such path or store"),
    (405, "WrongMethod", "The path does not have this method"),
    (406, "NotAcceptable", "None of the representations is acceptable"),
    (408, "BodyTooSlow", "The body did not come in time"),
    (413, "BodyTooLarge", "The body is larger than gateway.max_body_bytes"),
    (414, "UriTooLong", "The URL is longer than 64 KiB"),
    (415, "NotJson", "The body is not of a kind that is taken"),
    (422, "TooMuch", "The range is too long, or too many stores are named"),
    (429, "TooMany", "More requests than the token may send"),
    (431, "HeadersTooLarge", "The header lines are too large"),
    (500, "Internal", "An internal error"),
    (503, "Unavailable", "What is missing cannot be computed now"),
];
/// Problems of paths that need no token.
pub(super) const OF_FREE: [u16; 2] = [500, 503];
/// Problems of requests with a body.
pub(super) const OF_BODIES: [u16; 3] = [408, 413, 415];

/// A path that answers a question.
pub(super) fn of_route(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let (summary, data) = match route {
        Route::Stores => ("The stores", data::<documents::StoreList>(schemas)),
        Route::Overview => ("Metrics of a range and of the one before", data::<documents::Overview>(schemas)),
        Route::Trend => ("Metrics by day, week or month", data::<documents::Trend>(schemas)),
        Route::Channels => ("Metrics by order channel", data::<documents::Channels>(schemas)),
        Route::StoreTable => {
            ("Metrics by store, with ranks and anomalies", data::<documents::StoreTable>(schemas))
        }
        Route::Products => ("Products by units, sales, profit or loss", data::<documents::Products>(schemas)),
        Route::Diagnosis => {
            ("What is urgent, what to watch, what goes well", data::<documents::Diagnosis>(schemas))
        }
        Route::Orders(_) => {
            ("Raw order lines of a store, page by page", data::<documents::OrderPage>(schemas))
        }
    };
    let meta = schemas.subschema_for::<Meta>();
    let envelope = json!({
        "type": "object", "required": ["data", "meta"], "additionalProperties": false,
        "properties": { "data": data, "meta": meta },
    });
    let mut content = Map::new();
    for media_type in represent::media_types(route) {
        let schema =
            if media_type.starts_with("text/csv") { json!({ "type": "string" }) } else { envelope.clone() };
        content.insert(media_type.to_owned(), json!({ "schema": schema }));
    }
    let mut responses = Map::new();
    let named: Map<String, Value> = HEADERS.iter().map(|(name, ..)| reference("headers", name)).collect();
    responses.insert(
        "200".to_owned(),
        json!({ "description": "The document", "headers": named, "content": content }),
    );
    responses
        .insert("304".to_owned(), json!({ "description": "The client has it already", "headers": named }));
    add(&mut responses, |status| !OF_BODIES.contains(&status));
    json!({ "get": {
        "operationId": route.kind(),
        "summary": summary,
        "parameters": parameters::of(route),
        "responses": responses,
    }})
}

/// The schema of a document.
pub(super) fn data<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().into()
}

fn reference(kind: &str, name: &str) -> (String, Value) {
    (name.to_owned(), json!({ "$ref": format!("#/components/{kind}/{name}") }))
}

/// A health check.
pub(super) fn health(summary: &str, statuses: &[u16]) -> Value {
    let text = json!({ "text/plain; charset=utf-8": { "schema": { "type": "string" } } });
    let mut responses: Map<String, Value> = statuses
        .iter()
        .map(|status| (status.to_string(), json!({ "description": "In plain words", "content": text })))
        .collect();
    // Its own 503 says why in plain words.
    add(&mut responses, |status| OF_FREE.contains(&status) && !statuses.contains(&status));
    json!({ "get": { "summary": summary, "security": [], "responses": responses } })
}

/// This description itself.
pub(super) fn description() -> Value {
    let json = json!({ "application/json": { "schema": { "type": "object" } } });
    let mut responses = Map::new();
    responses.insert("200".to_owned(), json!({ "description": "OpenAPI 3.1", "content": json }));
    add(&mut responses, |status| OF_FREE.contains(&status));
    json!({ "get": { "summary": "The description of this API", "security": [], "responses": responses } })
}

/// A wish for fresh answers.
pub(super) fn refresh() -> Value {
    let day = json!({ "type": ["string", "null"], "format": "date", "pattern": parameters::DAY });
    let store = json!({ "type": "string", "minLength": 1 });
    let wish = json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "stores": { "type": ["array", "null"], "items": store, "minItems": 1, "description": "Ids; without them: all." },
            "from": day, "to": day,
        },
    });
    let taken = json!({
        "type": "object", "additionalProperties": false, "required": ["requested_at"],
        "properties": { "requested_at": { "type": "integer", "description": "Milliseconds since 1970." } },
    });
    let of_json = |schema: Value| json!({ "application/json": { "schema": schema } });
    let mut responses = Map::new();
    responses.insert(
        "202".to_owned(),
        json!({ "description": "The warmer will read of it", "content": of_json(taken) }),
    );
    add(&mut responses, |_| true);
    json!({ "post": {
        "operationId": "refresh",
        "summary": "Wish for fresh answers of stores and days",
        "requestBody": { "required": true, "content": of_json(wish) },
        "responses": responses,
    }})
}

/// The problems of these statuses.
pub(super) fn add(responses: &mut Map<String, Value>, which: impl Fn(u16) -> bool) {
    for (status, name, _) in PROBLEMS.iter().filter(|(status, ..)| which(*status)) {
        responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
    }
}

/// The responses of all problems.
pub(super) fn problems(schema: &Value) -> Value {
    let content = json!({ "application/problem+json": { "schema": schema } });
    let one = |(status, name, description): &(u16, &str, &str)| {
        let mut headers = Map::from_iter([reference("headers", "X-Request-Id")]);
        let more = match status {
            405 => Some("Allow"),
            429 | 503 => Some("Retry-After"),
            _ => None,
        };
        headers.extend(more.map(|name| reference("headers", name)));
        ((*name).to_owned(), json!({ "description": description, "headers": headers, "content": content }))
    };
    Value::Object(PROBLEMS.iter().map(one).collect())
}

/// Headers of a document's answer: name, description, pattern.
const HEADERS: [(&str, &str, &str); 9] = [
    (
        "ETag",
        "Changes with the data, their last day, the question and the representation",
        "^\"[0-9a-f]{32}\"$",
    ),
    ("Last-Modified", "When it was computed", ""),
    ("Age", "Seconds since its data were last confirmed to be current", "^[0-9]+$"),
    ("Cache-Control", "How long it may be used", "^private, "),
    ("Vary", "What the representation depends on", ""),
    (
        "X-Cache",
        "Which step answered; `; stale` when it is past its time",
        "^(near|l4|l3|l3-compose|l2-compose|l1|source)(; stale)?$",
    ),
    ("Server-Timing", "Milliseconds spent in cache, computing and source", ""),
    ("X-Request-Id", "The client's when it is well-formed, else a new one", "^[A-Za-z0-9_.:/+=-]{1,128}$"),
    ("X-Content-Type-Options", "Always nosniff", "^nosniff$"),
];

/// All headers that responses name.
pub(super) fn headers() -> Value {
    let of_problems = [
        ("Allow", "The methods that the path has", ""),
        ("Retry-After", "Seconds after which to try again", "^[0-9]+$"),
    ];
    let one = |(name, description, pattern): &(&str, &str, &str)| {
        let mut schema = json!({ "type": "string" });
        if !pattern.is_empty() {
            schema["pattern"] = json!(pattern);
        }
        ((*name).to_owned(), json!({ "description": description, "required": true, "schema": schema }))
    };
    Value::Object(HEADERS.iter().chain(&of_problems).map(one).collect())
}
