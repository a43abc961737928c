//! The client alone.

use std::{
    net::TcpListener,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use client::{
    ClientError, User,
    soup::{Connection, MessageLog},
};
use wire::ouch::{Appendage, Inbound, Outbound, inbound::CancelOrder, inbound::EnterOrder};

use crate::server::{Manner, Server};

const PATIENCE: Duration = Duration::from_secs(10);

fn user() -> User {
    User { name: "DEV1".into(), password: "dev".into() }
}

fn connected(server: &Server) -> Connection {
    let mut connection = Connection::open(server.address, PATIENCE).unwrap();
    connection.login(&user(), "", 1, PATIENCE).unwrap();
    connection
}

fn order(user_ref: u32) -> Inbound<'static> {
    Inbound::EnterOrder(EnterOrder {
        user_ref,
        side: b'B',
        quantity: 100,
        symbol: *b"SYM0    ",
        price: 1_000_000,
        time_in_force: b'0',
        display: b'Y',
        capacity: b'P',
        intermarket_sweep: b'N',
        cross: b'N',
        client_order_id: *b"ORDER         ",
        appendage: Appendage::EMPTY,
    })
}

#[test]
fn messages_carry_their_implied_numbers() {
    let server = Server::start(Manner::Good);
    let mut connection = connected(&server);
    let mut log = MessageLog::new();
    assert_eq!(connection.next_sequence(), 1);
    for user_ref in 1..=3 {
        connection.send(&order(user_ref)).unwrap();
    }
    connection.send(&Inbound::CancelOrder(CancelOrder { user_ref: 2, quantity: 0 })).unwrap();
    let mut kinds = vec![];
    while kinds.len() < 4 {
        let message = connection.receive(PATIENCE).unwrap().expect("an answer");
        assert_eq!(message.sequence, kinds.len() as u64 + 1);
        log.observe(&message).unwrap();
        kinds.push(match message.message {
            Outbound::Accepted(m) => (b'A', m.user_ref),
            Outbound::Canceled(m) => (b'C', m.user_ref),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(kinds, [(b'A', 1), (b'A', 2), (b'A', 3), (b'C', 2)]);
    assert_eq!(connection.next_sequence(), 5);
    let acknowledged: Vec<_> = log.acknowledged().iter().map(|a| (a.sequence, a.user_ref)).collect();
    assert_eq!(acknowledged, [(1, 1), (2, 2), (3, 3)]);
    assert_eq!(connection.next_user_ref(PATIENCE).unwrap(), 4);
    connection.logout().unwrap();
    assert_eq!(server.stop()["DEV1"].logouts, 1);
}

#[test]
fn a_login_resumes_from_the_number_asked() {
    let server = Server::start(Manner::Good);
    let mut connection = Connection::open(server.address, PATIENCE).unwrap();
    let accepted = connection.login(&user(), "STRAW", 77, PATIENCE).unwrap();
    assert_eq!((accepted.session.as_str(), accepted.sequence), ("STRAW", 77));
    connection.send(&order(1)).unwrap();
    assert_eq!(connection.receive(PATIENCE).unwrap().unwrap().sequence, 77);
}

#[test]
fn a_refused_login_says_who_and_what_to_do() {
    let server = Server::start(Manner::RefusesLogin);
    let mut connection = Connection::open(server.address, PATIENCE).unwrap();
    let error = connection.login(&user(), "", 1, PATIENCE).unwrap_err();
    assert!(matches!(error, ClientError::LoginRefused { .. }));
    let said = error.to_string();
    assert!(said.contains("DEV1") && said.contains("not authorized") && said.contains("password"), "{said}");
}

#[test]
fn names_that_do_not_fit_are_refused_before_anything_is_sent() {
    let server = Server::start(Manner::Good);
    let mut connection = Connection::open(server.address, PATIENCE).unwrap();
    let long = User { name: "TOOLONG".into(), password: "dev".into() };
    let said = connection.login(&long, "", 1, PATIENCE).unwrap_err().to_string();
    assert!(said.contains("TOOLONG") && said.contains("at most 6"), "{said}");
    assert_eq!(connection.unwritten(), 0);
}

#[test]
fn no_one_listening_is_said_with_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Connection::open(address, PATIENCE).unwrap_err();
    assert!(error.is_gone());
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_for_ever() {
    // Connections are taken by the kernel's queue; nobody reads them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut connection = Connection::open(listener.local_addr().unwrap(), PATIENCE).unwrap();
    let error = connection.login(&user(), "", 1, Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
    // Silence is counted on the clock that the caller hands in.
    let error = connection.keep_alive(Instant::now() + Duration::from_secs(16)).unwrap_err();
    assert!(matches!(error, ClientError::Silent { .. }) && error.is_gone(), "{error}");
}

#[test]
fn a_heartbeat_is_sent_when_a_second_was_silent() {
    let server = Server::start(Manner::Good);
    let mut connection = connected(&server);
    let now = Instant::now();
    connection.keep_alive(now).unwrap();
    assert_eq!(connection.unwritten(), 0, "something was sent just now");
    connection.keep_alive(now + Duration::from_millis(1_001)).unwrap();
    assert!(connection.unwritten() > 0);
    connection.drain(PATIENCE).unwrap();
    connection.logout().unwrap();
    assert_eq!(server.stop()["DEV1"].heartbeats, 1);
}

#[test]
fn buffers_are_bounded_when_the_server_does_not_read() {
    let go_on = Arc::new(AtomicBool::new(false));
    let server = Server::start(Manner::StallsAt(1, Arc::clone(&go_on)));
    let mut connection = connected(&server);
    let mut sent = 0;
    loop {
        match connection.send(&order(sent + 1)) {
            Ok(()) => sent += 1,
            Err(ClientError::Full { unwritten }) => {
                assert!(unwritten <= 1 << 17);
                if !connection.flush().unwrap() && connection.room() < 128 {
                    // The system may still be moving bytes to where the server would read them; that ends.
                    match connection.drain(Duration::from_millis(10)) {
                        Ok(()) => {}
                        Err(ClientError::Timeout { .. }) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    go_on.store(true, std::sync::atomic::Ordering::SeqCst);
    for sequence in 1..=u64::from(sent) {
        assert_eq!(connection.receive(PATIENCE).unwrap().unwrap().sequence, sequence);
    }
}

#[test]
fn endings_and_babble_are_told_apart() {
    for (manner, what) in [
        (Manner::ClosesAt(1), "closed the connection"),
        (Manner::EndsAt(1), "ended the session"),
        (Manner::BabblesAt(1), "broke the protocol"),
    ] {
        let server = Server::start(manner);
        let mut connection = connected(&server);
        connection.send(&order(1)).unwrap();
        let error = loop {
            match connection.receive(PATIENCE) {
                Ok(message) => assert!(message.is_none(), "{message:?}"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.to_string().contains("DEV1"), "{error}");
    }
}
