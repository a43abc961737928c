//! What an incoming plain order does: trade with the other side, then rest or be gone.
//!
//! Strict price-time priority: the best price first, at one price the first in the queue; every trade is at the
//! resting order's price. The same path serves new orders and replacements that have lost their place. Where
//! something special stands in its way it hands over to `special`, which can do all of it, slowly.

use domain::{
    AccountId, CancelReason, EnterOrder, EventKind, EventSink, OrderType, Owner, Price, Quantity, SelfTrade,
    Side, TimeInForce, TradeId,
};

use super::Book;
use super::cells::{Cell, NIL};
use super::side::{ANY, key_of, price_of};

/// An order on its way through the book.
#[derive(Clone, Copy)]
pub(super) struct Taker {
    pub(super) number: u64,
    pub(super) owner: Owner,
    pub(super) account: AccountId,
    pub(super) side: Side,
    pub(super) order_type: OrderType,
    pub(super) time_in_force: TimeInForce,
    /// No meaning for a market order.
    pub(super) price: Price,
    /// What is open; `leaves + executed` fits in a `u64`.
    pub(super) leaves: u64,
    /// What has been executed on it and on those that it replaced.
    pub(super) executed: u64,
}

impl Taker {
    /// A new order.
    #[inline(always)]
    pub(super) const fn of(enter: &EnterOrder) -> Self {
        Self {
            number: enter.order.number(),
            owner: enter.owner,
            account: enter.account,
            side: enter.side,
            order_type: enter.order_type,
            time_in_force: enter.time_in_force,
            price: enter.price,
            leaves: enter.quantity.lots(),
            executed: 0,
        }
    }
}

/// Whether what is not filled at once rests.
#[inline(always)]
pub(super) const fn may_rest(order_type: OrderType, time_in_force: TimeInForce) -> bool {
    !matches!(order_type, OrderType::Market) && time_in_force.rests()
}

/// Why what is left of an order that may not rest is canceled.
#[inline(always)]
pub(super) const fn why_not_rest(order_type: OrderType) -> CancelReason {
    match order_type {
        OrderType::Market => CancelReason::NoLiquidity,
        OrderType::Limit | OrderType::MarketToLimit => CancelReason::ImmediateOrCancel,
    }
}

/// The limit of an order in the key space of the other side.
#[inline(always)]
pub(super) const fn limit_of(order_type: OrderType, side: Side, price: Price) -> i64 {
    match order_type {
        OrderType::Market => ANY,
        OrderType::Limit | OrderType::MarketToLimit => !key_of(side, price),
    }
}

impl Book {
    /// What [`execute`](Self::execute) does, for the commonest order: a limit order that rests until it is canceled, or
    /// for the day. In most cases nothing stands at its limit, and it goes straight to its queue.
    #[inline(always)]
    pub(super) fn execute_resting<S: EventSink>(&mut self, taker: &Taker, events: &mut S) {
        let makers = &self.sides[taker.side.opposite() as usize];
        if makers.best() >= !key_of(taker.side, taker.price) {
            return self.execute(&mut { *taker }, events);
        }
        self.come_to_rest(taker, events);
    }

    /// Trades what can be traded; what is left rests or is canceled. When the order may rest, the caller has
    /// made sure that its side has room for all of it. The order is plain.
    #[inline(never)]
    pub(super) fn execute<S: EventSink>(&mut self, taker: &mut Taker, events: &mut S) {
        let limit = limit_of(taker.order_type, taker.side, taker.price);
        let makers = taker.side.opposite() as usize;
        if taker.time_in_force == TimeInForce::FillOrKill && !self.can_fill(taker, limit) {
            self.cancel_rest(taker, CancelReason::FillOrKill, events);
            return;
        }
        if self.sides[makers].best() >= limit {
            self.sweep(taker, limit, None, events);
            if taker.leaves == 0 {
                return;
            }
        }
        if may_rest(taker.order_type, taker.time_in_force) {
            self.come_to_rest(taker, events);
        } else {
            self.cancel_rest(taker, why_not_rest(taker.order_type), events);
        }
    }

    /// What is left of a plain order rests, and all-or-none orders of the other side may trade with it.
    #[inline(always)]
    fn come_to_rest<S: EventSink>(&mut self, taker: &Taker, events: &mut S) {
        self.rest(taker);
        let makers = taker.side.opposite();
        // Only all-or-none orders can be where the sides cross.
        if self.sides[makers as usize].best() >= !self.sides[taker.side as usize].best() {
            self.retry_all_or_none(makers, events);
        }
    }

    /// Trades until the order is filled or the other side has nothing left within the limit.
    #[inline(never)]
    pub(super) fn sweep<S: EventSink>(
        &mut self,
        taker: &mut Taker,
        limit: i64,
        group: Option<SelfTrade>,
        events: &mut S,
    ) {
        let side = taker.side.opposite();
        while taker.leaves > 0 {
            let makers = &self.sides[side as usize];
            let key = makers.best();
            if key < limit {
                return;
            }
            if group.is_some() || key <= makers.unseen() {
                return self.careful_sweep(taker, limit, group, events);
            }
            self.take_level(taker, side, key, events);
        }
    }

    /// Trades with the orders of a level until the taker is filled or the level is gone.
    #[inline(always)]
    fn take_level<S: EventSink>(&mut self, taker: &mut Taker, side: Side, key: i64, events: &mut S) {
        let level = self.sides[side as usize].level(key);
        let price = price_of(side, key);
        // What the level and the side do not know yet.
        let (mut filled, mut gone) = (0, 0);
        let mut cell = self.cells[level].next;
        while cell != level {
            let maker = &mut self.cells[cell];
            let (shown, next, number, is_special) =
                (maker.open, maker.next, maker.number(), maker.is_special());
            let maker_owner = maker.owner;
            let quantity = shown.min(taker.leaves);
            // Cannot overflow: leaves + executed, which fits, stays the same.
            taker.leaves -= quantity;
            taker.executed += quantity;
            maker.open = shown - quantity;
            maker.executed += quantity;
            filled += quantity;
            let mut maker_leaves = shown - quantity;
            if is_special {
                maker_leaves += self.hidden_part(cell);
            }
            self.trade(taker, number, maker_owner, maker_leaves, price, quantity, events);
            if shown != quantity {
                break;
            }
            if is_special {
                // The links and sums must be true before a special order goes, or shows its next part.
                self.settle_level(side, level, cell, filled, gone);
                (filled, gone) = (0, 0);
                if maker_leaves > 0 {
                    self.refresh(cell, events);
                } else if self.remove_from_level(cell) {
                    return;
                }
                cell = self.cells[level].next;
            } else {
                self.numbers.remove(number);
                self.cells.put_back(cell);
                gone += 1;
                cell = next;
            }
            if taker.leaves == 0 {
                break;
            }
        }
        self.settle_level(side, level, cell, filled, gone);
        if cell == level {
            self.sides[side as usize].remove_level(&mut self.cells, level);
        }
    }

    /// Tells a level and its side what has been filled, how many orders have gone, and which is the first now.
    #[inline(always)]
    fn settle_level(&mut self, side: Side, level: u32, first: u32, filled: u64, gone: u32) {
        self.sides[side as usize].fill(filled, gone);
        let settled = &mut self.cells[level];
        settled.next = first;
        settled.open -= filled;
        settled.tally -= gone;
        self.cells[first].prev = level;
    }

    /// Says that a trade has happened, with what the maker has left by now, and sees whether it reaches a trigger.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "the two sides of a trade")]
    pub(super) fn trade<S: EventSink>(
        &mut self,
        taker: &Taker,
        maker: u64,
        maker_owner: Owner,
        maker_leaves: u64,
        price: Price,
        quantity: u64,
        events: &mut S,
    ) {
        let trade = TradeId::new(self.instrument, self.counters.trades + 1);
        let quantity = Quantity(quantity);
        self.last_price = price;
        self.last_quantity = quantity;
        self.say(
            events,
            EventKind::Traded {
                trade,
                price,
                quantity,
                taker_side: taker.side,
                maker: self.id(maker),
                maker_owner,
                maker_leaves: Quantity(maker_leaves),
                taker: self.id(taker.number),
                taker_owner: taker.owner,
                taker_leaves: Quantity(taker.leaves),
            },
        );
        if price.ticks() <= self.quiet.0 || price.ticks() >= self.quiet.1 {
            self.reach(price, events);
        }
    }

    /// Queues what is left at its price, behind those that are there.
    #[inline(always)]
    pub(super) fn rest(&mut self, order: &Taker) {
        let cell = self.cells.take();
        self.queue(cell, order, order.leaves, order.account.0, false);
        self.sides[order.side as usize].join(order.leaves);
        // Only a triggered stop comes to rest later than by the command that gave its number.
        if order.number == self.numbers.last() {
            self.numbers.insert_last(cell);
        } else {
            self.numbers.insert(order.number, cell);
        }
    }

    /// Fills a cell with an order and puts it at the end of its level's queue, showing so much of it.
    #[inline(always)]
    pub(super) fn queue(&mut self, cell: u32, order: &Taker, shown: u64, tally: u32, special: bool) {
        let side = &mut self.sides[order.side as usize];
        let (prev, level) = side.enqueue(&mut self.cells, cell, key_of(order.side, order.price), shown);
        let placed = Cell { prev, next: level, level, ..self.filled_cell(order, shown, tally, special) };
        self.cells[cell] = placed;
    }

    /// A cell for an order; it is in no queue yet.
    #[inline(always)]
    pub(super) fn filled_cell(&self, order: &Taker, open: u64, tally: u32, special: bool) -> Cell {
        Cell {
            prev: NIL,
            next: NIL,
            level: NIL,
            tally,
            tag: Cell::order_tag(order.number, order.side, order.time_in_force, special),
            open,
            executed: order.executed,
            owner: order.owner,
            queued_by: self.last_sequence.0,
            queued_at: self.now.0,
        }
    }

    /// Takes an order out of its level and out of the book, with what is still open of it, its cell and its number.
    /// Says whether the level went too.
    #[inline(always)]
    pub(super) fn remove_plain(&mut self, cell: u32) -> bool {
        let order = self.cells.put_back(cell);
        self.numbers.remove(order.number());
        let side = &mut self.sides[order.side() as usize];
        side.leave(order.open);
        // Alone in its ring: before and behind it is the level.
        let was_last = order.prev == order.next;
        if was_last {
            side.remove_level(&mut self.cells, order.level);
        } else {
            self.cells.detach(order.prev, order.next);
            let queue = &mut self.cells[order.level];
            queue.open -= order.open;
            queue.tally = queue.tally.wrapping_sub(1);
        }
        was_last
    }

    /// Says that what is left of an incoming order is gone.
    #[inline(always)]
    pub(super) fn cancel_rest<S: EventSink>(&mut self, order: &Taker, reason: CancelReason, events: &mut S) {
        let canceled = EventKind::Canceled {
            order: self.id(order.number),
            owner: order.owner,
            quantity: Quantity(order.leaves),
            reason,
        };
        self.say(events, canceled);
    }

    /// Whether all of an order can be had at once. Walks the levels' sums from the best, if they are all there is.
    #[inline(never)]
    fn can_fill(&self, taker: &Taker, limit: i64) -> bool {
        let side = taker.side.opposite();
        let makers = &self.sides[side as usize];
        if taker.leaves > makers.open() {
            return false;
        }
        if !makers.is_plain() {
            return self.fillable(side, limit, taker.leaves, None) == taker.leaves;
        }
        // The sum cannot overflow: it never passes the side's.
        let mut found = 0;
        for (key, level) in makers.levels() {
            if found >= taker.leaves || key < limit {
                break;
            }
            found += self.cells[level].open;
        }
        found >= taker.leaves
    }
}
