//! A certificate authority of one's own.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// An authority that signs certificates; its files go when it is dropped.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// Files of a certificate and of its private key, in PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one, which nobody knows yet.
    ///
    /// # Panics
    /// When there is no temp folder.
    #[must_use]
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("hotshelf-ca-").expect("a temp folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are no problem");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of tests");
        let key = KeyPair::generate().expect("a key");
        let own = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), own.pem()).expect("a file in a temp folder");
        Self { folder, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A folder that lasts as long as the authority.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Signs a certificate for host names and addresses, into files of this name; those there before are replaced.
    ///
    /// # Panics
    /// When a name is none, or a file cannot be written.
    #[must_use]
    pub fn issue(&self, file: &str, names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).expect("host names");
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("a certificate");
        let [certificate, key_file] =
            ["pem", "key"].map(|extension| self.folder.path().join(format!("{file}.{extension}")));
        std::fs::write(&certificate, signed.pem()).expect("a file in a temp folder");
        std::fs::write(&key_file, key.serialize_pem()).expect("a file in a temp folder");
        Certificate { certificate, key: key_file }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
