//! SoupBinTCP 4.00: framing, login and heartbeats over one TCP connection.
//!
//! A packet is its length, its type and its payload; the length counts what follows it:
//!
//! ```text
//!  0        2      3
//! ┌────────┬──────┬─────────────────────┐
//! │ length │ type │ payload             │   length: u16 = 1 + bytes of payload
//! └────────┴──────┴─────────────────────┘
//! ```
//!
//! | type | name | from | payload |
//! |---|---|---|---|
//! | `L` | login request | client | 46 bytes, [`LoginRequest`] |
//! | `A` | login accepted | server | 30 bytes, [`LoginAccepted`] |
//! | `J` | login rejected | server | 1 byte, [`LoginRejected`] |
//! | `S` | sequenced data | server | a message; its number is its place, counted from 1, never written |
//! | `U` | unsequenced data | both | a message that is not counted |
//! | `H` | server heartbeat | server | none |
//! | `R` | client heartbeat | client | none |
//! | `Z` | end of session | server | none |
//! | `O` | logout request | client | none |
//! | `+` | debug | both | text that nobody acts on |
//!
//! Source: Nasdaq, SoupBinTCP specification, version 4.00. Version 3.00 is the same without the server's `U`.

mod login;
mod packet;

use core::fmt;

pub use login::{LoginAccepted, LoginRejected, LoginRequest, Password, SessionName, Username};
pub use packet::{ClientPacket, PacketError, ServerPacket};

/// The packet types, as they stand on the wire.
pub mod kind {
    /// `+`, either side: free text.
    pub const DEBUG: u8 = b'+';
    /// `A`, from the server.
    pub const LOGIN_ACCEPTED: u8 = b'A';
    /// `J`, from the server.
    pub const LOGIN_REJECTED: u8 = b'J';
    /// `S`, from the server.
    pub const SEQUENCED: u8 = b'S';
    /// `U`, either side.
    pub const UNSEQUENCED: u8 = b'U';
    /// `H`, from the server.
    pub const SERVER_HEARTBEAT: u8 = b'H';
    /// `Z`, from the server.
    pub const END_OF_SESSION: u8 = b'Z';
    /// `L`, from the client.
    pub const LOGIN_REQUEST: u8 = b'L';
    /// `R`, from the client.
    pub const CLIENT_HEARTBEAT: u8 = b'R';
    /// `O`, from the client.
    pub const LOGOUT_REQUEST: u8 = b'O';
}

/// Bytes before the payload: the length and the type.
pub const HEADER_LEN: usize = 3;

/// The longest payload that the length can count.
pub const PAYLOAD_MAX: usize = u16::MAX as usize - 1;

/// One whole packet, borrowed from the bytes it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The packet's type, known or not; see [`kind`].
    pub kind: u8,
    /// What follows the type.
    pub payload: &'a [u8],
    /// Bytes of the buffer that the packet took: the next one begins there. `HEADER_LEN + payload.len()`.
    pub consumed: usize,
}

/// Why bytes can never become a packet. The stream has no way to recover: close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The length is 0, so that there is no type.
    Empty,
    /// The payload is longer than the reader takes.
    TooLong {
        /// Bytes of payload announced.
        payload: usize,
        /// Bytes of payload allowed.
        payload_max: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a packet of length 0 has no type"),
            Self::TooLong { payload, payload_max } => {
                write!(f, "a payload of {payload} bytes; at most {payload_max} are taken")
            }
        }
    }
}

impl core::error::Error for FrameError {}

/// Finds the packet at the head of `buf`; `None` when it is not all there yet. Copies and allocates nothing. A
/// buffer of `HEADER_LEN + payload_max` bytes always holds either a whole packet or an error.
///
/// # Errors
/// As soon as the length can be read: it is 0, or announces more than `payload_max` bytes of payload.
#[inline]
pub fn frame(buf: &[u8], payload_max: usize) -> Result<Option<Frame<'_>>, FrameError> {
    let Some((length, rest)) = buf.split_first_chunk::<2>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    let Some(payload_len) = length.checked_sub(1) else { return Err(FrameError::Empty) };
    if payload_len > payload_max {
        return Err(FrameError::TooLong { payload: payload_len, payload_max });
    }
    let Some((&kind, payload)) = rest.get(..length).and_then(<[u8]>::split_first) else { return Ok(None) };
    Ok(Some(Frame { kind, payload, consumed: HEADER_LEN + payload_len }))
}

/// Appends one packet whose payload `write` appends in place: the length is patched in afterwards, so a message is
/// encoded once, where it is sent from. When `write` fails, `out` is left as it was.
///
/// # Errors
/// Those of `write`.
///
/// # Panics
/// When `write` appends more than [`PAYLOAD_MAX`] bytes or takes bytes away: programmer's errors.
#[inline]
pub fn packet<E>(
    kind: u8,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    out.extend_from_slice(&[0, 0, kind]);
    if let Err(error) = write(out) {
        out.truncate(start);
        return Err(error);
    }
    let length = out.len().checked_sub(start + 2).and_then(|n| u16::try_from(n).ok()).filter(|&n| n > 0);
    let length = length.expect("a payload of 0 to 65,534 bytes");
    out[start..start + 2].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Appends one sequenced data packet (`S`) around the message that `write` appends; see [`packet`].
///
/// # Errors
/// Those of `write`.
#[inline]
pub fn sequenced<E>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    packet(kind::SEQUENCED, out, write)
}

/// Appends one unsequenced data packet (`U`) around the message that `write` appends; see [`packet`].
#[inline]
pub fn unsequenced(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    whole(kind::UNSEQUENCED, out, write);
}

/// [`packet`] for a `write` that cannot fail.
#[inline]
fn whole(kind: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let Ok(()) = packet(kind, out, |out| {
        write(out);
        Ok::<(), core::convert::Infallible>(())
    });
}
