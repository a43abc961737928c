//! One TCP connection: its socket, what has come in and not been used, what is to go out, and how far its login got.

use std::{io::Read, net::SocketAddr, time::Instant};

use domain::{Nanos, SessionId};
use mio::net::TcpStream;

use crate::outbox::Outbox;

/// How far a connection's login got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody yet.
    AwaitingLogin,
    /// A session's connection. `cursor` is the number of the next outbound message that it has not been given.
    LoggedIn { session: SessionId, cursor: u64 },
}

/// Why a connection is closed. Logged once, when it happens.
#[derive(Debug)]
pub(crate) enum Close {
    /// The client closed it.
    ByPeer,
    /// The client logged out.
    Logout,
    /// The socket failed.
    Io(std::io::Error),
    /// No login in time.
    LoginTimeout,
    /// Nothing heard for too long.
    Silent,
    /// The client does not read what it is sent.
    SlowConsumer { unsent: usize },
    /// The client's bytes are no SoupBinTCP or OUCH.
    Protocol(String),
    /// The user is unknown, the password wrong, or the session is none of ours. The client has been told.
    Refused(String),
    /// The same session logged in on another connection.
    Superseded,
    /// We are at fault: a report could not be read or encoded.
    Internal(String),
    /// The exchange stops.
    Shutdown,
}

impl std::fmt::Display for Close {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ByPeer => f.write_str("closed by the client"),
            Self::Logout => f.write_str("logged out"),
            Self::Io(error) => write!(f, "socket error: {error}"),
            Self::LoginTimeout => f.write_str("no login in time"),
            Self::Silent => f.write_str("nothing heard for too long"),
            Self::SlowConsumer { unsent } => write!(f, "does not read: {unsent} bytes unsent"),
            Self::Protocol(what) => write!(f, "protocol error: {what}"),
            Self::Refused(what) => write!(f, "login refused: {what}"),
            Self::Superseded => f.write_str("its session logged in again elsewhere"),
            Self::Internal(what) => write!(f, "internal error: {what}"),
            Self::Shutdown => f.write_str("the exchange stops"),
        }
    }
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// So many bytes, and there may be more.
    More(usize),
    /// So many bytes, and no more for now.
    Drained(usize),
    /// The client has closed its side.
    End,
}

/// One TCP connection.
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) stage: Stage,
    /// Bytes that have come in and are not used yet: the start of a packet, or packets that found no room.
    pub(crate) inbox: Vec<u8>,
    /// When the whole packets in there, or those that are being used, were read.
    pub(crate) read_at: Nanos,
    pub(crate) outbox: Outbox,
    /// The socket may have bytes that have not been read.
    pub(crate) readable: bool,
    /// The client has closed its side.
    pub(crate) ended: bool,
    /// The connection is in the gateway's list of those to be served.
    pub(crate) listed: bool,
    /// The socket took all that it was given.
    pub(crate) writable: bool,
    /// Something has been put into the outbox this turn.
    pub(crate) dirty: bool,
    pub(crate) opened: Instant,
    pub(crate) heard: Instant,
    pub(crate) sent: Instant,
}

impl Connection {
    pub(crate) fn new(socket: TcpStream, peer: SocketAddr, now: Instant) -> Self {
        Self {
            socket,
            peer,
            stage: Stage::AwaitingLogin,
            inbox: Vec::new(),
            read_at: Nanos(0),
            outbox: Outbox::default(),
            readable: true,
            ended: false,
            listed: false,
            writable: true,
            dirty: false,
            opened: now,
            heard: now,
            sent: now,
        }
    }

    /// Reads once into `scratch`.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> Result<Incoming, std::io::Error> {
        loop {
            return match self.socket.read(scratch) {
                Ok(0) => Ok(Incoming::End),
                // A stream socket that gives less than was asked for has been emptied; the next byte is a new edge
                // (epoll(7), on edge-triggered notification).
                Ok(n) if n < scratch.len() => Ok(Incoming::Drained(n)),
                Ok(n) => Ok(Incoming::More(n)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(Incoming::Drained(0)),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }

    /// Sends what may go. Says whether the client is slower than it may be.
    pub(crate) fn flush(&mut self, gate: journal::Position, now: Instant) -> Result<(), Close> {
        let (moved, flush) = self.outbox.flush(gate, &mut self.socket).map_err(Close::Io)?;
        self.writable = flush == crate::outbox::Flush::Done;
        if moved > 0 {
            self.sent = now;
        }
        Ok(())
    }
}
