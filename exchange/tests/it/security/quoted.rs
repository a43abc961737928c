//! Who is told of books by FIX.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ::client::{
    ClientError, Tls, User,
    fix::{Connection, Memory, Settings as Session},
};
use domain::Nanos;
use wire::fix::{TimePrecision, Writer};

use super::{done, tls::Trial};
use crate::venue::{HUNG, Home, Settings, Venue, eventually};

const READER: &str = "Reader-1";
const SECRET: &str = "Correct horse battery staple";

fn home(sections: &str, settings: Settings) -> Home {
    let sections = format!("[feed]\n{sections}\n[feed.fix]\naddress = \"127.0.0.1:0\"\nclients = 2\n");
    let home = Home::new(Settings { sections, ..settings });
    for name in [READER, "Reader-2", "Reader-3"] {
        done(&home, &["add", name, "--protocol", "fix"], SECRET);
    }
    home
}

fn log_on(
    venue: &Venue,
    tls: Option<&Tls>,
    (name, password): (&str, &str),
) -> Result<Connection, ClientError> {
    let user = User { name: name.to_owned(), password: password.to_owned() };
    let settings = Session { reset: true, ..Session::new(user, "FULCRUM-MD") };
    let address = venue.market_data().expect("a listener");
    let mut connection = Connection::open(address, tls, settings, Memory::new(1 << 20), HUNG)?;
    connection.logon(HUNG).map(|()| connection)
}

fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    Nanos(u64::try_from(since.as_nanos()).expect("before 2554"))
}

/// Asks for a book, and is told it.
fn is_told(connection: &mut Connection, name: &str) {
    let write = |number, out: &mut Vec<u8>| {
        let mut writer = Writer::new(TimePrecision::Millis);
        let mut message = writer.begin(out, b"FIX.4.4", b"V");
        message.number(34, number).text(49, name.as_bytes()).time(52, now()).text(56, b"FULCRUM-MD");
        message.fields(b"262=r\x01263=0\x01264=1\x01267=1\x01269=0\x01146=1\x0155=AAPL\x01");
        message.end();
    };
    connection.write(now(), write).expect("room");
    connection.flush().expect("it is taken");
    let told = connection.receive(HUNG).expect("it is there").expect("an answer");
    assert_eq!(told.msg_type, b"W");
}

/// Whether the exchange closes a connection, having said nothing.
fn is_closed(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(HUNG)).expect("a timeout");
    let mut bytes = [0; 100];
    match stream.read(&mut bytes) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn connect(venue: &Venue) -> TcpStream {
    TcpStream::connect(venue.market_data().expect("a listener")).expect("a connection")
}

#[test]
fn books_are_told_by_tls_to_users_with_a_certificate_where_that_is_asked_for() {
    let trial = Trial::new();
    let ca = trial.file("ca.pem");
    let mut home = home("", Settings::default());
    home.settings.sections += &trial.section_of("feed.tls", Some(&ca));
    let venue = home.start();
    let tls = |own: Option<(&str, &str)>| {
        let own = own.map(|(certificate, key)| (trial.file(certificate), trial.file(key)));
        let own = own.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        Tls::from_files(&ca, Some("localhost"), own).expect("a CA")
    };
    let with = tls(Some(("client.pem", "client.key")));
    let mut reader = log_on(&venue, Some(&with), (READER, SECRET)).expect("a logon by TLS");
    is_told(&mut reader, READER);
    log_on(&venue, Some(&with), ("Reader-2", "correct horse battery staple")).expect_err("a wrong password");
    log_on(&venue, Some(&tls(None)), ("Reader-2", SECRET)).expect_err("no certificate");
    log_on(&venue, None, ("Reader-2", SECRET)).expect_err("no TLS");
    // Half a handshake stalls nobody.
    let mut half = connect(&venue);
    half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]).expect("it is taken");
    is_told(&mut reader, READER);
    reader.logout(HUNG).expect("a logout");
}

#[test]
fn those_who_never_log_on_for_books_displace_themselves_and_go_in_time() {
    let home = home("login_timeout_s = 1", Settings::default());
    let venue = home.start();
    let mut reader = log_on(&venue, None, (READER, SECRET)).expect("a logon");
    // More than may wait: whoever has waited longest goes first, and who logs on at once gets in.
    let crowd: Vec<TcpStream> = (0..40).map(|_| connect(&venue)).collect();
    let mut other = log_on(&venue, None, ("Reader-2", SECRET)).expect("a logon behind a crowd");
    is_told(&mut other, "Reader-2");
    // Half a message, and more of it than a logon has.
    let mut long = connect(&venue);
    long.write_all(&[&b"8=FIX.4.4\x019=8000\x0135=A\x0158="[..], &[b'x'; 5_000]].concat())
        .expect("it is taken");
    assert!(is_closed(long), "what comes before a logon has no bound");
    let mut garbage = connect(&venue);
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it is taken");
    assert!(is_closed(garbage), "what is no FIX is heard");
    assert!(crowd.into_iter().all(is_closed), "one of the crowd is still there");
    eventually("the log says so", || {
        let log = home.log();
        log.contains("had not logged on when others came") && log.contains("no logon in time")
    });
    // Both places are taken, and whoever is there stays there.
    let third = log_on(&venue, None, ("Reader-3", SECRET));
    let why = third.expect_err("a third session").to_string();
    assert!(why.contains("as many sessions are there as may be"), "{why}");
    is_told(&mut reader, READER);
    is_told(&mut other, "Reader-2");
    other.logout(HUNG).expect("a logout");
    eventually("the place is free", || log_on(&venue, None, ("Reader-3", SECRET)).is_ok());
}

#[test]
fn books_are_told_to_whom_the_lists_let_in_and_nobody_from_elsewhere() {
    let elsewhere = home("allow = [\"10.0.0.0/8\"]", Settings::default());
    let venue = elsewhere.start();
    log_on(&venue, None, (READER, SECRET)).expect_err("not on the list");
    eventually("the log says so", || elsewhere.log().contains("not in the configuration's allow"));
    drop(venue);
    let few = home("connections_per_address = 1", Settings::default());
    done(&few, &["add", "Barred-1", "--protocol", "fix", "--no-market-data"], SECRET);
    let venue = few.start();
    log_on(&venue, None, ("Barred-1", SECRET)).expect_err("one who may not read market data");
    // Nor has a user of the other protocol a session here.
    log_on(&venue, None, ("ALICE", crate::venue::PASSWORD)).expect_err("one who speaks SoupBinTCP");
    let mut reader = log_on(&venue, None, (READER, SECRET)).expect("a logon");
    assert!(is_closed(connect(&venue)), "a second connection of an address");
    is_told(&mut reader, READER);
    // Who is disabled goes; and a password that is wrong too often is not heard.
    done(&few, &["disable", READER], "");
    let gone = loop {
        match reader.receive(Duration::from_millis(200)) {
            Ok(None) => {}
            Ok(Some(told)) => panic!("{told:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(gone, ClientError::Closed { .. }), "{gone}");
    for _ in 0..5 {
        log_on(&venue, None, ("Reader-2", "a guess")).expect_err("a guess");
    }
    log_on(&venue, None, ("Reader-2", SECRET)).expect_err("one more was heard");
    assert!(few.log().contains("user Reader-2: unheard for"), "{}", few.log());
}
