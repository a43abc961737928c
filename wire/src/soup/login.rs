//! Login: who asks, for which session, from which number; and the answer.

use core::fmt;

use super::{PacketError, kind, whole};
use crate::field::{Field, all_printable, first_unprintable, is_printable};

/// A user's name: up to 6 printable characters, padded with spaces on the right. Case does not matter: names that
/// differ only in case are equal.
#[derive(Clone, Copy)]
pub struct Username([u8; 6]);

impl Username {
    /// From its text; `None` when it is longer than 6 bytes or not printable ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        padded_right(text).map(Self)
    }

    /// The name in capitals, with its padding: the same for all spellings.
    #[must_use]
    pub fn canonical(&self) -> [u8; 6] {
        self.0.to_ascii_uppercase_array()
    }

    /// The name as it was spelled, without its padding.
    #[must_use]
    pub fn as_str(&self) -> &str {
        text(self.0.trim_ascii_end())
    }
}

impl PartialEq for Username {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for Username {}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Username({self})")
    }
}

/// A password: up to 10 printable characters, padded with spaces on the right. Case does not matter. It is never
/// printed, and comparing takes the same time wherever two passwords differ.
#[derive(Clone, Copy)]
pub struct Password([u8; 10]);

impl Password {
    /// From its text; `None` when it is longer than 10 bytes or not printable ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        padded_right(text).map(Self)
    }

    fn decode(bytes: [u8; 10]) -> Result<Self, PacketError> {
        if all_printable::<10>(&bytes) { Ok(Self(bytes)) } else { Err(PacketError::Password) }
    }

    /// The password in capitals, with its padding: the same for all spellings. For a check against a stored hash;
    /// keep it out of logs.
    #[must_use]
    pub fn canonical(&self) -> [u8; 10] {
        self.0.to_ascii_uppercase_array()
    }
}

impl PartialEq for Password {
    /// Looks at every byte whatever the first ones say.
    fn eq(&self, other: &Self) -> bool {
        let differences = self.canonical().iter().zip(other.canonical()).fold(0, |sum, (a, b)| sum | (a ^ b));
        core::hint::black_box(differences) == 0
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A session's name: up to 10 printable characters, padded with spaces on the left. Blank in a request asks for the
/// current session. Names that were padded on the other side are moved over when they are decoded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionName([u8; 10]);

impl SessionName {
    /// The current session, whichever that is.
    pub const BLANK: Self = Self([b' '; 10]);

    /// From its text; `None` when it is longer than 10 bytes or not printable ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.as_bytes().trim_ascii();
        let at = 10usize.checked_sub(text.len())?;
        let mut bytes = [b' '; 10];
        bytes[at..].copy_from_slice(text);
        text.iter().all(|&b| is_printable(b)).then_some(Self(bytes))
    }

    /// Whether it asks for the current session.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        *self == Self::BLANK
    }

    /// The name without its padding.
    #[must_use]
    pub fn as_str(&self) -> &str {
        text(self.0.trim_ascii_start())
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionName({self})")
    }
}

/// Login request, `L`. Payload of 46 bytes: username 0/6, password 6/10, session 16/10, sequence 26/20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginRequest {
    /// Who asks.
    pub username: Username,
    /// The proof.
    pub password: Password,
    /// The session asked for.
    pub session: SessionName,
    /// The number of the first sequenced message wanted: 1 is the session's first, 0 means only those that have
    /// not been sent yet.
    pub sequence: u64,
}

impl LoginRequest {
    /// Bytes of payload.
    pub const LEN: usize = 46;

    /// Decodes a payload.
    ///
    /// # Errors
    /// Another length, text that is not printable ASCII, or a sequence that is not a number below 2^64.
    pub fn decode(payload: &[u8]) -> Result<Self, PacketError> {
        let message = "LoginRequest";
        let bytes: &[u8; Self::LEN] = exact(message, payload)?;
        Ok(Self {
            username: Username(printable(message, "username", Field::read(&bytes[..6]))?),
            password: Password::decode(Field::read(&bytes[6..16]))?,
            session: session(message, Field::read(&bytes[16..26]))?,
            sequence: number(message, Field::read(&bytes[26..]))?,
        })
    }

    /// Appends the whole packet, header included: 49 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        whole(kind::LOGIN_REQUEST, out, |out| {
            out.extend_from_slice(&self.username.0);
            out.extend_from_slice(&self.password.0);
            out.extend_from_slice(&self.session.0);
            out.extend_from_slice(&digits(self.sequence));
        });
    }
}

/// Login accepted, `A`. Payload of 30 bytes: session 0/10, sequence 10/20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginAccepted {
    /// The session that the client is in.
    pub session: SessionName,
    /// The number of the next sequenced message that the server sends.
    pub sequence: u64,
}

impl LoginAccepted {
    /// Bytes of payload.
    pub const LEN: usize = 30;

    /// Decodes a payload.
    ///
    /// # Errors
    /// Another length, text that is not printable ASCII, or a sequence that is not a number below 2^64.
    pub fn decode(payload: &[u8]) -> Result<Self, PacketError> {
        let message = "LoginAccepted";
        let bytes: &[u8; Self::LEN] = exact(message, payload)?;
        Ok(Self {
            session: session(message, Field::read(&bytes[..10]))?,
            sequence: number(message, Field::read(&bytes[10..]))?,
        })
    }

    /// Appends the whole packet, header included: 33 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        whole(kind::LOGIN_ACCEPTED, out, |out| {
            out.extend_from_slice(&self.session.0);
            out.extend_from_slice(&digits(self.sequence));
        });
    }
}

/// Login rejected, `J`. Payload of 1 byte, the reason. The server closes the connection after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LoginRejected {
    /// No such user, or another password.
    NotAuthorized = b'A',
    /// The session asked for is none that the server has.
    SessionNotAvailable = b'S',
}

impl LoginRejected {
    /// Bytes of payload.
    pub const LEN: usize = 1;

    /// Decodes a payload.
    ///
    /// # Errors
    /// Another length, or a reason that is none.
    pub fn decode(payload: &[u8]) -> Result<Self, PacketError> {
        let message = "LoginRejected";
        match exact::<1>(message, payload)? {
            b"A" => Ok(Self::NotAuthorized),
            b"S" => Ok(Self::SessionNotAvailable),
            &[found] => Err(PacketError::Field { message, field: "reason", found }),
        }
    }

    /// Appends the whole packet, header included: 4 bytes.
    pub fn encode(self, out: &mut Vec<u8>) {
        whole(kind::LOGIN_REJECTED, out, |out| out.push(self as u8));
    }
}

/// Capitals of fixed width.
trait Uppercase {
    fn to_ascii_uppercase_array(self) -> Self;
}

impl<const N: usize> Uppercase for [u8; N] {
    fn to_ascii_uppercase_array(mut self) -> Self {
        self.make_ascii_uppercase();
        self
    }
}

fn padded_right<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [b' '; N];
    bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    all_printable::<N>(&bytes).then_some(bytes)
}

/// Bytes already known to be ASCII, as text.
fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

fn exact<'a, const N: usize>(message: &'static str, payload: &'a [u8]) -> Result<&'a [u8; N], PacketError> {
    let found = payload.len();
    payload.try_into().map_err(|_| PacketError::Length { message, expected: N, found })
}

fn printable<const N: usize>(
    message: &'static str,
    field: &'static str,
    bytes: [u8; N],
) -> Result<[u8; N], PacketError> {
    match first_unprintable(&bytes) {
        None => Ok(bytes),
        Some(found) => Err(PacketError::Field { message, field, found }),
    }
}

fn session(message: &'static str, bytes: [u8; 10]) -> Result<SessionName, PacketError> {
    let bytes = printable(message, "session", bytes)?;
    // Both sides trimmed, so that it fits and is printable: never blank instead.
    Ok(SessionName::new(text(&bytes)).unwrap_or(SessionName::BLANK))
}

/// A decimal number with spaces around it. A byte that is no digit is named; a number of 2^64 or more is said as
/// its first digit would be.
fn number(message: &'static str, bytes: [u8; 20]) -> Result<u64, PacketError> {
    let field = "sequence";
    let digits = bytes.trim_ascii();
    if let Some(&found) = digits.iter().find(|b| !b.is_ascii_digit()) {
        return Err(PacketError::Field { message, field, found });
    }
    let Some(&found) = digits.first() else {
        return Err(PacketError::Field { message, field, found: b' ' });
    };
    text(digits).parse().map_err(|_| PacketError::Field { message, field, found })
}

/// A number in 20 bytes, padded with spaces on the left. 2^64 has 20 digits.
fn digits(mut number: u64) -> [u8; 20] {
    let mut bytes = [b' '; 20];
    let mut at = bytes.len();
    loop {
        at -= 1;
        bytes[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return bytes;
        }
    }
}
