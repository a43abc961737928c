//! Instructions for random orders: mostly such as make sense together, some that do not.

use core::num::NonZeroU32;

use domain::{
    AccountId, Command, Display, EnterOrder, EnterSpecial, Execution, Instructions, MassCancel, Nanos,
    OrderType, PostOnly, Price, Quantity, ReplaceOrder, ReplaceSpecial, SelfTrade, SelfTradePolicy,
    SessionId, Side, TimeInForce, Trigger,
};
use rand::{Rng, RngExt};

use super::{Flow, Prices, Quantities};
use crate::support::INSTRUMENT;

impl Flow {
    pub(super) fn enter_special(&mut self, mut enter: EnterOrder) -> Command {
        let instructions =
            self.instructions(enter.side, enter.quantity, &mut enter.order_type, &mut enter.time_in_force);
        self.asked = Some((enter.order, instructions));
        Command::EnterSpecial(EnterSpecial { enter, instructions })
    }

    /// `old` are the instructions of the order to be replaced.
    pub(super) fn replace_special(
        &mut self,
        mut replace: ReplaceOrder,
        side: Side,
        old: Instructions,
    ) -> Command {
        let (order_type, time_in_force) = (&mut replace.order_type, &mut replace.time_in_force);
        match self.rng.random_range(0..10) {
            // It keeps what it has, and so perhaps its place; a market-to-limit order may be made of it.
            0..3 => {
                self.dated(old, time_in_force);
                if self.chance(1_000, self.style.specials.market_to_limit) {
                    replace.order_type = OrderType::MarketToLimit;
                }
                return Command::Replace(replace);
            }
            // The same again, with another date.
            3..6 => {
                let instructions = self.dated(old, time_in_force);
                self.asked = Some((replace.new_order, instructions));
                return Command::ReplaceSpecial(ReplaceSpecial { replace, instructions });
            }
            _ => {}
        }
        let instructions = self.instructions(side, replace.total, order_type, time_in_force);
        self.asked = Some((replace.new_order, instructions));
        Command::ReplaceSpecial(ReplaceSpecial { replace, instructions })
    }

    pub(super) fn mass_cancel(&mut self) -> Command {
        let owner = self.next_owner(None);
        let (session, account) = (SessionId(self.rng.next_u32() % 4), AccountId(self.rng.next_u32() % 5));
        let side = self.side();
        Command::MassCancel(MassCancel {
            owner,
            instrument: self.chance(2, 1).then_some(INSTRUMENT),
            session: self.chance(3, 2).then_some(session),
            account: self.chance(3, 1).then_some(account),
            side: self.chance(3, 1).then_some(side),
        })
    }

    /// Instructions for an order, which is changed so that they make sense, mostly.
    fn instructions(
        &mut self,
        side: Side,
        quantity: Quantity,
        order_type: &mut OrderType,
        time_in_force: &mut TimeInForce,
    ) -> Instructions {
        let specials = self.style.specials;
        let mut asked = Instructions::NONE;
        if self.chance(1_000, specials.market_to_limit) {
            *order_type = OrderType::MarketToLimit;
        }
        let gathers_stops = specials.stops > 0 && self.gathers();
        if gathers_stops || self.chance(1_000, specials.stops) {
            asked.trigger = Trigger::Stop(self.trigger(side));
        } else if self.chance(1_000, specials.trailing) {
            asked.trigger = Trigger::Trailing { ticks: self.distance() };
        }
        if self.chance(1_000, specials.icebergs) {
            asked.display = self.iceberg(quantity);
        } else if self.chance(1_000, specials.hidden) {
            asked.display = Display::Hidden;
        }
        if self.chance(1_000, specials.all_or_none) {
            asked.execution = Execution::AllOrNone;
        } else if self.chance(1_000, specials.minimum) {
            let lots = quantity.lots();
            asked.execution = Execution::Minimum(Quantity(match self.rng.random_range(0..10) {
                0 => lots.saturating_add(1),
                1 => 0,
                2..5 => 1,
                _ => self.rng.random_range(0..=lots),
            }));
        } else if !gathers_stops && self.chance(1_000, specials.post_only) {
            let slides = self.chance(2, 1);
            asked.execution = Execution::PostOnly(if slides { PostOnly::Slide } else { PostOnly::Reject });
        }
        if self.chance(1_000, specials.grouped) {
            let group = NonZeroU32::new(1 + self.rng.next_u32() % 3).expect("from 1");
            let policy = SelfTradePolicy::from_u8(self.rng.random_range(0..4)).expect("there are four");
            asked.self_trade = Some(SelfTrade { group, policy });
        }
        if self.chance(1_000, specials.dated) {
            *time_in_force = TimeInForce::GoodTillDate;
        }
        if !self.chance(30, 1) {
            make_sense(&mut asked, order_type, time_in_force);
        }
        self.dated(asked, time_in_force)
    }

    /// With a date where the time in force asks for one, mostly.
    fn dated(&mut self, asked: Instructions, time_in_force: &mut TimeInForce) -> Instructions {
        if asked.expires != Nanos(0) && self.chance(2, 1) {
            *time_in_force = TimeInForce::GoodTillDate;
        }
        let ahead = match self.rng.random_range(0..20) {
            0 => 0,
            1..8 => self.rng.random_range(1..5_000),
            8..18 => self.rng.random_range(1..100_000),
            _ => 0xFFFF_FFFF,
        };
        let wants = *time_in_force == TimeInForce::GoodTillDate;
        let expires = if wants != self.chance(200, 1) { Nanos(self.nanos + ahead) } else { Nanos(0) };
        Instructions { expires, ..asked }
    }

    fn iceberg(&mut self, quantity: Quantity) -> Display {
        let lots = quantity.lots();
        let peak = match (self.style.quantities, self.rng.random_range(0..40)) {
            (_, 0) => 0,
            // A huge order must not show a lot at a time: a command would trade for ever.
            (Quantities::Huge, _) => u64::MAX / self.rng.random_range(1..40),
            (_, 1) => lots,
            (_, 2..8) => self.rng.random_range(0..=lots),
            _ => self.rng.random_range(0..=lots / 4).max(1),
        };
        let below = u32::try_from(peak).unwrap_or(u32::MAX);
        let spread = match self.rng.random_range(0..20) {
            0 => below,
            1..10 if below > 0 => self.rng.random_range(0..below),
            _ => 0,
        };
        Display::Iceberg { peak: Quantity(peak), spread, seed: self.rng.next_u32() }
    }

    /// Where a stop waits: beyond the last trade, or already reached by it.
    fn trigger(&mut self, side: Side) -> Price {
        let reach = self.style.specials.reach;
        match (self.style.prices, self.last) {
            (Prices::Ends, _) | (_, None) => self.price(side),
            (_, Some(last)) => {
                let away = self.rng.random_range(-1..=reach);
                let ticks = last.ticks() + if side == Side::Buy { away } else { -away };
                Price::new(ticks).expect("trades are far from the sentinels")
            }
        }
    }

    fn distance(&mut self) -> u64 {
        match self.rng.random_range(0..100) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << 63,
            _ => self.rng.random_range(1..=self.style.specials.reach.unsigned_abs()),
        }
    }
}

/// Takes out what contradicts.
fn make_sense(asked: &mut Instructions, order_type: &mut OrderType, time_in_force: &mut TimeInForce) {
    let rests_at_a_limit = asked.display != Display::Full
        || matches!(asked.execution, Execution::AllOrNone | Execution::PostOnly(_));
    if rests_at_a_limit {
        *order_type = OrderType::Limit;
    }
    if (rests_at_a_limit || asked.trigger != Trigger::None) && !time_in_force.rests() {
        *time_in_force = TimeInForce::Day;
    }
    if asked.execution == Execution::AllOrNone {
        asked.display = Display::Full;
    }
    if let Execution::PostOnly(_) = asked.execution {
        asked.trigger = Trigger::None;
    }
    let at_once = *time_in_force == TimeInForce::FillOrKill;
    if at_once
        && (*order_type == OrderType::MarketToLimit || matches!(asked.execution, Execution::Minimum(_)))
    {
        *time_in_force = TimeInForce::ImmediateOrCancel;
    }
}
