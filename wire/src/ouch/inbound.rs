//! What a client asks.

use super::{Appendage, DecodeError};
use crate::field::{Field, first_unprintable};

message! {
    /// Enter Order, `O`: 47 bytes and the appendage.
    EnterOrder: b'O', 47 {
        /// The client's number of the order, strictly increasing within the session (UserRefNum).
        user_ref: u32 = 1,
        /// `B` buy, `S` sell, `T` sell short, `E` sell short exempt.
        side: u8 = 5,
        /// Units to trade.
        quantity: u32 = 6,
        /// The instrument's name, padded with spaces.
        symbol: [u8; 8] = 10,
        /// The limit in ten-thousandths; a market order from [`codes::PRICE_MARKET_MIN`](super::codes::PRICE_MARKET_MIN) up.
        price: u64 = 18,
        /// How long it lives; see [`codes::time_in_force`](super::codes::time_in_force).
        time_in_force: u8 = 26,
        /// `Y` displayed, `N` hidden, `A` attributable.
        display: u8 = 27,
        /// `A` agency, `P` principal, `R` riskless, `O` other.
        capacity: u8 = 28,
        /// Whether it is an intermarket sweep: `Y` or `N`.
        intermarket_sweep: u8 = 29,
        /// The cross that it is for; `N` for continuous trading.
        cross: u8 = 30,
        /// The client's own text, padded with spaces (ClOrdID).
        client_order_id: [u8; 14] = 31,
    } + appendage
}

message! {
    /// Replace Order, `U`: 40 bytes and the appendage.
    ReplaceOrder: b'U', 40 {
        /// The client's number of the order to be replaced.
        original: u32 = 1,
        /// The client's number of the new order.
        user_ref: u32 = 5,
        /// The new whole size in units, counting what was executed on the order and on those that it replaced.
        quantity: u32 = 9,
        /// The new limit, as in [`EnterOrder`].
        price: u64 = 13,
        /// How long it lives, as in [`EnterOrder`].
        time_in_force: u8 = 21,
        /// How it is displayed, as in [`EnterOrder`].
        display: u8 = 22,
        /// Whether it is an intermarket sweep: `Y` or `N`.
        intermarket_sweep: u8 = 23,
        /// The client's own text, padded with spaces (ClOrdID).
        client_order_id: [u8; 14] = 24,
    } + appendage
}

message! {
    /// Cancel Order, `X`: 9 bytes.
    CancelOrder: b'X', 9 {
        /// The client's number of the order.
        user_ref: u32 = 1,
        /// The whole size intended from now on, counted as in [`ReplaceOrder::quantity`]; 0 cancels all that is left.
        quantity: u32 = 5,
    }
}

message! {
    /// Modify Order, `M`: 10 bytes.
    ModifyOrder: b'M', 10 {
        /// The client's number of the order.
        user_ref: u32 = 1,
        /// How the side shall be marked: a sell as `S`, `T` or `E`.
        side: u8 = 5,
        /// The whole size intended from now on, counted as in [`ReplaceOrder::quantity`]; it only goes down.
        quantity: u32 = 6,
    }
}

message! {
    /// Mass Cancel, `L`: 14 bytes. Fulcrum's own.
    MassCancel: b'L', 14 {
        /// The client's number of the request, from the same line as those of orders.
        user_ref: u32 = 1,
        /// The instrument, padded with spaces; all blank: every instrument.
        symbol: [u8; 8] = 5,
        /// Orders of which side, as in [`EnterOrder`]; blank: of both.
        side: u8 = 13,
    }
}

message! {
    /// Account Query, `Q`: 1 byte.
    AccountQuery: b'Q', 1 {}
}

/// A message from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound<'a> {
    /// Enter an order.
    EnterOrder(EnterOrder<'a>),
    /// Put a new order in an old one's place.
    ReplaceOrder(ReplaceOrder<'a>),
    /// Cancel some or all of an order.
    CancelOrder(CancelOrder),
    /// Make an order smaller or mark its side otherwise.
    ModifyOrder(ModifyOrder),
    /// Cancel many orders at once.
    MassCancel(MassCancel),
    /// Which number may the next order use?
    AccountQuery,
}

impl<'a> Inbound<'a> {
    /// Decodes a whole message; it borrows the appendage and allocates nothing.
    ///
    /// # Errors
    /// No bytes, a type that no client sends, another length, text that is not printable ASCII, or a faulty
    /// appendage.
    #[inline]
    pub fn decode(message: &'a [u8]) -> Result<Self, DecodeError> {
        match message.first() {
            Some(&EnterOrder::TYPE) => EnterOrder::decode(message).map(Self::EnterOrder),
            Some(&ReplaceOrder::TYPE) => ReplaceOrder::decode(message).map(Self::ReplaceOrder),
            Some(&CancelOrder::TYPE) => CancelOrder::decode(message).map(Self::CancelOrder),
            Some(&ModifyOrder::TYPE) => ModifyOrder::decode(message).map(Self::ModifyOrder),
            Some(&MassCancel::TYPE) => MassCancel::decode(message).map(Self::MassCancel),
            Some(&AccountQuery::TYPE) => AccountQuery::decode(message).map(|_| Self::AccountQuery),
            Some(&found) => Err(DecodeError::UnknownType { found }),
            None => Err(DecodeError::Empty),
        }
    }

    /// Appends the whole message.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::EnterOrder(m) => m.encode(out),
            Self::ReplaceOrder(m) => m.encode(out),
            Self::CancelOrder(m) => m.encode(out),
            Self::ModifyOrder(m) => m.encode(out),
            Self::MassCancel(m) => m.encode(out),
            Self::AccountQuery => AccountQuery {}.encode(out),
        }
    }
}
