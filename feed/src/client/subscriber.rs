//! A subscriber: sockets around an [`Arbiter`] and [`Books`]. It waits in [`Subscriber::turn`] and nowhere else, but for a
//! snapshot.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use client::{ClientError, Tls, User, soup::Connection};
use wire::{itch::Message, mold::Session};

use super::{Arbiter, Books, Heard};

/// What is missing is asked for when it has been missing for so long: it may only be late.
const LATE: Duration = Duration::from_millis(5);
/// Between one request and the next.
const REQUEST_EACH: Duration = Duration::from_millis(10);
/// Requests without an answer, after which a snapshot is taken.
const REQUESTS_MAX: u32 = 50;
/// Between one attempt at a snapshot and the next.
const SNAPSHOT_EACH: Duration = Duration::from_millis(200);
/// The same after a login that was refused: too many of them, and the server does not hear the right one either.
const REFUSED_EACH: Duration = Duration::from_secs(5);
/// The longest wait for a connection, and for its TLS.
const CONNECT_WAIT: Duration = Duration::from_secs(1);
/// The longest wait for the answer to a login, and for a snapshot after it.
const SNAPSHOT_WAIT: Duration = Duration::from_secs(10);
/// While a snapshot is taken, packets are looked at so often.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes of a datagram, at most.
const DATAGRAM_MAX: usize = 65_536;

/// Where a feed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Where packets come: a group to join, or an address of this host.
    pub mold: SocketAddr,
    /// The interface on which a group is joined; `None`: the system's choice.
    pub interface: Option<Ipv4Addr>,
    /// Whom to ask for lost messages.
    pub rerequest: Option<SocketAddr>,
    /// Where snapshots are given.
    pub snapshot: SocketAddr,
}

/// How snapshots are asked for.
#[derive(Clone, Debug)]
pub struct Access {
    /// Who logs in. A server that asks nobody who they are takes a blank name.
    pub user: User,
    /// Whom to trust, if the server speaks TLS.
    pub tls: Option<Tls>,
}

impl Default for Access {
    /// As nobody, without TLS.
    fn default() -> Self {
        Self { user: User { name: String::new(), password: String::new() }, tls: None }
    }
}

/// What a subscriber counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriberStats {
    /// Datagrams.
    pub datagrams: u64,
    /// Requests for lost messages.
    pub requests: u64,
    /// Snapshots taken.
    pub snapshots: u64,
    /// Attempts at a snapshot that failed.
    pub snapshots_failed: u64,
    /// Messages that could not be true, each of which led to a snapshot.
    pub faults: u64,
}

/// See the module.
pub struct Subscriber {
    addresses: Addresses,
    access: Access,
    packets: UdpSocket,
    requests: Option<UdpSocket>,
    arbiter: Arbiter,
    books: Books,
    stats: SubscriberStats,
    data: Box<[u8]>,
    /// Since when something is missing, and the first that was.
    missing: Option<(Instant, u64)>,
    asked: Instant,
    /// Requests since the last progress.
    unanswered: u32,
    needs_snapshot: bool,
    tried: Option<Instant>,
    /// Why the last attempt at a snapshot failed.
    trouble: Option<ClientError>,
    has_ended: bool,
}

impl Subscriber {
    /// Listens. A snapshot is taken in the first turn.
    ///
    /// # Errors
    /// Those of the sockets.
    pub fn new(addresses: Addresses) -> io::Result<Self> {
        let packets = listen(&addresses)?;
        packets.set_nonblocking(true)?;
        let requests = match addresses.rerequest {
            None => None,
            Some(to) => {
                let any: IpAddr = if to.is_ipv4() {
                    Ipv4Addr::UNSPECIFIED.into()
                } else {
                    std::net::Ipv6Addr::UNSPECIFIED.into()
                };
                let socket = UdpSocket::bind((any, 0))?;
                socket.connect(to)?;
                socket.set_nonblocking(true)?;
                Some(socket)
            }
        };
        Ok(Self {
            addresses,
            access: Access::default(),
            packets,
            requests,
            arbiter: Arbiter::default(),
            books: Books::default(),
            stats: SubscriberStats::default(),
            data: vec![0; DATAGRAM_MAX].into(),
            missing: None,
            asked: Instant::now(),
            unanswered: 0,
            needs_snapshot: true,
            tried: None,
            trouble: None,
            has_ended: false,
        })
    }

    /// Asks for snapshots by TLS, or as a user, from here on.
    pub fn ask_for_snapshots_as(&mut self, access: Access) {
        self.access = access;
    }

    /// Why the last attempt at a snapshot failed; `None` when it did not, and before the first.
    #[must_use]
    pub const fn trouble(&self) -> Option<&ClientError> {
        self.trouble.as_ref()
    }

    /// Where packets come.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.packets.local_addr()
    }

    /// Takes snapshots from another server from here on.
    pub fn take_snapshots_from(&mut self, snapshot: SocketAddr) {
        self.addresses.snapshot = snapshot;
        self.tried = None;
    }

    /// The books, as far as they are known.
    #[must_use]
    pub const fn books(&self) -> &Books {
        &self.books
    }

    /// What has been counted.
    #[must_use]
    pub const fn stats(&self) -> SubscriberStats {
        self.stats
    }

    /// The session, once there is one.
    #[must_use]
    pub const fn session(&self) -> Option<Session> {
        self.arbiter.session()
    }

    /// Whether the session has ended and all of it has come.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The number of the next message, when the books are those of everything before it.
    #[must_use]
    pub const fn whole_up_to(&self) -> Option<u64> {
        if self.needs_snapshot || !self.arbiter.is_whole() { None } else { Some(self.arbiter.next()) }
    }

    /// Takes what has come, and does what is due. Says whether anything came.
    ///
    /// # Errors
    /// Those of the sockets.
    pub fn turn(&mut self) -> io::Result<bool> {
        let now = Instant::now();
        let mut came = self.receive()?;
        let is_refused = matches!(self.trouble, Some(ClientError::LoginRefused { .. }));
        let each = if is_refused { REFUSED_EACH } else { SNAPSHOT_EACH };
        if self.needs_snapshot && self.tried.is_none_or(|tried| now.duration_since(tried) >= each) {
            self.tried = Some(now);
            self.trouble = self.take_snapshot().err();
            match self.trouble {
                None => came = true,
                Some(_) => self.stats.snapshots_failed += 1,
            }
        }
        self.ask(now);
        Ok(came)
    }

    fn receive(&mut self) -> io::Result<bool> {
        let mut came = false;
        while let Some(length) = receive_on(&self.packets, &mut self.data)? {
            self.hear(length);
            came = true;
        }
        if let Some(requests) = self.requests.take() {
            // Nobody there is said by an error here; packets may come all the same.
            while let Ok(Some(length)) = receive_on(&requests, &mut self.data) {
                self.hear(length);
                came = true;
            }
            self.requests = Some(requests);
        }
        Ok(came)
    }

    fn hear(&mut self, length: usize) {
        self.stats.datagrams += 1;
        let Self { arbiter, books, stats, data, needs_snapshot, .. } = self;
        let heard = arbiter.on_datagram(&data[..length], |message| {
            if books.on_message(message).is_err() {
                stats.faults += 1;
                *needs_snapshot = true;
            }
        });
        match heard {
            Heard::Session | Heard::Garbage => {}
            Heard::Another(_) => {
                self.needs_snapshot = true;
                self.has_ended = false;
            }
            Heard::Ended => self.has_ended = true,
        }
    }

    /// Asks for what has been missing for long.
    fn ask(&mut self, now: Instant) {
        let Some(missing) = self.arbiter.missing().filter(|_| !self.needs_snapshot) else {
            self.missing = None;
            self.unanswered = 0;
            return;
        };
        match self.missing {
            Some((_, first)) if first == missing.sequence => {}
            _ => {
                self.missing = Some((now, missing.sequence));
                self.unanswered = 0;
            }
        }
        let since = self.missing.map_or(now, |(since, _)| since);
        let is_due = now.duration_since(self.asked) >= REQUEST_EACH || self.unanswered == 0;
        if now.duration_since(since) < LATE || !is_due {
            return;
        }
        let Some(socket) = self.requests.as_ref().filter(|_| self.unanswered < REQUESTS_MAX) else {
            self.needs_snapshot = true;
            return;
        };
        self.asked = now;
        self.unanswered += 1;
        self.stats.requests += 1;
        let mut request = Vec::new();
        missing.encode(&mut request);
        // A request that does not go is one that is lost.
        let _ = socket.send(&request);
    }

    fn take_snapshot(&mut self) -> Result<(), ClientError> {
        let Access { user, tls } = &self.access;
        let peer = self.addresses.snapshot;
        let mut connection = Connection::open_with(peer, tls.as_ref(), CONNECT_WAIT)?;
        let accepted = connection.login(user, "", 1, SNAPSHOT_WAIT)?;
        let session = name_of(accepted.session.as_str());
        // From here on what comes is held for the snapshot's end.
        self.arbiter.expect(session);
        let wrong = |user: &User, what: String| ClientError::Protocol { peer, user: user.name.clone(), what };
        let mut books = Books::default();
        let until = Instant::now() + SNAPSHOT_WAIT;
        let mut looked = Instant::now();
        while Instant::now() < until {
            if let Some(message) = connection.receive_bytes(PAUSE)? {
                let message = books.on_message(message);
                let message = message.map_err(|error| wrong(&self.access.user, error.to_string()))?;
                if let Message::EndOfSnapshot(end) = message {
                    let next = end.sequence();
                    let next = next.ok_or_else(|| wrong(&self.access.user, "no number at its end".into()))?;
                    self.begin(books, session, next);
                    return Ok(());
                }
            }
            if looked.elapsed() >= PAUSE {
                looked = Instant::now();
                if let Err(error) = self.receive() {
                    return Err(ClientError::Io { peer, user: self.access.user.name.clone(), error });
                }
            }
        }
        let user = self.access.user.name.clone();
        Err(ClientError::Timeout { peer, user, what: "the end of a snapshot" })
    }

    fn begin(&mut self, books: Books, session: Session, next: u64) {
        self.books = books;
        self.needs_snapshot = false;
        self.has_ended = false;
        self.missing = None;
        self.unanswered = 0;
        self.stats.snapshots += 1;
        let Self { arbiter, books, stats, needs_snapshot, .. } = self;
        arbiter.begin(session, next, |message| {
            if books.on_message(message).is_err() {
                stats.faults += 1;
                *needs_snapshot = true;
            }
        });
    }
}

/// The name of a MoldUDP64 session, which is padded on the right, from SoupBinTCP's.
fn name_of(name: &str) -> Session {
    let mut session = [b' '; 10];
    session.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    session
}

fn receive_on(socket: &UdpSocket, data: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        match socket.recv(data) {
            Ok(length) => return Ok(Some(length)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

fn listen(addresses: &Addresses) -> io::Result<UdpSocket> {
    let mold = addresses.mold;
    match mold.ip() {
        IpAddr::V4(group) if group.is_multicast() => {
            let socket = UdpSocket::bind(mold)?;
            socket.join_multicast_v4(&group, &addresses.interface.unwrap_or(Ipv4Addr::UNSPECIFIED))?;
            Ok(socket)
        }
        IpAddr::V6(group) if group.is_multicast() => {
            let socket = UdpSocket::bind(mold)?;
            socket.join_multicast_v6(&group, 0)?;
            Ok(socket)
        }
        _ => UdpSocket::bind(mold),
    }
}
