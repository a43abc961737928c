//! One connection to a peer, from the handshake to the close.
//!
//! ```text
//!  queue ─▶ outbox (bounded) ─▶ rustls: at most 64 KiB ahead ─▶ socket        only once the peer is verified
//!  take  ◀─ plaintext ◀─ rustls ◀─ 64 KiB at a time ◀─ socket                 only once the peer is verified
//! ```
//!
//! Sockets are polled edge-triggered: after an event the caller reads until [`Incoming::Drained`] and flushes until
//! [`Flush::Done`] or [`Flush::Blocked`]. Reading may leave something to write (the handshake is a conversation), so
//! the caller asks [`Stream::wants_write`] at the end of its turn.

use std::{
    io::{self, BufRead, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr},
    time::Duration,
};

use mio::{Interest, Registry, Token, net::TcpStream};
use rustls::{ClientConnection, Connection, ServerConnection, pki_types::ServerName};

use crate::{
    error::{LinkError, OutboxFull},
    identity::{self, Identity, PROTOCOL},
    listener::Place,
};

/// Bytes that one read of the socket asks for: four TLS records.
const INBOX_BYTES: usize = 64 * 1024;
/// Bytes that one call of [`Stream::read`] takes from the socket at most, about.
const READ_BYTES_MAX: usize = 512 * 1024;
/// Bytes of the outbox that one call of [`Stream::flush`] sends at most, about.
const FLUSH_BYTES_MAX: usize = 1024 * 1024;
/// Not more of an empty outbox than this is kept.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// The bounds of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From connecting or accepting to a verified peer.
    pub handshake: Duration,
    /// What may be queued and not be sent.
    pub outbox_bytes_max: usize,
}

impl Default for Limits {
    /// Five seconds, 32 MiB.
    fn default() -> Self {
        Self { handshake: Duration::from_secs(5), outbox_bytes_max: 32 << 20 }
    }
}

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// There may be more: read again, after others have had their turn.
    More,
    /// The socket is empty; the poll tells when it is not.
    Drained,
    /// The peer has closed, and everything that it sent has been handed out.
    End,
}

/// What a flush came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Everything that can go has gone. While shaking hands, what is queued cannot.
    Done,
    /// There is more: flush again, after others have had their turn.
    More,
    /// The peer does not take more now; the poll tells when it does.
    Blocked,
}

/// How far the close has come on our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// Nobody has asked for it.
    No,
    /// When the outbox is empty.
    Asked,
    /// The peer is being told, as the last thing.
    Told,
    /// Everything has been given to the socket, and its sending side is shut.
    Shut,
}

/// A connection to a peer of the cluster.
pub struct Stream {
    socket: TcpStream,
    address: SocketAddr,
    session: Session,
    inbox: Box<[u8]>,
    outbox: Vec<u8>,
    /// Bytes of `outbox` that rustls has taken. `sent <= outbox.len()`
    sent: usize,
    limits: Limits,
    /// On the caller's clock.
    begun_nanos: u64,
    closing: Closing,
    /// An error has been returned, and no other call does anything.
    failed: bool,
    /// Among those that have not shown who they are. Given back once they have.
    place: Option<Place>,
}

/// TLS, and who is at the other end.
struct Session {
    tls: Connection,
    /// Our own name, which no peer may have.
    own: String,
    /// The peer's name from its certificate. None: not verified, so nothing of the application passes.
    peer: Option<String>,
    /// The peer has said that nothing more comes.
    peer_closed: bool,
}

impl Stream {
    /// Begins to connect to the node `peer` at `address`. The node that answers must have a certificate of our
    /// cluster, and of that name. `now_nanos` is the caller's clock, which never goes back.
    ///
    /// # Errors
    /// When there can be no such node, or the system has no socket. That nobody listens shows later, when the stream
    /// is read.
    pub fn connect(
        address: SocketAddr,
        identity: &Identity,
        peer: &str,
        limits: Limits,
        now_nanos: u64,
    ) -> Result<Self, LinkError> {
        identity::check_name(peer).map_err(|error| LinkError::Peer(error.to_string()))?;
        not_ourselves(peer, identity.node())?;
        let name = ServerName::try_from(peer.to_owned())
            .map_err(|error| LinkError::Peer(format!("\"{peer}\": {error}")))?;
        let tls = ClientConnection::new(identity.client_config(), name)?;
        let socket = TcpStream::connect(address)?;
        Self::new(socket, address, tls.into(), identity, limits, now_nanos, None)
    }

    /// The other end: a connection that a listener has accepted.
    pub(crate) fn accepted(
        socket: TcpStream,
        address: SocketAddr,
        identity: &Identity,
        limits: Limits,
        now_nanos: u64,
        place: Place,
    ) -> Result<Self, LinkError> {
        let tls = ServerConnection::new(identity.server_config())?;
        Self::new(socket, address, tls.into(), identity, limits, now_nanos, Some(place))
    }

    fn new(
        socket: TcpStream,
        address: SocketAddr,
        tls: Connection,
        identity: &Identity,
        limits: Limits,
        now_nanos: u64,
        place: Option<Place>,
    ) -> Result<Self, LinkError> {
        // An acknowledgement must not wait for company.
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            address,
            session: Session { tls, own: identity.node().to_owned(), peer: None, peer_closed: false },
            inbox: vec![0; INBOX_BYTES].into_boxed_slice(),
            outbox: Vec::new(),
            sent: 0,
            limits,
            begun_nanos: now_nanos,
            closing: Closing::No,
            failed: false,
            place,
        })
    }

    /// Enters the socket into a poll, for reading and writing.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Gives it another token, and asks for its state anew: what is ready shows as an event again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn reregister(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.reregister(&mut self.socket, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Takes it out of the poll. Dropping the stream does so as well.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.socket)
    }

    /// Where the peer is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The peer's node name. None until the handshake is over: then the peer has shown a certificate of the cluster
    /// and that it holds the key to it. A node that dials has this before the node that listens has checked *its*
    /// certificate; a refusal then comes as an error of a later read.
    pub fn peer(&self) -> Option<&str> {
        self.session.peer.as_deref()
    }

    /// Whether the peer is not verified yet.
    pub fn is_handshaking(&self) -> bool {
        self.session.peer.is_none()
    }

    /// When the handshake's time is over, on the caller's clock; none once the peer is verified.
    pub fn handshake_ends_nanos(&self) -> Option<u64> {
        let limit = u64::try_from(self.limits.handshake.as_nanos()).unwrap_or(u64::MAX);
        self.is_handshaking().then(|| self.begun_nanos.saturating_add(limit))
    }

    /// Says when the handshake takes too long. To be asked now and then while [`is_handshaking`](Self::is_handshaking).
    ///
    /// # Errors
    /// When it does.
    pub fn check_time(&mut self, now_nanos: u64) -> Result<(), LinkError> {
        if self.handshake_ends_nanos().is_some_and(|end| now_nanos >= end) {
            let limit = self.limits.handshake;
            self.failed = true;
            return Err(LinkError::HandshakeTimeout { limit });
        }
        Ok(())
    }

    /// Reads from the socket, and hands out what the peer has sent, in order, in pieces as they come. It reads a
    /// bounded amount.
    ///
    /// # Errors
    /// When the link is at its end, other than by the peer's close. What was handed out before stands.
    pub fn read(&mut self, mut take: impl FnMut(&[u8])) -> Result<Incoming, LinkError> {
        self.usable()?;
        let result = self.read_some(&mut take);
        if result.is_err() {
            // The peer is told why, if rustls has something to say and the socket takes it.
            while self.session.tls.wants_write()
                && matches!(self.session.tls.write_tls(&mut self.socket), Ok(n) if n > 0)
            {}
            self.failed = true;
        }
        if self.session.peer.is_some() {
            self.place = None;
        }
        result
    }

    fn read_some(&mut self, take: &mut impl FnMut(&[u8])) -> Result<Incoming, LinkError> {
        let mut read = 0;
        while read < READ_BYTES_MAX {
            let count = match self.socket.read(&mut self.inbox) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Incoming::Drained),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if count == 0 {
                return if self.session.peer_closed { Ok(Incoming::End) } else { Err(LinkError::Cut) };
            }
            read += count;
            let mut bytes = &self.inbox[..count];
            while !bytes.is_empty() {
                // Takes as much as it has room for; what it has decrypted is taken out each time, so there is some.
                // What follows a close is nobody's, and it takes none of that.
                if self.session.tls.read_tls(&mut bytes)? == 0 || self.session.process(take)? {
                    return Ok(Incoming::End);
                }
            }
            // A stream socket that gives less than was asked for has been emptied (epoll(7)).
            if count < self.inbox.len() {
                return Ok(Incoming::Drained);
            }
        }
        Ok(Incoming::More)
    }

    /// Puts bytes into the outbox, all of them or none. They go with [`flush`](Self::flush), once the peer is verified.
    ///
    /// # Errors
    /// When there is no room for them. After a close or an error there is none for anything.
    pub fn queue(&mut self, bytes: &[u8]) -> Result<(), OutboxFull> {
        let room = self.room();
        if bytes.len() > room {
            return Err(OutboxFull { bytes: bytes.len(), room, max: self.limits.outbox_bytes_max });
        }
        // What has gone is removed when it is the larger part, so that each byte is moved once in the mean.
        if self.sent > 0 && self.sent * 2 >= self.outbox.len() {
            self.outbox.drain(..self.sent);
            self.sent = 0;
        }
        self.outbox.extend_from_slice(bytes);
        Ok(())
    }

    /// How many bytes the outbox has room for.
    pub fn room(&self) -> usize {
        if self.failed || self.closing != Closing::No {
            return 0;
        }
        self.limits.outbox_bytes_max.saturating_sub(self.unsent())
    }

    /// Bytes that are in the outbox. TLS and the socket have more that the peer has not read.
    pub fn unsent(&self) -> usize {
        self.outbox.len() - self.sent
    }

    /// Whether a flush has something to do.
    pub fn wants_write(&self) -> bool {
        !self.failed
            && (self.session.tls.wants_write()
                || (self.session.peer.is_some()
                    && (self.unsent() > 0 || matches!(self.closing, Closing::Asked | Closing::Told))))
    }

    /// Sends what can go, a bounded amount.
    ///
    /// # Errors
    /// When the link is at its end.
    pub fn flush(&mut self) -> Result<Flush, LinkError> {
        if self.failed {
            return Err(LinkError::Closed);
        }
        let result = self.flush_some();
        self.failed |= result.is_err();
        if self.unsent() == 0 {
            self.outbox.clear();
            self.outbox.shrink_to(KEPT_BYTES_MAX);
            self.sent = 0;
        }
        result
    }

    fn flush_some(&mut self) -> Result<Flush, LinkError> {
        let mut taken = 0;
        loop {
            while self.session.tls.wants_write() {
                match self.session.tls.write_tls(&mut self.socket) {
                    Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Flush::Blocked),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if self.session.peer.is_none() {
                return Ok(Flush::Done);
            }
            if self.unsent() > 0 {
                if taken >= FLUSH_BYTES_MAX {
                    return Ok(Flush::More);
                }
                // Its own buffer is empty here, so it takes something.
                let count = self.session.tls.writer().write(&self.outbox[self.sent..])?;
                self.sent += count;
                taken += count;
                continue;
            }
            match self.closing {
                Closing::No | Closing::Shut => return Ok(Flush::Done),
                Closing::Asked => {
                    self.session.tls.send_close_notify();
                    self.closing = Closing::Told;
                }
                Closing::Told => {
                    // Fails only if the peer is gone, which is as good.
                    let _ = self.socket.shutdown(Shutdown::Write);
                    self.closing = Closing::Shut;
                }
            }
        }
    }

    /// Closes our side: nothing more can be queued; what is in the outbox still goes, and then the peer is told. What
    /// the peer sends can be read on, until [`Incoming::End`]. Flushes; while [`wants_write`](Self::wants_write)
    /// there is more to flush.
    ///
    /// # Errors
    /// When the link is at its end already.
    pub fn close(&mut self) -> Result<Flush, LinkError> {
        if self.closing == Closing::No {
            self.closing = Closing::Asked;
        }
        self.flush()
    }

    fn usable(&self) -> Result<(), LinkError> {
        if self.failed { Err(LinkError::Closed) } else { Ok(()) }
    }
}

impl Session {
    /// Goes through what has come, and hands out what the peer has said if it is verified. Says whether the peer has
    /// closed.
    fn process(&mut self, take: &mut impl FnMut(&[u8])) -> Result<bool, LinkError> {
        let state = self.tls.process_new_packets()?;
        if self.peer.is_none() && !self.tls.is_handshaking() {
            self.peer = Some(self.verified()?);
        }
        if self.peer.is_none() {
            if state.peer_has_closed() {
                return Err(LinkError::Cut);
            }
            return Ok(false);
        }
        let mut reader = self.tls.reader();
        loop {
            match reader.fill_buf() {
                Ok([]) => break,
                Ok(bytes) => {
                    take(bytes);
                    let count = bytes.len();
                    reader.consume(count);
                }
                // Nothing more for now.
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.peer_closed = state.peer_has_closed();
        Ok(self.peer_closed)
    }

    /// What TLS does not check by itself: that the peer speaks our protocol, and which node it is.
    fn verified(&self) -> Result<String, LinkError> {
        if self.tls.alpn_protocol() != Some(PROTOCOL) {
            return Err(LinkError::Peer("it speaks another protocol than fulcrum's link".to_owned()));
        }
        let certificate = self
            .tls
            .peer_certificates()
            .and_then(<[_]>::first)
            .ok_or_else(|| LinkError::Peer("there is none".to_owned()))?;
        let name = identity::node_name(certificate).map_err(LinkError::Peer)?;
        not_ourselves(&name, &self.own)?;
        Ok(name)
    }
}

/// A peer of our own name is ourselves, or another host with a copy of our key; with neither is there anything to
/// talk about.
fn not_ourselves(peer: &str, own: &str) -> Result<(), LinkError> {
    if peer == own {
        return Err(LinkError::Peer(format!("it is of node \"{own}\", and so is our own")));
    }
    Ok(())
}
