//! The session layer: the client's messages to commands, the book's events to reports.
//!
//! The client's 64-bit id travels through the book as the order's owner (upper half the session, lower half the
//! session's own number), so an event brings it back. From an id to an order leads [`Ids`], which holds the orders
//! that rest, and no others: one is taken in when its own command has left something open, and removed when it is
//! canceled or an event says that nothing is left of it.

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Echo, EnterOrder, EventKind, EventSink,
    InstrumentId, Nanos, OrderId, OrderType, Owner, Price, Quantity, ReplaceOrder, ReplacePriority, Sequence,
    SessionId, Side, TimeInForce,
};
use engine::book::Book;

use crate::{
    ids::{Ids, OpenOrder},
    message::{Cancel, Order, Report, said},
    outlet::Outlet,
};

/// The one instrument.
const INSTRUMENT: InstrumentId = InstrumentId(0);
/// The referee's messages say nothing of an account.
const ACCOUNT: AccountId = AccountId(1);
/// Resting orders for which memory is there from the start, with the book and with their ids.
const ORDERS: u32 = 1 << 16;

/// One client, one book.
pub(crate) struct Session<O> {
    book: Book,
    /// The last command's place. It is its time as well: a nanosecond a command.
    sequence: u64,
    desk: Desk<O>,
}

/// Makes reports of events.
struct Desk<O> {
    outlet: O,
    ids: Ids,
    /// Of the message at hand.
    sequence_number: u64,
    /// The side of its order, as the referee writes it.
    side: u8,
    /// The price of its order.
    price_ticks: i64,
    /// What is open of its order.
    leaves: Quantity,
}

const fn owner_of(id: u64) -> Owner {
    Owner { session: SessionId((id >> 32) as u32), client_ref: ClientRef(id as u32) }
}

const fn id_of(owner: Owner) -> u64 {
    (owner.session.0 as u64) << 32 | owner.client_ref.0 as u64
}

/// What fits a report: every quantity here came in as 32 bits.
const fn lots(quantity: Quantity) -> u32 {
    quantity.0 as u32
}

impl<O: Outlet> Session<O> {
    pub(crate) fn new(outlet: O) -> Self {
        let ids = Ids::with_room_for(ORDERS as usize);
        let desk = Desk { outlet, ids, sequence_number: 0, side: 0, price_ticks: 0, leaves: Quantity::ZERO };
        let mut book = Book::new(INSTRUMENT);
        book.reserve(ORDERS);
        Self { book, sequence: 0, desk }
    }

    pub(crate) const fn book(&self) -> &Book {
        &self.book
    }

    /// Makes every report so far visible.
    #[inline]
    pub(crate) fn publish(&mut self) {
        self.desk.outlet.publish();
    }

    /// A new order. The ABI has no report that refuses one: a quantity of 0 and the two extremes of the price, which
    /// no order can have, get no report.
    #[inline(always)]
    pub(crate) fn enter(&mut self, new: &Order) {
        let Some(price) = Price::new(new.price_ticks) else { return };
        // The table of ids is the one thing here that outgrows the nearer caches; the book works while its line comes.
        self.desk.ids.expect(new.order_id);
        self.desk.at_hand(new.sequence_number, new.side, new.price_ticks);
        let order = self.next_order();
        let (sequence, nanos) = self.next_place();
        let enter = EnterOrder {
            order,
            owner: owner_of(new.order_id),
            account: ACCOUNT,
            side: if new.side == 0 { Side::Buy } else { Side::Sell },
            order_type: OrderType::Limit,
            time_in_force: if new.ioc == 0 {
                TimeInForce::GoodTillCancel
            } else {
                TimeInForce::ImmediateOrCancel
            },
            price,
            quantity: Quantity(u64::from(new.quantity)),
            client_order_id: ClientOrderId::BLANK,
            echo: Echo::default(),
        };
        self.book.apply_enter(sequence, nanos, &enter, &mut self.desk);
        if !self.desk.leaves.is_zero() {
            self.desk.ids.insert(new.order_id, order, new.side, new.price_ticks);
        }
    }

    /// A cancel.
    #[inline(always)]
    pub(crate) fn cancel(&mut self, cancel: &Cancel) {
        let Some(at) = self.desk.ids.find(cancel.order_id) else {
            self.desk.refuse(said::CANCEL_REJECT, cancel.sequence_number, cancel.order_id);
            return;
        };
        let OpenOrder { order, side, price_ticks, .. } = *self.desk.ids.order(at);
        self.desk.at_hand(cancel.sequence_number, side, price_ticks);
        self.desk.ids.remove(at);
        let owner = owner_of(cancel.order_id);
        let (sequence, nanos) = self.next_place();
        let cancel = CancelOrder { order, owner, reason: CancelReason::Requested };
        self.book.apply_cancel(sequence, nanos, &cancel, &mut self.desk);
    }

    /// A new price and quantity: another order takes its place, behind those at its price.
    #[inline(always)]
    pub(crate) fn modify(&mut self, modify: &Order) {
        let (Some(at), Some(price)) = (self.desk.ids.find(modify.order_id), Price::new(modify.price_ticks))
        else {
            self.desk.refuse(said::MODIFY_REJECT, modify.sequence_number, modify.order_id);
            return;
        };
        let OpenOrder { order, side, .. } = *self.desk.ids.order(at);
        let executed = self.book.executed(order).expect("what the session layer holds for open is open");
        self.desk.at_hand(modify.sequence_number, side, modify.price_ticks);
        let new_order = self.next_order();
        self.desk.ids.replace(at, new_order, modify.price_ticks);
        let owner = owner_of(modify.order_id);
        let (sequence, nanos) = self.next_place();
        let replace = ReplaceOrder {
            order,
            original: owner.client_ref,
            new_order,
            owner,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            price,
            // 32 bits beside what was executed in steps of 32 bits: no stream is long enough for it to overflow.
            total: Quantity(executed.lots() + u64::from(modify.quantity)),
            priority: ReplacePriority::Lose,
            client_order_id: ClientOrderId::BLANK,
            echo: Echo::default(),
        };
        self.book.apply_replace(sequence, nanos, &replace, &mut self.desk);
        if self.desk.leaves.is_zero() {
            self.desk.ids.remove_order(modify.order_id, new_order);
        }
    }

    #[inline]
    fn next_order(&self) -> OrderId {
        OrderId::of(INSTRUMENT, self.book.next_order_number())
    }

    /// The next command's place and time.
    #[inline(always)]
    fn next_place(&mut self) -> (Sequence, Nanos) {
        self.sequence += 1;
        (Sequence(self.sequence), Nanos(self.sequence))
    }
}

impl<O: Outlet> Desk<O> {
    #[inline(always)]
    fn at_hand(&mut self, sequence_number: u64, side: u8, price_ticks: i64) {
        self.sequence_number = sequence_number;
        self.side = side;
        self.price_ticks = price_ticks;
        self.leaves = Quantity::ZERO;
    }

    /// The session layer's own answer: no such order rests, so there is nothing for a book to do.
    #[inline]
    fn refuse(&mut self, kind: u8, sequence_number: u64, id: u64) {
        self.outlet.put(Report::of_order(kind, sequence_number, id, 0, 0, 0));
    }
}

impl<O: Outlet> EventSink for Desk<O> {
    #[inline]
    fn begin(&mut self, _: Sequence, _: Nanos, _: InstrumentId) {}

    // Where the book says what it did it knows which kind that is, so that little of this is left there; as a call
    // it would have to write the event to memory and find out.
    #[inline(always)]
    fn push(&mut self, kind: EventKind) {
        match kind {
            EventKind::Accepted { owner, side, price, quantity, .. } => {
                self.leaves = quantity;
                self.outlet.put(Report::of_order(
                    said::ORDER_ACK,
                    self.sequence_number,
                    id_of(owner),
                    side as u8,
                    price.ticks(),
                    lots(quantity),
                ));
            }
            EventKind::Traded {
                price,
                quantity,
                taker_side,
                maker,
                maker_owner,
                maker_leaves,
                taker_owner,
                taker_leaves,
                ..
            } => {
                self.leaves = taker_leaves;
                let mut report = Report::of_order(
                    said::TRADE,
                    self.sequence_number,
                    id_of(taker_owner),
                    taker_side as u8,
                    price.ticks(),
                    lots(quantity),
                );
                report.maker_order_id = id_of(maker_owner);
                report.taker_order_id = id_of(taker_owner);
                self.outlet.put(report);
                if maker_leaves.is_zero() {
                    self.ids.remove_order(id_of(maker_owner), maker);
                }
            }
            EventKind::Canceled { owner, quantity, .. } => {
                self.leaves = Quantity::ZERO;
                self.outlet.put(Report::of_order(
                    said::CANCEL_ACK,
                    self.sequence_number,
                    id_of(owner),
                    self.side,
                    self.price_ticks,
                    lots(quantity),
                ));
            }
            EventKind::Replaced { owner, side, price, leaves, .. } => {
                self.leaves = leaves;
                self.outlet.put(Report::of_order(
                    said::MODIFY_ACK,
                    self.sequence_number,
                    id_of(owner),
                    side as u8,
                    price.ticks(),
                    lots(leaves),
                ));
            }
            EventKind::CancelRejected { owner, .. } => {
                self.refuse(said::CANCEL_REJECT, self.sequence_number, id_of(owner));
            }
            EventKind::ReplaceRejected { owner, .. } => {
                self.refuse(said::MODIFY_REJECT, self.sequence_number, id_of(owner));
            }
            // A new order of no lots, see `enter`; the others are said of orders that the referee cannot enter.
            EventKind::Rejected { .. }
            | EventKind::Reduced { .. }
            | EventKind::Triggered { .. }
            | EventKind::Refreshed { .. }
            | EventKind::Restated { .. }
            | EventKind::Decremented { .. }
            | EventKind::MassCanceled { .. }
            | EventKind::Paused { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
