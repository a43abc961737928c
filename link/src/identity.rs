//! Who a node is: a key of its own, a certificate with its name, and the CA of its cluster.
//!
//! [`create`] makes, in one directory, what a cluster needs, with the files named so:
//!
//! | file | what it is | who needs it |
//! |---|---|---|
//! | `ca.pem` | the CA's certificate | every node |
//! | `ca.key` | the CA's key, which makes more certificates | nobody, to run; to be kept elsewhere |
//! | `NODE.pem`, `NODE.key` | a node's certificate and key | that node |
//!
//! A certificate says its node's name as a DNS name and serves for both ends of a link. Nothing else is looked at:
//! there is no name of a host or an address in it, so that a node may move.
//!
//! [`Identity::load`] refuses what would fail later, in the hour of a failover, or never be noticed: a key that
//! others can read, a certificate that has expired, is another node's or of another CA.

use std::{
    fmt, fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::{Resumption, WebPkiServerVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer, TrustAnchor, UnixTime,
        pem::{self, PemObject},
    },
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use time::OffsetDateTime;
use webpki::{EndEntityCert, KeyUsage};

/// What both ends must name as their protocol, so that no other TLS of the same CA is taken for a link.
pub(crate) const PROTOCOL: &[u8] = b"fulcrum-link/1";

/// How long a new CA lives. It begins an hour in the past, for clocks that are behind.
pub const CA_DAYS: u32 = 20 * 365;
/// How long a node's new certificate lives. It begins as the CA does.
pub const NODE_DAYS: u32 = 5 * 365;

/// No file of certificates or keys is larger than this.
const PEM_BYTES_MAX: u64 = 64 * 1024;
/// No file has more certificates.
const CERTIFICATES_MAX: usize = 16;
/// A node's name is no longer than this; DNS has no longer labels.
const NAME_BYTES_MAX: usize = 63;

/// The name of the CA's files.
const CA: &str = "ca";
/// Whose CA it is, as its name says.
const CLUSTER: &str = "cluster";

/// What is wrong with an identity or with making one. Each says which file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// An operation of the filesystem failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A name that cannot be a node's.
    #[error("\"{name}\" cannot be a node's name: {what}")]
    Name {
        /// As it was given.
        name: String,
        /// Why not.
        what: &'static str,
    },
    /// There is nothing to make.
    #[error("no node is named")]
    NoNodes,
    /// A file that would be made is there.
    #[error(
        "{0} is there already, and is never overwritten: to give the node a new certificate, remove its .pem and .key first"
    )]
    Exists(PathBuf),
    /// The directory has one half of a CA.
    #[error(
        "{there} is there and {missing} is not: certificates are made where both are, or from neither, in a new directory"
    )]
    HalfCa {
        /// The half that is there.
        there: PathBuf,
        /// The other.
        missing: PathBuf,
    },
    /// The two halves of the CA do not belong together, or are of another making.
    #[error(
        "{key} cannot make certificates that {certificate} vouches for: {what}. They must come from the same `exchange keys`"
    )]
    OtherCa {
        /// The CA's key.
        key: PathBuf,
        /// The CA's certificate.
        certificate: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Certificates for a trial are made into a directory that has none.
    #[error("{0} is there already: a trial gets a CA of its own, so name a new directory")]
    Taken(PathBuf),
    /// A certificate or key could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(String),
    /// A file is no certificate or no key.
    #[error("{path}: {what}. Copy it again from where `exchange keys` made it")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Others than the owner have rights on a key.
    #[error(
        "{path} has mode {mode:04o}: others than its owner can get at the key. Run chmod 600 {path}; if others may have read it, make a new one"
    )]
    Exposed {
        /// The key.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A certificate is too old.
    #[error("{path} expired on {}. Where ca.key is, remove the node's .pem and .key and run `exchange keys` again", Date(*.expired))]
    Expired {
        /// Which.
        path: PathBuf,
        /// Its last moment.
        expired: SystemTime,
    },
    /// A certificate is too young.
    #[error("{path} is valid from {} on. Is this machine's clock right?", Date(*.begins))]
    NotYetValid {
        /// Which.
        path: PathBuf,
        /// Its first moment.
        begins: SystemTime,
    },
    /// The CA has not signed the certificate.
    #[error("{certificate} is not of the CA in {ca}: {what}. Both must come from the same `exchange keys`")]
    Foreign {
        /// The certificate.
        certificate: PathBuf,
        /// The CA.
        ca: PathBuf,
        /// What the check says.
        what: String,
    },
    /// The key is another one's.
    #[error("{key} is not the key of {certificate}. Both must come from the same run of `exchange keys`")]
    OtherKey {
        /// The key.
        key: PathBuf,
        /// The certificate.
        certificate: PathBuf,
    },
    /// The certificate is of another node.
    #[error("{certificate} {found}, and this node is \"{expected}\"")]
    OtherNode {
        /// The certificate.
        certificate: PathBuf,
        /// What it says.
        found: String,
        /// Who should be in it.
        expected: String,
    },
}

/// What [`create`] has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The CA was made as well; otherwise the one that was there has signed.
    pub new_ca: bool,
    /// The CA's certificate and key.
    pub ca: (PathBuf, PathBuf),
    /// For each node its name, certificate and key.
    pub nodes: Vec<(String, PathBuf, PathBuf)>,
}

/// Makes certificates and keys for these nodes in `dir`, and the cluster's CA if it is not there. `dir` is made if
/// needed. Nothing that is there is overwritten. Keys get mode 0600.
///
/// # Errors
/// When a name cannot be, a file is there, or cannot be written. Then files that were made before stay.
pub fn create(dir: &Path, nodes: &[impl AsRef<str>], now: SystemTime) -> Result<Created, IdentityError> {
    if nodes.is_empty() {
        return Err(IdentityError::NoNodes);
    }
    for (index, node) in nodes.iter().enumerate() {
        let name = node.as_ref();
        check_name(name)?;
        if nodes[..index].iter().any(|other| other.as_ref() == name) {
            return Err(IdentityError::Name { name: name.to_owned(), what: "it is given twice" });
        }
        // All of them before any is made.
        let files = Files::of(dir, name);
        for path in [files.certificate, files.key] {
            if path.exists() {
                return Err(IdentityError::Exists(path));
            }
        }
    }
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |source| IdentityError::Io { action, path, source }
    };
    if !dir.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io("make", dir))?;
    }
    let (ca_pem, ca_key) = (dir.join("ca.pem"), dir.join("ca.key"));
    let new_ca = match (ca_pem.exists(), ca_key.exists()) {
        (true, true) => false,
        (false, false) => {
            let key = KeyPair::generate().map_err(make)?;
            let certificate = ca_params(&key, CLUSTER, now).self_signed(&key).map_err(make)?;
            write(&ca_key, 0o600, &key.serialize_pem())?;
            write(&ca_pem, 0o644, &certificate.pem())?;
            true
        }
        (true, false) => return Err(IdentityError::HalfCa { there: ca_pem, missing: ca_key }),
        (false, true) => return Err(IdentityError::HalfCa { there: ca_key, missing: ca_pem }),
    };
    let text = String::from_utf8(read_key(&ca_key)?)
        .map_err(|error| IdentityError::Pem { path: ca_key.clone(), what: error.to_string() })?;
    let key = KeyPair::from_pem(&text)
        .map_err(|error| IdentityError::Pem { path: ca_key.clone(), what: error.to_string() })?;
    let issuer = Issuer::new(ca_params(&key, CLUSTER, now), key);
    let roots = anchors(&ca_pem)?;
    let mut made = Vec::with_capacity(nodes.len());
    for node in nodes {
        let name = node.as_ref();
        let files = Files::of(dir, name);
        let key = KeyPair::generate().map_err(make)?;
        let certificate = node_params(name, now)?.signed_by(&key, &issuer).map_err(make)?;
        // The CA's name and key are ours only if ca.pem is of the same making: what it would not vouch for is not
        // written.
        check(certificate.der(), &[], &roots, now).map_err(|error| IdentityError::OtherCa {
            key: ca_key.clone(),
            certificate: ca_pem.clone(),
            what: error.to_string(),
        })?;
        write(&files.key, 0o600, &key.serialize_pem())?;
        write(&files.certificate, 0o644, &certificate.pem())?;
        made.push((name.to_owned(), files.certificate, files.key));
    }
    // The names of the files are safe, too.
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("sync", dir))?;
    Ok(Created { new_ca, ca: (ca_pem, ca_key), nodes: made })
}

/// The files of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The CA's certificate; several, while a cluster changes from one CA to another.
    pub ca: PathBuf,
    /// The node's certificate; certificates between it and the CA may follow.
    pub certificate: PathBuf,
    /// The node's key.
    pub key: PathBuf,
}

impl Files {
    /// As [`create`] names them.
    pub fn of(dir: &Path, node: &str) -> Self {
        let file = |name: &str, extension: &str| dir.join(format!("{name}.{extension}"));
        Self { ca: file(CA, "pem"), certificate: file(node, "pem"), key: file(node, "key") }
    }
}

/// A node's identity, checked and ready for links. Cheap to clone. It does not show its key.
#[derive(Clone)]
pub struct Identity {
    node: String,
    expires: SystemTime,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Identity {
    /// Reads the identity of `node`. `now` is what its validity is judged by; peers are judged by the system's clock.
    ///
    /// # Errors
    /// When a file is missing, is not what it should be, or does not belong to the others.
    pub fn load(files: &Files, node: &str, now: SystemTime) -> Result<Self, IdentityError> {
        check_name(node)?;
        let roots = anchors(&files.ca)?;
        let chain = certificates(&files.certificate)?;
        let own = &chain[0];
        let expires = check(own, &chain[1..], &roots, now).map_err(|error| match error {
            webpki::Error::CertExpired { not_after, .. } => {
                IdentityError::Expired { path: files.certificate.clone(), expired: system_time(not_after) }
            }
            webpki::Error::CertNotValidYet { not_before, .. } => IdentityError::NotYetValid {
                path: files.certificate.clone(),
                begins: system_time(not_before),
            },
            other => IdentityError::Foreign {
                certificate: files.certificate.clone(),
                ca: files.ca.clone(),
                what: other.to_string(),
            },
        })?;
        let named = node_name(own);
        if named.as_deref() != Ok(node) {
            return Err(IdentityError::OtherNode {
                certificate: files.certificate.clone(),
                found: named.map_or_else(|what| what, |name| format!("is of node \"{name}\"")),
                expected: node.to_owned(),
            });
        }
        let key = PrivateKeyDer::from_pem_slice(&read_key(&files.key)?)
            .map_err(|error| bad(&files.key, format!("no private key in it: {error}")))?;
        let provider = Arc::new(ring::default_provider());
        let (client, server) = configurations(&provider, &files.ca, chain.clone(), key.clone_key()).map_err(
            |error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    IdentityError::OtherKey { key: files.key.clone(), certificate: files.certificate.clone() }
                }
                other => bad(&files.key, other.to_string()),
            },
        )?;
        Ok(Self { node: node.to_owned(), expires, client: Arc::new(client), server: Arc::new(server) })
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// When its certificate expires: links that stand go on, and none can be made any more. Worth a warning, long
    /// before.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, expires {})", self.node, Date(self.expires))
    }
}

/// Checks that a name can be a node's: a label as DNS has them, in lower case, that is no other file's.
///
/// # Errors
/// When it cannot.
pub fn check_name(name: &str) -> Result<(), IdentityError> {
    let bad = |what| Err(IdentityError::Name { name: name.to_owned(), what });
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return bad("it must have 1 to 63 characters");
    }
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return bad("only a to z, 0 to 9 and the hyphen may be in it");
    }
    if !name.as_bytes()[0].is_ascii_lowercase() || name.ends_with('-') {
        return bad("it must begin with a letter, and not end with a hyphen");
    }
    if name == CA {
        return bad("the CA's files are named so");
    }
    Ok(())
}

/// The name in a node's certificate.
pub(crate) fn node_name(certificate: &CertificateDer<'_>) -> Result<String, String> {
    let certificate = EndEntityCert::try_from(certificate).map_err(|error| error.to_string())?;
    let mut names = certificate.valid_dns_names();
    match (names.next(), names.next()) {
        (Some(name), None) if check_name(name).is_ok() => Ok(name.to_owned()),
        (Some(name), None) => Err(format!("names {name:?}, which is no node's name")),
        (None, _) => Err("names no node".to_owned()),
        (Some(_), Some(_)) => Err("names several nodes".to_owned()),
    }
}

/// Both ends' settings, if the key is the certificate's: TLS 1.3 alone, a certificate of our CA from both, no tickets
/// and no early data, so that each link begins with a whole handshake.
fn configurations(
    provider: &Arc<CryptoProvider>,
    ca: &Path,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<(ClientConfig, ServerConfig), rustls::Error> {
    let mut roots = RootCertStore::empty();
    for root in certificates(ca).map_err(|error| rustls::Error::General(error.to_string()))? {
        roots.add(root)?;
    }
    let roots = Arc::new(roots);
    let general = |error: &dyn fmt::Display| rustls::Error::General(error.to_string());
    let server_verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider))
            .build()
            .map_err(|error| general(&error))?;
    let mut client = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_webpki_verifier(server_verifier)
        .with_client_auth_cert(chain.clone(), key.clone_key())?;
    client.alpn_protocols = vec![PROTOCOL.to_vec()];
    client.resumption = Resumption::disabled();
    let client_verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| general(&error))?;
    let mut server = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(client_verifier)
        .with_single_cert(chain, key)?;
    server.alpn_protocols = vec![PROTOCOL.to_vec()];
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok((client, server))
}

/// Checks a certificate for both ends' use. Returns its last moment.
fn check(
    certificate: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    roots: &[TrustAnchor<'_>],
    now: SystemTime,
) -> Result<SystemTime, webpki::Error> {
    let certificate = EndEntityCert::try_from(certificate)?;
    let at = |time: UnixTime, usage: KeyUsage| {
        certificate
            .verify_for_usage(webpki::ALL_VERIFICATION_ALGS, roots, between, time, usage, None, None)
            .map(|_| ())
    };
    let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
    at(now, KeyUsage::server_auth())?;
    at(now, KeyUsage::client_auth())?;
    // The library says a certificate's last moment only of one that is past it. So it is asked for the year 10000,
    // which is past all that X.509 can say.
    let far = UnixTime::since_unix_epoch(Duration::from_secs(253_402_300_800));
    match at(far, KeyUsage::server_auth()) {
        Err(webpki::Error::CertExpired { not_after, .. }) => Ok(system_time(not_after)),
        Err(other) => Err(other),
        Ok(()) => Ok(system_time(far)),
    }
}

/// The CA of that key. It says whose it is. Its name comes from the key, so that certificates of two clusters are told apart by name, and
/// so that the key alone gives the name again when it signs another day.
pub(crate) fn ca_params(key: &KeyPair, whose: &str, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    let id: String = params.key_identifier(key).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("fulcrum {whose} CA {id}"));
    // It signs nodes and no other CA.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity(now, CA_DAYS);
    params
}

fn node_params(name: &str, now: SystemTime) -> Result<CertificateParams, IdentityError> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(make)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = validity(now, NODE_DAYS);
    Ok(params)
}

pub(crate) fn validity(now: SystemTime, days: u32) -> (OffsetDateTime, OffsetDateTime) {
    const SKEW: Duration = Duration::from_secs(3_600);
    const DAY_SECONDS: u64 = 86_400;
    let now = OffsetDateTime::from(now);
    (now - SKEW, now + Duration::from_secs(u64::from(days) * DAY_SECONDS))
}

/// The certificates of a CA, as what may be trusted.
fn anchors(path: &Path) -> Result<Vec<TrustAnchor<'static>>, IdentityError> {
    certificates(path)?
        .iter()
        .map(|certificate| {
            webpki::anchor_from_trusted_cert(certificate)
                .map(|anchor| anchor.to_owned())
                .map_err(|error| bad(path, format!("no certificate of a CA: {error}")))
        })
        .collect()
}

/// The certificates in a file: at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let file = fs::File::open(path).map_err(|source| IdentityError::Io {
        action: "open",
        path: path.to_owned(),
        source,
    })?;
    let found = CertificateDer::pem_slice_iter(&read(path, file)?)
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(|error| bad(path, error.to_string()))?;
    match found.len() {
        0 => Err(bad(path, "no certificate in it".to_owned())),
        1..=CERTIFICATES_MAX => Ok(found),
        many => Err(bad(path, format!("{many} certificates in it"))),
    }
}

/// A key's file, if nobody but its owner can get at it.
pub(crate) fn read_key(path: &Path) -> Result<Vec<u8>, IdentityError> {
    let io = |action| move |source| IdentityError::Io { action, path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(io("open"))?;
    // Asked of the open file: the one at this path may be another by now.
    let mode = file.metadata().map_err(io("look at"))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Exposed { path: path.to_owned(), mode });
    }
    read(path, file)
}

fn read(path: &Path, file: fs::File) -> Result<Vec<u8>, IdentityError> {
    let mut bytes = Vec::new();
    file.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|source| IdentityError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(bad(path, format!("more than {PEM_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// Makes a file that is not there, with its final mode from the beginning, and syncs it.
pub(crate) fn write(path: &Path, mode: u32, text: &str) -> Result<(), IdentityError> {
    let io = |source| IdentityError::Io { action: "write", path: path.to_owned(), source };
    let mut file = match fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(IdentityError::Exists(path.to_owned()));
        }
        Err(error) => return Err(io(error)),
    };
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)
}

pub(crate) fn system_time(time: UnixTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

pub(crate) fn make(error: rcgen::Error) -> IdentityError {
    IdentityError::Make(error.to_string())
}

pub(crate) fn bad(path: &Path, what: String) -> IdentityError {
    IdentityError::Pem { path: path.to_owned(), what }
}

/// A moment as a date, as people read it.
pub(crate) struct Date(pub(crate) SystemTime);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        match i64::try_from(seconds).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok()) {
            Some(time) => write!(f, "{}", time.date()),
            None => write!(f, "second {seconds} of the epoch"),
        }
    }
}
