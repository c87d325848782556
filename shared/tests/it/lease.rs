//! One writer at a time: the lease, the fence, and what the warmer looks up in Redis.

use std::time::Duration;

use bytes::Bytes;
use shared::cache::{Cache, CacheErrorKind, Fence, Patience, Probe, Read, RedisCache, RedisSettings, Write};
use shared::keys::{Keys, Slot};
use testkit::{RedisServer, wait_until};

const LONG: Duration = Duration::from_secs(600);

fn redis(server: &RedisServer) -> Cache {
    let settings = RedisSettings { url: server.url(), ..RedisSettings::default() };
    Cache::Redis(RedisCache::connect(&settings).unwrap())
}

fn fence(owner: &str) -> Fence {
    let (lease_key, fence_key) = Keys::default().lease();
    Fence { lease_key, fence_key, owner: owner.to_owned() }
}

fn set(value: &str) -> Vec<Write> {
    vec![Write::Set { key: "k".into(), value: Bytes::copy_from_slice(value.as_bytes()), ttl: LONG }]
}

async fn value(cache: &Cache) -> Read<Bytes> {
    let slot = Slot { key: "k".into(), field: None };
    cache.read(&[slot], Patience::Bulk).await.pop().unwrap()
}

#[tokio::test]
async fn who_renews_its_lease_learns_that_the_cache_was_emptied() {
    let server = RedisServer::start().await;
    let cache = redis(&server);
    let one = fence("one");
    assert!(!cache.acquire(&one, LONG).await.unwrap().fence_stood);
    assert!(cache.acquire(&one, LONG).await.unwrap().fence_stood);
    server.flush_all().await;
    let holder = cache.acquire(&one, LONG).await.unwrap();
    assert_eq!((holder.owner.as_str(), holder.fence_stood), ("one", false));
    assert!(cache.acquire(&one, LONG).await.unwrap().fence_stood, "told once");
}

#[tokio::test]
async fn only_the_owner_of_the_fence_writes() {
    let server = RedisServer::start().await;
    let cache = redis(&server);
    let (one, two) = (fence("one"), fence("two"));
    let (first, second) = (cache.fenced(one.clone()), cache.fenced(two.clone()));
    let refused = first.transact(set("0")).await.unwrap_err();
    assert_eq!(refused.kind(), CacheErrorKind::LeaseLost, "{refused}");

    assert_eq!(cache.acquire(&one, LONG).await.unwrap().owner, "one");
    assert_eq!(cache.acquire(&two, LONG).await.unwrap().owner, "one");
    first.transact(set("1")).await.unwrap();
    assert!(second.transact(set("2")).await.unwrap_err().to_string().contains("the fence names \"one\""));
    assert_eq!(value(&cache).await, Read::Hit("1".into()));

    // Renewing does not disturb writes; a lease that is not one's own cannot be given back.
    assert_eq!(cache.acquire(&one, LONG).await.unwrap().owner, "one");
    cache.release(&two).await.unwrap();
    first.transact(set("3")).await.unwrap();

    cache.release(&one).await.unwrap();
    // Nobody took over yet: the last owner may still end what it is doing.
    first.transact(set("4")).await.unwrap();
    assert_eq!(cache.acquire(&two, LONG).await.unwrap().owner, "two");
    assert_eq!(first.transact(set("5")).await.unwrap_err().kind(), CacheErrorKind::LeaseLost);
    assert_eq!(value(&cache).await, Read::Hit("4".into()));
    second.transact(set("6")).await.unwrap();
    assert_eq!(value(&cache).await, Read::Hit("6".into()));
}

#[tokio::test]
async fn a_lease_ends_by_itself() {
    let server = RedisServer::start().await;
    let cache = redis(&server);
    let (one, two) = (fence("one"), fence("two"));
    assert_eq!(cache.acquire(&one, Duration::from_millis(200)).await.unwrap().owner, "one");
    wait_until("the lease to end", Duration::from_secs(60), async || {
        cache.acquire(&two, LONG).await.unwrap().owner == "two"
    })
    .await;
    let late = cache.fenced(one).transact(set("late")).await.unwrap_err();
    assert_eq!(late.kind(), CacheErrorKind::LeaseLost);
    assert_eq!(value(&cache).await, Read::Miss);
}

#[tokio::test]
async fn an_emptied_redis_has_no_owner() {
    let server = RedisServer::start().await;
    let cache = redis(&server);
    let one = fence("one");
    cache.acquire(&one, LONG).await.unwrap();
    server.flush_all().await;
    let fenced = cache.fenced(one.clone());
    assert!(fenced.transact(set("1")).await.unwrap_err().to_string().contains("nobody"));
    assert_eq!(cache.acquire(&one, LONG).await.unwrap().owner, "one");
    fenced.transact(set("2")).await.unwrap();
}

#[tokio::test]
async fn keys_are_counted_listed_and_popped() {
    let server = RedisServer::start().await;
    let memory = Cache::Memory(shared::cache::MemoryCache::new(1 << 20));
    for cache in [redis(&server), memory] {
        let fields = vec![("a".to_owned(), Bytes::from("1")), ("b".to_owned(), Bytes::from("2"))];
        let mut writes = set("1");
        writes.push(Write::SetFields { key: "p*:h".into(), fields });
        writes.push(Write::Set { key: "p*:k".into(), value: Bytes::from("1"), ttl: LONG });
        writes.push(Write::Set { key: "pp:k".into(), value: Bytes::from("1"), ttl: LONG });
        cache.transact(writes).await.unwrap();
        let probes = [
            Probe::Hash("p*:h".into()),
            Probe::Hash("no".into()),
            Probe::Key("k".into()),
            Probe::Key("no".into()),
        ];
        assert_eq!(cache.probe(&probes).await.unwrap(), [2, 0, 1, 0]);
        assert_eq!(cache.scan("p*:", 10).await.unwrap(), ["p*:h", "p*:k"]);
        assert_eq!(cache.scan("p", 2).await.unwrap().len(), 2);
        assert!(cache.memory().await.unwrap().used > 0);
    }
    let cache = redis(&server);
    let push = |value: &str| Write::Push { key: "l".into(), value: Bytes::from(value.to_owned()), limit: 2 };
    cache.transact(vec![push("1"), push("2"), push("3")]).await.unwrap();
    assert_eq!(cache.pop("l", 5).await.unwrap(), ["2", "3"]);
    assert!(cache.pop("l", 5).await.unwrap().is_empty());
}
