//! What a gateway tells of itself.

use std::time::Duration;

use gateway::admin::Pages;
use gateway::status::Status;
use shared::runtime::Heartbeat;
use shared::runtime::admin::AdminPages as _;
use testkit::{PostgresServer, RedisServer, wait_until};
use tokio::runtime::Handle;

use crate::fixture::{self, Gateway};

const REFERENCE: &str = include_str!("../../../docs/gateway-service.md");
const PREFIX: &str = "hotshelf_gateway_";

/// The value of a sample, by its name and labels as written.
fn value(text: &str, sample: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{PREFIX}{sample} ")));
    line.unwrap_or_else(|| panic!("{sample} is missing in\n{text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_count_what_was_asked_and_all_are_documented() {
    let database = PostgresServer::shared().await.fresh_database().await;
    let redis = RedisServer::start().await;
    let source = fixture::postgres(&database).await;
    fixture::warm(&source, &fixture::levels(fixture::redis(&redis.url()))).await;
    let levels = fixture::levels(fixture::guarded_redis(&redis.url()));
    let gateway = Gateway::start(fixture::guarded_postgres(&database, 3, 4), levels).await;
    for _ in 0..2 {
        gateway.ok("/v1/metrics/overview").await;
    }
    gateway.get("/v1/metrics/overview?from=x").await.problem(400);
    gateway.get("/nowhere").await.problem(404);
    gateway.ok("/readyz").await;

    let pages = Pages::new(gateway.front.clone(), Heartbeat::default(), Handle::current());
    let found = || pages.metrics().contains("gateway_redis_up 1\n");
    wait_until("the monitor finds redis", Duration::from_secs(60), async || found()).await;
    let text = pages.metrics();
    let overview = "route=\"overview\"";
    assert_eq!(value(&text, &format!("requests_total{{{overview},status=\"2xx\",outcome=\"l3\"}}")), 2.0);
    assert_eq!(value(&text, &format!("requests_total{{{overview},status=\"4xx\",outcome=\"none\"}}")), 1.0);
    assert_eq!(value(&text, "requests_total{route=\"other\",status=\"4xx\",outcome=\"none\"}"), 1.0);
    assert_eq!(value(&text, &format!("request_duration_seconds_count{{{overview}}}")), 3.0);
    assert_eq!(value(&text, &format!("request_duration_seconds_bucket{{{overview},le=\"+Inf\"}}")), 3.0);
    assert_eq!(value(&text, "requests_in_flight"), 0.0);
    assert_eq!(value(&text, "connections_accepted_total"), 5.0);
    assert_eq!(value(&text, "redis_breaker{state=\"closed\"}"), 1.0);
    assert!(value(&text, "redis_reads_total{result=\"hit\"}") >= 2.0);
    assert_eq!(value(&text, "postgres_connections_limit"), 3.0);
    assert_eq!(value(&text, "ready"), 1.0);

    let status = Status::of(&gateway.front);
    assert_eq!((status.requests.total, status.requests.failed, status.ready), (5, 0, true));
    let json: serde_json::Value = serde_json::from_str(&pages.status()).unwrap();
    assert_eq!(json["redis"]["breaker"]["state"], "closed");
    assert_eq!(json["redis"]["monitor"]["state"], "online");
    assert_eq!(pages.ready().as_deref(), Ok("ready"));
    assert_eq!(pages.live().as_deref(), Ok("alive"));

    for line in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, help) = line.split_once(' ').unwrap();
        let name = name.strip_prefix(PREFIX).unwrap();
        let row = REFERENCE.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} is missing in docs/gateway-service.md: {help}"));
        assert!(row.contains(help), "{row} does not say: {help}");
    }
    for row in REFERENCE.lines().filter_map(|line| line.strip_prefix("| `")) {
        let name = row.split('`').next().unwrap();
        let exists = name.starts_with('/') || text.contains(&format!("# TYPE {PREFIX}{name} "));
        assert!(exists, "docs/gateway-service.md names {name}, which there is none of");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_over_memory_and_files_has_no_servers_to_tell_of() {
    let gateway = Gateway::without_servers().await;
    gateway.ok("/v1/metrics/overview").await;
    let status = Status::of(&gateway.front);
    assert!(status.ready && status.redis.is_none() && status.postgres.is_none());
    assert!(status.compute.is_some_and(|compute| compute.capacity == 64));
}
