//! The reference book: what a book must do, written to be obviously right and in no way fast.
//!
//! Each side is one sorted list of orders, best first; the stops that wait are a list too; everything is a linear
//! search. Whether something could trade is found out by letting it trade in a copy. It shares no code with
//! [`Book`](crate::book::Book), only the vocabulary and the form in which a book shows itself, so that a mistake
//! would have to be made twice, in two shapes, to go unseen. Behind the cargo feature `reference`, for tests only.
//!
//! * this file: the order of things within a command, and what can be seen;
//! * `entry`: Enter and Replace, what makes no sense, post-only;
//! * `change`: Cancel, Reduce, and what cancels many orders at once;
//! * `matching`: an order that comes in, and what it does there;
//! * `stops`: triggers and turns;
//! * `order`: an order, and how it is shown.
//!
//! The rules are in `docs/matching.md`; the comments quote them.

mod change;
mod entry;
mod matching;
mod order;
mod stops;

use domain::{
    CancelReason, ClientRef, Command, EventKind, EventSink, Events, Instructions, InstrumentId, Nanos,
    OrderId, Quantity, Sequence, Sequenced, SessionId, Side,
};

use crate::book::{BookHeader, BookView, RestingOrder};
use order::Order;

/// A deliberately naive order book.
#[derive(Clone, Debug)]
pub struct ReferenceBook {
    /// `resting` is filled in when asked for.
    header: BookHeader,
    /// Bids and asks, indexed by `Side as usize`: best price first; at one price displayed, hidden, all-or-none.
    sides: [Vec<Order>; 2],
    /// Stops that wait for their trigger, in the order in which they came.
    stops: Vec<Order>,
    /// Triggered orders that wait for their turn, in the order of their turns.
    turns: Vec<Order>,
}

/// The command that is being done.
struct Doing<'a> {
    sequence: Sequence,
    nanos: Nanos,
    /// Turns given so far.
    turns: u32,
    events: &'a mut Events,
}

impl ReferenceBook {
    /// An empty book.
    #[must_use]
    pub fn new(instrument: InstrumentId) -> Self {
        let header = BookHeader { instrument, next_order_number: 1, ..BookHeader::default() };
        Self { header, sides: [Vec::new(), Vec::new()], stops: Vec::new(), turns: Vec::new() }
    }

    /// The book that shows what another shows.
    #[must_use]
    pub fn showing(book: &impl BookView) -> Self {
        let mut same = Self { header: book.header(), ..Self::new(book.header().instrument) };
        for side in [Side::Buy, Side::Sell] {
            book.visit(side, |order| same.sides[side as usize].push(Order::showing(order)));
        }
        book.visit_stops(|shown| {
            let order = Order::showing(shown);
            if order.waits_for_trigger() { same.stops.push(order) } else { same.turns.push(order) }
        });
        // Shown by trigger, held by time.
        same.stops.sort_by_key(|order| order.queued_by);
        same
    }

    /// Applies one command and says what it did, as [`Book::apply`](crate::book::Book::apply) does.
    ///
    /// # Panics
    /// When the command is not this book's next.
    pub fn apply(&mut self, command: &Sequenced<Command>, events: &mut Events) {
        match command.command {
            Command::Rejected(_)
            | Command::DefineInstrument(_)
            | Command::DefineSession(_)
            | Command::EpochStart(_)
            | Command::FixRequest(_)
            | Command::DropCopy(_) => return,
            Command::EndOfDay => {}
            Command::MassCancel(mass) if mass.instrument.is_none() => {}
            _ => assert_eq!(command.command.instrument(), Some(self.header.instrument)),
        }
        assert!(command.sequence > self.header.last_sequence);
        self.header.last_sequence = command.sequence;
        self.header.counters.commands += 1;
        events.begin(command.sequence, command.nanos, self.header.instrument);
        let doing = &mut Doing { sequence: command.sequence, nanos: command.nanos, turns: 0, events };

        // "(1) what is due"
        self.expire(doing);
        self.give_turns(doing);
        // "(2) what it asks"
        match &command.command {
            Command::Enter(enter) => self.enter(enter, Instructions::NONE, doing),
            Command::EnterSpecial(special) => self.enter(&special.enter, special.instructions, doing),
            Command::Cancel(cancel) => self.cancel(cancel, doing),
            Command::Reduce(reduce) => self.reduce(reduce, doing),
            Command::Replace(replace) => self.replace(replace, None, doing),
            Command::ReplaceSpecial(special) => {
                self.replace(&special.replace, Some(special.instructions), doing);
            }
            Command::EndOfDay => self.end_of_day(doing),
            Command::MassCancel(mass) => self.mass_cancel(mass, doing),
            Command::Advance(_)
            | Command::Rejected(_)
            | Command::DefineInstrument(_)
            | Command::DefineSession(_)
            | Command::EpochStart(_)
            | Command::FixRequest(_)
            | Command::DropCopy(_) => {}
        }
        // "(3) the triggers that its trades reached"
        self.give_turns(doing);
        if !self.turns.is_empty() {
            let triggered = self.turns.len() as u32;
            self.say(EventKind::Paused { triggered }, doing);
        }
    }

    /// Every order: "bids, asks (each in priority), then stops that wait: triggered ones in the order of their turns,
    /// buys by trigger, sells by trigger".
    fn all_orders(&self) -> Vec<Order> {
        let [bids, asks] = &self.sides;
        [bids.clone(), asks.clone(), self.turns.clone(), self.stops_by_trigger()].concat()
    }

    /// The list that an order is in, and where.
    fn find(&mut self, id: OrderId) -> Option<(&mut Vec<Order>, usize)> {
        let [bids, asks] = &mut self.sides;
        for list in [bids, asks, &mut self.turns, &mut self.stops] {
            if let Some(at) = list.iter().position(|order| order.id == id) {
                return Some((list, at));
            }
        }
        None
    }

    /// An order, when it is that session's and the session calls it so.
    fn owned(&mut self, id: OrderId, session: SessionId, client_ref: ClientRef) -> Option<Order> {
        let (list, at) = self.find(id)?;
        let order = list[at].clone();
        (order.owner.session == session && order.owner.client_ref == client_ref).then_some(order)
    }

    /// An order that is there.
    fn order(&mut self, id: OrderId) -> &mut Order {
        let (list, at) = self.find(id).expect("the order is there");
        &mut list[at]
    }

    /// Takes an order out.
    fn remove(&mut self, id: OrderId) -> Order {
        let (list, at) = self.find(id).expect("the order is there");
        list.remove(at)
    }

    /// Puts an order last among those of its price and kind that rest.
    fn queue(&mut self, order: Order) {
        let list = &mut self.sides[order.side as usize];
        let at = list.iter().position(|other| order.comes_before(other)).unwrap_or(list.len());
        list.insert(at, order);
    }

    /// What is open on a side: "every order that rests or waits counts, with all that is open of it".
    fn open(&self, side: Side) -> u128 {
        let resting = &self.sides[side as usize];
        let waiting = self.turns.iter().chain(&self.stops).filter(|order| order.side == side);
        resting.iter().chain(waiting).map(|order| u128::from(order.leaves)).sum()
    }

    fn count_order(&mut self, order: OrderId) {
        assert_eq!(order, OrderId::new(self.header.instrument, self.header.next_order_number));
        self.header.next_order_number += 1;
    }

    /// Says that what was left of an order, which is in no list any more, is canceled.
    fn say_canceled(&mut self, order: &Order, reason: CancelReason, doing: &mut Doing<'_>) {
        let (quantity, owner) = (Quantity(order.leaves), order.owner);
        self.say(EventKind::Canceled { order: order.id, owner, quantity, reason }, doing);
    }

    fn say(&mut self, kind: EventKind, doing: &mut Doing<'_>) {
        let counters = &mut self.header.counters;
        match kind {
            EventKind::Accepted { .. } => counters.accepted += 1,
            EventKind::Replaced { .. } => counters.replaced += 1,
            EventKind::Reduced { .. } => counters.reduced += 1,
            EventKind::Canceled { .. } => counters.canceled += 1,
            EventKind::Rejected { .. } => counters.rejected += 1,
            EventKind::ReplaceRejected { .. } => counters.rejected += 1,
            EventKind::CancelRejected { .. } => counters.rejected += 1,
            EventKind::Traded { quantity, .. } => {
                counters.trades += 1;
                counters.traded += u128::from(quantity.lots());
            }
            EventKind::Triggered { .. }
            | EventKind::Refreshed { .. }
            | EventKind::Restated { .. }
            | EventKind::Decremented { .. }
            | EventKind::MassCanceled { .. }
            | EventKind::Paused { .. } => {}
        }
        doing.events.push(kind);
    }
}

impl BookView for ReferenceBook {
    fn header(&self) -> BookHeader {
        let [bids, asks] = &self.sides;
        let orders = bids.len() + asks.len() + self.stops.len() + self.turns.len();
        BookHeader { resting: orders as u64, ..self.header }
    }

    fn visit(&self, side: Side, mut see: impl FnMut(&RestingOrder)) {
        self.sides[side as usize].iter().for_each(|order| see(&order.shown(false)));
    }

    fn visit_stops(&self, mut see: impl FnMut(&RestingOrder)) {
        self.turns.iter().chain(&self.stops_by_trigger()).for_each(|order| see(&order.shown(true)));
    }
}
