//! TLS between an exchange and its clients: what a listener shows, whom it lets in, and certificates to try it with.
//!
//! TLS 1.3 alone, as on the link between nodes. The exchange's certificate comes from whichever CA its clients trust; with a
//! CA for clients in [`ServerFiles`], only those come in that have a certificate of it (mutual TLS). That says that a client
//! is one of ours, not which: it still logs in.
//!
//! [`create_trial`] makes files for a trial: a CA of its own, which no cluster knows, a certificate for the exchange and one
//! for a client.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::{Resumption, WebPkiServerVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use webpki::{EndEntityCert, KeyUsage};

use crate::identity::{
    Date, IdentityError, bad, ca_params, certificates, make, read_key, system_time, validity, write,
};

/// How long the certificates of a trial live, the CA's too.
pub const TRIAL_DAYS: u32 = 365;

/// The files of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    /// The exchange's certificate; those between it and its CA follow.
    pub certificate: PathBuf,
    /// Its key, which its owner alone may read.
    pub key: PathBuf,
    /// The CA of clients: who has no certificate of it is not let in. `None`: whoever comes.
    pub client_ca: Option<PathBuf>,
}

/// What [`create_trial`] has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialFiles {
    /// The CA's certificate, which clients trust, and the exchange, for clients' certificates.
    pub ca: PathBuf,
    /// The exchange's certificate and key.
    pub server: (PathBuf, PathBuf),
    /// A client's certificate and key.
    pub client: (PathBuf, PathBuf),
}

/// Reads a listener's files and checks what can be: that they are what they should be and belong to each other, that nobody
/// else may read the key, and that the certificate is valid `now`, for a server.
///
/// # Errors
/// Says which file, and what is wrong with it.
pub fn server_config(files: &ServerFiles, now: SystemTime) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(&files.certificate).map_err(text)?;
    check(&files.certificate, &chain, now)?;
    let key = key(&files.key)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| error.to_string())?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(ca)?, provider)
                .build()
                .map_err(|error| format!("{}: {error}", ca.display()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("{} is not the key of {}", files.key.display(), files.certificate.display())
        }
        other => format!("{}: {other}", files.key.display()),
    })?;
    // Nothing is kept of a client that is gone: each connection shakes hands anew.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The settings of a client that trusts the CA in `ca`, with a certificate and key of its own if it is to show one.
///
/// # Errors
/// Says which file, and what is wrong with it.
pub fn client_config(ca: &Path, own: Option<(&Path, &Path)>) -> Result<Arc<ClientConfig>, String> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(ca)?, Arc::clone(&provider))
        .build()
        .map_err(|error| format!("{}: {error}", ca.display()))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| error.to_string())?
        .with_webpki_verifier(verifier);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, path)) => builder
            .with_client_auth_cert(certificates(certificate).map_err(text)?, key(path)?)
            .map_err(|error| format!("{}: {error}", path.display()))?,
    };
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Makes, in `dir`, a CA, a certificate for an exchange that clients reach as `name` or on this machine, and one for a
/// client. For trials: whoever has ca.key makes clients.
///
/// # Errors
/// When the directory has a CA, `name` cannot be in a certificate, or a file cannot be written.
pub fn create_trial(dir: &Path, name: &str, now: SystemTime) -> Result<TrialFiles, IdentityError> {
    let file = |name: &str, extension: &str| dir.join(format!("{name}.{extension}"));
    let pair = |name: &str| (file(name, "pem"), file(name, "key"));
    let (ca, server, client) = (pair("ca"), pair("server"), pair("client"));
    for path in [&ca.0, &ca.1, &server.0, &server.1, &client.0, &client.1] {
        if path.exists() {
            return Err(IdentityError::Taken(path.clone()));
        }
    }
    let mut names = vec![name.to_owned()];
    names.extend(
        ["localhost", "127.0.0.1", "::1"].map(ToOwned::to_owned).into_iter().filter(|own| own != name),
    );
    let server_params = leaf(names, name, ExtendedKeyUsagePurpose::ServerAuth, now)?;
    let client_params = leaf(Vec::new(), "client", ExtendedKeyUsagePurpose::ClientAuth, now)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| IdentityError::Io {
        action: "make",
        path: dir.to_owned(),
        source,
    })?;
    let ca_key = KeyPair::generate().map_err(make)?;
    let mut params = ca_params(&ca_key, "trial", now);
    (params.not_before, params.not_after) = validity(now, TRIAL_DAYS);
    let certificate = params.self_signed(&ca_key).map_err(make)?;
    write(&ca.1, 0o600, &ca_key.serialize_pem())?;
    write(&ca.0, 0o644, &certificate.pem())?;
    let issuer = Issuer::new(params, ca_key);
    for (files, params) in [(&server, server_params), (&client, client_params)] {
        let key = KeyPair::generate().map_err(make)?;
        let certificate = params.signed_by(&key, &issuer).map_err(make)?;
        write(&files.1, 0o600, &key.serialize_pem())?;
        write(&files.0, 0o644, &certificate.pem())?;
    }
    Ok(TrialFiles { ca: ca.0, server, client })
}

fn leaf(
    names: Vec<String>,
    common_name: &str,
    usage: ExtendedKeyUsagePurpose,
    now: SystemTime,
) -> Result<CertificateParams, IdentityError> {
    let mut params = CertificateParams::new(names).map_err(make)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = validity(now, TRIAL_DAYS);
    Ok(params)
}

/// Whether a certificate can be shown by a server now. Who has signed it is its clients' to judge.
fn check(path: &Path, chain: &[CertificateDer<'_>], now: SystemTime) -> Result<(), String> {
    let wrong = |error: webpki::Error| format!("{}: {error}", path.display());
    let certificate = EndEntityCert::try_from(&chain[0]).map_err(wrong)?;
    let at = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
    let verdict = certificate.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &[],
        &chain[1..],
        at,
        KeyUsage::server_auth(),
        None,
        None,
    );
    match verdict {
        // Its dates and its purpose are looked at before its CA is, and there is none here.
        Ok(_) | Err(webpki::Error::UnknownIssuer) => Ok(()),
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            Err(format!("{} expired on {}: get a new one", path.display(), Date(system_time(not_after))))
        }
        Err(other) => Err(wrong(other)),
    }
}

fn roots(path: &Path) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for root in certificates(path).map_err(text)? {
        roots.add(root).map_err(|error| format!("{}: no certificate of a CA: {error}", path.display()))?;
    }
    Ok(Arc::new(roots))
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read_key(path).map_err(text)?;
    PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|error| text(bad(path, format!("no private key in it: {error}"))))
}

/// Without the advice for a cluster's files, which come from elsewhere.
fn text(error: IdentityError) -> String {
    match error {
        IdentityError::Pem { path, what } => format!("{}: {what}", path.display()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    use super::*;

    fn trial() -> (tempfile::TempDir, TrialFiles) {
        let dir = tempfile::tempdir().expect("a directory");
        let files = create_trial(dir.path(), "localhost", SystemTime::now()).expect("files");
        (dir, files)
    }

    fn of(files: &TrialFiles) -> ServerFiles {
        let (certificate, key) = files.server.clone();
        ServerFiles { certificate, key, client_ca: Some(files.ca.clone()) }
    }

    #[test]
    fn what_a_trial_gets_can_be_used_and_its_keys_are_its_owners() {
        let (_dir, files) = trial();
        server_config(&of(&files), SystemTime::now()).expect("a listener");
        client_config(&files.ca, Some((&files.client.0, &files.client.1))).expect("a client");
        for key in [&files.server.1, &files.client.1, &files.ca.with_extension("key")] {
            let mode = fs::metadata(key).expect("a key").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", key.display());
        }
    }

    #[test]
    fn a_directory_with_a_ca_is_left_alone() {
        let (dir, files) = trial();
        let before = fs::read(&files.ca).expect("a CA");
        let error = create_trial(dir.path(), "localhost", SystemTime::now()).expect_err("taken").to_string();
        assert!(error.contains("ca.pem is there already"), "{error}");
        assert_eq!(fs::read(&files.ca).expect("a CA"), before);
    }

    #[test]
    fn files_that_cannot_serve_are_named() {
        let (_dir, files) = trial();
        let now = SystemTime::now();
        let refused = |files: &ServerFiles, now| server_config(files, now).expect_err("it cannot serve");
        let late = now + Duration::from_secs(u64::from(TRIAL_DAYS) * 86_400 + 7_200);
        assert!(
            refused(&of(&files), late).contains("server.pem expired on"),
            "{}",
            refused(&of(&files), late)
        );
        let early = now - Duration::from_secs(86_400);
        assert!(refused(&of(&files), early).contains("server.pem"), "{}", refused(&of(&files), early));
        let swapped = ServerFiles { key: files.client.1.clone(), ..of(&files) };
        assert!(refused(&swapped, now).contains("is not the key of"), "{}", refused(&swapped, now));
        let purpose =
            ServerFiles { certificate: files.client.0.clone(), key: files.client.1.clone(), client_ca: None };
        assert!(refused(&purpose, now).contains("client.pem"), "{}", refused(&purpose, now));
        let no_key = ServerFiles { key: files.server.0.clone(), ..of(&files) };
        let text = refused(&no_key, now);
        assert!(text.contains("server.pem has mode 0644"), "{text}");
        fs::set_permissions(&files.server.1, fs::Permissions::from_mode(0o640)).expect("a mode");
        let text = refused(&of(&files), now);
        assert!(text.contains("has mode 0640"), "{text}");
        let missing = ServerFiles { client_ca: Some("/nowhere/ca.pem".into()), ..of(&files) };
        fs::set_permissions(&files.server.1, fs::Permissions::from_mode(0o600)).expect("a mode");
        assert!(refused(&missing, now).contains("/nowhere/ca.pem"));
    }
}
