//! TLS of what the gateway's clients connect to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::checker::{Checker, SECOND};
use super::raw;

/// Settings of TLS. Without a certificate there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Certificate of the server in PEM, followed by those that lead to its authority.
    pub certificate: Option<PathBuf>,
    /// Its private key in PEM.
    pub key: Option<PathBuf>,
    /// Authorities in PEM; if given, only clients with a certificate of one of them are served.
    pub client_ca: Option<PathBuf>,
    /// For a handshake.
    pub handshake_timeout: Duration,
}

impl TlsSettings {
    /// Files of certificate and key, if there is TLS.
    #[must_use]
    pub fn files(&self) -> Option<(&Path, &Path)> {
        Some((self.certificate.as_deref()?, self.key.as_deref()?))
    }
}

pub(super) fn check(raw: raw::Tls, checker: &mut Checker) -> TlsSettings {
    checker.pair(("tls.certificate", raw.certificate.as_deref()), ("tls.key", raw.key.as_deref()));
    if raw.client_ca.is_some() && raw.certificate.is_none() {
        let what = "clients have no certificates without TLS; set tls.certificate and tls.key, too";
        checker.problem("tls.client_ca", what.to_owned());
    }
    TlsSettings {
        certificate: raw.certificate,
        key: raw.key,
        client_ca: raw.client_ca,
        handshake_timeout: checker.duration(
            "tls.handshake_timeout",
            raw.handshake_timeout,
            Duration::from_secs(10),
            (100, 600 * SECOND),
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::check::tests::settings;

    #[test]
    fn certificate_and_key_belong_together() {
        let places = |text: &str| {
            let error = settings(text).unwrap_err();
            error.problems.into_iter().map(|problem| problem.place).collect::<Vec<_>>()
        };
        assert_eq!(places("[tls]\ncertificate = \"c\""), ["tls.key"]);
        assert_eq!(places("[tls]\nkey = \"k\"\nclient_ca = \"a\""), ["tls.certificate", "tls.client_ca"]);
        assert_eq!(places("[redis]\ncertificate = \"c\""), ["redis.key"]);
        assert_eq!(places("[postgres]\nkey = \"k\""), ["postgres.certificate"]);
        let both = settings("[tls]\ncertificate = \"c\"\nkey = \"k\"").unwrap().tls;
        assert!(both.files().is_some());
        assert!(settings("").unwrap().tls.files().is_none());
    }
}
