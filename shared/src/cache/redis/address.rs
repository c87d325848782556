//! The address in `redis.url`, the password that a file holds, and the files of TLS.

use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates,
};

use super::RedisSettings;
use crate::cache::CacheError;
use crate::tls;

/// Time between two signs of life on a connection that is not used.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Time after which a connection ends whose other side confirms nothing of what was sent.
#[cfg(target_os = "linux")]
const UNHEARD: Duration = Duration::from_secs(10);

/// A client of the server; nothing is connected yet. Files are read and checked now, so that a wrong one is told at the
/// start rather than with the first read.
#[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
pub(super) fn client(settings: &RedisSettings) -> Result<Client, CacheError> {
    let bad_url = |error: redis::RedisError| {
        CacheError::settings(
            format!("redis.url cannot be read: {error}"),
            "write redis://[user:password@]host:port, rediss://… for TLS, or redis+unix:///path",
        )
    };
    let mut info = settings.url.as_str().into_connection_info().map_err(bad_url)?;
    if let Some(path) = &settings.password_file {
        let password =
            tls::read_password("redis.password_file", path).map_err(|error| CacheError::file(&error))?;
        let own = info.redis_settings().clone().set_password(password);
        info = info.set_redis_settings(own);
    }
    info = info.set_tcp_settings(tcp());
    match certificates(settings, &info)? {
        Some(files) => Client::build_with_tls(info, files).map_err(bad_url),
        None => Client::open(info).map_err(bad_url),
    }
}

/// A connection that nothing comes through any more, as behind a firewall that forgot it, ends within seconds, and is made
/// again; one that is not used stays known on its way.
fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    // Commands are written in one piece: waiting for more only delays them.
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(UNHEARD);
    settings
}

/// The files of TLS, if any are set.
fn certificates(
    settings: &RedisSettings,
    info: &ConnectionInfo,
) -> Result<Option<TlsCertificates>, CacheError> {
    let file = |error: tls::FileError| CacheError::file(&error);
    let own = settings.certificate.as_deref().zip(settings.key.as_deref());
    if settings.ca.is_none() && own.is_none() {
        return Ok(None);
    }
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return Err(CacheError::settings(
            "redis.ca or redis.certificate is set, but redis.url asks for no TLS".to_owned(),
            "write rediss:// instead of redis://, with the port of TLS",
        ));
    }
    // The crate reads these bytes again, and is less clear about what is wrong with them.
    tls::client("redis", tls::Trust::Full, settings.ca.as_deref(), own).map_err(file)?;
    let root_cert = settings.ca.as_deref().map(|path| tls::read_file("redis.ca", path));
    let client_tls = match own {
        Some((certificate, key)) => Some(ClientTlsConfig {
            client_cert: tls::read_file("redis.certificate", certificate).map_err(file)?,
            client_key: tls::read_file("redis.key", key).map_err(file)?,
        }),
        None => None,
    };
    Ok(Some(TlsCertificates { client_tls, root_cert: root_cert.transpose().map_err(file)? }))
}
