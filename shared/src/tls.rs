//! TLS by rustls: the files it needs, what a client accepts of a server, and what went wrong in plain words.

mod connector;

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

pub use connector::connector;

/// A file of TLS or of a password that cannot be used; names the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct FileError {
    /// What is wrong, with setting and path.
    pub what: String,
    /// The next step.
    pub remedy: &'static str,
}

/// What a client wants to know of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// An authority vouches for the certificate, and it names the host.
    Full,
    /// An authority vouches for the certificate.
    Authority,
    /// Nothing: nobody can listen, but anybody could answer.
    Anyone,
}

/// The cryptography of all connections.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The bytes of a file that a setting names.
///
/// # Errors
/// If it cannot be read.
pub fn read_file(setting: &str, path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(|error| FileError {
        what: format!("{setting}: {} cannot be read: {error}", path.display()),
        remedy: "check the path, and that this user may read it",
    })
}

/// A password that a file holds, without the line's end.
///
/// # Errors
/// If it cannot be read, is empty or no text.
pub fn read_password(setting: &str, path: &Path) -> Result<String, FileError> {
    let bad = |what: &str| FileError {
        what: format!("{setting}: {} {what}", path.display()),
        remedy: "write the password into it, and nothing else",
    };
    let text = String::from_utf8(read_file(setting, path)?).map_err(|_| bad("is no UTF-8"))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(bad("is empty"));
    }
    Ok(password.to_owned())
}

/// The certificates of a PEM file, one at least.
///
/// # Errors
/// If it cannot be read or has none.
pub fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let bad = |what: String| FileError {
        what: format!("{setting}: {} {what}", path.display()),
        remedy: "give a PEM file with BEGIN CERTIFICATE",
    };
    let pem = read_file(setting, path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = read.map_err(|error| bad(format!("is no PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(bad("has no certificate".to_owned()));
    }
    Ok(certificates)
}

/// The private key of a PEM file.
///
/// # Errors
/// If it cannot be read or has none.
pub fn private_key(setting: &str, path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    PrivateKeyDer::from_pem_slice(&read_file(setting, path)?).map_err(|error| FileError {
        what: format!("{setting}: {} has no private key: {error}", path.display()),
        remedy: "give a PEM file with an unencrypted BEGIN PRIVATE KEY",
    })
}

/// The authorities of a PEM file.
///
/// # Errors
/// If it cannot be read, or one cannot be used.
pub fn authorities(setting: &str, path: &Path) -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(setting, path)? {
        roots.add(certificate).map_err(|error| FileError {
            what: format!("{setting}: {} has a certificate that cannot be used: {error}", path.display()),
            remedy: "give the certificate of the authority that signed the server's",
        })?;
    }
    Ok(roots)
}

/// A client's side: which servers it trusts, and the files of its own certificate and key. `section` names the settings.
///
/// # Errors
/// If a file cannot be used.
pub fn client(
    section: &str,
    trust: Trust,
    ca: Option<&Path>,
    own: Option<(&Path, &Path)>,
) -> Result<ClientConfig, FileError> {
    let provider = provider();
    let bad = |error: rustls::Error| FileError {
        what: format!("{section}: TLS cannot be set up: {error}"),
        remedy: "check that certificate and key belong together",
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(bad)?;
    let webpki = if trust == Trust::Anyone {
        None
    } else {
        let roots = match ca {
            Some(path) => authorities(&format!("{section}.ca"), path)?,
            None => system_authorities(section)?,
        };
        let built =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        Some(built.map_err(|error| bad(rustls::Error::General(error.to_string())))?)
    };
    let verifier = Arc::new(Verifier { trust, webpki, provider });
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    match own {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = certificates(&format!("{section}.certificate"), certificate)?;
            let key = private_key(&format!("{section}.key"), key)?;
            builder.with_client_auth_cert(chain, key).map_err(bad)
        }
    }
}

fn system_authorities(section: &str) -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    // Some that cannot be read do not matter if the right one is among the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(FileError {
            what: format!("{section}: the system has no authorities by which a server could be checked"),
            remedy: "install ca-certificates, or set the section's ca",
        });
    }
    Ok(roots)
}

/// Checks a server's certificate as far as it is wanted. The signature of the handshake is always checked: without it,
/// a password's channel binding would vouch for a certificate whose key the server need not have.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    webpki: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(webpki) = &self.webpki else { return Ok(ServerCertVerified::assertion()) };
        match webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last, so everything else fits.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.trust == Trust::Authority => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What is wrong between client and server, if TLS is behind `error`: what, and the next step.
#[must_use]
pub fn explain(section: &str, error: &(dyn Error + 'static)) -> Option<(String, String)> {
    let told = |what: &str, remedy: &str| Some((what.to_owned(), remedy.replace("{}", section)));
    match cause(error)? {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => told(
                "the server's certificate is of an authority that is not trusted",
                "set {}.ca to the certificate of the authority that signed it",
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => told(
                "the server's certificate is for another name",
                "write a name into {}.url that the certificate has, or have one made for this name",
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                told("the server's certificate has expired", "renew it, and check this machine's clock")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                told("the server's certificate is not valid yet", "check this machine's clock")
            }
            other => told(&format!("the server's certificate is refused: {other}"), "have another one made"),
        },
        rustls::Error::InvalidMessage(_) => told(
            "the server does not speak TLS at this port",
            "correct the port in {}.url, or connect without TLS",
        ),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::HandshakeFailure,
        ) => told(
            "the server refuses this client in the TLS handshake; it may want a certificate",
            "set {}.certificate and {}.key to ones of an authority that the server trusts",
        ),
        other => told(&format!("TLS failed: {other}"), "see the server's log"),
    }
}

/// The error of TLS in a chain of errors. I/O errors and shared errors hide the one inside them from their chain.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref::<rustls::Error>() {
        return Some(found);
    }
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return cause(shared.as_ref());
    }
    match error.downcast_ref::<io::Error>() {
        Some(io) => cause(io.get_ref()?),
        None => cause(error.source()?),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_password("redis.password_file", &path)
        };
        assert_eq!(read(b"se cret\r\n").unwrap(), "se cret");
        assert!(read(b"\n").unwrap_err().to_string().contains("is empty; write the password"));
        let told = read(b"secret\xff").unwrap_err().to_string();
        assert!(told.contains("no UTF-8") && !told.contains("secret"), "{told}");
        let missing = read_password("redis.password_file", &folder.path().join("none")).unwrap_err();
        assert!(missing.to_string().starts_with("redis.password_file: "), "{missing}");
    }

    #[test]
    fn the_cause_is_found_behind_io_errors() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));
        let error: Arc<dyn Error + Send + Sync> = Arc::new(error);
        let (what, remedy) = explain("redis", &error).unwrap();
        assert!(what.contains("not trusted") && remedy.contains("set redis.ca"), "{what}; {remedy}");
        assert_eq!(explain("redis", &io::Error::other("else")), None);
    }
}
