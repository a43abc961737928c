//! A SoupBinTCP and OUCH client: one socket, bounded buffers, no thread of its own.
//!
//! ```text
//! send ──▶ output ──flush──▶ socket ──fill──▶ input ──next──▶ (sequence, message)
//! ```
//!
//! A sequenced message's number is never written: it is its place in the session. The connection counts, from the
//! number that the login was answered with.
//!
//! Everything but [`open`](Connection::open) and [`open_with`](Connection::open_with), [`login`](Connection::login), [`next_user_ref`](Connection::next_user_ref),
//! [`receive`](Connection::receive), [`receive_bytes`](Connection::receive_bytes) and [`drain`](Connection::drain) returns at once, so that one thread can drive
//! many connections with a poller of its own; those wait, each at most as long as it is told.

mod log;

use core::time::Duration;
use std::{net::SocketAddr, time::Instant};

use mio::net::TcpStream;
use wire::{
    ouch::{Inbound, Outbound},
    soup::{self, ClientPacket, LoginAccepted, LoginRequest, Password, ServerPacket, SessionName, Username},
};

pub use log::{Acknowledged, MessageLog, Mismatch};

use crate::{
    ClientError, Tls, User,
    pipe::{MESSAGE_MAX, Pipe},
};

/// The longest payload that is taken. OUCH's longest message has 68 bytes and an appendage of a few options.
const PAYLOAD_MAX: usize = 4_096;
/// Room that any request of ours fits in, SoupBinTCP's header included.
pub const REQUEST_MAX: usize = 128;
/// SoupBinTCP: a heartbeat is due when nothing was sent for a second.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// SoupBinTCP: a peer that was silent for fifteen seconds is gone.
const SILENCE: Duration = Duration::from_secs(15);

const _: () = assert!(MESSAGE_MAX >= soup::HEADER_LEN + PAYLOAD_MAX, "a whole packet fits");

/// One connection of one session.
#[derive(Debug)]
pub struct Connection {
    pipe: Pipe,
    next_sequence: u64,
    last_sent: Instant,
    last_heard: Instant,
}

/// What the server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its place in the session, from 1.
    pub sequence: u64,
    /// What it says.
    pub message: Outbound<'a>,
    /// Its bytes, without SoupBinTCP's header: the same whenever it is sent again.
    pub bytes: &'a [u8],
}

impl Connection {
    /// Connects, without delay of small segments (TCP_NODELAY).
    ///
    /// # Errors
    /// [`ClientError::Connect`].
    pub fn open(peer: SocketAddr, timeout: Duration) -> Result<Self, ClientError> {
        Self::open_with(peer, None, timeout)
    }

    /// Connects, over TLS when `tls` says whom to trust.
    ///
    /// # Errors
    /// [`ClientError::Connect`].
    pub fn open_with(peer: SocketAddr, tls: Option<&Tls>, timeout: Duration) -> Result<Self, ClientError> {
        let pipe = Pipe::open(peer, tls, timeout)?;
        let now = Instant::now();
        Ok(Self { pipe, next_sequence: 1, last_sent: now, last_heard: now })
    }

    /// Logs in. `session` blank means the user's current session; `sequence` is the number of the first message
    /// wanted: 1 is the session's first, 0 means only those that were never sent.
    ///
    /// # Errors
    /// [`ClientError::Name`] before anything is sent; [`ClientError::LoginRefused`]; those of the connection.
    pub fn login(
        &mut self,
        user: &User,
        session: &str,
        sequence: u64,
        timeout: Duration,
    ) -> Result<LoginAccepted, ClientError> {
        self.pipe.user.clone_from(&user.name);
        let name = |what| ClientError::Name { what, user: user.name.clone() };
        let request = LoginRequest {
            username: Username::new(&user.name).ok_or_else(|| name("user name (at most 6 characters)"))?,
            password: Password::new(&user.password)
                .ok_or_else(|| name("password (at most 10 characters)"))?,
            session: SessionName::new(session).ok_or_else(|| name("session name (at most 10 characters)"))?,
            sequence,
        };
        self.packet(&ClientPacket::LoginRequest(request))?;
        let deadline = Instant::now() + timeout;
        loop {
            self.flush()?;
            if let Some(frame) = self.frame()? {
                let decoded = ServerPacket::decode(&soup::Frame {
                    kind: frame.kind,
                    payload: &self.pipe.input[frame.start..frame.end],
                    consumed: 0,
                });
                match decoded.map_err(|error| self.pipe.fault(&error))? {
                    ServerPacket::LoginAccepted(accepted) => {
                        self.next_sequence = accepted.sequence;
                        return Ok(accepted);
                    }
                    ServerPacket::LoginRejected(reason) => {
                        return Err(ClientError::LoginRefused {
                            peer: self.pipe.peer,
                            user: self.pipe.user.clone(),
                            reason,
                        });
                    }
                    _ => continue,
                }
            }
            self.pipe.wait_and_fill(deadline, "the answer to its login")?;
        }
    }

    /// Asks which number the session's next order may have. For a session without answers under way: the others
    /// are read and dropped.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn next_user_ref(&mut self, timeout: Duration) -> Result<u32, ClientError> {
        self.send(&Inbound::AccountQuery)?;
        let deadline = Instant::now() + timeout;
        loop {
            self.flush()?;
            while let Some(message) = self.next()? {
                if let Outbound::AccountQueryResponse(answer) = message.message {
                    return Ok(answer.next_user_ref);
                }
            }
            self.pipe.wait_and_fill(deadline, "the answer to its account query")?;
        }
    }

    /// The number of the next sequenced message.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Whom it is connected to.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.pipe.peer
    }

    /// Bytes that may be encoded before something is written.
    #[must_use]
    pub fn room(&self) -> usize {
        self.pipe.room()
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        self.pipe.unwritten()
    }

    /// The socket, to be registered with a poller; it is not blocking.
    pub fn stream(&mut self) -> &mut TcpStream {
        self.pipe.socket.stream()
    }

    /// Encodes a request behind those that wait to be written; [`flush`](Self::flush) writes them all at once.
    ///
    /// # Errors
    /// [`ClientError::Full`] when there is no room for it.
    #[inline]
    pub fn send(&mut self, request: &Inbound<'_>) -> Result<(), ClientError> {
        self.pipe.has_room(REQUEST_MAX)?;
        soup::unsequenced(&mut self.pipe.output, |out| request.encode(out));
        Ok(())
    }

    /// Says goodbye; the server closes the connection when it has read that.
    ///
    /// # Errors
    /// [`ClientError::Full`], or those of the connection.
    pub fn logout(&mut self) -> Result<(), ClientError> {
        self.packet(&ClientPacket::LogoutRequest)?;
        self.flush().map(|_| ())
    }

    fn packet(&mut self, packet: &ClientPacket<'_>) -> Result<(), ClientError> {
        self.pipe.has_room(REQUEST_MAX)?;
        packet.encode(&mut self.pipe.output);
        Ok(())
    }

    /// Writes what waits, as far as the kernel takes it, in one call; true when nothing waits any more.
    ///
    /// # Errors
    /// [`ClientError::Closed`] or [`ClientError::Io`].
    pub fn flush(&mut self) -> Result<bool, ClientError> {
        self.pipe.flush()
    }

    /// Reads once what has arrived, at most as much as there is room for; true when there may be more.
    ///
    /// # Errors
    /// [`ClientError::Closed`] or [`ClientError::Io`].
    pub fn fill(&mut self) -> Result<bool, ClientError> {
        self.pipe.fill()
    }

    /// The next sequenced message among what was read; `None` when more must be read first. Heartbeats, debug
    /// texts and unsequenced messages are passed over.
    ///
    /// # Errors
    /// [`ClientError::EndOfSession`], or [`ClientError::Protocol`] for bytes that no server may send.
    #[inline]
    #[allow(clippy::should_implement_trait)] // It lends from itself, which an iterator cannot.
    pub fn next(&mut self) -> Result<Option<Message<'_>>, ClientError> {
        let Some((sequence, start, end)) = self.next_place()? else { return Ok(None) };
        let bytes = &self.pipe.input[start..end];
        match Outbound::decode(bytes) {
            Ok(message) => Ok(Some(Message { sequence, message, bytes })),
            Err(error) => Err(ClientError::Protocol {
                peer: self.pipe.peer,
                user: self.pipe.user.clone(),
                what: format!("message {sequence}: {error}"),
            }),
        }
    }

    /// The number of the next sequenced message among what was read, and where it begins and ends there.
    #[inline]
    fn next_place(&mut self) -> Result<Option<(u64, usize, usize)>, ClientError> {
        let (start, end) = loop {
            let Some(frame) = self.frame()? else { return Ok(None) };
            match frame.kind {
                soup::kind::SEQUENCED => break (frame.start, frame.end),
                soup::kind::SERVER_HEARTBEAT | soup::kind::DEBUG | soup::kind::UNSEQUENCED => {}
                soup::kind::END_OF_SESSION => {
                    return Err(ClientError::EndOfSession {
                        peer: self.pipe.peer,
                        user: self.pipe.user.clone(),
                    });
                }
                kind => {
                    return Err(self
                        .pipe
                        .fault(&format_args!("a packet of type {kind:#04x}, after the login")));
                }
            }
        };
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Ok(Some((sequence, start, end)))
    }

    /// The next sequenced message, waiting for it up to `timeout`; `None` when none came. Writes what waits, and
    /// keeps the session alive.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn receive(&mut self, timeout: Duration) -> Result<Option<Message<'_>>, ClientError> {
        if self.wait_for_message(timeout)? { self.next() } else { Ok(None) }
    }

    /// The bytes of the next sequenced message, whatever they say: for a server that does not speak OUCH. Otherwise as
    /// [`receive`](Self::receive).
    ///
    /// # Errors
    /// Those of the connection.
    pub fn receive_bytes(&mut self, timeout: Duration) -> Result<Option<&[u8]>, ClientError> {
        if !self.wait_for_message(timeout)? {
            return Ok(None);
        }
        let place = self.next_place()?;
        Ok(place.map(|(_, start, end)| &self.pipe.input[start..end]))
    }

    /// Waits until a whole message is there, or the end. Says whether one came.
    fn wait_for_message(&mut self, timeout: Duration) -> Result<bool, ClientError> {
        let deadline = Instant::now() + timeout;
        while !self.has_message()? {
            self.keep_alive(Instant::now())?;
            self.flush()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            if self.pipe.wait(left.min(HEARTBEAT))? {
                self.fill()?;
            }
        }
        Ok(true)
    }

    /// Writes all that waits, up to `timeout`.
    ///
    /// # Errors
    /// [`ClientError::Timeout`], or those of the connection.
    pub fn drain(&mut self, timeout: Duration) -> Result<(), ClientError> {
        self.pipe.drain(timeout)
    }

    /// Sends a heartbeat when one is due. To be called a few times a second; the connection looks at no clock
    /// otherwise, so silence is known as finely as this is called.
    ///
    /// # Errors
    /// [`ClientError::Silent`] when the server has said nothing for fifteen seconds.
    pub fn keep_alive(&mut self, now: Instant) -> Result<(), ClientError> {
        if core::mem::take(&mut self.pipe.heard) {
            self.last_heard = now;
        }
        if core::mem::take(&mut self.pipe.sent) {
            self.last_sent = now;
        }
        let silence = now.saturating_duration_since(self.last_heard);
        if silence >= SILENCE {
            return Err(ClientError::Silent { peer: self.pipe.peer, user: self.pipe.user.clone(), silence });
        }
        if now.saturating_duration_since(self.last_sent) >= HEARTBEAT {
            self.last_sent = now;
            // With bytes waiting, the server will hear from us anyway, when it reads again.
            if self.pipe.output.is_empty() {
                self.packet(&ClientPacket::Heartbeat)?;
            }
        }
        Ok(())
    }

    /// Whether a whole packet or an error is there.
    fn has_message(&mut self) -> Result<bool, ClientError> {
        loop {
            match soup::frame(self.pipe.unread(), PAYLOAD_MAX) {
                Ok(None) => return Ok(false),
                // Left for `next`, unless it would pass over it and find nothing behind.
                Ok(Some(frame))
                    if matches!(
                        frame.kind,
                        soup::kind::SERVER_HEARTBEAT | soup::kind::DEBUG | soup::kind::UNSEQUENCED
                    ) =>
                {
                    self.pipe.from += frame.consumed;
                }
                Ok(Some(_)) => return Ok(true),
                Err(error) => return Err(self.pipe.fault(&error)),
            }
        }
    }

    /// Takes the next packet off the input.
    #[inline]
    fn frame(&mut self) -> Result<Option<Framed>, ClientError> {
        match soup::frame(self.pipe.unread(), PAYLOAD_MAX) {
            Ok(Some(frame)) => {
                let framed = Framed {
                    kind: frame.kind,
                    start: self.pipe.from + soup::HEADER_LEN,
                    end: self.pipe.from + frame.consumed,
                };
                self.pipe.from = framed.end;
                Ok(Some(framed))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(self.pipe.fault(&error)),
        }
    }
}

/// A packet's place in the input.
#[derive(Clone, Copy, Debug)]
struct Framed {
    kind: u8,
    start: usize,
    end: usize,
}
