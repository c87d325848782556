//! Pages of other web sites: those of listed origins may ask, and no others.

use http::Method;

use crate::client::{self, Answer};
use crate::fixture::{self, Gateway, operator};

const ORIGIN: &str = "https://dash.example.com";
const OTHERS: [&str; 5] = [
    "https://evil.example.com",
    "http://dash.example.com",
    "https://dash.example.com.evil.example",
    "null",
    "",
];

async fn gateway() -> Gateway {
    let mut settings = fixture::settings();
    settings.access.tokens = vec![operator()];
    settings.access.cors_origins = vec!["http://localhost:3000".to_owned(), ORIGIN.to_owned()];
    Gateway::without_servers_as(settings).await
}

async fn preflight(gateway: &Gateway, path: &str, origin: &str, method: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", "authorization"),
    ];
    client::send(Method::OPTIONS, &gateway.address, path, &headers).await
}

fn of_cors(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.keys().map(http::HeaderName::as_str);
    names.filter(|name| name.starts_with("access-control-") || *name == "timing-allow-origin").collect()
}

fn varies(answer: &Answer, by: &str) -> bool {
    answer
        .headers
        .get_all("vary")
        .iter()
        .any(|value| value.to_str().unwrap().split(", ").any(|name| name == by))
}

#[tokio::test]
async fn browsers_are_told_what_pages_of_listed_origins_may_do() {
    let gateway = gateway().await;
    for (path, method, methods) in [
        ("/v1/metrics/overview", "GET", "GET, HEAD, OPTIONS"),
        ("/v1/stores/all/orders", "GET", "GET, HEAD, OPTIONS"),
        ("/v1/refresh", "POST", "OPTIONS, POST"),
    ] {
        let answer = preflight(&gateway, path, ORIGIN, method).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
        assert_eq!(answer.header("access-control-allow-methods"), methods);
        assert!(answer.header("access-control-allow-headers").contains("authorization"));
        assert!(answer.header("access-control-max-age").parse::<u32>().is_ok());
        // Tokens are sent by the page, never by the browser itself.
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        assert!(varies(&answer, "origin"));
        for other in OTHERS {
            let answer = preflight(&gateway, path, other, method).await;
            assert_eq!((answer.status.as_u16(), of_cors(&answer)), (204, vec![]), "{other}");
            assert!(varies(&answer, "origin"));
        }
    }
    assert_eq!(preflight(&gateway, "/nowhere", ORIGIN, "GET").await.status.as_u16(), 404);
}

#[tokio::test]
async fn pages_of_listed_origins_can_read_every_answer() {
    let gateway = gateway().await;
    for (path, token, status) in [
        ("/v1/metrics/overview", "operator", 200),
        ("/v1/metrics/overview", "wrong", 401),
        ("/v1/metrics/overview?x=1", "operator", 400),
        ("/nowhere", "operator", 404),
    ] {
        let authorization = format!("Bearer {token}");
        let ask = async |origin: &str| {
            gateway.get_with(path, &[("authorization", &authorization), ("origin", origin)]).await
        };
        let answer = ask(ORIGIN).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
        let exposed = answer.header("access-control-expose-headers");
        for name in ["age", "etag", "retry-after", "server-timing", "x-cache", "x-request-id"] {
            assert!(exposed.split(", ").any(|exposed| exposed == name), "{name} in {exposed}");
        }
        for other in OTHERS {
            let answer = ask(other).await;
            assert_eq!((answer.status.as_u16(), of_cors(&answer)), (status, vec![]), "{other}");
            assert!(varies(&answer, "origin") && varies(&answer, "authorization"));
        }
    }
}

#[tokio::test]
async fn without_origins_no_page_may_ask() {
    let gateway = Gateway::without_servers().await;
    for origin in OTHERS.iter().chain(&[ORIGIN]) {
        assert_eq!(of_cors(&preflight(&gateway, "/v1/stores", origin, "GET").await), Vec::<&str>::new());
        let answer = gateway.get_with("/v1/stores", &[("origin", origin)]).await;
        assert!(
            of_cors(&answer).is_empty() && !varies(&answer, "origin") && !varies(&answer, "authorization")
        );
    }
}
