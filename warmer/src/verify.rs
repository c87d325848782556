//! `warmer verify`: whether everything is set up as it must be, from the settings to a warm answer of a gateway.

mod logs;
mod rehearsal;
mod running;

use shared::cache::{Cache, CacheError, RedisCache, Right};
use shared::config::Settings;
use shared::keys::Keys;
use shared::source::postgres::PostgresSource;
use shared::verify::host::Clock;
use shared::verify::{Report, host, postgres, redis, served};

pub use shared::verify::served::Asking;

/// Open files that a warmer needs beside its logs: connections, state, its own log.
const OTHER_FILES: usize = 128;
/// A command, and its arguments behind a key of ours; without a key for those that name none.
type Command = (&'static str, Option<&'static [&'static str]>);

/// What a gateway's user must be allowed.
const READS: [Command; 8] = [
    ("get", Some(&[])),
    ("mget", Some(&[])),
    ("hgetall", Some(&[])),
    ("strlen", Some(&[])),
    ("hstrlen", Some(&["f"])),
    ("hkeys", Some(&[])),
    ("pttl", Some(&[])),
    ("getrange", Some(&["0", "1"])),
];
/// What it must not be.
const WRITES: [Command; 4] =
    [("set", Some(&["x"])), ("unlink", Some(&[])), ("hset", Some(&["f", "x"])), ("expire", Some(&["1"]))];
/// What the warmer's user must be allowed, besides what a gateway's is.
const WARMS: [Command; 15] = [
    ("set", Some(&["x"])),
    ("unlink", Some(&[])),
    ("hset", Some(&["f", "x"])),
    ("hdel", Some(&["f"])),
    ("pexpire", Some(&["1"])),
    ("rpush", Some(&["x"])),
    ("ltrim", Some(&["0", "1"])),
    ("lpop", Some(&[])),
    ("incr", Some(&[])),
    ("hlen", Some(&[])),
    ("watch", Some(&[])),
    ("scan", None),
    ("multi", None),
    ("exec", None),
    ("eval", None),
];

/// What to look at beside the settings.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Gateways.
    pub asking: Asking,
    /// The gateways' user in Redis and PostgreSQL.
    pub gateway_user: String,
}

/// Files and sockets that a warmer may need open at the same time.
#[must_use]
pub fn open_files(settings: &Settings) -> usize {
    settings.heat.max_files + OTHER_FILES
}

/// Makes all checks. They change nothing but keys of their own, which are removed.
pub async fn verify(settings: &Settings, scope: &Scope) -> Report {
    let mut report = Report::default();
    report.pass("settings", "all fit");
    let mut clocks = Vec::new();
    let redis = of_redis(&mut report, settings, scope, &mut clocks).await;
    let (source, line) = of_postgres(&mut report, settings, scope, &mut clocks).await;
    match (&redis, source, line) {
        (Some(redis), Some(source), Some(store)) => {
            rehearsal::rehearse(&mut report, settings, redis, source, &store).await;
        }
        (None, _, _) => report.skip(&rehearsal::CHECKS, "Redis cannot be written"),
        (_, _, None) | (_, None, _) => report.skip(&rehearsal::CHECKS, "there is no line that could be read"),
    }
    let warmers = match &redis {
        Some(redis) => running::check(&mut report, settings, redis).await,
        None => {
            report.skip(&running::CHECKS, "Redis cannot be written");
            None
        }
    };
    let before = logs::size(settings);
    let asked = served::check(&mut report, &scope.asking).await;
    clocks.extend(asked.iter().filter_map(|asked| asked.clock));
    logs::check(&mut report, settings, before, &asked, warmers.as_ref()).await;
    match &settings.warm.state {
        Some(state) => host::folder(&mut report, "host.state", "warm.state", state),
        None => report.warn(
            "host.state",
            "nothing that is learned outlives a restart",
            "set warm.state to a folder of the warmer's own, such as /var/lib/hotshelf",
        ),
    }
    host::memory(&mut report);
    host::open_files(&mut report, open_files(settings), "heat.max_files and connections");
    host::clocks(&mut report, &clocks);
    running::service(&mut report, "warmer.service");
    report
}

/// Redis, if it can be written.
async fn of_redis(
    report: &mut Report,
    settings: &Settings,
    scope: &Scope,
    clocks: &mut Vec<Clock>,
) -> Option<RedisCache> {
    let of_rights = ["redis.rights", "redis.gateway_rights"];
    let cache = match RedisCache::connect(&settings.redis) {
        Ok(cache) => cache,
        Err(error) => {
            redis::failed(report, "redis.reachable", &error);
            report.skip(&of_rights, "redis.reachable failed");
            return None;
        }
    };
    if !redis::check(report, &cache, &settings.redis).await {
        report.skip(&of_rights, "Redis cannot be used as it is");
        return None;
    }
    if let Ok(now) = cache.time_ms().await {
        clocks.push(Clock::read("redis", now));
    }
    let writes = own_rights(report, settings, &cache).await;
    gateway_rights(report, settings, &cache, &scope.gateway_user).await;
    writes.then_some(cache)
}

/// Whether this user may do what the warmer does.
async fn own_rights(report: &mut Report, settings: &Settings, cache: &RedisCache) -> bool {
    let name = "redis.rights";
    let remedy = "let redis.url name the warmer's user, and give it its rights: warmer setup redis --apply";
    let user = cache.user();
    match rights(settings, cache, &user, READS.iter().chain(&WARMS)).await {
        Ok(Rights::Known(refused)) if !refused.is_empty() => {
            report.fail(name, format!("{user} may not run {}", refused.join(", ")), remedy);
            return false;
        }
        // What may not be asked is tried.
        Ok(_) => {}
        Err(error) => {
            redis::failed(report, name, &error);
            return false;
        }
    }
    let key = Keys::new(&settings.prefix).proof(&crate::lease::owner());
    match cache.write_and_read(&key).await {
        Ok(()) => {
            report.pass(name, format!("{user} writes and reads under {}", settings.prefix));
            true
        }
        Err(error) => {
            report.fail(name, error.what(), remedy);
            false
        }
    }
}

/// Whether the gateways' user can read, and cannot write.
async fn gateway_rights(report: &mut Report, settings: &Settings, cache: &RedisCache, user: &str) {
    let name = "redis.gateway_rights";
    let remedy =
        "run warmer setup redis --apply, which gives it exactly its rights (docs/least-privilege.md)";
    let reads = rights(settings, cache, user, READS.iter()).await;
    let writes = rights(settings, cache, user, WRITES.iter()).await;
    match (reads, writes) {
        (Ok(Rights::NoUser), _) | (_, Ok(Rights::NoUser)) => report.warn(
            name,
            format!("there is no user {user}; gateways may connect as somebody who can write"),
            "run warmer setup redis --apply, or name the gateways' user with --gateway-user",
        ),
        (Ok(Rights::Known(unread)), Ok(Rights::Known(unwritten))) => {
            let may: Vec<&str> =
                WRITES.iter().map(|(command, _)| *command).filter(|command| !unwritten.contains(command)).collect();
            if !may.is_empty() {
                report.fail(name, format!("{user} can write: it may run {}", may.join(", ")), remedy);
            } else if !unread.is_empty() {
                report.fail(name, format!("{user} cannot read: it may not run {}", unread.join(", ")), remedy);
            } else {
                report.pass(name, format!("{user} can read, and cannot write"));
            }
        }
        (Err(error), _) | (_, Err(error)) => redis::failed(report, name, &error),
        _ => report.skip(
            &[name],
            "this user may not ask for the rights of others (ACL DRYRUN, Redis 7): run gateway verify as the gateways' user",
        ),
    }
}

/// What is known of a user's rights.
enum Rights {
    /// Commands that it may not run, of those that were asked for.
    Known(Vec<&'static str>),
    /// There is no such user.
    NoUser,
    /// It may not be asked for.
    Unknown,
}

async fn rights(
    settings: &Settings,
    cache: &RedisCache,
    user: &str,
    commands: impl Iterator<Item = &'static Command>,
) -> Result<Rights, CacheError> {
    let key = Keys::new(&settings.prefix).directory();
    let mut refused = Vec::new();
    for (command, arguments) in commands {
        let mut words = vec![*command];
        match (arguments, *command) {
            (Some(arguments), _) => words.extend([key.as_str()].iter().chain(*arguments)),
            (None, "scan") => words.push("0"),
            (None, "eval") => words.extend(["return 1", "1", key.as_str()]),
            (None, _) => {}
        }
        match cache.right_of(user, &words).await? {
            Right::Granted => {}
            Right::Refused(_) => refused.push(*command),
            Right::NoUser => return Ok(Rights::NoUser),
            Right::Unknown => return Ok(Rights::Unknown),
        }
    }
    Ok(Rights::Known(refused))
}

/// The source, and a store that has lines.
async fn of_postgres(
    report: &mut Report,
    settings: &Settings,
    scope: &Scope,
    clocks: &mut Vec<Clock>,
) -> (Option<PostgresSource>, Option<String>) {
    let rest = ["postgres.changes", "postgres.gateway_rights"];
    let source = match PostgresSource::new(&settings.postgres) {
        Ok(source) => source,
        Err(error) => {
            postgres::failed(report, "postgres.reachable", &error);
            report.skip(&rest, "postgres.reachable failed");
            return (None, None);
        }
    };
    let found = postgres::check(report, &source, Some(settings.changes.mode)).await;
    clocks.extend(found.now.map(|now| Clock::read("postgres", now)));
    if !found.readable {
        report.skip(&rest, "the table cannot be read");
        return (None, None);
    }
    postgres::changes(report, &source, settings.changes.mode).await;
    postgres::gateway_role(report, &source, &scope.gateway_user).await;
    (Some(source), found.line.map(|(store, _)| store))
}

/// A cache over a connection that was made already.
fn over(redis: &RedisCache) -> Cache {
    Cache::Redis(redis.clone())
}
