//! The client crate's FIX initiator, and the load generator with it, against the exchange.

use std::time::Duration;

use client::{
    User,
    fix::{
        Cancel, CancelReject, Connection, ExecutionReport, MassStatus, Memory, NewOrder, Replace, Request,
        Scope, Settings as Session, TimeInForce, Version,
    },
};
use domain::{Instrument, InstrumentId, OrderBounds, Price, Quantity, Side, Symbol};
use serde_json::Value;

use crate::venue::{HUNG, Home, Settings, Venue, exchange};

pub(crate) const PASSWORD: &str = "a-secret";

pub(crate) fn home(ack: &'static str) -> Home {
    let mut sections = String::from("[fix]\naddress = \"127.0.0.1:0\"\n");
    for number in 1..=4 {
        sections +=
            &format!("[[users]]\nname = \"TRADER{number}\"\npassword = \"{PASSWORD}\"\nprotocol = \"fix\"\n");
    }
    Home::new(Settings { ack, sections, ..Settings::default() })
}

pub(crate) fn logged_on(venue: &Venue, name: &str, store: Memory, version: Version) -> Connection {
    let user = User { name: name.to_owned(), password: PASSWORD.to_owned() };
    let session = Session { version, ..Session::new(user, "FULCRUM") };
    let address = venue.fix.expect("it listens for FIX");
    let mut connection = Connection::open(address, None, session, store, HUNG).expect("a connection");
    connection.logon(HUNG).unwrap_or_else(|error| panic!("{error}"));
    connection
}

pub(crate) fn order(id: &str, side: Side, quantity: u64, price_e4: i64) -> NewOrder<'_> {
    NewOrder {
        id,
        symbol: "AAPL",
        side,
        quantity,
        limit_e4: Some(price_e4),
        time_in_force: TimeInForce::Day,
        more: &[],
    }
}

/// What comes next, as far as it matters: the number, and what became of which order.
fn next(connection: &mut Connection) -> (u64, String) {
    let incoming = connection.receive(HUNG).unwrap_or_else(|error| panic!("{error}")).expect("a message");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let said = match incoming.msg_type {
        b"8" => {
            let report = ExecutionReport::read(incoming.body).expect("a report");
            let (exec_type, status) = (char::from(report.exec_type), char::from(report.status));
            format!("{exec_type}{status} {} {}+{}", text(report.id), report.leaves, report.executed)
        }
        b"9" => {
            let reject = CancelReject::read(incoming.body).expect("a reject");
            format!("9{} {} {:?}", char::from(reject.status), text(reject.id), reject.reason)
        }
        other => format!("{} {}", text(other), text(incoming.body).replace('\x01', "|")),
    };
    (incoming.number, said)
}

pub(crate) fn says(connection: &mut Connection, all: &[&str]) {
    for expected in all {
        assert_eq!(next(connection).1, *expected);
    }
}

#[test]
fn orders_trade_and_come_back_after_a_kill() {
    for version in [Version::Fix44, Version::Fix50Sp2] {
        let home = home("disk");
        let venue = home.start();
        let mut one = logged_on(&venue, "TRADER1", Memory::default(), version);
        let mut two = logged_on(&venue, "TRADER2", Memory::default(), version);
        one.request(&Request::New(order("A1", Side::Buy, 100, 1_000_000))).unwrap();
        says(&mut one, &["00 A1 100+0"]);
        two.request(&Request::New(order("B1", Side::Sell, 30, 990_000))).unwrap();
        says(&mut two, &["00 B1 30+0", "F2 B1 0+30"]);
        says(&mut one, &["F1 A1 70+30"]);
        let replacement = Replace { original: "A1", order: order("A2", Side::Buy, 200, 1_010_000) };
        one.request(&Request::Replace(replacement)).unwrap();
        says(&mut one, &["51 A2 170+30"]);
        one.drain(HUNG).unwrap();
        // What happens while it is away, and is not told.
        let store = one.into_store();
        two.request(&Request::New(order("B2", Side::Sell, 20, 1_010_000))).unwrap();
        says(&mut two, &["00 B2 20+0", "F2 B2 0+20"]);
        let two = two.into_store();
        venue.kill();

        let venue = home.start();
        let mut one = logged_on(&venue, "TRADER1", store, version);
        says(&mut one, &["F1 A2 150+50"]);
        one.request(&Request::MassStatus(MassStatus { id: "S1", scope: Scope::All })).unwrap();
        says(&mut one, &["I1 A2 150+50"]);
        let (symbol, side) = ("AAPL", Side::Buy);
        one.request(&Request::Cancel(Cancel { id: "A3", original: "A1", symbol, side })).unwrap();
        one.request(&Request::Cancel(Cancel { id: "A4", original: "A2", symbol, side })).unwrap();
        let said = next(&mut one).1;
        assert!(said.starts_with('9'), "A1 is A2 now: {said}");
        says(&mut one, &["44 A4 0+50"]);
        one.logout(HUNG).unwrap();
        let mut two = logged_on(&venue, "TRADER2", two, version);
        assert!(two.receive(Duration::from_millis(100)).unwrap().is_none(), "it has had everything");
        two.logout(HUNG).unwrap();
        venue.stop();
    }
}

#[test]
fn a_load_run_over_fix_leaves_nothing_unanswered() {
    let home = home("memory");
    let venue = home.start();
    for version in ["4.4", "5.0SP2"] {
        let output = exchange()
            .args(["load", "--protocol", "fix", "--fix-version", version, "--target"])
            .arg(venue.fix.expect("it listens for FIX").to_string())
            .arg("--config")
            .arg(home.file("config.toml"))
            .args(["--count", "5000", "--closed-loop", "32", "--json"])
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let requests = &summary["requests"];
        assert_eq!(requests["sent"], 5_000, "{summary}");
        assert_eq!(requests["unanswered"], 0, "{requests}");
        assert_eq!(requests["unexpected_messages"], 0, "{requests}");
        assert_eq!(requests["rejected"], 0, "{}", summary["rejects_by_reason"]);
        assert!(requests["execution_reports"].as_u64().is_some_and(|some| some > 0), "{requests}");
        assert!(summary["cleaned_up_orders"].as_u64().is_some(), "all that rested was canceled");
    }
    // One run right behind the other: a session that has left is free at once.
    let instruments: Vec<Instrument> = vec![Instrument {
        id: InstrumentId(0),
        symbol: Symbol::new("AAPL").expect("a symbol"),
        tick: 100,
        lot: 1,
        quantity_max: Quantity(999_999),
        price_max: Price::new(19_999_999).expect("a price"),
        bounds: OrderBounds::NONE,
    }];
    let mut load = loadgen::Config::new(venue.fix.expect("it listens for FIX"), instruments);
    load.protocol = loadgen::Protocol::Fix { target: "FULCRUM".into(), version: Version::Fix44 };
    load.users = vec![User { name: "TRADER1".into(), password: PASSWORD.into() }];
    load.sessions = 1;
    load.mode = loadgen::Mode::ClosedLoop { in_flight: 16 };
    load.stop = loadgen::Stop::Count(200);
    for _ in 0..5 {
        let outcome = loadgen::run(&load, &mut ()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(outcome.counts.in_flight(), 0);
    }
    venue.stop();
}
