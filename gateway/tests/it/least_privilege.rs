//! A gateway with the rights that docs/least-privilege.md grants, and no others: the whole ladder works, and nothing
//! can be written.

use bytes::Bytes;
use shared::cache::{AclRole, Cache, Levels, Patience, Read, ServerVersion, Write, acl_rules};
use shared::keys::{DEFAULT_PREFIX, Keys, Slot};
use shared::source::Source;
use testkit::{PostgresServer, RedisServer, wait_until};

use crate::fixture::{self, Gateway};

const DOCUMENT: &str = include_str!("../../../docs/least-privilege.md");

/// The line of the document that begins with these words.
fn documented(begin: &str) -> &'static str {
    let mut lines = DOCUMENT.lines().filter(|line| line.starts_with(begin));
    let line = lines.next().unwrap_or_else(|| panic!("docs/least-privilege.md has no line {begin} …"));
    assert!(lines.next().is_none(), "more than one line {begin} …");
    line
}

fn levels(cache: Cache) -> Levels {
    let settings = fixture::settings();
    let fingerprint = settings.rules.fingerprint();
    Levels::new(cache, Keys::new(DEFAULT_PREFIX), fingerprint, settings.ttl, settings.max_inflated)
}

#[test]
fn the_document_shows_what_setup_sets() {
    for (role, name) in [(AclRole::Warmer, "hotshelf_warmer"), (AclRole::Gateway, "hotshelf_gateway")] {
        let rules = acl_rules(role, DEFAULT_PREFIX, ServerVersion(7, 0, 0)).join(" ");
        let begin = format!("ACL SETUSER {name} ");
        assert_eq!(documented(&begin), format!("{begin}reset on >A-LONG-PASSWORD {rules}"));
    }
}

fn guarded_source(url: &str) -> Source {
    fixture::guarded_postgres(url, 2, 4)
}

/// The near cache follows, by its own connection.
async fn is_told_of_changes(source: Source, theirs: Levels, mine: &Levels) {
    let gateway = Gateway::start_near(source, theirs).await;
    let path = "/v1/metrics/overview?stores=a_b";
    let limit = std::time::Duration::from_secs(60);
    let rung = async || gateway.ok(path).await.header("x-cache").to_owned();
    wait_until("it is near", limit, async || rung().await == "near").await;
    mine.cache().transact(vec![Write::Bump { key: mine.keys().store_version("a_b") }]).await.unwrap();
    wait_until("it is not near", limit, async || rung().await != "near").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rights_are_enough_and_no_more() {
    let redis = RedisServer::start().await;
    let server = PostgresServer::shared().await;
    let database = server.fresh_database().await;
    let owner = fixture::postgres(&database).await;
    let mine = levels(fixture::redis(&redis.url()));
    fixture::warm(&owner, &mine).await;

    let user = documented("ACL SETUSER hotshelf_gateway ").replace("A-LONG-PASSWORD", "secret");
    assert_eq!(redis.says(&[&user]).await, ["+OK"]);
    let (name, name_in_test) = ("hotshelf_gateway ", "least_privilege_1 ");
    server.execute("postgres", &documented("CREATE ROLE ").replace(name, name_in_test)).await;
    let as_user = database.replace("postgres@", &format!("{}@", name_in_test.trim()));
    let url = format!("redis://hotshelf_gateway:secret@{}/", redis.address());
    let theirs = levels(fixture::guarded_redis(&url));
    let gateway = Gateway::start(guarded_source(&as_user), theirs.clone()).await;

    // Every rung.
    for (path, rung) in [
        ("/v1/stores", "l3"),
        ("/v1/metrics/overview", "l3"),
        ("/v1/diagnosis?stores=a_b", "l3-compose"),
        ("/v1/metrics/overview?stores=a_b", "l2-compose"),
        ("/v1/stores/a%2Fb/orders", "l1"),
    ] {
        assert_eq!(gateway.ok(path).await.header("x-cache"), rung, "{path}");
    }
    for path in ["/v1/inventory", "/v1/inventory/days", "/v1/status"] {
        gateway.ok(path).await;
    }
    // With connections of its own: those of threads that end go with them.
    is_told_of_changes(guarded_source(&as_user), levels(fixture::guarded_redis(&url)), &mine).await;
    redis.flush_all().await;
    for path in ["/v1/metrics/overview?stores=a_b", "/v1/diagnosis", "/v1/stores/a_b/orders"] {
        assert_eq!(gateway.ok(path).await.header("x-cache"), "source", "{path}");
    }
    assert_eq!(gateway.get("/readyz").await.text(), "ready\n");
    // What it may not do it does not try, either.
    assert_eq!(redis.says(&["ACL LOG"]).await, ["*0"]);

    refuses_in_redis(&redis, &theirs).await;
    refuses_in_postgres(&as_user).await;
}

async fn refuses_in_redis(redis: &RedisServer, theirs: &Levels) {
    assert_eq!(redis.says(&["SET hs:1:own 1", "SET other:1:own 1"]).await, ["+OK", "+OK"]);
    let refused = [
        "SET hs:1:own 2",
        "SET hs:1:new 2",
        "HSET hs:1:new a b",
        "DEL hs:1:own",
        "UNLINK hs:1:own",
        "EXPIRE hs:1:own 1",
        "GETDEL hs:1:own",
        "FLUSHALL",
        "EVAL return(0) 0",
        "PUBLISH hs:1:own 1",
        "CONFIG GET *",
        "CLIENT KILL TYPE normal",
        // Other prefixes, and the names of their keys.
        "GET other:1:own",
        "SCAN 0",
        "KEYS *",
        "RANDOMKEY",
    ];
    let commands: Vec<&str> = std::iter::once("AUTH hotshelf_gateway secret").chain(refused).collect();
    let answers = redis.says(&commands).await;
    assert_eq!(answers[0], "+OK");
    for (command, answer) in refused.iter().zip(&answers[1..]) {
        assert!(answer.starts_with("-NOPERM"), "{command}: {answer}");
    }
    let read = async |key: &str| {
        let slot = Slot { key: key.to_owned(), field: None };
        theirs.cache().read(&[slot], Patience::Small).await.remove(0)
    };
    assert_eq!(read("hs:1:own").await, Read::Hit(Bytes::from_static(b"1")));
    // A right that is missing is neither a miss nor an outage of the server.
    assert_eq!(read("other:1:own").await, Read::Unavailable);
    assert!(theirs.cache().health().unwrap().breaker.unwrap().admits);
}

async fn refuses_in_postgres(url: &str) {
    let client = testkit::postgres_client(url).await;
    for statement in [
        "DELETE FROM orders",
        "UPDATE orders SET quantity = 0",
        "INSERT INTO orders (order_id, store_id, ordered_at, product_name) VALUES ('o', 's', now(), 'p')",
        "TRUNCATE orders",
        "DROP TABLE orders",
        "DELETE FROM orders_default",
        "CREATE TABLE mine (n int)",
        "COPY orders TO PROGRAM 'true'",
    ] {
        let error = client.batch_execute(statement).await.unwrap_err();
        let code = error.code().unwrap_or_else(|| panic!("{statement}: {error}")).code();
        assert_eq!(code, "42501", "{statement}: {error}");
    }
}
