//! One end of a connection, whatever is spoken on it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use domain::SessionId;

/// A socket, what has come through it, and what is known of who uses it.
pub(super) struct Line {
    stream: TcpStream,
    /// What has come and has not been used.
    pub(super) inbox: Vec<u8>,
    /// Whose it said to be first.
    pub(super) session: Option<SessionId>,
    /// It has done something for which it is cut off, or another connection has, or may have.
    pub(super) may_go: bool,
    pub(super) is_cut_off: bool,
}

impl Line {
    pub(super) fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        stream.set_nonblocking(true).expect("no waiting");
        Self { stream, inbox: Vec::new(), session: None, may_go: false, is_cut_off: false }
    }

    /// Says so many of these bytes. What finds no room is not said: the gateway reads nothing more then.
    pub(super) fn say(&mut self, bytes: &[u8]) -> usize {
        self.stream.write(bytes).unwrap_or(0)
    }

    /// Says that nothing more comes, and reads on.
    pub(super) fn end(&mut self) {
        self.may_go = true;
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Takes what is there.
    pub(super) fn take(&mut self) {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(n) if n > 0 => self.inbox.extend_from_slice(&bytes[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => {
                    self.is_cut_off = true;
                    return;
                }
            }
        }
    }
}

/// Resets the connection, so that no port is kept waiting for what may come late.
impl Drop for Line {
    fn drop(&mut self) {
        let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
    }
}
