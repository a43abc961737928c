//! A server's transport against a client of rustls's, over real sockets. The client's bytes are sent as each test likes.

use std::{
    net::Shutdown,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use link::clients::{ServerFiles, TrialFiles, client_config, create_trial, server_config};
use rustls::{ClientConnection, pki_types::ServerName};

use super::*;

/// What takes longer hangs.
const HUNG: Duration = Duration::from_secs(60);

struct Client {
    socket: std::net::TcpStream,
    tls: ClientConnection,
}

struct Certificates {
    _dir: tempfile::TempDir,
    files: TrialFiles,
}

impl Certificates {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let files = create_trial(&dir.path().join("tls"), "localhost", SystemTime::now()).expect("files");
        Self { _dir: dir, files }
    }

    fn server(&self, client_ca: Option<&Path>) -> Arc<ServerConfig> {
        let (certificate, key) = self.files.server.clone();
        let files = ServerFiles { certificate, key, client_ca: client_ca.map(Path::to_owned) };
        server_config(&files, SystemTime::now()).expect("a listener's settings")
    }

    fn own(&self) -> Option<(&Path, &Path)> {
        Some((&self.files.client.0, &self.files.client.1))
    }
}

fn sockets() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let client =
        std::net::TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    client.set_read_timeout(Some(HUNG)).expect("a timeout");
    client.set_nodelay(true).expect("no delay");
    let (server, _) = listener.accept().expect("the other end");
    server.set_nonblocking(true).expect("not blocking");
    (TcpStream::from_std(server), client)
}

fn connect(config: &Arc<ServerConfig>, ca: &Path, own: Option<(&Path, &Path)>) -> (Transport, Client) {
    let (server, socket) = sockets();
    let name = ServerName::try_from("localhost").expect("a name");
    let tls =
        ClientConnection::new(client_config(ca, own).expect("a client's settings"), name).expect("a client");
    (Transport::tls(server, config).expect("a server"), Client { socket, tls })
}

impl Client {
    /// What TLS wants to send now.
    fn outgoing(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes).expect("a vector takes it");
        }
        bytes
    }

    fn send(&mut self) {
        let bytes = self.outgoing();
        self.socket.write_all(&bytes).expect("the server takes it");
    }

    /// Reads from the socket once; `false` when the server has closed.
    fn hear(&mut self) -> bool {
        let n = self.tls.read_tls(&mut self.socket).expect("the server says something");
        self.tls.process_new_packets().expect("TLS");
        n > 0
    }

    fn shake_hands(&mut self, server: &mut Transport) {
        while self.tls.is_handshaking() || server.is_handshaking() {
            self.send();
            if self.tls.is_handshaking() {
                until(server, |server, _| server.is_handshaking());
                assert!(self.hear());
            } else {
                read_some(server, |server, _| !server.is_handshaking());
            }
        }
    }
}

/// Reads with little room until `done` says so; gives what came.
fn read_some(server: &mut Transport, mut done: impl FnMut(&Transport, &[u8]) -> bool) -> Vec<u8> {
    let deadline = Instant::now() + HUNG;
    let (mut all, mut scratch) = (Vec::new(), [0; 1_000]);
    while !done(server, &all) {
        assert!(Instant::now() < deadline, "hung with {} bytes", all.len());
        match server.read(&mut scratch).expect("what was sent") {
            Incoming::More(n) | Incoming::Drained(n) => all.extend_from_slice(&scratch[..n]),
            Incoming::End => panic!("an end after {} bytes", all.len()),
        }
    }
    all
}

/// Reads until the server has something to read no more and `done` holds.
fn until(server: &mut Transport, mut done: impl FnMut(&Transport, &[u8]) -> bool) {
    wait_for_bytes(server, 1);
    let mut scratch = [0; 1_000];
    loop {
        let came = server.read(&mut scratch).expect("what was sent");
        if came == Incoming::Drained(0) && done(server, &[]) {
            return;
        }
    }
}

/// Waits until the server's kernel has so many bytes.
fn wait_for_bytes(server: &mut Transport, count: usize) {
    let deadline = Instant::now() + HUNG;
    let mut bytes = vec![0; count];
    while server.socket().peek(&mut bytes).unwrap_or(0) < count {
        assert!(Instant::now() < deadline, "hung: {count} bytes do not come");
        std::thread::yield_now();
    }
}

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| u8::try_from(n * 7 % 251).expect("a byte")).collect()
}

#[test]
fn a_byte_at_a_time_is_the_same_as_all_at_once() {
    let certificates = Certificates::new();
    let (mut server, mut client) = connect(&certificates.server(None), &certificates.files.ca, None);
    let mut all = Vec::new();
    let mut scratch = [0; 1_000];
    client.tls.writer().write_all(b"buffered until the handshake is over").expect("room");
    while all.len() < 36 {
        for byte in client.outgoing() {
            client.socket.write_all(&[byte]).expect("the server takes it");
            wait_for_bytes(&mut server, 1);
            loop {
                match server.read(&mut scratch).expect("what was sent") {
                    Incoming::More(n) => all.extend_from_slice(&scratch[..n]),
                    Incoming::Drained(n) => {
                        all.extend_from_slice(&scratch[..n]);
                        break;
                    }
                    Incoming::End => panic!("an end"),
                }
            }
        }
        if client.tls.is_handshaking() {
            assert!(client.hear());
        }
    }
    assert_eq!(all, b"buffered until the handshake is over");
}

#[test]
fn what_is_decrypted_comes_without_another_event() {
    let certificates = Certificates::new();
    let (mut server, mut client) = connect(&certificates.server(None), &certificates.files.ca, None);
    client.shake_hands(&mut server);
    // Several records at once, and the server has room for a part of one.
    let sent = text(50_000);
    client.tls.writer().write_all(&sent).expect("room");
    let bytes = client.outgoing();
    client.socket.write_all(&bytes).expect("the server takes it");
    wait_for_bytes(&mut server, bytes.len());
    let (mut all, mut scratch, mut reads) = (Vec::new(), [0; 1_000], 0);
    loop {
        reads += 1;
        match server.read(&mut scratch).expect("what was sent") {
            Incoming::More(n) => all.extend_from_slice(&scratch[..n]),
            // Said once, and only when all of it is here: nobody would ask again.
            Incoming::Drained(n) => {
                all.extend_from_slice(&scratch[..n]);
                break;
            }
            Incoming::End => panic!("an end"),
        }
    }
    assert!(reads >= 50, "{reads} reads of 1000 bytes");
    assert!(all == sent, "{} bytes of {}", all.len(), sent.len());
}

#[test]
fn ends_are_told_both_ways_and_what_came_before_is_not_lost() {
    let certificates = Certificates::new();
    let config = certificates.server(None);
    let (mut server, mut client) = connect(&config, &certificates.files.ca, None);
    client.shake_hands(&mut server);
    client.tls.writer().write_all(b"the last words").expect("room");
    client.tls.send_close_notify();
    client.send();
    assert_eq!(read_some(&mut server, |_, all| all.len() == 14), b"the last words");
    let mut scratch = [0; 100];
    assert_eq!(server.read(&mut scratch).expect("an end"), Incoming::End);
    assert_eq!(server.read(&mut scratch).expect("an end again"), Incoming::End);
    server.say_end();
    drop(server);
    while client.hear() {}
    let mut bytes = Vec::new();
    // Without the server's word it would be a cut: UnexpectedEof.
    assert_eq!(client.tls.reader().read_to_end(&mut bytes).expect("a clean end"), 0);

    // A client that goes without a word is gone as well.
    let (mut server, mut client) = connect(&config, &certificates.files.ca, None);
    client.shake_hands(&mut server);
    client.socket.shutdown(Shutdown::Both).expect("a socket");
    let deadline = Instant::now() + HUNG;
    while server.read(&mut scratch).expect("an end") != Incoming::End {
        assert!(Instant::now() < deadline, "hung: no end");
    }
}

#[test]
fn what_is_no_tls_is_refused_with_an_alert() {
    let certificates = Certificates::new();
    let login = b"\x00\x2fLALICE secret                                  1";
    for garbage in [&login[..], b"GET / HTTP/1.1\r\n\r\n", &[0xFF; 64], &[0x16, 0x03, 0x01, 0xFF, 0xFF]] {
        let (mut server, mut client) = connect(&certificates.server(None), &certificates.files.ca, None);
        client.socket.write_all(garbage).expect("the server takes it");
        wait_for_bytes(&mut server, garbage.len());
        let mut scratch = [0; 1_000];
        let error = server.read(&mut scratch).expect_err("no TLS");
        assert!(matches!(error, ReadError::Tls(_)), "{error:?}");
        let mut answer = [0; 7];
        client.socket.read_exact(&mut answer).expect("an alert");
        assert_eq!(answer[0], 0x15, "{answer:?} is no alert");
    }
}

#[test]
fn a_hello_that_never_ends_is_bounded() {
    let certificates = Certificates::new();
    let (mut server, mut client) = connect(&certificates.server(None), &certificates.files.ca, None);
    // A handshake message that says it has 16 MiB, in records that are whole.
    let mut record = vec![0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0xFF, 0xFF, 0xFF];
    record.resize(5 + 0x4000, 0);
    let mut scratch = [0; 1_000];
    for _ in 0..64 {
        // It may be closed already.
        if client.socket.write_all(&record).is_err() {
            break;
        }
        match server.read(&mut scratch) {
            Ok(_) => {}
            Err(ReadError::Tls(_) | ReadError::Io(_)) => return,
        }
    }
    let deadline = Instant::now() + HUNG;
    while server.read(&mut scratch).is_ok() {
        assert!(Instant::now() < deadline, "a megabyte of a handshake was taken");
    }
}

#[test]
fn with_a_ca_for_clients_only_its_clients_come_in() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let config = certificates.server(Some(&certificates.files.ca));
    let (mut server, mut client) = connect(&config, &certificates.files.ca, certificates.own());
    client.shake_hands(&mut server);
    client.tls.writer().write_all(b"let in").expect("room");
    client.send();
    assert_eq!(read_some(&mut server, |_, all| all.len() == 6), b"let in");
    for own in [None, others.own()] {
        let (mut server, mut client) = connect(&config, &certificates.files.ca, own);
        client.send();
        until(&mut server, |server, _| server.is_handshaking());
        // The client is through before the server has seen its certificate, or that there is none.
        while client.tls.is_handshaking() {
            assert!(client.hear());
        }
        client.tls.writer().write_all(b"let me in").expect("room");
        client.send();
        let deadline = Instant::now() + HUNG;
        let mut scratch = [0; 1_000];
        let error = loop {
            assert!(Instant::now() < deadline, "hung: neither in nor out");
            match server.read(&mut scratch) {
                Ok(came) => assert_eq!(came, Incoming::Drained(0), "something got through"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ReadError::Tls(_)), "{error:?}");
    }
}

#[test]
fn a_plain_socket_tells_a_full_read_from_the_last() {
    let (server, mut client) = sockets();
    let mut server = Transport::Plain(server);
    client.write_all(&text(150)).expect("room");
    wait_for_bytes(&mut server, 150);
    let mut scratch = [0; 100];
    assert_eq!(server.read(&mut scratch).expect("bytes"), Incoming::More(100));
    assert_eq!(server.read(&mut scratch).expect("bytes"), Incoming::Drained(50));
    assert_eq!(server.read(&mut scratch).expect("nothing"), Incoming::Drained(0));
    client.shutdown(Shutdown::Write).expect("a socket");
    let deadline = Instant::now() + HUNG;
    while server.read(&mut scratch).expect("an end") != Incoming::End {
        assert!(Instant::now() < deadline, "hung: no end");
    }
}
