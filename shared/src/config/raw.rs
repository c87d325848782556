//! Settings as written: every key optional, unknown keys refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// One text, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    One(String),
    Several(Vec<String>),
}

macro_rules! raw {
    ($($name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            #[derive(Clone, Debug, Default, Deserialize)]
            #[serde(deny_unknown_fields, default)]
            pub(super) struct $name { $(pub(super) $field: Option<$type>,)* }

            impl $name {
                #[cfg(test)]
                pub(super) const KEYS: &[&str] = &[$(stringify!($field)),*];

                /// Takes every key that `other` sets.
                pub(super) fn override_with(&mut self, other: Self) {
                    $(if other.$field.is_some() { self.$field = other.$field; })*
                }
            }
        )*
    };
}

raw! {
    Redis {
        url: String, prefix: String, connect_timeout: String, command_timeout: String, bulk_timeout: String,
        write_connections: u32, breaker_failures: u32, probe_interval: String, check_interval: String,
        check_reconnects: u32, slow_ping: String, password_file: PathBuf, ca: PathBuf, certificate: PathBuf, key: PathBuf,
    }
    Postgres {
        url: String, table: String, timezone: String, connections: usize, connect_timeout: String,
        statement_timeout: String, wait_timeout: String, max_waiting: usize, probe_interval: String,
        columns: BTreeMap<String, Names>, password_file: PathBuf, ca: PathBuf, certificate: PathBuf, key: PathBuf,
    }
    Rules {
        fee_channels: Vec<String>, consumable_categories: Vec<String>, notice_price: String, high_delivery: String,
    }
    Cache {
        profile: String, orders: String, cells: String, answers: String, hot: String, max_inflated: String,
        retention_days: i32,
    }
    Changes {
        mode: String, poll_days: i32, poll_interval: String, sweep_interval: String, sweep_days: i32, keepalive: String,
        batch_rows: u32,
    }
    Warm {
        hot_share: f64, order_days: i32, parallel_stores: usize, threads: usize, interval: String, lease: String,
        drain_timeout: String, answers: usize, hot_answers: usize, budget: String, budget_time: String, floor: usize,
        rank_interval: String, state: PathBuf, status_interval: String, instance: String,
    }
    Admin { listen: String, max_connections: usize, header_timeout: String, }
    Heat {
        logs: Vec<String>, half_life: String, stores: usize, questions: usize, tokens: usize, poll_interval: String,
        max_files: usize, refreshes_per_minute: u32, misses_per_minute: u32,
    }
    Gateway {
        listen: Names, socket_mode: String, backlog: u32, reuse_port: bool, max_connections: usize,
        max_connections_per_address: usize, max_streams: u32, status_streams: usize, request_timeout: String, header_timeout: String,
        idle_timeout: String, write_timeout: String, body_timeout: String, max_header_bytes: String,
        max_body_bytes: String, stop_delay: String, drain_timeout: String, serving_threads: usize, threads: usize,
        compute_queue: usize,
        max_source_store_days: usize, directory_ttl: String, known_bytes: String,
        max_in_flight: usize, slow_request: String, admin_listen: String,
    }
    Tls { certificate: PathBuf, key: PathBuf, client_ca: PathBuf, handshake_timeout: String, }
    Access {
        tokens: Vec<Token>, rate: f64, burst: u32, address_rate: f64, address_burst: u32, addresses: usize,
        cors_origins: Vec<String>, insecure: bool,
    }
    Near { enabled: bool, bytes: String, max_age: String, keepalive: String, flights: usize, }
    AccessLog {
        path: PathBuf, instance: String, max_size: String, max_age: String, keep: usize, queue: usize, queue_bytes: String,
        drain_timeout: String, confirm_timeout: String,
    }
    Log { format: String, filter: String, folder: PathBuf, max_size: String, keep: usize, }
}

/// One of `access.tokens`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Token {
    pub(super) name: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) stores: Option<Names>,
    pub(super) role: Option<String>,
    pub(super) rate: Option<f64>,
    pub(super) burst: Option<u32>,
}

macro_rules! file {
    ($($section:ident: $type:ident,)*) => {
        /// A settings file.
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct File { $(pub(super) $section: $type,)* }

        impl File {
            pub(super) fn override_with(&mut self, other: Self) {
                $(self.$section.override_with(other.$section);)*
            }

            /// Every key that a file may have.
            #[cfg(test)]
            pub(super) fn keys() -> Vec<String> {
                let sections = [$((stringify!($section), $type::KEYS),)*];
                sections.iter().flat_map(|(section, keys)| keys.iter().map(move |key| format!("{section}.{key}"))).collect()
            }
        }
    };
}

file! {
    redis: Redis, postgres: Postgres, rules: Rules, cache: Cache, changes: Changes, warm: Warm, heat: Heat, admin: Admin,
    gateway: Gateway, tls: Tls, access: Access, near: Near, access_log: AccessLog, log: Log,
}
