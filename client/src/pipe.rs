//! A socket with what was read and not decoded, and what was encoded and not written: bounded both ways.
//!
//! ```text
//! output ──flush──▶ socket ──fill──▶ input
//! ```

use core::{fmt::Display, time::Duration};
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Instant,
};

use rustix::event::PollFlags;

use crate::{ClientError, Tls, socket::Socket};

/// Bytes read ahead of what is decoded.
pub(crate) const INPUT: usize = 1 << 18;
/// Bytes encoded ahead of what is written.
pub(crate) const OUTPUT: usize = 1 << 17;
/// The longest message that is taken, of either protocol.
pub(crate) const MESSAGE_MAX: usize = 1 << 13;

const _: () = assert!(INPUT >= 2 * MESSAGE_MAX, "a whole message fits");

#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) socket: Socket,
    pub(crate) peer: SocketAddr,
    pub(crate) user: String,
    /// `INPUT` bytes, of which `from..to` are read and not decoded.
    pub(crate) input: Box<[u8]>,
    /// `from <= to`
    pub(crate) from: usize,
    /// `to <= INPUT`
    to: usize,
    /// At most `OUTPUT` bytes, of which the first `written` are with the kernel.
    pub(crate) output: Vec<u8>,
    /// `written <= output.len()`
    written: usize,
    /// Something was written, or read, since somebody asked.
    pub(crate) sent: bool,
    pub(crate) heard: bool,
}

impl Pipe {
    pub(crate) fn open(peer: SocketAddr, tls: Option<&Tls>, timeout: Duration) -> Result<Self, ClientError> {
        let socket =
            Socket::open(peer, tls, timeout).map_err(|error| ClientError::Connect { peer, error })?;
        Ok(Self {
            socket,
            peer,
            user: String::new(),
            input: vec![0; INPUT].into_boxed_slice(),
            from: 0,
            to: 0,
            output: Vec::with_capacity(OUTPUT),
            written: 0,
            sent: false,
            heard: false,
        })
    }

    /// What was read and not decoded.
    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        &self.input[self.from..self.to]
    }

    /// What was read and not decoded, and where answers go.
    #[inline]
    pub(crate) fn halves(&mut self) -> (&[u8], &mut Vec<u8>) {
        (&self.input[self.from..self.to], &mut self.output)
    }

    /// Bytes that may be encoded before something is written.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        OUTPUT.saturating_sub(self.output.len())
    }

    /// Bytes that wait to be written.
    pub(crate) fn unwritten(&self) -> usize {
        self.output.len() - self.written + usize::from(self.socket.wants_write())
    }

    /// That there is room for so many bytes.
    #[inline]
    pub(crate) fn has_room(&self, bytes: usize) -> Result<(), ClientError> {
        if self.room() < bytes {
            return Err(ClientError::Full { unwritten: self.unwritten() });
        }
        Ok(())
    }

    /// Writes what waits, as far as the kernel takes it; true when nothing waits any more.
    pub(crate) fn flush(&mut self) -> Result<bool, ClientError> {
        while self.written < self.output.len() {
            match self.socket.write(&self.output[self.written..]) {
                Ok(0) => return Err(self.closed()),
                Ok(bytes) => {
                    self.written += bytes;
                    self.sent = true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // Keep the buffer's room usable: what is written makes place.
                    if self.written >= OUTPUT / 2 {
                        self.output.drain(..self.written);
                        self.written = 0;
                    }
                    return Ok(false);
                }
                Err(error) => return Err(self.io(error)),
            }
        }
        self.output.clear();
        self.written = 0;
        self.socket.flush().map_err(|error| self.io(error))
    }

    /// Reads once what has arrived, at most as much as there is room for; true when there may be more.
    pub(crate) fn fill(&mut self) -> Result<bool, ClientError> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else if self.to > INPUT - MESSAGE_MAX {
            self.input.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        loop {
            if self.to == INPUT {
                return Ok(true);
            }
            match self.socket.read(&mut self.input[self.to..]) {
                Ok((0, _)) => return Err(self.closed()),
                Ok((bytes, more)) => {
                    self.to += bytes;
                    self.heard = true;
                    return Ok(more);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(self.io(error)),
            }
        }
    }

    /// Writes all that waits, up to `timeout`.
    pub(crate) fn drain(&mut self, timeout: Duration) -> Result<(), ClientError> {
        let deadline = Instant::now() + timeout;
        while !self.flush()? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.timeout("room to write"));
            }
            self.socket.poll(PollFlags::OUT, left).map_err(|error| self.io(error))?;
        }
        Ok(())
    }

    /// Waits for something to read, and reads it.
    pub(crate) fn wait_and_fill(&mut self, deadline: Instant, what: &'static str) -> Result<(), ClientError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.timeout(what));
        }
        if self.wait(left)? {
            self.fill()?;
        }
        Ok(())
    }

    /// Waits until there is something to read; false when there was nothing.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<bool, ClientError> {
        let flags = if self.unwritten() > 0 { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        self.socket.poll(flags, timeout).map_err(|error| self.io(error))
    }

    #[cold]
    pub(crate) fn closed(&self) -> ClientError {
        ClientError::Closed { peer: self.peer, user: self.user.clone() }
    }

    #[cold]
    pub(crate) fn io(&self, error: io::Error) -> ClientError {
        // A server that dies resets the connection: that is closing, rudely.
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
                self.closed()
            }
            _ => ClientError::Io { peer: self.peer, user: self.user.clone(), error },
        }
    }

    #[cold]
    pub(crate) fn timeout(&self, what: &'static str) -> ClientError {
        ClientError::Timeout { peer: self.peer, user: self.user.clone(), what }
    }

    #[cold]
    pub(crate) fn fault(&self, what: &dyn Display) -> ClientError {
        ClientError::Protocol { peer: self.peer, user: self.user.clone(), what: what.to_string() }
    }
}
