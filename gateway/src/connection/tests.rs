//! A connection whose client does not read, over TLS.

use std::{
    io::Read,
    time::{Duration, SystemTime},
};

use door::{
    lobby::{Lobby, LobbyLimits},
    transport::Transport,
};
use journal::Position;
use link::clients::{ServerFiles, client_config, create_trial, server_config};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

use super::*;

/// What takes longer hangs.
const HUNG: Duration = Duration::from_secs(60);

type Client = StreamOwned<ClientConnection, std::net::TcpStream>;

/// Both ends of a connection, their handshake done.
fn connected() -> (Transport, Client) {
    let dir = tempfile::tempdir().expect("a directory");
    let files =
        create_trial(&dir.path().join("tls"), "localhost", SystemTime::now()).expect("certificate files");
    let (certificate, key) = files.server.clone();
    let config = server_config(&ServerFiles { certificate, key, client_ca: None }, SystemTime::now());
    let config = config.expect("a listener's settings");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let socket =
        std::net::TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    socket.set_read_timeout(Some(HUNG)).expect("a timeout");
    let (accepted, _) = listener.accept().expect("the other end");
    accepted.set_nonblocking(true).expect("not blocking");
    let mut server = Transport::tls(mio::net::TcpStream::from_std(accepted), &config).expect("a server");
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = ClientConnection::new(client_config(&files.ca, None).expect("a client's settings"), name);
    let mut client = StreamOwned::new(tls.expect("a client"), socket);
    let client = std::thread::spawn(move || {
        while client.conn.is_handshaking() {
            client.conn.complete_io(&mut client.sock).expect("a handshake");
        }
        client
    });
    let deadline = Instant::now() + HUNG;
    while server.is_handshaking() {
        assert!(Instant::now() < deadline, "hung in a handshake");
        server.read(&mut [0; 100]).expect("a handshake");
        std::thread::yield_now();
    }
    (server, client.join().expect("no panic"))
}

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| u8::try_from(n * 7 % 251).expect("a byte")).collect()
}

#[test]
fn what_a_blocked_socket_does_not_take_is_sent_when_it_does_though_nothing_new_comes() {
    let (server, client) = connected();
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let place = Lobby::new(LobbyLimits::default()).came(peer.ip(), 0);
    let mut connection = Connection::new(server, peer, place, false, Instant::now());
    let mut sent = Vec::new();
    // Until the connection's outbox has nothing left, and TLS has: that is what must not be forgotten.
    while connection.writable {
        let piece = text(1_000 + sent.len() % 777);
        sent.extend_from_slice(&piece);
        connection.outbox.buffer().extend_from_slice(&piece);
        connection.outbox.mark(Position(0));
        connection.flush(Position(0), Instant::now()).expect("a client that does not read yet");
    }
    assert!(connection.transport.wants_write(), "the socket is blocked, and nothing waits for it");
    assert_eq!(connection.outbox.unsent(), 0, "TLS took the last piece");
    // Further pieces wait in the outbox, and TLS takes no more of them than it has room for.
    let more = text(32 << 20);
    sent.extend_from_slice(&more);
    connection.outbox.buffer().extend_from_slice(&more);
    connection.outbox.mark(Position(0));
    connection.flush(Position(0), Instant::now()).expect("a client that does not read yet");
    let unsent = connection.outbox.unsent();
    assert!(
        unsent > more.len() / 2,
        "behind a blocked socket the outbox keeps what it has, not {unsent} bytes"
    );

    let (count, mut client) = (sent.len(), client);
    let reader = std::thread::spawn(move || {
        let mut heard = vec![0; count];
        client.read_exact(&mut heard).expect("what was sent");
        heard
    });
    let deadline = Instant::now() + HUNG;
    while !connection.outbox.is_empty() || connection.transport.wants_write() {
        assert!(Instant::now() < deadline, "hung with {} bytes unsent", connection.outbox.unsent());
        connection.flush(Position(0), Instant::now()).expect("a client that reads");
        std::thread::yield_now();
    }
    assert!(connection.writable);
    assert!(reader.join().expect("no panic") == sent, "not what was sent");
}
