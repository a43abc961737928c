//! What an order may ask for beyond its type, price, quantity and time in force.

use core::num::NonZeroU32;

use crate::{Nanos, Price, Quantity};

/// What a special order asks for. [`Instructions::NONE`] asks for nothing: such an order is a plain one.
///
/// Which combinations make sense is the book's to say, see `docs/matching.md`; this type rules out what its
/// enums rule out and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instructions {
    /// What has to happen before the order may trade.
    pub trigger: Trigger,
    /// How much of it is shown.
    pub display: Display,
    /// How it may trade when it comes in.
    pub execution: Execution,
    /// Orders that it must not trade with.
    pub self_trade: Option<SelfTrade>,
    /// When a `GoodTillDate` order ends; 0 for every other time in force.
    pub expires: Nanos,
}

impl Instructions {
    /// Nothing besides.
    pub const NONE: Self = Self {
        trigger: Trigger::None,
        display: Display::Full,
        execution: Execution::Any,
        self_trade: None,
        expires: Nanos(0),
    };
}

impl Default for Instructions {
    fn default() -> Self {
        Self::NONE
    }
}

/// What has to happen before an order may trade. An order that waits is a stop order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Nothing.
    None,
    /// A trade at this price or beyond: at or above it for a buy, at or below it for a sell.
    Stop(Price),
    /// As a stop whose price follows the market: this many ticks above the lowest trade for a buy, below the highest
    /// for a sell, of the last before the order came in and all since. Above 0.
    Trailing {
        /// The distance.
        ticks: u64,
    },
}

/// How much of an order is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// All of it.
    Full,
    /// A part; when that has traded the next part is shown, behind the others at its price.
    Iceberg {
        /// Lots shown at a time; all, when less is open. Above 0.
        peak: Quantity,
        /// Each part but the first differs from the peak by up to this many lots, either way. Below the peak.
        spread: u32,
        /// Where the differences come from; drawn by whoever entered the order, so that a replay sees the same.
        seed: u32,
    },
    /// Nothing. At its price it stands behind every order that is shown.
    Hidden,
}

/// How an order may trade when it comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// As much as there is.
    Any,
    /// At least this much at once, or nothing at all. Above 0, at most the order's quantity.
    Minimum(Quantity),
    /// Whole or not yet: it waits, unseen, until all of it can trade at once.
    AllOrNone,
    /// It never takes what rests.
    PostOnly(PostOnly),
}

/// What becomes of an order that must not take and could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PostOnly {
    /// It is refused.
    Reject = 0,
    /// Its limit moves to one tick short of the best price of the other side.
    Slide = 1,
}

/// Orders that an order must not trade with: those of the same group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfTrade {
    /// The group; who is in one is the gateway's to know.
    pub group: NonZeroU32,
    /// What happens instead, as the incoming order asks.
    pub policy: SelfTradePolicy,
}

/// What happens instead of a trade within one group. The numbers are those of the journal and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SelfTradePolicy {
    /// What is left of the incoming order is canceled.
    CancelNewest = 0,
    /// The resting order is canceled.
    CancelOldest = 1,
    /// Both are.
    CancelBoth = 2,
    /// Both become smaller by what would have traded; the one that has nothing left is canceled.
    Decrement = 3,
}

impl SelfTradePolicy {
    /// From the journal's number.
    #[must_use]
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::CancelNewest),
            1 => Some(Self::CancelOldest),
            2 => Some(Self::CancelBoth),
            3 => Some(Self::Decrement),
            _ => None,
        }
    }
}
