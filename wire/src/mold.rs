//! MoldUDP64 1.00: numbered messages in datagrams.
//!
//! ```text
//!  0         10         18      20
//! ┌─────────┬──────────┬───────┬────────┬─────────┬────────┬─────
//! │ session │ sequence │ count │ length │ message │ length │ …     count × (length: u16, message)
//! └─────────┴──────────┴───────┴────────┴─────────┴────────┴─────
//! ```
//!
//! `sequence` is the number of the first message in the packet; messages of a session count from 1. A count of 0 is a
//! heartbeat, and 0xFFFF says that the session has ended; with both, `sequence` is the number of the next message, whether
//! it comes or not. A request for messages that were lost is the header alone, with how many are wanted; it is answered by
//! an ordinary packet to whoever asked.
//!
//! Source: Nasdaq, MoldUDP64 protocol specification, version 1.00.

use core::fmt;

/// A session's name: 10 printable characters.
pub type Session = [u8; 10];

/// Bytes before the first message; also a whole request.
pub const HEADER_LEN: usize = 20;

/// The count that says that a session has ended.
pub const END_OF_SESSION: u16 = u16::MAX;

/// What a packet begins with, and all that a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The session. At offset 0.
    pub session: Session,
    /// The number of the first message. At offset 10.
    pub sequence: u64,
    /// How many messages. At offset 18.
    pub count: u16,
}

impl Header {
    /// Reads it from the head of a datagram.
    ///
    /// # Errors
    /// Fewer bytes than it has.
    pub fn decode(data: &[u8]) -> Result<Self, PacketError> {
        let head = data.first_chunk::<HEADER_LEN>();
        let head = head.ok_or(PacketError::Truncated { expected: HEADER_LEN, found: data.len() })?;
        let (session, numbers) = head.split_first_chunk::<10>().expect("a constant length");
        let (sequence, count) = numbers.split_first_chunk::<8>().expect("a constant length");
        Ok(Self {
            session: *session,
            sequence: u64::from_be_bytes(*sequence),
            count: u16::from_be_bytes([count[0], count[1]]),
        })
    }

    /// Reads a request: a datagram of exactly a header.
    ///
    /// # Errors
    /// Another length.
    pub fn decode_request(data: &[u8]) -> Result<Self, PacketError> {
        if data.len() > HEADER_LEN {
            return Err(PacketError::Trailing { found: data.len() - HEADER_LEN });
        }
        Self::decode(data)
    }

    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.session);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
    }
}

/// A packet that has been read: its messages fill it exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Which messages they are.
    pub header: Header,
    blocks: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// When it has less or more than the messages that its header announces.
    pub fn decode(data: &'a [u8]) -> Result<Self, PacketError> {
        let header = Header::decode(data)?;
        let blocks = &data[HEADER_LEN..];
        let mut rest = blocks;
        let announced = if header.count == END_OF_SESSION { 0 } else { header.count };
        for _ in 0..announced {
            let found = rest.len();
            let (length, after) =
                rest.split_first_chunk::<2>().ok_or(PacketError::Truncated { expected: 2, found })?;
            let expected = usize::from(u16::from_be_bytes(*length));
            let found = after.len();
            rest = after.get(expected..).ok_or(PacketError::Truncated { expected, found })?;
        }
        if rest.is_empty() {
            Ok(Self { header, blocks })
        } else {
            Err(PacketError::Trailing { found: rest.len() })
        }
    }

    /// Whether it says that the session has ended.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        self.header.count == END_OF_SESSION
    }

    /// Its messages, in the order of their numbers.
    #[must_use]
    pub const fn messages(&self) -> Messages<'a> {
        Messages { rest: self.blocks }
    }
}

/// The messages of a packet.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<2>()?;
        let (message, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.rest = rest;
        Some(message)
    }
}

/// Packs messages into one packet of a bounded size.
#[derive(Debug)]
pub struct Packer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    bytes_max: usize,
    count: u16,
}

impl<'a> Packer<'a> {
    /// Begins a packet at the end of `out`, of at most `bytes_max` bytes; its first message will have this number.
    pub fn begin(out: &'a mut Vec<u8>, session: Session, sequence: u64, bytes_max: usize) -> Self {
        let start = out.len();
        Header { session, sequence, count: 0 }.encode(out);
        Self { out, start, bytes_max, count: 0 }
    }

    /// Adds a message, if it fits: the first one always does, as long as its length can be written.
    pub fn push(&mut self, message: &[u8]) -> bool {
        let size = self.out.len() - self.start + 2 + message.len();
        let Ok(length) = u16::try_from(message.len()) else { return false };
        if (size > self.bytes_max && self.count > 0) || self.count == END_OF_SESSION - 1 {
            return false;
        }
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(message);
        self.count += 1;
        true
    }

    /// Ends the packet. Returns how many messages are in it; with none it is a heartbeat.
    pub fn end(self) -> u16 {
        let at = self.start + 18;
        self.out[at..at + 2].copy_from_slice(&self.count.to_be_bytes());
        self.count
    }
}

/// Why a datagram is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// It ends too soon.
    Truncated {
        /// Bytes that should come.
        expected: usize,
        /// Bytes that are left.
        found: usize,
    },
    /// It goes on behind its last message.
    Trailing {
        /// Bytes that are left.
        found: usize,
    },
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { expected, found } => {
                write!(f, "a packet that ends too soon: {expected} bytes should come, {found} are left")
            }
            Self::Trailing { found } => write!(f, "{found} bytes behind the last message of a packet"),
        }
    }
}

impl core::error::Error for PacketError {}
