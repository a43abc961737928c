//! HTTPS to etcd, whose certificates come from a CA of the operator's.

use std::{fs::File, io::Read, path::Path, path::PathBuf, sync::Arc};

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::error::OptionsError;

/// No file of certificates is larger than this.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// The files that HTTPS needs.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificates of the CA that etcd's own are checked against; no other counts.
    pub ca: PathBuf,
    /// Our certificate and its key, where etcd asks for one (`--client-cert-auth`).
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// As the HTTP client takes it.
    pub(crate) fn load(&self) -> Result<TlsConfig, OptionsError> {
        let roots = certificates(&self.ca)?;
        let client = match &self.identity {
            None => None,
            Some((certificate, key)) => {
                Some(ClientCert::new_with_certs(&certificates(certificate)?, private_key(key)?))
            }
        };
        Ok(TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            // Chosen by name: what other crates have made the process's default is not asked.
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&roots))
            .client_cert(client)
            .build())
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, OptionsError> {
    let mut found = Vec::new();
    for item in parse_pem(&read(path)?) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| bad(path, error.to_string()))? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(bad(path, "no certificate in it".to_owned()));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKey<'static>, OptionsError> {
    PrivateKey::from_pem(&read(path)?).map_err(|error| bad(path, format!("no private key in it: {error}")))
}

fn read(path: &Path) -> Result<Vec<u8>, OptionsError> {
    let io = |source| OptionsError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(bad(path, format!("more than {PEM_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn bad(path: &Path, what: String) -> OptionsError {
    OptionsError::Pem { path: path.to_owned(), what }
}
