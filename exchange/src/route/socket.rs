//! One TCP connection that speaks SoupBinTCP, to a client or to a pair: bounded input, output behind a gate.

use std::{
    io::{self, ErrorKind, Read},
    net::SocketAddr,
    time::{Duration, Instant},
};

use gateway::{Flush, Outbox};
use journal::Position;
use mio::{Interest, Registry, Token, net::TcpStream};
use wire::soup::{self, FrameError};

/// Unused bytes beyond which nothing is read.
const INBOX_MAX: usize = 64 * 1024;
/// The longest payload that either side may send: the longest request and the longest answer, with options, are below it.
pub(super) const PAYLOAD_MAX: usize = 512;
/// SoupBinTCP: a heartbeat is due when nothing was sent for a second.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// One packet, by its place in the inbox.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) kind: u8,
    start: usize,
    end: usize,
}

/// See the module.
pub(super) struct Socket {
    stream: TcpStream,
    peer: SocketAddr,
    inbox: Vec<u8>,
    /// Bytes of `inbox` that have been used.
    used: usize,
    pub(super) outbox: Outbox,
    /// The system has announced something to read that has not been read to its end.
    readable: bool,
    writable: bool,
    /// The peer sends no more.
    pub(super) ended: bool,
    pub(super) heard: Instant,
    sent: Instant,
}

impl Socket {
    /// A connection that was accepted, or one that is being made.
    pub(super) fn new(
        mut stream: TcpStream,
        peer: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let now = Instant::now();
        Ok(Self {
            stream,
            peer,
            inbox: Vec::new(),
            used: 0,
            outbox: Outbox::default(),
            readable: false,
            writable: false,
            ended: false,
            heard: now,
            sent: now,
        })
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The system announces something.
    pub(super) fn announced(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Whether a connection that is being made has come about.
    ///
    /// # Errors
    /// When it has not and will not.
    pub(super) fn is_connected(&mut self) -> io::Result<bool> {
        if !self.writable {
            return Ok(false);
        }
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                // A segment for each turn is what is wanted.
                self.stream.set_nodelay(true)?;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether there is something to read and room for it.
    pub(super) fn can_read(&self) -> bool {
        self.readable && !self.ended && self.inbox.len() - self.used < INBOX_MAX
    }

    /// Whether all that has arrived has been read: a peer is silent only then.
    pub(super) fn is_drained(&self) -> bool {
        !self.readable
    }

    /// Reads once, if there is something and room for it. Says whether anything came.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        if !self.can_read() {
            return Ok(false);
        }
        if self.used > 0 {
            self.inbox.drain(..self.used);
            self.used = 0;
        }
        if self.inbox.is_empty() {
            // One burst must not keep its memory for ever.
            self.inbox.shrink_to(INBOX_MAX);
        }
        loop {
            match self.stream.read(scratch) {
                Ok(0) => {
                    (self.ended, self.readable) = (true, false);
                    return Ok(false);
                }
                Ok(n) => {
                    // Less than was asked for: all is read, and more is announced anew (epoll(7)).
                    self.readable = n == scratch.len();
                    self.inbox.extend_from_slice(&scratch[..n]);
                    self.heard = Instant::now();
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next whole packet, which stays until it is [used](Self::use_up).
    ///
    /// # Errors
    /// Bytes that can never become one.
    pub(super) fn packet(&self) -> Result<Option<Packet>, FrameError> {
        let frame = soup::frame(&self.inbox[self.used..], PAYLOAD_MAX)?;
        Ok(frame.map(|frame| Packet {
            kind: frame.kind,
            start: self.used + soup::HEADER_LEN,
            end: self.used + frame.consumed,
        }))
    }

    /// A packet's payload.
    pub(super) fn payload(&self, packet: Packet) -> &[u8] {
        &self.inbox[packet.start..packet.end]
    }

    /// Goes on behind a packet.
    pub(super) fn use_up(&mut self, packet: Packet) {
        self.used = packet.end;
    }

    /// Sends what lies before the gate, as far as the peer takes it. Says whether anything went.
    pub(super) fn flush(&mut self, gate: Position) -> io::Result<bool> {
        if !self.writable {
            self.outbox.release(gate);
            return Ok(false);
        }
        let (moved, flush) = self.outbox.flush(gate, &mut self.stream)?;
        self.writable = flush == Flush::Done;
        if moved > 0 {
            self.sent = Instant::now();
        }
        Ok(moved > 0)
    }

    /// Whether a heartbeat is due.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        self.outbox.is_empty() && now.duration_since(self.sent) >= HEARTBEAT
    }

    /// When something was sent last.
    pub(super) fn sent(&self) -> Instant {
        self.sent
    }

    /// Ends it.
    pub(super) fn close(mut self, registry: &Registry) {
        // Closing it does the same.
        let _ = registry.deregister(&mut self.stream);
    }
}
