//! Settings: TOML files as written (`raw.rs`), checked into what the programs use, all errors at once.

mod access;
mod access_log;
mod admin;
mod changes;
mod check;
mod checker;
pub mod diff;
mod gateway;
mod heat;
mod listen;
mod log;
mod near;
pub mod origins;
mod raw;
pub mod show;
mod tls;
mod warm;

use std::path::PathBuf;

use crate::cache::{Profile, RedisSettings, Ttl};
use crate::model::Rules;
use crate::source::postgres::PostgresSettings;

pub use access::{AccessSettings, Role, StoreScope, TokenSettings};
pub use access_log::AccessLogSettings;
pub use admin::{AdminSettings, listen_address};
pub use changes::{ChangeMode, ChangeSettings};
pub use checker::{Problem, SettingsError};
pub use gateway::GatewaySettings;
pub use heat::HeatSettings;
pub use listen::ListenAddress;
pub use log::LogSettings;
pub use near::NearSettings;
pub use origins::Origins;
pub use tls::TlsSettings;
pub use warm::WarmSettings;

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
    /// What the expiries follow from that are not set.
    pub profile: Profile,
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
    /// TLS between the gateway and its clients.
    pub tls: TlsSettings,
    /// Who may ask the gateway, for what, and how often.
    pub access: AccessSettings,
    /// What a gateway keeps in its own memory.
    pub near: NearSettings,
    /// The gateway's access log.
    pub access_log: AccessLogSettings,
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
        Self::with_origins(files, environment).map(|(settings, _)| settings)
    }

    /// As [`Settings::load`], and where each value comes from.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn with_origins(
        files: &[PathBuf],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Origins), SettingsError> {
        check::load(files, environment)
    }
}

/// The process's environment, for [`Settings::load`]; tests pass maps.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the owner of environment variables")]
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
