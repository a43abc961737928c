//! Which letter and number on the wire stands for which word of the domain: uniform tables, and nothing else.
//!
//! Codes of Fulcrum's own, and choices where OUCH leaves one:
//!
//! * Time in force `6` counts the seconds of ExpireTime (tag 15) from when the order gets its place.
//! * Time in force `G` is good till cancel, which OUCH 5.0 does not have.
//! * Fill or kill is immediate or cancel (`3`) with a MinQty (tag 3) of the whole quantity.
//! * Each [`RejectReason`] has a code of its own, so that a client can tell them apart; where OUCH has no code that
//!   says the same, the nearest one is used: see [`reject_reason`].

use core::num::NonZeroU32;

use domain::{
    CancelReason, Liquidity, OrderType, PostOnly, RejectReason, SelfTradePolicy, SessionId, Side, SystemCode,
    TimeInForce,
};

/// The price that says "market" in what Fulcrum sends.
pub const PRICE_MARKET: u64 = 0x7FFF_FFFF;

/// From this price up, in ten-thousandths, an order is a market order: 200,000.0000.
pub const PRICE_MARKET_MIN: u64 = 2_000_000_000;

/// Order state "live". An order that is canceled at once is accepted live and then canceled.
pub const STATE_LIVE: u8 = b'L';

/// Time in force: until the end of the day.
pub const DAY: u8 = b'0';
/// Time in force: what does not trade at once is canceled.
pub const IMMEDIATE_OR_CANCEL: u8 = b'3';
/// Time in force: across days, until it is canceled. Fulcrum's own.
pub const GOOD_TILL_CANCEL: u8 = b'G';
/// Time in force: until its ExpireTime has passed.
pub const GOOD_TILL_TIME: u8 = b'6';

/// Why an order was restated: the next part of it is shown.
pub const RESTATED_REFRESH: u8 = b'R';
/// Why an order was restated: it has another limit.
pub const RESTATED_PRICE: u8 = b'P';
/// Why an order was restated: its stop price was reached. Fulcrum's own.
pub const RESTATED_TRIGGERED: u8 = b'T';
/// The cancel reason of what is lost within a self-trade group.
pub const SELF_TRADE: u8 = b'Q';
/// The self-trade strategy by which both orders become smaller.
pub const STRATEGY_DECREMENT: u8 = b'D';

/// How an order with this price is priced. For a limit order, whether the price is on the instrument's tick is
/// still to be seen.
#[inline]
#[must_use]
pub const fn order_type(price: u64) -> OrderType {
    if price >= PRICE_MARKET_MIN { OrderType::Market } else { OrderType::Limit }
}

/// Buy or sell; `None` for a letter that is no side.
#[inline]
#[must_use]
pub const fn side(code: u8) -> Option<Side> {
    match code {
        b'B' => Some(Side::Buy),
        b'S' | b'T' | b'E' => Some(Side::Sell),
        _ => None,
    }
}

/// How long an order lives, from its code; `None` for one that is not offered. An immediate order whose MinQty is its
/// quantity is a fill-or-kill order.
#[inline]
#[must_use]
pub const fn time_in_force(code: u8) -> Option<TimeInForce> {
    match code {
        DAY => Some(TimeInForce::Day),
        IMMEDIATE_OR_CANCEL => Some(TimeInForce::ImmediateOrCancel),
        GOOD_TILL_CANCEL => Some(TimeInForce::GoodTillCancel),
        GOOD_TILL_TIME => Some(TimeInForce::GoodTillDate),
        _ => None,
    }
}

/// An option's yes.
pub const YES: u8 = b'Y';
/// An option's no.
pub const NO: u8 = b'N';

/// Post only: `None` for a letter that is none, `Some(None)` for `N`. `P` is refused rather than trades, `S` (Fulcrum's
/// own) slides to where it does not.
#[must_use]
pub const fn post_only(code: u8) -> Option<Option<PostOnly>> {
    match code {
        NO => Some(None),
        b'P' => Some(Some(PostOnly::Reject)),
        b'S' => Some(Some(PostOnly::Slide)),
        _ => None,
    }
}

/// The code of a post-only order.
#[must_use]
pub const fn post_only_code(post_only: PostOnly) -> u8 {
    match post_only {
        PostOnly::Reject => b'P',
        PostOnly::Slide => b'S',
    }
}

/// What happens instead of a trade within a group; `None` for a letter that is none. Fulcrum's own.
#[must_use]
pub const fn self_trade_policy(code: u8) -> Option<SelfTradePolicy> {
    match code {
        b'N' => Some(SelfTradePolicy::CancelNewest),
        b'O' => Some(SelfTradePolicy::CancelOldest),
        b'B' => Some(SelfTradePolicy::CancelBoth),
        STRATEGY_DECREMENT => Some(SelfTradePolicy::Decrement),
        _ => None,
    }
}

/// The code of a policy.
#[must_use]
pub const fn self_trade_policy_code(policy: SelfTradePolicy) -> u8 {
    match policy {
        SelfTradePolicy::CancelNewest => b'N',
        SelfTradePolicy::CancelOldest => b'O',
        SelfTradePolicy::CancelBoth => b'B',
        SelfTradePolicy::Decrement => STRATEGY_DECREMENT,
    }
}

/// The exchange's number of a session's own group: no two sessions share one, so that nobody can keep another's orders
/// from trading by naming a group. `None` for group 0, which is none, and for a session beyond 65,535.
#[must_use]
pub fn group(session: SessionId, own: u16) -> Option<NonZeroU32> {
    let session = u16::try_from(session.0).ok()?;
    if own == 0 {
        return None;
    }
    NonZeroU32::new(u32::from(session) << 16 | u32::from(own))
}

/// The session's own number of a group.
#[must_use]
pub const fn own_group(group: NonZeroU32) -> u16 {
    group.get() as u16
}

/// The code of a time in force. Fill or kill also needs a MinQty of the whole quantity.
#[inline]
#[must_use]
pub const fn time_in_force_code(time_in_force: TimeInForce) -> u8 {
    match time_in_force {
        TimeInForce::Day => DAY,
        TimeInForce::GoodTillCancel => GOOD_TILL_CANCEL,
        TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill => IMMEDIATE_OR_CANCEL,
        TimeInForce::GoodTillDate => GOOD_TILL_TIME,
    }
}

/// The code of a cancel's reason: `U` user, `I` immediate or cancel, `E` closed, `Q` self-match prevention, `T`
/// timeout, `Z` system.
#[inline]
#[must_use]
pub const fn cancel_reason(reason: CancelReason) -> u8 {
    match reason {
        CancelReason::Requested => b'U',
        CancelReason::ImmediateOrCancel => b'I',
        CancelReason::FillOrKill => b'I',
        CancelReason::NoLiquidity => b'I',
        CancelReason::EndOfDay => b'E',
        CancelReason::InvalidReplacement => b'Z',
        CancelReason::SelfTrade => SELF_TRADE,
        CancelReason::MinimumQuantity => b'I',
        CancelReason::Expired => b'T',
        CancelReason::MassCancel => b'U',
        CancelReason::Disconnected => b'S',
    }
}

/// The code of a reject's reason.
///
/// | reason | code | OUCH calls it | |
/// |---|---|---|---|
/// | `UnknownInstrument` | 0x17 | invalid symbol | |
/// | `InvalidPrice` | 0x1D | invalid price | |
/// | `InvalidQuantity` | 0x13 | invalid quantity | |
/// | `InvalidSide` | 0x09 | invalid side | |
/// | `InvalidTimeInForce` | 0x0F | other | OUCH has no code for it |
/// | `InvalidDisplay` | 0x03 | invalid display | |
/// | `Unsupported` | 0x24 | risk: order type restricted | nearest: this venue has no such orders |
/// | `UnknownOrder` | 0x15 | replace not allowed | only a replacement can be refused so |
/// | `StorageFull` | 0x02 | destination closed | nearest: cancels are still taken |
/// | `NotionalTooLarge` | 0x1F | exceeds maximum notional | |
/// | `TooManyOrders` | 0x20 | risk: aggregate exposure | nearest: live orders of the session |
/// | `WouldTrade` | 0x12 | crossed market | nearest: a post-only order that would cross |
/// | `InvalidInstructions` | 0x0D | invalid minimum quantity | nearest: that is one of them |
/// | `TooManyStops` | 0x1E | shares exceed threshold | nearest: a threshold of the book |
/// | `Expired` | 0x0A | processing error | nearest: it came too late to be processed |
/// | `NotionalTooSmall` | 0x06 | fat finger | nearest: so small an order is a slip |
/// | `Busy` | 0x28 | risk: symbol message rate | nearest: more came for the instrument than its book can do |
/// | `Elsewhere` | 0x1C | invalid destination | |
/// | `DuplicateClientOrderId` | 0x2A | risk: duplicate message rate | nearest; said to FIX sessions only |
/// | `TooLate` | 0x10 | cancel not allowed | said to FIX sessions only |
#[inline]
#[must_use]
pub const fn reject_reason(reason: RejectReason) -> u16 {
    match reason {
        RejectReason::UnknownInstrument => 0x17,
        RejectReason::InvalidPrice => 0x1D,
        RejectReason::InvalidQuantity => 0x13,
        RejectReason::InvalidSide => 0x09,
        RejectReason::InvalidTimeInForce => 0x0F,
        RejectReason::InvalidDisplay => 0x03,
        RejectReason::Unsupported => 0x24,
        RejectReason::UnknownOrder => 0x15,
        RejectReason::StorageFull => 0x02,
        RejectReason::NotionalTooLarge => 0x1F,
        RejectReason::TooManyOrders => 0x20,
        RejectReason::WouldTrade => 0x12,
        RejectReason::InvalidInstructions => 0x0D,
        RejectReason::TooManyStops => 0x1E,
        RejectReason::Expired => 0x0A,
        RejectReason::NotionalTooSmall => 0x06,
        RejectReason::Busy => 0x28,
        RejectReason::Elsewhere => 0x1C,
        RejectReason::DuplicateClientOrderId => 0x2A,
        RejectReason::TooLate => 0x10,
    }
}

/// The code of what an order did for the book: `A` added, `R` removed.
#[inline]
#[must_use]
pub const fn liquidity(liquidity: Liquidity) -> u8 {
    match liquidity {
        Liquidity::Added => b'A',
        Liquidity::Removed => b'R',
    }
}

/// The code of a system event: `S` start of day, `E` end of day.
#[inline]
#[must_use]
pub const fn system_event(code: SystemCode) -> u8 {
    match code {
        SystemCode::StartOfDay => b'S',
        SystemCode::EndOfDay => b'E',
    }
}
