//! A socket that does not block, with or without TLS.
//!
//! Both are read and written alike: what cannot be done now is [`ErrorKind::WouldBlock`], and the poller tells when it can be.

use core::time::Duration;
use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::Instant,
};

use mio::net::TcpStream;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustls::{ClientConnection, pki_types::ServerName};

use crate::Tls;

/// Bytes of our own that rustls may hold.
const TLS_BUFFER: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Socket {
    /// Connects, without delay of small segments (TCP_NODELAY), and shakes hands if there is TLS. Waits at most about twice
    /// `timeout`.
    pub(crate) fn open(peer: SocketAddr, tls: Option<&Tls>, timeout: Duration) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect_timeout(&peer, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut socket = Self { stream: TcpStream::from_std(stream), tls: None };
        if let Some(tls) = tls {
            let name = tls.name.clone().unwrap_or(ServerName::IpAddress(peer.ip().into()));
            let mut connection = ClientConnection::new(tls.config.clone(), name).map_err(io::Error::other)?;
            connection.set_buffer_limit(Some(TLS_BUFFER));
            socket.tls = Some(Box::new(connection));
            socket.shake_hands(Instant::now() + timeout)?;
        }
        Ok(socket)
    }

    fn shake_hands(&mut self, deadline: Instant) -> io::Result<()> {
        while let Some(tls) = &mut self.tls
            && tls.is_handshaking()
        {
            let flags = match tls.complete_io(&mut self.stream) {
                Ok(_) => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if tls.wants_write() {
                        PollFlags::OUT
                    } else {
                        PollFlags::IN
                    }
                }
                Err(error) => return Err(error),
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(ErrorKind::TimedOut, "no answer to the TLS handshake"));
            }
            self.poll(flags, left)?;
        }
        // What belongs to the handshake is with the kernel before anything else is said.
        while !self.flush()? {
            self.poll(PollFlags::OUT, deadline.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    /// The socket, to be registered with a poller.
    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Reads as much as there is, at most as much as there is room for; how many bytes, and whether there may be more. 0 bytes:
    /// the other side has closed.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> io::Result<(usize, bool)> {
        let Some(tls) = &mut self.tls else {
            let bytes = self.stream.read(room)?;
            return Ok((bytes, bytes == room.len()));
        };
        let mut filled = 0;
        while filled < room.len() {
            match tls.reader().read(&mut room[filled..]) {
                Ok(0) => return Ok((filled, true)),
                Ok(bytes) => {
                    filled += bytes;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // It went away without saying so. What came before still counts.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok((filled, true)),
                Err(error) => return Err(error),
            }
            match tls.read_tls(&mut self.stream) {
                // The reader says, in the next round, how it ended.
                Ok(_) => _ = tls.process_new_packets().map_err(io::Error::other)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock && filled > 0 => {
                    return Ok((filled, false));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((filled, true))
    }

    /// Writes as much as is taken now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.write(bytes) };
        let taken = tls.writer().write(bytes)?;
        if !self.flush()? && taken == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(taken)
    }

    /// Whether all that was written is with the kernel. Without TLS it always is.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else { return Ok(true) };
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Whether something written is not with the kernel yet.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Whether the socket can be read, or has failed, within `timeout`.
    pub(crate) fn poll(&mut self, flags: PollFlags, timeout: Duration) -> io::Result<bool> {
        let timeout = Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let mut fds = [PollFd::new(&self.stream, flags)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(_) => Ok(fds[0].revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
