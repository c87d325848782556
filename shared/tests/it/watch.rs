//! Watching versions: in Redis, through trouble, and in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use shared::cache::{Cache, Change, MemoryCache, RedisCache, RedisSettings, Write};
use testkit::{RedisServer, wait_until};
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(60);

/// Follows a cache and notes what is told.
struct Watcher {
    told: Arc<Mutex<Vec<Change>>>,
    _task: JoinSet<()>,
}

impl Watcher {
    fn start(cache: Cache) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let (noted, mut task) = (Arc::clone(&told), JoinSet::new());
        task.spawn(async move {
            let note = move |change| noted.lock().unwrap().push(change);
            match cache.watch("w:version:", Duration::from_millis(100), Arc::new(note)).await {}
        });
        Self { told, _task: task }
    }

    async fn hears(&self, change: Change) {
        wait_until(&format!("{change:?}"), LIMIT, async || self.told.lock().unwrap().contains(&change)).await;
        self.told.lock().unwrap().clear();
    }
}

fn keys(keys: &[&str]) -> Change {
    Change::Keys(keys.iter().map(ToString::to_string).collect())
}

fn bump(key: &str) -> Write {
    Write::Bump { key: key.to_owned() }
}

/// Writes that are not watched, and one that is.
async fn write(cache: &Cache) {
    let other = Write::Keep { key: "w:cells:a".to_owned(), value: Bytes::from_static(b"x") };
    let elsewhere = bump("v:version:a");
    cache.transact(vec![other, elsewhere, bump("w:version:a")]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_tells_of_watched_keys_and_of_its_troubles() {
    let mut server = RedisServer::start().await;
    let settings = RedisSettings {
        url: server.url(),
        connect_timeout: Duration::from_secs(10),
        ..RedisSettings::default()
    };
    let cache = Cache::Redis(RedisCache::connect(&settings).unwrap());
    let watcher = Watcher::start(cache.clone());
    watcher.hears(Change::Connected).await;
    write(&cache).await;
    watcher.hears(keys(&["w:version:a"])).await;
    server.flush_all().await;
    watcher.hears(Change::Everything).await;
    server.stop();
    watcher.hears(Change::Disconnected).await;
    server.start_again().await;
    watcher.hears(Change::Connected).await;
    wait_until("it can be written again", LIMIT, async || {
        cache.transact(vec![bump("w:version:b")]).await.is_ok()
    })
    .await;
    watcher.hears(keys(&["w:version:b"])).await;
}

#[tokio::test]
async fn memory_tells_of_watched_keys() {
    let cache = Cache::Memory(MemoryCache::new(1 << 20));
    let watcher = Watcher::start(cache.clone());
    watcher.hears(Change::Connected).await;
    write(&cache).await;
    assert_eq!(*watcher.told.lock().unwrap(), [keys(&["w:version:a"])]);
    // Who stops watching is told no more.
    let told = Arc::clone(&watcher.told);
    drop(watcher);
    wait_until("the end is told", LIMIT, async || told.lock().unwrap().contains(&Change::Disconnected)).await;
    told.lock().unwrap().clear();
    write(&cache).await;
    assert!(told.lock().unwrap().is_empty());
}
