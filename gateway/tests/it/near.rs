//! The near cache: the same bytes as from everywhere else, and nothing old after a change.

use std::time::Duration;

use gateway::AccessLog;
use shared::cache::levels::Stamp;
use shared::cache::{Levels, StoredAnswer, Write};
use shared::config::Settings;
use shared::model::{Ask, DataVersion, Directory, Document};
use shared::source::Source;
use testkit::{ChaosProxy, PostgresServer, RedisServer, wait_until};

use crate::client::{self, Answer, encoded};
use crate::fixture::{self, Gateway};

const LIMIT: Duration = Duration::from_secs(60);
const OF_A_B: &str = "/v1/metrics/overview?stores=a_b";
const OF_SLASH: &str = "/v1/metrics/overview?stores=a%2Fb";
const OF_ALL: &str = "/v1/metrics/overview";

/// Redis with everything warm, over files.
async fn warm_redis() -> (RedisServer, Source, Levels) {
    let redis = RedisServer::start().await;
    let (source, levels) = (fixture::files().await, fixture::levels(fixture::redis(&redis.url())));
    fixture::warm(&source, &levels).await;
    (redis, source, levels)
}

/// Asks until the answer comes from near, and gives it.
async fn from_near(gateway: &Gateway, path: &str) -> Answer {
    let mut last = gateway.ok(path).await;
    wait_until(&format!("{path} is near"), LIMIT, async || {
        last = gateway.ok(path).await;
        last.header("x-cache") == "near"
    })
    .await;
    last
}

async fn outcome(gateway: &Gateway, path: &str) -> String {
    gateway.ok(path).await.header("x-cache").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_near_is_what_every_rung_gives() {
    let (_redis, source, levels) = warm_redis().await;
    let far = Gateway::start(source.clone(), levels.clone()).await;
    let near = Gateway::start_near(source, levels).await;
    let all = encoded("门店:1");
    for path in [
        "/v1/stores".to_owned(),
        OF_ALL.to_owned(),
        format!("/v1/metrics/trend?stores={all}&granularity=week"),
        "/v1/metrics/channels?from=2026-03-01".to_owned(),
        "/v1/metrics/stores?sort=profit".to_owned(),
        format!("/v1/metrics/products?stores={all}&sort=loss"),
        "/v1/diagnosis".to_owned(),
        format!("/v1/diagnosis?stores={all}&from=2026-03-01"),
        "/v1/stores/a_b/orders?limit=50&from=2026-03-01".to_owned(),
    ] {
        for accept in ["application/json", "application/msgpack", "text/csv"] {
            for encoding in ["identity", "gzip"] {
                let headers = [("accept", accept), ("accept-encoding", encoding)];
                let there = far.get_with(&path, &headers).await;
                let place = format!("{path} {accept} {encoding}");
                if there.status == 406 {
                    near.get_with(&path, &headers).await.problem(406);
                    continue;
                }
                let first = near.get_with(&path, &headers).await;
                let mut here = near.get_with(&path, &headers).await;
                wait_until(&format!("{place} is near"), LIMIT, async || {
                    here = near.get_with(&path, &headers).await;
                    here.header("x-cache") == "near"
                })
                .await;
                for answer in [&first, &here] {
                    assert_eq!(answer.body, there.body, "{place}");
                    let mut same = vec!["etag", "content-type", "content-encoding", "vary", "last-modified"];
                    if first.header("x-cache") != "l3" {
                        // When it was computed.
                        same.pop();
                    }
                    for name in same {
                        assert_eq!(answer.header(name), there.header(name), "{place} {name}");
                    }
                }
                assert_eq!(here.header("last-modified"), first.header("last-modified"));
                let known = [headers[0], headers[1], ("if-none-match", here.header("etag"))];
                let unchanged = near.get_with(&path, &known).await;
                assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0), "{place}");
                assert_eq!(unchanged.header("etag"), here.header("etag"));
            }
        }
    }
}

/// Writes another document of a question, as a warmer that found a change.
async fn rewrite(levels: &Levels, path_stores: Option<&[&str]>, mark: &str, bump: &[String]) {
    let directory = levels.read_directory().await.hit().unwrap();
    let stores = path_stores.map(|stores| stores.iter().map(ToString::to_string).collect());
    let query = Ask { stores, ..Ask::default_for(Document::Overview) }.resolve(&directory).unwrap();
    let now = shared::runtime::now_ms();
    let stamp = Stamp { now, as_of: query.as_of, version: DataVersion::of(mark.as_bytes()) };
    let answer = StoredAnswer { json: format!("{{\"mark\":\"{mark}\"}}") };
    let mut writes = vec![levels.write_answer(&query, &answer, &stamp).unwrap()];
    writes.extend(bump.iter().map(|key| Write::Bump { key: key.clone() }));
    if bump.is_empty() {
        writes.push(Write::Bump { key: levels.keys().answer_version(&query.canonical()) });
    }
    levels.cache().transact(writes).await.unwrap();
}

async fn shows(gateways: &[&Gateway], path: &str, mark: &str) {
    for gateway in gateways {
        wait_until(&format!("{path} shows {mark}"), LIMIT, async || {
            gateway.ok(path).await.text().contains(mark)
        })
        .await;
    }
}

async fn changes_show(source: Source, levels: Levels) {
    let first = Gateway::start_near(source.clone(), levels.clone()).await;
    let second = Gateway::start_near(source, levels.clone()).await;
    let both = [&first, &second];
    for gateway in both {
        for path in [OF_A_B, OF_SLASH, OF_ALL, "/v1/stores"] {
            from_near(gateway, path).await;
        }
    }
    let keys = levels.keys();
    // A change of a store: what is made of it goes, the rest stays.
    rewrite(&levels, Some(&["a_b"]), "one", &[keys.store_version("a_b")]).await;
    shows(&both, OF_A_B, "one").await;
    for gateway in both {
        assert_eq!(outcome(gateway, OF_SLASH).await, "near");
        assert_ne!(outcome(gateway, OF_ALL).await, "near", "of all stores");
        from_near(gateway, OF_A_B).await;
    }
    // A document made again, later than the change.
    rewrite(&levels, Some(&["a_b"]), "two", &[]).await;
    shows(&both, OF_A_B, "two").await;
    // A batch over all stores.
    from_near(&first, OF_ALL).await;
    rewrite(&levels, None, "three", &[keys.fleet_version()]).await;
    shows(&both, OF_ALL, "three").await;
    // A new directory.
    let directory = levels.read_directory().await.hit().unwrap();
    let mut stores = directory.stores().to_vec();
    stores[1].name = "renamed".to_owned();
    let writes = levels.write_directory(&Directory::new(stores), shared::runtime::now_ms()).unwrap();
    levels.cache().transact(writes).await.unwrap();
    shows(&both, "/v1/stores", "renamed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_shows_on_every_gateway() {
    let (_redis, source, levels) = warm_redis().await;
    changes_show(source, levels).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_warmer_found_changed_shows_on_every_gateway() {
    let database = PostgresServer::shared().await.fresh_database().await;
    let redis = RedisServer::start().await;
    let (source, levels) =
        (fixture::postgres(&database).await, fixture::levels(fixture::redis(&redis.url())));
    fixture::warm(&source, &levels).await;
    let first = Gateway::start_near(source.clone(), levels.clone()).await;
    let second = Gateway::start_near(source.clone(), levels.clone()).await;
    let paths = [OF_A_B, OF_SLASH, OF_ALL, "/v1/stores", "/v1/diagnosis?stores=a_b", "/v1/stores/a_b/orders"];
    let mut before = Vec::new();
    for path in paths {
        before.push(from_near(&first, path).await.body);
        from_near(&second, path).await;
    }
    // The last two days of a store go, so its default range moves.
    let client = testkit::postgres_client(&database).await;
    let gone = "DELETE FROM orders WHERE store_id = 'a_b' AND ordered_at >= '2026-03-10'";
    assert!(client.execute(gone, &[]).await.unwrap() > 0);
    fixture::warm(&source, &levels).await;
    let far = Gateway::start(source, levels).await;
    for (path, before) in paths.iter().zip(before) {
        let now = far.ok(path).await.body;
        assert_eq!(now == before, *path == OF_SLASH, "{path}");
        for gateway in [&first, &second] {
            wait_until(path, LIMIT, async || gateway.ok(path).await.body == now).await;
            assert_eq!(from_near(gateway, path).await.body, now, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_in_this_process_shows_too() {
    let (source, levels) = (fixture::files().await, fixture::levels(fixture::memory()));
    fixture::warm(&source, &levels).await;
    changes_show(source, levels).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_cache_and_a_lost_connection_drop_everything() {
    let (redis, source, levels) = warm_redis().await;
    let gateway = Gateway::start_near(source.clone(), levels.clone()).await;
    let counters = gateway.app().near().counters();
    let body = from_near(&gateway, OF_A_B).await.body;
    redis.flush_all().await;
    wait_until("the emptying is told", LIMIT, async || counters.dropped_by_emptying() == 1).await;
    assert_eq!(gateway.app().near().size(), (0, 0));
    let answer = gateway.ok(OF_A_B).await;
    assert_eq!((answer.header("x-cache"), &answer.body), ("source", &body));

    fixture::warm(&source, &levels).await;
    from_near(&gateway, OF_A_B).await;
    let killed = counters.dropped_by_disconnection();
    client::raw_command(&redis.address(), b"CLIENT KILL TYPE normal\r\n").await;
    wait_until("the loss is seen", LIMIT, async || counters.dropped_by_disconnection() > killed).await;
    // It comes back by itself, and what was kept before is not used.
    gateway.is_told().await;
    assert_eq!(from_near(&gateway, OF_A_B).await.body, body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_died_silently_is_found() {
    let (redis, source, levels) = warm_redis().await;
    let proxy = ChaosProxy::start(redis.address()).await;
    let behind = fixture::levels(fixture::redis(&format!("redis://{}/", proxy.address())));
    let mut settings = fixture::settings();
    settings.near.enabled = true;
    settings.near.keepalive = Duration::from_millis(100);
    let gateway = Gateway::start_as(source, behind, AccessLog::off(), settings).await;
    gateway.is_told().await;
    from_near(&gateway, OF_A_B).await;
    proxy.silence();
    wait_until("silence is noticed", LIMIT, async || !gateway.app().near().is_connected()).await;
    assert_eq!(gateway.app().near().size(), (0, 0));
    // A change that nobody was told of.
    rewrite(&levels, Some(&["a_b"]), "unheard", &[levels.keys().store_version("a_b")]).await;
    proxy.restore();
    shows(&[&gateway], OF_A_B, "unheard").await;
    gateway.is_told().await;
    assert!(from_near(&gateway, OF_A_B).await.text().contains("unheard"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_that_raced_a_change_is_not_kept_nor_joined() {
    let database = PostgresServer::shared().await.fresh_database().await;
    let redis = RedisServer::start().await;
    let levels = fixture::levels(fixture::redis(&redis.url()));
    let gateway = Gateway::start_near(fixture::postgres(&database).await, levels.clone()).await;
    let counters = gateway.app().near().counters();
    gateway.ok("/v1/stores").await;
    let mut client = testkit::postgres_client(&database).await;
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (before, address) = (counters.flights(), gateway.address.clone());
    let ask = move || {
        let address = address.clone();
        tokio::spawn(async move { client::send(http::Method::GET, &address, OF_A_B, &[]).await })
    };
    let first = ask();
    wait_until("it reads", LIMIT, async || counters.flights() == before + 1).await;
    let key = levels.keys().store_version("a_b");
    let told = counters.changes();
    levels.cache().transact(vec![Write::Bump { key }]).await.unwrap();
    wait_until("the change is told", LIMIT, async || counters.changes() > told).await;
    let second = ask();
    wait_until("the second asks anew", LIMIT, async || counters.flights() == before + 2).await;
    lock.commit().await.unwrap();
    assert_eq!(first.await.unwrap().body, second.await.unwrap().body);
    assert!(counters.fills_thrown_away() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_bytes_are_bounded() {
    let (_redis, source, levels) = warm_redis().await;
    let settings = || -> Settings {
        let mut settings = fixture::settings();
        settings.near.enabled = true;
        settings.near.bytes = 256 << 10;
        settings
    };
    let limit = settings().near.bytes;
    let gateway = Gateway::start_as(source, levels, AccessLog::off(), settings()).await;
    gateway.is_told().await;
    let counters = gateway.app().near().counters();
    for day in 1..=11 {
        for limit in 1..=15 {
            gateway.ok(&format!("/v1/metrics/products?limit={limit}&to=2026-03-{day:02}")).await;
        }
    }
    let (bytes, entries) = gateway.app().near().size();
    assert!(bytes <= limit && entries > 0, "{bytes} bytes of {entries}");
    assert!(counters.dropped_for_room() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_past_its_soft_expiry_is_marked_and_looked_up_again() {
    let (source, levels) = (fixture::files().await, fixture::levels(fixture::memory()));
    fixture::warm(&source, &levels).await;
    let mut ttl = *levels.ttl();
    ttl.answers = Duration::from_millis(1);
    let (settings, keys) = (fixture::settings(), levels.keys().clone());
    let aged =
        Levels::new(levels.cache().clone(), keys, settings.rules.fingerprint(), ttl, settings.max_inflated);
    let gateway = Gateway::start_near(source, aged).await;
    let counters = gateway.app().near().counters();
    wait_until("it is near for a moment", LIMIT, async || outcome(&gateway, OF_ALL).await == "near; stale")
        .await;
    // Much sooner than near.max_age.
    wait_until("it is looked up again", LIMIT, async || {
        outcome(&gateway, OF_ALL).await;
        counters.expired() > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cells_are_composed_from_near_and_from_l1() {
    let (_redis, source, levels) = warm_redis().await;
    let gateway = Gateway::start_near(source.clone(), levels.clone()).await;
    let counters = gateway.app().near().counters();
    let range = "from=2026-03-01&to=2026-03-05";
    gateway.ok(&format!("/v1/metrics/channels?stores=a_b,all&{range}")).await;
    let (hits, misses) = (counters.cell_hits(), counters.cell_misses());
    // Another question of the same cells; one of a day more needs that day only.
    gateway.ok(&format!("/v1/metrics/trend?stores=a_b,all&{range}")).await;
    assert_eq!((counters.cell_hits(), counters.cell_misses()), (hits + 10, misses));
    gateway.ok("/v1/metrics/trend?stores=a_b,all&from=2026-03-01&to=2026-03-06").await;
    assert_eq!((counters.cell_hits(), counters.cell_misses()), (hits + 20, misses + 2));

    // Without cells, the lines of L1 are enough where they are; the largest store has them.
    let far = Gateway::start(source, levels.clone()).await;
    let paths = [OF_SLASH, "/v1/metrics/products?stores=a%2Fb", "/v1/diagnosis?stores=a%2Fb&from=2026-03-01"];
    let mut composed = Vec::new();
    for path in paths {
        let answer = far.ok(path).await;
        assert_eq!(answer.header("x-cache"), "l2-compose", "{path}");
        composed.push(answer);
    }
    let cells = [levels.keys().day_cells("a/b"), levels.keys().product_cells("a/b")];
    levels.cache().transact(cells.map(|key| Write::Delete { key }).into()).await.unwrap();
    for (path, expected) in paths.iter().zip(composed) {
        let answer = far.ok(path).await;
        assert_eq!(answer.header("x-cache"), "l1", "{path}");
        assert_eq!(
            (&answer.body, answer.header("etag")),
            (&expected.body, expected.header("etag")),
            "{path}"
        );
    }
}
