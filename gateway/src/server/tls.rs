//! TLS towards clients: certificates that can be replaced while connections are served.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use shared::config::TlsSettings;
use shared::tls::{FileError, authorities, certificates, private_key, provider};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What a client may choose from, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS of all listeners. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tls {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: TlsSettings,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// As the settings say; `None` without a certificate.
    ///
    /// # Errors
    /// If a file cannot be used, or certificate and key do not belong together.
    pub fn load(settings: &TlsSettings) -> Result<Option<Self>, FileError> {
        let Some(config) = read(settings)? else { return Ok(None) };
        let inner = Inner { settings: settings.clone(), current: RwLock::new(Arc::new(config)) };
        Ok(Some(Self { inner: Arc::new(inner) }))
    }

    /// Reads the files again; connections from now on have the new certificate, those there are keep theirs.
    ///
    /// # Errors
    /// As [`Tls::load`]; then everything stays as it was.
    pub fn reload(&self) -> Result<(), FileError> {
        if let Some(config) = read(&self.inner.settings)? {
            *self.inner.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        }
        Ok(())
    }

    /// Greets a client, within the time limit.
    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> std::io::Result<TlsStream<S>> {
        let config = Arc::clone(&self.inner.current.read().unwrap_or_else(PoisonError::into_inner));
        let greeting = TlsAcceptor::from(config).accept(stream);
        tokio::time::timeout(self.limit(), greeting).await?
    }

    fn limit(&self) -> Duration {
        self.inner.settings.handshake_timeout
    }
}

fn read(settings: &TlsSettings) -> Result<Option<ServerConfig>, FileError> {
    let Some((certificate, key)) = settings.files() else { return Ok(None) };
    let chain = certificates("tls.certificate", certificate)?;
    let key = private_key("tls.key", key)?;
    let bad = |error: &dyn std::fmt::Display| FileError {
        what: format!("tls.certificate and tls.key cannot be used: {error}"),
        remedy: "give the key that belongs to the first certificate of the file",
    };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities("tls.client_ca", path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| bad(&error))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| bad(&error))?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Some(config))
}
