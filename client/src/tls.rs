//! Who is trusted at the other end of a TLS connection.

use std::{fmt, fs, io, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem, pem::PemObject},
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
    /// The file of the CAs cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It holds something that is no certificate.
    Certificate {
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
    pub fn from_ca_file(path: impl Into<PathBuf>, name: Option<&str>) -> Result<Self, TlsError> {
        let path = path.into();
        let wrong = |problem: String| TlsError::Certificate { path: path.clone(), problem };
        let text = fs::read(&path).map_err(|error| TlsError::Read { path: path.clone(), error })?;
        let found = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<Vec<_>, pem::Error>>()
            .map_err(|error| wrong(error.to_string()))?;
        if found.is_empty() {
            return Err(wrong("there is no certificate in it".to_owned()));
        }
        let mut roots = RootCertStore::empty();
        for certificate in found {
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
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
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), name })
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => {
                write!(f, "{}: cannot read it: {error}; it must hold the CA's certificate", path.display())
            }
            Self::Certificate { path, problem } => {
                write!(f, "{}: {problem}; it must hold certificates in PEM", path.display())
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
            Self::Certificate { .. } => None,
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
