//! Identifiers. Each is a newtype, so a session can never be passed where an account is meant.

use core::fmt;

/// Declares a newtype over an unsigned integer with the conversions every id needs.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The bare number.
            #[must_use]
            pub const fn value(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id! {
    /// An instrument's index in the instrument table, dense from 0. Below [`BookScopedId::INSTRUMENTS_MAX`].
    InstrumentId(u32)
}
id! {
    /// A shard: one worker thread and the books that it owns.
    ShardId(u16)
}
id! {
    /// A durable, numbered conversation with one user; it outlives connections and restarts.
    SessionId(u32)
}
id! {
    /// Who an order is for.
    AccountId(u32)
}
id! {
    /// A command's place in the one global input order; the first is 1.
    Sequence(u64)
}
id! {
    /// A primary's term: one primary sequences in an epoch, and whoever takes over takes a higher one. The first is 1.
    Epoch(u32)
}
id! {
    /// A session's own number for an order: OUCH's UserRefNum. Strictly increasing within a session, from 1.
    ClientRef(u32)
}

impl Epoch {
    /// Before any primary.
    pub const NONE: Self = Self(0);
}

impl Sequence {
    /// The sequence after this one.
    ///
    /// # Panics
    /// When 2^64 commands have been sequenced, which is a programmer's error.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("sequence space exhausted"))
    }
}

/// An id that a book hands out: `instrument:20 | number:44`, high bits first. `number` counts from 1 within the
/// instrument, so the id is a function of the book's own history and of nothing else, resolves without hashing,
/// and is never used again. 2^44 numbers last a book half a year at a million a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct BookScopedId(pub u64);

impl BookScopedId {
    /// Bits of the number within the instrument.
    pub const NUMBER_BITS: u32 = 44;
    /// No order and no trade: numbers count from 1.
    pub const NONE: Self = Self(0);
    /// Instruments that an id can name.
    pub const INSTRUMENTS_MAX: u32 = 1 << (64 - Self::NUMBER_BITS);

    /// Joins the two halves.
    ///
    /// # Panics
    /// When either half is out of its range: instruments are bounded where they are configured, and a number
    /// past 2^44 is a programmer's error.
    #[must_use]
    pub const fn new(instrument: InstrumentId, number: u64) -> Self {
        assert!(instrument.0 < Self::INSTRUMENTS_MAX, "instrument out of range");
        assert!(number >> Self::NUMBER_BITS == 0, "book-scoped number out of range");
        Self(((instrument.0 as u64) << Self::NUMBER_BITS) | number)
    }

    /// Joins two halves that are known to be in their ranges, as those of an id that exists are.
    #[inline]
    #[must_use]
    pub const fn of(instrument: InstrumentId, number: u64) -> Self {
        debug_assert!(instrument.0 < Self::INSTRUMENTS_MAX && number >> Self::NUMBER_BITS == 0);
        Self(((instrument.0 as u64) << Self::NUMBER_BITS) | number)
    }

    /// The instrument half.
    #[must_use]
    pub const fn instrument(self) -> InstrumentId {
        InstrumentId((self.0 >> Self::NUMBER_BITS) as u32)
    }

    /// The number within the instrument, from 1.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0 & ((1 << Self::NUMBER_BITS) - 1)
    }
}

/// The exchange's own id of an order, given when the command that creates it is sequenced: `number` counts the
/// Enter and Replace commands of the instrument. A cancel sent right behind its order can therefore name it
/// before the book has answered.
pub type OrderId = BookScopedId;

/// A trade's id (OUCH's MatchNumber), the same on both sides: `number` counts the instrument's trades.
pub type TradeId = BookScopedId;

impl fmt::Display for BookScopedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.instrument(), self.number())
    }
}

/// Whose order it is: the session that entered it and that session's own number for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The session that entered the order and gets its reports.
    pub session: SessionId,
    /// The session's number for the order.
    pub client_ref: ClientRef,
}

/// Declares a text of up to 20 printable ASCII bytes, padded with spaces.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub [u8; 20]);

        impl $name {
            /// All spaces: none was given.
            pub const BLANK: Self = Self([b' '; 20]);

            /// Takes up to 20 bytes and pads with spaces; `None` when the text is longer or not printable ASCII.
            #[must_use]
            pub fn new(text: &[u8]) -> Option<Self> {
                let mut bytes = [b' '; 20];
                bytes.get_mut(..text.len())?.copy_from_slice(text);
                text.iter().all(|b| (b' '..=b'~').contains(b)).then_some(Self(bytes))
            }

            /// The text without its padding.
            #[must_use]
            pub fn trimmed(&self) -> &[u8] {
                self.0.trim_ascii_end()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::BLANK
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&String::from_utf8_lossy(self.trimmed()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

text! {
    /// A client's own text for an order, printable ASCII, padded with spaces. OUCH uses the first 14 bytes.
    ClientOrderId
}
text! {
    /// Who may log in, printable ASCII, padded with spaces. SoupBinTCP uses the first 6 bytes.
    UserName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn book_scoped_ids_keep_both_halves() {
        let id = OrderId::new(InstrumentId(BookScopedId::INSTRUMENTS_MAX - 1), (1 << 44) - 1);
        assert_eq!(id.0, u64::MAX);
        assert_eq!(id.instrument(), InstrumentId(BookScopedId::INSTRUMENTS_MAX - 1));
        assert_eq!(id.number(), (1 << 44) - 1);
        assert_eq!(OrderId::new(InstrumentId(7), 9).to_string(), "7-9");
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn an_instrument_past_the_range_is_refused() {
        let _ = OrderId::new(InstrumentId(BookScopedId::INSTRUMENTS_MAX), 1);
    }

    #[test]
    fn client_order_ids_are_padded_and_checked() {
        assert_eq!(ClientOrderId::new(b"A1").map(|c| c.trimmed().to_vec()), Some(b"A1".to_vec()));
        assert_eq!(ClientOrderId::new(b""), Some(ClientOrderId::BLANK));
        assert_eq!(ClientOrderId::new(&[b'x'; 21]), None);
        assert_eq!(ClientOrderId::new(b"\x80"), None);
        assert_eq!(ClientOrderId::new(b"a\n"), None);
    }
}
