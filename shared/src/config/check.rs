//! From settings as written to settings as used: defaults, limits, and all problems at once.

mod access_log;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::raw::{self, Names};
use super::{GatewaySettings, LogSettings, Settings, WarmSettings, admin as admins, changes, heat};
use crate::cache::levels::DEFAULT_MAX_INFLATED;
use crate::cache::{RedisSettings, Ttl};
use crate::keys::DEFAULT_PREFIX;
use crate::model::{Column, Money, Rules};
use crate::runtime::logging::LogFormat;
use crate::source::postgres::PostgresSettings;

/// One setting that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Key, or file.
    pub place: String,
    /// What is wrong, with value and limit.
    pub what: String,
}

/// All settings that do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError {
    /// One by one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} setting(s) do not fit:", self.problems.len())?;
        for problem in &self.problems {
            write!(f, "\n  {}: {}", problem.place, problem.what)?;
        }
        Ok(())
    }
}

/// Collects problems while values are read.
#[derive(Default)]
pub(super) struct Checker {
    problems: Vec<Problem>,
}

impl Checker {
    pub(super) fn problem(&mut self, place: &str, what: String) {
        self.problems.push(Problem { place: place.to_owned(), what });
    }

    pub(super) fn duration(
        &mut self,
        key: &str,
        text: Option<String>,
        default: Duration,
        limits: (u64, u64),
    ) -> Duration {
        let Some(text) = text else { return default };
        match humantime::parse_duration(&text) {
            Ok(value)
                if (limits.0..=limits.1).contains(&u64::try_from(value.as_millis()).unwrap_or(u64::MAX)) =>
            {
                value
            }
            Ok(_) => {
                let shown = |ms| humantime::format_duration(Duration::from_millis(ms));
                let what = format!("{text:?} is outside {} to {}", shown(limits.0), shown(limits.1));
                self.problem(key, what);
                default
            }
            Err(error) => {
                self.problem(
                    key,
                    format!("{text:?} is not a duration ({error}); write \"50ms\", \"15m\" or \"24h\""),
                );
                default
            }
        }
    }

    fn size(&mut self, key: &str, text: Option<String>, default: u64, limits: (u64, u64)) -> u64 {
        let Some(text) = text else { return default };
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) if (limits.0..=limits.1).contains(&size.0) => size.0,
            Ok(_) => {
                let shown = |bytes| bytesize::ByteSize(bytes).display().iec();
                self.problem(key, format!("{text:?} is outside {} to {}", shown(limits.0), shown(limits.1)));
                default
            }
            Err(error) => {
                self.problem(key, format!("{text:?} is not a size ({error}); write \"64MiB\" or \"1GiB\""));
                default
            }
        }
    }

    pub(super) fn number<T: PartialOrd + Copy + fmt::Display>(
        &mut self,
        key: &str,
        value: Option<T>,
        default: T,
        limits: (T, T),
    ) -> T {
        match value {
            Some(value) if value >= limits.0 && value <= limits.1 => value,
            Some(value) => {
                self.problem(key, format!("{value} is outside {} to {}", limits.0, limits.1));
                default
            }
            None => default,
        }
    }

    fn money(&mut self, key: &str, text: Option<String>, default: Money) -> Money {
        let Some(text) = text else { return default };
        match Money::parse(&text) {
            Ok(value) if value >= Money::ZERO => value,
            Ok(_) => {
                self.problem(key, format!("{text:?} is negative"));
                default
            }
            Err(fault) => {
                self.problem(key, format!("{text:?} is {fault}; write an amount such as \"6.5\""));
                default
            }
        }
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &str,
        text: Option<String>,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        let Some(text) = text else { return default };
        match choices.iter().find(|(name, _)| *name == text) {
            Some((_, value)) => *value,
            None => {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                self.problem(key, format!("{text:?} is none of {}", names.join(", ")));
                default
            }
        }
    }
}

pub(super) const SECOND: u64 = 1000;
pub(super) const HOUR: u64 = 3600 * SECOND;

pub(super) fn load(
    files: &[PathBuf],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Settings, SettingsError> {
    let mut checker = Checker::default();
    let mut file = raw::File::default();
    for path in files {
        let place = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => match toml::from_str::<raw::File>(&text) {
                Ok(read) => file.override_with(read),
                Err(error) => checker.problem(&place, error.to_string().trim_end().to_owned()),
            },
            Err(error) => {
                checker.problem(&place, format!("cannot be read: {error}; check the path after --config"));
            }
        }
    }
    file.redis.url = environment("HOTSHELF_REDIS_URL").or(file.redis.url);
    file.postgres.url = environment("HOTSHELF_POSTGRES_URL").or(file.postgres.url);
    let settings = check(file, &mut checker);
    if checker.problems.is_empty() { Ok(settings) } else { Err(SettingsError { problems: checker.problems }) }
}

fn check(file: raw::File, checker: &mut Checker) -> Settings {
    let raw::File { redis, postgres, rules, cache, changes, warm, heat, admin, gateway, access_log, log } =
        file;
    let access_log = access_log::check(access_log, checker);
    let prefix = redis.prefix.clone().unwrap_or_else(|| DEFAULT_PREFIX.to_owned());
    if !prefix.ends_with(':') || prefix.chars().any(|c| c.is_whitespace() || "{}*?[]".contains(c)) {
        let what = format!("{prefix:?} must end with a colon and hold no blank and none of {{}}*?[]");
        checker.problem("redis.prefix", what);
    }
    let max_inflated = checker.size(
        "cache.max_inflated",
        cache.max_inflated.clone(),
        DEFAULT_MAX_INFLATED,
        (1 << 20, 1 << 30),
    );
    let retention_days = checker.number("cache.retention_days", cache.retention_days, 120, (1, 3660));
    Settings {
        redis: check_redis(redis, checker),
        prefix,
        postgres: check_postgres(postgres, checker),
        rules: check_rules(rules, checker),
        ttl: check_ttl(cache, checker),
        max_inflated,
        retention_days,
        changes: changes::check(changes, checker),
        warm: check_warm(warm, checker),
        admin: admins::check(admin, checker),
        gateway: check_gateway(gateway, checker),
        heat: heat::check(heat, access_log.path.as_deref(), checker),
        access_log,
        log: LogSettings {
            format: checker.choice(
                "log.format",
                log.format,
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
                LogFormat::Text,
            ),
            filter: log.filter.unwrap_or_else(|| "info".to_owned()),
        },
    }
}

fn check_redis(redis: raw::Redis, checker: &mut Checker) -> RedisSettings {
    let default = RedisSettings::default();
    RedisSettings {
        url: redis.url.unwrap_or(default.url),
        connect_timeout: checker.duration(
            "redis.connect_timeout",
            redis.connect_timeout,
            default.connect_timeout,
            (10, 60 * SECOND),
        ),
        command_timeout: checker.duration(
            "redis.command_timeout",
            redis.command_timeout,
            default.command_timeout,
            (1, 60 * SECOND),
        ),
        bulk_timeout: checker.duration(
            "redis.bulk_timeout",
            redis.bulk_timeout,
            default.bulk_timeout,
            (10, 600 * SECOND),
        ),
        write_connections: checker.number(
            "redis.write_connections",
            redis.write_connections,
            default.write_connections,
            (1, 64),
        ),
    }
}

fn check_postgres(postgres: raw::Postgres, checker: &mut Checker) -> PostgresSettings {
    let mut settings = PostgresSettings::default();
    if let Some(url) = postgres.url {
        settings.url = url;
    }
    if let Some(table) = postgres.table {
        settings.table = table;
    }
    settings.timezone = postgres.timezone;
    settings.connections =
        checker.number("postgres.connections", postgres.connections, settings.connections, (1, 64));
    settings.connect_timeout = checker.duration(
        "postgres.connect_timeout",
        postgres.connect_timeout,
        settings.connect_timeout,
        (10, 600 * SECOND),
    );
    settings.statement_timeout = checker.duration(
        "postgres.statement_timeout",
        postgres.statement_timeout,
        settings.statement_timeout,
        (10, 24 * HOUR),
    );
    settings.wait_timeout = checker.duration(
        "postgres.wait_timeout",
        postgres.wait_timeout,
        settings.wait_timeout,
        (10, 600 * SECOND),
    );
    for (name, columns) in postgres.columns.unwrap_or_default() {
        let place = format!("postgres.columns.{name}");
        let names = match columns {
            Names::One(name) => vec![name],
            Names::Several(names) => names,
        };
        match Column::from_name(&name) {
            Some(column) => {
                settings.columns.insert(column, names);
            }
            None => {
                let known: Vec<&str> = Column::ALL.iter().map(|column| column.name()).collect();
                checker.problem(&place, format!("no such column; those are {}", known.join(", ")));
            }
        }
    }
    settings
}

fn check_rules(rules: raw::Rules, checker: &mut Checker) -> Rules {
    let default = Rules::default();
    Rules {
        fee_channels: rules.fee_channels.unwrap_or(default.fee_channels),
        consumable_categories: rules.consumable_categories.unwrap_or(default.consumable_categories),
        notice_price: checker.money("rules.notice_price", rules.notice_price, default.notice_price),
        high_delivery: checker.money("rules.high_delivery", rules.high_delivery, default.high_delivery),
    }
}

fn check_ttl(cache: raw::Cache, checker: &mut Checker) -> Ttl {
    let profiles = [("live", Ttl::LIVE), ("daily", Ttl::DAILY)];
    let profile = checker.choice("cache.profile", cache.profile, &profiles, Ttl::LIVE);
    let limits = (SECOND, 31 * 24 * HOUR);
    Ttl {
        orders: checker.duration("cache.orders", cache.orders, profile.orders, limits),
        cells: checker.duration("cache.cells", cache.cells, profile.cells, limits),
        answers: checker.duration("cache.answers", cache.answers, profile.answers, limits),
        hot: checker.duration("cache.hot", cache.hot, profile.hot, limits),
    }
}

fn check_warm(warm: raw::Warm, checker: &mut Checker) -> WarmSettings {
    let seconds = Duration::from_secs;
    WarmSettings {
        hot_share: checker.number("warm.hot_share", warm.hot_share, 0.2, (0.0, 1.0)),
        order_days: checker.number("warm.order_days", warm.order_days, 35, (0, 3660)),
        parallel_stores: checker.number("warm.parallel_stores", warm.parallel_stores, 3, (1, 64)),
        threads: checker.number("warm.threads", warm.threads, 0, (0, 1024)),
        interval: checker.duration("warm.interval", warm.interval, seconds(300), (SECOND, 24 * HOUR)),
        lease: checker.duration("warm.lease", warm.lease, seconds(10), (SECOND, 60 * SECOND)),
        drain_timeout: checker.duration(
            "warm.drain_timeout",
            warm.drain_timeout,
            seconds(20),
            (0, 600 * SECOND),
        ),
        answers: checker.number("warm.answers", warm.answers, 2_000, (0, 1_000_000)),
        hot_answers: checker.number("warm.hot_answers", warm.hot_answers, 200, (0, 100_000)),
        budget: checker.size("warm.budget", warm.budget, 512 << 20, (1 << 20, 1 << 40)),
        budget_time: checker.duration("warm.budget_time", warm.budget_time, seconds(60), (SECOND, 24 * HOUR)),
        floor: checker.number("warm.floor", warm.floor, 5, (0, 1_000)),
        rank_interval: checker.duration(
            "warm.rank_interval",
            warm.rank_interval,
            seconds(30),
            (SECOND, 24 * HOUR),
        ),
        state: warm.state,
        status_interval: admins::status_interval(warm.status_interval, checker),
        instance: admins::instance(warm.instance, checker),
    }
}

fn check_gateway(gateway: raw::Gateway, checker: &mut Checker) -> GatewaySettings {
    let seconds = Duration::from_secs;
    let max_header_bytes =
        checker.size("gateway.max_header_bytes", gateway.max_header_bytes, 1536 << 10, (8 << 10, 16 << 20));
    GatewaySettings {
        listen: gateway.listen.unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
        max_connections: checker.number(
            "gateway.max_connections",
            gateway.max_connections,
            10_000,
            (1, 1_000_000),
        ),
        request_timeout: checker.duration(
            "gateway.request_timeout",
            gateway.request_timeout,
            seconds(30),
            (100, 600 * SECOND),
        ),
        header_timeout: checker.duration(
            "gateway.header_timeout",
            gateway.header_timeout,
            seconds(10),
            (100, 600 * SECOND),
        ),
        max_header_bytes: usize::try_from(max_header_bytes).unwrap_or(1536 << 10),
        drain_timeout: checker.duration(
            "gateway.drain_timeout",
            gateway.drain_timeout,
            seconds(20),
            (0, 600 * SECOND),
        ),
        threads: checker.number("gateway.threads", gateway.threads, 0, (0, 1024)),
        compute_queue: checker.number("gateway.compute_queue", gateway.compute_queue, 256, (1, 100_000)),
        max_source_store_days: checker.number(
            "gateway.max_source_store_days",
            gateway.max_source_store_days,
            200_000,
            (0, 10_000_000),
        ),
        directory_ttl: checker.duration(
            "gateway.directory_ttl",
            gateway.directory_ttl,
            seconds(10),
            (0, HOUR),
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
pub(super) mod tests {
    use super::*;

    pub(in crate::config) fn settings(text: &str) -> Result<Settings, SettingsError> {
        let mut checker = Checker::default();
        let settings = check(toml::from_str(text).unwrap(), &mut checker);
        if checker.problems.is_empty() {
            Ok(settings)
        } else {
            Err(SettingsError { problems: checker.problems })
        }
    }

    #[test]
    fn defaults_fit() {
        assert_eq!(settings("").unwrap().retention_days, 120);
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let error = settings(
            "[redis]\ncommand_timeout = \"fast\"\nprefix = \"hs\"\n[cache]\nprofile = \"lazy\"\nretention_days = 0\n\
             [postgres.columns]\nprice = \"p\"\n[rules]\nhigh_delivery = \"-1\"\n\
             [changes]\nmode = \"push\"\npoll_days = 0\nkeepalive = \"1ms\"\n",
        )
        .unwrap_err();
        let mut places: Vec<&str> = error.problems.iter().map(|problem| problem.place.as_str()).collect();
        places.sort_unstable();
        let expected = [
            "cache.profile",
            "cache.retention_days",
            "changes.keepalive",
            "changes.mode",
            "changes.poll_days",
            "postgres.columns.price",
            "redis.command_timeout",
            "redis.prefix",
            "rules.high_delivery",
        ];
        assert_eq!(places, expected);
    }

    /// Settings files that are shipped, by name.
    fn shipped(name: &str) -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../config")).join(name)
    }

    #[test]
    fn every_shipped_file_fits() {
        let mut seen = 0;
        for entry in std::fs::read_dir(shipped("")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                seen += 1;
                if let Err(error) = load(std::slice::from_ref(&path), &|_| None) {
                    panic!("{}: {error}", path.display());
                }
            }
        }
        assert!(seen >= 3, "warmer.toml, gateway.toml and existing-table.toml");
    }

    #[test]
    fn shipped_settings_are_the_defaults() {
        let default = format!("{:#?}", load(&[], &|_| None).unwrap());
        for files in [vec!["warmer.toml"], vec!["gateway.toml"], vec!["warmer.toml", "gateway.toml"]] {
            let paths: Vec<PathBuf> = files.iter().map(|name| shipped(name)).collect();
            assert_eq!(format!("{:#?}", load(&paths, &|_| None).unwrap()), default, "{files:?}");
        }
    }

    #[test]
    fn the_example_of_an_existing_table_maps_every_column() {
        let settings = load(&[shipped("existing-table.toml")], &|_| None).unwrap();
        for column in Column::ALL {
            assert!(settings.postgres.columns.contains_key(&column), "{}", column.name());
        }
    }

    #[test]
    fn the_environment_gives_addresses() {
        let environment = |name: &str| (name == "HOTSHELF_REDIS_URL").then(|| "redis://other".to_owned());
        assert_eq!(load(&[], &environment).unwrap().redis.url, "redis://other");
    }
}
