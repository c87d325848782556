//! The address in `postgres.url`, the password that a file holds, and the kind of TLS that both ask for.

use std::fmt::Display;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::PostgresSettings;
use crate::source::{SourceError, SourceErrorKind};
use crate::tls::{self, FileError, Trust};

impl From<FileError> for SourceError {
    fn from(error: FileError) -> Self {
        Self::new(SourceErrorKind::Settings, error.what, error.remedy)
    }
}

/// An address that cannot be read.
pub(super) fn unreadable(error: &dyn Display) -> SourceError {
    SourceError::new(
        SourceErrorKind::Settings,
        format!("postgres.url cannot be read: {error}"),
        "write postgres://user:password@host:port/database",
    )
}

/// Where and how to connect.
pub(super) fn read(settings: &PostgresSettings) -> Result<(Config, MakeRustlsConnect), SourceError> {
    let (mut config, trust) = parse(&settings.url, settings.ca.is_some())?;
    if let Some(path) = &settings.password_file {
        config.password(tls::read_password("postgres.password_file", path)?);
    }
    // What is reached by its number alone has no name to hand over in a handshake.
    if config.get_hosts().is_empty() && trust == Trust::Anyone && config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(SslMode::Disable);
    }
    // Without TLS, its files do not matter.
    let trust = if config.get_ssl_mode() == SslMode::Disable { Trust::Anyone } else { trust };
    let own = settings.certificate.as_deref().zip(settings.key.as_deref());
    let client = tls::client("postgres", trust, settings.ca.as_deref(), own)?;
    Ok((config, MakeRustlsConnect::new(client)))
}

/// As libpq has it, but that an authority without `sslmode` stands for `verify-full`: who names it wants to be sure.
fn parse(url: &str, has_ca: bool) -> Result<(Config, Trust), SourceError> {
    let error = match url.parse::<Config>() {
        Ok(mut config) => {
            let trust = match config.get_ssl_mode() {
                SslMode::Prefer if has_ca && !url.contains("sslmode") => {
                    config.ssl_mode(SslMode::Require);
                    Trust::Full
                }
                SslMode::Require if has_ca => Trust::Authority,
                _ => Trust::Anyone,
            };
            return Ok((config, trust));
        }
        Err(error) => error,
    };
    // The crate does not know these two, so they are what it stumbled over.
    for (mode, trust) in [("sslmode=verify-full", Trust::Full), ("sslmode=verify-ca", Trust::Authority)] {
        if let Some((before, after)) = url.rsplit_once(mode)
            && let Ok(config) = format!("{before}sslmode=require{after}").parse()
        {
            return Ok((config, trust));
        }
    }
    Err(unreadable(&error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn modes_are_libpqs() {
        let modes = [
            ("", SslMode::Prefer, Trust::Anyone),
            ("disable", SslMode::Disable, Trust::Anyone),
            ("prefer", SslMode::Prefer, Trust::Anyone),
            ("require", SslMode::Require, Trust::Anyone),
            ("verify-ca", SslMode::Require, Trust::Authority),
            ("verify-full", SslMode::Require, Trust::Full),
        ];
        for (mode, ssl, trust) in modes {
            let mode = if mode.is_empty() { String::new() } else { format!("sslmode={mode}") };
            let (config, found) = parse(&format!("postgres://u@h:1/d?{mode}"), false).unwrap();
            assert_eq!((config.get_ssl_mode(), found), (ssl, trust), "{mode}");
            assert_eq!(config.get_dbname(), Some("d"));
            let (config, found) = parse(&format!("host=h {mode} user=u dbname=d"), false).unwrap();
            assert_eq!((config.get_ssl_mode(), found), (ssl, trust), "{mode}");
        }
    }

    #[test]
    fn an_authority_is_there_to_be_asked() {
        let of = |url: &str| parse(url, true).unwrap();
        assert_eq!(of("postgres://h/d").1, Trust::Full);
        assert_eq!(of("postgres://h/d").0.get_ssl_mode(), SslMode::Require);
        assert_eq!(of("postgres://h/d?sslmode=require").1, Trust::Authority);
        assert_eq!(of("postgres://h/d?sslmode=prefer").1, Trust::Anyone);
    }

    #[test]
    fn other_modes_are_refused_without_the_password() {
        for url in ["postgres://u:secret@h/d?sslmode=maybe", "host=h password=secret sslmode=verify-all"] {
            let told = parse(url, false).unwrap_err().to_string();
            assert!(told.contains("postgres.url cannot be read") && !told.contains("secret"), "{told}");
        }
    }
}
