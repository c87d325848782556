//! What a near hit costs in the service, without sockets: `cargo bench -p gateway --bench near_hit`. Prints the time of
//! a thread per request, with the access log off and on, alone and beside another thread: what that adds is what the
//! threads wait for each other's cache lines and locks.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench fails by a panic")]

use std::time::{Duration, Instant};

use gateway::{AccessLog, App, Front};
use http::Request;
use shared::cache::levels::Stamp;
use shared::cache::{Cache, Levels, MemoryCache, StoredAnswer};
use shared::config::{AccessLogSettings, Settings};
use shared::keys::Keys;
use shared::model::{Ask, DataVersion, Directory, Document, StoreInfo};
use shared::runtime::ComputePool;
use shared::source::Source;
use shared::source::postgres::PostgresSource;

const REQUESTS: u32 = 300_000;
const QUESTIONS: usize = 200;

/// An app over memory in which each of some questions has a ready response of about 600 bytes.
async fn app(settings: &Settings) -> App {
    let cache = Cache::Memory(MemoryCache::new(256 << 20));
    let keys = Keys::new(&settings.prefix);
    let rules = settings.rules.fingerprint();
    let levels = Levels::new(cache, keys, rules, settings.ttl, settings.max_inflated);
    let store = |number| StoreInfo {
        store_id: format!("{number}"),
        name: format!("store {number}"),
        city: None,
        lines: 1,
        days: ["2026-03-07".parse().unwrap()].into_iter().collect(),
    };
    let directory = Directory::new((0..QUESTIONS).map(store).collect());
    let now = shared::runtime::now_ms();
    let mut writes = levels.write_directory(&directory, now).unwrap();
    for number in 0..QUESTIONS {
        let stores = Some([format!("{number}")].into());
        let query = Ask { stores, ..Ask::default_for(Document::Overview) }.resolve(&directory).unwrap();
        let answer = StoredAnswer { json: format!("\"{}\"", "x".repeat(460)) };
        let stamp = Stamp { now, as_of: query.as_of, version: DataVersion::default() };
        writes.push(levels.write_ready(&query, &answer, &stamp).unwrap());
    }
    levels.cache().transact(writes).await.unwrap();
    let source = Source::Postgres(PostgresSource::new(&settings.postgres).unwrap());
    let app = App::new(settings, levels, source, ComputePool::new(1, 64).unwrap());
    while !app.near().is_connected() {
        tokio::task::yield_now().await;
    }
    app
}

fn request(paths: &[String], at: usize) -> Request<String> {
    Request::get(paths[at % QUESTIONS].as_str())
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, deflate, br")
        .header("user-agent", "bench")
        .body(String::new())
        .unwrap()
}

/// The time of a request in a thread of its own.
fn one_thread(front: &Front, limit: gateway::service::Limits) -> Duration {
    let paths: Vec<String> =
        (0..QUESTIONS).map(|number| format!("/v1/metrics/overview?stores={number}")).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for at in 0..2 * QUESTIONS {
            let response = gateway::service::handle(front, None, request(&paths, at), limit).await;
            assert_eq!(response.status(), 200);
        }
        let start = Instant::now();
        for at in 0..REQUESTS as usize {
            std::hint::black_box(request(&paths, at));
        }
        let building = start.elapsed();
        let start = Instant::now();
        for at in 0..REQUESTS as usize {
            let response = gateway::service::handle(front, None, request(&paths, at), limit).await;
            assert_eq!(response.headers()["x-cache"], "near");
        }
        (start.elapsed().saturating_sub(building)) / REQUESTS
    })
}

fn measure(what: &str, front: &Front) {
    let settings = Settings::load(&[], &|_| None).unwrap();
    let limit = gateway::service::Limits::of(&settings.gateway);
    for (threads, beside) in [(1, ""), (2, ", two threads")] {
        let each: Vec<Duration> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..threads).map(|_| scope.spawn(|| one_thread(front, limit))).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mean = each.iter().sum::<Duration>() / threads;
        println!("{what}{beside}: {:.2} µs a request", mean.as_secs_f64() * 1e6);
    }
}

fn main() {
    // The tests' runner builds benches, too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let settings = Settings::load(&[], &|_| None).unwrap();
        let front = Front::new();
        front.open(app(&settings).await);
        measure("near hit", &front);
        let folder = tempfile::tempdir().unwrap();
        let path = Some(folder.path().join("access.log"));
        let log =
            AccessLogSettings { path, queue: 1_000_000, queue_bytes: 1 << 30, ..settings.access_log.clone() };
        let front = Front::with_access_log(AccessLog::start(&log, "bench").unwrap());
        front.open(app(&settings).await);
        measure("near hit, with the access log", &front);
        front.access_log().finish().await;
    });
}
