//! A book from all that it showed: how a snapshot becomes a book again.
//!
//! 1. The header is held against itself: counters that no history of commands could have led to are refused.
//! 2. Orders are put at the end of their level's queue, in the order given, each checked against the header,
//!    the orders before it, and its side's sum.
//! 3. The table of numbers is filled from the lowest up, and both sides' best prices are compared.
//!
//! The image comes from outside, so nothing in it is believed: what cannot be is an error, never a panic, and
//! memory follows the orders given. What can be is taken: whether it is also what was is for the [state
//! hash](crate::hash) to say.

use core::fmt;

use domain::{InstrumentId, OrderId, Side};

use super::side::{EMPTY, key_of};
use super::slab::{Cell, NIL};
use super::{Book, BookHeader, BookView, RestingOrder};

/// All that a book holds, as [`BookView`] shows it: enough to go on alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookImage {
    /// Everything but the orders.
    pub header: BookHeader,
    /// The orders that rest: bids, then asks, each in priority.
    pub orders: Vec<RestingOrder>,
    /// The stop orders that wait, as [`BookView::visit_stops`] shows them.
    pub stops: Vec<RestingOrder>,
}

impl BookImage {
    /// What a book shows.
    #[must_use]
    pub fn of(book: &impl BookView) -> Self {
        let mut orders = Vec::new();
        for side in [Side::Buy, Side::Sell] {
            book.visit(side, |order| orders.push(*order));
        }
        let mut stops = Vec::new();
        book.visit_stops(|order| stops.push(*order));
        Self { header: book.header(), orders, stops }
    }
}

/// Why an image is no book's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// Past [`OrderId::INSTRUMENTS_MAX`].
    Instrument(InstrumentId),
    /// A count that no history of commands leads to; which one.
    Header(&'static str),
    /// An order that cannot rest here; which, and why.
    Order(OrderId, &'static str),
    /// The best bid is not below the best ask.
    Crossed,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instrument(instrument) => write!(f, "instrument {instrument} is out of range"),
            Self::Header(what) => write!(f, "the book's header cannot be: {what}"),
            Self::Order(order, what) => write!(f, "order {order} cannot rest: {what}"),
            Self::Crossed => f.write_str("the best bid is not below the best ask"),
        }
    }
}

impl core::error::Error for RestoreError {}

impl Book {
    /// The book that an image is of. It says the same to every further command as the book that showed it.
    ///
    /// # Errors
    /// When the image is no book's: see [`RestoreError`].
    pub fn restore(image: &BookImage) -> Result<Self, RestoreError> {
        check_header(&image.header, image.orders.len())?;
        let mut book = Self::new(image.header.instrument);
        book.last_sequence = image.header.last_sequence;
        book.counters = image.header.counters;
        book.last_trade = image.header.last_trade;
        let mut numbers = Vec::with_capacity(image.orders.len());
        for order in &image.orders {
            check_order(&image.header, order).map_err(|what| RestoreError::Order(order.order, what))?;
            numbers.push((order.order.number(), book.queue(order)?));
        }
        numbers.sort_unstable();
        if let Some(pair) = numbers.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let order = OrderId::new(book.instrument, pair[0].0);
            return Err(RestoreError::Order(order, "it is there twice"));
        }
        book.orders.fill(image.header.next_order_number - 1, &numbers);
        let [bids, asks] = &book.sides;
        // The best ask in the bids' key space is !best.
        if bids.best() != EMPTY && asks.best() != EMPTY && bids.best() >= !asks.best() {
            return Err(RestoreError::Crossed);
        }
        Ok(book)
    }

    /// Queues an order behind those at its price. Returns its cell.
    fn queue(&mut self, order: &RestingOrder) -> Result<u32, RestoreError> {
        let wrong = |what| Err(RestoreError::Order(order.order, what));
        let side = &mut self.sides[order.side as usize];
        let key = key_of(order.side, order.price);
        if side.open().checked_add(order.leaves.lots()).is_none() {
            return wrong("its side's sum would not fit in 64 bits");
        }
        if side.level(key).is_some_and(|level| self.slab[level.tail].queued_by >= order.queued_by) {
            return wrong("it is behind one that was queued after it");
        }
        let cell = self.slab.insert(Cell {
            order: order.order,
            key,
            leaves: order.leaves.lots(),
            executed: order.executed.lots(),
            owner: order.owner,
            account: order.account,
            next: NIL,
            prev: NIL,
            side: order.side,
            time_in_force: order.time_in_force,
            queued_by: order.queued_by,
            queued_at: order.queued_at,
        });
        side.push(&mut self.slab, cell);
        Ok(cell)
    }
}

/// What holds of every book's header, so that what is counted from it on cannot overflow either.
fn check_header(header: &BookHeader, orders: usize) -> Result<(), RestoreError> {
    if header.instrument.0 >= OrderId::INSTRUMENTS_MAX {
        return Err(RestoreError::Instrument(header.instrument));
    }
    let counters = &header.counters;
    let numbers = 1..=1 << OrderId::NUMBER_BITS;
    let given = header.next_order_number.wrapping_sub(1);
    // The trade's id is compared by its halves: a count out of range would make no id.
    let last_trade = match header.last_trade {
        None => counters.trades == 0,
        Some(last) => {
            counters.trades > 0
                && last.trade.number() == counters.trades
                && last.trade.instrument() == header.instrument
        }
    };
    let rules = [
        (numbers.contains(&header.next_order_number), "the next order's number is out of range"),
        (counters.commands <= header.last_sequence.0, "more commands than sequences"),
        (given <= counters.commands, "more order numbers than commands"),
        // An order number comes of Enter or of Replace, and is accepted, put in another's place, or refused.
        (
            counters.accepted.checked_add(counters.replaced).is_some_and(|made| made <= given),
            "more orders than order numbers",
        ),
        (counters.reduced <= counters.commands, "more reductions than commands"),
        (counters.rejected <= counters.commands, "more refusals than commands"),
        // However often it is replaced, an accepted order rests, or has ended once.
        (
            counters.canceled.checked_add(orders as u64).is_some_and(|sum| sum <= counters.accepted),
            "more orders rest or were canceled than were accepted",
        ),
        (header.resting == orders as u64, "another number of orders than rest"),
        (orders < NIL as usize, "more orders than cells"),
        (numbers.contains(&(counters.trades.wrapping_add(1))), "the trades are out of range"),
        (
            counters.traded <= u128::from(counters.trades) * u128::from(u64::MAX),
            "more was traded than the trades could",
        ),
        (last_trade, "the last trade is not the one counted last"),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, what)| Err(RestoreError::Header(what)))
}

/// What holds of every resting order, whatever else rests.
fn check_order(header: &BookHeader, order: &RestingOrder) -> Result<(), &'static str> {
    let rules = [
        (order.order.instrument() == header.instrument, "it is another book's"),
        ((1..header.next_order_number).contains(&order.order.number()), "its number has not been given yet"),
        (!order.leaves.is_zero(), "nothing is open"),
        (order.leaves.checked_add(order.executed).is_some(), "open and executed do not fit in 64 bits"),
        (order.time_in_force.rests(), "its time in force does not"),
        (
            order.queued_by.0 > 0 && order.queued_by <= header.last_sequence,
            "it was queued by a command that the book has not seen",
        ),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, what)| Err(what))
}
