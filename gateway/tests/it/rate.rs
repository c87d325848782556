//! Limits of requests: of tokens, of addresses, and of nobody else.

use http::Method;

use crate::client;
use crate::fixture::{self, Gateway, operator, reader};

/// So slow that no test sees a second request fit.
const RATE: f64 = 0.001;
const BURST: u32 = 3;

#[track_caller]
fn is_told(answer: &client::Answer) {
    let problem = answer.problem(429);
    let seconds: u32 = answer.header("retry-after").parse().unwrap();
    assert!((1..=1000).contains(&seconds), "{seconds}");
    assert!(problem["detail"].as_str().unwrap().contains(&seconds.to_string()), "{problem}");
}

#[tokio::test]
async fn a_token_over_its_limit_waits_and_no_other_does() {
    let mut settings = fixture::settings();
    let mut limited = reader("limited", &["all"]);
    (limited.rate, limited.burst) = (RATE, BURST);
    let mut unlimited = operator();
    unlimited.rate = 0.0;
    settings.access.tokens = vec![limited, reader("other", &["all"]), unlimited];
    let gateway = Gateway::without_servers_as(settings).await;
    // Whatever they come to: answers, errors, and what is refused.
    gateway.get_as("limited", "/v1/stores").await;
    gateway.get_as("limited", "/v1/metrics/overview?stores=a_b").await.problem(403);
    gateway.get_as("limited", "/nowhere").await.problem(404);
    for path in ["/v1/stores", "/v1/metrics/overview", "/nowhere"] {
        is_told(&gateway.get_as("limited", path).await);
    }
    let headers = [("authorization", "Bearer limited")];
    is_told(&client::send(Method::POST, &gateway.address, "/v1/refresh", &headers).await);
    assert_eq!(gateway.refused().limited, 4);
    for token in ["other", "operator"] {
        for _ in 0..20 {
            assert_eq!(gateway.get_as(token, "/v1/stores").await.status.as_u16(), 200, "{token}");
        }
    }
    // Health has no limit.
    for _ in 0..20 {
        assert_eq!(gateway.get_as("limited", "/readyz").await.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn an_address_over_its_limit_waits_unless_it_has_a_token() {
    let mut settings = fixture::settings();
    settings.access.tokens = vec![operator()];
    (settings.access.address_rate, settings.access.address_burst) = (RATE, BURST);
    let gateway = Gateway::without_servers_as(settings).await;
    // Guessing a token costs as much as having none.
    gateway.get("/v1/stores").await.problem(401);
    gateway.get_as("guess-1", "/v1/stores").await.problem(401);
    gateway.get_as("guess-2", "/v1/stores").await.problem(401);
    is_told(&gateway.get_as("guess-3", "/v1/stores").await);
    is_told(&gateway.get("/v1/stores").await);
    assert_eq!(gateway.get_as("operator", "/v1/stores").await.status.as_u16(), 200);
    gateway.ok("/livez").await;
}

#[tokio::test]
async fn without_tokens_addresses_are_limited_if_it_is_set() {
    let mut settings = fixture::settings();
    (settings.access.address_rate, settings.access.address_burst) = (RATE, BURST);
    let gateway = Gateway::without_servers_as(settings).await;
    for _ in 0..BURST {
        gateway.ok("/v1/stores").await;
    }
    is_told(&gateway.get("/v1/stores").await);
    gateway.ok("/readyz").await;
    let open = Gateway::without_servers().await;
    for _ in 0..50 {
        open.ok("/v1/stores").await;
    }
}
