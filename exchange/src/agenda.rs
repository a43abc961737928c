//! What time alone makes due: which books need a command though nobody asks anything of them.
//!
//! A book does nothing by itself. An order whose date has come stays until its book's next command, and so do triggered
//! stop orders that a command had no more turns for ([`EventKind::Paused`]). Whoever sequences sees to it that such a
//! command comes, [`Command::Advance`]:
//!
//! 1. commands tell of orders that have an expiry, events of those that are gone;
//! 2. [`Agenda::look`] finds the books in which an expiry has come that none of their commands has passed;
//! 3. [`Agenda::ready`] names them, and the paused ones, until a command of theirs is sequenced.
//!
//! It decides when such commands are sequenced, never what they do: they are journaled, and a replay has no agenda. It
//! follows from the journal, so a recovery that folds the same commands and events comes to the same one, and a
//! snapshot needs none: [`Agenda::of`] reads it off the books. It is as large as the orders with an expiry are many.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Command, EnterSpecial, Event, EventKind, InstrumentId, Nanos, OrderId, ReplaceSpecial, Side, TimeInForce,
};
use engine::book::{Book, BookView, RestingOrder, Waiting};

/// Expiries looked at in one turn.
const LOOK_MAX: usize = 4_096;

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Agenda {
    /// When each order ends that ends at a time of its own; from its command to its end.
    expiries: BTreeMap<OrderId, Nanos>,
    /// The same by time, but for those that have been looked at.
    by_time: BTreeSet<(Nanos, OrderId)>,
    /// Books that need a command now.
    ready: BTreeSet<InstrumentId>,
}

impl Agenda {
    /// What these books need, with nothing in flight.
    pub(crate) fn of(books: &[Book]) -> Self {
        let mut agenda = Self::default();
        for book in books {
            let mut see = |order: &RestingOrder| {
                let Some(special) = &order.special else { return };
                agenda.insert(order.order, order.time_in_force, special.instructions.expires);
                if special.waiting == Waiting::ForTurn {
                    agenda.ready.insert(book.instrument());
                }
            };
            for side in [Side::Buy, Side::Sell] {
                BookView::visit(book, side, &mut see);
            }
            book.visit_stops(&mut see);
        }
        agenda
    }

    /// A command has been sequenced: the book that it is for, or all, does now what was due before it.
    #[inline]
    pub(crate) fn on_command(&mut self, command: &Command) {
        if !self.ready.is_empty() {
            match command.instrument() {
                Some(instrument) => {
                    self.ready.remove(&instrument);
                }
                None if command.is_market_wide() => self.ready.clear(),
                None => {}
            }
        }
        match command {
            Command::EnterSpecial(EnterSpecial { enter, instructions }) => {
                self.insert(enter.order, enter.time_in_force, instructions.expires);
            }
            Command::ReplaceSpecial(ReplaceSpecial { replace, instructions }) => {
                self.insert(replace.new_order, replace.time_in_force, instructions.expires);
            }
            // It keeps what the old order had.
            Command::Replace(replace) if !self.expiries.is_empty() => {
                if let Some(expires) = self.expiries.get(&replace.order).copied() {
                    self.insert(replace.new_order, replace.time_in_force, expires);
                }
            }
            _ => {}
        }
    }

    fn insert(&mut self, order: OrderId, time_in_force: TimeInForce, expires: Nanos) {
        // With any other time in force, or without a date, the book refuses the order.
        if time_in_force == TimeInForce::GoodTillDate && expires > Nanos(0) {
            self.expiries.insert(order, expires);
            self.by_time.insert((expires, order));
        }
    }

    /// A book has spoken. `is_latest`: it has been told nothing since the command that this event is of.
    #[inline]
    pub(crate) fn on_event(&mut self, event: &Event, is_latest: impl FnOnce() -> bool) {
        if let EventKind::Paused { .. } = event.kind {
            // A later command goes on with what is left, and says so if there is more.
            if is_latest() {
                self.ready.insert(event.instrument);
            }
        }
        if self.expiries.is_empty() {
            return;
        }
        match event.kind {
            EventKind::Rejected { order, .. }
            | EventKind::Canceled { order, .. }
            | EventKind::ReplaceRejected { order, .. } => self.remove(order),
            EventKind::Replaced { old, .. } => self.remove(old),
            EventKind::Traded { maker, maker_leaves, taker, taker_leaves, .. } => {
                if maker_leaves.is_zero() {
                    self.remove(maker);
                }
                if taker_leaves.is_zero() {
                    self.remove(taker);
                }
            }
            _ => {}
        }
    }

    fn remove(&mut self, order: OrderId) {
        if let Some(expires) = self.expiries.remove(&order) {
            self.by_time.remove(&(expires, order));
        }
    }

    /// Finds the books in which an expiry has come by `now`. `passed` gives the time of a book's last command; what had
    /// come by then is done.
    pub(crate) fn look(&mut self, now: Nanos, passed: impl Fn(InstrumentId) -> Nanos) {
        for _ in 0..LOOK_MAX {
            let Some((expires, order)) = self.by_time.first().copied() else { return };
            if expires > now {
                return;
            }
            self.by_time.pop_first();
            if passed(order.instrument()) < expires {
                self.ready.insert(order.instrument());
            }
        }
    }

    /// The books that need a command now, as far as has been looked.
    pub(crate) fn ready(&self) -> impl Iterator<Item = InstrumentId> {
        self.ready.iter().copied()
    }

    /// Whether nothing is due, now or later.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.by_time.is_empty()
    }

    /// When something is due next: at once, at a time, or never.
    pub(crate) fn next(&self) -> Option<Nanos> {
        if self.ready.is_empty() { self.by_time.first().map(|(at, _)| *at) } else { Some(Nanos(0)) }
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        AccountId, CancelReason, ClientOrderId, ClientRef, Echo, EnterOrder, Instructions, OrderType, Owner,
        Price, Quantity, RejectReason, ReplaceOrder, ReplacePriority, Sequence, SessionId,
    };

    use super::*;

    const OWNER: Owner = Owner { session: SessionId(0), client_ref: ClientRef(1) };

    fn order(instrument: u32, number: u64) -> OrderId {
        OrderId::new(InstrumentId(instrument), number)
    }

    fn enter(order: OrderId, expires: u64) -> Command {
        let enter = EnterOrder {
            order,
            owner: OWNER,
            account: AccountId(0),
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillDate,
            price: Price::new(5).unwrap(),
            quantity: Quantity(1),
            client_order_id: ClientOrderId::BLANK,
            echo: Echo::default(),
        };
        let instructions = Instructions { expires: Nanos(expires), ..Instructions::NONE };
        Command::EnterSpecial(EnterSpecial { enter, instructions })
    }

    fn replace(old: OrderId, new: OrderId, time_in_force: TimeInForce) -> Command {
        Command::Replace(ReplaceOrder {
            order: old,
            original: OWNER.client_ref,
            new_order: new,
            owner: OWNER,
            order_type: OrderType::Limit,
            time_in_force,
            price: Price::new(5).unwrap(),
            total: Quantity(1),
            priority: ReplacePriority::Lose,
            client_order_id: ClientOrderId::BLANK,
            echo: Echo::default(),
        })
    }

    fn event(order: OrderId, kind: EventKind) -> Event {
        let instrument = order.instrument();
        Event { sequence: Sequence(1), nanos: Nanos(1), instrument, index: 0, kind }
    }

    fn canceled(order: OrderId) -> Event {
        let (quantity, reason) = (Quantity(1), CancelReason::Requested);
        event(order, EventKind::Canceled { order, owner: OWNER, quantity, reason })
    }

    fn ready(agenda: &Agenda) -> Vec<u32> {
        agenda.ready().map(|id| id.0).collect()
    }

    #[test]
    fn a_book_is_ready_when_an_expiry_has_come_and_until_its_next_command() {
        let mut agenda = Agenda::default();
        for (instrument, number, expires) in [(1, 1, 30), (1, 2, 10), (0, 1, 20), (2, 1, 10)] {
            agenda.on_command(&enter(order(instrument, number), expires));
        }
        assert_eq!(agenda.next(), Some(Nanos(10)));
        let none = |_| Nanos(0);
        agenda.look(Nanos(9), none);
        assert_eq!(ready(&agenda), [] as [u32; 0]);
        // The second book has had a command at 10, which expired what had come.
        agenda.look(Nanos(10), |id| if id.0 == 2 { Nanos(10) } else { Nanos(9) });
        assert_eq!((ready(&agenda), agenda.next()), (vec![1], Some(Nanos(0))));
        agenda.on_command(&Command::Advance(InstrumentId(1)));
        assert_eq!((ready(&agenda), agenda.next()), (vec![], Some(Nanos(20))));
        agenda.look(Nanos(30), none);
        assert_eq!(ready(&agenda), [0, 1]);
        agenda.on_command(&Command::EndOfDay);
        assert_eq!((ready(&agenda), agenda.is_empty()), (vec![], true));
    }

    #[test]
    fn what_is_gone_is_forgotten_and_a_replacement_keeps_the_date() {
        let mut agenda = Agenda::default();
        let rejected =
            |order| event(order, EventKind::Rejected { order, owner: OWNER, reason: RejectReason::Expired });
        agenda.on_command(&enter(order(0, 1), 10));
        agenda.on_command(&enter(order(0, 2), 10));
        agenda.on_event(&canceled(order(0, 1)), || true);
        agenda.on_event(&rejected(order(0, 2)), || true);
        assert_eq!(agenda, Agenda::default());

        agenda.on_command(&enter(order(0, 3), 10));
        agenda.on_command(&replace(order(0, 3), order(0, 4), TimeInForce::GoodTillDate));
        // And that again, before its book has answered.
        agenda.on_command(&replace(order(0, 4), order(0, 5), TimeInForce::GoodTillDate));
        agenda.on_command(&replace(order(0, 5), order(0, 6), TimeInForce::Day));
        assert_eq!(agenda.by_time.len(), 3);
        for (old, new) in [(3, 4), (4, 5)] {
            let replaced = EventKind::Replaced {
                old: order(0, old),
                original: OWNER.client_ref,
                order: order(0, new),
                owner: OWNER,
                side: Side::Buy,
                price: Price::new(5).unwrap(),
                leaves: Quantity(1),
                kept_priority: false,
            };
            agenda.on_event(&event(order(0, old), replaced), || true);
        }
        assert_eq!(agenda.by_time.first(), Some(&(Nanos(10), order(0, 5))));
        agenda.on_event(&canceled(order(0, 5)), || true);
        assert_eq!(agenda, Agenda::default());
    }

    #[test]
    fn a_paused_book_is_ready_unless_it_has_been_told_more() {
        let mut agenda = Agenda::default();
        let paused = event(order(3, 1), EventKind::Paused { triggered: 5 });
        agenda.on_event(&paused, || false);
        assert!(agenda.is_empty());
        agenda.on_event(&paused, || true);
        assert_eq!((ready(&agenda), agenda.next()), (vec![3], Some(Nanos(0))));
        agenda.on_command(&Command::Advance(InstrumentId(2)));
        assert_eq!(ready(&agenda), [3]);
        agenda.on_command(&Command::Advance(InstrumentId(3)));
        assert!(agenda.is_empty());
    }
}
