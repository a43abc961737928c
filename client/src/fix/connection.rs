//! A FIX session on a socket: bounded buffers, no thread of its own.
//!
//! Everything but [`open`](Connection::open), [`logon`](Connection::logon), [`receive`](Connection::receive),
//! [`drain`](Connection::drain) and [`logout`](Connection::logout) returns at once, so that one thread can drive many connections
//! with a poller of its own; those wait, each at most as long as it is told.

use core::time::Duration;
use std::{
    net::SocketAddr,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use domain::Nanos;
use mio::net::TcpStream;
use wire::fix::{Frame, frame};

use super::{
    request::Request,
    session::{End, Incoming, NotNow, Session, Settings},
    store::{Memory, Store},
};
use crate::{
    ClientError, Tls,
    pipe::{MESSAGE_MAX, Pipe},
};

/// Room that any [`Request`] fits in, with its header.
pub const REQUEST_MAX: usize = 4 << 10;
/// Room that is kept for what the session itself must say: the longest answer repeats a message, and a piece of a resend ends
/// with one.
const OWN_ROOM: usize = 3 * MESSAGE_MAX + (16 << 10);
/// How long `receive` waits before it looks at the clock again.
const STEP: Duration = Duration::from_millis(250);

/// One connection of a session.
#[derive(Debug)]
pub struct Connection<S = Memory> {
    pipe: Pipe,
    session: Session<S>,
    /// When something was last read.
    now: Nanos,
}

/// Where in the input a message is.
struct Placed {
    msg_type: (usize, usize),
    body: (usize, usize),
    number: u64,
    is_again: bool,
    may_be_repeated: bool,
}

fn utc_now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

impl<S: Store> Connection<S> {
    /// Connects, over TLS when `tls` says whom to trust. `store`: what the session's last connection left
    /// ([`into_store`](Self::into_store)), or a new one.
    ///
    /// # Errors
    /// [`ClientError::Field`] before anything is done; [`ClientError::Connect`].
    pub fn open(
        peer: SocketAddr,
        tls: Option<&Tls>,
        settings: Settings,
        store: S,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let now = utc_now();
        let user = settings.sender.clone();
        let session = Session::new(settings, store, now).map_err(ClientError::Field)?;
        let mut pipe = Pipe::open(peer, tls, timeout)?;
        pipe.user = user;
        Ok(Self { pipe, session, now })
    }

    /// Logs on.
    ///
    /// # Errors
    /// [`ClientError::LogonRefused`]; those of the connection.
    pub fn logon(&mut self, timeout: Duration) -> Result<(), ClientError> {
        self.session.logon(utc_now(), &mut self.pipe.output);
        let deadline = Instant::now() + timeout;
        while !self.session.is_open() {
            self.flush()?;
            let waited = self.pipe.wait_and_fill(deadline, "the answer to its Logon");
            waited.map_err(|error| match error {
                ClientError::Closed { peer, user } => {
                    ClientError::LogonRefused { peer, user, text: String::new() }
                }
                error => error,
            })?;
            self.now = utc_now();
            // Behind the answer, messages of the application may have come already: they stay.
            while !self.session.is_open() {
                match self.step() {
                    Ok(Step::Nothing) => break,
                    Ok(Step::Own | Step::Application(_)) => {}
                    Err(ClientError::LoggedOut { peer, user, text }) => {
                        return Err(ClientError::LogonRefused { peer, user, text });
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        self.flush().map(|_| ())
    }

    /// Encodes a request behind those that wait to be written, and gives its number; [`flush`](Self::flush) writes them all at
    /// once.
    ///
    /// # Errors
    /// [`ClientError::Field`] when no message can say it; [`ClientError::Full`] when there is no room for it, or old messages are
    /// being sent again; [`ClientError::NotLoggedOn`].
    pub fn request(&mut self, request: &Request<'_>) -> Result<u64, ClientError> {
        request.check().map_err(ClientError::Field)?;
        self.has_room(REQUEST_MAX)?;
        let now = utc_now();
        let sent = self.session.send(request.msg_type(), now, &mut self.pipe.output, |message| {
            request.write(now, message);
        });
        sent.map_err(|NotNow| self.not_now())
    }

    /// Has `write` append one whole message, which it gets the number for, behind what waits to be written. For whoever encodes
    /// faster than [`request`](Self::request) does; such a message is never sent again. It may have [`REQUEST_MAX`] bytes.
    ///
    /// # Errors
    /// [`ClientError::Full`] and [`ClientError::NotLoggedOn`].
    #[inline]
    pub fn write(&mut self, now: Nanos, write: impl FnOnce(u64, &mut Vec<u8>)) -> Result<(), ClientError> {
        self.has_room(REQUEST_MAX)?;
        match self.session.reserve(now) {
            Ok(number) => {
                write(number, &mut self.pipe.output);
                Ok(())
            }
            Err(NotNow) => Err(self.not_now()),
        }
    }

    #[cold]
    fn not_now(&self) -> ClientError {
        if self.session.is_open() {
            ClientError::Full { unwritten: self.pipe.unwritten() }
        } else {
            ClientError::NotLoggedOn { peer: self.pipe.peer, user: self.pipe.user.clone() }
        }
    }

    #[inline]
    fn has_room(&self, bytes: usize) -> Result<(), ClientError> {
        self.pipe.has_room(OWN_ROOM + bytes)
    }

    /// Bytes that may be encoded before something is written; 0 while old messages are sent again.
    #[inline]
    #[must_use]
    pub fn room(&self) -> usize {
        if self.session.is_resending() { 0 } else { self.pipe.room().saturating_sub(OWN_ROOM) }
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        self.pipe.unwritten()
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &Session<S> {
        &self.session
    }

    /// Whom it is connected to.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.pipe.peer
    }

    /// What the session's next connection needs.
    #[must_use]
    pub fn into_store(self) -> S {
        self.session.into_store()
    }

    /// The socket, to be registered with a poller; it is not blocking.
    pub fn stream(&mut self) -> &mut TcpStream {
        self.pipe.socket.stream()
    }

    /// Writes what waits, as far as the kernel takes it; true when nothing waits any more.
    ///
    /// # Errors
    /// [`ClientError::Closed`] or [`ClientError::Io`].
    pub fn flush(&mut self) -> Result<bool, ClientError> {
        loop {
            let done = self.pipe.flush()?;
            if !done || !self.session.is_resending() {
                return Ok(done);
            }
            self.session.resend(utc_now(), &mut self.pipe.output);
        }
    }

    /// Reads once what has arrived, at most as much as there is room for; true when there may be more.
    ///
    /// # Errors
    /// [`ClientError::Closed`] or [`ClientError::Io`].
    pub fn fill(&mut self) -> Result<bool, ClientError> {
        let more = self.pipe.fill()?;
        self.now = utc_now();
        Ok(more)
    }

    /// The next message for the application among what was read; `None` when more must be read first. The session's own are
    /// dealt with; their answers wait to be written.
    ///
    /// # Errors
    /// [`ClientError::LoggedOut`], or [`ClientError::Protocol`] for what no acceptor may do.
    #[inline]
    #[allow(clippy::should_implement_trait)] // It lends from itself, which an iterator cannot.
    pub fn next(&mut self) -> Result<Option<Incoming<'_>>, ClientError> {
        let placed = loop {
            match self.step()? {
                Step::Application(placed) => break placed,
                Step::Own => {}
                Step::Nothing => return Ok(None),
            }
        };
        let Placed { number, is_again, may_be_repeated, .. } = placed;
        let bytes = |(start, end): (usize, usize)| &self.pipe.input[start..end];
        let (msg_type, body) = (bytes(placed.msg_type), bytes(placed.body));
        Ok(Some(Incoming { msg_type, number, is_again, may_be_repeated, body }))
    }

    /// Takes one message off the input.
    #[inline]
    fn step(&mut self) -> Result<Step, ClientError> {
        let start = self.pipe.from;
        let has_room = self.pipe.room() >= MESSAGE_MAX + 512;
        let (unread, output) = self.pipe.halves();
        let (message, length) = match frame(unread, MESSAGE_MAX) {
            Ok(Frame::Message(message, length)) => (message, length),
            Ok(Frame::Incomplete | Frame::Garbled(0)) => return Ok(Step::Nothing),
            // Its number is missed when the next one comes.
            Ok(Frame::Garbled(length)) => {
                self.pipe.from += length;
                return Ok(Step::Own);
            }
            Err(error) => return Err(self.pipe.fault(&error)),
        };
        let (type_length, fields_length) = (message.msg_type.len(), message.fields.len());
        // Behind the fields stands the trailer, which has seven bytes; before them an SOH and the type.
        let fields_end = start + length - 7;
        let type_end = fields_end - fields_length - 1;
        if !has_room {
            return Err(self.pipe.fault(&"it asks for more answers than it reads"));
        }
        let step = match self.session.hear(&message, self.now, output) {
            Ok(None) => Step::Own,
            Ok(Some(incoming)) => Step::Application(Placed {
                msg_type: (type_end - type_length, type_end),
                body: (fields_end - incoming.body.len(), fields_end),
                number: incoming.number,
                is_again: incoming.is_again,
                may_be_repeated: incoming.may_be_repeated,
            }),
            Err(end) => return Err(self.ended(end)),
        };
        self.pipe.from = start + length;
        Ok(step)
    }

    /// The last word is sent as far as the kernel takes it.
    #[cold]
    fn ended(&mut self, end: End) -> ClientError {
        let _ = self.pipe.flush();
        let (peer, user) = (self.pipe.peer, self.pipe.user.clone());
        match end {
            End::LoggedOut { text, .. } => ClientError::LoggedOut { peer, user, text },
            End::Breach(what) => ClientError::Protocol { peer, user, what },
            End::Silent(silence) => ClientError::Silent { peer, user, silence },
            End::Unanswered(what) => ClientError::Timeout { peer, user, what },
        }
    }

    /// The next message for the application, waiting for it up to `timeout`; `None` when none came. Writes what waits, and keeps
    /// the session alive.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn receive(&mut self, timeout: Duration) -> Result<Option<Incoming<'_>>, ClientError> {
        let deadline = Instant::now() + timeout;
        let placed = loop {
            match self.step()? {
                Step::Application(placed) => break placed,
                Step::Own => continue,
                Step::Nothing => {}
            }
            self.keep_alive()?;
            self.flush()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            if self.pipe.wait(left.min(STEP))? {
                self.fill()?;
            }
        };
        let Placed { number, is_again, may_be_repeated, .. } = placed;
        let bytes = |(start, end): (usize, usize)| &self.pipe.input[start..end];
        let (msg_type, body) = (bytes(placed.msg_type), bytes(placed.body));
        Ok(Some(Incoming { msg_type, number, is_again, may_be_repeated, body }))
    }

    /// Writes all that waits, up to `timeout`.
    ///
    /// # Errors
    /// [`ClientError::Timeout`], or those of the connection.
    pub fn drain(&mut self, timeout: Duration) -> Result<(), ClientError> {
        self.pipe.drain(timeout)
    }

    /// Sends a heartbeat or a test when one is due. To be called a few times a second; the session looks at no clock otherwise.
    ///
    /// # Errors
    /// [`ClientError::Silent`] and [`ClientError::Timeout`].
    pub fn keep_alive(&mut self) -> Result<(), ClientError> {
        match self.session.tick(utc_now(), &mut self.pipe.output) {
            Ok(()) => Ok(()),
            Err(end) => Err(self.ended(end)),
        }
    }

    /// Says goodbye, and waits for the answer and the end of the connection. What the application had not taken is dropped, and
    /// is asked for by the next connection's Logon no more: take everything first.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn logout(&mut self, timeout: Duration) -> Result<(), ClientError> {
        self.session.logout(utc_now(), &mut self.pipe.output);
        let deadline = Instant::now() + timeout;
        loop {
            match self.receive(deadline.saturating_duration_since(Instant::now())) {
                Ok(Some(_)) => {}
                Ok(None) => return Err(self.pipe.timeout("the answer to its Logout")),
                Err(ClientError::LoggedOut { .. } | ClientError::Closed { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Says goodbye, and does not wait.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn leave(&mut self) -> Result<(), ClientError> {
        self.session.logout(utc_now(), &mut self.pipe.output);
        self.flush().map(|_| ())
    }
}

enum Step {
    /// There is no whole message.
    Nothing,
    /// One of the session's, or none at all.
    Own,
    Application(Placed),
}
