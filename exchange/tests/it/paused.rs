//! A gateway before books that execute when the test says so: real sockets, sessions and matching, and a clock, a log
//! and a pace that are the test's. What waits, and for how long, is so the same in every run.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use domain::{SessionId, UserName};
use door::auth::{Proof, Protocol, User, canonical_name, canonical_password};
use gateway::{
    AdmissionLimits, Gateway, GatewayStats, Limits, Sessions, Venue as _,
    fuzz::paused::{Paused, instruments},
};
use wire::{
    ouch::Inbound,
    soup::{self, SessionName},
};

use crate::{
    client::{Said, login_bytes, packet_bytes, request_bytes},
    script::written,
    venue::{HUNG, PASSWORD, USERS},
};

/// The books, by index.
pub(crate) const SYMBOLS: [&str; 3] = ["HOT", "COLD", "COOL"];

/// One user's connection.
struct Peer {
    stream: TcpStream,
    inbox: Vec<u8>,
    /// The number of the next message.
    number: u64,
}

/// A gateway, its books, and who is connected.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) venue: Paused,
    peers: BTreeMap<&'static str, Peer>,
}

impl Stage {
    pub(crate) fn new(admission: AdmissionLimits) -> Self {
        let mut sessions = Sessions::new();
        let mut venue = Paused::new(SYMBOLS.len(), engine::fuzz::books(SYMBOLS.len()));
        for (session, name) in (0..).map(SessionId).zip(USERS) {
            venue.define(
                session,
                UserName::new(name.as_bytes()).expect("a name"),
                domain::Protocol::Ouch,
                &mut sessions,
            );
        }
        Self { gateway: gateway(admission, sessions), venue, peers: BTreeMap::new() }
    }

    /// The process dies and comes back: what was sequenced and reported is all that is left, and the books have executed
    /// all of it.
    pub(crate) fn restart(&mut self, admission: AdmissionLimits) {
        self.peers.clear();
        let mut sessions = Sessions::new();
        self.venue.recover(engine::fuzz::books(SYMBOLS.len()), (true, true), &mut sessions);
        self.gateway = gateway(admission, sessions);
    }

    pub(crate) fn stats(&self) -> GatewayStats {
        self.gateway.stats()
    }

    /// A new connection of this user, logged in for what is new.
    pub(crate) fn log_in(&mut self, user: &'static str, from: u64) {
        let stream = TcpStream::connect(self.gateway.address()).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        stream.set_nonblocking(true).expect("no waiting");
        self.peers.insert(user, Peer { stream, inbox: Vec::new(), number: 0 });
        self.write(user, &login_bytes(user, PASSWORD, "", from));
        let (kind, payload) = self.packet(user);
        assert_eq!(kind, b'A');
        let number = String::from_utf8(payload[10..].to_vec()).expect("text");
        self.peers.get_mut(user).expect("a peer").number = number.trim().parse().expect("a number");
    }

    pub(crate) fn hang_up(&mut self, user: &'static str) {
        self.peers.remove(user);
        self.wait_until(|stage| stage.stats().connections == stage.peers.len());
    }

    /// Logs out.
    pub(crate) fn log_out(&mut self, user: &'static str) {
        self.write(user, &packet_bytes(b'O', b""));
        self.hang_up(user);
    }

    /// Requests in one segment, and turns until the gateway has taken them in or says that it cannot.
    pub(crate) fn say(&mut self, user: &'static str, requests: &[Inbound<'_>]) {
        if !self.peers.contains_key(user) {
            self.log_in(user, 0);
        }
        let bytes: Vec<u8> = requests.iter().flat_map(request_bytes).collect();
        let taken = |stats: GatewayStats| stats.requests + stats.ignored;
        let before = self.stats();
        self.write(user, &bytes);
        // What has waited may be ignored meanwhile and counts too, so there is one more look than needed.
        let enough = taken(before) + requests.len() as u64;
        let until = Instant::now() + Duration::from_millis(500);
        while taken(self.stats()) < enough && self.stats().stalled == before.stalled && Instant::now() < until
        {
            self.turn();
        }
        self.turn();
    }

    /// Bytes in one segment, and no turn.
    pub(crate) fn write(&mut self, user: &'static str, bytes: &[u8]) {
        self.peers.get_mut(user).expect("a peer").stream.write_all(bytes).expect("a small write");
    }

    /// One turn of the front, books excepted.
    pub(crate) fn turn(&mut self) {
        self.gateway.poll(Some(Duration::from_millis(1))).expect("a poll");
        self.gateway.receive(&mut self.venue);
        self.send();
    }

    fn send(&mut self) {
        let end = self.venue.end();
        let _ = self.gateway.send(&mut self.venue, end);
    }

    /// Turns, until it is so.
    pub(crate) fn wait_until(&mut self, is_so: impl Fn(&Self) -> bool) {
        let hung = Instant::now() + HUNG;
        while !is_so(self) {
            self.turn();
            assert!(Instant::now() < hung, "it never comes");
        }
    }

    /// A book executes up to `most` commands, and then there is a turn.
    pub(crate) fn execute(&mut self, book: usize, most: usize) {
        for event in self.venue.execute(book, most) {
            let Self { gateway, venue, .. } = self;
            gateway.on_event(&event, &mut |report| venue.log(report));
        }
        self.turn();
    }

    /// All books execute until nothing waits anywhere.
    pub(crate) fn settle(&mut self) {
        let hung = Instant::now() + HUNG;
        while self.gateway.is_holding()
            || self.gateway.has_work()
            || (0..SYMBOLS.len()).any(|book| self.venue.waiting(book) > 0)
        {
            for book in 0..SYMBOLS.len() {
                self.execute(book, usize::MAX);
            }
            assert!(Instant::now() < hung, "it never ends");
        }
    }

    /// Time passes, and then there is a turn.
    pub(crate) fn wait(&mut self, nanos: u64) {
        self.venue.now.0 += nanos;
        self.turn();
    }

    /// What a user has been told since, as `script` writes it.
    pub(crate) fn hears(&mut self, user: &'static str) -> Vec<String> {
        self.heard(user).iter().map(|said| written(said).0).collect()
    }

    /// The same, as it came: all that the session has been told.
    pub(crate) fn heard(&mut self, user: &'static str) -> Vec<Said> {
        let session = USERS.iter().position(|name| *name == user).expect("a user");
        let told = self.told(SessionId(session as u32));
        let mut all = Vec::new();
        while self.peers[user].number <= told {
            let (kind, bytes) = self.packet(user);
            if kind == b'S' {
                let peer = self.peers.get_mut(user).expect("a peer");
                all.push(Said { number: peer.number, bytes });
                peer.number += 1;
            }
        }
        all
    }

    /// How many messages a session has been told, or will be as soon as it reads.
    pub(crate) fn told(&self, session: SessionId) -> u64 {
        let of_session = self.venue.reports.iter().filter(|report| report.session == session);
        of_session.map(|report| report.number).max().unwrap_or(0)
    }

    /// The packets that are there: their types and payloads. Nothing is waited for.
    pub(crate) fn rest(&mut self, user: &'static str) -> Vec<(u8, Vec<u8>)> {
        let peer = self.peers.get_mut(user).expect("a peer");
        let _ = peer.stream.read_to_end(&mut peer.inbox);
        let inbox = std::mem::take(&mut peer.inbox);
        let (mut used, mut packets) = (0, Vec::new());
        while let Ok(Some(frame)) = soup::frame(&inbox[used..], soup::PAYLOAD_MAX) {
            used += frame.consumed;
            packets.push((frame.kind, frame.payload.to_vec()));
        }
        peer.inbox.extend_from_slice(&inbox[used..]);
        packets
    }

    /// The next packet. It comes without a turn, but for a login's.
    fn packet(&mut self, user: &'static str) -> (u8, Vec<u8>) {
        let hung = Instant::now() + HUNG;
        loop {
            let peer = self.peers.get_mut(user).expect("a peer");
            let length = peer.inbox.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)));
            if let Some(length) = length
                && peer.inbox.len() >= 2 + length
            {
                let packet: Vec<u8> = peer.inbox.drain(..2 + length).collect();
                return (packet[2], packet[3..].to_vec());
            }
            let mut bytes = [0; 64 * 1024];
            match peer.stream.read(&mut bytes) {
                Ok(0) => panic!("{user} is cut off"),
                Ok(n) => peer.inbox.extend_from_slice(&bytes[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.gateway.poll(Some(Duration::from_millis(1))).expect("a poll");
                    if self.peers[user].number == 0 {
                        self.gateway.receive(&mut self.venue);
                    }
                    self.send();
                    assert!(Instant::now() < hung, "{user} is told nothing");
                }
                Err(error) => panic!("{user}: {error}"),
            }
        }
    }
}

fn gateway(admission: AdmissionLimits, sessions: Sessions) -> Gateway {
    let instruments = instruments(&SYMBOLS);
    let user = |(session, name): (_, &str)| {
        let name = canonical_name(Protocol::Soup, name.as_bytes()).expect("a name");
        let password = canonical_password(Protocol::Soup, PASSWORD.as_bytes());
        User::new(name, Protocol::Soup, session, Proof::Plain(password))
    };
    let users = (0..).map(SessionId).zip(USERS).map(user).collect();
    let limits = Limits { admission, ..Limits::default() };
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let session = SessionName::new("1").expect("a name");
    Gateway::bind(address, limits, session, users, instruments, sessions).expect("a port")
}
