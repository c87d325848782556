//! From settings as written to settings as used: defaults, limits, and all problems at once.

use std::path::PathBuf;

use super::checker::{Checker, HOUR, SECOND, SettingsError};
use super::origins::{POSTGRES, POSTGRES_PASSWORD, REDIS, REDIS_PASSWORD};
use super::raw::{self, Names};
use super::{Origins, Settings, access, access_log, admin, changes, gateway, heat, log, near, tls, warm};
use crate::cache::levels::DEFAULT_MAX_INFLATED;
use crate::cache::{Profile, RedisSettings, Ttl};
use crate::keys::DEFAULT_PREFIX;
use crate::model::{Column, Rules};
use crate::source::postgres::PostgresSettings;

pub(super) fn load(
    files: &[PathBuf],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(Settings, Origins), SettingsError> {
    let mut checker = Checker::default();
    let mut file = raw::File::default();
    let mut origins = Origins::default();
    for path in files {
        let place = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => match toml::from_str::<raw::File>(&text) {
                Ok(read) => {
                    origins.of_file(path, &text);
                    file.override_with(read);
                }
                Err(error) => checker.problem(&place, told(&error, &text)),
            },
            Err(error) => {
                checker.problem(&place, format!("cannot be read: {error}; check the path after --config"));
            }
        }
    }
    for (address, url) in [(REDIS, &mut file.redis.url), (POSTGRES, &mut file.postgres.url)] {
        if let Some(given) = environment(address.variable) {
            *url = Some(given);
            origins.of_environment(address.key, address.variable);
        }
    }
    for (password, file) in [
        (REDIS_PASSWORD, &mut file.redis.password_file),
        (POSTGRES_PASSWORD, &mut file.postgres.password_file),
    ] {
        let named = environment(password.variable).map(PathBuf::from);
        // One that cannot be read counts: whoever needs it says what is wrong.
        let is_blank = |path: &PathBuf| std::fs::read(path).is_ok_and(|text| text.trim_ascii().is_empty());
        if let Some(named) = named.filter(|path| !is_blank(path)) {
            *file = Some(named);
            origins.of_environment(password.key, password.variable);
        }
    }
    let settings = check(file, &mut checker);
    if checker.problems.is_empty() {
        Ok((settings, origins))
    } else {
        Err(SettingsError { problems: checker.problems })
    }
}

/// The settings without any file.
pub(super) fn defaults() -> Settings {
    check(raw::File::default(), &mut Checker::default())
}

/// What is wrong in a file and where, without the line itself: it may hold a password.
fn told(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.lines().count().max(1) + usize::from(before.ends_with('\n'));
    format!("line {line}: {}", error.message())
}

fn check(file: raw::File, checker: &mut Checker) -> Settings {
    let raw::File {
        redis,
        postgres,
        rules,
        cache,
        changes,
        warm,
        heat,
        admin,
        gateway,
        tls,
        access,
        near,
        access_log,
        log,
    } = file;
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
    let profiles = Profile::ALL.map(|profile| (profile.as_str(), profile));
    let profile = checker.choice("cache.profile", cache.profile.clone(), &profiles, Profile::Live);
    let retention_days = checker.number("cache.retention_days", cache.retention_days, 120, (1, 3660));
    Settings {
        redis: check_redis(redis, checker),
        prefix,
        postgres: check_postgres(postgres, checker),
        rules: check_rules(rules, checker),
        profile,
        ttl: check_ttl(cache, profile.ttl(), checker),
        max_inflated,
        retention_days,
        changes: changes::check(changes, checker),
        warm: warm::check(warm, checker),
        admin: admin::check(admin, checker),
        gateway: gateway::check(gateway, checker),
        tls: tls::check(tls, checker),
        access: access::check(access, checker),
        near: near::check(near, checker),
        heat: heat::check(heat, access_log.path.as_deref(), checker),
        access_log,
        log: log::check(log, checker),
    }
}

fn check_redis(redis: raw::Redis, checker: &mut Checker) -> RedisSettings {
    let default = RedisSettings::default();
    checker.pair(("redis.certificate", redis.certificate.as_deref()), ("redis.key", redis.key.as_deref()));
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
        breaker_failures: checker.number(
            "redis.breaker_failures",
            redis.breaker_failures,
            default.breaker_failures,
            (1, 1000),
        ),
        probe_interval: checker.duration(
            "redis.probe_interval",
            redis.probe_interval,
            default.probe_interval,
            (10, 60 * SECOND),
        ),
        check_interval: checker.duration(
            "redis.check_interval",
            redis.check_interval,
            default.check_interval,
            (100, HOUR),
        ),
        check_reconnects: checker.number(
            "redis.check_reconnects",
            redis.check_reconnects,
            default.check_reconnects,
            (0, 10),
        ),
        slow_ping: checker.duration("redis.slow_ping", redis.slow_ping, default.slow_ping, (1, 60 * SECOND)),
        password_file: redis.password_file,
        ca: redis.ca,
        certificate: redis.certificate,
        key: redis.key,
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
    checker.pair(
        ("postgres.certificate", postgres.certificate.as_deref()),
        ("postgres.key", postgres.key.as_deref()),
    );
    settings.password_file = postgres.password_file;
    settings.ca = postgres.ca;
    settings.certificate = postgres.certificate;
    settings.key = postgres.key;
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
    settings.max_waiting =
        checker.number("postgres.max_waiting", postgres.max_waiting, settings.max_waiting, (0, 100_000));
    settings.probe_interval = checker.duration(
        "postgres.probe_interval",
        postgres.probe_interval,
        settings.probe_interval,
        (10, 60 * SECOND),
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

fn check_ttl(cache: raw::Cache, profile: Ttl, checker: &mut Checker) -> Ttl {
    let limits = (SECOND, 31 * 24 * HOUR);
    Ttl {
        orders: checker.duration("cache.orders", cache.orders, profile.orders, limits),
        cells: checker.duration("cache.cells", cache.cells, profile.cells, limits),
        answers: checker.duration("cache.answers", cache.answers, profile.answers, limits),
        hot: checker.duration("cache.hot", cache.hot, profile.hot, limits),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
pub(super) mod tests {
    use super::*;

    fn load(
        files: &[PathBuf],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Settings, SettingsError> {
        Settings::load(files, environment)
    }

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
    fn a_file_that_is_no_toml_is_told_by_line_and_keeps_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.toml");
        let tell = |text: &str| {
            std::fs::write(&path, text).unwrap();
            load(std::slice::from_ref(&path), &|_| None).unwrap_err().to_string()
        };
        let told = tell("[redis]\n\nurl = \"redis://:secret@h:6379\n");
        assert!(told.contains("line 3: ") && !told.contains("secret"), "{told}");
        let told = tell("[redis]\npassword = \"secret\"\n");
        assert!(told.contains("line 2: unknown field `password`") && !told.contains("secret"), "{told}");
        assert!(tell("x").contains("line 1: "));
    }

    #[test]
    fn the_environment_gives_addresses() {
        let environment = |name: &str| (name == "HOTSHELF_REDIS_URL").then(|| "redis://other".to_owned());
        assert_eq!(load(&[], &environment).unwrap().redis.url, "redis://other");
    }

    #[test]
    fn the_environment_names_files_of_passwords_unless_they_are_empty() {
        let folder = tempfile::tempdir().unwrap();
        let (file, full, empty) = ["file.toml", "full", "empty"].map(|name| folder.path().join(name)).into();
        std::fs::write(&file, "[redis]\npassword_file = \"/settings\"").unwrap();
        std::fs::write(&full, "secret").unwrap();
        std::fs::write(&empty, "\n").unwrap();
        let loaded = |named: &std::path::Path| {
            let environment =
                |name: &str| (name == REDIS_PASSWORD.variable).then(|| named.to_str().unwrap().to_owned());
            let (settings, origins) = super::load(std::slice::from_ref(&file), &environment).unwrap();
            (settings.redis.password_file.unwrap(), origins.of(REDIS_PASSWORD.key).to_string())
        };
        assert_eq!(loaded(&full), (full.clone(), format!("environment {}", REDIS_PASSWORD.variable)));
        assert_eq!(loaded(&empty), (PathBuf::from("/settings"), file.display().to_string()));
        let missing = folder.path().join("missing");
        assert_eq!(loaded(&missing).0, missing, "whoever opens it says that it is missing");
    }
}
