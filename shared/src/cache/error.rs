//! Errors of the cache.

/// Closed set of kinds, also a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheErrorKind {
    /// No connection, or it broke.
    Unreachable,
    /// The server refused the user, the password or the command.
    Denied,
    /// A time limit passed.
    Timeout,
    /// The address or another setting does not fit.
    Settings,
    /// The server has no room and evicts nothing.
    Full,
    /// Another writer took over, or the fence is gone: see `cache::redis::lease`.
    LeaseLost,
    /// Anything else the server reported.
    Other,
}

/// A failure of the cache, in plain words with the next step.
#[derive(Debug, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct CacheError {
    kind: CacheErrorKind,
    what: String,
    remedy: String,
    #[source]
    cause: Option<redis::RedisError>,
}

impl CacheError {
    pub(super) fn new(kind: CacheErrorKind, what: String, remedy: &str) -> Self {
        Self { kind, what, remedy: remedy.to_owned(), cause: None }
    }

    pub(super) fn settings(what: String, remedy: &str) -> Self {
        Self::new(CacheErrorKind::Settings, what, remedy)
    }

    pub(super) fn file(error: &crate::tls::FileError) -> Self {
        Self::settings(error.what.clone(), error.remedy)
    }

    pub(super) fn timeout(what: String) -> Self {
        let remedy = "check the server's load (redis-cli --latency), or raise redis.command_timeout";
        Self::new(CacheErrorKind::Timeout, what, remedy)
    }

    /// What happened, with place and value.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The next step.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> CacheErrorKind {
        self.kind
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, CacheErrorKind::Unreachable | CacheErrorKind::Timeout)
    }
}

impl From<redis::RedisError> for CacheError {
    fn from(cause: redis::RedisError) -> Self {
        if let Some((what, remedy)) = crate::tls::explain("redis", &cause) {
            let (kind, what) = (CacheErrorKind::Denied, format!("redis: {what}"));
            return Self { kind, what, remedy, cause: Some(cause) };
        }
        let code = cause.code().unwrap_or_default().to_owned();
        let (kind, remedy) = match code.as_str() {
            "NOAUTH" | "WRONGPASS" | "NOPERM" => {
                (CacheErrorKind::Denied, "check user and password in redis.url and the user's ACL rights")
            }
            "OOM" => (CacheErrorKind::Full, "set maxmemory-policy to allkeys-lru, or raise maxmemory"),
            _ if cause.is_timeout() => {
                (CacheErrorKind::Timeout, "check the server's load, or raise redis.command_timeout")
            }
            _ if cause.is_io_error() || cause.is_connection_dropped() || cause.is_connection_refusal() => (
                CacheErrorKind::Unreachable,
                "check that redis-server runs and that redis.url names its address",
            ),
            _ if matches!(cause.kind(), redis::ErrorKind::AuthenticationFailed) => {
                (CacheErrorKind::Denied, "check user and password in redis.url")
            }
            _ => (CacheErrorKind::Other, "see the server's log"),
        };
        Self { kind, what: format!("redis: {cause}"), remedy: remedy.to_owned(), cause: Some(cause) }
    }
}
