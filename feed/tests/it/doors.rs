//! Who may take a snapshot or be a web client, and what those who may not can do to the others: TLS, networks, users, crowds.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use domain::SessionId;
use door::auth::{Proof, Protocol, User, UsersFeed, canonical_name, canonical_password, hash_password};
use engine::book::Book;
use feed::{
    FeedStats, Server, Settings,
    client::{Access, Addresses, Subscriber},
};
use link::clients::{ServerFiles, TrialFiles, client_config, create_trial, server_config};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, client::IntoClientRequest, protocol::frame::coding::CloseCode};

use crate::{
    served::{self, HUNG, Venue, local, login_as, much},
    support::generator,
    web::{self, Web, ask, next},
};

const SESSION: &[u8; 10] = b"SESSION001";
const PASSWORD: &str = "secret";

/// Both listeners, each with so many places.
fn settings(places: usize) -> Settings {
    Settings { snapshot: Some(local(0)), snapshot_clients: places, ..web::settings(places) }
}

/// A venue whose book is empty.
fn venue(server: Server) -> Venue {
    Venue::start_with(Book::new(domain::InstrumentId(0)), *SESSION, server)
}

fn user(name: &str, protocol: Protocol, number: u32, proof: Proof) -> User {
    let name = canonical_name(protocol, name.as_bytes()).expect("a name");
    User::new(name, protocol, SessionId(number), proof)
}

fn plain(name: &str, protocol: Protocol, number: u32) -> User {
    user(name, protocol, number, Proof::Plain(canonical_password(protocol, PASSWORD.as_bytes())))
}

fn hashed(name: &str, number: u32) -> User {
    let hash = hash_password(&canonical_password(Protocol::Soup, PASSWORD.as_bytes())).expect("a hash");
    user(name, Protocol::Soup, number, Proof::Hash(hash.into()))
}

/// A venue that lets these users read. With what tells it of others.
fn venue_for(users: Vec<User>, settings: &Settings) -> (Venue, Arc<UsersFeed>, Arc<door::Waker>) {
    let mut server = Server::bind(settings).expect("sockets");
    let feed = Arc::new(UsersFeed::default());
    server.ask_for_users(users, Arc::clone(&feed)).expect("a thread");
    let waker = server.waker();
    (venue(server), feed, waker)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(HUNG)).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// What comes until the end. One that is cut off may see that as a reset.
fn rest(mut stream: impl Read) -> Vec<u8> {
    let (mut all, mut chunk) = (Vec::new(), [0; 4_096]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return all,
            Ok(n) => all.extend_from_slice(&chunk[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("hung after {} bytes", all.len())
            }
            Err(_) => return all,
        }
    }
}

/// What a login for a snapshot is answered with.
fn snapshot(address: SocketAddr, user: &str, password: &str) -> Vec<u8> {
    let mut stream = connect(address);
    stream.write_all(&login_as(user, password, "")).expect("it is taken");
    rest(stream)
}

fn is_snapshot(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0, 31, b'A']) && bytes.ends_with(&[0, 1, b'Z'])
}

const REJECTED: &[u8] = &[0, 2, b'J', b'A'];

fn log_in<S: Read + Write>(socket: &mut WebSocket<S>, user: &str, password: &str) -> Value {
    ask(socket, &json!({"op": "login", "user": user, "password": password}));
    next(socket)
}

/// A client is told that it may not, and closed.
fn is_refused<S: Read + Write>(socket: &mut WebSocket<S>, said: &Value, why: &str) {
    assert_eq!(said["type"], "error", "{said}");
    assert!(said["reason"].as_str().expect("a reason").contains(why), "{said}");
    match socket.read().expect("a close") {
        Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Policy),
        other => panic!("{other:?}"),
    }
}

/// Waits until what is counted is as it should be.
fn counted(venue: &Venue, what: impl Fn(&FeedStats) -> bool) {
    let begun = Instant::now();
    while !what(&venue.stats.read()) {
        assert!(begun.elapsed() < HUNG, "{:?}", venue.stats.read());
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Certificates {
    _dir: tempfile::TempDir,
    files: TrialFiles,
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

impl Certificates {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let files = create_trial(&dir.path().join("tls"), "localhost", SystemTime::now()).expect("files");
        Self { _dir: dir, files }
    }

    fn server(&self, settings: &Settings, client_ca: Option<&Path>) -> Server {
        let (certificate, key) = self.files.server.clone();
        let files = ServerFiles { certificate, key, client_ca: client_ca.map(Path::to_owned) };
        let mut server = Server::bind(settings).expect("sockets");
        server.serve_tls(server_config(&files, SystemTime::now()).expect("a listener's settings"));
        server
    }

    fn own(&self) -> Option<(&Path, &Path)> {
        Some((&self.files.client.0, &self.files.client.1))
    }

    fn connect(&self, address: SocketAddr, own: Option<(&Path, &Path)>) -> Tls {
        self.on(connect(address), own)
    }

    fn on(&self, socket: TcpStream, own: Option<(&Path, &Path)>) -> Tls {
        let name = ServerName::try_from("localhost").expect("a name");
        let config = client_config(&self.files.ca, own).expect("a client's settings");
        StreamOwned::new(ClientConnection::new(config, name).expect("a client"), socket)
    }

    fn open(&self, address: SocketAddr) -> WebSocket<Tls> {
        tungstenite::client(format!("ws://{address}/"), self.connect(address, None)).expect("a WebSocket").0
    }
}

#[test]
fn market_data_comes_by_tls_and_by_nothing_else_where_that_is_asked_for() {
    let mut rng = generator();
    let (instrument, groups) = much(&mut rng);
    let certificates = Certificates::new();
    let addresses = Addresses { mold: local(0), interface: None, rerequest: None, snapshot: local(1) };
    let mut subscriber = Subscriber::new(addresses).expect("a socket");
    let settings = Settings {
        web: settings(4).web,
        snapshot_clients: 4,
        ..served::settings(subscriber.address().expect("an address"))
    };
    let server = certificates.server(&settings, None);
    let mut venue = Venue::start_with(Book::new(instrument), *SESSION, server);
    let (snapshot, web) = (venue.bound.snapshot.unwrap(), venue.bound.web.unwrap());
    subscriber.take_snapshots_from(snapshot);
    // Who does not speak TLS gets an alert, and nothing that TLS would have to hide.
    for (address, bytes) in [(snapshot, login_as("", "", "")), (web, b"GET / HTTP/1.1\r\n\r\n".to_vec())] {
        let mut stream = connect(address);
        stream.write_all(&bytes).expect("it is taken");
        let said = rest(stream);
        assert!(said.first() == Some(&0x15) && said.len() < 16, "{said:?}");
    }
    subscriber.turn().expect("sockets");
    assert!(subscriber.session().is_none() && subscriber.trouble().is_some(), "in without TLS");
    // The clients that do have the exchange's book.
    let tls = client::Tls::from_ca_file(&certificates.files.ca, Some("localhost")).expect("a CA");
    subscriber.ask_for_snapshots_as(Access { tls: Some(tls), ..Access::default() });
    let mut socket = certificates.open(web);
    let symbol = format!("S{}", instrument.0);
    ask(&mut socket, &json!({"op": "subscribe", "symbols": [symbol], "channels": ["depth"]}));
    let mut depth = Web::default();
    for (at, group) in groups.iter().enumerate() {
        venue.turn(group, &mut rng);
        if at.is_multiple_of(50) {
            venue.release();
            served::catch_up(&mut subscriber, &venue, *SESSION);
            served::compare(&subscriber, &venue.book);
            web::catch_up(&mut socket, &mut depth, &venue.book);
        }
    }
    venue.release();
    web::catch_up(&mut socket, &mut depth, &venue.book);
    // A snapshot that is larger than what TLS takes at a time, to a client that reads late; its end is said.
    let mut late = certificates.connect(snapshot, None);
    late.write_all(&login_as("ANY", "ANY", "SESSION001")).expect("it is taken");
    counted(&venue, |stats| stats.snapshots >= 2);
    let mut bytes = Vec::new();
    late.read_to_end(&mut bytes).expect("an end, and no cut");
    assert!(is_snapshot(&bytes), "{} bytes", bytes.len());
    // A client of another CA does not take this server for its own.
    let mut stranger = Certificates::new().connect(snapshot, None);
    let error = stranger.write_all(&login_as("", "", "")).expect_err("another CA");
    assert!(error.to_string().contains("certificate"), "{error}");
    venue.end();
}

#[test]
fn a_snapshot_that_sockets_do_not_hold_comes_whole_by_tls() {
    let certificates = Certificates::new();
    let server = certificates.server(&settings(4), None);
    // Some 4 MB of a directory.
    let venue = Venue::start_with(Book::new(domain::InstrumentId(60_000)), *SESSION, server);
    let address = venue.bound.snapshot.unwrap();
    let [fast, slow] = [connect(address), web::narrow_socket(address)].map(|socket| {
        let mut client = certificates.on(socket, None);
        client.write_all(&login_as("ANY", "ANY", "")).expect("it is taken");
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).expect("an end, and no cut");
        bytes
    });
    assert!(is_snapshot(&fast) && fast.len() > 4_000_000, "{} bytes", fast.len());
    assert!(fast == slow, "{} bytes and {}", fast.len(), slow.len());
    venue.end();
}

#[test]
fn a_web_client_by_tls_that_does_not_read_misses_what_comes_on_top_and_gets_a_snapshot() {
    let certificates = Certificates::new();
    let server = certificates.server(&web::settings(4), None);
    web::a_slow_client_gets_a_snapshot(server, |socket| {
        tungstenite::client("ws://localhost/", certificates.on(socket, None)).expect("a WebSocket").0
    });
}

#[test]
fn market_data_with_a_ca_for_clients_goes_to_its_clients_alone() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let venue = venue(certificates.server(&settings(4), Some(&certificates.files.ca)));
    for address in [venue.bound.snapshot.unwrap(), venue.bound.web.unwrap()] {
        for own in [None, others.own()] {
            let mut stranger = certificates.connect(address, own);
            // It is through, as far as it knows, before the server has seen what it shows.
            let _ = stranger.write_all(&login_as("ANY", "ANY", ""));
            let _ = stranger.flush();
            let error = stranger.read(&mut [0; 100]).expect_err("no certificate of the CA");
            assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "hung: {error}");
        }
    }
    let mut ours = certificates.connect(venue.bound.snapshot.unwrap(), certificates.own());
    ours.write_all(&login_as("ANY", "ANY", "")).expect("it is taken");
    assert!(is_snapshot(&rest(ours)));
    let ours = certificates.connect(venue.bound.web.unwrap(), certificates.own());
    let mut ours = tungstenite::client("ws://localhost/", ours).expect("a WebSocket").0;
    ask(&mut ours, &json!({"op": "subscribe", "symbols": ["S0"], "channels": ["top"]}));
    assert_eq!(next(&mut ours)["type"], "subscribed");
    venue.end();
}

#[test]
fn who_reads_market_data_logs_in_where_that_is_asked_for() {
    let disabled = User { disabled: true, ..plain("EVE", Protocol::Soup, 3) };
    let elsewhere = User { allow: vec!["10.0.0.0/8".parse().unwrap()], ..plain("FAR", Protocol::Soup, 4) };
    let users = vec![
        plain("BOB", Protocol::Soup, 0),
        plain("Broker One", Protocol::Fix, 1),
        hashed("ZOE", 2),
        disabled,
        elsewhere,
    ];
    let (venue, ..) = venue_for(users, &settings(64));
    let (address, web) = (venue.bound.snapshot.unwrap(), venue.bound.web.unwrap());
    // SoupBinTCP knows no case.
    for (name, password) in [("bob", "SECRET"), ("ZOE", PASSWORD)] {
        assert!(is_snapshot(&snapshot(address, name, password)), "{name}");
        assert_eq!(log_in(&mut web::open(web), name, password)["type"], "logged_in", "{name}");
    }
    let wrong = [
        ("BOB", "wrong"),
        ("ZOE", "wrong"),
        ("", ""),
        ("NOBODY", PASSWORD),
        ("EVE", PASSWORD),
        ("FAR", PASSWORD),
    ];
    for (name, password) in wrong {
        assert_eq!(snapshot(address, name, password), REJECTED, "{name} {password}");
        let mut socket = web::open(web);
        let said = log_in(&mut socket, name, password);
        is_refused(&mut socket, &said, "login refused");
    }
    // FIX does, and its names are longer than SoupBinTCP's.
    let mut socket = web::open(web);
    assert_eq!(log_in(&mut socket, "Broker One", PASSWORD)["type"], "logged_in");
    assert_eq!(log_in(&mut socket, "BOB", PASSWORD)["type"], "error", "twice on one connection");
    ask(&mut socket, &json!({"op": "subscribe", "symbols": ["S0"], "channels": ["top"]}));
    assert_eq!(next(&mut socket)["type"], "subscribed");
    for (name, password) in [("broker one", PASSWORD), ("Broker One", "SECRET")] {
        let mut socket = web::open(web);
        let said = log_in(&mut socket, name, password);
        is_refused(&mut socket, &said, "login refused");
    }
    // Nothing is told before.
    for asked in [json!({"op": "subscribe", "symbols": ["S0"], "channels": ["top"]}), json!("?")] {
        let mut socket = web::open(web);
        ask(&mut socket, &asked);
        let said = next(&mut socket);
        is_refused(&mut socket, &said, "comes first");
    }
    venue.end();
}

#[test]
fn what_is_asked_right_behind_a_login_is_heard_when_it_is_verified() {
    let (venue, ..) = venue_for(vec![hashed("ZOE", 0)], &settings(16));
    let mut socket = web::open(venue.bound.web.unwrap());
    ask(&mut socket, &json!({"op": "login", "user": "ZOE", "password": PASSWORD}));
    ask(&mut socket, &json!({"op": "subscribe", "symbols": ["S0"], "channels": ["top"]}));
    for answer in ["logged_in", "subscribed"] {
        match socket.read().expect("an answer") {
            Message::Text(text) => assert!(text.contains(answer), "{text}"),
            // One to a ping is read with what came before it.
            other => panic!("{other:?} before \"{answer}\": nobody looked at what was there"),
        }
    }
    venue.end();
}

/// A web client whose request says that.
fn open_as(address: SocketAddr, authorization: &str) -> Option<WebSocket<TcpStream>> {
    let mut request = format!("ws://{address}/").into_client_request().expect("a request");
    request.headers_mut().insert("authorization", authorization.parse().expect("a header"));
    tungstenite::client(request, connect(address)).ok().map(|(socket, _)| socket)
}

#[test]
fn a_web_client_may_log_in_with_its_request() {
    let (venue, ..) = venue_for(vec![hashed("ZOE", 0)], &settings(16));
    let web = venue.bound.web.unwrap();
    let open = |authorization: &str| open_as(web, authorization);
    // ZOE:secret, twice: verified, and known again.
    for _ in 0..2 {
        let mut socket = open("Basic Wk9FOnNlY3JldA==").expect("a WebSocket");
        assert_eq!(next(&mut socket)["type"], "logged_in");
        ask(&mut socket, &json!({"op": "subscribe", "symbols": ["S0"], "channels": ["top"]}));
        assert_eq!(next(&mut socket)["type"], "subscribed");
    }
    // ZOE:wrong.
    let mut socket = open("Basic Wk9FOndyb25n").expect("a WebSocket");
    let said = next(&mut socket);
    is_refused(&mut socket, &said, "login refused");
    assert!(open("Bearer Wk9FOnNlY3JldA==").is_none(), "what is no login in HTTP's Basic scheme");
    venue.end();
}

#[test]
fn who_wants_market_data_and_does_not_log_in_in_time_is_cut_off() {
    let certificates = Certificates::new();
    let settings = Settings { login_timeout: Duration::from_secs(1), ..settings(16) };
    let mut server = certificates.server(&settings, None);
    server.ask_for_users(vec![plain("BOB", Protocol::Soup, 0)], Arc::default()).expect("a thread");
    let venue = venue(server);
    let (snapshot, web) = (venue.bound.snapshot.unwrap(), venue.bound.web.unwrap());
    let mut bystander = certificates.open(web);
    assert_eq!(log_in(&mut bystander, "BOB", PASSWORD)["type"], "logged_in");
    let mut cut = Vec::new();
    for address in [snapshot, web] {
        // One that says nothing; the start of a ClientHello; one that has shaken hands and says nothing.
        let silent = connect(address);
        let mut half = connect(address);
        half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]).expect("it is taken");
        let mut shaken = certificates.connect(address, None);
        while shaken.conn.is_handshaking() {
            shaken.conn.complete_io(&mut shaken.sock).expect("a handshake");
        }
        cut.extend([silent, half, shaken.sock]);
    }
    // And one that has a WebSocket, and says nothing on it.
    let mut open = certificates.open(web);
    cut.into_iter().for_each(|stream| drop(rest(stream)));
    assert!(open.read().is_err(), "something was said to who says nothing");
    counted(&venue, |stats| stats.late == 7);
    ask(&mut bystander, &json!({"op": "subscribe", "symbols": ["S0"], "channels": ["top"]}));
    assert_eq!(next(&mut bystander)["type"], "subscribed");
    venue.end();
}

#[test]
fn an_address_has_so_many_connections_to_the_feed() {
    let venue = venue(Server::bind(&Settings { of_address: Some(2), ..settings(8) }).expect("sockets"));
    let snapshot = venue.bound.snapshot.unwrap();
    for address in [snapshot, venue.bound.web.unwrap()] {
        let before = venue.stats.read().turned_away;
        let first: Vec<_> = (0..2).map(|_| connect(address)).collect();
        assert_eq!(rest(connect(address)), b"", "a third is served");
        counted(&venue, |stats| stats.turned_away == before + 1);
        drop(first);
    }
    // Who has gone makes room.
    let begun = Instant::now();
    while !is_snapshot(&self::snapshot(snapshot, "ANY", "ANY")) {
        assert!(begun.elapsed() < HUNG);
    }
    venue.end();
}

#[test]
fn a_crowd_of_web_clients_that_never_log_in_displaces_itself() {
    let places = 8;
    let settings = Settings { of_address: Some(100), login_timeout: 10 * HUNG, ..settings(places) };
    let (venue, ..) = venue_for(vec![plain("BOB", Protocol::Soup, 0)], &settings);
    let web = venue.bound.web.unwrap();
    let mut reader = web::open(web);
    assert_eq!(log_in(&mut reader, "BOB", PASSWORD)["type"], "logged_in");
    let mut crowd: Vec<_> = (0..3 * places as u64).map(|_| connect(web)).collect();
    // All but those that have the places.
    counted(&venue, |stats| stats.displaced == 2 * places as u64 + 1);
    let stay = crowd.split_off(2 * places + 1);
    crowd.into_iter().for_each(|stream| assert_eq!(rest(stream), b""));
    let mut late = web::open(web);
    assert_eq!(log_in(&mut late, "BOB", PASSWORD)["type"], "logged_in", "with {} in its way", stay.len());
    for socket in [&mut reader, &mut late] {
        ask(socket, &json!({"op": "subscribe", "symbols": ["S0"], "channels": ["top"]}));
        assert_eq!(next(socket)["type"], "subscribed");
    }
    venue.end();
}

#[test]
fn who_wants_a_snapshot_and_says_nothing_makes_room_for_who_waits() {
    let settings = Settings { login_timeout: 10 * HUNG, ..settings(4) };
    let venue = venue(Server::bind(&settings).expect("sockets"));
    let address = venue.bound.snapshot.unwrap();
    let silent: Vec<_> = (0..4).map(|_| connect(address)).collect();
    assert!(is_snapshot(&snapshot(address, "ANY", "ANY")));
    silent.into_iter().for_each(|stream| drop(rest(stream)));
    venue.end();
}

#[test]
fn who_is_not_on_the_feeds_list_is_closed_at_once() {
    for (network, may) in [("10.0.0.0/8", false), ("127.0.0.0/8", true)] {
        let mut server = Server::bind(&settings(4)).expect("sockets");
        server.allow(&[network.parse().expect("a network")]);
        let venue = venue(server);
        let (snapshot, web) = (venue.bound.snapshot.unwrap(), venue.bound.web.unwrap());
        if may {
            assert!(is_snapshot(&self::snapshot(snapshot, "ANY", "ANY")));
            assert_eq!(
                log_in(&mut web::open(web), "ANY", "ANY")["type"],
                "logged_in",
                "though nobody is asked"
            );
        } else {
            for address in [snapshot, web] {
                assert_eq!(rest(connect(address)), b"");
            }
            counted(&venue, |stats| stats.turned_away == 2);
        }
        venue.end();
    }
}

#[test]
fn market_data_waits_for_no_handshake_and_no_password() {
    let mut rng = generator();
    let (instrument, groups) = much(&mut rng);
    let certificates = Certificates::new();
    let mut server = certificates.server(&settings(64), None);
    // A hash that takes a second and more, and is nobody's password.
    let hash = "$argon2id$v=19$m=262144,t=8,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    door::auth::check_hash(hash).expect("one that is taken");
    let slow = user("SLOW", Protocol::Soup, 1, Proof::Hash(hash.into()));
    let users = vec![plain("BOB", Protocol::Soup, 0), slow];
    server.ask_for_users(users, Arc::default()).expect("a thread");
    let mut venue = Venue::start_with(Book::new(instrument), *SESSION, server);
    let (snapshot, web) = (venue.bound.snapshot.unwrap(), venue.bound.web.unwrap());
    let mut reader = certificates.open(web);
    assert_eq!(log_in(&mut reader, "BOB", PASSWORD)["type"], "logged_in");
    ask(
        &mut reader,
        &json!({"op": "subscribe", "symbols": [format!("S{}", instrument.0)], "channels": ["depth"]}),
    );
    // Handshakes that go on by a byte now and then.
    let mut halves: Vec<_> = [snapshot, web].into_iter().cycle().take(20).map(connect).collect();
    let hello = {
        let mut bytes = Vec::new();
        let mut client = certificates.connect(snapshot, None);
        client.conn.write_tls(&mut bytes).expect("a vector takes it");
        bytes
    };
    // Logins that are being verified, one by each way.
    let mut pending = certificates.connect(snapshot, None);
    pending.write_all(&login_as("SLOW", PASSWORD, "")).expect("it is taken");
    pending.flush().expect("it is taken");
    let mut waiting = certificates.open(web);
    ask(&mut waiting, &json!({"op": "login", "user": "SLOW", "password": PASSWORD}));
    let mut depth = Web::default();
    for (at, group) in groups.iter().take(20).enumerate() {
        halves.iter_mut().for_each(|half| half.write_all(&hello[at..=at]).expect("it is taken"));
        venue.turn(group, &mut rng);
        venue.release();
        web::catch_up(&mut reader, &mut depth, &venue.book);
    }
    let stats = venue.stats.read();
    assert_eq!(
        (stats.logins, stats.logins_refused),
        (1, 0),
        "the password was verified before the rest went on"
    );
    // A snapshot as well, for who is known at once.
    let mut bob = certificates.connect(snapshot, None);
    bob.write_all(&login_as("BOB", PASSWORD, "")).expect("it is taken");
    assert!(is_snapshot(&rest(bob)));
    assert_eq!(venue.stats.read().logins_refused, 0, "a snapshot waited for another's password");
    assert_eq!(rest(pending), REJECTED);
    let said = next(&mut waiting);
    is_refused(&mut waiting, &said, "login refused");
    venue.end();
}

#[test]
fn more_readers_than_are_verified_at_once_wait_and_all_get_in() {
    let (venue, ..) = venue_for((0..24).map(|n| hashed(&format!("U{n}"), n)).collect(), &settings(64));
    let (snapshot, web) = (venue.bound.snapshot.unwrap(), venue.bound.web.unwrap());
    let logins: Vec<_> = (0..12)
        .map(|n| {
            let mut stream = connect(snapshot);
            stream.write_all(&login_as(&format!("U{n}"), PASSWORD, "")).expect("it is taken");
            let mut socket = web::open(web);
            ask(&mut socket, &json!({"op": "login", "user": format!("U{}", n + 12), "password": PASSWORD}));
            (stream, socket)
        })
        .collect();
    for (stream, mut socket) in logins {
        assert!(is_snapshot(&rest(stream)));
        assert_eq!(next(&mut socket)["type"], "logged_in");
    }
    assert_eq!((venue.stats.read().logins, venue.stats.read().logins_refused), (24, 0));
    venue.end();
}

#[test]
fn a_verdict_for_a_web_client_that_is_gone_lets_nobody_in() {
    let users = (0..8).map(|n| hashed(&format!("U{n}"), n)).collect();
    let mut few = Settings { of_address: Some(100), ..settings(8) };
    few.web = few.web.map(|web| feed::WebSettings { clients: 1, ..web });
    let (venue, ..) = venue_for(users, &few);
    let (snapshot, web) = (venue.bound.snapshot.unwrap(), venue.bound.web.unwrap());
    // Those before it take their time.
    let before: Vec<_> = (0..7)
        .map(|n| {
            let mut stream = connect(snapshot);
            stream.write_all(&login_as(&format!("U{n}"), PASSWORD, "")).expect("it is taken");
            stream
        })
        .collect();
    // U7:secret, in its request: once that is answered the login is being verified.
    let mut first = open_as(web, "Basic VTc6c2VjcmV0").expect("a WebSocket");
    // Its place is another's when its password is found to be right; that one's, U0:wrong, waits behind it.
    let mut second = open_as(web, "Basic VTA6d3Jvbmc=").expect("a WebSocket");
    assert!(first.read().is_err(), "there is one place");
    let said = next(&mut second);
    is_refused(&mut second, &said, "login refused");
    assert_eq!((venue.stats.read().logins, venue.stats.read().logins_refused), (8, 1));
    before.into_iter().for_each(|stream| assert!(is_snapshot(&rest(stream))));
    venue.end();
}

#[test]
fn who_may_not_read_any_more_is_cut_off_and_who_is_new_may_at_once() {
    let users = [plain("BOB", Protocol::Soup, 0), plain("AMY", Protocol::Soup, 1)];
    let (venue, feed, waker) = venue_for(users.to_vec(), &settings(16));
    let (snapshot, web) = (venue.bound.snapshot.unwrap(), venue.bound.web.unwrap());
    let [mut bob, mut amy] = ["BOB", "AMY"].map(|name| {
        let mut socket = web::open(web);
        assert_eq!(log_in(&mut socket, name, PASSWORD)["type"], "logged_in");
        socket
    });
    let [before, amy_s] = users;
    feed.leave(vec![User { disabled: true, ..before }, amy_s, plain("NEW", Protocol::Soup, 2)]);
    waker.wake().expect("a wake");
    let said = next(&mut bob);
    is_refused(&mut bob, &said, "may not come in any more");
    assert_eq!(self::snapshot(snapshot, "BOB", PASSWORD), REJECTED);
    assert!(is_snapshot(&self::snapshot(snapshot, "NEW", PASSWORD)));
    ask(&mut amy, &json!({"op": "subscribe", "symbols": ["S0"], "channels": ["top"]}));
    assert_eq!(next(&mut amy)["type"], "subscribed");
    venue.end();
}

#[test]
fn guesses_at_readers_passwords_are_not_heard_after_a_few() {
    let (venue, ..) = venue_for(vec![plain("BOB", Protocol::Soup, 0)], &settings(16));
    let snapshot = venue.bound.snapshot.unwrap();
    for _ in 0..5 {
        assert_eq!(self::snapshot(snapshot, "BOB", "wrong"), REJECTED);
    }
    assert_eq!(
        self::snapshot(snapshot, "BOB", PASSWORD),
        REJECTED,
        "the right one is heard after too many guesses"
    );
    let mut socket = web::open(venue.bound.web.unwrap());
    let said = log_in(&mut socket, "BOB", PASSWORD);
    is_refused(&mut socket, &said, "login refused");
    venue.end();
}
