//! Why a payload is no OUCH message.

use core::fmt;

/// Why a payload is no OUCH message. It names the message, the field and what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// No bytes, so no type.
    Empty,
    /// A type that this side does not send, or another than the one asked for.
    UnknownType {
        /// The type.
        found: u8,
    },
    /// Another length than the message's.
    Length {
        /// The message.
        message: &'static str,
        /// Bytes that it has, from its type to the end of the appendage that it announces.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A byte that is not printable ASCII where there should be text.
    Text {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
        /// The first such byte.
        found: u8,
    },
    /// An appendage that makes no sense.
    Appendage {
        /// Where in the appendage the faulty option begins, from 0.
        at: usize,
        /// What is wrong with it.
        fault: AppendageFault,
    },
}

/// What is wrong with one option of an appendage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendageFault {
    /// Its length is 0, so it has no tag.
    NoTag,
    /// It announces more bytes than there are.
    Truncated {
        /// Bytes announced, after the length.
        expected: usize,
        /// Bytes there.
        found: usize,
    },
    /// Its value has another length than the tag's.
    ValueLength {
        /// The tag.
        tag: u8,
        /// Bytes of value that it has.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A byte that is not printable ASCII where there should be text.
    Text {
        /// The tag.
        tag: u8,
        /// The first such byte.
        found: u8,
    },
    /// The tag has been there before: which of the two is meant?
    Duplicate {
        /// The tag.
        tag: u8,
    },
    /// The whole appendage is longer than its 2-byte length can count.
    TooLong {
        /// Bytes found.
        found: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty message"),
            Self::UnknownType { found } => write!(f, "no message type of this side: {found:#04x}"),
            Self::Length { message, expected, found } => {
                write!(f, "{message} has {expected} bytes; found {found}")
            }
            Self::Text { message, field, found } => {
                write!(f, "{message}: {field} cannot hold byte {found:#04x}")
            }
            Self::Appendage { at, fault } => write!(f, "appendage, byte {at}: {fault}"),
        }
    }
}

impl fmt::Display for AppendageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTag => f.write_str("an option of length 0 has no tag"),
            Self::Truncated { expected, found } => {
                write!(f, "an option of {expected} bytes; {found} are left")
            }
            Self::ValueLength { tag, expected, found } => {
                write!(f, "the value of tag {tag} has {expected} bytes; found {found}")
            }
            Self::Text { tag, found } => write!(f, "the value of tag {tag} cannot hold byte {found:#04x}"),
            Self::Duplicate { tag } => write!(f, "tag {tag} a second time"),
            Self::TooLong { found } => write!(f, "{found} bytes; at most 65535 can be announced"),
        }
    }
}

impl core::error::Error for DecodeError {}
