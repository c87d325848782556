//! Single flight: what many ask at once is computed once.

use std::time::Duration;

use testkit::{PostgresServer, RedisServer, wait_until};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use crate::client;
use crate::fixture::{self, Gateway};

const LIMIT: Duration = Duration::from_secs(120);
const PATH: &str = "/v1/metrics/overview?stores=a_b";

/// A gateway that knows the stores, over an empty Redis and a database.
async fn cold() -> (RedisServer, String, Gateway) {
    let database = PostgresServer::shared().await.fresh_database().await;
    let redis = RedisServer::start().await;
    let levels = fixture::levels(fixture::redis(&redis.url()));
    let gateway = Gateway::start_near(fixture::postgres(&database).await, levels).await;
    gateway.ok("/v1/stores").await;
    (redis, database, gateway)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_askers_of_one_cold_question_cause_one_computation() {
    let (_redis, database, gateway) = cold().await;
    let counters = gateway.app().near().counters();
    let mut connection = testkit::postgres_client(&database).await;
    let lock = connection.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (flights, waits) = (counters.flights(), counters.flight_waits());
    let mut askers = JoinSet::new();
    for _ in 0..1000 {
        let address = gateway.address.clone();
        askers.spawn(async move { client::send(http::Method::GET, &address, PATH, &[]).await });
    }
    wait_until("all of them wait", LIMIT, async || {
        counters.flights() + counters.flight_waits() == flights + waits + 1000
    })
    .await;
    assert_eq!(counters.flights(), flights + 1);
    lock.commit().await.unwrap();
    let expected = askers.join_next().await.unwrap().unwrap();
    assert_eq!((expected.status.as_u16(), expected.header("x-cache")), (200, "source"));
    while let Some(answer) = askers.join_next().await {
        let answer = answer.unwrap();
        assert_eq!((&answer.body, answer.header("etag")), (&expected.body, expected.header("etag")));
    }
    // 16 of the 20 days have lines; each was read once.
    assert_eq!((counters.store_days(), counters.store_day_waits()), (16, 0));
    assert_eq!(gateway.app().open_flights(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_share_the_store_days_that_both_miss() {
    let (_redis, database, gateway) = cold().await;
    let counters = gateway.app().near().counters();
    let mut connection = testkit::postgres_client(&database).await;
    let lock = connection.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut askers = JoinSet::new();
    for path in [PATH, "/v1/metrics/channels?stores=a_b", "/v1/metrics/products?stores=a_b"] {
        let address = gateway.address.clone();
        askers.spawn(async move { client::send(http::Method::GET, &address, path, &[]).await });
    }
    wait_until("all of them wait", LIMIT, async || {
        counters.store_days() + counters.store_day_waits() == 3 * 16
    })
    .await;
    assert_eq!(counters.store_days(), 16);
    lock.commit().await.unwrap();
    while let Some(answer) = askers.join_next().await {
        assert_eq!(answer.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_does_not_cancel_it() {
    let (_redis, database, gateway) = cold().await;
    let counters = gateway.app().near().counters();
    let mut connection = testkit::postgres_client(&database).await;
    let lock = connection.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let flights = counters.flights();
    let mut stream = tokio::net::TcpStream::connect(&gateway.address).await.unwrap();
    stream.write_all(format!("GET {PATH} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    wait_until("it is under way", LIMIT, async || counters.flights() == flights + 1).await;
    drop(stream);
    // Another one joins what the first began.
    let address = gateway.address.clone();
    let waits = counters.flight_waits();
    let second = tokio::spawn(async move { client::send(http::Method::GET, &address, PATH, &[]).await });
    wait_until("the second waits", LIMIT, async || counters.flight_waits() == waits + 1).await;
    lock.commit().await.unwrap();
    assert_eq!(second.await.unwrap().status, 200);
    assert_eq!(counters.flights(), flights + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_fails_those_who_wait_and_is_not_kept() {
    let mut postgres = PostgresServer::start().await;
    let redis = RedisServer::start().await;
    let source = fixture::postgres(&postgres.fresh_database().await).await;
    let gateway = Gateway::start_near(source, fixture::levels(fixture::redis(&redis.url()))).await;
    gateway.ok("/v1/stores").await;
    postgres.stop();
    gateway.get(PATH).await.problem(503);
    let failed = gateway.app().near().counters().flights_failed();
    assert!(failed > 0);
    postgres.start_again().await;
    wait_until("the next asker tries again", LIMIT, async || gateway.get(PATH).await.status == 200).await;
}
