//! A near hit in the service, without sockets: compressed, and with a token, as a dashboard asks.

use std::collections::VecDeque;

use gateway::auth::{Access, token};
use gateway::service::{Limits, handle};
use gateway::{AccessLog, App, Front};
use http::Request;
use shared::cache::levels::Stamp;
use shared::cache::{Cache, Levels, MemoryCache, StoredAnswer};
use shared::config::{AccessLogSettings, Role, Settings, StoreScope, TokenSettings};
use shared::keys::Keys;
use shared::model::{DataVersion, Document};
use shared::runtime::ComputePool;
use shared::source::Source;
use shared::source::postgres::PostgresSource;
use tokio::runtime::Runtime;

use super::Walk;
use super::shop::Shop;

const TOKEN: &str = "hs_instructions";
/// The first walk and those that are counted.
const REQUESTS: usize = 1000;

pub(crate) fn hit() -> Walk {
    walk(AccessLog::off())
}

/// With what the thread that serves does for the access log.
pub(crate) fn hit_logged() -> Walk {
    let path = std::path::PathBuf::from("/dev/null");
    let settings = Settings::load(&[], &|_| None).unwrap();
    let settings = AccessLogSettings { path: Some(path), ..settings.access_log };
    walk(AccessLog::start(&settings, "instructions").unwrap())
}

fn walk(access_log: AccessLog) -> Walk {
    let mut settings = Settings::load(&[], &|_| None).unwrap();
    let sha256 = token::hash(TOKEN.as_bytes());
    let known = TokenSettings::new("instructions", sha256, StoreScope::All, Role::Reader).unwrap();
    settings.access.tokens = vec![known];
    let limits = Limits::of(&settings.gateway);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let front = Front::guarded(access_log, Access::new(&settings.access, false));
    runtime.block_on(async { front.open(app(&settings).await) });
    let mut requests: VecDeque<Request<String>> = (0..REQUESTS).map(|_| request()).collect();
    // Makes it near.
    let ask = async |request| handle(&front, None, request, limits).await;
    assert_eq!(runtime.block_on(ask(request())).status(), 200);
    Box::new(move |times| walk_through(&runtime, &front, limits, requests.drain(..times as usize)))
}

fn walk_through(
    runtime: &Runtime,
    front: &Front,
    limits: Limits,
    requests: impl Iterator<Item = Request<String>>,
) {
    runtime.block_on(async {
        for request in requests {
            let response = handle(front, None, request, limits).await;
            assert_eq!(response.headers()["x-cache"], "near");
            assert_eq!(response.headers()["content-encoding"], "gzip");
        }
    });
}

/// An app over memory in which the response is ready.
async fn app(settings: &Settings) -> App {
    let keys = Keys::new(&settings.prefix);
    let rules = settings.rules.fingerprint();
    let cache = Cache::Memory(MemoryCache::new(16 << 20));
    let levels = Levels::new(cache, keys, rules, settings.ttl, settings.max_inflated);
    let shop = Shop::new(3, 60, 1);
    let now = shared::runtime::now_ms();
    let mut writes = levels.write_directory(&shop.directory, now).unwrap();
    let query = shop.query(Document::Overview, 3);
    let answer = StoredAnswer { json: format!("\"{}\"", "x".repeat(2000)) };
    let stamp = Stamp { now, as_of: query.as_of, version: DataVersion::default() };
    writes.push(levels.write_ready(&query, &answer, &stamp).unwrap());
    levels.cache().transact(writes).await.unwrap();
    let source = Source::Postgres(PostgresSource::new(&settings.postgres).unwrap());
    let app = App::new(settings, levels, source, ComputePool::new(1, 64).unwrap());
    while !app.near().is_connected() {
        tokio::task::yield_now().await;
    }
    app
}

fn request() -> Request<String> {
    Request::get("/v1/metrics/overview?stores=1001,1002,1003")
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, deflate, br")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("user-agent", "instructions")
        .body(String::new())
        .unwrap()
}
