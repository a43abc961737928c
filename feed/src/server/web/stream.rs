//! A connection's bytes as `std::io` has them, which the WebSocket protocol wants.

use std::io::{self, ErrorKind, Read, Write};

use door::transport::{Incoming, ReadError, Transport};

/// See the module. Its end is said when it is dropped.
pub(super) struct Stream {
    transport: Transport,
    /// A read gave nothing, and yet there may be more without another event.
    pub(super) has_more: bool,
    /// Bytes that the socket has taken.
    pub(super) taken: u64,
}

impl Stream {
    pub(super) const fn new(transport: Transport) -> Self {
        Self { transport, has_more: false, taken: 0 }
    }

    pub(super) const fn transport(&self) -> &Transport {
        &self.transport
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let came = self.transport.read(into).map_err(|error| match error {
            ReadError::Io(error) => error,
            ReadError::Tls(error) => io::Error::new(ErrorKind::InvalidData, error),
        })?;
        self.has_more = came == Incoming::More(0);
        match came {
            Incoming::More(0) | Incoming::Drained(0) => Err(ErrorKind::WouldBlock.into()),
            Incoming::More(n) | Incoming::Drained(n) => Ok(n),
            Incoming::End => Ok(0),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.transport.write(bytes)?;
        self.taken += taken as u64;
        Ok(taken)
    }

    /// Blocked for as long as TLS has something that the socket does not take.
    fn flush(&mut self) -> io::Result<()> {
        self.transport.push()?;
        if self.transport.wants_write() { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.transport.say_end();
    }
}
