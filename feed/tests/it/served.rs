//! The feed's thread and its sockets: a subscriber behind a network that loses and reorders, and those who misbehave.

use std::{
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use domain::{Nanos, Position, Side};
use engine::book::Book;
use feed::{
    Bound, Server, Settings, Start, Stats, Tap,
    client::{Addresses, Subscriber},
    tap,
};
use rand::{Rng, RngExt};
use wire::{
    mold::{HEADER_LEN, Header, Packet},
    soup::{LoginRequest, Password, SessionName, Username},
};

use crate::{
    proxy::Proxy,
    published::instruments,
    support::{apply, commands, generator, shown, standing},
};

/// Longer than anything takes that has not hung.
pub(crate) const HUNG: Duration = Duration::from_secs(60);

/// A venue of one book with a feed.
pub(crate) struct Venue {
    pub(crate) book: Book,
    tap: Option<Tap>,
    thread: Option<JoinHandle<()>>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) bound: Bound,
    position: u64,
    /// The position of the last turn in which something was said.
    said: u64,
}

impl Venue {
    /// Starts the feed of a book; all that the log has is safe.
    pub(crate) fn start(book: Book, session: [u8; 10], settings: &Settings) -> Self {
        Self::start_with(book, session, Server::bind(settings).unwrap())
    }

    /// The same with sockets that have been bound.
    pub(crate) fn start_with(book: Book, session: [u8; 10], server: Server) -> Self {
        let (bound, stats) = (server.bound(), server.stats());
        let (mut tap, intake) = tap();
        let start = Start {
            instruments: instruments(book.instrument()),
            standing: standing(&book),
            position: Position(1),
            nanos: Nanos(5),
            session,
        };
        let thread = server.spawn(start, intake).unwrap();
        tap.turn(Position(1), Position(1), true, || true);
        Self { book, tap: Some(tap), thread: Some(thread), stats, bound, position: 1, said: 1 }
    }

    /// One turn of a front.
    pub(crate) fn turn(&mut self, group: &[domain::Sequenced<domain::Command>], rng: &mut impl Rng) {
        let tap = self.tap.as_mut().unwrap();
        let mut is_silent = true;
        for command in group {
            tap.on_command(command);
            is_silent &=
                feed::Terms::of(&command.command).is_none() && !feed::may_be_silent(&command.command);
            for event in apply(&mut self.book, command) {
                tap.on_event(&event);
                is_silent = false;
            }
        }
        self.position += 8;
        if !is_silent {
            self.said = self.position;
        }
        let gate = self.position - 8 * rng.random_range(0..3_u64).min((self.position - 1) / 8);
        tap.turn(Position(self.position), Position(gate), true, || true);
    }

    /// The number of the last message, once all that was said has been published.
    pub(crate) fn published(&self) -> Option<u64> {
        let stats = self.stats.read();
        (stats.position == self.said).then_some(stats.messages)
    }

    /// All that was said is safe.
    pub(crate) fn release(&mut self) {
        self.tap.as_mut().unwrap().turn(Position(self.position), Position(self.position), true, || true);
    }

    /// Ends the session. Gives the book.
    pub(crate) fn end(mut self) -> Book {
        drop(self.tap.take());
        self.thread.take().unwrap().join().unwrap();
        self.book
    }
}

pub(crate) fn local(port: u16) -> std::net::SocketAddr {
    ([127, 0, 0, 1], port).into()
}

pub(crate) fn settings(mold: std::net::SocketAddr) -> Settings {
    Settings {
        mold: vec![mold],
        rerequest: Some(local(0)),
        snapshot: Some(local(0)),
        keep_bytes: 1 << 20,
        ..Settings::default()
    }
}

/// Lets the subscriber catch up with all that has been published.
pub(crate) fn catch_up(subscriber: &mut Subscriber, venue: &Venue, session: [u8; 10]) {
    let begun = Instant::now();
    loop {
        let came = subscriber.turn().unwrap();
        let published = venue.published();
        if subscriber.session() == Some(session)
            && published.is_some_and(|published| subscriber.whole_up_to() == Some(published + 1))
        {
            return;
        }
        assert!(begun.elapsed() < HUNG, "{published:?} published, {:?}", subscriber.stats());
        if !came {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

pub(crate) fn compare(subscriber: &Subscriber, book: &Book) {
    let locate = book.instrument().0 as u16 + 1;
    let published = subscriber.books().book(locate).expect("it is in the directory");
    for side in [Side::Buy, Side::Sell] {
        let is: Vec<_> =
            published.orders(side).map(|order| (order.order, order.price, order.shares)).collect();
        let should_be: Vec<_> = shown(book, side)
            .iter()
            .map(|order| (order.order.0, order.price.ticks() as u32 * 500, order.quantity.lots() as u32 * 10))
            .collect();
        assert_eq!(is, should_be, "{side:?}");
    }
}

#[test]
fn a_subscriber_has_the_exchanges_book_through_losses_and_restarts() {
    let mut rng = generator();
    let (mut requests, mut lost, mut late, mut snapshots) = (0, 0, 0, 0);
    // With some seeds the proxy loses nothing in so few rounds.
    for round in 0.. {
        if round >= seeded::iterations(6) && lost > 0 && late > 0 && requests > 0 {
            break;
        }
        assert!(round < 100, "{lost} lost, {late} late, {requests} requests");
        let (instrument, groups) = commands(&mut rng);
        let addresses = Addresses { mold: local(0), interface: None, rerequest: None, snapshot: local(1) };
        // Where packets come is known first, so that the proxy knows it; where to ask is known last.
        let probe = Subscriber::new(addresses).unwrap();
        let mold = probe.address().unwrap();
        drop(probe);
        let proxy = Proxy::start(mold, rng.random());
        let mut settings = settings(proxy.address);
        let mut session = *b"SESSION000";
        let mut venue = Venue::start(Book::new(instrument), session, &settings);
        settings.rerequest = venue.bound.rerequest;
        settings.snapshot = venue.bound.snapshot;
        let rerequest = venue.bound.rerequest;
        let addresses =
            Addresses { mold, interface: None, rerequest, snapshot: venue.bound.snapshot.unwrap() };
        let mut subscriber = Subscriber::new(addresses).unwrap();
        let restart_at = rng.random_range(0..groups.len());
        for (at, group) in groups.iter().enumerate() {
            venue.turn(group, &mut rng);
            subscriber.turn().unwrap();
            if at.is_multiple_of(40) {
                venue.release();
                catch_up(&mut subscriber, &venue, session);
                compare(&subscriber, &venue.book);
            }
            if at == restart_at {
                // Another process, with another session, at the same addresses.
                venue.release();
                session[9] += 1;
                venue = Venue::start(venue.end(), session, &settings);
            }
        }
        venue.release();
        catch_up(&mut subscriber, &venue, session);
        compare(&subscriber, &venue.book);
        let stats = subscriber.stats();
        assert!(stats.snapshots >= 2, "round {round}: {stats:?}");
        assert_eq!(stats.faults, 0, "{stats:?}");
        requests += stats.requests;
        snapshots += stats.snapshots;
        lost += proxy.lost.load(Ordering::Relaxed);
        late += proxy.late.load(Ordering::Relaxed);
        venue.end();
        let begun = Instant::now();
        while !subscriber.has_ended() && begun.elapsed() < Duration::from_millis(500) {
            subscriber.turn().unwrap();
        }
    }
    println!("{lost} lost, {late} late, {requests} requests, {snapshots} snapshots");
}

/// Commands to which a book says much.
pub(crate) fn much(
    rng: &mut impl Rng,
) -> (domain::InstrumentId, Vec<Vec<domain::Sequenced<domain::Command>>>) {
    loop {
        let (instrument, groups) = commands(rng);
        let mut book = Book::new(instrument);
        if groups.iter().flatten().map(|command| apply(&mut book, command).len()).sum::<usize>() > 1_500 {
            return (instrument, groups);
        }
    }
}

#[test]
fn nothing_is_published_that_is_not_as_safe_as_asked() {
    let mut rng = generator();
    let (instrument, groups) = much(&mut rng);
    let socket = UdpSocket::bind(local(0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut venue =
        Venue::start(Book::new(instrument), *b"SESSION001", &settings(socket.local_addr().unwrap()));
    let begins = {
        let mut data = [0; 2_048];
        let length = socket.recv(&mut data).unwrap();
        u64::from(Packet::decode(&data[..length]).unwrap().header.count)
    };
    let tap = venue.tap.as_mut().unwrap();
    let mut events = 0;
    for command in groups.iter().flatten() {
        tap.on_command(command);
        for event in apply(&mut venue.book, command) {
            tap.on_event(&event);
            events += 1;
        }
    }
    assert!(events > 100);
    tap.turn(Position(100), Position(99), true, || true);
    assert!(tap.is_gated());
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(venue.stats.read().messages, begins, "one byte is not safe");
    tap.turn(Position(100), Position(100), true, || true);
    assert!(!tap.is_gated());
    let begun = Instant::now();
    while venue.stats.read().messages == begins {
        assert!(begun.elapsed() < HUNG);
    }
    // What is not safe when the front ends never is.
    let tap = venue.tap.as_mut().unwrap();
    let published = venue.stats.read().messages;
    let mut late = groups[0].clone();
    late.iter_mut().for_each(|command| command.sequence.0 += 1_000_000);
    late.iter().for_each(|command| tap.on_command(command));
    tap.on_event(&domain::Event {
        sequence: domain::Sequence(2_000_000),
        nanos: Nanos(1),
        instrument,
        index: 0,
        kind: domain::EventKind::Accepted {
            order: domain::OrderId::new(instrument, 1 << 40),
            owner: domain::Owner::default(),
            side: Side::Buy,
            order_type: domain::OrderType::Limit,
            time_in_force: domain::TimeInForce::Day,
            price: domain::Price::new(100).unwrap(),
            quantity: domain::Quantity(5),
        },
    });
    tap.turn(Position(200), Position(150), true, || true);
    let stats = Arc::clone(&venue.stats);
    venue.end();
    assert_eq!(stats.read().messages, published);
}

#[test]
fn a_request_from_elsewhere_gets_nothing() {
    let mut rng = generator();
    let (instrument, groups) = much(&mut rng);
    for (networks, may) in [(["10.0.0.0/8", "::1"], false), (["10.0.0.0/8", "127.0.0.0/8"], true)] {
        let mut server = Server::bind(&settings(local(9))).expect("sockets");
        server.allow(&networks.map(|network| network.parse().expect("a network")));
        let mut venue = Venue::start_with(Book::new(instrument), *b"SESSION001", server);
        groups.iter().for_each(|group| venue.turn(group, &mut rng));
        venue.release();
        let begun = Instant::now();
        while venue.stats.read().messages < 10 {
            assert!(begun.elapsed() < HUNG);
        }
        let socket = UdpSocket::bind(local(0)).unwrap();
        socket.set_read_timeout(Some(HUNG)).unwrap();
        let mut request = Vec::new();
        Header { session: *b"SESSION001", sequence: 3, count: 2 }.encode(&mut request);
        socket.send_to(&request, venue.bound.rerequest.unwrap()).unwrap();
        let mut data = [0; 2_048];
        if may {
            let length = socket.recv(&mut data).expect("an answer");
            assert_eq!(Packet::decode(&data[..length]).unwrap().header.sequence, 3);
        }
        // It is counted behind the answer.
        while venue.stats.read().requests + venue.stats.read().requests_ignored == 0 {
            assert!(begun.elapsed() < HUNG);
        }
        if !may {
            socket.set_nonblocking(true).unwrap();
            assert!(socket.recv(&mut data).is_err(), "it is answered");
        }
        assert_eq!(venue.stats.read().requests, u64::from(may));
        venue.end();
    }
}

#[test]
fn a_request_gets_one_packet_or_nothing() {
    let mut rng = generator();
    let (instrument, groups) = much(&mut rng);
    let settings = Settings { requests_per_second: 30, ..settings(local(9)) };
    let mut venue = Venue::start(Book::new(instrument), *b"SESSION001", &settings);
    groups.iter().for_each(|group| venue.turn(group, &mut rng));
    venue.release();
    let begun = Instant::now();
    while venue.stats.read().messages < 100 {
        assert!(begun.elapsed() < HUNG);
    }
    let socket = UdpSocket::bind(local(0)).unwrap();
    socket.connect(venue.bound.rerequest.unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let ask = |bytes: &[u8]| {
        socket.send(bytes).unwrap();
        let mut data = [0; 2_048];
        socket.recv(&mut data).ok().map(|length| data[..length].to_vec())
    };
    let request = |session: &[u8; 10], sequence, count| {
        let mut bytes = Vec::new();
        Header { session: *session, sequence, count }.encode(&mut bytes);
        bytes
    };
    let good = request(b"SESSION001", 3, 7);
    let answer = ask(&good).expect("an answer");
    let packet = Packet::decode(&answer).unwrap();
    assert_eq!((packet.header.sequence, packet.header.count), (3, 7));
    let answer = ask(&request(b"SESSION001", 1, u16::MAX)).expect("an answer");
    assert!(answer.len() <= feed::PACKET_MAX);
    for bad in [
        &good[..HEADER_LEN - 1],
        &[&good[..], &[0]].concat(),
        &request(b"SESSION002", 3, 7),
        &request(b"SESSION001", 0, 7),
        &request(b"SESSION001", 3, 0),
        &request(b"SESSION001", 1 << 40, 7),
        &request(b"SESSION001", u64::MAX, u16::MAX),
        &[],
    ] {
        assert_eq!(ask(bad), None, "{bad:?}");
    }
    assert_eq!(venue.stats.read().requests_ignored, 8);
    // Beyond the bound there is silence, until the second is over.
    for _ in 0..100 {
        socket.send(&good).unwrap();
    }
    let begun = Instant::now();
    while venue.stats.read().requests_limited == 0 {
        assert!(begun.elapsed() < HUNG);
        for _ in 0..100 {
            socket.send(&good).unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    venue.end();
}

fn login(session: &str) -> Vec<u8> {
    login_as("ANY", "ANY", session)
}

pub(crate) fn login_as(user: &str, password: &str, session: &str) -> Vec<u8> {
    let login = LoginRequest {
        username: Username::new(user).unwrap(),
        password: Password::new(password).unwrap(),
        session: SessionName::new(session).unwrap(),
        sequence: 1,
    };
    let mut bytes = Vec::new();
    login.encode(&mut bytes);
    bytes
}

#[test]
fn those_who_misuse_the_snapshot_server_hold_nobody_up() {
    let mut rng = generator();
    let (instrument, groups) = much(&mut rng);
    let settings = Settings { snapshot_clients: 4, ..settings(local(9)) };
    let mut venue = Venue::start(Book::new(instrument), *b"SESSION001", &settings);
    let address = venue.bound.snapshot.unwrap();
    groups.iter().for_each(|group| venue.turn(group, &mut rng));
    venue.release();
    let open = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(HUNG)).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let read = |mut stream: TcpStream| {
        let mut bytes = Vec::new();
        // One that is cut off may see it as a reset.
        let _ = stream.read_to_end(&mut bytes);
        bytes
    };
    assert_eq!(read(open(b"GET / HTTP/1.1\r\n\r\n")), b"");
    assert_eq!(read(open(&[0, 0])), b"");
    assert_eq!(read(open(&login("OTHER"))), [0, 2, b'J', b'S']);
    for _ in 0..50 {
        let noise: Vec<u8> = (0..rng.random_range(1..80)).map(|_| rng.random()).collect();
        drop(open(&noise));
    }
    // Two take all that there are places for but two, and say nothing.
    let silent: Vec<_> = (0..2).map(|_| open(b"")).collect();
    let got = read(open(&login("SESSION001")));
    assert_eq!(got[..3], [0, 31, b'A']);
    assert_eq!(got[got.len() - 3..], [0, 1, b'Z']);
    // One byte at a time.
    let mut slow = open(b"");
    slow.set_nodelay(true).unwrap();
    for byte in login("") {
        slow.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_micros(200));
    }
    assert_eq!(read(slow), got);
    // Further ones wait for a place, which the silent ones lose.
    let more: Vec<_> = (0..6).map(|_| open(&login(""))).collect();
    more.into_iter().for_each(|stream| assert_eq!(read(stream), got));
    silent.into_iter().for_each(|stream| assert_eq!(read(stream), b""));
    venue.end();
}
