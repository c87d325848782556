//! What is wrong with a request is told at once and in words; what is only odd gets its answer.

use http::Method;
use serde_json::Value;

use crate::client::{self, encoded};
use crate::fixture::{Gateway, LAST_DAY, STORES};

const DOCUMENTS: [&str; 6] = [
    "/v1/metrics/overview",
    "/v1/metrics/trend",
    "/v1/metrics/channels",
    "/v1/metrics/stores",
    "/v1/metrics/products",
    "/v1/diagnosis",
];

/// The parameters that a problem names, sorted.
fn parameters(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().unwrap();
    assert!(errors.iter().all(|error| !error["reason"].as_str().unwrap().is_empty()));
    let mut names: Vec<_> =
        errors.iter().map(|error| error["parameter"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn bad_parameters_are_named_all_at_once() {
    let gateway = Gateway::without_servers().await;
    let bad = async |path: &str| parameters(&gateway.get(path).await.problem(400));
    for path in DOCUMENTS {
        assert_eq!(bad(&format!("{path}?from=2026-03-02&to=2026-03-01")).await, ["from"], "{path}");
        assert_eq!(bad(&format!("{path}?to=2026-02-29")).await, ["to"], "{path}");
        assert_eq!(bad(&format!("{path}?store=all")).await, ["store"], "{path}");
        assert_eq!(bad(&format!("{path}?to=%ff")).await, ["to"], "{path}");
        assert_eq!(bad(&format!("{path}?to=2026-03-01&to=2026-03-01")).await, ["to"], "{path}");
        let several = bad(&format!("{path}?from=tomorrow&to=2026-13-01&x=1&%ff=2")).await;
        assert_eq!(several, ["%ff", "from", "to", "x"], "{path}");
    }
    assert_eq!(bad("/v1/stores?stores=all").await, ["stores"]);
    assert_eq!(bad("/v1/metrics/stores?stores=all").await, ["stores"]);
    assert_eq!(bad("/v1/metrics/channels?channel=x").await, ["channel"]);
    assert_eq!(bad("/v1/metrics/overview?stores=").await, ["stores"]);
    assert_eq!(bad("/v1/metrics/overview?stores=%e9%97").await, ["stores"]);
    assert_eq!(bad("/v1/metrics/overview?channel=%ff").await, ["channel"]);
    assert_eq!(bad("/v1/metrics/trend?granularity=hour&from=x").await, ["from", "granularity"]);
    for limit in ["0", "201", "-1", "1.5", "", "99999999999999999999"] {
        assert_eq!(bad(&format!("/v1/metrics/products?limit={limit}")).await, ["limit"]);
    }
    assert_eq!(bad("/v1/metrics/stores?sort=name&order=up").await, ["order", "sort"]);
    assert_eq!(bad("/v1/stores/all/orders?cursor=x&limit=1001").await, ["cursor", "limit"]);
    assert_eq!(bad("/v1/stores/%ff/orders").await, ["id"]);
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let gateway = Gateway::without_servers().await;
    for path in [
        "/index.html",
        "/assets/",
        "/v1",
        "/v1/",
        "/v1/metric",
        "/v2/stores",
        "/v1/stores/",
        "/v1/stores/all",
        "/v1/stores//orders",
    ] {
        gateway.get(path).await.problem(404);
    }
    for path in DOCUMENTS.iter().filter(|path| !path.ends_with("/stores")) {
        for store in ["nobody", "ALL", "all ", "*"] {
            let problem = gateway.get(&format!("{path}?stores=all,{}", encoded(store))).await.problem(404);
            assert!(problem["detail"].as_str().unwrap().contains(store), "{problem}");
        }
    }
    gateway.get("/v1/stores/nobody/orders").await.problem(404);
}

#[tokio::test]
async fn limits_are_told() {
    let gateway = Gateway::without_servers().await;
    let many = |count: usize| {
        (0..count).map(|n| format!("store {n}")).map(|id| encoded(&id)).collect::<Vec<_>>().join(",")
    };
    let overview = "/v1/metrics/overview?stores=";
    let problem = gateway.get(&format!("{overview}{}", many(501))).await.problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("501"), "{problem}");
    // 500 are no more than may be named, and repeats do not count.
    gateway.get(&format!("{overview}{}", many(500))).await.problem(404);
    let repeated = vec!["all"; 600].join(",");
    gateway.ok(&format!("{overview}{repeated}")).await;
    for path in DOCUMENTS {
        let problem = gateway.get(&format!("{path}?from=2025-03-10&to={LAST_DAY}")).await.problem(422);
        assert!(problem["detail"].as_str().unwrap().contains("367"), "{problem}");
        gateway.ok(&format!("{path}?from=2025-03-11&to={LAST_DAY}")).await;
    }
    gateway.get("/v1/stores/all/orders?from=2020-01-01").await.problem(422);

    // A URL that a client library can send, and one that none would.
    let long = format!("{overview}{}", "x".repeat((64 << 10) - overview.len() + 1));
    let head = "Host: x\r\nConnection: close\r\n\r\n";
    for url in [long, format!("{overview}{}", "x".repeat(1 << 20))] {
        let answer = client::raw(&gateway.address, format!("GET {url} HTTP/1.1\r\n{head}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
        assert!(answer.contains("application/problem+json") && answer.contains("ask in parts"), "{answer}");
    }
    // Bytes that are no UTF-8, not even percent-encoded.
    let raw = [b"GET /v1/stores/\xff/orders?to=\xfe HTTP/1.1\r\n", head.as_bytes()].concat();
    let answer = client::raw(&gateway.address, &raw).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("percent-encode"), "{answer}");
    let header = format!("GET /v1/stores HTTP/1.1\r\nx-long: {}\r\n{head}", "x".repeat(2 << 20));
    let answer = client::raw(&gateway.address, header.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("max_header_bytes"), "{answer}");
    // It still answers.
    gateway.ok("/v1/stores").await;
}

#[tokio::test]
async fn methods_have_their_answers() {
    let gateway = Gateway::without_servers().await;
    for path in DOCUMENTS.iter().chain(&["/v1/stores", "/v1/stores/all/orders", "/livez", "/readyz"]) {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = client::send(method, &gateway.address, path, &[]).await;
            answer.problem(405);
            assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
        }
        let options = client::send(Method::OPTIONS, &gateway.address, path, &[]).await;
        assert_eq!((options.status.as_u16(), options.header("allow")), (204, "GET, HEAD, OPTIONS"));
        let (get, head) =
            (gateway.ok(path).await, client::send(Method::HEAD, &gateway.address, path, &[]).await);
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        for name in ["content-length", "content-type", "etag"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
        assert_eq!(head.header("content-length"), get.body.len().to_string());
    }
    client::send(Method::POST, &gateway.address, "/nowhere", &[]).await.problem(404);
}

#[tokio::test]
async fn odd_store_names_work_everywhere() {
    let gateway = Gateway::without_servers().await;
    let listed = gateway.ok("/v1/stores").await.json();
    let mut sorted = STORES.to_vec();
    sorted.sort_unstable();
    let ids: Vec<&str> = listed["data"]["stores"]
        .as_array()
        .unwrap()
        .iter()
        .map(|store| store["store_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, sorted);
    for store in STORES {
        for path in DOCUMENTS.iter().filter(|path| !path.ends_with("/stores")) {
            let answer = gateway.ok(&format!("{path}?stores={}", encoded(store))).await.json();
            assert_eq!(answer["meta"]["stores"].as_u64(), Some(1), "{path} {store}");
        }
        let overview = gateway.ok(&format!("/v1/metrics/overview?stores={}", encoded(store))).await.json();
        assert!(overview["data"]["current"]["orders"].as_u64().unwrap() > 0);
        let orders = gateway.ok(&format!("/v1/stores/{}/orders", encoded(store))).await.json();
        assert_eq!(orders["data"]["lines"][0]["store_id"], store);
    }
}

#[tokio::test]
async fn order_and_repeats_of_stores_have_no_meaning() {
    let gateway = Gateway::without_servers().await;
    let [a, b, c] = ["{x}", "门店:1", "all"].map(encoded);
    for path in DOCUMENTS.iter().filter(|path| !path.ends_with("/stores")) {
        let expected = gateway.ok(&format!("{path}?stores={a},{b},{c}")).await;
        for stores in [
            format!("stores={c},{b},{a}"),
            format!("stores={b}&stores={a}&stores={c}"),
            format!("stores={a},{a},{b},{c},{b}"),
        ] {
            let answer = gateway.ok(&format!("{path}?{stores}")).await;
            assert_eq!((&answer.body, answer.header("etag")), (&expected.body, expected.header("etag")));
        }
    }
}

#[tokio::test]
async fn a_range_without_data_has_zeros() {
    let gateway = Gateway::without_servers().await;
    for range in
        ["from=2024-02-29&to=2024-03-01", "from=2030-01-01&to=2030-01-02", "from=2024-02-29&to=2024-02-29"]
    {
        let data = async |path: &str| gateway.ok(&format!("{path}?{range}")).await.json()["data"].clone();
        let overview = data("/v1/metrics/overview").await;
        for window in ["current", "previous"] {
            let metrics = overview[window].as_object().unwrap();
            assert_eq!(metrics.len(), 21);
            assert!(metrics.values().all(|value| value.as_f64() == Some(0.0)), "{metrics:?}");
        }
        let trend = data("/v1/metrics/trend").await;
        assert!(!trend["buckets"].as_array().unwrap().is_empty());
        assert!(
            trend["buckets"].as_array().unwrap().iter().all(|bucket| bucket["orders"].as_u64() == Some(0))
        );
        assert_eq!(data("/v1/metrics/channels").await["channels"], serde_json::json!([]));
        assert_eq!(data("/v1/metrics/products").await["products"], serde_json::json!([]));
        let diagnosis = data("/v1/diagnosis").await;
        assert_eq!((&diagnosis["as_of"], &diagnosis["has_urgent"]), (&Value::Null, &Value::Bool(false)));
    }
}
