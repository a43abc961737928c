//! Enter and Replace: what is refused, and what becomes an order that comes in or waits.

use domain::{
    CancelReason, Display, EnterOrder, EventKind, Execution, Instructions, Nanos, OrderType, PostOnly, Price,
    Quantity, RejectReason, ReplaceOrder, ReplacePriority, Side, TimeInForce, Trigger,
};

use super::order::Order;
use super::{Doing, ReferenceBook};

/// Trailing stops that may wait in one book.
const TRAILING_MAX: usize = 1_024;
/// All-or-none orders that may rest or wait in one book.
const ALL_OR_NONE_MAX: usize = 128;
/// Parts that an iceberg may have, all of the smallest size.
const PARTS_MAX: u128 = 1_024;

impl ReferenceBook {
    pub(super) fn enter(&mut self, enter: &EnterOrder, instructions: Instructions, doing: &mut Doing<'_>) {
        self.count_order(enter.order);
        let mut new = Order::entered(enter, instructions);
        let refused = if enter.quantity == Quantity::ZERO || !self.has_room(&new, None) {
            Some(RejectReason::InvalidQuantity)
        } else {
            self.senseless(&new, None, doing.nanos).or_else(|| self.post(&mut new))
        };
        let EnterOrder { order, owner, side, order_type, time_in_force, quantity, .. } = *enter;
        if let Some(reason) = refused {
            self.say(EventKind::Rejected { order, owner, reason }, doing);
            return;
        }
        let price = new.price;
        let accepted = EventKind::Accepted { order, owner, side, order_type, time_in_force, price, quantity };
        self.say(accepted, doing);
        self.admit(new, None, doing);
    }

    /// `own` are the instructions that the replacement brings; without them it keeps those of the old order.
    pub(super) fn replace(
        &mut self,
        replace: &ReplaceOrder,
        own: Option<Instructions>,
        doing: &mut Doing<'_>,
    ) {
        let ReplaceOrder { order: old_id, original, new_order, owner, .. } = *replace;
        self.count_order(new_order);
        let refusal =
            |reason| EventKind::ReplaceRejected { old: old_id, original, order: new_order, owner, reason };
        let Some(old) = self.owned(old_id, owner.session, original) else {
            self.say(refusal(RejectReason::UnknownOrder), doing);
            return;
        };
        match self.replacement(&old, replace, own, doing.nanos) {
            Err(reason) => {
                self.remove(old_id);
                self.say_canceled(&old, CancelReason::InvalidReplacement, doing);
                self.say(refusal(reason), doing);
            }
            Ok((new, kept_priority)) => {
                let replaced = EventKind::Replaced {
                    old: old_id,
                    original,
                    order: new_order,
                    owner,
                    side: new.side,
                    price: new.price,
                    leaves: Quantity(new.leaves),
                    kept_priority,
                };
                self.say(replaced, doing);
                if kept_priority {
                    *self.order(old_id) = new.clone();
                    if new.is_all_or_none() && new.leaves < old.leaves {
                        self.try_again(new_order, doing);
                    }
                } else {
                    self.remove(old_id);
                    // "A plain Replace of a trailing stop keeps its present trigger."
                    let follows =
                        own.is_none() && matches!(old.instructions.trigger, Trigger::Trailing { .. });
                    self.admit(new, follows.then_some(old.trigger), doing);
                }
            }
        }
    }

    /// The new order, and whether it keeps the old one's place; or why there is none.
    fn replacement(
        &self,
        old: &Order,
        replace: &ReplaceOrder,
        own: Option<Instructions>,
        now: Nanos,
    ) -> Result<(Order, bool), RejectReason> {
        if replace.total.lots() <= old.executed {
            return Err(RejectReason::InvalidQuantity);
        }
        let mut instructions = own.unwrap_or(old.instructions);
        if own.is_none() && replace.time_in_force != TimeInForce::GoodTillDate {
            instructions.expires = Nanos(0);
        }
        let mut new = Order::replacing(old, replace, instructions);
        if !self.has_room(&new, Some(old)) {
            return Err(RejectReason::InvalidQuantity);
        }
        if let Some(reason) = self.senseless(&new, Some(old), now) {
            return Err(reason);
        }
        let rests = self.sides[old.side as usize].iter().any(|order| order.id == old.id);
        let but_for_expiry = |of: Instructions| Instructions { expires: Nanos(0), ..of };
        let kept = replace.priority == ReplacePriority::KeepWherePossible
            && rests
            && new.may_rest()
            && new.order_type == OrderType::Limit
            && new.price == old.price
            && new.leaves <= old.leaves
            && but_for_expiry(new.instructions) == but_for_expiry(old.instructions);
        if kept {
            // The place is kept, and with it what it shows.
            new.part = old.part;
            new.refreshes = old.refreshes;
            new.shrink_to(new.leaves);
        } else if let Some(reason) = self.post(&mut new) {
            return Err(reason);
        }
        Ok((new, kept))
    }

    /// Whether its side has room for all of it, without the order that it replaces.
    fn has_room(&self, new: &Order, old: Option<&Order>) -> bool {
        let needs_room = new.may_rest() || new.waits_for_trigger();
        let others = self.open(new.side) - old.map_or(0, |old| u128::from(old.leaves));
        !needs_room || others + u128::from(new.leaves) <= u128::from(u64::MAX)
    }

    /// "What makes no sense", line by line.
    fn senseless(&self, new: &Order, old: Option<&Order>, now: Nanos) -> Option<RejectReason> {
        let Instructions { trigger, display, execution, self_trade: _, expires } = new.instructions;
        let until_date = new.time_in_force == TimeInForce::GoodTillDate;
        let all_at_once = new.time_in_force == TimeInForce::FillOrKill;
        let at_once = all_at_once || new.time_in_force == TimeInForce::ImmediateOrCancel;
        let rests_at_a_limit = new.may_rest() && new.order_type == OrderType::Limit;
        let post_only = matches!(execution, Execution::PostOnly(_));

        if until_date != (expires != Nanos(0)) {
            return Some(RejectReason::InvalidTimeInForce);
        }
        if until_date && expires <= now {
            return Some(RejectReason::Expired);
        }
        if trigger != Trigger::None && at_once {
            return Some(RejectReason::InvalidTimeInForce);
        }
        if let Display::Iceberg { peak, spread, .. } = display
            && (peak == Quantity::ZERO
                || u64::from(spread) >= peak.lots()
                || u128::from(new.leaves) > PARTS_MAX * u128::from(peak.lots() - u64::from(spread)))
        {
            return Some(RejectReason::InvalidDisplay);
        }
        if display != Display::Full && !rests_at_a_limit {
            return Some(RejectReason::InvalidDisplay);
        }
        if new.order_type == OrderType::MarketToLimit && all_at_once {
            return Some(RejectReason::InvalidTimeInForce);
        }
        if let Execution::Minimum(minimum) = execution
            && (minimum == Quantity::ZERO || minimum.lots() > new.leaves || all_at_once)
        {
            return Some(RejectReason::InvalidInstructions);
        }
        if execution == Execution::AllOrNone {
            if !rests_at_a_limit || display != Display::Full {
                return Some(RejectReason::InvalidInstructions);
            }
            let all = self.sides.iter().flatten().chain(&self.stops);
            let others = all
                .filter(|order| order.instructions.execution == Execution::AllOrNone)
                .filter(|order| old.is_none_or(|old| old.id != order.id));
            if others.count() >= ALL_OR_NONE_MAX {
                return Some(RejectReason::TooManyOrders);
            }
        }
        if post_only && (!rests_at_a_limit || trigger != Trigger::None) {
            return Some(RejectReason::InvalidInstructions);
        }
        if let Trigger::Trailing { ticks } = trigger {
            if ticks == 0 {
                return Some(RejectReason::InvalidInstructions);
            }
            let trailing = |stop: &&Order| matches!(stop.instructions.trigger, Trigger::Trailing { .. });
            let others =
                self.stops.iter().filter(trailing).filter(|stop| old.is_none_or(|old| old.id != stop.id));
            if others.count() >= TRAILING_MAX {
                return Some(RejectReason::TooManyStops);
            }
        }
        None
    }

    /// Post-only: the reason when it is refused. It may slide.
    fn post(&self, new: &mut Order) -> Option<RejectReason> {
        let Execution::PostOnly(post_only) = new.instructions.execution else { return None };
        let best = self.best_for(new)?;
        let (reaches, short_of_it) = match new.side {
            Side::Buy => (new.price >= best, Price::new(best.ticks() - 1)),
            Side::Sell => (new.price <= best, Price::new(best.ticks() + 1)),
        };
        if !reaches {
            return None;
        }
        match (post_only, short_of_it) {
            (PostOnly::Slide, Some(price)) if new.price.ticks() <= 0 || price.ticks() > 0 => {
                new.price = price;
                None
            }
            _ => Some(RejectReason::WouldTrade),
        }
    }

    /// An order that was accepted comes in, or waits when it has a trigger. `follows` is the trigger of the trailing
    /// stop that it goes on with.
    fn admit(&mut self, new: Order, follows: Option<Option<Price>>, doing: &mut Doing<'_>) {
        if new.waits_for_trigger() { self.wait(new, follows, doing) } else { self.come_in(new, doing) }
    }
}
