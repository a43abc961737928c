//! Who is trusted at the other end of a TLS connection.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName, pem, pem::PemObject},
};

/// TLS 1.3 with a server whose certificate one of some CAs has signed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    /// What the certificate must be for; `None`: the address that is connected to.
    pub(crate) name: Option<ServerName<'static>>,
}

/// Why no TLS connection can be made with what was given.
#[derive(Debug)]
pub enum TlsError {
    /// A file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file holds something else than it must.
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A certificate cannot be for a server of this name.
    Name {
        /// The name.
        name: String,
        /// Why.
        error: InvalidDnsNameError,
    },
    /// The library has none of the versions.
    Versions(rustls::Error),
}

impl Tls {
    /// Trusts the CAs in a PEM file. The server's certificate must be for `name`, a DNS name or an address; without one, for the
    /// address that is connected to.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_ca_file(path: impl AsRef<Path>, name: Option<&str>) -> Result<Self, TlsError> {
        Self::from_files(path, name, None)
    }

    /// The same, and shows a certificate of our own to a server that asks for one (mutual TLS): files of the certificate, with
    /// those between it and the CA, and of its key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_files(
        ca: impl AsRef<Path>,
        name: Option<&str>,
        own: Option<(&Path, &Path)>,
    ) -> Result<Self, TlsError> {
        let ca = ca.as_ref();
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca)? {
            roots.add(certificate).map_err(|error| wrong(ca, &error))?;
        }
        let name = name
            .map(|name| {
                ServerName::try_from(name.to_owned())
                    .map_err(|error| TlsError::Name { name: name.to_owned(), error })
            })
            .transpose()?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Versions)?
            .with_root_certificates(roots);
        let config = match own {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let key_of = |key_bytes: &[u8]| {
                    PrivateKeyDer::from_pem_slice(key_bytes).map_err(|error| wrong(key, &error))
                };
                config
                    .with_client_auth_cert(chain, key_of(&read(key)?)?)
                    .map_err(|error| wrong(certificate, &error))?
            }
        };
        Ok(Self { config: Arc::new(config), name })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Read { path: path.to_owned(), error })
}

fn wrong(path: &Path, problem: &dyn fmt::Display) -> TlsError {
    TlsError::Content { path: path.to_owned(), problem: problem.to_string() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(|error| wrong(path, &error))?;
    if found.is_empty() {
        return Err(wrong(path, &"there is no certificate in it"));
    }
    Ok(found)
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => {
                write!(f, "{}: cannot read it: {error}", path.display())
            }
            Self::Content { path, problem } => {
                write!(
                    f,
                    "{}: {problem}; certificates and keys are in PEM, and a key is its certificate's",
                    path.display()
                )
            }
            Self::Name { name, error } => {
                write!(f, "\"{name}\" is no name of a server: {error}; give a DNS name or an address")
            }
            Self::Versions(error) => write!(f, "TLS: {error}"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { error, .. } => Some(error),
            Self::Name { error, .. } => Some(error),
            Self::Versions(error) => Some(error),
            Self::Content { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_ca_file_is_named() {
        let dir = std::env::temp_dir().join(format!("client-tls-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join("ca.pem");
        let said = |name| Tls::from_ca_file(&file, name).unwrap_err().to_string();
        assert!(said(None).contains("ca.pem") && said(None).contains("cannot read"));
        fs::write(&file, "words").unwrap();
        assert!(said(None).contains("no certificate"));
        fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(said(None).contains("PEM"), "{}", said(None));
        fs::remove_dir_all(&dir).unwrap();
    }
}
