//! Why the exchange said no.

use core::fmt;

/// Why a command was refused. The numbers are those of the journal and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RejectReason {
    /// No such instrument.
    UnknownInstrument = 1,
    /// The price is out of range or not on the instrument's tick.
    InvalidPrice = 2,
    /// The quantity is zero, out of range or not a multiple of the lot.
    InvalidQuantity = 3,
    /// The side is none that the venue knows.
    InvalidSide = 4,
    /// The time in force is none that the venue offers.
    InvalidTimeInForce = 5,
    /// The display instruction is none that the venue offers.
    InvalidDisplay = 6,
    /// An option or instruction that the venue does not offer.
    Unsupported = 7,
    /// No live order of this session has that id.
    UnknownOrder = 8,
    /// The journal is short of room: cancels only until there is more.
    StorageFull = 9,
    /// Price times quantity leaves the range that the venue can account for.
    NotionalTooLarge = 10,
    /// The session has as many live orders as it may.
    TooManyOrders = 11,
    /// The order must not take what rests, and would.
    WouldTrade = 12,
    /// The order's instructions contradict each other, its type or its time in force.
    InvalidInstructions = 13,
    /// Too many trailing stops wait in this book.
    TooManyStops = 14,
    /// The order's date has passed.
    Expired = 15,
    /// Below the smallest notional.
    NotionalTooSmall = 16,
    /// The order waited for its book longer than it may, or could not wait for want of room; or its session took it
    /// back while it waited. No book has seen it.
    Busy = 17,
    /// The instrument lives on another pair of exchanges, or on none: the placement map says so.
    Elsewhere = 18,
    /// The session has used this ClOrdID for another order.
    DuplicateClientOrderId = 19,
    /// The order was there, and has been filled, canceled or replaced.
    TooLate = 20,
}

impl RejectReason {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 20] = [
        Self::UnknownInstrument,
        Self::InvalidPrice,
        Self::InvalidQuantity,
        Self::InvalidSide,
        Self::InvalidTimeInForce,
        Self::InvalidDisplay,
        Self::Unsupported,
        Self::UnknownOrder,
        Self::StorageFull,
        Self::NotionalTooLarge,
        Self::TooManyOrders,
        Self::WouldTrade,
        Self::InvalidInstructions,
        Self::TooManyStops,
        Self::Expired,
        Self::NotionalTooSmall,
        Self::Busy,
        Self::Elsewhere,
        Self::DuplicateClientOrderId,
        Self::TooLate,
    ];

    /// From the journal's number.
    #[must_use]
    pub fn from_u8(n: u8) -> Option<Self> {
        Self::ALL.get(usize::from(n).checked_sub(1)?).copied()
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownInstrument => "unknown instrument",
            Self::InvalidPrice => "invalid price",
            Self::InvalidQuantity => "invalid quantity",
            Self::InvalidSide => "invalid side",
            Self::InvalidTimeInForce => "invalid time in force",
            Self::InvalidDisplay => "invalid display",
            Self::Unsupported => "unsupported instruction",
            Self::UnknownOrder => "unknown order",
            Self::StorageFull => "journal short of room, cancels only",
            Self::NotionalTooLarge => "notional too large",
            Self::TooManyOrders => "too many live orders",
            Self::WouldTrade => "post-only order would trade",
            Self::InvalidInstructions => "instructions contradict each other",
            Self::TooManyStops => "too many trailing stops",
            Self::Expired => "expiry has passed",
            Self::NotionalTooSmall => "notional too small",
            Self::Busy => "the book is busy",
            Self::Elsewhere => "the instrument lives elsewhere",
            Self::DuplicateClientOrderId => "duplicate ClOrdID",
            Self::TooLate => "too late: the order lives no more",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_reasons_agree() {
        for (index, reason) in RejectReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index + 1);
            assert_eq!(RejectReason::from_u8(reason as u8), Some(reason));
        }
        assert_eq!(RejectReason::from_u8(0), None);
        assert_eq!(RejectReason::from_u8(RejectReason::ALL.len() as u8 + 1), None);
    }
}
