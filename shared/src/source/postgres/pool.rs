//! The capped pool of connections, and database errors in plain words.

use std::error::Error as _;
use std::time::Duration;

use deadpool_postgres::{
    Client, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Status, TimeoutType,
    Timeouts,
};
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{PostgresSettings, address};
use crate::source::{SourceError, SourceErrorKind};

/// How long a connection may be silent before TCP asks whether its other end is there; it asks twice more.
const IDLE: Duration = Duration::from_secs(20);
/// How long a pooled connection has for a sign of life before it is given up and the server doubted.
const CHECK: Duration = Duration::from_secs(1);

/// A connection's stream when it is encrypted.
pub(super) type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

pub(super) struct ConnectionPool {
    pool: Pool,
    config: Config,
    tls: MakeRustlsConnect,
    connect_timeout: Duration,
    place: String,
    /// Whether a connection's sign of life is asked for here: the pool's own check would not tell of a server that
    /// hangs, but try the next connection.
    checks: bool,
}

impl ConnectionPool {
    pub(super) fn new(settings: &PostgresSettings, checks: bool) -> Result<Self, SourceError> {
        let (mut config, tls) = address::read(settings)?;
        config.connect_timeout(settings.connect_timeout);
        config.application_name("hotshelf");
        let timeout = format!("-c statement_timeout={}", settings.statement_timeout.as_millis());
        let options = config.get_options().map_or_else(|| timeout.clone(), |own| format!("{own} {timeout}"));
        config.options(options);
        // A connection that was cut silently would keep a read waiting for hours.
        config.keepalives(true).keepalives_idle(IDLE).keepalives_interval(IDLE).keepalives_retries(2);
        config.tcp_user_timeout(IDLE * 3);
        let place = place(&config);
        // Asking a pooled connection for a sign of life costs a round trip, and spares a read the one that died.
        let recycling_method = if checks { RecyclingMethod::Fast } else { RecyclingMethod::Verified };
        let manager = Manager::from_config(config.clone(), tls.clone(), ManagerConfig { recycling_method });
        let pool = Pool::builder(manager)
            .max_size(settings.connections)
            .wait_timeout(Some(settings.wait_timeout))
            .create_timeout(Some(settings.connect_timeout))
            .recycle_timeout(Some(settings.connect_timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| address::unreadable(&error))?;
        Ok(Self { pool, config, tls, connect_timeout: settings.connect_timeout, place, checks })
    }

    /// A connection besides the pool's, for waiting on. `keepalive` is how long it may be silent before TCP asks, and then
    /// again for the answer.
    pub(super) async fn connect_alone(
        &self,
        keepalive: Duration,
    ) -> Result<(tokio_postgres::Client, Connection<Socket, TlsStream>), SourceError> {
        let mut config = self.config.clone();
        // TCP counts in seconds.
        let idle = keepalive.max(Duration::from_secs(1));
        config.keepalives(true).keepalives_idle(idle).keepalives_interval(idle).keepalives_retries(1);
        config.tcp_user_timeout(idle);
        let place = format!("postgres ({})", self.place);
        match tokio::time::timeout(self.connect_timeout, config.connect(self.tls.clone())).await {
            Ok(connected) => connected.map_err(|error| explain_at(error, &place)),
            Err(_) => Err(SourceError::new(
                SourceErrorKind::Timeout,
                format!("{place}: no connection within the time limit"),
                "check the server's load, or raise postgres.connect_timeout",
            )),
        }
    }

    /// Whether somebody can log in; without an error, the time was up. Over a socket PostgreSQL often asks who the process is
    /// rather than for a password (`peer`): then it is tried on loopback, where the programs will do it.
    pub(super) async fn log_in(
        &self,
        user: &str,
        password: &str,
    ) -> Result<(), Option<tokio_postgres::Error>> {
        let mut config = self.config.clone();
        config.user(user).password(password);
        let outcome = self.connected(&config).await;
        match (&outcome, loopback(&config)) {
            (Err(Some(error)), Some(loopback))
                if error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) =>
            {
                self.connected(&loopback).await
            }
            _ => outcome,
        }
    }

    async fn connected(&self, config: &Config) -> Result<(), Option<tokio_postgres::Error>> {
        match tokio::time::timeout(self.connect_timeout, config.connect(self.tls.clone())).await {
            Ok(connected) => connected.map(|_| ()).map_err(Some),
            Err(_) => Err(None),
        }
    }

    pub(super) async fn get(&self) -> Result<Client, SourceError> {
        self.get_within(&self.pool.timeouts()).await
    }

    async fn get_within(&self, timeouts: &Timeouts) -> Result<Client, SourceError> {
        loop {
            let client = self.pool.timeout_get(timeouts).await.map_err(|error| self.explain(error))?;
            if !self.checks {
                return Ok(client);
            }
            match tokio::time::timeout(CHECK, client.simple_query("")).await {
                Ok(Ok(_)) => return Ok(client),
                // It broke while nobody used it: a new one tells whether the server is there.
                Ok(Err(_)) => drop(Object::take(client)),
                Err(_) => {
                    drop(Object::take(client));
                    return Err(SourceError::new(
                        SourceErrorKind::Unreachable,
                        format!("postgres ({}): no sign of life within {} s", self.place, CHECK.as_secs()),
                        "check the server's load, and whether it hangs",
                    ));
                }
            }
        }
    }

    /// Whether the server answers, by a connection of the pool: the cap holds for probes too. Unless `waits`, a pool of
    /// which no connection is free counts as an answer.
    pub(super) async fn probe(&self, waits: bool) -> Result<(), SourceError> {
        let mut timeouts = self.pool.timeouts();
        timeouts.wait = Some(if waits { self.connect_timeout } else { Duration::ZERO });
        match self.get_within(&timeouts).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == SourceErrorKind::Busy && !waits => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn status(&self) -> Status {
        self.pool.status()
    }

    fn explain(&self, error: PoolError) -> SourceError {
        match error {
            PoolError::Backend(error) => explain_at(error, &format!("postgres ({})", self.place)),
            PoolError::Timeout(TimeoutType::Wait) => SourceError::new(
                SourceErrorKind::Busy,
                format!("postgres ({}): no connection was free within the time limit", self.place),
                "check the server's load, or raise postgres.connections or postgres.wait_timeout",
            ),
            PoolError::Timeout(_) => SourceError::new(
                SourceErrorKind::Unreachable,
                format!("postgres ({}): no connection within the time limit", self.place),
                "check the server's load, or raise postgres.connect_timeout",
            ),
            other => SourceError::new(
                SourceErrorKind::Unreachable,
                format!("postgres ({}): {other}", self.place),
                "check that the server runs and that postgres.url names its address",
            ),
        }
    }
}

/// Where a server is, without any secret: `127.0.0.1:5432/hotshelf`.
fn place(config: &Config) -> String {
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| {
        let name = match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(folder) => folder.display().to_string(),
        };
        // One port stands for all hosts.
        let ports = config.get_ports();
        match ports.get(at).or(ports.first()) {
            Some(port) => format!("{name}:{port}"),
            None => format!("{name}:5432"),
        }
    });
    let hosts: Vec<String> = hosts.collect();
    format!("{}/{}", hosts.join(","), config.get_dbname().or(config.get_user()).unwrap_or_default())
}

/// There are no such sockets here.
#[cfg(not(unix))]
fn loopback(_config: &Config) -> Option<Config> {
    None
}

/// The same server, user and database on loopback, if the address is a socket.
#[cfg(unix)]
fn loopback(config: &Config) -> Option<Config> {
    let [Host::Unix(_)] = config.get_hosts() else { return None };
    let mut loopback = Config::new();
    loopback.host("127.0.0.1").ssl_mode(tokio_postgres::config::SslMode::Disable);
    loopback.port(config.get_ports().first().copied().unwrap_or(5432));
    loopback.user(config.get_user()?).password(config.get_password()?);
    loopback.dbname(config.get_dbname()?);
    Some(loopback)
}

/// A database error with its kind and remedy.
pub(super) fn explain(error: tokio_postgres::Error) -> SourceError {
    explain_at(error, "postgres")
}

fn explain_at(error: tokio_postgres::Error, place: &str) -> SourceError {
    if let Some((what, remedy)) = crate::tls::explain("postgres", &error) {
        return SourceError::new(SourceErrorKind::Denied, format!("{place}: {what}"), remedy).because(error);
    }
    let (kind, remedy) = match error.code() {
        Some(code) => explain_code(code),
        None if error.to_string().contains("password missing")
            || error.source().is_some_and(|cause| cause.to_string().contains("password missing")) =>
        {
            (SourceErrorKind::Denied, "check user and password in postgres.url")
        }
        // The crate has no kind for it.
        None if error.source().is_some_and(|cause| cause.to_string() == "server does not support TLS") => (
            SourceErrorKind::Denied,
            "set ssl = on in the server's postgresql.conf, or sslmode=prefer or disable in postgres.url",
        ),
        None => (
            SourceErrorKind::Unreachable,
            "check that the server runs and that postgres.url names its address",
        ),
    };
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    SourceError::new(kind, format!("{place}: {error}{cause}"), remedy).because(error)
}

fn explain_code(code: &SqlState) -> (SourceErrorKind, &'static str) {
    if [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code) {
        (SourceErrorKind::Denied, "check user and password in postgres.url")
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        (SourceErrorKind::Denied, "grant the user SELECT on the table (see config/schema.sql)")
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        (SourceErrorKind::Settings, "create the database, or correct its name in postgres.url")
    } else if [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN].contains(code) {
        (SourceErrorKind::Schema, "run config/schema.sql, or correct [postgres] table and columns")
    } else if *code == SqlState::INVALID_PARAMETER_VALUE {
        (SourceErrorKind::Settings, "correct [postgres] timezone: a zone such as \"Asia/Shanghai\"")
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        (SourceErrorKind::Busy, "wait, or raise the server's max_connections or the role's CONNECTION LIMIT")
    } else if *code == SqlState::QUERY_CANCELED {
        (SourceErrorKind::Timeout, "check the server's load, or raise postgres.statement_timeout")
    } else if [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW]
        .contains(code)
    {
        (SourceErrorKind::Unreachable, "wait until the server takes connections again")
    } else {
        (SourceErrorKind::Other, "see the server's log")
    }
}
