//! One connection: its bytes, plain or in TLS, its session, and what it has asked for.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use domain::{Position, SessionId};
use door::{
    auth::{Refusal, Ticket},
    lobby::Place,
    transport::{Incoming, ReadError, Transport},
};
use gateway::{
    Flush, Outbox,
    fix::{Session, Throttle},
};
use wire::fix::{Frame, frame};

use crate::desk::Desk;

/// The longest message that a client may send, in bytes.
pub(crate) const MESSAGE_MAX: usize = 8 * 1024;
/// Bytes that are taken of a client that has not logged in.
const BEFORE_LOGIN_MAX: usize = 4 * 1024;
/// Bytes that one read takes at most.
pub(crate) const READ_MAX: usize = 16 * 1024;
/// Of a client that does not take what it is told it is not told of changes beyond this: it gets snapshots when it has caught up.
pub(crate) const UNSENT_MAX: usize = 1 << 20;
/// Nor is it heard, and so answered, beyond this, in bytes.
const HEARD_MAX: usize = 2 * UNSENT_MAX;
/// Snapshots are told while less than this waits.
pub(crate) const SNAPSHOT_MAX: usize = 64 * 1024;
/// A client that takes nothing of what waits for so long is cut off.
const STUCK: Duration = Duration::from_secs(10);

/// How far a connection's login got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody yet.
    Expected,
    /// Its logon is being verified. Nothing more of it is read until that is over.
    Verifying(Ticket),
    /// Its logon waits for room among those that are verified.
    Parked,
    LoggedOn(SessionId),
}

/// Why a connection ends; for the log.
#[derive(Debug)]
pub(crate) enum Ends {
    ByPeer,
    LoggedOut,
    Io(io::Error),
    NoLogonInTime,
    Silent(&'static str),
    Stuck(usize),
    Protocol(String),
    Refused(String),
    Displaced,
    Disabled,
    Superseded,
}

impl std::fmt::Display for Ends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ByPeer => f.write_str("closed by the client"),
            Self::LoggedOut => f.write_str("logged out"),
            Self::Io(error) => write!(f, "socket error: {error}"),
            Self::NoLogonInTime => f.write_str("no logon in time"),
            Self::Silent(what) => f.write_str(what),
            Self::Stuck(unsent) => write!(f, "does not read: {unsent} bytes unsent"),
            Self::Protocol(what) => write!(f, "protocol error: {what}"),
            Self::Refused(what) => write!(f, "logon refused: {what}"),
            Self::Displaced => f.write_str("had not logged on when others came"),
            Self::Disabled => f.write_str("its user may not come in any more"),
            Self::Superseded => f.write_str("its session logged on again elsewhere"),
        }
    }
}

/// See the module.
pub(crate) struct Client {
    pub(crate) transport: Transport,
    pub(crate) peer: SocketAddr,
    /// Its place among those that have not logged on.
    pub(crate) place: Place,
    pub(crate) stage: Stage,
    /// Nothing has been heard yet, if there is none.
    pub(crate) session: Option<Session>,
    /// What came of its logon, which was being verified: it is heard again now.
    pub(crate) verdict: Option<Result<SessionId, Refusal>>,
    pub(crate) throttle: Throttle,
    pub(crate) desk: Desk,
    /// Bytes that have come in and are not used yet.
    pub(crate) inbox: Vec<u8>,
    pub(crate) outbox: Outbox,
    /// It has asked for a book, and there are none yet.
    pub(crate) waits_for_books: bool,
    /// There may be bytes that have not been read.
    pub(crate) readable: bool,
    /// The client has closed its side, which has not been read yet perhaps.
    pub(crate) hung_up: bool,
    /// The client has closed its side.
    pub(crate) ended: bool,
    pub(crate) opened: Instant,
    /// Since when it has taken nothing of what waits.
    stuck: Option<Instant>,
    /// Everything has been said: the connection ends when it has gone out, or at this time.
    pub(crate) closing: Option<(Ends, Instant)>,
}

impl Client {
    pub(crate) fn new(transport: Transport, peer: SocketAddr, place: Place, now: Instant) -> Self {
        Self {
            transport,
            peer,
            place,
            stage: Stage::Expected,
            session: None,
            verdict: None,
            throttle: Throttle::default(),
            desk: Desk::default(),
            inbox: Vec::new(),
            outbox: Outbox::default(),
            waits_for_books: false,
            readable: true,
            hung_up: false,
            ended: false,
            opened: now,
            stuck: None,
            closing: None,
        }
    }

    pub(crate) const fn id(&self) -> Option<SessionId> {
        match self.stage {
            Stage::LoggedOn(id) => Some(id),
            Stage::Expected | Stage::Verifying(_) | Stage::Parked => None,
        }
    }

    /// Whether what it says may be heard now.
    pub(crate) fn is_heard(&self) -> bool {
        self.closing.is_none()
            && !self.waits_for_books
            && matches!(self.stage, Stage::Expected | Stage::LoggedOn(_))
            && self.outbox.len() <= HEARD_MAX
    }

    /// Whether something of it can be heard without an event of its socket.
    pub(crate) fn has_more(&self) -> bool {
        self.is_heard() && (self.readable || self.has_message())
    }

    /// Whether a whole message is there, or what is to be passed over.
    fn has_message(&self) -> bool {
        let is_whole =
            !self.inbox.is_empty() && !matches!(frame(&self.inbox, MESSAGE_MAX), Ok(Frame::Incomplete));
        is_whole || self.session.as_ref().is_some_and(Session::has_early)
    }

    /// Reads once, if something may be there.
    pub(crate) fn read(&mut self, scratch: &mut [u8; READ_MAX]) -> Result<(), Ends> {
        if !self.readable || self.ended || self.inbox.len() >= MESSAGE_MAX {
            return Ok(());
        }
        let room = match self.stage {
            Stage::LoggedOn(_) => READ_MAX,
            _ => BEFORE_LOGIN_MAX.saturating_sub(self.inbox.len()),
        };
        if room == 0 {
            return if self.has_message() {
                Ok(())
            } else {
                Err(Ends::Protocol("more than a logon before the logon".into()))
            };
        }
        match self.transport.read(&mut scratch[..room]) {
            Ok(Incoming::More(read)) => self.inbox.extend_from_slice(&scratch[..read]),
            Ok(Incoming::Drained(read)) => {
                self.inbox.extend_from_slice(&scratch[..read]);
                self.readable = self.hung_up && read > 0;
            }
            Ok(Incoming::End) => (self.ended, self.readable) = (true, false),
            Err(ReadError::Io(error)) => return Err(Ends::Io(error)),
            Err(ReadError::Tls(error)) => return Err(Ends::Protocol(format!("TLS: {error}"))),
        }
        Ok(())
    }

    /// Sends what the socket takes.
    pub(crate) fn flush(&mut self, now: Instant) -> Result<(), Ends> {
        self.transport.push().map_err(Ends::Io)?;
        self.outbox.mark(Position(0));
        let (moved, flush) = self.outbox.flush(Position(0), &mut self.transport).map_err(Ends::Io)?;
        if flush == Flush::Done && !self.transport.wants_write() {
            self.stuck = None;
        } else if moved > 0 {
            self.stuck = Some(now);
        } else {
            self.stuck.get_or_insert(now);
        }
        Ok(())
    }

    /// Whether it has taken nothing for too long.
    pub(crate) fn is_stuck(&self, now: Instant) -> bool {
        self.stuck.is_some_and(|since| now.duration_since(since) >= STUCK)
    }

    /// Whether it may be told a snapshot now.
    pub(crate) fn takes_snapshots(&self) -> bool {
        self.closing.is_none() && self.desk.has_owed() && self.outbox.len() < SNAPSHOT_MAX
    }
}
