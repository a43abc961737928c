//! What can be seen of all books, made of events.
//!
//! Events say what happens, not what rests: an order that is accepted and not filled comes to rest in silence. So an
//! order that comes in is *in hand* until it is known to rest, and only then shown:
//!
//! 1. a later order trades, in the same command (its own turn has ended), or trades with it;
//! 2. an event of the book's next command comes;
//! 3. the front has taken every event there was ([`Market::turn`]), so the command has ended.
//!
//! Of a stop order that has been triggered the same holds from its turn on. When a book's events are cut in two by a full
//! ring, 3 may be wrong about the one order that came in last: what follows shows it as an order that rested would be
//! shown, and the book is right again by the end of its command.

mod book;
mod ladder;
mod queue;

use std::collections::HashMap;

use domain::{Command, Event, InstrumentId, OrderId, Price, Quantity, Sequence, Side};

use self::book::Book;
use crate::{
    change::Change,
    terms::{Shows, Terms},
};

pub use self::{
    ladder::Ladder,
    queue::{Level, Shown},
};

/// An order that stands in a book at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its id.
    pub order: OrderId,
    /// Its side.
    pub side: Side,
    /// Its price.
    pub price: Price,
    /// Lots open.
    pub leaves: Quantity,
    /// Lots shown; 0 unless it rests and is shown.
    pub shown: Quantity,
    /// How much it shows once it rests.
    pub shows: Shows,
    /// Whether it rests.
    pub waits: Waits,
    /// Whether what is left of it rests at this price.
    pub rests: bool,
}

/// Whether an order waits, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// It rests.
    No,
    /// For its trigger.
    Trigger,
    /// For its turn, having been triggered.
    Turn,
}

/// Whether a command may cause no event in a book where it does something: stops that a pause left may come to rest.
#[inline]
#[must_use]
pub const fn may_be_silent(command: &Command) -> bool {
    matches!(command, Command::Advance(_)) || command.is_market_wide()
}

/// What can be seen of all books.
#[derive(Debug, Default)]
pub struct Market {
    /// By instrument index.
    books: Vec<Book>,
    /// Of orders whose `Accepted` or `Replaced` has not come.
    terms: HashMap<OrderId, Terms>,
    /// Books in which something may be in hand.
    open: Vec<InstrumentId>,
    /// Turns of the front so far.
    turns: u64,
}

impl Market {
    /// Empty books, by instrument index.
    #[must_use]
    pub fn new(instruments: usize) -> Self {
        Self { books: (0..instruments).map(|_| Book::default()).collect(), ..Self::default() }
    }

    /// An order that stands in a book at the start: of each side best price first, at one price in the order of the
    /// queue; of those that wait for their turn, the next first.
    ///
    /// # Panics
    /// When there is no such book.
    pub fn stand(&mut self, standing: &Standing) {
        self.book_mut(standing.order.instrument()).stand(standing);
    }

    /// What there is to know of an order before its event comes.
    pub fn on_terms(&mut self, terms: &Terms) {
        self.terms.insert(terms.order, *terms);
    }

    /// A book, or all of them, has been given a command that may cause no event; see [`may_be_silent`].
    pub fn on_silent(&mut self, instrument: Option<InstrumentId>, sequence: Sequence) {
        let Self { books, open, turns, .. } = self;
        let mut tell = |instrument: InstrumentId, book: &mut Book| {
            if book.on_silent(sequence, *turns) {
                open.push(instrument);
            }
        };
        match instrument {
            Some(instrument) => tell(instrument, &mut books[instrument.0 as usize]),
            None => books.iter_mut().zip((0..).map(InstrumentId)).for_each(|(book, id)| tell(id, book)),
        }
    }

    /// The next event of a book. Says what it changes.
    ///
    /// # Panics
    /// When there is no such book.
    pub fn on_event(&mut self, event: &Event, mut say: impl FnMut(&Change)) {
        let Self { books, terms, open, turns } = self;
        let book = &mut books[event.instrument.0 as usize];
        if book.on_event(event, terms, *turns, &mut say) {
            open.push(event.instrument);
        }
    }

    /// The front's turn has ended. `drained`: it took every event that there was; `quiescent`: and every command has been
    /// executed.
    pub fn turn(&mut self, drained: bool, quiescent: bool, mut say: impl FnMut(&Change)) {
        let Self { books, open, turns, .. } = self;
        open.retain(|instrument| {
            let book = &mut books[instrument.0 as usize];
            let is_quiet = book.touched() < *turns;
            book.settle(*instrument, drained || is_quiet, quiescent || is_quiet, quiescent, &mut say);
            book.is_open()
        });
        *turns += 1;
    }

    /// How many books there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.books.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.books.is_empty()
    }

    /// The orders shown on a side, best price first, at one price in the order of the queue.
    ///
    /// # Panics
    /// When there is no such book.
    pub fn orders(&self, instrument: InstrumentId, side: Side) -> impl Iterator<Item = Shown> {
        let book = &self.books[instrument.0 as usize];
        book.orders(instrument, side)
    }

    /// The prices of a side, best first.
    ///
    /// # Panics
    /// When there is no such book.
    pub fn levels(&self, instrument: InstrumentId, side: Side) -> impl Iterator<Item = Level> {
        self.books[instrument.0 as usize].levels(side)
    }

    /// What is shown at a price of a side, if anything is.
    ///
    /// # Panics
    /// When there is no such book.
    #[must_use]
    pub fn level(&self, instrument: InstrumentId, side: Side, price: Price) -> Option<Level> {
        self.books[instrument.0 as usize].level(side, price)
    }

    /// Orders known, shown or not.
    #[must_use]
    pub fn known(&self) -> usize {
        self.books.iter().map(Book::known).sum()
    }

    /// Terms that wait for their order's event.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.terms.len()
    }

    fn book_mut(&mut self, instrument: InstrumentId) -> &mut Book {
        &mut self.books[instrument.0 as usize]
    }
}
