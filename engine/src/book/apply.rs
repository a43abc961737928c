//! Commands to events: one function for each command. `docs/matching.md` has the rules in full.

use domain::{
    CancelOrder, CancelReason, ClientRef, Command, EnterOrder, EventKind, EventSink, Nanos, OrderId,
    Quantity, ReduceOrder, RejectReason, ReplaceOrder, ReplacePriority, Sequence, Sequenced, SessionId, Side,
    TimeInForce,
};

use super::matching::{Incoming, may_rest};
use super::side::key_of;
use super::{Book, say};

impl Book {
    /// Applies one command and says what it did. Total: whatever the command asks, the answer is events.
    /// Commands that touch no book (refused requests, definitions) are ignored and leave no trace.
    ///
    /// # Panics
    /// When the commands are not this book's, each once and in sequence, which is a programmer's error and
    /// checked in release builds too: a command for another instrument, a sequence that is not above the last,
    /// an order number that is not the next.
    pub fn apply<S: EventSink>(&mut self, command: &Sequenced<Command>, events: &mut S) {
        let Sequenced { sequence, nanos, ref command } = *command;
        if command.instrument().is_none() && !command.is_market_wide() {
            return;
        }
        if let Some(instrument) = command.instrument() {
            assert!(
                instrument == self.instrument,
                "a command for {instrument} in the book of {}",
                self.instrument
            );
        }
        assert!(
            sequence > self.last_sequence,
            "command {sequence} after {}: the book's commands are not in sequence",
            self.last_sequence
        );
        self.last_sequence = sequence;
        self.counters.commands += 1;
        events.begin(sequence, nanos, self.instrument);
        match command {
            Command::Enter(enter) => self.enter(enter, sequence, nanos, events),
            Command::Cancel(cancel) => self.cancel(cancel, events),
            Command::Reduce(reduce) => self.reduce(reduce, events),
            Command::Replace(replace) => self.replace(replace, sequence, nanos, events),
            Command::EndOfDay => self.end_of_day(events),
            _ => {}
        }
        if cfg!(debug_assertions) {
            self.check_now_and_then();
        }
    }

    fn enter<S: EventSink>(&mut self, enter: &EnterOrder, sequence: Sequence, nanos: Nanos, events: &mut S) {
        self.orders.count(enter.order.number());
        // Checked against the whole order, before it trades, so that the answer does not depend on the other
        // side of the book.
        let fits = !may_rest(enter.order_type, enter.time_in_force)
            || self.sides[enter.side as usize].open().checked_add(enter.quantity.lots()).is_some();
        if enter.quantity.is_zero() || !fits {
            let reason = RejectReason::InvalidQuantity;
            self.say(events, EventKind::Rejected { order: enter.order, owner: enter.owner, reason });
            return;
        }
        self.say(
            events,
            EventKind::Accepted {
                order: enter.order,
                owner: enter.owner,
                side: enter.side,
                order_type: enter.order_type,
                time_in_force: enter.time_in_force,
                price: enter.price,
                quantity: enter.quantity,
            },
        );
        let incoming = Incoming {
            order: enter.order,
            owner: enter.owner,
            account: enter.account,
            side: enter.side,
            order_type: enter.order_type,
            time_in_force: enter.time_in_force,
            price: enter.price,
            leaves: enter.quantity.lots(),
            executed: 0,
            sequence,
            nanos,
        };
        self.execute(incoming, events);
    }

    fn cancel<S: EventSink>(&mut self, cancel: &CancelOrder, events: &mut S) {
        match self.find_owned(cancel.order, cancel.owner.session, cancel.owner.client_ref) {
            Some(cell) => self.cancel_resting(cell, cancel.reason, events),
            None => self.say(
                events,
                EventKind::CancelRejected {
                    order: cancel.order,
                    owner: cancel.owner,
                    reason: RejectReason::UnknownOrder,
                },
            ),
        }
    }

    fn reduce<S: EventSink>(&mut self, reduce: &ReduceOrder, events: &mut S) {
        let ReduceOrder { order, owner, total, kind } = *reduce;
        let Some(cell) = self.find_owned(order, owner.session, owner.client_ref) else {
            let reason = RejectReason::UnknownOrder;
            self.say(events, EventKind::CancelRejected { order, owner, reason });
            return;
        };
        let resting = &self.slab[cell];
        let leaves = total.lots().saturating_sub(resting.executed);
        if leaves >= resting.leaves {
            let reason = RejectReason::InvalidQuantity;
            self.say(events, EventKind::CancelRejected { order, owner, reason });
        } else if leaves == 0 {
            self.cancel_resting(cell, CancelReason::Requested, events);
        } else {
            let quantity = resting.leaves - leaves;
            self.sides[resting.side as usize].reduce(&mut self.slab, cell, quantity);
            let (quantity, leaves) = (Quantity(quantity), Quantity(leaves));
            self.say(events, EventKind::Reduced { order, owner, quantity, leaves, kind });
        }
    }

    fn replace<S: EventSink>(
        &mut self,
        replace: &ReplaceOrder,
        sequence: Sequence,
        nanos: Nanos,
        events: &mut S,
    ) {
        let ReplaceOrder { order: old, original, new_order, owner, order_type, time_in_force, price, .. } =
            *replace;
        assert!(new_order.instrument() == self.instrument, "a replacement in another instrument");
        self.orders.count(new_order.number());
        let Some(cell) = self.find_owned(old, owner.session, original) else {
            let reason = RejectReason::UnknownOrder;
            self.say(events, EventKind::ReplaceRejected { old, original, order: new_order, owner, reason });
            return;
        };
        let resting = self.slab[cell];
        let side = &mut self.sides[resting.side as usize];
        let leaves = replace.total.lots().saturating_sub(resting.executed);
        let others = side.open() - resting.leaves;
        if leaves == 0 || (may_rest(order_type, time_in_force) && others.checked_add(leaves).is_none()) {
            self.cancel_resting(cell, CancelReason::InvalidReplacement, events);
            let reason = RejectReason::InvalidQuantity;
            self.say(events, EventKind::ReplaceRejected { old, original, order: new_order, owner, reason });
            return;
        }

        let kept_priority = replace.priority == ReplacePriority::KeepWherePossible
            && may_rest(order_type, time_in_force)
            && key_of(resting.side, price) == resting.key
            && leaves <= resting.leaves;
        self.orders.remove(old.number());
        if kept_priority {
            if leaves < resting.leaves {
                side.reduce(&mut self.slab, cell, resting.leaves - leaves);
            }
            let renewed = &mut self.slab[cell];
            renewed.order = new_order;
            renewed.owner = owner;
            renewed.time_in_force = time_in_force;
            self.orders.insert(new_order.number(), cell);
        } else {
            side.unlink(&mut self.slab, cell);
            self.slab.remove(cell);
        }
        self.say(
            events,
            EventKind::Replaced {
                old,
                original,
                order: new_order,
                owner,
                side: resting.side,
                price,
                leaves: Quantity(leaves),
                kept_priority,
            },
        );
        if !kept_priority {
            let incoming = Incoming {
                order: new_order,
                owner,
                account: resting.account,
                side: resting.side,
                order_type,
                time_in_force,
                price,
                leaves,
                executed: resting.executed,
                sequence,
                nanos,
            };
            self.execute(incoming, events);
        }
    }

    fn end_of_day<S: EventSink>(&mut self, events: &mut S) {
        for side in [Side::Buy, Side::Sell] {
            self.sides[side as usize].remove_where(&mut self.slab, |order| {
                if order.time_in_force != TimeInForce::Day {
                    return false;
                }
                self.orders.remove(order.order.number());
                let canceled = EventKind::Canceled {
                    order: order.order,
                    owner: order.owner,
                    quantity: Quantity(order.leaves),
                    reason: CancelReason::EndOfDay,
                };
                say(&mut self.counters, events, canceled);
                true
            });
        }
    }

    /// Takes an order out of the book and says so.
    fn cancel_resting<S: EventSink>(&mut self, cell: u32, reason: CancelReason, events: &mut S) {
        let resting = self.slab[cell];
        self.sides[resting.side as usize].unlink(&mut self.slab, cell);
        self.slab.remove(cell);
        self.orders.remove(resting.order.number());
        let (order, owner, quantity) = (resting.order, resting.owner, Quantity(resting.leaves));
        self.say(events, EventKind::Canceled { order, owner, quantity, reason });
    }

    /// The cell of a resting order, when it is the session's and has that number of the session's.
    #[inline]
    fn find_owned(&self, order: OrderId, session: SessionId, client_ref: ClientRef) -> Option<u32> {
        let cell = self.orders.find(order.number())?;
        let owner = self.slab[cell].owner;
        (owner.session == session && owner.client_ref == client_ref).then_some(cell)
    }

    #[inline]
    fn say<S: EventSink>(&mut self, events: &mut S, kind: EventKind) {
        say(&mut self.counters, events, kind);
    }
}
