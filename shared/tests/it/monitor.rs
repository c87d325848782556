//! The monitor of Redis: what it finds at the start, when a server goes and comes back, and when its settings change.

use std::time::Duration;

use shared::cache::{
    Cache, Monitor, MonitorState, MonitorStatus, Patience, RedisCache, RedisSettings, ServerVersion,
    WarningKind,
};
use shared::keys::Slot;
use testkit::{RedisServer, wait_until};

const LIMIT: Duration = Duration::from_secs(60);

fn settings(url: &str) -> RedisSettings {
    RedisSettings {
        url: url.to_owned(),
        check_interval: Duration::from_millis(100),
        probe_interval: Duration::from_millis(20),
        command_timeout: Duration::from_secs(2),
        slow_ping: Duration::from_secs(30),
        ..RedisSettings::default()
    }
}

fn watched(settings: &RedisSettings, proof: Option<&str>) -> (RedisCache, Monitor) {
    let monitor = Monitor::default();
    let redis = RedisCache::connect(settings).unwrap();
    (redis.monitored(&monitor, proof.map(str::to_owned)), monitor)
}

async fn comes(monitor: &Monitor, what: &str, holds: impl Fn(&MonitorStatus) -> bool) -> MonitorStatus {
    wait_until(what, LIMIT, async || holds(&monitor.status())).await;
    monitor.status()
}

fn kinds(status: &MonitorStatus) -> Vec<WarningKind> {
    status.warnings.iter().map(|warning| warning.kind).collect()
}

#[tokio::test]
async fn a_server_that_goes_and_comes_back_is_told() {
    let mut server =
        RedisServer::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).await;
    let (redis, monitor) = watched(&settings(&server.url()), Some("m:proof"));
    let status = comes(&monitor, "online", |status| status.state == MonitorState::Online).await;
    assert_eq!((status.failures, status.reconnects, kinds(&status)), (0, 0, vec![]));
    let found = status.server.unwrap();
    assert_eq!((found.max_memory, found.role.as_str()), (100 << 20, "master"));
    assert!(found.version >= ServerVersion::OLDEST && found.used_memory > 0 && status.ping_us.is_some());
    let proof = Slot { key: "m:proof".to_owned(), field: None };
    let left = Cache::Redis(redis.clone()).read(&[proof], Patience::Bulk).await;
    assert_eq!(left, [shared::cache::Read::Miss], "what was written as a proof is removed");

    server.stop();
    let status = comes(&monitor, "offline", |status| status.state == MonitorState::Offline).await;
    assert!(status.failures >= 1 && status.reconnects >= 3 && status.success_ratio() < 1.0, "{status:?}");
    assert!(status.last_error.is_some() && status.ping_us.is_none());
    // It is tried in the background, and looks go on being counted.
    let before = status;
    let more = |status: &MonitorStatus| {
        status.failures > before.failures && status.reconnects > before.reconnects + 1
    };
    comes(&monitor, "further tries", more).await;

    server.start_again().await;
    let status = comes(&monitor, "online again", |status| status.state == MonitorState::Online).await;
    assert!(status.last_error.is_some(), "the last error stays to be read");
    assert!(status.since > before.since);
    drop(redis);
}

#[tokio::test]
async fn warnings_come_and_go_with_their_reason() {
    let server = RedisServer::start().await;
    let (_redis, monitor) = watched(&settings(&server.url()), None);
    let online = |status: &MonitorStatus| status.state == MonitorState::Online;
    let status = comes(&monitor, "online", online).await;
    assert_eq!(kinds(&status), [WarningKind::NoMaxmemory, WarningKind::Policy]);
    server.says(&["CONFIG SET maxmemory 100mb", "CONFIG SET maxmemory-policy allkeys-lru"]).await;
    comes(&monitor, "no warning", |status| status.warnings.is_empty()).await;
    server.says(&["CONFIG SET maxmemory-policy noeviction"]).await;
    comes(&monitor, "the policy", |status| kinds(status) == [WarningKind::Policy]).await;
}

#[tokio::test]
async fn who_may_not_ask_or_write_is_told_so() {
    let server = RedisServer::start().await;
    let user = "ACL SETUSER watcher reset on >secret ~m:* +ping +hello +get +mget";
    assert_eq!(server.says(&[user]).await, ["+OK"]);
    let url = format!("redis://watcher:secret@{}/", server.address());
    let (_redis, monitor) = watched(&settings(&url), None);
    let status = comes(&monitor, "online", |status| status.state == MonitorState::Online).await;
    assert_eq!((kinds(&status), status.server), (vec![WarningKind::Denied], None));
    // A warmer that may not write is of no use.
    let (_redis, monitor) = watched(&settings(&url), Some("m:proof"));
    let status = comes(&monitor, "offline", |status| status.state == MonitorState::Offline).await;
    let error = status.last_error.unwrap();
    assert!(error.contains("'set'") && error.contains("ACL"), "names what is missing and where: {error}");
}

#[tokio::test]
async fn a_breaker_that_opens_makes_it_look_at_once() {
    let mut server = RedisServer::start().await;
    let slow = RedisSettings { check_interval: Duration::from_secs(3600), ..settings(&server.url()) };
    let monitor = Monitor::default();
    let redis = RedisCache::connect(&slow).unwrap().guarded().monitored(&monitor, None);
    comes(&monitor, "online", |status| status.state == MonitorState::Online).await;
    server.stop();
    comes(&monitor, "offline", |status| status.state == MonitorState::Offline).await;
    server.start_again().await;
    comes(&monitor, "online again", |status| status.state == MonitorState::Online).await;
    assert!(redis.health().monitor.is_some());
}
