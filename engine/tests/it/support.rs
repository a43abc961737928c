//! What the tests share: one view on every kind of book, and the comparer of two.

use domain::{Command, Event, Events, InstrumentId, OrderId, Sequenced, Side};
use engine::book::{Book, BookHeader, BookImage, BookView, PriceLevel, RestingOrder};
use engine::hash::book_hash;
use engine::reference::ReferenceBook;

use crate::shrink::line;

/// The instrument that single-book tests trade.
pub(crate) const INSTRUMENT: InstrumentId = InstrumentId(7);

/// The book that is held against the reference.
pub(crate) type SpecialBook = Book;

/// A book that can be tested.
pub(crate) trait Subject: BookView {
    fn apply(&mut self, command: &Sequenced<Command>, events: &mut Events);

    /// Checks what it can of itself.
    fn check(&self) {}

    /// Makes itself anew from what it shows.
    fn again(&mut self);
}

impl Subject for ReferenceBook {
    fn apply(&mut self, command: &Sequenced<Command>, events: &mut Events) {
        Self::apply(self, command, events);
    }

    fn again(&mut self) {
        *self = Self::showing(self);
    }
}

impl Subject for Book {
    fn apply(&mut self, command: &Sequenced<Command>, events: &mut Events) {
        Self::apply(self, command, events);
    }

    fn again(&mut self) {
        *self = Self::restore(&BookImage::of(self)).expect("a book shows what a book can be");
    }

    /// The invariants, and every query against what `visit` shows.
    fn check(&self) {
        self.check_invariants();
        let waiting = stops(self);
        for side in [Side::Buy, Side::Sell] {
            let orders = orders(self, side);
            let waiting = || waiting.iter().filter(move |order| order.side == side);
            for order in orders.iter().chain(waiting()) {
                assert_eq!(self.order(order.order), Some(*order));
                let elsewhere = OrderId::new(InstrumentId(INSTRUMENT.0 ^ 1), order.order.number());
                assert_eq!(self.order(elsewhere), None);
            }
            let levels = levels(self, side);
            assert_eq!(self.levels(side).collect::<Vec<_>>(), levels);
            assert_eq!(self.best(side), levels.first().copied());
            assert_eq!(self.depth(side, levels.len()), None);
            if let Some(worst) = levels.last() {
                assert_eq!(self.depth(side, levels.len() - 1).as_ref(), Some(worst));
                assert_eq!(self.at(side, worst.price).as_ref(), Some(worst));
            }
            assert_eq!(self.resting(side) as usize, orders.len() + waiting().count());
            let open = orders.iter().chain(waiting()).map(|order| order.leaves.lots()).sum::<u64>();
            assert_eq!(self.open(side).lots(), open);
        }
    }
}

/// A side's orders in priority.
pub(crate) fn orders(book: &impl BookView, side: Side) -> Vec<RestingOrder> {
    let mut orders = Vec::new();
    book.visit(side, |order| orders.push(*order));
    orders
}

/// The stops that wait.
pub(crate) fn stops(book: &impl BookView) -> Vec<RestingOrder> {
    let mut orders = Vec::new();
    book.visit_stops(|order| orders.push(*order));
    orders
}

/// What is shown of a side, best price first: "only that is part of its price level's quantity".
pub(crate) fn levels(book: &impl BookView, side: Side) -> Vec<PriceLevel> {
    let mut levels: Vec<PriceLevel> = Vec::new();
    book.visit(side, |order| {
        let shown = order.special.map_or(order.leaves, |special| special.shown);
        match levels.last_mut().filter(|level| level.price == order.price) {
            _ if shown.is_zero() => {}
            Some(level) => {
                level.quantity = level.quantity.checked_add(shown).expect("levels fit");
                level.orders += 1;
            }
            None => levels.push(PriceLevel { price: order.price, quantity: shown, orders: 1 }),
        }
    });
    levels
}

/// All that a book shows.
pub(crate) type State = (BookHeader, [Vec<RestingOrder>; 3]);

fn state(book: &impl BookView) -> State {
    (book.header(), [orders(book, Side::Buy), orders(book, Side::Sell), stops(book)])
}

/// A state, an order a line.
fn listed((header, lists): &State) -> String {
    let orders = lists.iter().flatten().map(|order| format!("    {order:?}\n"));
    format!("    {header:?}\n{}", orders.collect::<String>())
}

/// Events, one a line.
fn kinds(events: &Events) -> String {
    events.as_slice().iter().map(|event| format!("    {:?}\n", event.kind)).collect()
}

/// A book under test beside the reference.
pub(crate) struct Pair<S> {
    pub(crate) subject: S,
    pub(crate) reference: ReferenceBook,
    said: Events,
    expected: Events,
}

/// Up to so many resting orders the whole state is compared after every command, ...
const SMALL: u64 = 64;
/// ... above it after each so many.
const EVERY: u64 = 128;

impl<S: Subject> Pair<S> {
    pub(crate) fn new(subject: S) -> Self {
        let reference = ReferenceBook::new(INSTRUMENT);
        Self { subject, reference, said: Events::new(), expected: Events::new() }
    }

    /// Applies a command to both. What both said, or how they differ.
    pub(crate) fn apply(&mut self, command: &Sequenced<Command>) -> Result<&[Event], String> {
        self.said.clear();
        self.expected.clear();
        self.subject.apply(command, &mut self.said);
        self.reference.apply(command, &mut self.expected);
        if self.said.as_slice() != self.expected.as_slice() {
            let (said, expected) = (kinds(&self.said), kinds(&self.expected));
            return Err(format!("after {}\nsaid\n{said}instead of\n{expected}", line(command)));
        }
        if self.subject.header() != self.reference.header() {
            let (is, expected) = (self.subject.header(), self.reference.header());
            return Err(format!("after {}\nheader {is:?}\ninstead of {expected:?}", line(command)));
        }
        let header = self.reference.header();
        if header.resting <= SMALL || header.counters.commands.is_multiple_of(EVERY) {
            self.compare_state().map_err(|difference| format!("after {}\n{difference}", line(command)))?;
        }
        Ok(self.expected.as_slice())
    }

    /// Compares everything that the two books hold.
    pub(crate) fn compare_state(&self) -> Result<(), String> {
        self.subject.check();
        let (is, expected) = (state(&self.subject), state(&self.reference));
        if is != expected {
            return Err(format!("holds\n{}instead of\n{}", listed(&is), listed(&expected)));
        }
        if book_hash(&self.subject) != book_hash(&self.reference) {
            return Err("the same state has two hashes".to_owned());
        }
        Ok(())
    }
}
