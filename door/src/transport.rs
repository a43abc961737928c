//! The bytes of a connection: a socket, or TLS over one.
//!
//! Sockets are announced at edges: once, when something changes. Whoever reads must therefore read until nothing is left, and
//! whoever could not write must be told that there is something to write when the socket has room again. With TLS neither
//! can be seen from the socket or from a count of bytes, so both are part of what is said here:
//!
//! * A read says by itself whether more may come without another event ([`Incoming::More`]): decrypted bytes may lie in the
//!   TLS while the socket is empty, and a read that gives few bytes says nothing of the socket.
//! * What was taken for writing may still be there, encrypted ([`Transport::wants_write`]), and reading may leave something to
//!   write, too: the server's part of a handshake. Then the next writable event has to [`push`](Transport::push).
//!
//! The certificate of a listener and whom it lets in are in rustls's `ServerConfig`, which others make.

use std::{
    io::{self, ErrorKind, Read, Write},
    sync::Arc,
};

use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};

/// Encrypted bytes that one read takes at most: those of a handshake, or of records without content, give nothing.
const SOCKET_BYTES_MAX: usize = 64 * 1024;

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// So many bytes, and there may be more without another event.
    More(usize),
    /// So many bytes, and no more for now.
    Drained(usize),
    /// The client has closed its side.
    End,
}

/// Why a read failed.
#[derive(Debug)]
pub enum ReadError {
    /// The socket did.
    Io(io::Error),
    /// What came is not the TLS that was asked for. The client has been told, if it listens.
    Tls(rustls::Error),
}

/// A connection's bytes.
pub enum Transport {
    /// As the socket has them.
    Plain(TcpStream),
    /// Boxed: a plain connection does not pay for the state of a TLS.
    Tls(Box<Tls>),
}

/// TLS over a socket, the server's side.
pub struct Tls {
    socket: TcpStream,
    tls: ServerConnection,
}

impl Transport {
    /// TLS over `socket`, by a listener's settings.
    ///
    /// # Errors
    /// When rustls finds the settings wanting.
    pub fn tls(socket: TcpStream, config: &Arc<ServerConfig>) -> io::Result<Self> {
        let tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(Tls { socket, tls })))
    }

    /// The socket, to be entered into a poll.
    pub fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &mut tls.socket,
        }
    }

    /// Whether the client has not yet shown what TLS asks of it. Nothing of the application passes before.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.tls.is_handshaking(),
        }
    }

    /// Reads what is there, as far as `into` has room.
    ///
    /// # Errors
    /// When the socket fails, or what came is no TLS where TLS was asked for.
    #[inline]
    pub fn read(&mut self, into: &mut [u8]) -> Result<Incoming, ReadError> {
        match self {
            Self::Plain(socket) => read_plain(socket, into).map_err(ReadError::Io),
            Self::Tls(tls) => tls.read(into),
        }
    }

    /// Whether something that was taken for writing, or that TLS has to say, waits for the socket.
    #[inline]
    #[must_use]
    pub fn wants_write(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.tls.wants_write(),
        }
    }

    /// Gives the socket what waits for it, as far as it takes it.
    ///
    /// # Errors
    /// Those of the socket; that it takes nothing now is none.
    #[inline]
    pub fn push(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.push(),
        }
    }

    /// Says that nothing more comes, if that can be said: without it a client could not tell the end from a cut. Does not
    /// wait.
    pub fn say_end(&mut self) {
        if let Self::Tls(tls) = self {
            tls.tls.send_close_notify();
            // The peer may be gone already.
            let _ = tls.push();
        }
    }
}

impl Write for Transport {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.push()
    }
}

#[inline]
fn read_plain(socket: &mut TcpStream, into: &mut [u8]) -> io::Result<Incoming> {
    loop {
        return match socket.read(into) {
            Ok(0) => Ok(Incoming::End),
            // A stream socket that gives less than was asked for has been emptied; the next byte is a new edge
            // (epoll(7), on edge-triggered notification).
            Ok(n) if n < into.len() => Ok(Incoming::Drained(n)),
            Ok(n) => Ok(Incoming::More(n)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Incoming::Drained(0)),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
    }
}

impl Tls {
    fn read(&mut self, into: &mut [u8]) -> Result<Incoming, ReadError> {
        let (mut filled, mut taken) = (0, 0);
        loop {
            // What has been decrypted goes first: TLS has room for 16 KiB of it, and takes no more before it is out.
            match self.tls.reader().read(&mut into[filled..]) {
                // The client has said that nothing more comes, or closed without a word. Requests are whole or are not
                // used, so that a cut makes nothing of them that they were not.
                Ok(0) if filled < into.len() => return Ok(end_after(filled)),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(end_after(filled)),
                Ok(n) => {
                    filled += n;
                    if filled == into.len() {
                        return Ok(Incoming::More(filled));
                    }
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(ReadError::Io(error)),
            }
            if taken >= SOCKET_BYTES_MAX {
                return Ok(Incoming::More(filled));
            }
            match self.tls.read_tls(&mut self.socket) {
                Ok(n) => taken += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Incoming::Drained(filled)),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(ReadError::Io(error)),
            }
            let processed = self.tls.process_new_packets();
            // Its part of the handshake, or the alert that says what is wrong.
            let pushed = self.push();
            processed.map_err(ReadError::Tls)?;
            pushed.map_err(ReadError::Io)?;
        }
    }

    /// Takes bytes while the socket takes what they are encrypted to: behind a blocked socket lies at most what rustls takes
    /// at once (64 KiB).
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push()?;
        if self.tls.wants_write() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let taken = self.tls.writer().write(bytes)?;
        self.push()?;
        Ok(taken)
    }

    fn push(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The end, once what came before it has been handed out: the next read says it again.
const fn end_after(filled: usize) -> Incoming {
    if filled == 0 { Incoming::End } else { Incoming::More(filled) }
}

#[cfg(test)]
#[path = "transport/tests.rs"]
mod tests;
