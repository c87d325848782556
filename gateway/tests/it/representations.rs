//! JSON, MessagePack, CSV, gzip and 304 of the same answers.

use std::io::Read as _;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use shared::answers::parameters::{self, Asked, Route};
use shared::model::{DayRange, Directory};
use shared::runtime::now_ms;
use testkit::wait_until;
use warmer::answer::warm_answer;
use warmer::scope::Scope;
use warmer::warming::Warming;

use crate::client::{Answer, encoded};
use crate::fixture::{self, Gateway, LAST_DAY};

const PATHS: [&str; 8] = [
    "/v1/stores",
    "/v1/metrics/overview",
    "/v1/metrics/trend?granularity=week",
    "/v1/metrics/channels",
    "/v1/metrics/stores",
    "/v1/metrics/products?sort=loss",
    "/v1/diagnosis",
    "/v1/stores/a_b/orders?limit=50&from=2026-03-01",
];
const TABLES: [(&str, &str); 5] = [
    ("/v1/metrics/trend?granularity=week", "buckets"),
    ("/v1/metrics/channels", "channels"),
    ("/v1/metrics/stores", "stores"),
    ("/v1/metrics/products?sort=loss", "products"),
    ("/v1/stores/a_b/orders?limit=50&from=2026-03-01", "lines"),
];

const LIMIT: Duration = Duration::from_secs(60);

fn is_strong(tag: &str) -> bool {
    tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"')
}

#[tokio::test]
async fn headers_say_what_an_answer_is() {
    let gateway = Gateway::without_servers().await;
    for path in PATHS {
        let answer = gateway.ok(path).await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(is_strong(answer.header("etag")));
        assert!(httpdate::parse_http_date(answer.header("last-modified")).is_ok());
        assert!(answer.header("age").parse::<u64>().is_ok());
        let cache_control = answer.header("cache-control");
        assert!(cache_control.starts_with("private, max-age="), "{cache_control}");
        assert!(cache_control.contains(", stale-while-revalidate="), "{cache_control}");
        for part in ["cache;dur=", "compute;dur=", "source;dur="] {
            assert!(answer.header("server-timing").contains(part));
        }
        assert!(!answer.header("x-request-id").is_empty() && !answer.header("x-cache").is_empty());
        let body = answer.json();
        let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["data", "meta"]);
        let meta: Vec<&String> = body["meta"].as_object().unwrap().keys().collect();
        assert_eq!(meta, ["stores", "from", "to", "as_of", "data_version"]);
    }
    let given = gateway.get_with("/v1/stores", &[("x-request-id", "from-the-client:1")]).await;
    assert_eq!(given.header("x-request-id"), "from-the-client:1");
    let odd = gateway.get_with("/v1/stores", &[("x-request-id", "not well formed")]).await;
    assert_ne!(odd.header("x-request-id"), "not well formed");
}

#[tokio::test]
async fn a_known_tag_is_answered_with_304() {
    let gateway = Gateway::without_servers().await;
    for path in PATHS {
        for headers in [vec![], vec![("accept-encoding", "gzip")], vec![("accept", "application/msgpack")]] {
            let first = gateway.get_with(path, &headers).await;
            let tag = first.header("etag").to_owned();
            for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
                let mut headers = headers.clone();
                headers.push(("if-none-match", &known));
                let again = gateway.get_with(path, &headers).await;
                assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path} {known}");
                assert!(again.body.is_empty() && again.header("content-type").is_empty());
                assert!(!again.header("cache-control").is_empty());
            }
            let mut headers = headers.clone();
            headers.push(("if-none-match", "\"other\""));
            assert_eq!(gateway.get_with(path, &headers).await.body, first.body);
        }
    }
    // Another question and another representation have another tag.
    let mut tags = Vec::new();
    for path in ["/v1/metrics/overview", "/v1/metrics/overview?stores=all", "/v1/metrics/overview?channel="] {
        for accept in ["application/json", "application/msgpack"] {
            tags.push(gateway.get_with(path, &[("accept", accept)]).await.header("etag").to_owned());
        }
    }
    tags.push(
        gateway
            .get_with("/v1/metrics/overview", &[("accept-encoding", "gzip")])
            .await
            .header("etag")
            .to_owned(),
    );
    let count = tags.len();
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), count);
}

#[tokio::test]
async fn gzip_holds_the_same_bytes() {
    let gateway = Gateway::without_servers().await;
    for path in PATHS {
        let plain = gateway.ok(path).await;
        let packed = gateway.get_with(path, &[("accept-encoding", "br, gzip")]).await;
        assert_eq!(packed.status, StatusCode::OK);
        assert!(packed.header("vary").contains("accept-encoding"));
        if packed.header("content-encoding").is_empty() {
            // Not worth it.
            assert!(plain.body.len() < 1000, "{path}");
            assert_eq!(packed.body, plain.body);
            continue;
        }
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert!(packed.body.len() < plain.body.len());
        let mut inflated = Vec::new();
        flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut inflated).unwrap();
        assert_eq!(inflated, plain.body);
        let refused = gateway.get_with(path, &[("accept-encoding", "gzip;q=0")]).await;
        assert!(refused.header("content-encoding").is_empty());
        assert_eq!(refused.body, plain.body);
    }
}

/// What MessagePack holds, without loss of the kind of a number.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
enum Packed {
    Nothing(()),
    Flag(bool),
    Count(i64),
    Amount(f64),
    Text(String),
    List(Vec<Packed>),
    Map(std::collections::BTreeMap<String, Packed>),
}

/// Checks that MessagePack says what JSON says: amounts (written with a point in JSON) as floats, counts as integers.
fn compare(place: &str, json: &Value, packed: &Packed) {
    match (json, packed) {
        (Value::Null, Packed::Nothing(())) => {}
        (Value::Bool(one), Packed::Flag(other)) => assert_eq!(one, other, "{place}"),
        (Value::String(one), Packed::Text(other)) => assert_eq!(one, other, "{place}"),
        (Value::Number(one), Packed::Count(other)) => assert_eq!(one.as_i64(), Some(*other), "{place}"),
        (Value::Number(one), Packed::Amount(other)) => assert_eq!(one.as_f64(), Some(*other), "{place}"),
        (Value::Array(one), Packed::List(other)) => {
            assert_eq!(one.len(), other.len(), "{place}");
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{place}[{at}]"), one, other);
            }
        }
        (Value::Object(one), Packed::Map(other)) => {
            assert_eq!(one.len(), other.len(), "{place}");
            for (name, value) in one {
                compare(&format!("{place}.{name}"), value, &other[name]);
            }
        }
        (json, packed) => panic!("{place}: {json} as {packed:?}"),
    }
}

#[tokio::test]
async fn message_pack_says_the_same() {
    let gateway = Gateway::without_servers().await;
    for path in PATHS {
        let json = gateway.ok(path).await.json();
        let packed = gateway.get_with(path, &[("accept", "application/msgpack")]).await;
        assert_eq!(packed.header("content-type"), "application/msgpack");
        let packed: Packed = rmp_serde::from_slice(&packed.body).unwrap();
        compare(path, &json, &packed);
    }
    // Also an amount without a fraction is a float, and a count is never one.
    for path in ["/v1/metrics/overview", "/v1/metrics/overview?from=2020-01-01&to=2020-01-02"] {
        let packed = gateway.get_with(path, &[("accept", "application/msgpack")]).await;
        let Packed::Map(body) = rmp_serde::from_slice(&packed.body).unwrap() else { panic!("a map") };
        let Packed::Map(data) = &body["data"] else { panic!("a map") };
        let Packed::Map(metrics) = &data["current"] else { panic!("a map") };
        let counts =
            ["orders", "filtered_orders", "units", "active_products", "loss_orders", "high_delivery_orders"];
        for (name, value) in metrics {
            let is_count = matches!(value, Packed::Count(_));
            assert!(is_count || matches!(value, Packed::Amount(_)), "{name} {value:?}");
            assert_eq!(is_count, counts.contains(&name.as_str()), "{name}");
        }
    }
}

/// The records of a CSV file by the rules of RFC 4180.
fn records(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn at<'a>(item: &'a Value, heading: &str) -> &'a Value {
    heading.split('.').fold(item, |value, name| &value[name])
}

#[tokio::test]
async fn tables_come_as_csv() {
    let gateway = Gateway::without_servers().await;
    for (path, list) in TABLES {
        let json = gateway.ok(path).await.json();
        let answer: Answer = gateway.get_with(path, &[("accept", "text/csv")]).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/csv; charset=utf-8"));
        let text = answer.text().strip_prefix('\u{feff}').expect("a byte order mark");
        let records = records(text);
        let items = json["data"][list].as_array().unwrap();
        assert!(!items.is_empty());
        assert_eq!(records.len(), items.len() + 1, "{path}");
        for (record, item) in records[1..].iter().zip(items) {
            for (heading, shown) in records[0].iter().zip(record) {
                let expected = match at(item, heading) {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    number => number.to_string(),
                };
                assert_eq!(shown, &expected, "{path} {heading}");
            }
        }
    }
    let stores = gateway.get_with("/v1/metrics/stores", &[("accept", "text/csv")]).await;
    let headings = records(stores.text())[0].clone();
    assert!(headings.contains(&"change.sales".to_owned()) && !headings.contains(&"anomalies".to_owned()));
    // Without rows there are still headings.
    let path = "/v1/metrics/channels?from=2020-01-01&to=2020-01-01";
    let empty = gateway.get_with(path, &[("accept", "text/csv")]).await;
    let records = records(empty.text());
    assert_eq!((records.len(), records[0].len()), (1, 24));
}

#[tokio::test]
async fn what_is_not_offered_is_406() {
    let gateway = Gateway::without_servers().await;
    for path in PATHS {
        for accept in ["image/png", "application/json;q=0", "text/html, image/*"] {
            gateway.get_with(path, &[("accept", accept)]).await.problem(406);
        }
        assert_eq!(
            gateway.get_with(path, &[("accept", "text/html, */*;q=0.1")]).await.status,
            StatusCode::OK
        );
    }
    for path in ["/v1/stores", "/v1/metrics/overview", "/v1/diagnosis"] {
        gateway.get_with(path, &[("accept", "text/csv")]).await.problem(406);
    }
    // A store's name never leaves its place.
    let answer = gateway.ok(&format!("/v1/metrics/overview?stores={}", encoded("a\"b"))).await;
    assert!(answer.header("etag").matches('"').count() == 2);
}

/// Its body has the last data day of when it was made, also where the data of the range are what they were.
#[tokio::test]
async fn a_ready_response_of_before_a_new_day_is_not_sent_after_its_begin() {
    let (source, levels) = (fixture::files().await, fixture::levels(fixture::memory()));
    fixture::warm(&source, &levels).await;
    let warming = Warming::new(&fixture::settings(), source.clone(), levels.clone(), fixture::compute());
    let directory = levels.read_directory().await.hit().unwrap();
    let path = "/v1/metrics/overview?stores=a_b&from=2026-03-05&to=2026-03-06";
    let (route, query) = path.split_once('?').unwrap();
    let Asked::Document(ask) = parameters::read(&Route::of(route).unwrap(), query).unwrap() else {
        unreachable!()
    };
    let scope = Scope::new(directory.clone().into(), &warming.extent);
    warm_answer(&warming, &scope, &ask.resolve(&directory).unwrap(), true).await.unwrap();

    let gateway = Gateway::start(source, levels.clone()).await;
    let before = gateway.ok(path).await;
    assert_eq!((before.header("x-cache"), before.json()["meta"]["as_of"].as_str()), ("l4", Some(LAST_DAY)));

    let mut stores = directory.stores().to_vec();
    for store in &mut stores {
        let next = store.days.last().unwrap().plus(1);
        let range = DayRange { from: store.days.first().unwrap(), to: next };
        store.days = store.days.within(range).chain([next]).collect();
    }
    levels
        .cache()
        .transact(levels.write_directory(&Directory::new(stores), now_ms()).unwrap())
        .await
        .unwrap();
    let tag = before.header("etag");
    let conditional = async || gateway.get_with(path, &[("if-none-match", tag)]).await;
    wait_until("the directory is read again", LIMIT, async || conditional().await.status == StatusCode::OK)
        .await;
    let after = conditional().await;
    assert_eq!(after.json()["data"], before.json()["data"]);
    assert_eq!(
        (after.header("x-cache"), after.json()["meta"]["as_of"].as_str()),
        ("l2-compose", Some("2026-03-12"))
    );
    assert_ne!(after.header("etag"), tag);
}
