//! The order book of one instrument: a pure function of its own commands.
//!
//! ```text
//!  Sequenced<Command> --> apply --> matching --> EventSink
//!                           |          |
//!                        orders ---- sides --> levels --> slab
//!                     (number->cell) (key->level) (queue)  (the orders)
//! ```
//!
//! * [`Book::apply`] takes the instrument's commands in sequence, each once, and says what they did. It reads no
//!   clock, draws no random number and iterates nothing whose order could vary, so the same commands give the
//!   same events and the same [state hash](crate::hash) wherever and whenever they are applied.
//! * There is no error path: a request that cannot be is answered by an event with a
//!   [`RejectReason`](domain::RejectReason). What panics is a programmer's error: a command for another book,
//!   twice, or out of sequence.
//! * One key space serves both sides, see `side`; orders lie in a slab and are linked by index, see `slab` and
//!   `level`; an order's number finds its cell through a window of pages, see `orders`.
//! * What it can be asked without knowing its insides is [`BookView`]; the naive reference book shows the same.
//!   What it shows is all that it is: [`Book::restore`] makes the book again from it.
//!
//! The rules are in `docs/matching.md`.

mod apply;
mod books;
mod invariants;
mod level;
mod matching;
mod orders;
mod restore;
mod side;
mod slab;
mod view;

use domain::{EventKind, EventSink, InstrumentId, OrderId, Price, Quantity, Sequence, Side};

pub use books::Books;
use orders::OrderTable;
pub use restore::{BookImage, RestoreError};
use side::{BookSide, price_of};
use slab::{Cell, NIL, Slab};
pub use view::{BookHeader, BookView, Counters, LastTrade, PriceLevel, RestingOrder, Special, Waiting};

/// One instrument's order book.
///
/// Memory: an empty one takes 352 bytes and allocates nothing. The first order costs some 2 KiB (a page of order
/// numbers, a node of levels, a few cells); from then on an order takes 72 bytes and 4 of its page, a price
/// level 32.
#[derive(Debug)]
pub struct Book {
    instrument: InstrumentId,
    last_sequence: Sequence,
    /// Bids and asks, indexed by `Side as usize`.
    sides: [BookSide; 2],
    slab: Slab,
    orders: OrderTable,
    counters: Counters,
    last_trade: Option<LastTrade>,
}

// Ten thousand configured instruments are common, and most of them are quiet.
const _: () = assert!(size_of::<Book>() <= 512);

impl Book {
    /// An empty book.
    ///
    /// # Panics
    /// When the instrument is past [`OrderId::INSTRUMENTS_MAX`]: instruments are bounded where they are
    /// configured.
    #[must_use]
    pub const fn new(instrument: InstrumentId) -> Self {
        let _ = OrderId::new(instrument, 0);
        Self {
            instrument,
            last_sequence: Sequence(0),
            sides: [BookSide::new(), BookSide::new()],
            slab: Slab::new(),
            orders: OrderTable::new(),
            counters: Counters {
                commands: 0,
                accepted: 0,
                replaced: 0,
                reduced: 0,
                canceled: 0,
                rejected: 0,
                trades: 0,
                traded: 0,
            },
            last_trade: None,
        }
    }

    /// Which instrument's book it is.
    #[must_use]
    pub const fn instrument(&self) -> InstrumentId {
        self.instrument
    }

    /// The last command applied; 0 before the first.
    #[must_use]
    pub const fn last_sequence(&self) -> Sequence {
        self.last_sequence
    }

    /// The number that the next Enter or Replace must carry; the first is 1.
    #[must_use]
    pub const fn next_order_number(&self) -> u64 {
        self.orders.last() + 1
    }

    /// What the book has done so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The last trade.
    #[must_use]
    pub const fn last_trade(&self) -> Option<LastTrade> {
        self.last_trade
    }

    /// How many orders of a side rest.
    #[must_use]
    pub const fn resting(&self, side: Side) -> u32 {
        self.sides[side as usize].count()
    }

    /// What is open on a side. Never more than 2^64 - 1: an order that would take it past that is refused.
    #[must_use]
    pub const fn open(&self, side: Side) -> Quantity {
        Quantity(self.sides[side as usize].open())
    }

    /// A resting order.
    #[must_use]
    pub fn order(&self, order: OrderId) -> Option<RestingOrder> {
        if order.instrument() != self.instrument {
            return None;
        }
        self.orders.find(order.number()).map(|cell| shown(&self.slab[cell]))
    }

    /// The best price of a side and what is open at it.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<PriceLevel> {
        self.depth(side, 0)
    }

    /// The side's level at `index`, counted from 0 at the best price. Takes time proportional to `index`.
    #[must_use]
    pub fn depth(&self, side: Side, index: usize) -> Option<PriceLevel> {
        self.levels(side).nth(index)
    }

    /// The side's levels, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = PriceLevel> {
        self.sides[side as usize].levels().map(move |(key, level)| PriceLevel {
            price: price_of(side, key),
            quantity: Quantity(level.quantity),
            orders: level.count,
        })
    }

    /// What is open at a price.
    #[must_use]
    pub fn at(&self, side: Side, price: Price) -> Option<PriceLevel> {
        let level = self.sides[side as usize].level(side::key_of(side, price))?;
        Some(PriceLevel { price, quantity: Quantity(level.quantity), orders: level.count })
    }

    /// Shows each resting order of a side in priority: best price first, then the first in the queue.
    pub fn visit(&self, side: Side, mut see: impl FnMut(&RestingOrder)) {
        for (_, level) in self.sides[side as usize].levels() {
            let mut cell = level.head;
            while cell != NIL {
                let order = &self.slab[cell];
                see(&shown(order));
                cell = order.next;
            }
        }
    }
}

impl BookView for Book {
    fn header(&self) -> BookHeader {
        BookHeader {
            instrument: self.instrument,
            last_sequence: self.last_sequence,
            next_order_number: self.next_order_number(),
            counters: self.counters,
            last_trade: self.last_trade,
            resting: u64::from(self.slab.live()),
        }
    }

    fn visit_stops(&self, _see: impl FnMut(&RestingOrder)) {}

    fn visit(&self, side: Side, see: impl FnMut(&RestingOrder)) {
        Self::visit(self, side, see);
    }
}

/// What can be seen of an order.
fn shown(cell: &Cell) -> RestingOrder {
    RestingOrder {
        order: cell.order,
        owner: cell.owner,
        account: cell.account,
        side: cell.side,
        price: price_of(cell.side, cell.key),
        leaves: Quantity(cell.leaves),
        executed: Quantity(cell.executed),
        time_in_force: cell.time_in_force,
        queued_by: cell.queued_by,
        queued_at: cell.queued_at,
        special: None,
    }
}

/// Says what happened, and counts it. Not a method, so that a side can be walked while facts are said.
#[inline]
fn say<S: EventSink>(counters: &mut Counters, events: &mut S, kind: EventKind) {
    counters.count(&kind);
    events.push(kind);
}

impl Book {
    /// What has been executed on an order that rests, and on those that it replaced.
    #[must_use]
    pub fn executed(&self, order: OrderId) -> Option<Quantity> {
        self.order(order).map(|order| order.executed)
    }
}
