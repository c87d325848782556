//! From a question to its document, without a server.

use std::hint::black_box;

use bytes::Bytes;
use shared::answers::parameters::{Asked, Route, read};
use shared::answers::response::{Meta, ReadyBody, json_body};
use shared::answers::{Part, StoreData};
use shared::cache::levels::{Stamp, VersionedDay};
use shared::cache::{Cache, Levels, MemoryCache, StoredAnswer, Write};
use shared::cells::build_store_day;
use shared::config::Settings;
use shared::keys::Keys;
use shared::model::query::{Granularity, ProductSort};
use shared::model::{Ask, Document, Query, Rules};

use super::Walk;
use super::shop::{LAST_DAY, Shop};

/// What a manager of three stores asks for: his products of a month by sales.
const PATH: &str = "/v1/metrics/products";
const QUERY: &str = "stores=1001,1002,1003&from=2026-02-06&to=2026-03-07&sort=sales&limit=50";
/// 2026-03-08, 09:00 UTC, in milliseconds.
const NOW: i64 = 1_772_960_400_000;

fn walk(mut once: impl FnMut() + 'static) -> Walk {
    Box::new(move |times| (0..times).for_each(|_| once()))
}

fn levels() -> Levels {
    let settings = Settings::load(&[], &|_| None).unwrap();
    let cache = Cache::Memory(MemoryCache::new(1 << 20));
    let rules = settings.rules.fingerprint();
    Levels::new(cache, Keys::new(&settings.prefix), rules, settings.ttl, settings.max_inflated)
}

fn ask() -> Ask {
    let route = Route::of(black_box(PATH)).unwrap();
    match read(&route, black_box(QUERY)).unwrap() {
        Asked::Document(ask) => ask,
        Asked::Orders(_) => unreachable!("the path is that of a document"),
    }
}

pub(crate) fn read_query() -> Walk {
    walk(|| drop(black_box(ask())))
}

pub(crate) fn resolve_query() -> Walk {
    let (shop, ask) = (Shop::new(100, 60, 1), ask());
    walk(move || {
        let query = black_box(&ask).resolve(&shop.directory).unwrap();
        black_box(query.canonical());
    })
}

/// Of both kinds of cells of a month and the one before.
pub(crate) fn keys_of_cells() -> Walk {
    let keys = Keys::default();
    walk(move || {
        for ago in 0..60 {
            let day = LAST_DAY.plus(-ago);
            black_box((keys.day_cell(black_box("1001"), day), keys.product_cell(black_box("1001"), day)));
        }
    })
}

/// Of a document and of its ready response.
pub(crate) fn keys_of_answer() -> Walk {
    let (keys, query) = (Keys::default(), ask().resolve(&Shop::new(3, 60, 1).directory).unwrap());
    walk(move || drop(black_box((keys.answer(black_box(&query)), keys.hot(black_box(&query))))))
}

/// The cells of a store-day of 1,000 lines, as they are stored.
fn stored_day(levels: &Levels) -> (Bytes, Bytes) {
    levels.encode_cells("1001", LAST_DAY, &Shop::new(1, 1, 1000).last, NOW).unwrap()
}

pub(crate) fn decode_day_cell() -> Walk {
    let levels = levels();
    let (day, _) = stored_day(&levels);
    walk(move || drop(black_box(levels.decode_day_cell("1001", LAST_DAY, &day).unwrap())))
}

pub(crate) fn decode_product_cell() -> Walk {
    let levels = levels();
    let (_, products) = stored_day(&levels);
    walk(move || drop(black_box(levels.decode_product_cell("1001", LAST_DAY, &products).unwrap())))
}

/// That of a store's default diagnosis over 30 days of 100 lines.
pub(crate) fn decode_partial() -> Walk {
    let (levels, shop) = (levels(), Shop::new(1, 30, 100));
    let query = shop.query(Document::Diagnosis, 1);
    let range = query.diagnosis.unwrap();
    let part = part(&query, &shop, 0);
    let (partial, version) = part.as_partial().unwrap();
    let stamp = Stamp { now: NOW, as_of: Some(LAST_DAY), version };
    let Write::Set { value, .. } = levels.write_partial("1001", range, partial, &stamp).unwrap() else {
        unreachable!("a partial is written by one command");
    };
    walk(move || drop(black_box(levels.decode_partial("1001", range, &value).unwrap())))
}

/// What the warmer does with a store-day after it is built.
pub(crate) fn encode_cells() -> Walk {
    let (levels, cells) = (levels(), Shop::new(1, 1, 1000).last.cells);
    walk(move || {
        let day = VersionedDay::new(cells.clone()).unwrap();
        black_box(levels.encode_cells("1001", LAST_DAY, &day, NOW).unwrap());
    })
}

fn part(query: &Query, shop: &Shop, store: usize) -> Part {
    let (store_id, data): &(String, StoreData) = &shop.data[store];
    Part::of_store(query, store_id, data)
}

/// A document of so many stores from their decoded cells, 60 days of 100 lines.
fn compose(document: Document, stores: usize) -> Walk {
    let shop = Shop::new(u32::try_from(stores).unwrap(), 60, 100);
    let query = shop.query(document, stores);
    walk(move || {
        let mut merged = Part::empty();
        for store in 0..stores {
            merged.merge(part(black_box(&query), &shop, store), &query);
        }
        black_box(merged.finish(&query, &shop.directory));
    })
}

pub(crate) fn compose_overview() -> Walk {
    compose(Document::Overview, 3)
}

pub(crate) fn compose_products() -> Walk {
    compose(Document::Products(ProductSort::Sales, 50), 3)
}

pub(crate) fn compose_diagnosis() -> Walk {
    compose(Document::Diagnosis, 1)
}

/// The diagnosis of 30 stores from their partials.
pub(crate) fn merge_diagnosis() -> Walk {
    let shop = Shop::new(30, 30, 20);
    let query = shop.query(Document::Diagnosis, 30);
    let parts: Vec<Part> = (0..30).map(|store| part(&query, &shop, store)).collect();
    walk(move || {
        let mut merged = Part::empty();
        for part in parts.clone() {
            merged.merge(part, &query);
        }
        black_box(merged.finish(&query, &shop.directory));
    })
}

/// From a document to the bytes that are sent: the trend of a month.
pub(crate) fn write_body() -> Walk {
    let shop = Shop::new(1, 60, 100);
    let query = shop.query(Document::Trend(Granularity::Day), 1);
    let part = part(&query, &shop, 0);
    let version = part.version();
    let data = part.finish(&query, &shop.directory);
    walk(move || {
        let answer = StoredAnswer::new(black_box(&data)).unwrap();
        let body = json_body(&answer.json, &Meta::new(&query, version)).unwrap();
        let body = ReadyBody::new(body).unwrap();
        assert!(body.gzip, "a month of trend is large enough to be compressed");
        black_box(body);
    })
}

/// The cells of a store-day of 1,000 lines.
pub(crate) fn build_cells() -> Walk {
    let (lines, rules) = (Shop::new(1, 1, 1000).lines, Rules::default());
    walk(move || {
        let all = 0..u32::try_from(lines.len()).unwrap();
        black_box(build_store_day(&lines.view(), &[all], &rules));
    })
}
