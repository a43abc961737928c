//! The optional fields behind a message.
//!
//! ```text
//!  0        1     2
//! ┌────────┬─────┬─────────┐
//! │ length │ tag │ value   │  again and again; length: u8 = 1 + bytes of value
//! └────────┴─────┴─────────┘
//! ```

use core::fmt;

use super::{AppendageFault, DecodeError};
use crate::field::{Field, first_unprintable};

/// A message's optional fields: borrowed bytes that have been checked whole. Every option has a tag and as many
/// bytes as it announces, every known tag a value of its own length, all text is printable, and no tag comes twice.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Appendage<'a> {
    /// At most `u16::MAX` bytes.
    bytes: &'a [u8],
}

impl<'a> Appendage<'a> {
    /// No optional fields.
    pub const EMPTY: Self = Self { bytes: &[] };

    /// Checks an appendage, without the 2-byte length before it.
    ///
    /// # Errors
    /// The first fault, and where it is.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        // Most orders have none, and are not made to wait for the loop.
        if bytes.is_empty() {
            return Ok(Self::EMPTY);
        }
        check(bytes)?;
        Ok(Self { bytes })
    }

    /// What [`min_quantity`] made needs no check.
    #[inline]
    pub(super) const fn min_quantity_of(bytes: &'a [u8; 6]) -> Self {
        Self { bytes }
    }

    /// Whether there are no optional fields.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of all options.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> u16 {
        self.bytes.len() as u16
    }

    /// The options as they stand on the wire.
    #[inline]
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The options, in the order in which they stand.
    #[inline]
    #[must_use]
    pub const fn iter(&self) -> TagValues<'a> {
        TagValues { rest: self.bytes }
    }

    /// The least quantity that must trade at once, when the message says one.
    #[inline]
    #[must_use]
    pub fn min_quantity(&self) -> Option<u32> {
        self.iter().find_map(|option| match option {
            TagValue::MinQuantity(quantity) => Some(quantity),
            _ => None,
        })
    }
}

impl<'a> IntoIterator for Appendage<'a> {
    type Item = TagValue<'a>;
    type IntoIter = TagValues<'a>;

    fn into_iter(self) -> TagValues<'a> {
        self.iter()
    }
}

impl fmt::Debug for Appendage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// An appendage of one option, the least quantity that must trade at once: 6 bytes for [`Appendage::decode`].
#[inline]
#[must_use]
pub const fn min_quantity(quantity: u32) -> [u8; 6] {
    let [a, b, c, d] = quantity.to_be_bytes();
    [5, TagValue::MIN_QUANTITY, a, b, c, d]
}

/// Options of an appendage, one after the other.
#[derive(Clone, Debug)]
pub struct TagValues<'a> {
    /// Checked whole options.
    rest: &'a [u8],
}

impl<'a> Iterator for TagValues<'a> {
    type Item = TagValue<'a>;

    #[inline]
    fn next(&mut self) -> Option<TagValue<'a>> {
        let (tag, value, rest) = split(self.rest).ok().flatten()?;
        self.rest = rest;
        TagValue::new(tag, value).ok()
    }
}

/// The first option's tag and value, and the bytes after it; `None` at the end.
#[inline]
#[allow(clippy::type_complexity, reason = "one caller checks, one trusts")]
fn split(bytes: &[u8]) -> Result<Option<(u8, &[u8], &[u8])>, AppendageFault> {
    let Some((&length, after)) = bytes.split_first() else { return Ok(None) };
    let expected = usize::from(length);
    let Some((option, rest)) = after.split_at_checked(expected) else {
        return Err(AppendageFault::Truncated { expected, found: after.len() });
    };
    let Some((&tag, value)) = option.split_first() else { return Err(AppendageFault::NoTag) };
    Ok(Some((tag, value, rest)))
}

fn check(bytes: &[u8]) -> Result<(), DecodeError> {
    let at = |rest: &[u8]| bytes.len() - rest.len();
    if bytes.len() > usize::from(u16::MAX) {
        return Err(DecodeError::Appendage { at: 0, fault: AppendageFault::TooLong { found: bytes.len() } });
    }
    // One bit per tag that has been there.
    let mut seen = [0u64; 4];
    let mut rest = bytes;
    loop {
        let fault = |fault| DecodeError::Appendage { at: at(rest), fault };
        let Some((tag, value, after)) = split(rest).map_err(fault)? else { return Ok(()) };
        TagValue::new(tag, value).map_err(fault)?;
        let (word, bit) = (usize::from(tag / 64), 1 << (tag % 64));
        if seen[word] & bit != 0 {
            return Err(fault(AppendageFault::Duplicate { tag }));
        }
        seen[word] |= bit;
        rest = after;
    }
}

/// Declares the options: name, constant of the tag, tag, type of the value.
macro_rules! options {
    ($( $(#[$doc:meta])* $name:ident, $constant:ident = $tag:literal: $ty:ty, )*) => {
        /// One optional field. Lengths are those of its type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum TagValue<'a> {
            $( $(#[$doc])* $name($ty), )*
            /// A tag that OUCH 5.0 does not define, with 0 to 254 bytes of value.
            Unknown {
                /// The tag.
                tag: u8,
                /// Its value.
                value: &'a [u8],
            },
        }

        impl<'a> TagValue<'a> {
            $(
                #[doc = concat!("The tag of [`", stringify!($name), "`](Self::", stringify!($name), ").")]
                pub const $constant: u8 = $tag;
            )*

            /// Its tag.
            #[must_use]
            pub const fn tag(&self) -> u8 {
                match self {
                    $( Self::$name(_) => $tag, )*
                    Self::Unknown { tag, .. } => *tag,
                }
            }

            #[inline]
            fn new(tag: u8, value: &'a [u8]) -> Result<Self, AppendageFault> {
                match tag {
                    $( $tag => typed::<$ty>(tag, value).map(Self::$name), )*
                    _ => Ok(Self::Unknown { tag, value }),
                }
            }

            /// Appends the option: its length, its tag, its value.
            ///
            /// # Panics
            /// When an unknown tag's value is longer than 254 bytes: a programmer's error.
            pub fn encode(&self, out: &mut Vec<u8>) {
                match *self {
                    $( Self::$name(value) => {
                        let mut bytes = [0; size_of::<$ty>()];
                        value.write(&mut bytes);
                        out.extend_from_slice(&[1 + bytes.len() as u8, $tag]);
                        out.extend_from_slice(&bytes);
                    } )*
                    Self::Unknown { tag, value } => {
                        let length = u8::try_from(1 + value.len()).expect("a value of at most 254 bytes");
                        out.extend_from_slice(&[length, tag]);
                        out.extend_from_slice(value);
                    }
                }
            }
        }
    };
}

options! {
    /// A second order reference number.
    SecondaryOrderReference, SECONDARY_ORDER_REFERENCE = 1: u64,
    /// The firm, 4 letters.
    Firm, FIRM = 2: [u8; 4],
    /// The least quantity that must trade at once.
    MinQuantity, MIN_QUANTITY = 3: u32,
    /// Retail `R` or not `N`.
    CustomerType, CUSTOMER_TYPE = 4: u8,
    /// The quantity to display of a reserve order.
    MaxFloor, MAX_FLOOR = 5: u32,
    /// Limit `L` or one of the pegs.
    PriceType, PRICE_TYPE = 6: u8,
    /// Offset from the peg, signed.
    PegOffset, PEG_OFFSET = 7: i32,
    /// The price up to which the order has discretion.
    DiscretionPrice, DISCRETION_PRICE = 9: u64,
    /// Limit or one of the pegs.
    DiscretionPriceType, DISCRETION_PRICE_TYPE = 10: u8,
    /// Offset from the peg of the discretion price, signed.
    DiscretionPegOffset, DISCRETION_PEG_OFFSET = 11: i32,
    /// Post only `P` or not `N`.
    PostOnly, POST_ONLY = 12: u8,
    /// By how much the displayed quantity is varied.
    RandomReserves, RANDOM_RESERVES = 13: u32,
    /// Where to route, 4 letters.
    Route, ROUTE = 14: [u8; 4],
    /// Seconds to live.
    ExpireTime, EXPIRE_TIME = 15: u32,
    /// Trade now: `Y` or `N`.
    TradeNow, TRADE_NOW = 16: u8,
    /// How to handle it.
    HandleInstruction, HANDLE_INSTRUCTION = 17: u8,
    /// Weight in the best bid and offer.
    BboWeight, BBO_WEIGHT = 18: u8,
    /// The quantity displayed now.
    DisplayQuantity, DISPLAY_QUANTITY = 22: u32,
    /// The price displayed now.
    DisplayPrice, DISPLAY_PRICE = 23: u64,
    /// The group of the order.
    GroupId, GROUP_ID = 24: u16,
    /// Whether the shares have been located: `Y` or `N`.
    SharesLocated, SHARES_LOCATED = 25: u8,
    /// The price that triggers a stop order; of one that was triggered, the trade's. Fulcrum's own.
    StopPrice, STOP_PRICE = 129: u64,
    /// How far the price that triggers a stop order trails the market, in ten-thousandths. Fulcrum's own.
    TrailingDistance, TRAILING_DISTANCE = 130: u64,
    /// Whole or not yet `Y`, or not `N`. Fulcrum's own.
    AllOrNone, ALL_OR_NONE = 131: u8,
    /// Market to limit `Y`, or not `N`. Fulcrum's own.
    MarketToLimit, MARKET_TO_LIMIT = 132: u8,
    /// The quantity, when it is above what the field takes. Fulcrum's own.
    LargeQuantity, LARGE_QUANTITY = 133: u64,
    /// What happens instead of a trade within the group: `N` the newest is canceled, `O` the oldest, `B` both, `D` both
    /// become smaller. Fulcrum's own.
    SelfTradePolicy, SELF_TRADE_POLICY = 134: u8,
}

#[inline]
fn typed<T: Field>(tag: u8, value: &[u8]) -> Result<T, AppendageFault> {
    if value.len() != size_of::<T>() {
        return Err(AppendageFault::ValueLength { tag, expected: size_of::<T>(), found: value.len() });
    }
    if T::is_valid(value) {
        return Ok(T::read(value));
    }
    Err(AppendageFault::Text { tag, found: first_unprintable(value).unwrap_or_default() })
}
