//! The FIX initiator against the exchange's own session machine.

use std::{net::SocketAddr, time::Duration};

use client::{
    ClientError, Tls, User,
    fix::{
        Cancel, CancelReject, Connection, ExecutionReport, MassCancel, MassStatus, Memory, NewOrder, Replace,
        Request, Scope, Settings, Status, TimeInForce, Version,
    },
};
use domain::Side;

use crate::{
    host::{HOST, Host, Manner, PASSWORD},
    tls::{Terminator, certified},
};

const PATIENCE: Duration = Duration::from_secs(10);

fn settings() -> Settings {
    Settings::new(User { name: "DEV1".into(), password: PASSWORD.into() }, HOST)
}

fn connected(address: SocketAddr, settings: Settings, store: Memory) -> Connection {
    let mut connection = Connection::open(address, None, settings, store, PATIENCE).unwrap();
    connection.logon(PATIENCE).unwrap();
    connection
}

fn order(id: &str) -> NewOrder<'_> {
    NewOrder {
        id,
        symbol: "AAPL",
        side: Side::Buy,
        quantity: 100,
        limit_e4: Some(1_000_000),
        time_in_force: TimeInForce::Day,
        more: &[],
    }
}

/// The next message: its type, number, whether it was sent before, and what it says of which order.
fn next(connection: &mut Connection) -> (String, u64, bool, String) {
    let incoming = connection.receive(PATIENCE).unwrap().expect("a message");
    let msg_type = String::from_utf8_lossy(incoming.msg_type).into_owned();
    let said = match incoming.msg_type {
        b"8" => {
            let report = ExecutionReport::read(incoming.body).unwrap();
            format!("{} {}", char::from(report.exec_type), String::from_utf8_lossy(report.id))
        }
        b"9" => {
            let reject = CancelReject::read(incoming.body).unwrap();
            format!("{} {}", reject.is_replacement, String::from_utf8_lossy(reject.id))
        }
        _ => String::new(),
    };
    (msg_type, incoming.number, incoming.is_again, said)
}

fn says(connection: &mut Connection, said: &str) {
    assert_eq!(next(connection).3, said);
}

#[test]
fn orders_are_entered_replaced_asked_for_and_canceled() {
    for version in [Version::Fix44, Version::Fix50Sp2] {
        let host = Host::start(Manner::Good);
        let settings = Settings { version, ..settings() };
        let mut connection = connected(host.address, settings, Memory::default());
        let (symbol, side) = ("AAPL", Side::Buy);
        for request in [
            Request::New(order("A1")),
            Request::Replace(Replace { original: "A1", order: NewOrder { quantity: 50, ..order("A2") } }),
            Request::Status(Status { id: "A2", symbol, side }),
            Request::MassStatus(MassStatus { id: "S1", scope: Scope::All }),
            Request::Cancel(Cancel { id: "A3", original: "A1", symbol, side }),
            Request::Cancel(Cancel { id: "A4", original: "A2", symbol, side }),
            Request::New(NewOrder { limit_e4: None, ..order("A5") }),
            Request::New(order("A6")),
            Request::MassCancel(MassCancel { id: "A7", scope: Scope::All }),
        ] {
            connection.request(&request).unwrap();
        }
        let said = ["0 A1", "5 A2", "I A2", "I A2", "false A3", "4 A4", "0 A5", "F A5", "0 A6", "", "4 A6"];
        for said in said {
            says(&mut connection, said);
        }
        connection.logout(PATIENCE).unwrap();
        assert_eq!(connection.into_store().next_numbers(), (14, 12), "{version:?}");
        assert_eq!(host.stop()["DEV1"].next, (12, 14));
    }
}

/// The store's numbers, without its trait.
trait NextNumbers {
    fn next_numbers(&self) -> (u64, u64);
}

impl NextNumbers for Memory {
    fn next_numbers(&self) -> (u64, u64) {
        client::fix::Store::next(self)
    }
}

#[test]
fn a_report_that_says_nothing_of_an_order_is_still_handed_out() {
    let host = Host::start(Manner::Good);
    let mut connection = connected(host.address, settings(), Memory::default());
    connection.request(&Request::Status(Status { id: "NONE", symbol: "AAPL", side: Side::Buy })).unwrap();
    assert_eq!(next(&mut connection).0, "j");
}

#[test]
fn reports_that_were_lost_come_again_in_their_place() {
    let host = Host::start(Manner::LosesReports);
    let mut connection = connected(host.address, settings(), Memory::default());
    let ids: Vec<String> = (1..=6).map(|number| format!("A{number}")).collect();
    for id in &ids {
        connection.request(&Request::New(order(id))).unwrap();
    }
    for (number, id) in (2..).zip(&ids) {
        let (_, at, is_again, said) = next(&mut connection);
        assert_eq!((at, said), (number, format!("0 {id}")));
        assert_eq!(is_again, number > 2, "{id}: what came behind the gap comes again as well");
    }
    drop(connection);
    assert_eq!(host.stop()["DEV1"].resends, 1);
}

#[test]
fn numbers_go_on_after_a_connection_is_lost() {
    let host = Host::start(Manner::CutsAt(3));
    let mut connection = connected(host.address, settings(), Memory::default());
    for id in ["A1", "A2", "A3"] {
        connection.request(&Request::New(order(id))).unwrap();
    }
    let mut heard = vec![];
    let error = loop {
        match connection.receive(PATIENCE) {
            Ok(incoming) => heard.push(incoming.expect("a message").number),
            Err(error) => break error,
        }
    };
    assert!(error.is_gone(), "{error}");
    // The host has taken three orders and the answers to some or all of them are lost; the new connection brings them.
    let mut connection = connected(host.address, settings(), connection.into_store());
    while heard.len() < 3 {
        let (_, number, is_again, said) = next(&mut connection);
        assert!(is_again && said.starts_with('0'), "{said}");
        heard.push(number);
    }
    assert_eq!(heard, [2, 3, 4]);
    connection.request(&Request::New(order("A4"))).unwrap();
    says(&mut connection, "0 A4");
    connection.logout(PATIENCE).unwrap();
    assert!(host.stop()["DEV1"].ids.values().all(|times| *times == 1), "no order twice");
}

#[test]
fn orders_that_the_host_asks_for_again_are_not_taken_twice() {
    let host = Host::start(Manner::AsksAgain);
    let mut connection = connected(host.address, settings(), Memory::default());
    for number in 1..=4 {
        connection.request(&Request::New(order(&format!("A{number}")))).unwrap();
        connection.drain(PATIENCE).unwrap();
        says(&mut connection, &format!("0 A{number}"));
    }
    connection.logout(PATIENCE).unwrap();
    let kept = &host.stop()["DEV1"];
    assert_eq!((kept.orders, kept.resends), (4, 1));
}

#[test]
fn a_reset_begins_anew() {
    let host = Host::start(Manner::Good);
    for _ in 0..2 {
        let settings = Settings { reset: true, ..settings() };
        let mut connection = connected(host.address, settings, Memory::default());
        connection.request(&Request::New(order("A1"))).unwrap();
        assert_eq!(next(&mut connection).1, 2);
    }
    // Without one, a client that has forgotten its numbers is told so.
    let mut connection =
        Connection::open(host.address, None, settings(), Memory::default(), PATIENCE).unwrap();
    let error = connection.logon(PATIENCE).unwrap_err();
    assert!(matches!(error, ClientError::LogonRefused { .. }), "{error}");
    assert!(error.to_string().contains("MsgSeqNum too low"), "{error}");
}

#[test]
fn a_wrong_password_is_refused_without_a_word() {
    let host = Host::start(Manner::Good);
    let user = User { name: "DEV1".into(), password: "wrong".into() };
    let settings = Settings::new(user, HOST);
    let mut connection = Connection::open(host.address, None, settings, Memory::default(), PATIENCE).unwrap();
    let said = connection.logon(PATIENCE).unwrap_err().to_string();
    assert!(said.contains("DEV1") && said.contains("password"), "{said}");
    let error = connection.request(&Request::New(order("A1"))).unwrap_err();
    assert!(matches!(error, ClientError::NotLoggedOn { .. }), "{error}");
}

#[test]
fn a_value_that_would_break_a_message_is_not_sent() {
    let host = Host::start(Manner::Good);
    let mut connection = connected(host.address, settings(), Memory::default());
    let error = connection.request(&Request::New(order("A1\x0154=2"))).unwrap_err();
    assert!(matches!(error, ClientError::Field(_)) && error.to_string().contains("11"), "{error}");
    connection.request(&Request::New(order("A1"))).unwrap();
    says(&mut connection, "0 A1");
}

#[test]
fn heartbeats_keep_a_silent_session() {
    let host = Host::start(Manner::Good);
    let settings = Settings { heartbeat: 1, ..settings() };
    let mut connection = connected(host.address, settings, Memory::default());
    // Longer than the host waits for anything.
    assert!(connection.receive(Duration::from_secs(4)).unwrap().is_none());
    connection.request(&Request::New(order("A1"))).unwrap();
    says(&mut connection, "0 A1");
    assert!(connection.session().next().1 > 3, "it has said something meanwhile");
}

#[test]
fn a_session_over_tls_is_like_any_other() {
    let host = Host::start(Manner::Good);
    let (ca, config) = certified(&["127.0.0.1"], "fix");
    let terminator = Terminator::start(config, host.address);
    let tls = Tls::from_ca_file(&ca.path, None).unwrap();
    let mut connection =
        Connection::open(terminator.address, Some(&tls), settings(), Memory::default(), PATIENCE).unwrap();
    connection.logon(PATIENCE).unwrap();
    let ids: Vec<String> = (0..2_000).map(|number| format!("A{number}")).collect();
    let mut unanswered = ids.iter();
    for id in &ids {
        while let Err(error) = connection.request(&Request::New(order(id))) {
            assert!(matches!(error, ClientError::Full { .. }), "{error}");
            says(&mut connection, &format!("0 {}", unanswered.next().unwrap()));
        }
    }
    for id in unanswered {
        says(&mut connection, &format!("0 {id}"));
    }
    connection.logout(PATIENCE).unwrap();
}
