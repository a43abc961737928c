//! What a special order asks for, in 48 bytes behind the rest of its command.
//!
//! ```text
//!  0               8               16              24              32      36      40      44   45   46   47  48
//!  ┌───────────────┬───────────────┬───────────────┬───────────────┬───────┬───────┬───────┬────┬────┬────┬────┐
//!  │ trigger value │ peak          │ minimum       │ expires       │spread │ seed  │ group │trig│disp│exec│poli│
//!  └───────────────┴───────────────┴───────────────┴───────────────┴───────┴───────┴───────┴────┴────┴────┴────┘
//! ```
//!
//! | code | 0 | 1 | 2 | 3 | 4 |
//! |---|---|---|---|---|---|
//! | trigger | none | stop: value is a price | trailing: value is a distance | | |
//! | display | full | iceberg: peak, spread, seed | hidden | | |
//! | execution | any | minimum | all-or-none | post-only, reject | post-only, slide |
//! | policy | cancel newest | cancel oldest | cancel both | decrement | |
//!
//! Group 0 is no group, and has policy 0. A value that its code does not use is zero. What makes no sense to a
//! book (a peak of 0, a trigger without a stop's time in force) is written and read: the book answers it.

use core::num::NonZeroU32;

use domain::{
    Display, Execution, Instructions, Nanos, PostOnly, Price, Quantity, SelfTrade, SelfTradePolicy, Trigger,
};

use super::{Put, Take, value};
use crate::error::DecodeError;

/// How many they are.
pub(super) const BYTES: usize = 48;

#[inline]
pub(super) fn put<'a, const N: usize>(put: Put<'a, N>, instructions: &Instructions) -> Put<'a, N> {
    let Instructions { trigger, display, execution, self_trade, expires } = *instructions;
    let (trigger, trigger_value) = match trigger {
        Trigger::None => (0, 0),
        Trigger::Stop(price) => (1, price.ticks() as u64),
        Trigger::Trailing { ticks } => (2, ticks),
    };
    let (display, peak, spread, seed) = match display {
        Display::Full => (0, 0, 0, 0),
        Display::Iceberg { peak, spread, seed } => (1, peak.0, spread, seed),
        Display::Hidden => (2, 0, 0, 0),
    };
    let (execution, minimum) = match execution {
        Execution::Any => (0, 0),
        Execution::Minimum(quantity) => (1, quantity.0),
        Execution::AllOrNone => (2, 0),
        Execution::PostOnly(PostOnly::Reject) => (3, 0),
        Execution::PostOnly(PostOnly::Slide) => (4, 0),
    };
    let (group, policy) = self_trade.map_or((0, 0), |of| (of.group.get(), of.policy as u8));
    put.u64(trigger_value)
        .u64(peak)
        .u64(minimum)
        .u64(expires.0)
        .u32(spread)
        .u32(seed)
        .u32(group)
        .bytes([trigger, display, execution, policy])
}

#[inline]
pub(super) fn take<const N: usize>(t: &mut Take<'_, N>) -> Result<Instructions, DecodeError> {
    let [trigger_value, peak, minimum] = [t.u64(), t.u64(), t.u64()];
    let expires = Nanos(t.u64());
    let [spread, seed, group] = [t.u32(), t.u32(), t.u32()];
    let [trigger, display, execution, policy] = t.bytes();
    let unused = |field: &'static str, found: u64| match found {
        0 => Ok(()),
        value => Err(DecodeError::Value { field, value }),
    };
    let trigger = match trigger {
        0 => unused("trigger value", trigger_value).map(|()| Trigger::None)?,
        1 => {
            let price = Price::new(trigger_value as i64);
            Trigger::Stop(price.ok_or(DecodeError::Value { field: "trigger price", value: trigger_value })?)
        }
        2 => Trigger::Trailing { ticks: trigger_value },
        n => return Err(value("trigger", n)),
    };
    if display != 1 {
        unused("peak", peak)?;
        unused("spread", u64::from(spread))?;
        unused("seed", u64::from(seed))?;
    }
    let display = match display {
        0 => Display::Full,
        1 => Display::Iceberg { peak: Quantity(peak), spread, seed },
        2 => Display::Hidden,
        n => return Err(value("display", n)),
    };
    if execution != 1 {
        unused("minimum", minimum)?;
    }
    let execution = match execution {
        0 => Execution::Any,
        1 => Execution::Minimum(Quantity(minimum)),
        2 => Execution::AllOrNone,
        3 => Execution::PostOnly(PostOnly::Reject),
        4 => Execution::PostOnly(PostOnly::Slide),
        n => return Err(value("execution", n)),
    };
    let policy_value = SelfTradePolicy::from_u8(policy).ok_or(value("self-trade policy", policy))?;
    let self_trade = match NonZeroU32::new(group) {
        Some(group) => Some(SelfTrade { group, policy: policy_value }),
        None => unused("self-trade policy", u64::from(policy)).map(|()| None)?,
    };
    Ok(Instructions { trigger, display, execution, self_trade, expires })
}
