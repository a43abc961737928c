//! Packets by side: what a client may say, and what a server may say.

use core::fmt;

use super::{Frame, LoginAccepted, LoginRejected, LoginRequest, kind, whole};

/// A packet from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPacket<'a> {
    /// It wants in.
    LoginRequest(LoginRequest),
    /// A message.
    Unsequenced(&'a [u8]),
    /// It is there, and has nothing to say.
    Heartbeat,
    /// It goes; the server closes the connection at once.
    LogoutRequest,
    /// Free text.
    Debug(&'a [u8]),
}

impl<'a> ClientPacket<'a> {
    /// Decodes a frame that a client sent.
    ///
    /// # Errors
    /// A type that no client sends, or a payload that the type does not have.
    #[inline]
    pub fn decode(frame: &Frame<'a>) -> Result<Self, PacketError> {
        match frame.kind {
            kind::UNSEQUENCED => Ok(Self::Unsequenced(frame.payload)),
            kind::CLIENT_HEARTBEAT => empty("ClientHeartbeat", frame, Self::Heartbeat),
            kind::LOGIN_REQUEST => LoginRequest::decode(frame.payload).map(Self::LoginRequest),
            kind::LOGOUT_REQUEST => empty("LogoutRequest", frame, Self::LogoutRequest),
            kind::DEBUG => Ok(Self::Debug(frame.payload)),
            found => Err(PacketError::UnknownType { found }),
        }
    }

    /// Appends the whole packet. For a message that is not encoded yet, [`unsequenced`](super::unsequenced) saves
    /// the copy.
    ///
    /// # Panics
    /// When a message or a text is longer than [`PAYLOAD_MAX`](super::PAYLOAD_MAX).
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::LoginRequest(login) => login.encode(out),
            Self::Unsequenced(message) => {
                whole(kind::UNSEQUENCED, out, |out| out.extend_from_slice(message));
            }
            Self::Heartbeat => whole(kind::CLIENT_HEARTBEAT, out, |_| {}),
            Self::LogoutRequest => whole(kind::LOGOUT_REQUEST, out, |_| {}),
            Self::Debug(text) => whole(kind::DEBUG, out, |out| out.extend_from_slice(text)),
        }
    }
}

/// A packet from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerPacket<'a> {
    /// The client is in.
    LoginAccepted(LoginAccepted),
    /// The client is not in; the server closes the connection.
    LoginRejected(LoginRejected),
    /// A message whose number is one above the last one's.
    Sequenced(&'a [u8]),
    /// A message that has no number.
    Unsequenced(&'a [u8]),
    /// The server is there, and has nothing to say.
    Heartbeat,
    /// The session will have no more messages; the server closes the connection.
    EndOfSession,
    /// Free text.
    Debug(&'a [u8]),
}

impl<'a> ServerPacket<'a> {
    /// Decodes a frame that a server sent.
    ///
    /// # Errors
    /// A type that no server sends, or a payload that the type does not have.
    #[inline]
    pub fn decode(frame: &Frame<'a>) -> Result<Self, PacketError> {
        match frame.kind {
            kind::SEQUENCED => Ok(Self::Sequenced(frame.payload)),
            kind::UNSEQUENCED => Ok(Self::Unsequenced(frame.payload)),
            kind::SERVER_HEARTBEAT => empty("ServerHeartbeat", frame, Self::Heartbeat),
            kind::LOGIN_ACCEPTED => LoginAccepted::decode(frame.payload).map(Self::LoginAccepted),
            kind::LOGIN_REJECTED => LoginRejected::decode(frame.payload).map(Self::LoginRejected),
            kind::END_OF_SESSION => empty("EndOfSession", frame, Self::EndOfSession),
            kind::DEBUG => Ok(Self::Debug(frame.payload)),
            found => Err(PacketError::UnknownType { found }),
        }
    }

    /// Appends the whole packet. For a message that is not encoded yet, [`sequenced`](super::sequenced) saves the
    /// copy.
    ///
    /// # Panics
    /// When a message or a text is longer than [`PAYLOAD_MAX`](super::PAYLOAD_MAX).
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::LoginAccepted(accepted) => accepted.encode(out),
            Self::LoginRejected(reason) => reason.encode(out),
            Self::Sequenced(message) => whole(kind::SEQUENCED, out, |out| out.extend_from_slice(message)),
            Self::Unsequenced(message) => {
                whole(kind::UNSEQUENCED, out, |out| out.extend_from_slice(message));
            }
            Self::Heartbeat => whole(kind::SERVER_HEARTBEAT, out, |_| {}),
            Self::EndOfSession => whole(kind::END_OF_SESSION, out, |_| {}),
            Self::Debug(text) => whole(kind::DEBUG, out, |out| out.extend_from_slice(text)),
        }
    }
}

fn empty<T>(message: &'static str, frame: &Frame<'_>, packet: T) -> Result<T, PacketError> {
    match frame.payload.len() {
        0 => Ok(packet),
        found => Err(PacketError::Length { message, expected: 0, found }),
    }
}

/// Why a frame is no packet that its sender may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// A type that this side does not send.
    UnknownType {
        /// The type.
        found: u8,
    },
    /// A payload of another length than the type's.
    Length {
        /// The packet.
        message: &'static str,
        /// Bytes of payload that it has.
        expected: usize,
        /// Bytes of payload found.
        found: usize,
    },
    /// A password that is not printable ASCII. Its bytes are not said: errors reach logs.
    Password,
    /// Another field that does not hold what it should.
    Field {
        /// The packet.
        message: &'static str,
        /// The field.
        field: &'static str,
        /// The first byte that does not belong there.
        found: u8,
    },
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType { found } => write!(f, "no packet type of this side: {found:#04x}"),
            Self::Length { message, expected, found } => {
                write!(f, "{message} has {expected} bytes of payload; found {found}")
            }
            Self::Password => f.write_str("LoginRequest: password is not printable ASCII"),
            Self::Field { message, field, found } => {
                write!(f, "{message}: {field} cannot hold byte {found:#04x}")
            }
        }
    }
}

impl core::error::Error for PacketError {}
