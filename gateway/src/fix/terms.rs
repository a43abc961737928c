//! What an order asks for, from the fields of its message: in the domain's words, or why not.
//!
//! Source: FIX 4.4 and FIX 5.0 SP2, the fields' pages; docs/fix/rules.md has what is offered.

use core::num::NonZeroU32;

use domain::{
    Display, Echo, Execution, Instructions, Instrument, Nanos, OrderType, PostOnly, Price, Quantity,
    RejectReason, SelfTrade, SelfTradePolicy, Side, TimeInForce, Trigger,
};
use wire::fix::{Checked, value};

use super::desk::Desk;

/// Ten-thousandths in one.
const ONE: i64 = 10_000;

/// What an order asks for, in the domain's words.
pub(super) struct Terms {
    pub(super) side: Side,
    pub(super) order_type: OrderType,
    pub(super) time_in_force: TimeInForce,
    pub(super) price: Price,
    pub(super) quantity: Quantity,
    pub(super) instructions: Instructions,
    pub(super) echo: Echo,
}

impl Desk<'_> {
    /// What an order, or what replaces one, asks for.
    pub(super) fn terms(
        &self,
        message: &Checked<'_, '_>,
        instrument: &Instrument,
        side_code: u8,
    ) -> Result<Terms, RejectReason> {
        let side = match side_code {
            b'1' => Side::Buy,
            b'2' => Side::Sell,
            // A short sale is a sale whose mark is repeated and means nothing to a book.
            b'5' | b'6' => Side::Sell,
            _ => return Err(RejectReason::InvalidSide),
        };
        let units = message.get(38).and_then(whole).ok_or(RejectReason::InvalidQuantity)?;
        let quantity = instrument.quantity_from_units(units).ok_or(RejectReason::InvalidQuantity)?;
        let type_code = message.letter(40).unwrap_or(0);
        let (order_type, has_limit, has_stop) = match type_code {
            b'1' => (OrderType::Market, false, false),
            b'2' => (OrderType::Limit, true, false),
            b'3' => (OrderType::Market, false, true),
            b'4' => (OrderType::Limit, true, true),
            b'K' => (OrderType::MarketToLimit, false, false),
            _ => return Err(RejectReason::Unsupported),
        };
        let price = match (has_limit, message.get(44)) {
            (true, Some(text)) => price(instrument, text)?,
            (true, None) => return Err(RejectReason::InvalidPrice),
            (false, None) => Price::default(),
            (false, Some(_)) => return Err(RejectReason::InvalidInstructions),
        };
        instrument.check_bounds(order_type, price, quantity)?;
        let (time_in_force, expires) = self.time_in_force(message)?;
        let instructions = self.instructions(message, instrument, has_stop, expires)?;
        let capacity = message.letter(528).unwrap_or(b' ');
        let echo = Echo { side: side_code, display: type_code, capacity, ..Echo::default() };
        Ok(Terms { side, order_type, time_in_force, price, quantity, instructions, echo })
    }

    fn time_in_force(&self, message: &Checked<'_, '_>) -> Result<(TimeInForce, Nanos), RejectReason> {
        let time_in_force = match message.letter(59).unwrap_or(b'0') {
            b'0' => TimeInForce::Day,
            b'1' => TimeInForce::GoodTillCancel,
            b'3' => TimeInForce::ImmediateOrCancel,
            b'4' => TimeInForce::FillOrKill,
            b'6' => TimeInForce::GoodTillDate,
            _ => return Err(RejectReason::InvalidTimeInForce),
        };
        let time = message.get(126).and_then(value::utc_timestamp);
        // A date is over at its end.
        let date = message.get(432).and_then(|date| {
            let midnight = value::utc_timestamp(&[date, b"-00:00:00"].concat())?;
            midnight.0.checked_add(Nanos::PER_DAY).map(Nanos)
        });
        match (time_in_force, time.or(date)) {
            (TimeInForce::GoodTillDate, Some(expires)) if expires <= self.now => Err(RejectReason::Expired),
            (TimeInForce::GoodTillDate, Some(expires)) => Ok((time_in_force, expires)),
            (TimeInForce::GoodTillDate, None) | (_, Some(_)) => Err(RejectReason::InvalidTimeInForce),
            (_, None) => Ok((time_in_force, Nanos(0))),
        }
    }

    fn instructions(
        &self,
        message: &Checked<'_, '_>,
        instrument: &Instrument,
        has_stop: bool,
        expires: Nanos,
    ) -> Result<Instructions, RejectReason> {
        let (mut post_only, mut all_or_none, mut trails) = (false, false, false);
        for word in message.get(18).unwrap_or_default().split(|&byte| byte == b' ') {
            match word {
                b"" => {}
                b"6" => post_only = true,
                b"G" => all_or_none = true,
                b"a" => trails = true,
                _ => return Err(RejectReason::Unsupported),
            }
        }
        let stop = message.get(99);
        let trigger = match (has_stop, trails, stop, message.get(211)) {
            (false, false, None, None) => Trigger::None,
            (true, false, Some(stop), None) => Trigger::Stop(price(instrument, stop)?),
            (true, true, None, Some(distance)) => {
                let distance = price(instrument, distance)?;
                Trigger::Trailing { ticks: distance.ticks().unsigned_abs() }
            }
            _ => return Err(RejectReason::InvalidInstructions),
        };
        let shown: Vec<&[u8]> = [1138, 111, 210].into_iter().filter_map(|tag| message.get(tag)).collect();
        let display = match shown[..] {
            [] => Display::Full,
            [shown] => match whole(shown).ok_or(RejectReason::InvalidDisplay)? {
                0 => Display::Hidden,
                units => {
                    let peak = instrument.quantity_from_units(units).ok_or(RejectReason::InvalidDisplay)?;
                    Display::Iceberg { peak, spread: 0, seed: 0 }
                }
            },
            _ => return Err(RejectReason::InvalidDisplay),
        };
        let minimum = match message.get(110).map(whole) {
            None | Some(Some(0)) => None,
            Some(None) => return Err(RejectReason::InvalidInstructions),
            Some(Some(units)) => {
                Some(instrument.quantity_from_units(units).ok_or(RejectReason::InvalidInstructions)?)
            }
        };
        let execution = match (post_only, all_or_none, minimum) {
            (false, false, None) => Execution::Any,
            (true, false, None) => Execution::PostOnly(PostOnly::Reject),
            (false, true, None) => Execution::AllOrNone,
            (false, false, Some(minimum)) => Execution::Minimum(minimum),
            _ => return Err(RejectReason::InvalidInstructions),
        };
        let self_trade = self.self_trade(message)?;
        Ok(Instructions { trigger, display, execution, self_trade, expires })
    }

    /// A group is its session's own: two sessions that name the same one do not meet in it.
    fn self_trade(&self, message: &Checked<'_, '_>) -> Result<Option<SelfTrade>, RejectReason> {
        let (group, policy) = (message.get(2362), message.int(2964));
        let Some(group) = group else {
            return if policy.is_none() { Ok(None) } else { Err(RejectReason::InvalidInstructions) };
        };
        let policy = match policy.unwrap_or(1) {
            1 => SelfTradePolicy::CancelNewest,
            2 => SelfTradePolicy::CancelOldest,
            3 => SelfTradePolicy::CancelBoth,
            100 => SelfTradePolicy::Decrement,
            _ => return Err(RejectReason::Unsupported),
        };
        let number =
            value::int(group).and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
        let group = number.ok_or(RejectReason::InvalidInstructions)?;
        let group = (self.id.0.wrapping_add(1) << 16) | u32::from(group);
        Ok(NonZeroU32::new(group).map(|group| SelfTrade { group, policy }))
    }
}

/// A quantity, which is whole; `None` when it is not, or below 0.
pub(super) fn whole(text: &[u8]) -> Option<u64> {
    let e4 = value::decimal(text).ok()?;
    if e4 % ONE == 0 { u64::try_from(e4 / ONE).ok() } else { None }
}

fn price(instrument: &Instrument, text: &[u8]) -> Result<Price, RejectReason> {
    value::decimal(text)
        .ok()
        .and_then(|e4| u64::try_from(e4).ok())
        .and_then(|e4| instrument.price_from_e4(e4))
        .ok_or(RejectReason::InvalidPrice)
}
