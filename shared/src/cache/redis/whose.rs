//! Where a connection leads, as whom, and what users may do: for those who verify a set-up.

use std::time::{Duration, Instant};

use super::RedisCache;
use super::monitor;
use crate::cache::{CacheError, CacheErrorKind};

/// Whether a user may run a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    /// It may.
    Granted,
    /// It may not, as the server puts it.
    Refused(String),
    /// There is no such user.
    NoUser,
    /// This connection's user may not ask (`ACL DRYRUN`), or the server is older than 7.0.
    Unknown,
}

impl RedisCache {
    /// Where it connects to, without user and password.
    #[must_use]
    pub fn place(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    /// The user as whom it connects.
    #[must_use]
    pub fn user(&self) -> String {
        self.client.get_connection_info().redis_settings().username().unwrap_or("default").to_owned()
    }

    /// Time of one PING on a connection that is there, after one that may make it.
    ///
    /// # Errors
    /// If Redis does not answer.
    pub async fn timed_ping(&self) -> Result<Duration, CacheError> {
        let limit = self.settings.connect_timeout + self.settings.command_timeout;
        let start = Instant::now();
        self.ping_within(limit.max(self.settings.slow_ping * 2)).await?;
        Ok(start.elapsed())
    }

    /// The server's clock, milliseconds since 1970.
    ///
    /// # Errors
    /// If Redis does not answer, or this user may not ask.
    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub async fn time_ms(&self) -> Result<i64, CacheError> {
        let (seconds, micros): (i64, i64) = self.command(redis::cmd("TIME")).await?;
        Ok(seconds.saturating_mul(1000).saturating_add(micros / 1000))
    }

    /// Writes a key for some seconds, reads it, and removes it.
    ///
    /// # Errors
    /// If any of these is refused, or what was read is not what was written.
    pub async fn write_and_read(&self, key: &str) -> Result<(), CacheError> {
        monitor::write_and_read(self, key).await
    }

    /// Whether a user may run a command with these arguments.
    ///
    /// # Errors
    /// If Redis does not answer.
    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub async fn right_of(&self, user: &str, command: &[&str]) -> Result<Right, CacheError> {
        let ask = redis::cmd("ACL").arg("DRYRUN").arg(user).arg(command).to_owned();
        match self.command::<String>(ask).await {
            Ok(said) if said == "OK" => Ok(Right::Granted),
            Ok(said) => Ok(Right::Refused(said)),
            Err(error) if error.what().contains("not found") => Ok(Right::NoUser),
            // NOPERM, or an unknown subcommand.
            Err(error) if matches!(error.kind(), CacheErrorKind::Denied | CacheErrorKind::Other) => {
                Ok(Right::Unknown)
            }
            Err(error) => Err(error),
        }
    }
}
