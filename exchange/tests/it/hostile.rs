//! What clients must not send, and clients that do not read. Each is answered clearly or cut off, costs one line of the
//! log, and holds nobody else up: a well-behaved session trades all the while.

use std::{
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;
use rustix::{
    net::{AddressFamily, SocketType, connect, socket, sockopt},
    process::{Resource, Rlimit, prlimit},
};
use wire::{
    ouch::{Inbound, Outbound, codes},
    soup::kind,
};

use crate::{
    client::{Client, Raw, cancel, enter, login_bytes, packet_bytes, replace, request_bytes},
    script::written,
    venue::{Home, PASSWORD, Settings, Venue, eventually},
};

/// An exchange with a well-behaved session on it.
struct Stage {
    home: Home,
    venue: Venue,
    bystander: Client,
    next_ref: u32,
}

impl Stage {
    fn new(settings: Settings) -> Self {
        let home = Home::new(settings);
        let venue = home.start();
        let bystander = venue.client("BOB");
        Self { home, venue, bystander, next_ref: 1 }
    }

    /// The well-behaved session is served.
    fn bystander_trades(&mut self) {
        self.bystander.round_trip(self.next_ref, "MSFT");
        self.next_ref += 1;
    }

    fn connect(&self) -> Raw {
        Raw::connect(self.venue.address)
    }

    fn logged_in(&self) -> Raw {
        let mut raw = self.connect();
        raw.write(&login_bytes("ALICE", PASSWORD, "", 0));
        assert_eq!(raw.answer().expect("an answer").0, kind::LOGIN_ACCEPTED);
        raw
    }

    /// Sends bytes that must end the connection; the log must say why, in one line.
    fn cut_off(&mut self, mut raw: Raw, bytes: &[u8], why: &str) -> Vec<(u8, Vec<u8>)> {
        let name = raw.name();
        raw.write(bytes);
        self.bystander_trades();
        let answers = raw.until_closed();
        let lines = || {
            let mut lines = self.home.log_lines(&name);
            lines.retain(|line| !line.contains(": logged in,"));
            lines
        };
        eventually(&format!("the log says: {why}"), || !lines().is_empty());
        let lines = lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(why), "{lines:?} does not say: {why}");
        self.bystander_trades();
        answers
    }

    /// Nothing has broken.
    fn end(mut self) {
        self.bystander_trades();
        assert!(self.venue.is_alive());
        let state = self.venue.stop_state();
        assert_eq!(self.home.replay(2)["state"], state);
        let log = self.home.log();
        assert!(!log.contains("panicked") && !log.contains("internal error"), "{log}");
    }
}

fn order(user_ref: u32) -> Vec<u8> {
    request_bytes(&enter(user_ref, b'B', 10, "AAPL", 1_000_000, codes::DAY))
}

#[test]
fn broken_packets_end_the_connection() {
    let mut stage = Stage::new(Settings::default());
    let oversize = packet_bytes(kind::UNSEQUENCED, &[b'O'; 513]);
    let login = login_bytes("ALICE", PASSWORD, "", 1);
    let mut control = login.clone();
    control[5] = 0x07;
    let mut high = login.clone();
    high[5] = 0xE9;
    let mut secret = login.clone();
    secret[12] = 0x00;
    let mut number = login;
    number[40] = b'x';
    let faults: [(&[u8], &str); 12] = [
        (&[0, 0], "a packet of length 0 has no type"),
        (&[0xFF, 0xFF, b'U'], "a payload of 65534 bytes; at most 512 are taken"),
        (&oversize, "a payload of 513 bytes; at most 512 are taken"),
        (&[0, 1, b'?'], "no packet type of this side: 0x3f"),
        // What only servers send.
        (&[0, 1, b'H'], "no packet type of this side: 0x48"),
        (&[0, 1, 0], "no packet type of this side: 0x00"),
        (&[0, 2, b'R', b'!'], "ClientHeartbeat has 0 bytes of payload; found 1"),
        (&[0, 3, b'L', b'A', b'B'], "LoginRequest has 46 bytes of payload; found 2"),
        (&control, "username cannot hold byte 0x07"),
        (&high, "username cannot hold byte 0xe9"),
        (&secret, "password is not printable ASCII"),
        (&number, "sequence cannot hold byte 0x78"),
    ];
    for (bytes, why) in faults {
        let raw = stage.connect();
        assert_eq!(stage.cut_off(raw, bytes, why), [], "{why}");
    }
    for (bytes, why) in &faults[..7] {
        let raw = stage.logged_in();
        assert_eq!(stage.cut_off(raw, bytes, why), [], "{why}");
    }
    stage.end();
}

#[test]
fn requests_and_logins_come_in_their_order() {
    let mut stage = Stage::new(Settings::default());
    let raw = stage.connect();
    assert_eq!(stage.cut_off(raw, &order(1), "a request before the login"), []);
    let raw = stage.logged_in();
    let again = login_bytes("ALICE", PASSWORD, "", 0);
    assert_eq!(stage.cut_off(raw, &again, "a second login on one connection"), []);
    let raw = stage.logged_in();
    let other = login_bytes("CAROL", PASSWORD, "", 0);
    assert_eq!(stage.cut_off(raw, &other, "a second login on one connection"), []);
    let raw = stage.connect();
    let answers = stage.cut_off(raw, &login_bytes("ALICE", "guess", "", 0), "login refused: user ALICE");
    assert_eq!(answers, [(kind::LOGIN_REJECTED, vec![b'A'])]);
    assert!(!stage.home.log().to_lowercase().contains("guess"), "a password is in the log");
    assert!(!stage.home.log().to_lowercase().contains(PASSWORD), "a password is in the log");
    // None of the orders got in.
    let mut client = stage.venue.client_from("ALICE", 1);
    let (told, next) = client.query();
    assert_eq!((told.len(), next), (2, 1));
    stage.end();
}

#[test]
fn what_is_no_ouch_is_named_in_a_debug_packet_before_the_end() {
    let mut stage = Stage::new(Settings::default());
    let mut text = order(1);
    text[3 + 10] = 0xC4;
    let mut text_of_client = order(1);
    text_of_client[3 + 31] = b'\n';
    let enter = order(1)[3..].to_vec();
    let with_appendage = |appendage: &[u8]| {
        let mut message = enter.clone();
        let length = u16::try_from(appendage.len()).expect("short");
        message[45..47].copy_from_slice(&length.to_be_bytes());
        message.extend_from_slice(appendage);
        packet_bytes(kind::UNSEQUENCED, &message)
    };
    let raw = |message: &[u8]| packet_bytes(kind::UNSEQUENCED, message);
    let faults: [(Vec<u8>, &str); 15] = [
        (raw(b""), "an empty message"),
        (raw(b"Z"), "no message type of this side: 0x5a"),
        (raw(b"A"), "no message type of this side: 0x41"),
        (raw(&[0]), "no message type of this side: 0x00"),
        (raw(b"O"), "EnterOrder has 47 bytes; found 1"),
        (raw(&enter[..46]), "EnterOrder has 47 bytes; found 46"),
        (raw(&[&enter[..], &[0]].concat()), "EnterOrder has 47 bytes; found 48"),
        (raw(b"X1234567"), "CancelOrder has 9 bytes; found 8"),
        (raw(b"X123456789"), "CancelOrder has 9 bytes; found 10"),
        (raw(b"QQ"), "AccountQuery has 1 bytes; found 2"),
        (text, "EnterOrder: symbol cannot hold byte 0xc4"),
        (text_of_client, "EnterOrder: client_order_id cannot hold byte 0x0a"),
        (with_appendage(&[0]), "appendage, byte 0: an option of length 0 has no tag"),
        (with_appendage(&[9, 3, 0]), "appendage, byte 0: an option of 9 bytes; 2 are left"),
        (with_appendage(&[5, 3, 0, 0, 0, 1, 5, 3, 0, 0, 0, 1]), "appendage, byte 6: tag 3 a second time"),
    ];
    for (bytes, why) in faults {
        let raw = stage.logged_in();
        let answers = stage.cut_off(raw, &bytes, why);
        assert_eq!(answers, [(kind::DEBUG, why.as_bytes().to_vec())]);
    }
    stage.end();
}

#[test]
fn what_came_before_the_fault_counts() {
    let mut stage = Stage::new(Settings::default());
    let raw = stage.logged_in();
    let bytes = [order(1), order(2), packet_bytes(kind::UNSEQUENCED, b"?"), order(3)].concat();
    stage.cut_off(raw, &bytes, "no message type of this side: 0x3f");
    let mut client = stage.venue.client_from("ALICE", 2);
    let told: Vec<_> = client.up_to(3).iter().map(|said| written(said).0).collect();
    assert_eq!(told, ["A 1 B 10 AAPL 100.0000 0 YPNN L 0-1", "A 2 B 10 AAPL 100.0000 0 YPNN L 0-2"]);
    let (more, next) = client.query();
    assert_eq!((more.len(), next), (1, 3));
    stage.end();
}

#[test]
fn segments_mean_nothing() {
    let mut stage = Stage::new(Settings::default());
    let requests = [
        enter(1, b'B', 100, "AAPL", 1_000_000, codes::DAY),
        replace(1, 2, 90, 1_000_100),
        cancel(2, 50),
        cancel(2, 0),
        Inbound::AccountQuery,
    ];
    // The answer of a query does not wait for books, so it is asked when all else has been heard.
    let (last, first) = requests.split_last().expect("some");
    let bytes: Vec<u8> = first.iter().flat_map(request_bytes).collect();
    let told = [
        "A 1 B 100 AAPL 100.0000 0 YPNN L 0-",
        "U 1 2 B 90 AAPL 100.0100 0 YPNN L 0-",
        "C 2 40 U",
        "C 2 50 U",
    ];
    for (user, piece, next_order) in [("ALICE", 1, 1), ("CAROL", 7, 3), ("DAVE", usize::MAX, 5)] {
        let mut raw = stage.connect();
        let all = [login_bytes(user, PASSWORD, "", 0), bytes.clone()].concat();
        for chunk in all.chunks(piece.min(all.len())) {
            raw.write(chunk);
        }
        assert_eq!(raw.answer().expect("an answer").0, kind::LOGIN_ACCEPTED);
        for (want, n) in told.iter().zip(0..) {
            let (kind, bytes) = raw.answer().expect("an answer");
            assert_eq!(kind, kind::SEQUENCED);
            let said = crate::client::Said { number: 0, bytes };
            let want =
                if want.ends_with('-') { format!("{want}{}", next_order + n) } else { (*want).to_owned() };
            assert_eq!(written(&said).0, want, "in pieces of {piece}");
        }
        raw.write(&request_bytes(last));
        assert_eq!(raw.answer().expect("an answer").1[9..], 3_u32.to_be_bytes());
        stage.bystander_trades();
    }
    stage.end();
}

#[test]
fn random_bytes_break_nothing() {
    let mut random = Xoshiro256StarStar::seed_from_u64(seeded::seed());
    let mut stage = Stage::new(Settings::default());
    for round in 0..200 {
        let mut raw = if random.random_bool(0.5) { stage.connect() } else { stage.logged_in() };
        let bytes: Vec<u8> = match round % 3 {
            // Noise.
            0 => (0..random.random_range(1..2_000)).map(|_| random.random()).collect(),
            // Noise in packets.
            1 => {
                let payload: Vec<u8> = (0..random.random_range(0..80)).map(|_| random.random()).collect();
                packet_bytes(b"LURO+"[random.random_range(0..5)], &payload)
            }
            // Sense, with a few bytes changed.
            _ => {
                let mut bytes = [order(round), order(round + 1), request_bytes(&cancel(round, 0))].concat();
                for _ in 0..random.random_range(1..6) {
                    let at = random.random_range(0..bytes.len());
                    bytes[at] = random.random();
                }
                bytes
            }
        };
        raw.write(&bytes);
        drop(raw);
        if round % 10 == 0 {
            stage.bystander_trades();
        }
    }
    stage.end();
}

#[test]
fn a_client_that_does_not_read_is_cut_off_at_its_bound_and_misses_nothing() {
    // Nothing waits to be sequenced, so that with the connection goes all that it had sent too much.
    let settings = Settings { unsent_kib: 64, ack: "memory", admission: "window = 0", ..Settings::default() };
    let mut stage = Stage::new(settings);
    let mut slow = Raw::over(narrow(stage.venue.address));
    slow.stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    slow.write(&login_bytes("ALICE", PASSWORD, "", 1));
    let mut sent = 0;
    // It sends orders and never reads what it is told.
    loop {
        let orders: Vec<u8> = (1..=500)
            .flat_map(|n| {
                request_bytes(&enter(sent + n, b'B', 1, "AAPL", 1_000_000, codes::IMMEDIATE_OR_CANCEL))
            })
            .collect();
        let alive = slow.write(&orders);
        sent += 500;
        stage.bystander_trades();
        if !alive {
            break;
        }
        assert!(sent < 1_000_000, "hung: a client may leave {sent} orders' answers unread");
    }
    eventually("the log says so", || stage.home.log_lines("ALICE: does not read: ").len() == 1);
    let line = stage.home.log_lines("ALICE: does not read: ").remove(0);
    let unsent: usize = line
        .split("does not read: ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .expect("bytes");
    // One turn's reports may come on top of the bound.
    assert!((64 << 10..4 << 20).contains(&unsent), "{line}");

    // It comes back and gets all of it: an acknowledgement and a cancel for each order.
    let mut client = stage.venue.client_from("ALICE", 1);
    let (mut told, next) = client.query();
    let orders = usize::try_from(next - 1).expect("few");
    // The query overtakes what the book has not said yet.
    let answer = told.pop().expect("the query's answer");
    assert!(matches!(answer.message(), Outbound::AccountQueryResponse(_)));
    while told.len() < 1 + 2 * orders {
        told.push(client.next());
    }
    for (pair, user_ref) in told[1..=2 * orders].chunks(2).zip(1..) {
        assert!(matches!(pair[0].message(), Outbound::Accepted(m) if m.user_ref == user_ref));
        assert!(matches!(pair[1].message(), Outbound::Canceled(m) if m.user_ref == user_ref));
    }
    stage.end();
}

/// A connection whose kernel takes little for it. The buffer must be made small before the connection is.
pub(crate) fn narrow(address: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    sockopt::set_socket_recv_buffer_size(&socket, 4_096).expect("a small buffer");
    connect(&socket, &address).expect("a connection");
    TcpStream::from(socket)
}

#[test]
fn no_more_connections_than_allowed() {
    let mut stage = Stage::new(Settings { connections: 4, ..Settings::default() });
    // The bystander has one.
    let mut idle: Vec<Raw> = (0..3).map(|_| stage.connect()).collect();
    let mut alice = idle.remove(0);
    alice.write(&login_bytes("ALICE", PASSWORD, "", 0));
    assert_eq!(alice.answer().expect("an answer").0, kind::LOGIN_ACCEPTED);
    for _ in 0..3 {
        let mut further = stage.connect();
        further.write(&login_bytes("CAROL", PASSWORD, "", 0));
        assert_eq!(further.until_closed(), []);
        stage.bystander_trades();
    }
    eventually("the log says so", || stage.home.log_lines("4 connections are open already").len() == 3);
    // The others are as they were, and there is room again when one goes.
    alice.write(&order(1));
    assert_eq!(alice.answer().expect("an answer").0, kind::SEQUENCED);
    idle.pop();
    eventually("there is room again", || {
        let mut carol = stage.connect();
        carol.write(&login_bytes("CAROL", PASSWORD, "", 0));
        carol.answer().is_some_and(|(kind, _)| kind == kind::LOGIN_ACCEPTED)
    });
    stage.end();
}

#[test]
fn who_waits_while_file_descriptors_are_short_is_let_in_when_there_are_more() {
    let mut stage = Stage::new(Settings::default());
    let pid = stage.venue.pid();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("a process").count() as u64;
    let limit = |most: u64| {
        let limit = Rlimit { current: Some(most), maximum: Some(1_024) };
        prlimit(Some(pid), Resource::Nofile, limit).expect("a limit");
    };
    limit(open + 2);
    let mut waiting: Vec<Raw> = (0..4).map(|_| stage.connect()).collect();
    eventually("the log says so", || stage.home.log_lines("no further connection for now").len() == 1);
    stage.bystander_trades();
    limit(1_024);
    // Nobody connects meanwhile; those who wait are served.
    for (raw, user) in waiting.iter_mut().zip(["ALICE", "CAROL", "DAVE", "ERIN"]) {
        raw.write(&login_bytes(user, PASSWORD, "", 0));
        assert_eq!(raw.answer().expect("an answer").0, kind::LOGIN_ACCEPTED);
    }
    stage.end();
}
