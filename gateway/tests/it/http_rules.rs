//! The rules of HTTP that caches, browsers and libraries count on.

use std::io::Read as _;
use std::time::Duration;

use gateway::{AccessLog, Front};
use http::{HeaderMap, Method};
use shared::cache::levels::{Stamp, Stored};
use shared::model::query::{SortOrder, StoreSort};
use shared::model::{Ask, Document};

use crate::client::{self, Answer, encoded};
use crate::fixture::{self, Gateway};

const PATHS: [&str; 8] = [
    "/v1/stores",
    "/v1/metrics/overview",
    "/v1/metrics/trend?granularity=week",
    "/v1/metrics/channels",
    "/v1/metrics/stores",
    "/v1/metrics/products?sort=loss",
    "/v1/diagnosis",
    "/v1/stores/a_b/orders?limit=50",
];
/// Documents that are ready, so that they were computed at one time.
const READY: [&str; 3] = ["/v1/metrics/overview", "/v1/metrics/stores", "/v1/diagnosis"];

async fn head(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Answer {
    client::send(Method::HEAD, &gateway.address, path, headers).await
}

#[tokio::test]
async fn times_are_compared_when_no_tag_is_named() {
    let gateway = Gateway::without_servers().await;
    for path in READY {
        let first = gateway.ok(path).await;
        let (modified, tag) = (first.header("last-modified"), first.header("etag"));
        let at = httpdate::parse_http_date(modified).unwrap();
        let moved = |seconds: i64| {
            let step = Duration::from_secs(seconds.unsigned_abs());
            httpdate::fmt_http_date(if seconds < 0 { at - step } else { at + step })
        };
        for since in [modified.to_owned(), moved(1)] {
            let again = gateway.get_with(path, &[("if-modified-since", &since)]).await;
            assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{path} {since}");
            assert_eq!((again.header("etag"), again.header("last-modified")), (tag, modified));
        }
        for since in [moved(-1), "yesterday".to_owned(), String::new()] {
            let again = gateway.get_with(path, &[("if-modified-since", &since)]).await;
            assert_eq!((again.status.as_u16(), &again.body), (200, &first.body), "{path} {since}");
        }
        // Tags win, both ways.
        for (known, since, status) in [("\"other\"", modified, 200), (tag, &moved(-1), 304)] {
            let headers = [("if-none-match", known), ("if-modified-since", since)];
            assert_eq!(gateway.get_with(path, &headers).await.status.as_u16(), status, "{path} {known}");
        }
    }
}

/// Small bodies are not compressed for anybody: their tag is the plain one, also where no tag was named.
#[tokio::test]
async fn what_has_not_changed_keeps_its_tag() {
    let gateway = Gateway::without_servers().await;
    let small = "/v1/metrics/channels?from=2020-01-01&to=2020-01-01";
    for path in PATHS.iter().chain(&[small]) {
        let packed = ("accept-encoding", "gzip");
        let tag = gateway.get_with(path, &[packed]).await.header("etag").to_owned();
        for known in [("if-none-match", "*"), ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT")] {
            let again = gateway.get_with(path, &[packed, known]).await;
            assert_eq!(
                (again.status.as_u16(), again.header("etag")),
                (304, tag.as_str()),
                "{path} {known:?}"
            );
        }
    }
}

/// A ready response goes to whoever takes gzip byte by byte as it is stored.
#[tokio::test]
async fn stored_bytes_are_sent_as_they_are() {
    let (source, levels) = (fixture::files().await, fixture::levels(fixture::memory()));
    fixture::warm(&source, &levels).await;
    let directory = levels.read_directory().await.hit().unwrap();
    let query = Ask::default_for(Document::StoreTable(StoreSort::Sales, SortOrder::Descending));
    let query = query.resolve(&directory).unwrap();
    let (header, answer) = levels.read_answer(&query).await.hit().unwrap();
    let stamp = Stamp { now: header.computed_at, as_of: query.as_of, version: header.data_version };
    let ready = levels.write_ready(&query, &answer, &stamp).unwrap();
    levels.cache().transact(vec![ready]).await.unwrap();
    let Some(Stored::Ready { body, gzip: true, .. }) = levels.read_ready(&query).await.hit() else {
        panic!("not stored as gzip")
    };
    let gateway = Gateway::start(source, levels).await;
    let packed = gateway.get_with("/v1/metrics/stores", &[("accept-encoding", "gzip")]).await;
    assert_eq!((packed.header("x-cache"), packed.header("content-encoding")), ("l4", "gzip"));
    assert_eq!(packed.body, body);
    assert_eq!(packed.header("content-length"), body.len().to_string());
    let plain = gateway.ok("/v1/metrics/stores").await;
    assert_eq!((plain.header("x-cache"), plain.header("content-encoding")), ("l4", ""));
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut inflated).unwrap();
    assert_eq!(inflated, plain.body);
    assert_ne!(plain.header("etag"), packed.header("etag"));
}

/// All headers but those of the moment.
fn lasting(answer: &Answer) -> HeaderMap {
    let mut headers = answer.headers.clone();
    for name in ["date", "server-timing", "age", "cache-control", "last-modified", "x-request-id"] {
        headers.remove(name);
    }
    headers
}

#[tokio::test]
async fn head_says_what_get_says() {
    let gateway = Gateway::without_servers().await;
    let wrong = ["/nowhere", "/v1/metrics/overview?x=1", "/v1/metrics/overview?stores=nobody", "/v1/refresh"];
    for path in PATHS.iter().chain(&wrong).chain(&["/livez", "/readyz"]) {
        for headers in [
            vec![("x-request-id", "same")],
            vec![("accept-encoding", "gzip"), ("x-request-id", "same")],
            vec![("accept", "application/msgpack"), ("x-request-id", "same")],
            vec![("accept", "image/png"), ("x-request-id", "same")],
        ] {
            let (get, head) = (gateway.get_with(path, &headers).await, head(&gateway, path, &headers).await);
            assert_eq!(head.status, get.status, "{path} {headers:?}");
            assert_eq!(lasting(&head), lasting(&get), "{path} {headers:?}");
            assert!(head.body.is_empty() && !get.body.is_empty());
            assert_eq!(get.header("content-length"), get.body.len().to_string());
            for name in ["age", "cache-control", "last-modified", "server-timing"] {
                assert_eq!(head.headers.contains_key(name), get.headers.contains_key(name), "{path} {name}");
            }
            let tag = get.header("etag").to_owned();
            if tag.is_empty() {
                continue;
            }
            let known = [&headers[..], &[("if-none-match", &tag)]].concat();
            let (get, head) =
                (gateway.get_with(path, &known).await, self::head(&gateway, path, &known).await);
            assert_eq!((get.status.as_u16(), head.status.as_u16()), (304, 304));
            assert_eq!(lasting(&head), lasting(&get), "{path} {headers:?}");
            // The length would be that of the answer, which is not sent.
            assert_eq!(head.header("content-length"), "");
            for name in ["etag", "vary", "cache-control", "date"] {
                assert!(!head.header(name).is_empty(), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn ages_and_times_to_the_next_refresh_add_up() {
    let gateway = Gateway::without_servers().await;
    let ttl = fixture::settings().ttl;
    for path in READY {
        let answer = gateway.ok(path).await;
        let age: u64 = answer.header("age").parse().unwrap();
        let fresh = answer.header("cache-control").strip_prefix("private, max-age=").unwrap();
        let fresh: u64 = fresh.split(',').next().unwrap().parse().unwrap();
        // Each is cut to whole seconds, and a second may begin between them.
        let soft = ttl.answers.as_secs();
        assert!((soft - 2..=soft).contains(&(age + fresh)), "{path}: {age} + {fresh} of {soft}");
        assert_eq!(answer.header("vary"), "accept, accept-encoding");
    }
}

#[tokio::test]
async fn every_response_says_what_browsers_must_not_do() {
    let gateway = Gateway::without_servers().await;
    let tag = gateway.ok("/v1/metrics/overview").await.header("etag").to_owned();
    let answers = [
        gateway.get("/v1/metrics/overview").await,
        gateway.get_with("/v1/metrics/overview", &[("if-none-match", &tag)]).await,
        gateway.get("/v1/metrics/overview?x=1").await,
        gateway.get("/nowhere").await,
        gateway.get_with("/v1/stores", &[("accept", "image/png")]).await,
        gateway.get("/livez").await,
        client::send(Method::OPTIONS, &gateway.address, "/v1/stores", &[]).await,
        client::send(Method::PUT, &gateway.address, "/v1/stores", &[]).await,
        client::send(Method::POST, &gateway.address, "/v1/refresh", &[]).await,
    ];
    let statuses = answers.each_ref().map(|answer| answer.status.as_u16());
    assert_eq!(statuses, [200, 304, 400, 404, 406, 200, 204, 405, 415]);
    for answer in &answers {
        answer.is_secure();
        // Only where browsers come by TLS.
        assert_eq!(answer.header("strict-transport-security"), "");
    }
}

#[tokio::test]
async fn encoded_and_plain_paths_are_the_same() {
    let gateway = Gateway::without_servers().await;
    let expected = gateway.ok(&format!("/v1/stores/{}/orders", encoded("a/b"))).await;
    for path in ["/v1/stores/a%2fb/orders", "/v1/stores/a%2Fb/orders", "/v1/stores/%61%2F%62/orders"] {
        assert_eq!(gateway.ok(path).await.body, expected.body, "{path}");
    }
    // A slash that is not encoded is one of the path, and a plus of a path is a plus.
    gateway.get("/v1/stores/a/b/orders").await.problem(404);
    let problem = gateway.get("/v1/stores/a+b/orders").await.problem(404);
    assert!(problem["detail"].as_str().unwrap().contains("a+b"), "{problem}");
    let expected = gateway.ok("/v1/metrics/overview?stores=a_b&channel=").await;
    for query in ["stores=a%5Fb&channel=", "%73tores=a_b&channel", "&stores=a_b&&channel=&"] {
        assert_eq!(gateway.ok(&format!("/v1/metrics/overview?{query}")).await.body, expected.body, "{query}");
    }
    // One too many, or too few.
    for query in ["stores=a%255Fb", "stores=a%5"] {
        gateway.get(&format!("/v1/metrics/overview?{query}")).await.problem(404);
    }
}

/// While nothing is ready yet, what is wrong is told, and everything else is told to come again.
#[tokio::test]
async fn a_start_is_told() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let front = Front::guarded(AccessLog::off(), gateway::auth::Access::default());
    let settings = fixture::settings().gateway;
    let task = tokio::spawn(async move {
        gateway::server::serve(front, listener, &settings, async { drop(stopped.await) }).await.unwrap();
    });
    let ask = async |method: Method, path: &str| client::send(method, &address, path, &[]).await;
    for (method, path) in [(Method::GET, "/v1/stores"), (Method::POST, "/v1/refresh")] {
        let answer = ask(method, path).await;
        answer.problem(503);
        assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
    }
    assert_eq!(ask(Method::GET, "/livez").await.status, 200);
    assert_eq!(ask(Method::GET, "/readyz").await.status, 503);
    ask(Method::GET, "/nowhere").await.problem(404);
    ask(Method::POST, "/v1/stores").await.problem(405);
    stop.send(()).unwrap();
    task.await.unwrap();
}
