//! Who logs on by FIX.

use ::client::{
    ClientError, Tls, User,
    fix::{Connection, Memory, Settings as Session, Store},
};

use super::{done, tls::Trial};
use crate::venue::{HUNG, Home, Settings, Venue};

const BROKER: &str = "Broker-1";
const SECRET: &str = "Correct horse battery staple";

fn home(sections: &str) -> Home {
    let home = Home::new(Settings {
        sections: format!("[fix]\naddress = \"127.0.0.1:0\"\n{sections}"),
        ..Settings::default()
    });
    done(&home, &["add", BROKER, "--protocol", "fix"], SECRET);
    home
}

fn log_on(
    venue: &Venue,
    tls: Option<&Tls>,
    (name, password): (&str, &str),
    reset: bool,
    store: Memory,
) -> Result<Connection, ClientError> {
    let user = User { name: name.to_owned(), password: password.to_owned() };
    let settings = Session { reset, ..Session::new(user, "FULCRUM") };
    let mut connection = Connection::open(venue.fix.expect("a listener"), tls, settings, store, HUNG)?;
    connection.logon(HUNG).map(|()| connection)
}

#[test]
fn no_number_of_a_session_changes_before_its_user_has_shown_who_it_is() {
    let home = home("");
    let venue = home.start();
    let right = (BROKER, SECRET);
    let mut store = Memory::new(1 << 20);
    for _ in 0..3 {
        let mut broker = log_on(&venue, None, right, false, store).expect("a logon");
        broker.logout(HUNG).expect("a logout");
        store = broker.into_store();
    }
    let next = store.next();
    assert_eq!(next, (7, 7));
    for (name, password) in [(BROKER, "correct horse battery staple"), (BROKER, ""), ("BROKER-1", SECRET)] {
        // With 141=Y, which begins a session anew.
        let refused = log_on(&venue, None, (name, password), true, Memory::new(1 << 20));
        assert!(matches!(refused, Err(ClientError::LogonRefused { .. })), "{name} {password}: {refused:?}");
    }
    // A session that had begun anew would answer with number 1.
    let again = log_on(&venue, None, right, false, store);
    let mut broker = again.unwrap_or_else(|error| panic!("{error}: {}", home.log()));
    broker.logout(HUNG).expect("a logout");
    assert_eq!(broker.into_store().next(), (8 + 1, 8 + 1));
    let log = home.log();
    assert!(log.contains("user Broker-1: not one who may come in") && !log.contains(SECRET), "{log}");
}

#[test]
fn guesses_by_fix_are_not_heard_either() {
    let home = home("");
    let venue = home.start();
    for guess in 0..5 {
        let guess = format!("guess number {guess}");
        log_on(&venue, None, (BROKER, &guess), false, Memory::new(1 << 20)).expect_err("a guess");
    }
    log_on(&venue, None, (BROKER, SECRET), false, Memory::new(1 << 20)).expect_err("one more was heard");
    assert!(home.log().contains("user Broker-1: unheard for"), "{}", home.log());
    let deadline = std::time::Instant::now() + HUNG;
    while log_on(&venue, None, (BROKER, SECRET), false, Memory::new(1 << 20)).is_err() {
        assert!(std::time::Instant::now() < deadline, "never heard again");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_fix_session_comes_by_tls_and_by_nothing_else_where_that_is_asked_for() {
    let trial = Trial::new();
    let home = home(&trial.section_of("fix.tls", None));
    let venue = home.start();
    let tls = Tls::from_ca_file(trial.file("ca.pem"), Some("localhost")).expect("a CA");
    let broker = log_on(&venue, Some(&tls), (BROKER, SECRET), false, Memory::new(1 << 20));
    broker.expect("a logon by TLS").logout(HUNG).expect("a logout");
    let plain = log_on(&venue, None, (BROKER, SECRET), false, Memory::new(1 << 20));
    plain.expect_err("a logon without TLS");
    // The other listener has no certificate, and needs none.
    venue.client("ALICE").round_trip(1, "AAPL");
}

/// A logon that is signed: what is sent, byte for byte.
fn signed(pair: &ring::signature::Ed25519KeyPair, number: u64, reset: bool) -> Vec<u8> {
    signed_for("FULCRUM", pair, number, reset)
}

/// The same, for the listener of this CompID.
fn signed_for(target: &str, pair: &ring::signature::Ed25519KeyPair, number: u64, reset: bool) -> Vec<u8> {
    use base64ct::{Base64, Encoding};
    use wire::fix::{TimePrecision, Writer};
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    let now = domain::Nanos(u64::try_from(since.as_nanos()).expect("before 2554"));
    let mut writer = Writer::new(TimePrecision::Nanos);
    let mut stamp = Vec::new();
    let mut message = writer.begin(&mut stamp, b"FIX.4.4", b"0");
    message.time(52, now);
    message.end();
    let stamp = String::from_utf8(stamp).expect("ASCII");
    let (_, stamp) = stamp.split_once("\x0152=").expect("a time");
    let (stamp, _) = stamp.split_once('\x01').expect("its end");
    let said = format!("A\x01{BROKER}\x01{target}\x01{number}\x01{stamp}");
    let signature = Base64::encode_string(pair.sign(said.as_bytes()).as_ref());
    let mut out = Vec::new();
    let mut message = writer.begin(&mut out, b"FIX.4.4", b"A");
    message
        .number(34, number)
        .text(49, BROKER.as_bytes())
        .text(52, stamp.as_bytes())
        .text(56, target.as_bytes());
    message.number(98, 0).number(108, 30).number(95, signature.len() as u64).text(96, signature.as_bytes());
    if reset {
        message.letter(141, b'Y');
    }
    message.end();
    out
}

/// What comes as the answer; nothing when the connection is closed without a word.
fn answer(venue: &Venue, bytes: &[u8]) -> String {
    answer_at(venue.fix, bytes)
}

fn answer_at(address: Option<std::net::SocketAddr>, bytes: &[u8]) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address.expect("a listener")).expect("a connection");
    stream.set_read_timeout(Some(HUNG)).expect("a timeout");
    stream.write_all(bytes).expect("it is taken");
    let mut answer = [0; 4_096];
    let n = stream.read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..n]).into_owned()
}

fn key_pair() -> ring::signature::Ed25519KeyPair {
    let random = ring::rand::SystemRandom::new();
    let pkcs8 = ring::signature::Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
    ring::signature::Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("it is one")
}

/// A place where BROKER is let in by this key.
fn home_of_key(own: &ring::signature::Ed25519KeyPair) -> Home {
    use ring::signature::KeyPair;
    let sections = "[fix]\naddress = \"127.0.0.1:0\"\n[feed.fix]\naddress = \"127.0.0.1:0\"".into();
    let home = Home::new(Settings { sections, ..Settings::default() });
    // SubjectPublicKeyInfo of an Ed25519 key, RFC 8410.
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let der = [&prefix[..], own.public_key().as_ref()].concat();
    let text = <base64ct::Base64 as base64ct::Encoding>::encode_string(&der);
    let pem = home.file("key.pem");
    std::fs::write(&pem, format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"))
        .expect("a file");
    let pem = pem.display().to_string();
    done(&home, &["add", BROKER, "--protocol", "fix", "--public-key", &pem, "--no-password"], "");
    home
}

#[test]
fn a_logon_that_is_signed_for_the_one_listener_is_none_for_the_other() {
    let own = key_pair();
    let home = home_of_key(&own);
    let venue = home.start();
    let is_let_in = |answer: String| answer.contains("\x0135=A\x01");
    let (orders, books) = (venue.fix, venue.market_data());
    for (target, right, wrong) in [("FULCRUM", orders, books), ("FULCRUM-MD", books, orders)] {
        assert_eq!(answer_at(wrong, &signed_for(target, &own, 1, true)), "", "{target}");
        // Nor when it has been made to say that it is for the other.
        let other = if target == "FULCRUM" { "FULCRUM-MD" } else { "FULCRUM" };
        let logon = signed_for(target, &own, 1, true);
        let logon = String::from_utf8(logon).expect("ASCII");
        let (body, _) = logon.split_once("\x0110=").expect("a checksum");
        let (head, body) = body.split_once("\x0135=A").expect("a type");
        let body = format!("35=A{body}\x01")
            .replace(&format!("\x0156={target}\x01"), &format!("\x0156={other}\x01"));
        let begin = head.split_once('\x01').map_or(head, |(begin, _)| begin);
        let text = format!("{begin}\x019={}\x01{body}", body.len());
        let sum = text.bytes().fold(0u8, u8::wrapping_add);
        assert_eq!(answer_at(wrong, format!("{text}10={sum:03}\x01").as_bytes()), "", "{target} as {other}");
        let let_in = is_let_in(answer_at(right, &signed_for(target, &own, 1, true)));
        assert!(let_in, "{target}: {}", home.log());
    }
}

#[test]
fn a_logon_is_signed_instead_and_each_signature_is_good_once() {
    let (own, others) = (key_pair(), key_pair());
    let home = home_of_key(&own);
    let venue = home.start();
    let logon = signed(&own, 1, true);
    assert!(answer(&venue, &logon).contains("\x0135=A\x01"), "{}", home.log());
    assert_eq!(answer(&venue, &logon), "", "the same bytes again");
    assert_eq!(answer(&venue, &signed(&others, 2, false)), "", "another's key");
    let mut broken = signed(&own, 2, false);
    let at = broken.windows(4).position(|four| four == b"\x0134=").expect("a number") + 4;
    broken[at] = b'9';
    // With the right checksum for it.
    let end = broken.len() - 7;
    let sum = broken[..end].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    broken.truncate(end);
    broken.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
    assert_eq!(answer(&venue, &broken), "", "another number than was signed");
    // The first one's connection has ended by now, or is about to.
    crate::venue::eventually("its session is free", || {
        answer(&venue, &signed(&own, 2, true)).contains("\x0135=A\x01") || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            answer(&venue, &signed(&own, 1, true)).contains("\x0135=A\x01")
        }
    });
}
