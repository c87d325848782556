//! Redis and PostgreSQL that hang, break or are full: what it costs is paid once, and they are used again when they are
//! back.

use std::time::Duration;

use shared::breaker::BreakerStatus;
use shared::cache::Levels;
use shared::source::Source;
use testkit::{ChaosProxy, PostgresServer, RedisServer, wait_until};
use tokio::task::JoinSet;

use crate::client;
use crate::fixture::{self, Gateway, STORES};

const LIMIT: Duration = Duration::from_secs(120);
const PATH: &str = "/v1/metrics/overview";

fn redis_breaker(levels: &Levels) -> BreakerStatus {
    levels.cache().health().and_then(|health| health.breaker).unwrap()
}

fn postgres_breaker(source: &Source) -> BreakerStatus {
    source.health().and_then(|health| health.breaker).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_hangs_is_left_alone_until_it_answers() {
    let database = PostgresServer::shared().await.fresh_database().await;
    let redis = RedisServer::start().await;
    let proxy = ChaosProxy::start(redis.address()).await;
    let source = fixture::postgres(&database).await;
    fixture::warm(&source, &fixture::levels(fixture::redis(&redis.url()))).await;
    let levels = fixture::levels(fixture::guarded_redis(&format!("redis://{}/", proxy.address())));
    let gateway = Gateway::start(source, levels.clone()).await;
    let warm = gateway.ok(PATH).await;
    assert_eq!(warm.header("x-cache"), "l3");

    proxy.silence();
    // The PINGs alone find out; a bulk read that hangs is given up then, long before its own time limit.
    wait_until("the breaker to open", LIMIT, async || redis_breaker(&levels).state != "closed").await;
    for _ in 0..20 {
        assert_eq!(gateway.ok(PATH).await.body, warm.body);
    }
    let breaker = redis_breaker(&levels);
    assert!(breaker.rejected >= 20 && breaker.opened == 1, "{breaker:?}");
    assert!(breaker.last_error.is_some());
    let ready = gateway.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains("warning: the cache does not answer"), "{}", ready.text());

    proxy.restore();
    wait_until("redis to be read again", LIMIT, async || gateway.ok(PATH).await.header("x-cache") == "l3")
        .await;
    wait_until("the breaker to close", LIMIT, async || redis_breaker(&levels).state == "closed").await;
    assert_eq!(gateway.ok(PATH).await.body, warm.body);
    assert_eq!(gateway.get("/readyz").await.text(), "ready\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_read_is_given_up_when_the_breaker_opens() {
    let redis = RedisServer::start().await;
    let proxy = ChaosProxy::start(redis.address()).await;
    let levels = fixture::levels(fixture::guarded_redis(&format!("redis://{}/", proxy.address())));
    wait_until("a first sign of life", LIMIT, async || redis_breaker(&levels).probes > 0).await;
    proxy.silence();
    // The fixture's limit of a bulk read is 10 s: this one ends with the breaker, before it.
    assert!(matches!(levels.read_directory().await, shared::cache::Read::Unavailable));
    assert_ne!(redis_breaker(&levels).state, "closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_database_is_asked_by_probes_only() {
    let server = PostgresServer::shared().await;
    let database = server.fresh_database().await;
    fixture::postgres(&database).await;
    let proxy = ChaosProxy::start(format!("127.0.0.1:{}", server.port())).await;
    let through = database.replace(&format!(":{}/", server.port()), &format!(":{}/", proxy.port()));
    let source = fixture::guarded_postgres(&through, 2, 4);
    let gateway = Gateway::start(source.clone(), fixture::levels(fixture::memory())).await;
    let expected = gateway.ok(PATH).await.body;

    for silent in [false, true] {
        if silent {
            proxy.silence();
        } else {
            proxy.break_off();
        }
        wait_until("the breaker to open", LIMIT, async || !postgres_breaker(&source).admits).await;
        let before = postgres_breaker(&source).rejected;
        for _ in 0..10 {
            let answer = gateway.get(PATH).await;
            answer.problem(503);
            assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
        }
        assert!(postgres_breaker(&source).rejected >= before + 10);
        let ready = gateway.get("/readyz").await;
        assert!(
            ready.status == 200 && ready.text().contains("the source does not answer"),
            "{}",
            ready.text()
        );
        // A silent proxy does not hear of connections that were closed, so it cannot be asked how many there are.
        let health = source.health().unwrap();
        assert!(health.connections <= 2, "{health:?}");

        proxy.restore();
        wait_until("the database to be asked again", LIMIT, async || gateway.get(PATH).await.status == 200)
            .await;
        wait_until("the breaker to close", LIMIT, async || postgres_breaker(&source).state == "closed").await;
        assert_eq!(gateway.ok(PATH).await.body, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_and_database_it_is_alive_but_not_ready() {
    let mut postgres = PostgresServer::start().await;
    let mut redis = RedisServer::start().await;
    let database = postgres.fresh_database().await;
    fixture::postgres(&database).await;
    let source = fixture::guarded_postgres(&database, 2, 4);
    let levels = fixture::levels(fixture::guarded_redis(&redis.url()));
    let gateway = Gateway::start(source.clone(), levels.clone()).await;
    let expected = gateway.ok(PATH).await.body;
    postgres.stop();
    redis.stop();
    wait_until("readiness to end", LIMIT, async || gateway.get("/readyz").await.status == 503).await;
    let ready = gateway.get("/readyz").await;
    assert!(
        ready.text().starts_with("not ready: neither the cache nor the source answers"),
        "{}",
        ready.text()
    );
    assert_eq!(gateway.get("/livez").await.status, 200);
    gateway.get(PATH).await.problem(503);
    postgres.start_again().await;
    redis.start_again().await;
    wait_until("readiness to come back", LIMIT, async || gateway.get("/readyz").await.text() == "ready\n")
        .await;
    wait_until("answers to come back", LIMIT, async || gateway.get(PATH).await.status == 200).await;
    assert_eq!(gateway.ok(PATH).await.body, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_before_a_slow_database_is_turned_away() {
    let database = PostgresServer::shared().await.fresh_database().await;
    fixture::postgres(&database).await;
    let source = fixture::guarded_postgres(&database, 2, 1);
    let gateway = Gateway::start(source.clone(), fixture::levels(fixture::memory())).await;
    gateway.ok("/v1/stores").await;
    let mut client = testkit::postgres_client(&database).await;
    let observer = testkit::postgres_client(&database).await;
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();

    let mut asked = JoinSet::new();
    for store in STORES {
        let address = gateway.address.clone();
        asked.spawn(async move {
            let path = format!("{PATH}?stores={}", client::encoded(store));
            client::send(http::Method::GET, &address, &path, &[]).await
        });
    }
    // Two have a connection and one waits; the others hear at once that there are too many.
    for _ in 3..STORES.len() {
        let answer = asked.join_next().await.unwrap().unwrap();
        assert!(answer.problem(503)["detail"].as_str().unwrap().contains("busy"));
        assert_eq!(answer.header("retry-after"), "2");
    }
    let count = "SELECT count(*) FROM pg_stat_activity \
                 WHERE application_name = 'hotshelf' AND datname = current_database()";
    assert!(observer.query_one(count, &[]).await.unwrap().get::<_, i64>(0) <= 2);
    let health = source.health().unwrap();
    assert!(health.errors.contains(&("busy", STORES.len() as u64 - 3)), "{health:?}");
    assert_eq!(health.breaker.unwrap().state, "closed", "a busy database is not down");
    lock.commit().await.unwrap();
    while let Some(answer) = asked.join_next().await {
        assert_eq!(answer.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_free_connection_is_busy_and_not_down() {
    let server = PostgresServer::shared().await;
    let database = server.fresh_database().await;
    fixture::postgres(&database).await;
    server
        .execute("postgres", "CREATE ROLE few_connections LOGIN CONNECTION LIMIT 0 IN ROLE hotshelf_reader")
        .await;
    let source = fixture::guarded_postgres(&database.replace("postgres@", "few_connections@"), 2, 1);
    let gateway = Gateway::start(source, fixture::levels(fixture::memory())).await;
    wait_until("an answer that it is busy", LIMIT, async || {
        let answer = gateway.get(PATH).await;
        answer.problem(503)["detail"].as_str().unwrap().contains("busy")
    })
    .await;
    server.execute("postgres", "ALTER ROLE few_connections CONNECTION LIMIT 5").await;
    wait_until("an answer", LIMIT, async || gateway.get(PATH).await.status == 200).await;
}
