//! `warmer verify`: whether everything is set up as it must be, from the settings to a warm answer of a gateway.

mod logs;
mod rehearsal;
mod running;

use shared::cache::{Cache, RedisCache, Right};
use shared::config::Settings;
use shared::source::postgres::PostgresSource;
use shared::verify::host::Clock;
use shared::verify::{Report, host, postgres, redis, served};

pub use shared::verify::served::Asking;

/// Open files that a warmer needs beside its logs: connections, state, its own log.
const OTHER_FILES: usize = 128;
/// Commands that a gateway's user needs, with their arguments after the key.
const READS: [&[&str]; 3] = [&["GET"], &["MGET"], &["HGETALL"]];
/// Commands that it must not have.
const WRITES: [&[&str]; 4] = [&["SET", "x"], &["UNLINK"], &["HSET", "f", "x"], &["EXPIRE", "1"]];

/// What to look at beside the settings.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Gateways.
    pub asking: Asking,
    /// The gateways' user in Redis and PostgreSQL.
    pub gateway_user: String,
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
    let told = served::check(&mut report, &scope.asking).await;
    clocks.extend(&told);
    logs::check(&mut report, settings, (!told.is_empty()).then_some(before), warmers.as_ref()).await;
    match &settings.warm.state {
        Some(state) => host::folder(&mut report, "host.state", "warm.state", state),
        None => report.warn(
            "host.state",
            "nothing that is learned outlives a restart",
            "set warm.state to a folder of the warmer's own, such as /var/lib/hotshelf",
        ),
    }
    host::memory(&mut report);
    host::open_files(&mut report, settings.heat.max_files + OTHER_FILES, "heat.max_files and connections");
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
    let rights = ["redis.rights", "redis.gateway_rights"];
    let cache = match RedisCache::connect(&settings.redis) {
        Ok(cache) => cache,
        Err(error) => {
            redis::failed(report, "redis.reachable", &error);
            report.skip(&rights, "redis.reachable failed");
            return None;
        }
    };
    if !redis::check(report, &cache, &settings.redis).await {
        report.skip(&rights, "redis.reachable failed");
        return None;
    }
    if let Ok(now) = cache.time_ms().await {
        clocks.push(Clock::read("redis", now));
    }
    let key = shared::keys::Keys::new(&settings.prefix).proof(&crate::lease::owner());
    let written = cache.write_and_read(&key).await;
    match &written {
        Ok(()) => {
            report.pass(rights[0], format!("{} writes and reads under {}", cache.user(), settings.prefix));
        }
        Err(error) => report.fail(
            rights[0],
            error.what(),
            "let redis.url name the warmer's user, and give it its rights: warmer setup redis --apply",
        ),
    }
    gateway_rights(report, settings, &cache, &scope.gateway_user).await;
    written.is_ok().then_some(cache)
}

/// Whether the gateways' user can read, and cannot write.
async fn gateway_rights(report: &mut Report, settings: &Settings, cache: &RedisCache, user: &str) {
    let name = "redis.gateway_rights";
    let key = format!("{}directory", settings.prefix);
    let mut lacks = Vec::new();
    let mut may = Vec::new();
    for (commands, granted, found) in [(&READS[..], false, &mut lacks), (&WRITES[..], true, &mut may)] {
        for command in commands {
            let mut whole = vec![command[0], key.as_str()];
            whole.extend(&command[1..]);
            match cache.right_of(user, &whole).await {
                Ok(Right::NoUser) => {
                    return report.warn(
                        name,
                        format!("there is no user {user}; gateways may connect as somebody who can write"),
                        "run warmer setup redis --apply, or name the gateways' user with --gateway-user",
                    );
                }
                Ok(Right::Unknown) => {
                    let why = "this user may not ask for the rights of others (ACL DRYRUN, Redis 7); run gateway verify";
                    return report.skip(&[name], why);
                }
                Ok(right) if (right == Right::Granted) == granted => found.push(command[0]),
                Ok(_) => {}
                Err(error) => return redis::failed(report, name, &error),
            }
        }
    }
    let remedy =
        "run warmer setup redis --apply, which gives it exactly its rights (docs/least-privilege.md)";
    if !may.is_empty() {
        report.fail(name, format!("{user} can write: it may run {}", may.join(", ")), remedy);
    } else if !lacks.is_empty() {
        report.fail(name, format!("{user} cannot read: it may not run {}", lacks.join(", ")), remedy);
    } else {
        report.pass(name, format!("{user} can read, and cannot write"));
    }
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
