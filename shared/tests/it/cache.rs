//! Redis and memory as caches: the same outcomes, outages that are no misses, and damage that is one.

use std::time::Duration;

use bytes::Bytes;
use shared::cache::levels::Stamp;
use shared::cache::{
    Cache, CacheErrorKind, Levels, MemoryCache, Patience, Read, RedisCache, RedisSettings, StoredAnswer, Ttl,
    Write,
};
use shared::cells::partition;
use shared::diagnosis::Partial;
use shared::entry::Damage;
use shared::keys::{Keys, Slot};
use shared::model::{Ask, DataVersion, DayRange, DaySet, Directory, Document, Query, StoreInfo};
use testkit::{RedisServer, wait_until};

use super::sample;

const LONG: Duration = Duration::from_secs(3600);
const MAX_INFLATED: u64 = 1 << 20;

/// A busy machine must not turn a slow answer into an outage.
fn redis(server: &RedisServer) -> Cache {
    redis_at(server.url())
}

fn redis_at(url: String) -> Cache {
    let settings = RedisSettings {
        url,
        command_timeout: Duration::from_secs(10),
        bulk_timeout: Duration::from_secs(10),
        ..RedisSettings::default()
    };
    Cache::Redis(RedisCache::connect(&settings).unwrap())
}

fn memory() -> Cache {
    Cache::Memory(MemoryCache::new(64 << 20))
}

fn levels(cache: Cache) -> Levels {
    Levels::new(cache, Keys::new("test:"), 7, Ttl::default(), MAX_INFLATED)
}

fn key(name: &str) -> Slot {
    Slot { key: name.to_owned(), field: None }
}

fn field(name: &str, field: &str) -> Slot {
    Slot { key: name.to_owned(), field: Some(field.to_owned()) }
}

fn set(name: &str, value: &str) -> Write {
    Write::Set { key: name.to_owned(), value: Bytes::copy_from_slice(value.as_bytes()), ttl: LONG }
}

fn set_fields(name: &str, fields: &[(&str, &str)]) -> Write {
    let fields = fields.iter().map(|(field, value)| ((*field).to_owned(), Bytes::from((*value).to_owned())));
    Write::SetFields { key: name.to_owned(), fields: fields.collect() }
}

fn delete_fields(name: &str, fields: &[&str]) -> Write {
    Write::DeleteFields { key: name.to_owned(), fields: fields.iter().map(ToString::to_string).collect() }
}

fn delete(name: &str) -> Write {
    Write::Delete { key: name.to_owned() }
}

/// What a cache says after each of some transactions: the slots, then the hash with its fields sorted.
async fn outcomes(cache: &Cache) -> Vec<String> {
    let slots =
        [key("k"), field("h", "a"), field("h", "b"), key("l"), field("h", ""), key("n"), field("g", "a")];
    let transactions = [
        vec![],
        vec![set("k", "1"), set_fields("h", &[("a", "x"), ("b", "门店"), ("", "empty name")])],
        vec![set("k", "2"), set("k", "3"), set_fields("h", &[("a", "")])],
        vec![delete_fields("h", &["b", "never there"]), delete_fields("no hash", &["a"])],
        vec![delete_fields("h", &["a", ""])],
        vec![set_fields("g", &[]), delete_fields("g", &[])],
        vec![set_fields("h", &[("b", "again")]), Write::Expire { key: "h".to_owned(), ttl: LONG }],
        vec![delete("h"), set_fields("h", &[("a", "new")])],
        vec![delete("h"), delete("k"), delete("never there")],
        vec![Write::Bump { key: "n".to_owned() }, Write::Bump { key: "n".to_owned() }],
        vec![Write::Bump { key: "n".to_owned() }, set("l", "last")],
    ];
    let mut told = Vec::new();
    for writes in transactions {
        cache.transact(writes).await.unwrap();
        let small = cache.read(&slots, Patience::Small).await;
        assert_eq!(small, cache.read(&slots, Patience::Bulk).await);
        let hash = match cache.read_hash("h").await {
            Read::Hit(mut fields) => {
                fields.sort();
                Read::Hit(fields)
            }
            other => other,
        };
        told.push(format!("{small:?} {hash:?} {:?}", cache.read_hash("g").await));
    }
    told
}

#[tokio::test]
async fn redis_and_memory_behave_the_same() {
    let server = RedisServer::start().await;
    let (redis, memory) = (redis(&server), memory());
    let (of_redis, of_memory) = (outcomes(&redis).await, outcomes(&memory).await);
    for (at, (of_redis, of_memory)) in of_redis.iter().zip(&of_memory).enumerate() {
        assert_eq!(of_redis, of_memory, "after transaction {at}");
    }
    let last = redis.read(&[key("n"), key("l"), key("k")], Patience::Small).await;
    assert_eq!(last, [Read::Hit("3".into()), Read::Hit("last".into()), Read::Miss]);
    assert!(redis.ping().await.is_ok() && memory.ping().await.is_ok());
}

#[tokio::test]
async fn many_slots_come_in_the_order_asked() {
    let server = RedisServer::start().await;
    for cache in [redis(&server), memory()] {
        let names: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
        cache.transact(vec![set_fields("h", &fields), set_fields("g", &fields[..500])]).await.unwrap();
        let slots: Vec<Slot> =
            names.iter().rev().flat_map(|name| [field("h", name), field("g", name), key(name)]).collect();
        let reads = cache.read(&slots, Patience::Bulk).await;
        assert_eq!(reads.len(), slots.len());
        for (slot, read) in slots.iter().zip(reads) {
            let name = slot.field.clone().unwrap_or_default();
            let there = slot.field.is_some() && (slot.key == "h" || name.parse::<u32>().unwrap() < 500);
            assert_eq!(read, if there { Read::Hit(name.into()) } else { Read::Miss });
        }
    }
}

#[tokio::test]
async fn entries_go_at_their_time() {
    let server = RedisServer::start().await;
    for cache in [redis(&server), memory()] {
        let value = Bytes::from_static(b"soon gone");
        let soon = Write::Set { key: "soon".to_owned(), value, ttl: Duration::from_millis(1) };
        cache.transact(vec![soon, set("later", "kept")]).await.unwrap();
        wait_until("the expiry", Duration::from_secs(20), async || {
            cache.read(&[key("soon")], Patience::Small).await == [Read::Miss]
        })
        .await;
        assert_eq!(cache.read(&[key("later")], Patience::Small).await, [Read::Hit("kept".into())]);
    }
}

#[tokio::test]
async fn an_outage_is_not_a_miss() {
    let mut server = RedisServer::start().await;
    let cache = redis(&server);
    let levels = levels(cache.clone());
    let query = query();
    cache.transact(vec![set("k", "1")]).await.unwrap();
    assert_eq!(levels.read_answer(&query).await, Read::Miss);

    server.stop();
    for patience in [Patience::Small, Patience::Bulk] {
        let reads = cache.read(&[key("k"), key("l")], patience).await;
        assert_eq!(reads, [Read::Unavailable, Read::Unavailable]);
    }
    assert_eq!(cache.read_hash("h").await, Read::Unavailable);
    assert_eq!(levels.read_answer(&query).await, Read::Unavailable);
    assert_eq!(levels.read_directory().await, Read::Unavailable);
    assert!(matches!(levels.read_orders(&[("a".to_owned(), sample::day(0))]).await[..], [Read::Unavailable]));
    assert!(cache.ping().await.is_err());
    let error = cache.transact(vec![set("k", "2")]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(error.to_string().contains("redis"), "{error}");

    server.start_again().await;
    wait_until("redis to be used again", Duration::from_secs(60), async || {
        cache.read(&[key("k")], Patience::Small).await == [Read::Miss]
            && cache.read(&[key("k")], Patience::Bulk).await == [Read::Miss]
            && cache.transact(vec![set("l", "new")]).await.is_ok()
    })
    .await;
    assert_eq!(cache.read(&[key("l")], Patience::Bulk).await, [Read::Hit("new".into())]);
    assert_eq!(levels.read_answer(&query).await, Read::Miss);
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let server = RedisServer::start_with(&["--requirepass", "secret"]).await;
    let cache = redis(&server);
    let error = cache.transact(vec![set("k", "1")]).await.unwrap_err();
    assert_eq!(error.kind(), CacheErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("redis.url"), "{error}");
    assert_eq!(cache.read(&[key("k")], Patience::Small).await, [Read::Unavailable]);
    let settings = RedisSettings { url: "not an address".to_owned(), ..RedisSettings::default() };
    let error = RedisCache::connect(&settings).unwrap_err();
    assert_eq!(error.kind(), CacheErrorKind::Settings);
    assert!(error.to_string().contains("redis://"), "{error}");
}

#[tokio::test]
async fn what_refused_a_connection_and_is_over_refuses_no_longer() {
    let server = RedisServer::start().await;
    let cache = redis_at(server.url().replace("redis://", "redis://late:secret@"));
    let (keys, patience) = ([key("k")], Duration::from_secs(60));
    let reads = async || {
        let (small, bulk) =
            (cache.read(&keys, Patience::Small).await, cache.read(&keys, Patience::Bulk).await);
        [small, bulk].concat()
    };
    assert_eq!(reads().await, [Read::Unavailable, Read::Unavailable], "nobody knows the user");
    server.says(&["ACL SETUSER late on >secret ~* +@all"]).await;
    wait_until("the user to be known", patience, async || reads().await == [Read::Miss, Read::Miss]).await;

    // It closes the user's connections, too.
    server.says(&["ACL DELUSER late"]).await;
    wait_until("the user to be unknown", patience, async || {
        reads().await == [Read::Unavailable, Read::Unavailable]
    })
    .await;
    server.says(&["ACL SETUSER late on >secret ~* +@all"]).await;
    wait_until("the user to be known again", patience, async || reads().await == [Read::Miss, Read::Miss])
        .await;
}

fn info(store: &str) -> StoreInfo {
    StoreInfo {
        store_id: store.to_owned(),
        name: store.to_owned(),
        city: None,
        lines: 3,
        days: (0..3).map(sample::day).collect::<DaySet>(),
    }
}

fn query() -> Query {
    let directory = Directory::new(vec![info("a"), info("b")]);
    Ask::default_for(Document::Overview).resolve(&directory).unwrap()
}

fn stamp() -> Stamp {
    Stamp { now: 5, as_of: Some(sample::day(2)), version: DataVersion::of(b"data") }
}

fn value_of(write: &Write) -> (String, Bytes) {
    match write {
        Write::Set { key, value, .. } => (key.clone(), value.clone()),
        other => panic!("{other:?}"),
    }
}

/// The counts of a reader, without zeros.
fn damages(levels: &Levels) -> Vec<(Damage, u64)> {
    levels.damages().filter(|(_, count)| *count > 0).collect()
}

/// Entries that are not what was written, with what they are counted as.
fn damaged(whole: &[u8]) -> Vec<(Bytes, Damage)> {
    let changed = |at: usize| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    };
    vec![
        (Bytes::new(), Damage::Truncated),
        (Bytes::copy_from_slice(&whole[..8]), Damage::Truncated),
        (Bytes::copy_from_slice(&whole[..whole.len() - 1]), Damage::Truncated),
        (Bytes::from([whole, b"more"].concat()), Damage::Truncated),
        (Bytes::from_static(b"\x80\x04 somebody else's pickle"), Damage::Foreign),
        (Bytes::from_static(b"{\"json\": \"somebody else's\"}"), Damage::Foreign),
        (changed(4), Damage::Format),
        (changed(whole.len() - 1), Damage::Checksum),
        (changed(5), Damage::OtherQuestion),
    ]
}

#[tokio::test]
async fn damaged_entries_are_misses_and_counted() {
    let server = RedisServer::start().await;
    for cache in [redis(&server), memory()] {
        let writer = levels(cache.clone());
        let query = query();
        let answer = StoredAnswer { json: "{\"one\": 1}".to_owned() };
        let write = writer.write_answer(&query, &answer, &stamp()).unwrap();
        let (key, whole) = value_of(&write);
        cache.transact(vec![write]).await.unwrap();
        let reader = levels(cache.clone());
        let (header, read) = reader.read_answer(&query).await.hit().unwrap();
        assert_eq!((read, header.data_version, header.as_of), (answer, stamp().version, stamp().as_of));
        assert_eq!(damages(&reader), []);

        for (bytes, damage) in damaged(&whole) {
            let reader = levels(cache.clone());
            let write = Write::Set { key: key.clone(), value: bytes, ttl: LONG };
            cache.transact(vec![write]).await.unwrap();
            assert_eq!(reader.read_answer(&query).await, Read::Miss, "{damage}");
            assert_eq!(reader.read_answer(&query).await, Read::Miss, "{damage}");
            assert_eq!(damages(&reader), [(damage, 2)]);
        }
        // The entry of another question under this key, as after a hash collision.
        let other = Query { document: Document::Channels, ..query.clone() };
        let moved = writer.write_answer(&other, &StoredAnswer { json: "{}".into() }, &stamp()).unwrap();
        let write = Write::Set { key: key.clone(), value: value_of(&moved).1, ttl: LONG };
        cache.transact(vec![write]).await.unwrap();
        assert_eq!(reader.read_answer(&query).await, Read::Miss);
        assert_eq!(damages(&reader), [(Damage::OtherQuestion, 1)]);
        // Of other rule settings.
        let stricter = Levels::new(cache.clone(), Keys::new("test:"), 8, Ttl::default(), MAX_INFLATED);
        cache.transact(vec![Write::Set { key, value: whole, ttl: LONG }]).await.unwrap();
        assert_eq!(stricter.read_answer(&query).await, Read::Miss);
        assert_eq!(damages(&stricter), [(Damage::OtherRules, 1)]);
    }
}

#[tokio::test]
async fn entries_that_inflate_too_far_are_misses() {
    let levels = levels(memory());
    let query = query();
    let answer = StoredAnswer { json: "0".repeat(8 << 20) };
    let write = levels.write_answer(&query, &answer, &stamp()).unwrap();
    assert!(value_of(&write).1.len() < 100_000);
    levels.cache().transact(vec![write]).await.unwrap();
    assert_eq!(levels.read_answer(&query).await, Read::Miss);
    assert_eq!(damages(&levels), [(Damage::TooLarge, 1)]);
}

#[tokio::test]
async fn every_kind_of_entry_is_checked() {
    let levels = levels(memory());
    let range = DayRange { from: sample::day(0), to: sample::day(2) };
    let lines = sample::lines(&["a"], 1, 3);
    let day = sample::day(0);

    let orders = levels.write_orders("a", day, lines.sorted(), 5).unwrap();
    let (key, whole) = value_of(&orders);
    levels.cache().transact(vec![orders]).await.unwrap();
    let of = |day| ("a".to_owned(), day);
    let read = levels.read_orders(&[of(day), of(sample::day(1))]).await;
    let [Read::Hit(bytes), Read::Miss] = &read[..] else { panic!("{read:?}") };
    assert_eq!(levels.decode_orders("a", day, bytes).unwrap().1, lines.sorted());
    let cut = Write::Set { key, value: whole.slice(..whole.len() / 2), ttl: LONG };
    levels.cache().transact(vec![cut]).await.unwrap();
    let bytes = levels.read_orders(&[of(day)]).await.remove(0).hit().unwrap();
    assert!(levels.decode_orders("a", day, &bytes).is_none());

    let partial = value_of(&levels.write_partial("a", range, &Partial::default(), &stamp()).unwrap()).1;
    assert!(levels.decode_partial("a", range, &partial).is_some());
    assert!(levels.decode_partial("b", range, &partial).is_none());
    let view = lines.view();
    let cells = shared::cells::build_store_day(&view, &partition(&view)[0].rows, &Default::default());
    let built = shared::cache::levels::VersionedDay::new(cells).unwrap();
    let (day_cell, product_cell) = levels.encode_cells("a", day, &built, 5).unwrap();
    assert!(levels.decode_day_cell("a", day, &day_cell).is_some());
    assert!(levels.decode_day_cell("a", sample::day(1), &day_cell).is_none());
    assert!(levels.decode_day_cell("a", day, &product_cell).is_none());
    assert!(levels.decode_product_cell("a", day, &product_cell).is_some());
    assert!(levels.decode_product_cell("a", day, &product_cell[1..]).is_none());
    assert_eq!(damages(&levels), [(Damage::Foreign, 1), (Damage::Truncated, 1), (Damage::OtherQuestion, 3)]);
}

#[tokio::test]
async fn a_directory_that_lacks_a_store_is_a_miss() {
    let server = RedisServer::start().await;
    for cache in [redis(&server), memory()] {
        let levels = levels(cache.clone());
        assert_eq!(levels.read_directory().await, Read::Miss);
        for names in [vec!["a", "all", "门店:1", "{x}"], vec!["a"], vec![]] {
            let directory = Directory::new(names.into_iter().map(info).collect());
            cache.transact(levels.write_directory(&directory, 5).unwrap()).await.unwrap();
            assert_eq!(levels.read_directory().await, Read::Hit(directory));
        }
        let directory = Directory::new(vec![info("a"), info("b")]);
        cache.transact(levels.write_directory(&directory, 5).unwrap()).await.unwrap();
        let hash = levels.keys().directory();
        cache.transact(vec![delete_fields(&hash, &["a"])]).await.unwrap();
        assert_eq!(levels.read_directory().await, Read::Miss);
        cache.transact(vec![set_fields(&hash, &[("a", "damaged")])]).await.unwrap();
        assert_eq!(levels.read_directory().await, Read::Miss);
        assert_eq!(damages(&levels), [(Damage::Truncated, 1)]);
    }
}
