//! A stream of the link with the messages that go over it.

use cluster::frame::{self, GREETING_BYTES_MAX, Message};
use domain::Epoch;
use journal::Position;
use link::{Flush, Incoming, LinkError, Stream};

/// Bytes of a message that carries batches or a snapshot, beyond the agreed ring.
const SLACK: usize = 4_096;

/// See the module.
pub(super) struct Wire {
    pub(super) stream: Stream,
    inbox: Vec<u8>,
    used: usize,
    /// Bytes of batches or of a piece of a snapshot that a message may carry.
    bytes_max: usize,
    scratch: Vec<u8>,
    /// Why nothing more comes; to be acted upon when what has come has been dealt with.
    ended: Option<String>,
    /// There never was a connection: nobody listens there.
    nobody_listens: bool,
}

impl Wire {
    pub(super) fn new(stream: Stream, bytes_max: usize) -> Self {
        Self {
            stream,
            inbox: Vec::new(),
            used: 0,
            bytes_max,
            scratch: Vec::new(),
            ended: None,
            nobody_listens: false,
        }
    }

    /// Reads what has come. Says whether there may be more at once. A peer's last words often come with its end, so the
    /// end is told by [`ended`](Self::ended).
    ///
    /// # Errors
    /// When what comes is no message.
    pub(super) fn read(&mut self) -> Result<bool, String> {
        let inbox = &mut self.inbox;
        if self.ended.is_some() {
            return Ok(false);
        }
        if self.used > 0 {
            inbox.drain(..self.used);
            self.used = 0;
        }
        // What is not a message yet is bounded by the longest there may be.
        let max = self.bytes_max.max(GREETING_BYTES_MAX) + SLACK;
        if inbox.len() > max {
            return Err(format!("a message of more than {max} bytes"));
        }
        match self.stream.read(|bytes| inbox.extend_from_slice(bytes)) {
            Ok(Incoming::More) => Ok(true),
            Ok(Incoming::Drained) => Ok(false),
            Ok(Incoming::End) => {
                self.ended = Some("closed by the other side".into());
                Ok(false)
            }
            Err(error) => {
                self.nobody_listens |= is_refused(&error);
                self.ended.get_or_insert(error.to_string());
                Ok(false)
            }
        }
    }

    /// Whether nobody listens at the address.
    pub(super) fn nobody_listens(&self) -> bool {
        self.nobody_listens
    }

    /// Why nothing more comes, once what has come has been taken.
    pub(super) fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }

    /// The next message that is there in full, taken with [`taken`](Self::taken) once it has been dealt with.
    ///
    /// # Errors
    /// When what is there is no message.
    pub(super) fn peek(&self) -> Result<Option<(Message<'_>, usize)>, String> {
        frame::decode(&self.inbox[self.used..], self.bytes_max).map_err(|error| error.to_string())
    }

    /// So many bytes have been dealt with.
    pub(super) fn taken(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// Queues a message. What finds no room ends the link: the peer does not read.
    pub(super) fn send(&mut self, message: &Message<'_>) -> Result<(), String> {
        self.scratch.clear();
        message.encode(&mut self.scratch);
        self.stream.queue(&self.scratch).map_err(|error| error.to_string())
    }

    /// Queues whole batches.
    pub(super) fn send_batches(
        &mut self,
        at: Position,
        epoch: Epoch,
        pieces: &[&[u8]],
    ) -> Result<(), String> {
        self.scratch.clear();
        let length = pieces.iter().map(|piece| piece.len()).sum();
        frame::encode_batch_header(&mut self.scratch, at, epoch, length);
        pieces.iter().for_each(|piece| self.scratch.extend_from_slice(piece));
        self.stream.queue(&self.scratch).map_err(|error| error.to_string())
    }

    /// Sends what can go. Says whether there is more that could go at once.
    pub(super) fn flush(&mut self) -> Result<bool, String> {
        match self.stream.flush() {
            Ok(Flush::More) => Ok(true),
            Ok(Flush::Done | Flush::Blocked) => Ok(false),
            Err(error) => {
                self.nobody_listens |= is_refused(&error);
                Err(error.to_string())
            }
        }
    }
}

fn is_refused(error: &LinkError) -> bool {
    matches!(error, LinkError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused)
}
