//! Strangers, and peers that are not what they should be. In each case nothing that was queued leaves, nothing that
//! came is handed out, and the link says why it ends.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use link::{
    Accepted, Identity, Limits, LinkError, ListenerLimits, Refusal, Stream,
    identity::{Files, NODE_DAYS, create},
};
use rand::{Rng, RngExt};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use crate::support::{Cluster, End, accept, accept_any, listen, load, meet, rng};

/// What ends the listening end when this comes in. Nothing may be handed out, and nobody verified.
fn received(identity: &Identity, stranger: impl FnOnce(TcpStream) + Send) -> LinkError {
    let (mut listener, address) = listen(identity, ListenerLimits::default());
    thread::scope(|scope| {
        scope.spawn(move || stranger(TcpStream::connect(address).unwrap()));
        let mut end = End::new(accept(&mut listener));
        end.stream.queue(b"a secret").unwrap();
        let error = end.drive(|end| end.ended || !end.stream.is_handshaking()).unwrap_err();
        assert!(end.stream.is_handshaking() && end.received.is_empty(), "{error}");
        assert_eq!(end.stream.unsent(), 8, "{error}");
        drop(end);
        assert_eq!(listener.handshaking(), 0, "its place is free");
        error
    })
}

/// Sends these bytes and waits for the other end to have had enough.
fn send(mut socket: TcpStream, bytes: &[u8]) {
    if socket.write_all(bytes).is_ok() {
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let _ = socket.read_to_end(&mut Vec::new());
    }
}

#[test]
fn a_node_of_another_cluster_is_refused_by_both() {
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let (a, b) = meet(&ours.a, &theirs.b, Limits::default());
    let (listening, dialing) = (a.err().expect("refused"), b.err().expect("refused"));
    assert!(dialing.to_string().contains("UnknownIssuer"), "{dialing}");
    // It is told by an alert, or finds the connection gone.
    assert!(matches!(listening, LinkError::Tls(_) | LinkError::Io(_)), "{listening}");
}

/// A client of rustls itself, which can be what our own dialing end cannot: without a certificate, or with another
/// protocol.
fn raw_client(cluster: &Cluster, certificate_of: Option<&str>, protocols: &[&[u8]]) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cluster.dir.path().join("ca.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match certificate_of {
        None => config.with_no_client_auth(),
        Some(node) => {
            let files = Files::of(cluster.dir.path(), node);
            let chain = vec![CertificateDer::from_pem_file(files.certificate).unwrap()];
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(files.key).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    ClientConnection::new(Arc::new(config), ServerName::try_from("a").unwrap()).unwrap()
}

/// Lets such a client say something as soon as it can.
fn say(mut client: ClientConnection) -> impl FnOnce(TcpStream) + Send {
    move |mut socket| {
        let mut stream = rustls::Stream::new(&mut client, &mut socket);
        let _ = stream.write_all(b"let me in");
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

#[test]
fn without_a_certificate_nobody_gets_in() {
    let cluster = Cluster::new();
    let error = received(&cluster.a, say(raw_client(&cluster, None, &[b"fulcrum-link/1"])));
    assert!(matches!(&error, LinkError::Tls(rustls::Error::NoCertificatesPresented)), "{error}");
}

#[test]
fn another_protocol_of_the_same_cluster_is_no_link() {
    let cluster = Cluster::new();
    let error = received(&cluster.a, say(raw_client(&cluster, Some("b"), &[b"h2"])));
    assert!(matches!(error, LinkError::Tls(rustls::Error::NoApplicationProtocol)), "{error}");
    let error = received(&cluster.a, say(raw_client(&cluster, Some("b"), &[])));
    assert!(matches!(error, LinkError::Peer(_)), "{error}");
    // The same client is let in when it says the right word: it is the word that was refused.
    let (mut listener, address) = listen(&cluster.a, ListenerLimits::default());
    let client = raw_client(&cluster, Some("b"), &[b"fulcrum-link/1"]);
    thread::scope(|scope| {
        scope.spawn(move || say(client)(TcpStream::connect(address).unwrap()));
        let mut end = End::new(accept(&mut listener));
        end.drive(|end| end.received == b"let me in").unwrap();
        assert_eq!(end.stream.peer(), Some("b"));
    });
}

#[test]
fn a_certificate_that_has_expired_is_refused_by_either_end() {
    let then = SystemTime::now() - Duration::from_secs(u64::from(NODE_DAYS + 1) * 86_400);
    let cluster = Cluster::made_at(then);
    // A new certificate of the same CA for one of them, so that one end alone is at fault.
    for old in ["a", "b"] {
        let new = if old == "a" { "b" } else { "a" };
        let files = Files::of(cluster.dir.path(), new);
        let (certificate, key) = (files.certificate.clone(), files.key.clone());
        let (old_certificate, old_key) = (std::fs::read(&certificate).unwrap(), std::fs::read(&key).unwrap());
        std::fs::remove_file(&certificate).unwrap();
        std::fs::remove_file(&key).unwrap();
        create(cluster.dir.path(), &[new], SystemTime::now()).unwrap();
        let fresh = load(cluster.dir.path(), new, SystemTime::now());
        let (a, b) = if old == "a" { (&cluster.a, &fresh) } else { (&fresh, &cluster.b) };
        let (listening, dialing) = meet(a, b, Limits::default());
        if old == "a" {
            let error = dialing.err().expect("the listening end's certificate has expired").to_string();
            assert!(error.to_lowercase().contains("expired"), "{error}");
            assert!(listening.is_err());
        } else {
            // The dialing end may have finished its half before it is told.
            let error = listening.err().expect("the dialing end's certificate has expired").to_string();
            assert!(error.to_lowercase().contains("expired"), "{error}");
            if let Ok(mut end) = dialing {
                let error = end.drive(|end| end.ended).unwrap_err();
                assert!(matches!(error, LinkError::Tls(_) | LinkError::Io(_) | LinkError::Cut), "{error}");
            }
        }
        std::fs::write(&certificate, old_certificate).unwrap();
        std::fs::write(&key, old_key).unwrap();
    }
}

#[test]
fn another_node_than_the_one_expected_is_refused() {
    let cluster = Cluster::new();
    let (mut listener, address) = listen(&cluster.a, ListenerLimits::default());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut end = End::new(accept(&mut listener));
            assert!(end.shake_hands().is_err());
        });
        let stream = Stream::connect(address, &cluster.b, "c", Limits::default(), 0).unwrap();
        let error = End::new(stream).shake_hands().unwrap_err();
        assert!(error.to_string().contains("not valid for name"), "{error}");
    });
    for name in ["", "A", "a.b", "-a", "10.0.0.1", "ca", "\u{e4}"] {
        assert!(Stream::connect(address, &cluster.b, name, Limits::default(), 0).is_err(), "{name}");
    }
}

#[test]
fn a_peer_with_our_own_name_is_refused() {
    let cluster = Cluster::new();
    let (mut listener, address) = listen(&cluster.a, ListenerLimits::default());
    let error = Stream::connect(address, &cluster.a, "a", Limits::default(), 0).err().expect("refused");
    assert!(matches!(error, LinkError::Peer(_)), "{error}");
    // Another host with a copy of our files.
    let copy = raw_client(&cluster, Some("a"), &[b"fulcrum-link/1"]);
    thread::scope(|scope| {
        scope.spawn(move || say(copy)(TcpStream::connect(address).unwrap()));
        let mut end = End::new(accept(&mut listener));
        let error = end.drive(|end| end.ended || !end.stream.is_handshaking()).unwrap_err();
        assert!(error.to_string().contains("node \"a\", and so is our own"), "{error}");
        assert!(end.received.is_empty());
    });
}

#[test]
fn plain_text_and_garbage_end_the_connection() {
    let cluster = Cluster::new();
    let mut rng = rng();
    let mut noise = vec![0; 100_000];
    rng.fill_bytes(&mut noise);
    let mut records = Vec::new();
    for _ in 0..10 {
        // Well-formed records of nothing.
        records.extend_from_slice(&[0x16, 3, 3, 0x40, 0]);
        records.extend_from_slice(&[0; 0x4000]);
    }
    let inputs: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        b"let me in",
        &noise,
        &records,
        // Application data before any handshake.
        &[0x17, 3, 3, 0, 5, 1, 2, 3, 4, 5],
        &[],
    ];
    for bytes in inputs {
        let error = received(&cluster.a, |socket| send(socket, bytes));
        assert!(matches!(error, LinkError::Tls(_) | LinkError::Cut | LinkError::Io(_)), "{error}");
    }
    // The dialing end meets the same.
    for bytes in inputs {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = server.local_addr().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || send(server.accept().unwrap().0, bytes));
            let stream = Stream::connect(address, &cluster.b, "a", Limits::default(), 0).unwrap();
            let mut end = End::new(stream);
            end.stream.queue(b"a secret").unwrap();
            let error = end.drive(|end| !end.stream.is_handshaking()).unwrap_err();
            assert!(end.received.is_empty() && end.stream.unsent() == 8, "{error}");
        });
    }
}

/// The first flight of a dialing end that has something queued.
fn hello(cluster: &Cluster, queued: &[u8]) -> Vec<u8> {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let stream =
        Stream::connect(server.local_addr().unwrap(), &cluster.b, "a", Limits::default(), 0).unwrap();
    let mut end = End::new(stream);
    end.stream.queue(queued).unwrap();
    let (mut socket, _) = server.accept().unwrap();
    end.drive(|end| !end.stream.wants_write()).unwrap();
    assert!(end.stream.is_handshaking());
    drop(end);
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes);
    bytes
}

#[test]
fn what_is_queued_does_not_leave_before_the_peer_is_verified() {
    let bytes = hello(&Cluster::new(), b"a secret that is queued early");
    // One record, of the handshake: the hello.
    assert_eq!((bytes[0], bytes[5]), (0x16, 0x01));
    assert_eq!(bytes.len(), 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]])));
    assert!(!bytes.windows(8).any(|window| window == b"a secret"));
}

#[test]
fn an_older_tls_is_not_spoken() {
    // A hello of TLS 1.2, as it would be from a client that knows no other.
    let mut extensions = Vec::new();
    extensions.extend_from_slice(&[0, 10, 0, 4, 0, 2, 0, 23]); // groups: secp256r1
    extensions.extend_from_slice(&[0, 11, 0, 2, 1, 0]); // uncompressed points
    extensions.extend_from_slice(&[0, 13, 0, 4, 0, 2, 4, 3]); // ecdsa_secp256r1_sha256
    let mut body = vec![3, 3];
    body.extend_from_slice(&[9; 32]);
    body.extend_from_slice(&[0, 0, 2, 0xc0, 0x2b, 1, 0]); // no session; ECDHE-ECDSA-AES128-GCM-SHA256; no compression
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend_from_slice(&extensions);
    let mut record = vec![0x16, 3, 1];
    record.extend_from_slice(&(body.len() as u16 + 4).to_be_bytes());
    record.extend_from_slice(&[1, 0]);
    record.extend_from_slice(&(body.len() as u16).to_be_bytes());
    record.extend_from_slice(&body);
    let error = received(&Cluster::new().a, |socket| send(socket, &record));
    let LinkError::Tls(rustls::Error::PeerIncompatible(why)) = error else { panic!("{error}") };
    assert!(
        format!("{why:?}").contains("Tls13") || format!("{why:?}").contains("SupportedVersions"),
        "{why:?}"
    );
}

#[test]
fn half_a_handshake_and_then_silence_is_cut_off_by_the_callers_clock() {
    let cluster = Cluster::new();
    let hello = hello(&cluster, b"");
    let limits = ListenerLimits {
        stream: Limits { handshake: Duration::from_secs(3), ..Limits::default() },
        ..ListenerLimits::default()
    };
    for part in [0, 1, hello.len() / 2, hello.len() - 1, hello.len()] {
        let (mut listener, address) = listen(&cluster.a, limits);
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(&hello[..part]).unwrap();
        let mut end = End::new(accept(&mut listener));
        let mut turns = 0;
        end.drive(|_| {
            turns += 1;
            turns > 10
        })
        .unwrap();
        // Times are the caller's: no real second passes.
        assert_eq!(end.stream.handshake_ends_nanos(), Some(3_000_000_000));
        end.stream.check_time(2_999_999_999).expect("there is time left");
        let error = end.stream.check_time(3_000_000_000).unwrap_err();
        assert!(matches!(error, LinkError::HandshakeTimeout { .. }), "{error}");
        assert_eq!(error.to_string(), "no handshake within 3000 ms");
        assert!(matches!(end.stream.read(|_| ()), Err(LinkError::Closed)));
        assert_eq!(listener.handshaking(), 1);
        drop(end);
        assert_eq!(listener.handshaking(), 0);
    }
    // The dialing end meets one that takes connections and says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = silent.local_addr().unwrap();
    let mut stream = Stream::connect(address, &cluster.b, "a", limits.stream, 1_000).unwrap();
    stream.check_time(3_000_000_999).unwrap();
    stream.check_time(3_000_001_000).unwrap_err();
    // Who is verified has no limit.
    let (a, _b) = meet(&cluster.a, &cluster.b, Limits::default());
    let mut a = a.unwrap();
    assert_eq!(a.stream.handshake_ends_nanos(), None);
    a.stream.check_time(u64::MAX).unwrap();
}

#[test]
fn strangers_that_say_nothing_do_not_keep_the_peer_out_for_ever() {
    let cluster = Cluster::new();
    let limits = ListenerLimits { handshaking_max: 4, handshaking_per_address_max: 4, ..Default::default() };
    let (mut listener, address) = listen(&cluster.a, limits);
    let strangers: Vec<TcpStream> = (0..6).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut held = Vec::new();
    for _ in 0..strangers.len() {
        match accept_any(&mut listener) {
            Accepted::Stream(stream) => held.push(stream),
            Accepted::Refused { why, .. } => assert_eq!(why, Refusal::Full { max: 4 }),
        }
    }
    assert_eq!((held.len(), listener.handshaking()), (4, 4));
    // Those that were refused are closed.
    for mut stranger in &strangers[4..] {
        stranger.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        assert!(matches!(stranger.read(&mut [0]), Ok(0) | Err(_)));
    }
    // The others run out of time, and the peer gets in.
    held.retain_mut(|stream| stream.check_time(u64::MAX).is_ok());
    assert!(held.is_empty());
    let identity = cluster.b;
    let dialing = thread::spawn(move || {
        let mut end = End::new(Stream::connect(address, &identity, "a", Limits::default(), 0).unwrap());
        end.shake_hands().unwrap();
        end
    });
    let mut end = End::new(accept(&mut listener));
    end.shake_hands().unwrap();
    drop((end, dialing.join().unwrap(), strangers));
}

#[test]
fn random_and_mutated_bytes_never_get_past_the_handshake() {
    let mut rng = rng();
    let cluster = Cluster::new();
    let hello = hello(&cluster, b"");
    let (mut listener, address) = listen(&cluster.a, ListenerLimits::default());
    for _ in 0..400 {
        let mut bytes = if rng.random_ratio(1, 4) {
            let mut noise = vec![0; rng.random_range(0..5_000)];
            rng.fill_bytes(&mut noise);
            noise
        } else {
            hello.clone()
        };
        for _ in 0..rng.random_range(0..6) {
            let at = rng.random_range(0..bytes.len().max(1));
            match rng.random_range(0..4) {
                0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
                1 if at < bytes.len() => bytes[at] = rng.random(),
                2 => bytes.insert(at, rng.random()),
                _ => bytes.truncate(at),
            }
        }
        // A whole hello of an earlier conversation may be among them: it is answered, and leads nowhere.
        bytes.extend_from_slice(&hello[..rng.random_range(0..hello.len())]);
        let stranger = stranger(address, bytes);
        let mut end = End::new(accept(&mut listener));
        let error = end.drive(|end| end.ended || !end.stream.is_handshaking()).unwrap_err();
        assert!(end.received.is_empty() && end.stream.is_handshaking(), "{error}");
        drop(end);
        stranger.join().unwrap();
    }
    assert_eq!(listener.handshaking(), 0);
}

fn stranger(address: SocketAddr, bytes: Vec<u8>) -> thread::JoinHandle<()> {
    thread::spawn(move || send(TcpStream::connect(address).unwrap(), &bytes))
}
