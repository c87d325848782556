//! The capped pool of connections, and database errors in plain words.

use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};

use super::PostgresSettings;
use crate::source::{SourceError, SourceErrorKind};

pub(super) struct ConnectionPool {
    pool: Pool,
    place: String,
}

impl ConnectionPool {
    pub(super) fn new(settings: &PostgresSettings) -> Result<Self, SourceError> {
        let bad = |error: String| {
            SourceError::new(
                SourceErrorKind::Settings,
                format!("postgres.url cannot be read: {error}"),
                "write postgres://user:password@host:port/database",
            )
        };
        let mut config: Config =
            settings.url.parse().map_err(|error: tokio_postgres::Error| bad(error.to_string()))?;
        config.connect_timeout(settings.connect_timeout);
        config.application_name("hotshelf");
        let timeout = format!("-c statement_timeout={}", settings.statement_timeout.as_millis());
        let options = config.get_options().map_or_else(|| timeout.clone(), |own| format!("{own} {timeout}"));
        config.options(options);
        let place = format!(
            "{:?} port {:?} database {:?}",
            config.get_hosts(),
            config.get_ports(),
            config.get_dbname()
        );
        let manager =
            Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(settings.connections)
            .wait_timeout(Some(settings.wait_timeout))
            .create_timeout(Some(settings.connect_timeout))
            .recycle_timeout(Some(settings.connect_timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| bad(error.to_string()))?;
        Ok(Self { pool, place })
    }

    pub(super) async fn get(&self) -> Result<Client, SourceError> {
        self.pool.get().await.map_err(|error| match error {
            // The server's own refusals name the user or the database; a server that is not there names nothing.
            PoolError::Backend(error) if error.code().is_none() => SourceError::new(
                SourceErrorKind::Unreachable,
                format!("postgres: {} ({})", told(&error), self.place),
                "check that the server runs and that postgres.url names its address, user and password",
            )
            .because(error),
            PoolError::Backend(error) => explain(error),
            PoolError::Timeout(_) => SourceError::new(
                SourceErrorKind::Timeout,
                format!("postgres: no connection within the time limit ({})", self.place),
                "check the server's load, or raise postgres.connections or postgres.wait_timeout",
            ),
            other => SourceError::new(
                SourceErrorKind::Unreachable,
                format!("postgres: {other} ({})", self.place),
                "check that the server runs and that postgres.url names its address",
            ),
        })
    }
}

/// A database error with its kind and remedy.
pub(super) fn explain(error: tokio_postgres::Error) -> SourceError {
    let (kind, remedy) = match error.code() {
        Some(code)
            if *code == SqlState::INVALID_PASSWORD
                || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION =>
        {
            (SourceErrorKind::Denied, "check user and password in postgres.url")
        }
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            (SourceErrorKind::Denied, "grant the user SELECT on the table (see config/schema.sql)")
        }
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
            (SourceErrorKind::Settings, "create the database, or correct its name in postgres.url")
        }
        Some(code) if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::UNDEFINED_COLUMN => {
            (SourceErrorKind::Schema, "run config/schema.sql, or correct [postgres] table and columns")
        }
        Some(code) if *code == SqlState::QUERY_CANCELED => {
            (SourceErrorKind::Timeout, "check the server's load, or raise postgres.statement_timeout")
        }
        Some(_) => (SourceErrorKind::Other, "see the server's log"),
        None => (
            SourceErrorKind::Unreachable,
            "check that the server runs and that postgres.url names its address, user and password",
        ),
    };
    SourceError::new(kind, format!("postgres: {}", told(&error)), remedy).because(error)
}

/// An error with its cause.
fn told(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}
