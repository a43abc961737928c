//! What a request's options ask for: from the wire's tags to the domain's instructions.
//!
//! What the wire alone can tell is refused here: a value that its tag does not have, a price off the tick, two options
//! of which an order can have one. What makes no sense of an order as a whole the book refuses, see `docs/matching.md`.

use std::{hash::BuildHasher, hash::RandomState, sync::LazyLock};

use domain::{
    Display, Execution, Instructions, Instrument, Nanos, OrderId, OrderType, PostOnly, Price, Quantity,
    RejectReason, SelfTrade, SelfTradePolicy, SessionId, TimeInForce, Trigger,
};
use wire::ouch::{Appendage, TagValue, codes};

use super::{Terms, UNITS_END};

const SECOND: u64 = 1_000_000_000;
/// Seconds to live, exclusive: OUCH's own bound, a day.
const EXPIRE_END: u32 = 86_400;

/// What a request's options ask for, in the wire's units; 0 and `None` where they ask for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The quantity, when its field has no room for it.
    quantity: Option<u64>,
    stop: Option<u64>,
    trailing: Option<u64>,
    minimum: u32,
    max_floor: u32,
    random_reserves: u32,
    /// Seconds to live.
    expire: Option<u32>,
    group: u16,
    policy: Option<SelfTradePolicy>,
    post_only: Option<PostOnly>,
    all_or_none: bool,
    market_to_limit: bool,
}

impl Asked {
    /// Reads options. Those that say nothing about how an order trades are taken and not acted on.
    ///
    /// # Errors
    /// `Unsupported` for an option, or a value of one, that is not offered.
    #[cold]
    pub(super) fn read(appendage: Appendage<'_>) -> Result<Self, RejectReason> {
        const NOT_OFFERED: RejectReason = RejectReason::Unsupported;
        let yes = |code| match code {
            codes::YES => Ok(true),
            codes::NO => Ok(false),
            _ => Err(NOT_OFFERED),
        };
        let mut asked = Self::default();
        for option in appendage {
            match option {
                TagValue::MinQuantity(minimum) => asked.minimum = minimum,
                TagValue::MaxFloor(shown) => asked.max_floor = shown,
                TagValue::RandomReserves(spread) => asked.random_reserves = spread,
                TagValue::PostOnly(code) => asked.post_only = codes::post_only(code).ok_or(NOT_OFFERED)?,
                TagValue::ExpireTime(seconds) => asked.expire = Some(seconds),
                TagValue::GroupId(group) => asked.group = group,
                TagValue::SelfTradePolicy(code) => {
                    asked.policy = Some(codes::self_trade_policy(code).ok_or(NOT_OFFERED)?);
                }
                TagValue::StopPrice(price) => asked.stop = Some(price),
                TagValue::TrailingDistance(distance) => asked.trailing = Some(distance),
                TagValue::AllOrNone(code) => asked.all_or_none = yes(code)?,
                TagValue::MarketToLimit(code) => asked.market_to_limit = yes(code)?,
                TagValue::LargeQuantity(units) => asked.quantity = Some(units),
                // A limit order, which goes nowhere else and waits for nobody: all that there is here.
                TagValue::PriceType(b'L')
                | TagValue::TradeNow(codes::NO)
                | TagValue::Firm(_)
                | TagValue::CustomerType(_)
                | TagValue::HandleInstruction(_)
                | TagValue::SharesLocated(_) => {}
                _ => return Err(NOT_OFFERED),
            }
        }
        Ok(asked)
    }

    /// Whether it cannot be judged without knowing what time it is.
    #[inline]
    pub(crate) const fn is_dated(&self) -> bool {
        self.expire.is_some()
    }

    /// The whole size in units.
    ///
    /// # Errors
    /// When the field has one beside the option, or it is more than the field of an answer has room for.
    fn units(&self, field: u32) -> Result<u32, RejectReason> {
        match self.quantity {
            None if field < UNITS_END => Ok(field),
            Some(units) if field == 0 => u32::try_from(units).map_err(|_| RejectReason::InvalidQuantity),
            _ => Err(RejectReason::InvalidQuantity),
        }
    }

    fn trigger(&self, instrument: &Instrument) -> Result<Trigger, RejectReason> {
        match (self.stop, self.trailing) {
            (None, None) => Ok(Trigger::None),
            (Some(e4), None) => {
                instrument.price_from_e4(e4).map(Trigger::Stop).ok_or(RejectReason::InvalidPrice)
            }
            (None, Some(e4)) => {
                let tick = u64::from(instrument.tick);
                if e4 == 0 || !e4.is_multiple_of(tick) {
                    return Err(RejectReason::InvalidPrice);
                }
                Ok(Trigger::Trailing { ticks: e4 / tick })
            }
            (Some(_), Some(_)) => Err(RejectReason::InvalidInstructions),
        }
    }

    fn execution(&self, instrument: &Instrument, minimum: u32) -> Result<Execution, RejectReason> {
        match (minimum, self.all_or_none, self.post_only) {
            (0, false, None) => Ok(Execution::Any),
            (minimum, false, None) => {
                lots(instrument, minimum).map(Execution::Minimum).ok_or(RejectReason::InvalidInstructions)
            }
            (0, true, None) => Ok(Execution::AllOrNone),
            (0, false, Some(post_only)) => Ok(Execution::PostOnly(post_only)),
            _ => Err(RejectReason::InvalidInstructions),
        }
    }

    /// The seed of a part's size is put in when the order has its id.
    fn display(&self, instrument: &Instrument, code: u8) -> Result<Display, RejectReason> {
        match (code, self.max_floor, self.random_reserves) {
            (b'Y' | b'A', 0, 0) => Ok(Display::Full),
            (b'N', 0, 0) => Ok(Display::Hidden),
            (b'Y' | b'A', shown, spread) if shown > 0 => {
                let peak = lots(instrument, shown).ok_or(RejectReason::InvalidDisplay)?;
                let spread = if spread == 0 {
                    0
                } else {
                    // As many lots as fit in 32 bits of units.
                    lots(instrument, spread).ok_or(RejectReason::InvalidDisplay)?.lots() as u32
                };
                Ok(Display::Iceberg { peak, spread, seed: 0 })
            }
            _ => Err(RejectReason::InvalidDisplay),
        }
    }

    fn self_trade(&self, session: SessionId) -> Result<Option<SelfTrade>, RejectReason> {
        if self.group == 0 {
            return if self.policy.is_none() { Ok(None) } else { Err(RejectReason::InvalidInstructions) };
        }
        let group = codes::group(session, self.group).ok_or(RejectReason::Unsupported)?;
        let policy = self.policy.unwrap_or(SelfTradePolicy::CancelNewest);
        Ok(Some(SelfTrade { group, policy }))
    }

    fn time_in_force(&self, code: u8, now: Nanos) -> Result<(TimeInForce, Nanos), RejectReason> {
        let time_in_force = codes::time_in_force(code).ok_or(RejectReason::InvalidTimeInForce)?;
        match (time_in_force, self.expire) {
            (TimeInForce::GoodTillDate, Some(seconds @ 1..EXPIRE_END)) => {
                let expires = now.0.saturating_add(u64::from(seconds) * SECOND);
                Ok((time_in_force, Nanos(expires)))
            }
            (TimeInForce::GoodTillDate, _) | (_, Some(_)) => Err(RejectReason::InvalidTimeInForce),
            (_, None) => Ok((time_in_force, Nanos(0))),
        }
    }
}

/// What a request says in its fields of how an order trades.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    pub(super) quantity: u32,
    pub(super) price: u64,
    pub(super) time_in_force: u8,
    pub(super) display: u8,
}

impl Fields {
    /// An order's terms, with the instructions that its options ask for, if any. The size, the price and the notional are
    /// looked at before the options, as they are of a plain order.
    ///
    /// # Errors
    /// The first thing that cannot be.
    #[cold]
    pub(super) fn special(
        self,
        instrument: &Instrument,
        session: SessionId,
        now: Nanos,
        options: Result<Asked, RejectReason>,
    ) -> Result<(Terms, Instructions), RejectReason> {
        let asked = options.unwrap_or_default();
        let units = asked.units(self.quantity)?;
        let quantity =
            instrument.quantity_from_units(u64::from(units)).ok_or(RejectReason::InvalidQuantity)?;
        let (order_type, price) = match codes::order_type(self.price) {
            OrderType::Market if asked.market_to_limit => (OrderType::MarketToLimit, Price::default()),
            OrderType::Limit => {
                let price = instrument.price_from_e4(self.price).ok_or(RejectReason::InvalidPrice)?;
                (OrderType::Limit, price)
            }
            other => (other, Price::default()),
        };
        instrument.check_bounds(order_type, price, quantity)?;
        options?;
        if asked.market_to_limit && order_type == OrderType::Limit {
            return Err(RejectReason::InvalidInstructions);
        }
        let trigger = asked.trigger(instrument)?;
        let (time_in_force, expires) = asked.time_in_force(self.time_in_force, now)?;
        // All of it as a minimum, of an immediate order, is fill or kill.
        let (time_in_force, minimum) = match time_in_force {
            TimeInForce::ImmediateOrCancel if asked.minimum > 0 && asked.minimum == units => {
                (TimeInForce::FillOrKill, 0)
            }
            other => (other, asked.minimum),
        };
        let execution = asked.execution(instrument, minimum)?;
        let self_trade = asked.self_trade(session)?;
        let display = asked.display(instrument, self.display)?;
        let instructions = Instructions { trigger, display, execution, self_trade, expires };
        Ok((Terms { order_type, time_in_force, price, quantity }, instructions))
    }
}

/// Lots of so many units; `None` for none and off the lot. An order's own size bounds them, not the largest order.
fn lots(instrument: &Instrument, units: u32) -> Option<Quantity> {
    (units > 0 && units.is_multiple_of(instrument.lot)).then(|| Quantity(u64::from(units / instrument.lot)))
}

/// Instructions of an order that has its id now: an iceberg's parts get the seed of their sizes. It is drawn with keys
/// that this process has got from the system, so that nobody can tell from an order's public id what it will show next;
/// the command carries it, so that a replay shows the same.
pub(super) fn seeded(mut instructions: Instructions, order: OrderId) -> Instructions {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    if let Display::Iceberg { spread: 1.., seed, .. } = &mut instructions.display {
        *seed = KEYS.hash_one(order.0) as u32;
    }
    instructions
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::{InstrumentId, PostOnly};

    use super::*;

    fn read(options: &[TagValue<'_>]) -> Result<Asked, RejectReason> {
        let mut bytes = Vec::new();
        options.iter().for_each(|option| option.encode(&mut bytes));
        Asked::read(Appendage::decode(&bytes).unwrap())
    }

    #[test]
    fn parts_of_random_size_have_a_seed_of_their_own() {
        let seed = |spread, number| {
            let display = Display::Iceberg { peak: Quantity(9), spread, seed: 0 };
            let order = OrderId::new(InstrumentId(3), number);
            match seeded(Instructions { display, ..Instructions::NONE }, order).display {
                Display::Iceberg { peak: Quantity(9), seed, .. } => seed,
                other => panic!("{other:?}"),
            }
        };
        let seeds: BTreeSet<u32> = (1..=64).map(|number| seed(2, number)).collect();
        // Sixty-four draws of 32 bits: that even two are the same is unlikely, that four are is not to be expected.
        assert!(seeds.len() > 61, "{seeds:?}");
        // Parts that are all the same need none.
        assert_eq!(seed(0, 1), 0);
        assert_eq!(seeded(Instructions::NONE, OrderId::default()), Instructions::NONE);
    }

    #[test]
    fn what_is_not_offered_is_refused_when_it_is_read() {
        assert_eq!(read(&[]), Ok(Asked::default()));
        for (option, asked) in [
            (TagValue::PostOnly(b'P'), Asked { post_only: Some(PostOnly::Reject), ..Asked::default() }),
            (TagValue::PostOnly(b'N'), Asked::default()),
            (TagValue::PriceType(b'L'), Asked::default()),
            (TagValue::TradeNow(b'N'), Asked::default()),
            (TagValue::HandleInstruction(b'?'), Asked::default()),
            (TagValue::SharesLocated(b'Y'), Asked::default()),
            (TagValue::AllOrNone(b'N'), Asked::default()),
            (TagValue::ExpireTime(0), Asked { expire: Some(0), ..Asked::default() }),
        ] {
            let read = read(&[option]);
            assert_eq!(read, Ok(asked), "{option:?}");
            assert_eq!(asked.is_dated(), matches!(option, TagValue::ExpireTime(_)));
        }
        for option in [
            TagValue::PostOnly(b'Y'),
            TagValue::PriceType(b'P'),
            TagValue::PegOffset(1),
            TagValue::DiscretionPrice(1),
            TagValue::DiscretionPriceType(b'L'),
            TagValue::DiscretionPegOffset(1),
            TagValue::Route(*b"SCAN"),
            TagValue::TradeNow(b'Y'),
            TagValue::BboWeight(b'0'),
            TagValue::DisplayQuantity(1),
            TagValue::DisplayPrice(1),
            TagValue::SecondaryOrderReference(1),
            TagValue::AllOrNone(b'1'),
            TagValue::MarketToLimit(b'1'),
            TagValue::SelfTradePolicy(b'1'),
            TagValue::Unknown { tag: 135, value: b"" },
        ] {
            assert_eq!(read(&[option]), Err(RejectReason::Unsupported), "{option:?}");
        }
    }
}
