//! Settings: TOML files as written (`raw.rs`), checked into what the programs use, all errors at once.

mod admin;
mod changes;
mod check;
pub mod diff;
mod heat;
mod raw;

use std::path::PathBuf;
use std::time::Duration;

use crate::cache::{RedisSettings, Ttl};
use crate::model::Rules;
use crate::runtime::logging::LogFormat;
use crate::source::postgres::PostgresSettings;

pub use admin::{AdminSettings, listen_address};
pub use changes::{ChangeMode, ChangeSettings};
pub use check::{Problem, SettingsError};
pub use heat::HeatSettings;

/// Settings that warmer and gateway share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Redis.
    pub redis: RedisSettings,
    /// Prefix of all keys.
    pub prefix: String,
    /// PostgreSQL.
    pub postgres: PostgresSettings,
    /// Rules of metrics and diagnosis.
    pub rules: Rules,
    /// Expiries.
    pub ttl: Ttl,
    /// Limit of an inflated payload in bytes.
    pub max_inflated: u64,
    /// Days of cells that are kept, back from the last data day.
    pub retention_days: i32,
    /// How changes in PostgreSQL are found.
    pub changes: ChangeSettings,
    /// Log.
    pub log: LogSettings,
    /// What only the warmer uses.
    pub warm: WarmSettings,
    /// What the warmer reads of the access logs.
    pub heat: HeatSettings,
    /// The warmer's admin listener.
    pub admin: AdminSettings,
    /// What only the gateway uses.
    pub gateway: GatewaySettings,
    /// The gateway's access log.
    pub access_log: AccessLogSettings,
}

/// Log settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Form.
    pub format: LogFormat,
    /// Level or filter.
    pub filter: String,
}

/// Settings of the warmer.
#[derive(Clone, Debug, PartialEq)]
pub struct WarmSettings {
    /// Share of the stores, those with most lines, whose order lines are kept (L1): 0 to 1.
    pub hot_share: f64,
    /// Days of order lines (L1) that are kept of those stores, back from the last data day.
    pub order_days: i32,
    /// Stores read from the source at the same time.
    pub parallel_stores: usize,
    /// Threads that compute; 0 = one per core.
    pub threads: usize,
    /// From the start of one cycle to that of the next.
    pub interval: Duration,
    /// How long a warmer that died keeps others from writing.
    pub lease: Duration,
    /// Time in which jobs may end after a stop was asked for.
    pub drain_timeout: Duration,
    /// Documents kept beside those over all stores.
    pub answers: usize,
    /// Ready responses (L4) of the hottest questions.
    pub hot_answers: usize,
    /// Bytes of Redis that documents, ready responses and order lines may take, beside cells and partials.
    pub budget: u64,
    /// Time that one cycle may spend on what is only likely to be asked for, reading the source included.
    pub budget_time: Duration,
    /// Questions of each token that are kept whatever the others ask for.
    pub floor: usize,
    /// From one ranking to the next.
    pub rank_interval: Duration,
    /// Folder in which what was learned is kept across restarts; `None` = it is not.
    pub state: Option<PathBuf>,
    /// From one publishing of the warmer's status to the next; it is kept for three of them.
    pub status_interval: Duration,
    /// Name under which the status is published; `None` = that of the host.
    pub instance: Option<String>,
}

/// Settings of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewaySettings {
    /// Address and port.
    pub listen: String,
    /// Connections at the same time.
    pub max_connections: usize,
    /// From a request's first byte to its answer.
    pub request_timeout: Duration,
    /// For reading a request's head.
    pub header_timeout: Duration,
    /// Bytes of a request's head, the URL included.
    pub max_header_bytes: usize,
    /// Time in which requests in flight may finish after a stop was asked for.
    pub drain_timeout: Duration,
    /// Threads that compute; 0 = one per core.
    pub threads: usize,
    /// Computations that may run or wait.
    pub compute_queue: usize,
    /// Store-days that one question may read from the source.
    pub max_source_store_days: usize,
    /// How long a directory read from the source is used.
    pub directory_ttl: Duration,
}

/// Settings of the access log's writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// The file; `None` = no log.
    pub path: Option<PathBuf>,
    /// Name of this gateway in its records; `None` = the address it listens on.
    pub instance: Option<String>,
    /// Bytes after which a file is rotated.
    pub max_size: u64,
    /// Age after which a file is rotated.
    pub max_age: Duration,
    /// Rotated files that are kept.
    pub keep: usize,
    /// Records that may wait to be written.
    pub queue: usize,
    /// Bytes that the records that wait may take.
    pub queue_bytes: usize,
    /// Time in which what waits is written after a stop was asked for.
    pub drain_timeout: Duration,
}

impl Settings {
    /// Reads settings from files (later ones override earlier ones), then from the environment.
    ///
    /// # Errors
    /// All problems at once, each with file, key, value and limit.
    pub fn load(
        files: &[PathBuf],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        check::load(files, environment)
    }
}

/// The process's environment, for [`Settings::load`]; tests pass maps.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the owner of environment variables")]
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
