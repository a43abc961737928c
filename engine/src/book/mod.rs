//! The order book of one instrument: a pure function of its own commands.
//!
//! ```text
//!  Sequenced<Command> --> apply --> matching --> Events
//!                           |          |
//!                       numbers ---- sides --> window / far --> cells
//!                    (number->cell)        (key->level)     (orders and levels, in an arena)
//!                                      |
//!                                   special: icebergs, unseen orders, stops, expiries
//! ```
//!
//! * [`Book::apply`] takes the instrument's commands in sequence, each once, and says what they did. It reads no
//!   clock, draws no random number and iterates nothing whose order could vary, so the same commands give the
//!   same events and the same [state hash](crate::hash) wherever and whenever they are applied.
//! * There is no error path: a request that cannot be is answered by an event with a
//!   [`RejectReason`](domain::RejectReason). What panics is a programmer's error: a command for another book,
//!   twice, or out of sequence.
//! * One key space serves both sides, see `side`; near the best a level is found by index and the best by three
//!   counts of leading zeros, see `window`; orders and levels are cells of one arena, linked by index, see `cells`;
//!   an order's number finds its cell through a table that the newest number wraps round, see `numbers`.
//! * What only special orders need lies in `special`, which a book without them does not have. Plain orders pass it
//!   by: they ask whether something unseen stands at the price they trade at, and whether the trade's price
//!   reaches a trigger, and that is all.
//! * What it can be asked without knowing its insides is [`BookView`]; the naive reference book shows the same.
//!   What it shows is all that it is: [`Book::restore`] makes the book again from it.
//!
//! The rules are in `docs/matching.md`.

mod apply;
mod arena;
mod books;
mod bulk;
mod cells;
mod hashed;
mod invariants;
mod matching;
mod numbers;
mod replace;
mod restore;
mod side;
mod special;
mod view;
mod window;

use core::fmt;
use core::mem::offset_of;

use domain::{
    AccountId, EventKind, EventSink, InstrumentId, Nanos, OrderId, Price, Quantity, Sequence, Side, TradeId,
};

pub use books::Books;
pub(crate) use books::{BOOKS_MIN, Stage};
use cells::{Cells, NIL};
pub use hashed::{BookHashes, HashedBooks};
use numbers::Numbers;
pub use restore::{BookImage, RestoreError};
use side::{BookSide, EMPTY, key_of, price_of};
use special::Specials;
pub use view::{BookHeader, BookView, Counters, LastTrade, PriceLevel, RestingOrder, Special, Waiting};

/// One instrument's order book.
///
/// Memory: an empty one takes less than 1 KiB and allocates nothing. The first order costs some 2 KiB (16 cells, a
/// window of 128 ticks, 64 numbers); from then on an order takes 64 bytes and some 8 to 64 for its number, a price
/// level 64 and its place in the window, a special order some 150 more.
#[repr(C)] // so that a command needs few lines: see `HOT`
pub struct Book {
    instrument: InstrumentId,
    /// Stop orders that have been triggered and wait for their turn.
    turns: u32,
    last_sequence: Sequence,
    /// The time of the command that is being applied.
    now: Nanos,
    /// From this time on a command finds something to do before what it asks.
    due: Nanos,
    numbers: Numbers,
    /// Price and quantity of the last trade, if `counters.trades` is not 0.
    last_price: Price,
    last_quantity: Quantity,
    /// A trade at a price strictly between these reaches and moves no trigger.
    quiet: (i64, i64),
    special: Option<Box<Specials>>,
    /// Bids and asks, indexed by `Side as usize`.
    sides: [BookSide; 2],
    counters: Counters,
    /// Turns given by a command, and which command.
    turns_given: (Sequence, u32),
    cells: Cells,
}

/// The lines of a book, by their offset, that plain commands need: header and numbers, the sides, the counters, the
/// list of cells.
const HOT: [usize; 7] = [
    0,
    offset_of!(Book, sides),
    offset_of!(Book, sides) + 64,
    offset_of!(Book, sides) + 128,
    offset_of!(Book, sides) + 192,
    offset_of!(Book, counters),
    offset_of!(Book, cells),
];

const _: () = assert!(offset_of!(Book, sides) == 128 && offset_of!(Book, counters).is_multiple_of(64));

// Ten thousand configured instruments are common, and most of them are quiet.
const _: () = assert!(size_of::<Book>() <= 1024);

/// No time at all: nothing is due.
const NEVER: Nanos = Nanos(u64::MAX);

/// Every trade's price is between these.
const QUIET: (i64, i64) = (i64::MIN, i64::MAX);

impl Book {
    /// An empty book.
    ///
    /// # Panics
    /// When the instrument is past [`OrderId::INSTRUMENTS_MAX`]: instruments are bounded where they are
    /// configured.
    #[must_use]
    pub fn new(instrument: InstrumentId) -> Self {
        let _ = OrderId::new(instrument, 0);
        Self {
            instrument,
            turns: 0,
            last_sequence: Sequence(0),
            now: Nanos(0),
            due: NEVER,
            numbers: Numbers::new(),
            sides: [BookSide::new(), BookSide::new()],
            counters: Counters::default(),
            last_price: Price::default(),
            last_quantity: Quantity::ZERO,
            quiet: QUIET,
            special: None,
            turns_given: (Sequence(0), 0),
            cells: Cells::new(),
        }
    }

    /// Provides memory for so many orders at once, so that a new book asks the system for none until it has more. What
    /// the book says does not depend on it.
    pub fn reserve(&mut self, orders: u32) {
        // In the worst case each order has a level of its own; cell 0 is nobody's.
        self.cells.reserve(orders.saturating_mul(2).saturating_add(1).min(1 << 31));
        self.numbers.reserve(orders as usize);
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
        self.numbers.last() + 1
    }

    /// What the book has done so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The last trade.
    #[must_use]
    pub fn last_trade(&self) -> Option<LastTrade> {
        let number = self.counters.trades;
        (number > 0).then(|| LastTrade {
            trade: TradeId::new(self.instrument, number),
            price: self.last_price,
            quantity: self.last_quantity,
        })
    }

    /// How many orders of a side rest or wait.
    #[must_use]
    pub const fn resting(&self, side: Side) -> u32 {
        self.sides[side as usize].count()
    }

    /// What is open on a side, shown or not, resting or waiting. Never more than 2^64 - 1: an order that would take it
    /// past that is refused.
    #[must_use]
    pub const fn open(&self, side: Side) -> Quantity {
        Quantity(self.sides[side as usize].open())
    }

    /// An order that rests or waits.
    #[must_use]
    pub fn order(&self, order: OrderId) -> Option<RestingOrder> {
        self.cell_of(order).map(|cell| self.shown(cell))
    }

    /// What has been executed on an order that rests or waits, and on those that it replaced.
    #[inline]
    #[must_use]
    pub fn executed(&self, order: OrderId) -> Option<Quantity> {
        self.cell_of(order).map(|cell| Quantity(self.cells[cell].executed))
    }

    /// The best displayed price of a side and what is shown at it.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<PriceLevel> {
        let key = self.sides[side as usize].best_level();
        if key == EMPTY { None } else { self.at(side, price_of(side, key)) }
    }

    /// The side's displayed level at `index`, counted from 0 at the best price. Takes time proportional to `index`.
    #[must_use]
    pub fn depth(&self, side: Side, index: usize) -> Option<PriceLevel> {
        self.levels(side).nth(index)
    }

    /// The side's displayed levels, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = PriceLevel> {
        self.sides[side as usize].levels().map(move |(key, level)| self.level(price_of(side, key), level))
    }

    /// What is shown at a price.
    #[must_use]
    pub fn at(&self, side: Side, price: Price) -> Option<PriceLevel> {
        let level = self.sides[side as usize].level(key_of(side, price));
        (level != NIL).then(|| self.level(price, level))
    }

    /// Shows each resting order of a side in priority, see [`BookView::visit`].
    pub fn visit(&self, side: Side, mut see: impl FnMut(&RestingOrder)) {
        self.each_resting(side, |cell| see(&self.shown(cell)));
    }

    /// Shows each stop order that waits, see [`BookView::visit_stops`].
    pub fn visit_stops(&self, mut see: impl FnMut(&RestingOrder)) {
        self.each_waiting(|cell| see(&self.shown(cell)));
    }

    fn level(&self, price: Price, level: u32) -> PriceLevel {
        let level = &self.cells[level];
        PriceLevel { price, quantity: Quantity(level.open), orders: level.tally }
    }

    #[inline]
    fn cell_of(&self, order: OrderId) -> Option<u32> {
        if order.instrument() != self.instrument {
            return None;
        }
        self.numbers.find(order.number())
    }

    /// The id of an order's number.
    #[inline(always)]
    fn id(&self, number: u64) -> OrderId {
        OrderId::of(self.instrument, number)
    }

    /// What can be seen of an order.
    fn shown(&self, cell: u32) -> RestingOrder {
        let order = &self.cells[cell];
        let mut seen = RestingOrder {
            order: self.id(order.number()),
            owner: order.owner,
            account: AccountId(order.tally),
            side: order.side(),
            price: Price::default(),
            leaves: Quantity(order.open),
            executed: Quantity(order.executed),
            time_in_force: order.time_in_force(),
            queued_by: Sequence(order.queued_by),
            queued_at: Nanos(order.queued_at),
            special: None,
        };
        match &self.special {
            Some(special) if order.is_special() => special.show(order, &mut seen),
            _ => seen.price = price_of(seen.side, self.cells[order.level].key()),
        }
        seen
    }

    /// Shows the cell of each resting order of a side in priority.
    fn each_resting(&self, side: Side, mut see: impl FnMut(u32)) {
        self.walk(side, |_, stands| {
            match stands {
                Stands::Level(level) => {
                    let mut cell = self.cells[level].next;
                    while cell != level {
                        see(cell);
                        cell = self.cells[cell].next;
                    }
                }
                Stands::Hidden(cell) | Stands::Whole(cell) => see(cell),
            }
            true
        });
    }

    /// Walks a side from its best price: at one key the level, then hidden orders, then all-or-none ones. Until
    /// `go_on` says no.
    fn walk(&self, side: Side, mut go_on: impl FnMut(i64, Stands) -> bool) {
        let mut levels = self.sides[side as usize].levels().peekable();
        let special = self.special.as_deref();
        let mut hidden = special.into_iter().flat_map(|special| special.hidden(side)).peekable();
        let mut whole = special.into_iter().flat_map(|special| special.all_or_none(side)).peekable();
        loop {
            let next = |next: Option<&(i64, u32)>| next.map_or(EMPTY, |(key, _)| *key);
            let key = next(levels.peek()).max(next(hidden.peek())).max(next(whole.peek()));
            if key == EMPTY {
                return;
            }
            let at_key = |(at, _): &(i64, u32)| *at == key;
            let stands = if let Some((_, level)) = levels.next_if(at_key) {
                Stands::Level(level)
            } else if let Some((_, cell)) = hidden.next_if(at_key) {
                Stands::Hidden(cell)
            } else if let Some((_, cell)) = whole.next_if(at_key) {
                Stands::Whole(cell)
            } else {
                unreachable!("one of them has this key")
            };
            if !go_on(key, stands) {
                return;
            }
        }
    }

    /// Shows the cell of each stop order that waits: those whose turn is next, then by trigger.
    fn each_waiting(&self, see: impl FnMut(u32)) {
        if let Some(special) = &self.special {
            special.waiting().for_each(see);
        }
    }

    /// Says what happened, and counts it.
    #[inline(always)]
    fn say<S: EventSink>(&mut self, events: &mut S, kind: EventKind) {
        self.counters.count(&kind);
        events.push(kind);
    }
}

/// What stands at a price.
#[derive(Clone, Copy)]
enum Stands {
    /// A level, by its cell.
    Level(u32),
    /// A hidden order.
    Hidden(u32),
    /// An all-or-none order.
    Whole(u32),
}

impl fmt::Debug for Book {
    /// What it holds in short: a book in full is a screen for each order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book")
            .field("header", &self.header())
            .field("best_bid", &self.best(Side::Buy))
            .field("best_ask", &self.best(Side::Sell))
            .finish_non_exhaustive()
    }
}

impl BookView for Book {
    fn header(&self) -> BookHeader {
        BookHeader {
            instrument: self.instrument,
            last_sequence: self.last_sequence,
            next_order_number: self.next_order_number(),
            counters: self.counters,
            last_trade: self.last_trade(),
            resting: u64::from(self.numbers.live()),
        }
    }

    fn visit(&self, side: Side, see: impl FnMut(&RestingOrder)) {
        Self::visit(self, side, see);
    }

    fn visit_stops(&self, see: impl FnMut(&RestingOrder)) {
        Self::visit_stops(self, see);
    }
}
