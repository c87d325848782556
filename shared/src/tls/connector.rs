//! Connections to gateways by http and https, for those who ask them.

use std::path::Path;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore};

use super::{FileError, Trust, client, provider};

/// Makes connections: with TLS, whose server an authority vouches for (that of `ca`, else those of the system), or without;
/// by HTTP/2 or HTTP/1.1, each within a time.
///
/// # Errors
/// If the authority's file cannot be used.
pub fn connector(
    https: bool,
    ca: Option<&Path>,
    http2: bool,
    timeout: Duration,
) -> Result<HttpsConnector<HttpConnector>, FileError> {
    let mut plain = HttpConnector::new();
    plain.set_nodelay(true);
    plain.set_connect_timeout(Some(timeout));
    plain.enforce_http(false);
    let config = if https { client("https", Trust::Full, ca, None)? } else { nobody()? };
    let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    Ok(if http2 {
        builder.enable_http2().wrap_connector(plain)
    } else {
        builder.enable_http1().wrap_connector(plain)
    })
}

/// TLS with nobody, where there is none.
fn nobody() -> Result<ClientConfig, FileError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| FileError {
            what: error.to_string(),
            remedy: "this is a mistake of the program; report it",
        })?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
