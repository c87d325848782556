//! Servers that are down, and a gateway that stops.

use std::time::Duration;

use testkit::{PostgresServer, RedisServer, wait_until};

use crate::fixture::{self, Gateway};

const LIMIT: Duration = Duration::from_secs(120);
const PATHS: [&str; 4] =
    ["/v1/metrics/overview", "/v1/metrics/products?stores=all", "/v1/diagnosis", "/v1/stores/a_b/orders"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_told_and_never_an_empty_answer() {
    let mut postgres = PostgresServer::start().await;
    let mut redis = RedisServer::start().await;
    let source = fixture::postgres(&postgres.fresh_database().await).await;
    let levels = fixture::levels(fixture::guarded_redis(&redis.url()));
    fixture::warm(&source, &levels).await;
    let gateway = Gateway::start(source.clone(), levels.clone()).await;
    let mut bodies = Vec::new();
    for path in PATHS {
        bodies.push(gateway.ok(path).await.body);
    }

    // Redis down: the source answers, the same.
    redis.stop();
    for (path, body) in PATHS.iter().zip(&bodies) {
        let answer = gateway.ok(path).await;
        assert_eq!((&answer.body, answer.header("x-cache")), (body, "source"), "{path}");
    }
    wait_until("readiness to tell of it", LIMIT, async || {
        let ready = gateway.get("/readyz").await;
        ready.status == 200 && ready.text().contains("the cache does not answer")
    })
    .await;

    // Both down, for a gateway that knows the stores and for one that has just started.
    postgres.stop();
    let fresh = Gateway::start(source.clone(), levels.clone()).await;
    for gateway in [&gateway, &fresh] {
        for path in PATHS {
            let answer = gateway.get(path).await;
            let problem = answer.problem(503);
            assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
            assert!(problem.get("data").is_none());
            // Nothing of the inside.
            assert!(!answer.text().contains("127.0.0.1") && !answer.text().contains("refused"), "{problem}");
        }
        assert_eq!(gateway.get("/livez").await.status, 200);
    }
    fresh.get("/v1/stores").await.problem(503);
    // What is wrong with a request is told all the same.
    fresh.get("/v1/metrics/overview?from=x").await.problem(400);

    // Up again, warmed again; then PostgreSQL down only: what is warm is answered.
    postgres.start_again().await;
    redis.start_again().await;
    wait_until("the source to be read again", LIMIT, async || {
        gateway.get(PATHS[0]).await.status == 200 && fresh.get(PATHS[0]).await.status == 200
    })
    .await;
    wait_until("redis to be written again", LIMIT, async || {
        levels.cache().transact(Vec::new()).await.is_ok()
    })
    .await;
    fixture::warm(&source, &levels).await;
    postgres.stop();
    wait_until("redis to be read again", LIMIT, async || {
        gateway.get(PATHS[0]).await.header("x-cache") == "l3"
    })
    .await;
    for (path, body) in PATHS.iter().zip(&bodies).take(3) {
        // Each thread that serves finds with its first read that its connection to Redis broke.
        let mut answer = gateway.get(path).await;
        wait_until("every connection to be made again", LIMIT, async || {
            if answer.status != 200 {
                answer = gateway.get(path).await;
            }
            answer.status == 200
        })
        .await;
        assert_eq!(&answer.body, body, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_what_is_in_flight() {
    let database = PostgresServer::shared().await.fresh_database().await;
    let source = fixture::postgres(&database).await;
    let mut gateway = Gateway::start(source, fixture::levels(fixture::memory())).await;
    let expected = gateway.ok("/v1/metrics/overview").await.body;

    // A lock on the table holds the request where it is until the lock goes.
    let mut client = testkit::postgres_client(&database).await;
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let address = gateway.address.clone();
    let in_flight = tokio::spawn(async move {
        crate::client::send(http::Method::GET, &address, "/v1/metrics/overview", &[]).await
    });
    wait_until("the request to wait for the lock", LIMIT, async || {
        let waiting = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                       WHERE NOT l.granted AND d.datname = current_database()";
        lock.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0
    })
    .await;

    gateway.ask_to_stop();
    wait_until("the listener to close", LIMIT, async || {
        tokio::net::TcpStream::connect(&gateway.address).await.is_err()
    })
    .await;
    assert!(!in_flight.is_finished());
    lock.commit().await.unwrap();
    let answer = in_flight.await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body), (200, &expected));
    gateway.stopped().await;
}
