//! A book from all that it showed: how a snapshot becomes a book again.
//!
//! 1. The header is held against itself: counters that no history of commands could have led to are refused.
//! 2. Orders are put at the end of their level's queue, in the order given, each checked against the header,
//!    the orders before it, and its side's sum.
//! 3. Stop orders take their places, and both sides' best prices are compared.
//!
//! The image comes from outside, so nothing in it is believed: what cannot be is an error, never a panic, and
//! memory follows the orders given. What can be is taken: whether it is also what was is for the [state
//! hash](crate::hash) to say.

use core::fmt;

use domain::{
    Display, Execution, Instructions, InstrumentId, Nanos, OrderId, OrderType, Price, Side, TimeInForce,
    Trigger,
};

use super::matching::Taker;
use super::side::{EMPTY, key_of};
use super::{Book, BookHeader, BookView, RestingOrder, Special, Waiting};

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
        let all = image.orders.len() + image.stops.len();
        check_header(&image.header, all)?;
        let mut book = Self::new(image.header.instrument);
        book.last_sequence = image.header.last_sequence;
        book.counters = image.header.counters;
        if let Some(last) = image.header.last_trade {
            (book.last_price, book.last_quantity) = (last.price, last.quantity);
        }
        book.numbers.start_after(image.header.next_order_number - 1, all);
        for (orders, waits) in [(&image.orders, false), (&image.stops, true)] {
            for order in orders {
                let wrong = |what| RestoreError::Order(order.order, what);
                check_order(&image.header, order, waits).map_err(wrong)?;
                book.put(order).map_err(wrong)?;
            }
        }
        let [bid, ask] = [Side::Buy, Side::Sell].map(|side| book.best_uncrossable(side));
        // The best ask in the bids' key space is !best.
        if bid != EMPTY && ask != EMPTY && bid >= !ask {
            return Err(RestoreError::Crossed);
        }
        Ok(book)
    }

    /// Gives an order its place, behind those that have been put there.
    fn put(&mut self, order: &RestingOrder) -> Result<(), &'static str> {
        if self.numbers.find(order.order.number()).is_some() {
            return Err("it is there twice");
        }
        let side = &self.sides[order.side as usize];
        if side.open().checked_add(order.leaves.lots()).is_none() {
            return Err("its side's sum would not fit in 64 bits");
        }
        let taker = Taker {
            number: order.order.number(),
            owner: order.owner,
            account: order.account,
            side: order.side,
            order_type: order.special.map_or(OrderType::Limit, |special| special.order_type),
            time_in_force: order.time_in_force,
            price: order.price,
            leaves: order.leaves.lots(),
            executed: order.executed.lots(),
        };
        match &order.special {
            None => self.rest(&taker),
            Some(special) => self.put_special(&taker, special, order.queued_by)?,
        }
        let cell = self.numbers.find(taker.number).expect("it has just got a cell");
        self.cells[cell].queued_by = order.queued_by.0;
        self.cells[cell].queued_at = order.queued_at.0;
        let before = self.cells[cell].prev;
        if self.cells[cell].level != before && self.cells[before].queued_by > order.queued_by.0 {
            return Err("it is behind one that was queued after it");
        }
        Ok(())
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
        (orders < 1 << 30, "more orders than cells"),
        (numbers.contains(&(counters.trades.wrapping_add(1))), "the trades are out of range"),
        (
            counters.traded <= u128::from(counters.trades) * u128::from(u64::MAX),
            "more was traded than the trades could",
        ),
        (last_trade, "the last trade is not the one counted last"),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, what)| Err(RestoreError::Header(what)))
}

/// What holds of every order, whatever else there is.
fn check_order(header: &BookHeader, order: &RestingOrder, waits: bool) -> Result<(), &'static str> {
    let is_dated = order.time_in_force == TimeInForce::GoodTillDate;
    let expires = order.special.map_or(Nanos(0), |special| special.instructions.expires);
    let waiting = order.special.map_or(Waiting::No, |special| special.waiting);
    let rules = [
        (order.order.instrument() == header.instrument, "it is another book's"),
        ((1..header.next_order_number).contains(&order.order.number()), "its number has not been given yet"),
        (!order.leaves.is_zero(), "nothing is open"),
        (order.leaves.checked_add(order.executed).is_some(), "open and executed do not fit in 64 bits"),
        (order.time_in_force.rests(), "its time in force does not"),
        (
            is_dated == (expires != Nanos(0)),
            "it has a date without being good till date, or the other way round",
        ),
        (waits == (waiting != Waiting::No), "it waits among those that rest, or the other way round"),
        (
            order.queued_by.0 > 0 && order.queued_by <= header.last_sequence,
            "it was queued by a command that the book has not seen",
        ),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, what)| Err(what))?;
    order.special.map_or(Ok(()), |special| check_special(header, order, &special))
}

/// What holds of every special order.
fn check_special(header: &BookHeader, order: &RestingOrder, special: &Special) -> Result<(), &'static str> {
    let Instructions { trigger, display, execution, .. } = special.instructions;
    let rests = special.waiting == Waiting::No;
    let is_limit = special.order_type == OrderType::Limit;
    let is_whole = execution == Execution::AllOrNone;
    let display_fits = match display {
        Display::Full => true,
        Display::Iceberg { peak, spread, .. } => is_limit && u64::from(spread) < peak.lots(),
        Display::Hidden => is_limit,
    };
    let shown_fits = match display {
        _ if !rests || is_whole => special.shown.is_zero(),
        Display::Full => special.shown == order.leaves,
        Display::Iceberg { .. } => !special.shown.is_zero() && special.shown <= order.leaves,
        Display::Hidden => special.shown.is_zero(),
    };
    let last = header.last_trade.map(|last| key_of(order.side, last.price));
    let waits_for = |price: Price| last.is_none_or(|last| key_of(order.side, price) > last);
    let waiting_fits = match (special.waiting, trigger) {
        (Waiting::No | Waiting::ForTurn, Trigger::None) => true,
        (Waiting::ForTrigger(Some(at)), Trigger::Stop(price)) => at == price && waits_for(at),
        (Waiting::ForTrigger(Some(at)), Trigger::Trailing { ticks }) => ticks > 0 && waits_for(at),
        (Waiting::ForTrigger(None), Trigger::Trailing { ticks }) => ticks > 0 && last.is_none(),
        _ => false,
    };
    let execution_fits = match execution {
        Execution::Any => true,
        Execution::Minimum(minimum) => !rests && !minimum.is_zero(),
        Execution::AllOrNone => is_limit && display == Display::Full,
        Execution::PostOnly(_) => is_limit && rests,
    };
    let rules = [
        (!rests || special.instructions != Instructions::NONE, "it is special and asks for nothing"),
        (!rests || is_limit, "it rests without a limit"),
        (display_fits, "its display makes no sense"),
        (shown_fits, "what it shows is not what its display says"),
        (waiting_fits, "what it waits for is not what its trigger says"),
        (execution_fits, "its execution makes no sense"),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, what)| Err(what))
}
