//! What a venue answers. Every message carries the time, in nanoseconds since midnight UTC.

use super::{Appendage, DecodeError};
use crate::field::{Field, first_unprintable};

message! {
    /// System Event, `S`: 10 bytes.
    SystemEvent: b'S', 10 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// `S` start of day, `E` end of day.
        event: u8 = 9,
    }
}

message! {
    /// Order Accepted, `A`: 64 bytes and the appendage. It repeats what the venue took, which may differ from what
    /// the client asked.
    Accepted: b'A', 64 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The client's number of the order.
        user_ref: u32 = 9,
        /// `B`, `S`, `T` or `E`.
        side: u8 = 13,
        /// Units accepted.
        quantity: u32 = 14,
        /// The instrument's name, padded with spaces.
        symbol: [u8; 8] = 18,
        /// The limit in ten-thousandths, or [`codes::PRICE_MARKET`](super::codes::PRICE_MARKET).
        price: u64 = 26,
        /// How long it lives.
        time_in_force: u8 = 34,
        /// How it is displayed.
        display: u8 = 35,
        /// The venue's number of the order.
        order_reference: u64 = 36,
        /// In which capacity it was entered.
        capacity: u8 = 44,
        /// Whether it is an intermarket sweep.
        intermarket_sweep: u8 = 45,
        /// The cross that it is for.
        cross: u8 = 46,
        /// `L` live, `D` dead: nothing more will come.
        state: u8 = 47,
        /// The client's own text, padded with spaces.
        client_order_id: [u8; 14] = 48,
    } + appendage
}

message! {
    /// Order Replaced, `U`: 68 bytes and the appendage.
    Replaced: b'U', 68 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The client's number of the order that is gone.
        original: u32 = 9,
        /// The client's number of the new order.
        user_ref: u32 = 13,
        /// `B`, `S`, `T` or `E`.
        side: u8 = 17,
        /// Units open now.
        quantity: u32 = 18,
        /// The instrument's name, padded with spaces.
        symbol: [u8; 8] = 22,
        /// As in [`Accepted`].
        price: u64 = 30,
        /// How long it lives.
        time_in_force: u8 = 38,
        /// How it is displayed.
        display: u8 = 39,
        /// The venue's number of the new order.
        order_reference: u64 = 40,
        /// In which capacity it was entered.
        capacity: u8 = 48,
        /// Whether it is an intermarket sweep.
        intermarket_sweep: u8 = 49,
        /// The cross that it is for.
        cross: u8 = 50,
        /// `L` live, `D` dead: nothing more will come.
        state: u8 = 51,
        /// The client's own text, padded with spaces.
        client_order_id: [u8; 14] = 52,
    } + appendage
}

message! {
    /// Order Canceled, `C`: 18 bytes.
    Canceled: b'C', 18 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The client's number of the order.
        user_ref: u32 = 9,
        /// Units that are gone now.
        quantity: u32 = 13,
        /// Why; see [`codes`](super::codes).
        reason: u8 = 17,
    }
}

message! {
    /// Canceled by self-match prevention (AIQ), `D`: 32 bytes.
    AiqCanceled: b'D', 32 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The client's number of the order.
        user_ref: u32 = 9,
        /// Units that are gone now.
        quantity: u32 = 13,
        /// `Q`.
        reason: u8 = 17,
        /// Units that did not trade.
        prevented: u32 = 18,
        /// At which price they would have.
        price: u64 = 22,
        /// `A` added, `R` removed.
        liquidity: u8 = 30,
        /// Which strategy prevented it.
        strategy: u8 = 31,
    }
}

message! {
    /// Order Executed, `E`: 36 bytes and the appendage.
    Executed: b'E', 36 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The client's number of the order.
        user_ref: u32 = 9,
        /// Units traded now.
        quantity: u32 = 13,
        /// At which price, in ten-thousandths.
        price: u64 = 17,
        /// `A` added, `R` removed.
        liquidity: u8 = 25,
        /// The trade, the same for both sides.
        match_number: u64 = 26,
    } + appendage
}

message! {
    /// Broken Trade, `B`: 36 bytes. Fulcrum does not send it.
    BrokenTrade: b'B', 36 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The client's number of the order.
        user_ref: u32 = 9,
        /// The trade that did not happen.
        match_number: u64 = 13,
        /// `E`, `C`, `S` or `X`.
        reason: u8 = 21,
        /// The client's own text, padded with spaces.
        client_order_id: [u8; 14] = 22,
    }
}

message! {
    /// Rejected, `J`: 29 bytes.
    Rejected: b'J', 29 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The number that the request used up.
        user_ref: u32 = 9,
        /// Why; see [`codes`](super::codes).
        reason: u16 = 13,
        /// The client's own text, padded with spaces.
        client_order_id: [u8; 14] = 15,
    }
}

message! {
    /// Cancel Pending, `P`: 13 bytes. Fulcrum does not send it.
    CancelPending: b'P', 13 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The client's number of the order.
        user_ref: u32 = 9,
    }
}

message! {
    /// Cancel Reject, `I`: 13 bytes. Only a router sends it.
    CancelReject: b'I', 13 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The client's number of the order.
        user_ref: u32 = 9,
    }
}

message! {
    /// Priority Update, `T`: 30 bytes. Fulcrum does not send it.
    PriorityUpdate: b'T', 30 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The client's number of the order.
        user_ref: u32 = 9,
        /// The price at which it stands now.
        price: u64 = 13,
        /// How it is displayed now.
        display: u8 = 21,
        /// The venue's number of the order.
        order_reference: u64 = 22,
    }
}

message! {
    /// Order Modified, `M`: 18 bytes.
    Modified: b'M', 18 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The client's number of the order.
        user_ref: u32 = 9,
        /// How the side is marked now.
        side: u8 = 13,
        /// Units open now.
        quantity: u32 = 14,
    }
}

message! {
    /// Order Restated, `R`: 16 bytes and the appendage.
    Restated: b'R', 16 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The client's number of the order.
        user_ref: u32 = 9,
        /// `R` the displayed quantity was refreshed, `P` the displayed price changed, `T` a stop order was triggered
        /// (Fulcrum's own).
        reason: u8 = 13,
    } + appendage
}

message! {
    /// Mass Canceled, `L`: 25 bytes. Fulcrum's own.
    MassCanceled: b'L', 25 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The client's number of the request.
        user_ref: u32 = 9,
        /// The instrument, padded with spaces.
        symbol: [u8; 8] = 13,
        /// Orders that it canceled there.
        canceled: u32 = 21,
    }
}

message! {
    /// Account Query Response, `Q`: 13 bytes.
    AccountQueryResponse: b'Q', 13 {
        /// Nanoseconds since midnight UTC.
        timestamp: u64 = 1,
        /// The lowest number that a new order may use.
        next_user_ref: u32 = 9,
    }
}

/// Declares the enum of all messages, and its two directions.
macro_rules! outbound {
    ($( $name:ident $(<$life:lifetime>)?, $doc:literal; )*) => {
        /// A message from a venue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Outbound<'a> {
            $( #[doc = $doc] $name($name $(<$life>)?), )*
        }

        impl<'a> Outbound<'a> {
            /// Decodes a whole message; it borrows the appendage and allocates nothing.
            ///
            /// # Errors
            /// No bytes, a type that no venue sends, another length, text that is not printable ASCII, or a faulty
            /// appendage.
            #[inline]
            pub fn decode(message: &'a [u8]) -> Result<Self, DecodeError> {
                match message.first() {
                    $( Some(&$name::TYPE) => $name::decode(message).map(Self::$name), )*
                    Some(&found) => Err(DecodeError::UnknownType { found }),
                    None => Err(DecodeError::Empty),
                }
            }

            /// Appends the whole message.
            #[inline]
            pub fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $( Self::$name(message) => message.encode(out), )*
                }
            }
        }
    };
}

outbound! {
    SystemEvent, "The session's day began or ended.";
    Accepted<'a>, "An order is in.";
    Replaced<'a>, "A new order stands in an old one's place.";
    Canceled, "Some or all of an order is gone.";
    AiqCanceled, "Some or all of an order is gone, so that it did not trade with its owner.";
    Executed<'a>, "Some or all of an order traded.";
    BrokenTrade, "A trade did not happen after all.";
    Rejected, "A request was refused.";
    CancelPending, "A cancel waits.";
    CancelReject, "A cancel was refused.";
    PriorityUpdate, "An order lost its place.";
    Modified, "An order is smaller, or its side is marked otherwise.";
    Restated<'a>, "An order was changed by the venue.";
    MassCanceled, "A request to cancel many orders has been done for one instrument.";
    AccountQueryResponse, "The answer to a question about the session.";
}
