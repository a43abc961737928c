//! TLS in front of a server that knows nothing of it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use client::{ClientError, Tls, User, soup::Connection};
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use wire::ouch::Inbound;

use crate::server::{Manner, Server};

const PATIENCE: Duration = Duration::from_secs(10);

/// A CA's certificate in a file of its own, which goes when this does.
pub(crate) struct CaFile {
    pub(crate) path: PathBuf,
}

impl Drop for CaFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn file(test: &str, text: &str) -> CaFile {
    let path = std::env::temp_dir().join(format!("client-{test}-{}.pem", std::process::id()));
    std::fs::write(&path, text).unwrap();
    CaFile { path }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for these names, and its key.
fn issued(names: &[&str], ca: &CertifiedIssuer<'static, KeyPair>) -> (Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    (CertificateParams::new(names).unwrap().signed_by(&key, ca).unwrap(), key)
}

/// A CA, and what a server needs that is called so.
pub(crate) fn certified(names: &[&str], test: &str) -> (CaFile, Arc<ServerConfig>) {
    let ca = authority();
    let (certificate, key) = issued(names, &ca);
    let file = file(test, &ca.pem());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (file, Arc::new(config))
}

/// Takes TLS connections, one after the other, and passes on what is in them.
pub(crate) struct Terminator {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Terminator {
    pub(crate) fn start(config: Arc<ServerConfig>, behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                // A client that does not trust us ends the handshake; the next one may.
                let _ = pass_on(stream, &config, behind, &stopped);
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is there to read, if anything; `None` at the end.
fn some(mut from: impl Read, room: &mut [u8]) -> std::io::Result<Option<usize>> {
    match from.read(room) {
        Ok(0) => Ok(None),
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(Some(0)),
        Err(error) => Err(error),
    }
}

fn pass_on(
    outside: TcpStream,
    config: &Arc<ServerConfig>,
    behind: SocketAddr,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let inside = TcpStream::connect(behind)?;
    for stream in [&outside, &inside] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(1)))?;
    }
    let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut outside = rustls::StreamOwned::new(connection, outside);
    let mut room = vec![0; 1 << 14];
    while !stop.load(Ordering::SeqCst) {
        let Some(bytes) = some(&mut outside, &mut room)? else { break };
        (&inside).write_all(&room[..bytes])?;
        let Some(bytes) = some(&inside, &mut room)? else { break };
        outside.write_all(&room[..bytes])?;
        outside.flush()?;
    }
    Ok(())
}

fn user() -> User {
    User { name: "DEV1".into(), password: "dev".into() }
}

#[test]
fn a_session_over_tls_is_like_any_other() {
    let server = Server::start(Manner::Good);
    let (ca, config) = certified(&["127.0.0.1", "exchange.example"], "session");
    let terminator = Terminator::start(config, server.address);
    for name in [None, Some("exchange.example")] {
        let tls = Tls::from_ca_file(&ca.path, name).unwrap();
        let mut connection = Connection::open_with(terminator.address, Some(&tls), PATIENCE).unwrap();
        connection.login(&user(), "", 1, PATIENCE).unwrap();
        // More than the buffers of TLS hold, so that it is written and read in pieces.
        for _ in 0..20_000 {
            while connection.send(&Inbound::AccountQuery).is_err() {
                connection.drain(PATIENCE).unwrap();
            }
        }
        for sequence in 1..=20_000 {
            assert_eq!(connection.receive(PATIENCE).unwrap().expect("an answer").sequence, sequence);
        }
        assert_eq!(connection.unwritten(), 0);
        connection.logout().unwrap();
    }
}

#[test]
fn a_server_of_another_ca_or_another_name_is_not_talked_to() {
    let server = Server::start(Manner::Good);
    let (ca, config) = certified(&["exchange.example"], "own");
    let (other, _) = certified(&["exchange.example"], "other");
    let terminator = Terminator::start(config, server.address);
    for (file, name) in [(&other, Some("exchange.example")), (&ca, Some("else.example")), (&ca, None)] {
        let tls = Tls::from_ca_file(&file.path, name).unwrap();
        let error = Connection::open_with(terminator.address, Some(&tls), PATIENCE).unwrap_err();
        assert!(matches!(error, ClientError::Connect { .. }), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    drop(terminator);
    assert!(server.stop().keys().all(String::is_empty), "nobody logged in");
}

#[test]
fn a_server_that_asks_for_a_certificate_is_shown_one() {
    let server = Server::start(Manner::Good);
    let ca = authority();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let (certificate, key) = issued(&["127.0.0.1"], &ca);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let terminator = Terminator::start(Arc::new(config), server.address);
    let ca_file = file("mutual", &ca.pem());
    let (own, own_key) = issued(&["DEV1"], &ca);
    let (certificate, key) = (file("own", &own.pem()), file("own-key", &own_key.serialize_pem()));
    let log_in = |own| {
        let tls = Tls::from_files(&ca_file.path, None, own).unwrap();
        let mut connection = Connection::open_with(terminator.address, Some(&tls), PATIENCE)?;
        connection.login(&user(), "", 1, PATIENCE)
    };
    assert!(log_in(None).is_err(), "who shows none is not let in");
    log_in(Some((&certificate.path, &key.path))).unwrap();
    // A key of another certificate is found before anything is connected.
    let other = file("other-key", &KeyPair::generate().unwrap().serialize_pem());
    let error = Tls::from_files(&ca_file.path, None, Some((&certificate.path, &other.path))).unwrap_err();
    assert!(error.to_string().contains("client-own-"), "{error}");
}

#[test]
fn a_server_that_speaks_no_tls_is_not_waited_for_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (ca, _) = certified(&["127.0.0.1"], "silent");
    let tls = Tls::from_ca_file(&ca.path, None).unwrap();
    let address = listener.local_addr().unwrap();
    let error = Connection::open_with(address, Some(&tls), Duration::from_millis(50)).unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
}
