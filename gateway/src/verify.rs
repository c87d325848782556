//! `gateway verify`: whether this gateway can do its work, and no more than that.

use std::path::Path;
use std::time::Duration;

use shared::cache::{Cache, CacheErrorKind, Levels, Read, RedisCache};
use shared::config::{ListenAddress, Settings};
use shared::entry;
use shared::keys::{DIRECTORY_SUMMARY, Keys, Slot};
use shared::source::postgres::PostgresSource;
use shared::verify::host::Clock;
use shared::verify::{Report, host, postgres, redis, served};
use tokio::net::TcpStream;

pub use shared::verify::served::Asking;

/// Open files that a gateway needs beside its connections.
const OTHER_FILES: usize = 128;
/// How long a look may take whether this gateway runs.
const LOOK: Duration = Duration::from_secs(1);

const OF_REDIS: [&str; 3] = ["redis.read_only", "redis.tracking", "redis.warm"];

/// Files and sockets that a gateway may need open at the same time.
#[must_use]
pub fn open_files(settings: &Settings) -> usize {
    settings.gateway.max_connections + OTHER_FILES
}

/// Makes all checks. A key that could be written although it should not is removed. `asking` without addresses asks the
/// gateway that runs with these settings, if one does.
pub async fn verify(settings: &Settings, asking: Asking) -> Report {
    let mut report = Report::default();
    report.pass("settings", "all fit");
    let mut clocks = Vec::new();
    of_redis(&mut report, settings, &mut clocks).await;
    of_postgres(&mut report, settings, &mut clocks).await;
    let asking = if asking.urls.is_empty() {
        Asking { urls: own_addresses(settings).await, ..asking }
    } else {
        asking
    };
    let told = served::check(&mut report, &asking).await;
    clocks.extend(told.iter().filter_map(|asked| asked.clock));
    match &settings.access_log.path {
        Some(path) => {
            let folder =
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            host::folder(&mut report, "log.folder", "access_log.path", folder);
        }
        None => report.warn(
            "log.folder",
            "no access log is written, so the warmer does not learn what is asked for",
            "set access_log.path to a file that the warmer reads (heat.logs)",
        ),
    }
    host::memory(&mut report);
    host::open_files(&mut report, open_files(settings), "gateway.max_connections");
    host::clocks(&mut report, &clocks);
    report
}

async fn of_redis(report: &mut Report, settings: &Settings, clocks: &mut Vec<Clock>) {
    let cache = match RedisCache::connect(&settings.redis) {
        Ok(cache) => cache,
        Err(error) => {
            redis::failed(report, "redis.reachable", &error);
            return report.skip(&OF_REDIS, "redis.reachable failed");
        }
    };
    if !redis::check(report, &cache, &settings.redis).await {
        return report.skip(&OF_REDIS, "Redis cannot be used as it is");
    }
    if let Ok(now) = cache.time_ms().await {
        clocks.push(Clock::read("redis", now));
    }
    read_only(report, settings, &cache).await;
    tracking(report, settings, &cache).await;
    warm(report, settings, cache).await;
}

/// Whether this user cannot write: it is tried.
async fn read_only(report: &mut Report, settings: &Settings, cache: &RedisCache) {
    let name = OF_REDIS[0];
    let key = Keys::new(&settings.prefix).proof(&format!("gateway/{}", std::process::id()));
    match cache.write_and_read(&key).await {
        Err(error) if error.kind() == CacheErrorKind::Denied => {
            report.pass(name, format!("{} cannot write", cache.user()));
        }
        Ok(()) => report.fail(
            name,
            format!("{} can write under {}", cache.user(), settings.prefix),
            "let redis.url name a user that can only read: warmer setup redis --apply makes hotshelf_gateway (docs/least-privilege.md)",
        ),
        Err(error) => redis::failed(report, name, &error),
    }
}

/// Whether Redis tells this user of changes.
async fn tracking(report: &mut Report, settings: &Settings, cache: &RedisCache) {
    let name = OF_REDIS[1];
    if !settings.near.enabled {
        return report.skip(&[name], "near.enabled is false");
    }
    let connected = std::sync::Arc::new(tokio::sync::Notify::new());
    let told = {
        let connected = std::sync::Arc::clone(&connected);
        std::sync::Arc::new(move |change| {
            if change == shared::cache::Change::Connected {
                connected.notify_one();
            }
        })
    };
    let prefix = format!("{}version:", settings.prefix);
    let watched = Cache::Redis(cache.clone());
    let watching = watched.watch(&prefix, settings.near.keepalive, told);
    tokio::select! {
        never = watching => match never {},
        () = connected.notified() => report.pass(name, "changes are told"),
        () = tokio::time::sleep(settings.redis.connect_timeout + LOOK) => report.fail(
            name,
            format!("changes are not told to {}, so nothing may be kept near", cache.user()),
            "grant it +client|tracking: warmer setup redis --apply (docs/least-privilege.md); Redis 6 or later is needed",
        ),
    }
}

/// Whether the warmer has written, under the same rules.
async fn warm(report: &mut Report, settings: &Settings, cache: RedisCache) {
    let name = OF_REDIS[2];
    let keys = Keys::new(&settings.prefix);
    let own = settings.rules.fingerprint();
    let levels = Levels::new(Cache::Redis(cache), keys.clone(), own, settings.ttl, settings.max_inflated);
    let remedy =
        "run warmer once, or start warmer run; and see that redis.url and redis.prefix are the warmer's";
    match levels.read_directory().await {
        Read::Hit(directory) => {
            return report.pass(name, format!("{} stores are in the directory", directory.stores().len()));
        }
        Read::Unavailable => {
            return report.fail(name, "the directory cannot be read in time", "see the server's load");
        }
        Read::Miss => {}
    }
    let slot = Slot { key: keys.directory(), field: Some(DIRECTORY_SUMMARY.to_owned()) };
    match levels.cache().read(&[slot], shared::cache::Patience::Bulk).await.pop() {
        Some(Read::Hit(bytes)) => match entry::look(&bytes) {
            Ok(look) if look.header.rules != own => report.fail(
                name,
                format!("the warmer has other rules: {:016x} there, {own:016x} here", look.header.rules),
                "give warmer and gateways the same [rules], and restart those that have others",
            ),
            _ => report.fail(name, "the directory is incomplete", remedy),
        },
        _ => report.fail(name, format!("nothing is cached under {}", settings.prefix), remedy),
    }
}

async fn of_postgres(report: &mut Report, settings: &Settings, clocks: &mut Vec<Clock>) {
    let name = "postgres.read_only";
    let source = match PostgresSource::new(&settings.postgres) {
        Ok(source) => source,
        Err(error) => {
            postgres::failed(report, "postgres.reachable", &error);
            return report.skip(&[name], "postgres.reachable failed");
        }
    };
    let found = postgres::check(report, &source, None).await;
    clocks.extend(found.now.map(|now| Clock::read("postgres", now)));
    if !found.readable {
        return report.skip(&[name], "the table cannot be read");
    }
    match source.table_rights(None).await {
        Ok(Some(rights)) if rights.change => report.fail(
            name,
            "this user may change lines",
            "let postgres.url name a user that can only read: warmer setup postgres --apply makes one (docs/least-privilege.md)",
        ),
        Ok(_) => report.pass(name, "this user cannot change lines"),
        Err(error) => postgres::failed(report, name, &error),
    }
}

/// The addresses of these settings at which somebody listens.
async fn own_addresses(settings: &Settings) -> Vec<String> {
    let scheme = if settings.tls.certificate.is_some() { "https" } else { "http" };
    let mut urls = Vec::new();
    for address in &settings.gateway.listen {
        let ListenAddress::Tcp(address) = address else { continue };
        // What listens everywhere listens here.
        let here = address.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
        let connecting = tokio::time::timeout(LOOK, TcpStream::connect(&here)).await;
        if matches!(connecting, Ok(Ok(_))) {
            urls.push(format!("{scheme}://{here}"));
        }
    }
    urls
}
