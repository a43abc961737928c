//! The messages, and one of any kind.

use super::{DecodeError, Timestamp};
use crate::field::{Field, first_unprintable};

message! {
    /// System Event, `S`: 12 bytes.
    SystemEvent: b'S', 12 {
        /// The instrument's index, as the directory says; 0 for none.
        locate: u16 = 1,
        /// The sender's own.
        tracking: u16 = 3,
        /// When it happened.
        timestamp: Timestamp = 5,
        /// `O` start of messages, `S` and `E` system hours, `Q` and `M` market hours, `C` end of messages.
        event: u8 = 11,
    }
}

message! {
    /// Stock Directory, `R`: 39 bytes.
    StockDirectory: b'R', 39 {
        /// The instrument's index, as the directory says; 0 for none.
        locate: u16 = 1,
        /// The sender's own.
        tracking: u16 = 3,
        /// When it happened.
        timestamp: Timestamp = 5,
        /// The instrument's name, padded with spaces.
        stock: [u8; 8] = 11,
        /// Where it is listed.
        market: u8 = 19,
        /// Its financial status.
        financial_status: u8 = 20,
        /// Units in a round lot.
        round_lot: u32 = 21,
        /// `Y` when only round lots trade.
        round_lots_only: u8 = 25,
        /// What kind of issue it is.
        classification: u8 = 26,
        /// Which sub-type of it.
        sub_type: [u8; 2] = 27,
        /// `P` production, `T` test.
        authenticity: u8 = 29,
        /// Whether it is on the short sale threshold list.
        short_sale_threshold: u8 = 30,
        /// Whether it is set up for release.
        ipo: u8 = 31,
        /// Tier of its price bands.
        price_tier: u8 = 32,
        /// Whether it is an exchange-traded product.
        etp: u8 = 33,
        /// That product's leverage.
        etp_leverage: u32 = 34,
        /// Whether that product is inverse.
        inverse: u8 = 38,
    }
}

message! {
    /// Stock Trading Action, `H`: 25 bytes.
    TradingAction: b'H', 25 {
        /// The instrument's index, as the directory says; 0 for none.
        locate: u16 = 1,
        /// The sender's own.
        tracking: u16 = 3,
        /// When it happened.
        timestamp: Timestamp = 5,
        /// The instrument's name, padded with spaces.
        stock: [u8; 8] = 11,
        /// `T` trading, `H` halted, `P` paused, `Q` quotation only.
        state: u8 = 19,
        /// A space.
        reserved: u8 = 20,
        /// Why, padded with spaces.
        reason: [u8; 4] = 21,
    }
}

message! {
    /// Reg SHO Restriction, `Y`: 20 bytes. Fulcrum does not send it.
    ShortSaleRestriction: b'Y', 20 {
        /// The instrument's index, as the directory says; 0 for none.
        locate: u16 = 1,
        /// The sender's own.
        tracking: u16 = 3,
        /// When it happened.
        timestamp: Timestamp = 5,
        /// The instrument's name, padded with spaces.
        stock: [u8; 8] = 11,
        /// `0` none, `1` restricted, `2` still restricted.
        action: u8 = 19,
    }
}

message! {
    /// Add Order, `A`: 36 bytes.
    AddOrder: b'A', 36 {
        /// The instrument's index, as the directory says; 0 for none.
        locate: u16 = 1,
        /// The sender's own.
        tracking: u16 = 3,
        /// When it happened.
        timestamp: Timestamp = 5,
        /// The venue's number of the order.
        order: u64 = 11,
        /// `B` or `S`.
        side: u8 = 19,
        /// Units shown.
        shares: u32 = 20,
        /// The instrument's name, padded with spaces.
        stock: [u8; 8] = 24,
        /// The price in ten-thousandths.
        price: u32 = 32,
    }
}

message! {
    /// Add Order with attribution, `F`: 40 bytes. Fulcrum does not send it.
    AddOrderAttributed: b'F', 40 {
        /// The instrument's index, as the directory says; 0 for none.
        locate: u16 = 1,
        /// The sender's own.
        tracking: u16 = 3,
        /// When it happened.
        timestamp: Timestamp = 5,
        /// The venue's number of the order.
        order: u64 = 11,
        /// `B` or `S`.
        side: u8 = 19,
        /// Units shown.
        shares: u32 = 20,
        /// The instrument's name, padded with spaces.
        stock: [u8; 8] = 24,
        /// The price in ten-thousandths.
        price: u32 = 32,
        /// Whose it is.
        attribution: [u8; 4] = 36,
    }
}

message! {
    /// Order Executed, `E`: 31 bytes. It traded at its own price.
    OrderExecuted: b'E', 31 {
        /// The instrument's index, as the directory says; 0 for none.
        locate: u16 = 1,
        /// The sender's own.
        tracking: u16 = 3,
        /// When it happened.
        timestamp: Timestamp = 5,
        /// The venue's number of the order.
        order: u64 = 11,
        /// Units traded now.
        shares: u32 = 19,
        /// The trade.
        match_number: u64 = 23,
    }
}

message! {
    /// Order Executed With Price, `C`: 36 bytes.
    OrderExecutedWithPrice: b'C', 36 {
        /// The instrument's index, as the directory says; 0 for none.
        locate: u16 = 1,
        /// The sender's own.
        tracking: u16 = 3,
        /// When it happened.
        timestamp: Timestamp = 5,
        /// The venue's number of the order.
        order: u64 = 11,
        /// Units traded now.
        shares: u32 = 19,
        /// The trade.
        match_number: u64 = 23,
        /// `Y`, or `N` when it must not count towards volume.
        printable: u8 = 31,
        /// The trade's price in ten-thousandths.
        price: u32 = 32,
    }
}

message! {
    /// Order Cancel, `X`: 23 bytes. The order keeps its place and something is left of it.
    OrderCancel: b'X', 23 {
        /// The instrument's index, as the directory says; 0 for none.
        locate: u16 = 1,
        /// The sender's own.
        tracking: u16 = 3,
        /// When it happened.
        timestamp: Timestamp = 5,
        /// The venue's number of the order.
        order: u64 = 11,
        /// Units that are gone now.
        shares: u32 = 19,
    }
}

message! {
    /// Order Delete, `D`: 19 bytes.
    OrderDelete: b'D', 19 {
        /// The instrument's index, as the directory says; 0 for none.
        locate: u16 = 1,
        /// The sender's own.
        tracking: u16 = 3,
        /// When it happened.
        timestamp: Timestamp = 5,
        /// The venue's number of the order.
        order: u64 = 11,
    }
}

message! {
    /// Order Replace, `U`: 35 bytes. Side and instrument stay.
    OrderReplace: b'U', 35 {
        /// The instrument's index, as the directory says; 0 for none.
        locate: u16 = 1,
        /// The sender's own.
        tracking: u16 = 3,
        /// When it happened.
        timestamp: Timestamp = 5,
        /// The number of the order that is gone.
        original: u64 = 11,
        /// The number of the new one.
        order: u64 = 19,
        /// Units shown.
        shares: u32 = 27,
        /// The price in ten-thousandths.
        price: u32 = 31,
    }
}

message! {
    /// Trade, `P`: 44 bytes. The order that rested was not shown.
    Trade: b'P', 44 {
        /// The instrument's index, as the directory says; 0 for none.
        locate: u16 = 1,
        /// The sender's own.
        tracking: u16 = 3,
        /// When it happened.
        timestamp: Timestamp = 5,
        /// 0.
        order: u64 = 11,
        /// The side of the order that rested, `B` or `S`.
        side: u8 = 19,
        /// Units traded.
        shares: u32 = 20,
        /// The instrument's name, padded with spaces.
        stock: [u8; 8] = 24,
        /// The trade's price in ten-thousandths.
        price: u32 = 32,
        /// The trade.
        match_number: u64 = 36,
    }
}

message! {
    /// Broken Trade, `B`: 19 bytes. Fulcrum does not send it.
    BrokenTrade: b'B', 19 {
        /// The instrument's index, as the directory says; 0 for none.
        locate: u16 = 1,
        /// The sender's own.
        tracking: u16 = 3,
        /// When it happened.
        timestamp: Timestamp = 5,
        /// The trade that did not happen.
        match_number: u64 = 11,
    }
}

message! {
    /// End of snapshot, `G`: 21 bytes.
    EndOfSnapshot: b'G', 21 {
        /// The number of the feed's next message, in digits padded with spaces on the left.
        digits: [u8; 20] = 1,
    }
}

/// Declares the enum of all messages, and its two directions.
macro_rules! messages {
    ($( $name:ident, $doc:literal; )*) => {
        /// A message of the feed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Message {
            $( #[doc = $doc] $name($name), )*
        }

        impl Message {
            /// Decodes a whole message.
            ///
            /// # Errors
            /// No bytes, a type that is not among those here, another length, or text that is not printable ASCII.
            #[inline]
            pub fn decode(message: &[u8]) -> Result<Self, DecodeError> {
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

        $(
            impl From<$name> for Message {
                fn from(message: $name) -> Self {
                    Self::$name(message)
                }
            }
        )*
    };
}

messages! {
    SystemEvent, "The feed's day began or ended.";
    StockDirectory, "What a locate stands for.";
    TradingAction, "Whether an instrument trades.";
    ShortSaleRestriction, "Whether short sales are restricted.";
    AddOrder, "An order is shown.";
    AddOrderAttributed, "An order is shown, with its owner.";
    OrderExecuted, "An order traded at its price.";
    OrderExecutedWithPrice, "An order traded at another price.";
    OrderCancel, "Some of an order is gone.";
    OrderDelete, "An order is gone.";
    OrderReplace, "Another order stands in an order's place.";
    Trade, "An order that is not shown traded.";
    BrokenTrade, "A trade did not happen after all.";
    EndOfSnapshot, "A snapshot is complete.";
}

impl EndOfSnapshot {
    /// With which message the feed goes on.
    #[must_use]
    pub fn new(sequence: u64) -> Self {
        let mut digits = [b' '; 20];
        let text = sequence.to_string();
        // 2^64 has 20 digits.
        digits[20 - text.len()..].copy_from_slice(text.as_bytes());
        Self { digits }
    }

    /// The same, read: `None` when it is no number below 2^64.
    #[must_use]
    pub fn sequence(&self) -> Option<u64> {
        let digits = self.digits.trim_ascii();
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| core::str::from_utf8(digits).ok()?.parse().ok())?
    }
}
