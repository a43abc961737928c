//! TLS: what passes a listener that asks for it, and what does not.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
};

use link::clients::client_config;
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};
use wire::{
    ouch::{Outbound, codes},
    soup::kind,
};

use crate::{
    client::{Raw, cancel, enter, login_bytes, request_bytes},
    venue::{HUNG, Home, PASSWORD, Settings, eventually, exchange, json},
};

/// The files that `exchange dev-cert` makes.
pub(super) struct Trial {
    _dir: tempfile::TempDir,
    at: PathBuf,
}

impl Trial {
    pub(super) fn new() -> Self {
        let dir = tempfile::TempDir::new().expect("a directory");
        let at = dir.path().join("tls");
        json(&["dev-cert", "--dir", &at.display().to_string(), "--json"]);
        Self { _dir: dir, at }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }

    /// The section of the SoupBinTCP listener.
    fn section(&self, client_ca: Option<&Path>) -> String {
        self.section_of("tls", client_ca)
    }

    pub(super) fn section_of(&self, section: &str, client_ca: Option<&Path>) -> String {
        let of = |name: &str| self.file(name).display().to_string();
        let client_ca = client_ca.map(|ca| ca.display().to_string()).unwrap_or_default();
        format!(
            "[{section}]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{client_ca}\"\n",
            of("server.pem"),
            of("server.key")
        )
    }
}

/// A client that comes by TLS.
struct Client {
    stream: StreamOwned<ClientConnection, TcpStream>,
    inbox: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr, ca: &Path, own: Option<(&Path, &Path)>) -> Self {
        let socket = TcpStream::connect(address).expect("a connection");
        socket.set_read_timeout(Some(HUNG)).expect("a timeout");
        let name = ServerName::try_from("localhost").expect("a name");
        let config = client_config(ca, own).expect("a client's settings");
        let tls = ClientConnection::new(config, name).expect("a client");
        Self { stream: StreamOwned::new(tls, socket), inbox: Vec::new() }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the exchange takes it");
    }

    /// The next packet that is no heartbeat; the error that ends the connection.
    fn answer(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        loop {
            if let Some(length) = self.inbox.first_chunk() {
                let length = usize::from(u16::from_be_bytes(*length));
                if self.inbox.len() >= 2 + length {
                    let packet: Vec<u8> = self.inbox.drain(..2 + length).collect();
                    if packet[2] != kind::SERVER_HEARTBEAT {
                        return Ok((packet[2], packet[3..].to_vec()));
                    }
                    continue;
                }
            }
            let mut bytes = [0; 4_096];
            match self.stream.read(&mut bytes)? {
                0 => return Err(ErrorKind::ConnectionAborted.into()),
                n => self.inbox.extend_from_slice(&bytes[..n]),
            }
        }
    }

    fn log_in(&mut self, user: &str) {
        self.write(&login_bytes(user, PASSWORD, "", 0));
        assert_eq!(self.answer().expect("an answer").0, kind::LOGIN_ACCEPTED);
    }

    fn round_trip(&mut self, user_ref: u32) {
        self.write(&request_bytes(&enter(user_ref, b'B', 1, "AAPL", 1_00, codes::DAY)));
        let (_, said) = self.answer().expect("an answer");
        assert!(matches!(Outbound::decode(&said), Ok(Outbound::Accepted(m)) if m.user_ref == user_ref));
        self.write(&request_bytes(&cancel(user_ref, 0)));
        let (_, said) = self.answer().expect("an answer");
        assert!(matches!(Outbound::decode(&said), Ok(Outbound::Canceled(m)) if m.user_ref == user_ref));
    }
}

#[test]
fn a_session_trades_by_tls_and_gets_what_it_missed_after_a_restart() {
    let trial = Trial::new();
    let home = Home::new(Settings { sections: trial.section(None), ..Settings::default() });
    let venue = home.start();
    let mut client = Client::connect(venue.address, &trial.file("ca.pem"), None);
    client.log_in("ALICE");
    for user_ref in 1..=200 {
        client.round_trip(user_ref);
    }
    let state = venue.stop_state();
    // The exchange has said that it ends, and TLS that nothing more comes.
    assert_eq!(client.answer().expect("a farewell").0, kind::END_OF_SESSION);
    assert_eq!(client.answer().expect_err("an end").kind(), ErrorKind::ConnectionAborted);

    let venue = home.start();
    let mut client = Client::connect(venue.address, &trial.file("ca.pem"), None);
    // All of it at once: more than TLS takes at a time.
    client.write(&login_bytes("ALICE", PASSWORD, "", 1));
    assert_eq!(client.answer().expect("an answer").0, kind::LOGIN_ACCEPTED);
    for number in 0..=400 {
        assert_eq!(
            client.answer().unwrap_or_else(|error| panic!("message {number}: {error}")).0,
            kind::SEQUENCED
        );
    }
    assert_eq!(venue.stop_state(), state);
}

#[test]
fn a_listener_with_tls_takes_no_other_bytes() {
    let trial = Trial::new();
    let home = Home::new(Settings { sections: trial.section(None), ..Settings::default() });
    let venue = home.start();
    let mut bystander = Client::connect(venue.address, &trial.file("ca.pem"), None);
    bystander.log_in("BOB");
    let mut plain = Raw::connect(venue.address);
    let name = plain.name();
    plain.write(&login_bytes("ALICE", PASSWORD, "", 0));
    // An alert, and no packet.
    let mut bytes = Vec::new();
    let _ = plain.stream.read_to_end(&mut bytes);
    assert_eq!(bytes.first(), Some(&0x15), "{bytes:?}");
    eventually("the log says so", || {
        home.log_lines(&name).iter().any(|line| line.contains("protocol error: TLS"))
    });
    assert!(!home.log().contains("ALICE: logged in"), "a login without TLS");
    // A client of another CA does not take this exchange for its own.
    let other = Trial::new();
    let mut stranger = Client::connect(venue.address, &other.file("ca.pem"), None);
    let error = stranger.stream.write_all(&login_bytes("ALICE", PASSWORD, "", 0)).expect_err("another CA");
    assert!(error.to_string().contains("certificate"), "{error}");
    bystander.round_trip(1);
}

#[test]
fn with_a_ca_for_clients_a_password_alone_opens_nothing() {
    let trial = Trial::new();
    let sections = trial.section(Some(&trial.file("ca.pem")));
    let home = Home::new(Settings { sections, ..Settings::default() });
    let venue = home.start();
    let (certificate, key) = (trial.file("client.pem"), trial.file("client.key"));
    let mut client = Client::connect(venue.address, &trial.file("ca.pem"), Some((&certificate, &key)));
    client.log_in("ALICE");
    client.round_trip(1);
    let other = Trial::new();
    let (certificate, key) = (other.file("client.pem"), other.file("client.key"));
    for own in [None, Some((&*certificate, &*key))] {
        let mut stranger = Client::connect(venue.address, &trial.file("ca.pem"), own);
        // It is through, as far as it knows, before the exchange has seen what it shows.
        let _ = stranger.stream.write_all(&login_bytes("CAROL", PASSWORD, "", 0));
        let error = stranger.answer().expect_err("no certificate of the CA");
        assert_ne!(error.kind(), ErrorKind::WouldBlock, "hung: neither in nor out");
        client.round_trip(if own.is_none() { 2 } else { 3 });
    }
    assert!(!home.log().contains("CAROL: logged in"), "in without a certificate");
}

#[test]
fn a_handshake_that_goes_nowhere_ends_with_the_time_for_a_login() {
    let trial = Trial::new();
    let settings = Settings { sections: trial.section(None), login_timeout_s: 1, ..Settings::default() };
    let home = Home::new(settings);
    let venue = home.start();
    let mut bystander = Client::connect(venue.address, &trial.file("ca.pem"), None);
    bystander.log_in("BOB");
    // The start of a ClientHello; one that says nothing; one that has shaken hands and says nothing.
    let mut half = Raw::connect(venue.address);
    half.write(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]);
    let silent = Raw::connect(venue.address);
    let mut idle = Client::connect(venue.address, &trial.file("ca.pem"), None);
    while idle.stream.conn.is_handshaking() {
        idle.stream.conn.complete_io(&mut idle.stream.sock).expect("a handshake");
    }
    for mut raw in [half, silent] {
        let name = raw.name();
        assert!(raw.ends_within(HUNG), "{name} is not cut off");
        eventually("the log says so", || {
            home.log_lines(&name).iter().any(|line| line.contains("no login in time"))
        });
    }
    assert_eq!(idle.answer().expect_err("an end").kind(), ErrorKind::ConnectionAborted);
    bystander.round_trip(1);
}

#[test]
fn files_that_cannot_serve_end_the_start_with_their_name() {
    let trial = Trial::new();
    let settings =
        Settings { sections: trial.section(Some(Path::new("/nowhere/ca.pem"))), ..Settings::default() };
    assert!(Home::new(settings).refused().contains("tls: cannot open /nowhere/ca.pem"));
    let settings = Settings { sections: trial.section(None), ..Settings::default() };
    std::fs::remove_file(trial.file("server.key")).expect("the key");
    std::fs::copy(trial.file("client.key"), trial.file("server.key")).expect("another key");
    let text = Home::new(settings).refused();
    assert!(text.contains("server.key is not the key of"), "{text}");
    let again = exchange().args(["dev-cert", "--dir"]).arg(&trial.at).output().expect("the binary runs");
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("ca.pem is there already"));
}
