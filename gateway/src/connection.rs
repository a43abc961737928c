//! One TCP connection: its bytes, plain or in TLS, what has come in and not been used, what is to go out, and how far its login got.

use std::{net::SocketAddr, time::Instant};

use domain::{Nanos, SessionId};
use door::{
    auth::Ticket,
    lobby::Place,
    transport::{Incoming, ReadError, Transport},
};
use wire::soup::{SessionName, Username};

use crate::{
    fix::Link,
    gateway::{has_message, has_packet},
    outbox::Outbox,
};

/// How far a connection's login got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody yet.
    AwaitingLogin,
    /// What it showed is being verified. Nothing more of it is read until that is over.
    Authenticating {
        ticket: Ticket,
        /// What its login asked for besides. A FIX logon is heard again instead.
        asked: Option<SoupLogin>,
    },
    /// A session's connection. `cursor` is the number of the next outbound message that it has not been given.
    LoggedIn { session: SessionId, cursor: u64 },
}

/// What a SoupBinTCP login asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SoupLogin {
    /// Who says it is it.
    pub(crate) user: Username,
    /// The session, by its name.
    pub(crate) session: SessionName,
    /// From which message on.
    pub(crate) wanted: u64,
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
    /// The client's bytes are no TLS where that is asked for, or no SoupBinTCP or OUCH.
    Protocol(String),
    /// The user is unknown, the password wrong, or the session is none of ours. The client has been told.
    Refused(String),
    /// It had not logged in, and others came.
    Displaced,
    /// Its user has been disabled, or removed.
    Disabled,
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
            Self::Displaced => f.write_str("had not logged in when others came"),
            Self::Disabled => f.write_str("its user may not come in any more"),
            Self::Superseded => f.write_str("its session logged in again elsewhere"),
            Self::Internal(what) => write!(f, "internal error: {what}"),
            Self::Shutdown => f.write_str("the exchange stops"),
        }
    }
}

/// One TCP connection.
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    pub(crate) peer: SocketAddr,
    /// Its place among those that have not logged in.
    pub(crate) place: Place,
    pub(crate) stage: Stage,
    /// What it has besides if it speaks FIX.
    pub(crate) fix: Option<Box<Link>>,
    /// Bytes that have come in and are not used yet: the start of a packet, or packets that found no room.
    pub(crate) inbox: Vec<u8>,
    /// Bytes that came before the login.
    pub(crate) before_login: usize,
    /// When the whole packets in there, or those that are being used, were read.
    pub(crate) read_at: Nanos,
    pub(crate) outbox: Outbox,
    /// There may be bytes that have not been read.
    pub(crate) readable: bool,
    /// The client has closed its side, which has not been read yet perhaps.
    pub(crate) hung_up: bool,
    /// The client has closed its side.
    pub(crate) ended: bool,
    /// Its login waits in the inbox until one of those that are being verified is through.
    pub(crate) is_parked: bool,
    /// The connection is in the gateway's list of those to be served.
    pub(crate) listed: bool,
    /// The socket took all that it was given, and all that TLS has for it.
    pub(crate) writable: bool,
    /// Something has been put into the outbox this turn.
    pub(crate) dirty: bool,
    pub(crate) opened: Instant,
    pub(crate) heard: Instant,
    pub(crate) sent: Instant,
}

impl Connection {
    pub(crate) fn new(
        transport: Transport,
        peer: SocketAddr,
        place: Place,
        speaks_fix: bool,
        now: Instant,
    ) -> Self {
        Self {
            transport,
            peer,
            place,
            stage: Stage::AwaitingLogin,
            fix: speaks_fix.then(Box::default),
            inbox: Vec::new(),
            before_login: 0,
            read_at: Nanos(0),
            outbox: Outbox::default(),
            readable: true,
            hung_up: false,
            ended: false,
            is_parked: false,
            listed: false,
            writable: true,
            dirty: false,
            opened: now,
            heard: now,
            sent: now,
        }
    }

    /// Whether there is nothing to be done with what comes until a login has been verified, its own or another's.
    pub(crate) fn waits_for_verdict(&self) -> bool {
        self.is_parked || matches!(self.stage, Stage::Authenticating { .. })
    }

    /// Reads once into `scratch`.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> Result<Incoming, Close> {
        let read = self.transport.read(scratch);
        if self.transport.wants_write() {
            // Reading has left something that the socket does not take now: its next event must send it.
            self.writable = false;
        }
        read.map_err(|error| match error {
            ReadError::Io(error) => Close::Io(error),
            ReadError::Tls(error) => Close::Protocol(format!("TLS: {error}")),
        })
    }

    /// Puts it on the list of those that have something new to send, if it is not there.
    #[inline]
    pub(crate) fn mark_dirty(&mut self, token: usize, dirty: &mut Vec<usize>) {
        if !self.dirty {
            self.dirty = true;
            dirty.push(token);
        }
    }

    /// Whether a whole packet or message is there that has not been used.
    pub(crate) fn has_whole(&self) -> bool {
        match &self.fix {
            None => has_packet(&self.inbox),
            Some(link) => {
                has_message(&self.inbox) || link.session.as_ref().is_some_and(crate::fix::Session::has_early)
            }
        }
    }

    /// Sends what may go. Says whether the client is slower than it may be.
    pub(crate) fn flush(&mut self, gate: journal::Position, now: Instant) -> Result<(), Close> {
        self.transport.push().map_err(Close::Io)?;
        let (moved, flush) = self.outbox.flush(gate, &mut self.transport).map_err(Close::Io)?;
        self.writable = flush == crate::outbox::Flush::Done && !self.transport.wants_write();
        if moved > 0 {
            self.sent = now;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "connection/tests.rs"]
mod tests;
