//! What differs between two sets of settings, key by key, as it is told when they are read again.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{
    AccessLogSettings, AccessSettings, AdminSettings, ChangeMode, ChangeSettings, GatewaySettings,
    HeatSettings, ListenAddress, LogSettings, NearSettings, Settings, StoreScope, TlsSettings, TokenSettings,
    WarmSettings,
};
use crate::cache::{Profile, RedisSettings, Ttl};
use crate::model::{Money, Rules};
use crate::runtime::logging::LogFormat;
use crate::source::postgres::PostgresSettings;

/// A setting with another value than before. Secrets are hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Key, such as `warm.interval`.
    pub key: String,
    /// Value before, as it is written in a file.
    pub before: String,
    /// Value now.
    pub now: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.before == self.now {
            // Only what is hidden differs.
            return write!(f, "{}: {} (user or password)", self.key, self.now);
        }
        write!(f, "{}: {} → {}", self.key, self.before, self.now)
    }
}

/// What differs between two sets of settings, in the order of the keys of the shipped files.
#[must_use]
pub fn changes(before: &Settings, now: &Settings) -> Vec<Change> {
    let pairs = listed(before).into_iter().zip(listed(now));
    pairs
        .filter(|(before, now)| before.value != now.value)
        .map(|(before, now)| Change { key: before.key, before: before.shown, now: now.shown })
        .collect()
}

/// One setting.
pub(super) struct Entry {
    pub(super) key: String,
    /// As it is compared.
    pub(super) value: String,
    /// As it is told when it changes.
    shown: String,
    /// As everybody may read it: without anything that a secret could be found from.
    pub(super) public: String,
}

/// Lists the fields of a struct under a section. A field that is not named here does not compile: none is forgotten.
macro_rules! list {
    ($entries:ident, $section:literal, $type:ident { $($field:ident),* $(,)? } = $value:expr) => {
        let $type { $($field),* } = $value;
        $($entries.push(entry(concat!($section, ".", stringify!($field)), $field));)*
    };
}

fn entry(key: &str, value: &impl Shown) -> Entry {
    let text = as_written(key, value.text());
    let (shown, public) = if key.ends_with(".url") {
        let place = without_secrets(text.trim_matches('"'));
        (place.clone(), place)
    } else {
        (text.clone(), as_written(key, value.public()))
    };
    Entry { key: key.to_owned(), value: text, shown, public }
}

/// Numbers that files write in another way than as a number.
fn as_written(key: &str, text: String) -> String {
    match text.parse::<u32>() {
        Ok(mode) if key == "gateway.socket_mode" => format!("\"{mode:o}\""),
        Ok(bytes) if key.ends_with("_bytes") => size(bytes.into()),
        _ => text,
    }
}

/// Every setting, in the order of the sections of the shipped files.
pub(super) fn listed(settings: &Settings) -> Vec<Entry> {
    let mut entries = Vec::new();
    let Settings {
        redis,
        prefix,
        postgres,
        rules,
        profile,
        ttl,
        max_inflated,
        retention_days,
        changes,
        log,
        warm,
        heat,
        admin,
        gateway,
        tls,
        access,
        near,
        access_log,
    } = settings;
    list!(
        entries,
        "redis",
        RedisSettings {
            url,
            connect_timeout,
            command_timeout,
            bulk_timeout,
            write_connections,
            breaker_failures,
            probe_interval,
            check_interval,
            check_reconnects,
            slow_ping,
            password_file,
            ca,
            certificate,
            key
        } = redis
    );
    entries.push(entry("redis.prefix", prefix));
    list!(
        entries,
        "postgres",
        PostgresSettings {
            url,
            table,
            timezone,
            connections,
            connect_timeout,
            statement_timeout,
            wait_timeout,
            max_waiting,
            probe_interval,
            columns,
            password_file,
            ca,
            certificate,
            key,
        } = postgres
    );
    list!(
        entries,
        "rules",
        Rules { fee_channels, consumable_categories, notice_price, high_delivery } = rules
    );
    entries.push(entry("cache.profile", profile));
    list!(entries, "cache", Ttl { orders, cells, answers, hot } = ttl);
    entries.push(entry("cache.max_inflated", max_inflated));
    entries.push(entry("cache.retention_days", retention_days));
    list!(
        entries,
        "changes",
        ChangeSettings {
            mode,
            poll_days,
            poll_interval,
            sweep_interval,
            sweep_days,
            keepalive,
            batch_rows,
        } = changes
    );
    list!(
        entries,
        "warm",
        WarmSettings {
            hot_share,
            order_days,
            parallel_stores,
            threads,
            interval,
            lease,
            drain_timeout,
            answers,
            hot_answers,
            budget,
            budget_time,
            floor,
            rank_interval,
            state,
            status_interval,
            instance,
        } = warm
    );
    list!(
        entries,
        "heat",
        HeatSettings {
            logs,
            half_life,
            stores,
            questions,
            tokens,
            poll_interval,
            max_files,
            refreshes_per_minute,
            misses_per_minute,
        } = heat
    );
    list!(entries, "admin", AdminSettings { listen, max_connections, header_timeout } = admin);
    list!(
        entries,
        "gateway",
        GatewaySettings {
            listen,
            socket_mode,
            backlog,
            reuse_port,
            max_connections,
            max_connections_per_address,
            max_streams,
            status_streams,
            request_timeout,
            header_timeout,
            idle_timeout,
            write_timeout,
            body_timeout,
            max_header_bytes,
            max_body_bytes,
            stop_delay,
            drain_timeout,
            serving_threads,
            threads,
            compute_queue,
            max_source_store_days,
            directory_ttl,
            known_bytes,
            max_in_flight,
            slow_request,
            admin_listen,
        } = gateway
    );
    list!(entries, "tls", TlsSettings { certificate, key, client_ca, handshake_timeout } = tls);
    list!(
        entries,
        "access",
        AccessSettings {
            tokens,
            rate,
            burst,
            address_rate,
            address_burst,
            addresses,
            cors_origins,
            insecure
        } = access
    );
    list!(entries, "near", NearSettings { enabled, bytes, max_age, keepalive, flights } = near);
    list!(
        entries,
        "access_log",
        AccessLogSettings {
            path,
            instance,
            max_size,
            max_age,
            keep,
            queue,
            queue_bytes,
            drain_timeout,
            confirm_timeout
        } = access_log
    );
    list!(entries, "log", LogSettings { format, filter, folder, max_size, keep } = log);
    entries
}

/// An address without user, password and parameters; where it cannot be said for sure what they are, less is shown.
fn without_secrets(address: &str) -> String {
    let place = match address.split_once("://") {
        Some((scheme, rest)) => {
            let (user, place) = rest.rsplit_once('@').unwrap_or(("", rest));
            let clear = !user.contains(['@', '?', '/', '#']);
            let place = place.split_once('?').map_or(place, |(place, _)| place);
            format!("{scheme}://{}", if clear { place } else { "…" })
        }
        None if address.contains(['\'', '\\']) => "…".to_owned(),
        // PostgreSQL's key=value pairs, of which these say where.
        None => {
            let says_where = |pair: &&str| {
                pair.split_once('=')
                    .is_some_and(|(key, _)| ["host", "hostaddr", "port", "dbname"].contains(&key))
            };
            address.split_whitespace().filter(says_where).collect::<Vec<_>>().join(" ")
        }
    };
    quoted(&place)
}

/// A value as it is written in a settings file.
trait Shown {
    fn text(&self) -> String;

    /// The same without anything that a secret could be found from.
    fn public(&self) -> String {
        self.text()
    }
}

/// A text in quotes, as TOML and JSON have them.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

macro_rules! shown {
    ($($type:ty: |$value:ident| $text:expr;)*) => {
        $(impl Shown for $type { fn text(&self) -> String { let $value = self; $text } })*
    };
}

shown! {
    String: |text| quoted(text);
    PathBuf: |path| quoted(&path.display().to_string());
    Duration: |time| humantime::format_duration(*time).to_string();
    // Numbers of this type are bytes.
    u64: |bytes| size(*bytes);
    u32: |number| number.to_string();
    i32: |number| number.to_string();
    usize: |number| number.to_string();
    ListenAddress: |address| quoted(&address.to_string());
    f64: |number| number.to_string();
    bool: |yes| yes.to_string();
    Money: |amount| format!("{:?}", amount.to_string());
    Profile: |profile| quoted(profile.as_str());
    LogFormat: |format| match format { Self::Text => "\"text\"".to_owned(), Self::Json => "\"json\"".to_owned() };
    ChangeMode: |mode| match mode {
        Self::Trigger => "\"trigger\"".to_owned(),
        Self::Poll => "\"poll\"".to_owned(),
        Self::Off => "\"off\"".to_owned(),
    };
}

impl Shown for TokenSettings {
    fn text(&self) -> String {
        self.with(&format!("sha256 = \"{}\", ", self.sha256_text()))
    }

    fn public(&self) -> String {
        self.with("")
    }
}

impl TokenSettings {
    fn with(&self, hash: &str) -> String {
        let Self { name, sha256: _, stores, role, rate, burst } = self;
        let stores = match stores {
            StoreScope::All => "\"*\"".to_owned(),
            StoreScope::Listed(stores) => stores.iter().cloned().collect::<Vec<_>>().text(),
        };
        let (name, role) = (name.text(), role.as_str());
        format!(
            "{{name = {name}, {hash}stores = {stores}, role = \"{role}\", rate = {rate}, burst = {burst}}}"
        )
    }
}

impl<T: Shown> Shown for Option<T> {
    fn text(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), Shown::text)
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn text(&self) -> String {
        format!("[{}]", self.iter().map(Shown::text).collect::<Vec<_>>().join(", "))
    }

    fn public(&self) -> String {
        format!("[{}]", self.iter().map(Shown::public).collect::<Vec<_>>().join(", "))
    }
}

impl Shown for std::collections::BTreeMap<crate::model::Column, Vec<String>> {
    fn text(&self) -> String {
        let columns = self.iter().map(|(column, names)| format!("{} = {}", column.name(), names.text()));
        format!("{{{}}}", columns.collect::<Vec<_>>().join(", "))
    }
}

/// Bytes in the largest unit that shows them exactly.
fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let exact = units.iter().find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    exact.map_or_else(|| format!("{bytes}B"), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::config::check::tests::settings;

    fn told(before: &str, now: &str) -> Vec<String> {
        let (before, now) = (settings(before).unwrap(), settings(now).unwrap());
        changes(&before, &now).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_changed_is_told_key_by_key() {
        let now = "[warm]\ninterval = \"90s\"\nbudget = \"1536MiB\"\nstate = \"/var/x\"\n[changes]\nmode = \"off\"\n\
                   [cache]\nprofile = \"daily\"\n[log]\nfilter = \"debug\"\n[rules]\nhigh_delivery = \"6.5\"\n\
                   [heat]\nlogs = [\"a\", \"b\"]\n[postgres.columns]\ncost = [\"c\"]\n";
        let expected = [
            r#"postgres.columns: {} → {cost = ["c"]}"#,
            r#"rules.high_delivery: "6" → "6.5""#,
            r#"cache.profile: "live" → "daily""#,
            "cache.orders: 30m → 1day",
            "cache.cells: 15m → 6h",
            "cache.answers: 10m → 1h",
            r#"changes.mode: "poll" → "off""#,
            "warm.interval: 5m → 1m 30s",
            "warm.budget: 512MiB → 1536MiB",
            r#"warm.state: none → "/var/x""#,
            r#"heat.logs: [] → ["a", "b"]"#,
            r#"log.filter: "info" → "debug""#,
        ];
        assert_eq!(told("", now), expected);
        assert!(told(now, now).is_empty());
        // A value that is written and equals the default is no change.
        assert!(told("", "[warm]\ninterval = \"300s\"").is_empty());
    }

    #[test]
    fn secrets_are_not_told() {
        let url = |address: &str| format!("[redis]\nurl = \"{address}\"");
        let told = |before: &str, now: &str| told(&url(before), &url(now)).concat();
        assert_eq!(
            told("redis://a:one@h:1/2", "redis://:two@i:1"),
            r#"redis.url: "redis://h:1/2" → "redis://i:1""#
        );
        assert_eq!(
            told("redis://:one@h:1", "redis://:two@h:1"),
            r#"redis.url: "redis://h:1" (user or password)"#
        );
        for address in [
            "redis://:secret@h",
            "redis://:se@secret@h",
            "redis://:x?secret@h",
            "redis+unix:///p?pass=secret",
            "redis+unix:///p?pass=a@secret",
            "postgres://u:secret/more@h/d?password=secret",
            "host=h user=u password=secret",
            "host=h password='x host=secret'",
            "secret",
        ] {
            let shown = without_secrets(address);
            assert!(!shown.contains("secret"), "{address}: {shown}");
        }
        assert_eq!(without_secrets("host=h port=1 password=s dbname=d"), r#""host=h port=1 dbname=d""#);
    }

    #[test]
    fn sizes_are_exact() {
        let shown: Vec<String> = [0, 1, 1024, 1025, 64 << 20, 3 << 39].map(size).to_vec();
        assert_eq!(shown, ["0B", "1B", "1KiB", "1025B", "64MiB", "1536GiB"]);
    }
}
