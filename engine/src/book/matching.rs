//! What an incoming order does: trade with the other side, then rest or be gone.
//!
//! Strict price-time priority: the best price first, at one price the first in the queue; every trade is at the
//! resting order's price. The same path serves new orders and replacements that have lost their place.

use domain::{
    AccountId, CancelReason, EventKind, EventSink, Nanos, OrderId, OrderType, Owner, Price, Quantity,
    Sequence, Side, TimeInForce, TradeId,
};

use super::side::{ANY, key_of, price_of};
use super::slab::{Cell, NIL};
use super::view::LastTrade;
use super::{Book, say};

/// An order on its way through the book.
#[derive(Clone, Copy)]
pub(super) struct Incoming {
    pub(super) order: OrderId,
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
    pub(super) sequence: Sequence,
    pub(super) nanos: Nanos,
}

/// Whether what is not filled at once rests: limit orders that live on.
#[inline]
pub(super) const fn may_rest(order_type: OrderType, time_in_force: TimeInForce) -> bool {
    matches!(order_type, OrderType::Limit) && time_in_force.rests()
}

impl Book {
    /// Trades what can be traded; what is left rests or is canceled. When the order may rest, the caller has
    /// made sure that its side has room for all of it.
    #[inline]
    pub(super) fn execute<S: EventSink>(&mut self, mut taker: Incoming, events: &mut S) {
        let key = key_of(taker.side, taker.price);
        let limit = match taker.order_type {
            OrderType::Limit => !key,
            _ => ANY,
        };
        let makers = &self.sides[taker.side.opposite() as usize];
        if taker.time_in_force == TimeInForce::FillOrKill && !makers.can_fill(limit, taker.leaves) {
            self.cancel_rest(&taker, CancelReason::FillOrKill, events);
            return;
        }
        if makers.best() >= limit {
            self.trade(&mut taker, limit, events);
            if taker.leaves == 0 {
                return;
            }
        }
        match taker.order_type {
            OrderType::Market | OrderType::MarketToLimit => {
                self.cancel_rest(&taker, CancelReason::NoLiquidity, events)
            }
            OrderType::Limit if taker.time_in_force.rests() => self.rest(&taker, key),
            OrderType::Limit => self.cancel_rest(&taker, CancelReason::ImmediateOrCancel, events),
        }
    }

    /// Trades until the order is filled or the other side has nothing left within the limit.
    fn trade<S: EventSink>(&mut self, taker: &mut Incoming, limit: i64, events: &mut S) {
        let maker_side = taker.side.opposite();
        let makers = &mut self.sides[maker_side as usize];
        while taker.leaves > 0 && makers.best() >= limit {
            let price = price_of(maker_side, makers.best());
            makers.take_best(&mut self.slab, taker.leaves, |maker, quantity| {
                taker.leaves -= quantity;
                // Cannot overflow: leaves + executed, which fits, stays the same.
                taker.executed += quantity;
                let trade = TradeId::new(self.instrument, self.counters.trades + 1);
                let quantity = Quantity(quantity);
                self.last_trade = Some(LastTrade { trade, price, quantity });
                if maker.leaves == 0 {
                    self.orders.remove(maker.order.number());
                }
                say(
                    &mut self.counters,
                    events,
                    EventKind::Traded {
                        trade,
                        price,
                        quantity,
                        taker_side: taker.side,
                        maker: maker.order,
                        maker_owner: maker.owner,
                        maker_leaves: Quantity(maker.leaves),
                        taker: taker.order,
                        taker_owner: taker.owner,
                        taker_leaves: Quantity(taker.leaves),
                    },
                );
            });
        }
    }

    /// Queues what is left at its price, behind those that are there.
    fn rest(&mut self, order: &Incoming, key: i64) {
        let cell = self.slab.insert(Cell {
            order: order.order,
            key,
            leaves: order.leaves,
            executed: order.executed,
            owner: order.owner,
            account: order.account,
            next: NIL,
            prev: NIL,
            side: order.side,
            time_in_force: order.time_in_force,
            queued_by: order.sequence,
            queued_at: order.nanos,
        });
        self.sides[order.side as usize].push(&mut self.slab, cell);
        self.orders.insert(order.order.number(), cell);
    }

    /// Says that what is left of an incoming order is gone.
    fn cancel_rest<S: EventSink>(&mut self, order: &Incoming, reason: CancelReason, events: &mut S) {
        say(
            &mut self.counters,
            events,
            EventKind::Canceled {
                order: order.order,
                owner: order.owner,
                quantity: Quantity(order.leaves),
                reason,
            },
        );
    }
}
