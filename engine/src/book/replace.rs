//! A new order in an old one's place.

use domain::{
    AccountId, CancelReason, EventKind, EventSink, Instructions, OrderType, Owner, Price, Quantity,
    RejectReason, ReplaceOrder, ReplacePriority, TimeInForce,
};

use super::Book;
use super::cells::Cell;
use super::matching::{Taker, may_rest};
use super::side::key_of;

impl Book {
    #[inline(always)]
    pub(super) fn replace<S: EventSink>(&mut self, replace: &ReplaceOrder, events: &mut S) {
        let found = self.find_original(replace);
        let is_plain = found.is_some_and(|cell| !self.cells[cell].is_special())
            && replace.order_type != OrderType::MarketToLimit
            && replace.time_in_force != TimeInForce::GoodTillDate;
        match found {
            Some(cell) if is_plain => self.replace_plain(cell, replace, events),
            // A copy, as in `enter`.
            _ => self.replace_special(&{ *replace }, None, events),
        }
    }

    /// The cell of the order that is to be replaced.
    #[inline(always)]
    pub(super) fn find_original(&self, replace: &ReplaceOrder) -> Option<u32> {
        let original = Owner { session: replace.owner.session, client_ref: replace.original };
        self.find_owned(replace.order.number(), original)
    }

    /// Counts the new order's number.
    #[inline(always)]
    pub(super) fn count_replacement(&mut self, replace: &ReplaceOrder) {
        assert!(replace.new_order.instrument() == self.instrument, "a replacement in another instrument");
        self.numbers.count(replace.new_order.number());
    }

    #[inline(always)]
    fn replace_plain<S: EventSink>(&mut self, cell: u32, replace: &ReplaceOrder, events: &mut S) {
        // An old order may leave the near window by this; it is found all the same.
        self.count_replacement(replace);
        let resting = &self.cells[cell];
        let (open, executed, side, account) = (resting.open, resting.executed, resting.side(), resting.tally);
        let leaves = replace.total.lots().saturating_sub(executed);
        let rests = may_rest(replace.order_type, replace.time_in_force);
        let others = self.sides[side as usize].open() - open;
        if leaves == 0 || (rests && others.checked_add(leaves).is_none()) {
            return self.refuse_replacement(cell, &{ *replace }, RejectReason::InvalidQuantity, events);
        }
        let kept = rests
            && replace.priority == ReplacePriority::KeepWherePossible
            && key_of(side, replace.price) == self.cells[resting.level].key()
            && leaves <= open;
        if kept {
            self.renew(cell, replace, open - leaves);
        } else {
            self.remove_plain(cell);
        }
        self.say_replaced(replace, side, replace.price, leaves, kept, events);
        if !kept {
            let mut taker = Taker {
                number: replace.new_order.number(),
                owner: replace.owner,
                account: AccountId(account),
                side,
                order_type: replace.order_type,
                time_in_force: replace.time_in_force,
                price: replace.price,
                leaves,
                executed,
            };
            self.execute(&mut taker, events);
        }
    }

    /// The new order takes the old one's place in the queue, with so much less open.
    #[inline(always)]
    pub(super) fn renew(&mut self, cell: u32, replace: &ReplaceOrder, by: u64) {
        if by > 0 {
            self.reduce_cell(cell, by);
        }
        let order = &mut self.cells[cell];
        let (old, new) = (order.number(), replace.new_order.number());
        order.tag = Cell::order_tag(new, order.side(), replace.time_in_force, order.is_special());
        order.owner = replace.owner;
        self.numbers.remove(old);
        self.numbers.insert(new, cell);
    }

    #[inline(always)]
    pub(super) fn say_replaced<S: EventSink>(
        &mut self,
        replace: &ReplaceOrder,
        side: domain::Side,
        price: Price,
        leaves: u64,
        kept_priority: bool,
        events: &mut S,
    ) {
        let replaced = EventKind::Replaced {
            old: replace.order,
            original: replace.original,
            order: replace.new_order,
            owner: replace.owner,
            side,
            price,
            leaves: Quantity(leaves),
            kept_priority,
        };
        self.say(events, replaced);
    }

    /// The replacement cannot be, and so the old order goes too.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse_replacement<S: EventSink>(
        &mut self,
        cell: u32,
        replace: &ReplaceOrder,
        reason: RejectReason,
        events: &mut S,
    ) {
        self.cancel_cell(cell, CancelReason::InvalidReplacement, events);
        self.reject_replacement(replace, reason, events);
    }

    #[cold]
    #[inline(never)]
    fn reject_replacement<S: EventSink>(
        &mut self,
        replace: &ReplaceOrder,
        reason: RejectReason,
        events: &mut S,
    ) {
        let ReplaceOrder { order: old, original, new_order: order, owner, .. } = *replace;
        self.say(events, EventKind::ReplaceRejected { old, original, order, owner, reason });
    }

    /// Replaces an order when the old one or the new one is special, or there is no old one. The new one has these
    /// instructions, or those of the old.
    #[cold]
    #[inline(never)]
    pub(super) fn replace_special<S: EventSink>(
        &mut self,
        replace: &ReplaceOrder,
        instructions: Option<&Instructions>,
        events: &mut S,
    ) {
        let found = self.find_original(replace);
        self.count_replacement(replace);
        let Some(cell) = found else {
            return self.reject_replacement(replace, RejectReason::UnknownOrder, events);
        };
        let old = self.instructions(cell);
        let mut new = instructions.copied().unwrap_or(old);
        if instructions.is_none() && replace.time_in_force != TimeInForce::GoodTillDate {
            new.expires = Instructions::NONE.expires;
        }
        let (open, side) = (self.open_of(cell), self.cells[cell].side());
        let (executed, account) = (self.cells[cell].executed, self.account(cell));
        let mut taker = Taker {
            number: replace.new_order.number(),
            owner: replace.owner,
            account,
            side,
            order_type: replace.order_type,
            time_in_force: replace.time_in_force,
            price: replace.price,
            leaves: replace.total.lots().saturating_sub(executed),
            executed,
        };
        let others = self.sides[side as usize].open() - open;
        let no_room = taker.needs_room(&new) && others.checked_add(taker.leaves).is_none();
        let refused = if taker.leaves == 0 || no_room {
            Err(RejectReason::InvalidQuantity)
        } else {
            self.check_instructions(&taker, &new, Some(cell))
        };
        let kept = replace.priority == ReplacePriority::KeepWherePossible
            && replace.order_type == OrderType::Limit
            && replace.time_in_force.rests()
            && Some(key_of(side, replace.price)) == self.resting_key(cell)
            && taker.leaves <= open
            && Instructions { expires: old.expires, ..new } == old;
        let refused = match refused {
            Ok(()) if !kept => self.post(&mut taker, &new),
            other => other,
        };
        if let Err(reason) = refused {
            return self.refuse_replacement(cell, replace, reason, events);
        }
        if kept {
            let leaves = taker.leaves;
            self.drop_expiry(cell);
            self.renew(cell, replace, open - leaves);
            self.set_expiry(cell, new.expires);
            self.say_replaced(replace, side, replace.price, leaves, true, events);
            if leaves < open && self.cells[cell].is_special() {
                self.retry_reduced(cell, events);
            }
            return;
        }
        // A plain replacement of a stop that trails keeps where its trigger is.
        let trigger = if instructions.is_none() { self.trigger(cell) } else { None };
        if self.cells[cell].is_special() {
            self.remove_special(cell);
        } else {
            self.remove_plain(cell);
        }
        self.say_replaced(replace, side, taker.price, taker.leaves, false, events);
        self.come_in(&mut taker, &new, trigger, events);
    }
}
