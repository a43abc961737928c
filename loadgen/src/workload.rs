//! The stream of orders: interleaved lifetimes around slowly moving prices, from a seed.
//!
//! The stream is a function of the seed, the instruments, the number of sessions and the books that it is asked
//! for, never of the exchange's answers: two runs send the same bytes, so they can be compared, and a canceled
//! order may have been filled already, as happens to real clients.
//!
//! Mix: 48% new orders, 42% cancels (45% each in a long run), 5% changes (nine tenths replacements, mostly by one
//! tick, one tenth partial cancels), 5% marketable immediate-or-cancel orders. Half of the orders that die are
//! canceled within 9 new orders of their birth in the same book, 90% within 119: as measured on one hour of AAPL
//! at NASDAQ (LOBSTER, 2012-06-21). One order in eight is left alone, which is about how many the immediate orders
//! fill; those of them that nobody filled are canceled when they are old, so that a long run keeps a bounded number
//! of live orders, and has somewhat more cancels.
//!
//! Lifetimes are kept in a calendar per book: an order born as the book's n-th that lives for L more is filed
//! under day n + L, and comes due when the book's (n + L)-th order is entered.
//!
//! ```text
//! calendar of a book     day:   0     1     2   …  (days are counted modulo a power of two)
//!                               │           │
//!                             order⇄order  order    doubly linked through the orders themselves
//! due                    ── order⇄order⇄order       canceled before anything new is entered
//! ```

use domain::{Instrument, Side};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::request::{Ask, Number, Request, orders_per_session};

/// OUCH: quantities on entry are below this.
pub(crate) const UNITS_BELOW: u64 = 1_000_000;
/// OUCH: the highest limit price, 199,999.9900; above it a price means a market order.
pub(crate) const PRICE_E4_MAX: u64 = 1_999_999_900;

/// A link to no order.
const NONE: u32 = u32::MAX;
/// The list of an order that hangs in no calendar.
const UNLISTED: u16 = u16::MAX;
/// The list of an order that is due.
const DUE: u16 = u16::MAX - 1;
/// How many of a book's latest orders a change may choose from.
const RECENT: usize = 8;
/// Entries of the table of lifetimes.
const LIFETIMES: usize = 1_000;

/// An order as planned. 32 bytes.
#[derive(Clone, Copy, Debug)]
struct Planned {
    price: i64,
    number: Number,
    book: u32,
    previous: u32,
    next: u32,
    lots: u32,
    /// The day it is filed under, or [`DUE`] or [`UNLISTED`].
    list: u16,
    side: Side,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Never used, canceled, replaced, or immediate.
    Closed,
    /// May be changed and canceled.
    Open,
    /// Made smaller once; may be replaced and canceled.
    Reduced,
}

const _: () = assert!(size_of::<Planned>() == 32);

impl Planned {
    const UNUSED: Self = Self {
        price: 0,
        number: 0,
        book: 0,
        previous: NONE,
        next: NONE,
        lots: 0,
        list: UNLISTED,
        side: Side::Buy,
        state: State::Closed,
    };
}

/// A book as the stream sees it.
#[derive(Debug)]
struct Book {
    /// Ticks; `low <= mid <= high`.
    mid: i64,
    low: i64,
    high: i64,
    /// The highest price that an order may carry.
    price_max: i64,
    /// The largest order, in lots.
    lots_max: u64,
    tick: u64,
    lot: u64,
    /// Orders entered so far.
    born: u32,
    /// The first order that is due.
    due: u32,
    recent: [u32; RECENT],
}

/// The stream of orders.
#[derive(Debug)]
pub(crate) struct Workload {
    rng: Xoshiro256PlusPlus,
    sessions: usize,
    books: Vec<Book>,
    /// The first order of each day of each book: `book * days + day`.
    calendar: Vec<u32>,
    /// A power of two.
    days: u32,
    lifetimes: Vec<u16>,
    /// `session * per_session + number % per_session`.
    orders: Vec<Planned>,
    /// Whether each is open: a copy of its state, so that asking for the oldest reads a byte that is cached, not an
    /// order that was last used long ago.
    open: Vec<bool>,
    /// A power of two.
    per_session: usize,
    /// An order as old as this, counted in its session's numbers, is canceled, so that the ring of orders never
    /// overwrites a live one. A quarter of the ring stays for what is unanswered.
    age_max: u32,
    /// Each session's last number.
    last: Vec<Number>,
}

impl Workload {
    /// A stream for these instruments; each must be enterable through OUCH.
    pub(crate) fn new(instruments: &[Instrument], sessions: usize, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let days: u32 = match instruments.len() {
            0..=1_024 => 512,
            1_025..=4_096 => 256,
            _ => 128,
        };
        let per_session = orders_per_session(sessions, instruments.len());
        let books: Vec<_> = instruments.iter().map(|i| Book::new(i, &mut rng)).collect();
        Self {
            calendar: vec![NONE; books.len() * days as usize],
            books,
            days,
            lifetimes: lifetimes(days),
            orders: vec![Planned::UNUSED; sessions * per_session],
            open: vec![false; sessions * per_session],
            per_session,
            age_max: (per_session / 4 * 3) as u32,
            last: vec![0; sessions],
            sessions,
            rng,
        }
    }

    /// The next request in this book.
    pub(crate) fn next(&mut self, book: usize) -> Request {
        let draw = self.rng.next_u32();
        let percent = scaled(draw, 100);
        // One in six finds nothing to change.
        if percent < 6
            && let Some(request) = self.change(book)
        {
            return request;
        }
        if (6..11).contains(&percent) {
            return self.immediate(book);
        }
        let due = self.books[book].due;
        // Now and then an order is entered before what is due is gone, so the two stay interleaved.
        if due != NONE && percent != 99 {
            return self.cancel(due);
        }
        self.enter(book)
    }

    /// The book of a request that was just made: not always the one that was asked for, when a session's oldest order
    /// had to make room.
    pub(crate) fn book_of(&self, request: &Request) -> usize {
        match request.ask {
            Ask::Enter { book, .. } => book,
            _ => self.orders[self.handle(request.session, request.number) as usize].book as usize,
        }
    }

    fn enter(&mut self, book: usize) -> Request {
        let session = self.any_session();
        if let Some(request) = self.make_room(session) {
            return request;
        }
        let side = self.any_side();
        let distance = self.distance(book);
        let lots = self.lots(book);
        let b = &mut self.books[book];
        if scaled(self.rng.next_u32(), 50) == 0 {
            let step = if self.rng.next_u32() & 1 == 0 { 1 } else { -1 };
            b.mid = (b.mid + step).clamp(b.low, b.high);
        }
        let price = match side {
            Side::Buy => b.mid - 1 - distance,
            Side::Sell => b.mid + 1 + distance,
        }
        .clamp(1, b.price_max);
        let number = self.give_number(session);
        self.insert(session, number, book, side, price, lots);
        let b = &self.books[book];
        Request {
            session,
            number,
            ask: Ask::Enter {
                book,
                side,
                price_e4: b.price_e4(price),
                quantity: b.units(lots),
                immediate: false,
            },
        }
    }

    fn immediate(&mut self, book: usize) -> Request {
        let session = self.any_session();
        if let Some(request) = self.make_room(session) {
            return request;
        }
        let side = self.any_side();
        let lots = self.lots(book);
        let through = 1 + i64::from(scaled(self.rng.next_u32(), 5));
        let b = &self.books[book];
        let price = match side {
            Side::Buy => b.mid + through,
            Side::Sell => b.mid - through,
        }
        .clamp(1, b.price_max);
        let ask =
            Ask::Enter { book, side, price_e4: b.price_e4(price), quantity: b.units(lots), immediate: true };
        let number = self.give_number(session);
        let order = self.handle(session, number);
        self.orders[order as usize] = Planned { number, ..Planned::UNUSED };
        Request { session, number, ask }
    }

    fn cancel(&mut self, order: u32) -> Request {
        self.unlist(order);
        let session = order as usize / self.per_session;
        self.open[order as usize] = false;
        let planned = &mut self.orders[order as usize];
        planned.state = State::Closed;
        Request { session, number: planned.number, ask: Ask::Cancel }
    }

    /// Replaces or reduces one of the book's latest orders, beginning with one drawn; `None` when all are gone.
    fn change(&mut self, book: usize) -> Option<Request> {
        let draw = self.rng.next_u32();
        let recent = &self.books[book].recent;
        let open = |order: &u32| {
            self.orders
                .get(*order as usize)
                .is_some_and(|planned| planned.book as usize == book && planned.state != State::Closed)
        };
        let order = (0..RECENT).map(|i| recent[(draw as usize + i) % RECENT]).find(open)?;
        let planned = self.orders[order as usize];
        let session = order as usize / self.per_session;
        if draw >> 16 < 6_554 && planned.state == State::Open && planned.lots > 1 {
            let lots = 1 + scaled(self.rng.next_u32(), planned.lots - 1);
            let kept = &mut self.orders[order as usize];
            kept.state = State::Reduced;
            kept.lots = lots;
            let total = self.books[book].units(lots);
            return Some(Request { session, number: planned.number, ask: Ask::Reduce { total } });
        }
        if let Some(request) = self.make_room(session) {
            return Some(request);
        }
        let steps = if scaled(self.rng.next_u32(), 10) < 8 { 1 } else { 2 + self.distance(book) % 16 };
        let b = &self.books[book];
        // Most replacements follow the price: towards the middle, but not through it.
        let towards = match planned.side {
            Side::Buy => (planned.price + steps).min(b.mid - 1),
            Side::Sell => (planned.price - steps).max(b.mid + 1),
        };
        let price = if towards == planned.price {
            match planned.side {
                Side::Buy => planned.price - steps,
                Side::Sell => planned.price + steps,
            }
        } else {
            towards
        }
        .clamp(1, b.price_max);
        let (price_e4, quantity) = (b.price_e4(price), b.units(planned.lots));
        self.unlist(order);
        self.open[order as usize] = false;
        self.orders[order as usize].state = State::Closed;
        let number = self.give_number(session);
        self.insert(session, number, book, planned.side, price, planned.lots);
        Some(Request { session, number, ask: Ask::Replace { original: planned.number, price_e4, quantity } })
    }

    /// The session's oldest order must go before it may have another number.
    fn make_room(&mut self, session: usize) -> Option<Request> {
        let oldest = self.last[session].checked_sub(self.age_max)?;
        let order = self.handle(session, oldest);
        self.open[order as usize].then(|| self.cancel(order))
    }

    fn give_number(&mut self, session: usize) -> Number {
        self.last[session] = self.last[session].checked_add(1).expect("a session has 2^32 numbers");
        self.last[session]
    }

    /// Files a new order under the day it will be canceled.
    fn insert(&mut self, session: usize, number: Number, book: usize, side: Side, price: i64, lots: u32) {
        let draw = self.rng.next_u32();
        let patient = draw & 7 == 0;
        let lifetime = u32::from(self.lifetimes[scaled(draw, LIFETIMES as u32) as usize]);
        let order = self.handle(session, number);
        let b = &mut self.books[book];
        b.born = b.born.wrapping_add(1);
        b.recent[b.born as usize % RECENT] = order;
        let today = b.born & (self.days - 1);
        let day = (b.born.wrapping_add(lifetime) & (self.days - 1)) as u16;
        self.open[order as usize] = true;
        self.orders[order as usize] = Planned {
            price,
            number,
            book: book as u32,
            previous: NONE,
            next: NONE,
            lots,
            list: UNLISTED,
            side,
            state: State::Open,
        };
        self.come_due(book, today);
        if !patient {
            self.list(order, day);
        }
    }

    /// What was filed under `today` is due.
    fn come_due(&mut self, book: usize, today: u32) {
        let first = core::mem::replace(&mut self.calendar[book * self.days as usize + today as usize], NONE);
        if first == NONE {
            return;
        }
        let mut last = first;
        loop {
            let planned = &mut self.orders[last as usize];
            planned.list = DUE;
            if planned.next == NONE {
                break;
            }
            last = planned.next;
        }
        let behind = core::mem::replace(&mut self.books[book].due, first);
        self.orders[last as usize].next = behind;
        if behind != NONE {
            self.orders[behind as usize].previous = last;
        }
    }

    /// Puts an order at the front of a day.
    fn list(&mut self, order: u32, day: u16) {
        let book = self.orders[order as usize].book as usize;
        let head = &mut self.calendar[book * self.days as usize + usize::from(day)];
        let behind = core::mem::replace(head, order);
        let planned = &mut self.orders[order as usize];
        planned.list = day;
        planned.next = behind;
        if behind != NONE {
            self.orders[behind as usize].previous = order;
        }
    }

    /// Takes an order off its list.
    fn unlist(&mut self, order: u32) {
        let planned = self.orders[order as usize];
        if planned.list == UNLISTED {
            return;
        }
        if planned.previous != NONE {
            self.orders[planned.previous as usize].next = planned.next;
        } else if planned.list == DUE {
            self.books[planned.book as usize].due = planned.next;
        } else {
            self.calendar[planned.book as usize * self.days as usize + usize::from(planned.list)] =
                planned.next;
        }
        if planned.next != NONE {
            self.orders[planned.next as usize].previous = planned.previous;
        }
        let planned = &mut self.orders[order as usize];
        planned.list = UNLISTED;
        planned.previous = NONE;
        planned.next = NONE;
    }

    /// Where an order is kept.
    fn handle(&self, session: usize, number: Number) -> u32 {
        (session * self.per_session + (number as usize & (self.per_session - 1))) as u32
    }

    fn any_session(&mut self) -> usize {
        scaled(self.rng.next_u32(), self.sessions as u32) as usize
    }

    fn any_side(&mut self) -> Side {
        if self.rng.next_u32() >> 31 == 0 { Side::Buy } else { Side::Sell }
    }

    /// Ticks from the touch: half within 3, nine tenths within 136, one in a hundred far away (up to a fifth of
    /// the price), as AAPL's bids lay in that hour.
    fn distance(&mut self, book: usize) -> i64 {
        let draw = self.rng.next_u64();
        let (percent, rest) = (scaled((draw >> 32) as u32, 100), draw as u32);
        let bound = match percent {
            0..50 => 4,
            50..75 => 16,
            75..90 => 136,
            90..99 => 1_000,
            _ => u32::try_from(self.books[book].mid / 5).unwrap_or(u32::MAX).max(1),
        };
        i64::from(scaled(rest, bound))
    }

    /// A size in lots: seven in ten are 100 units, one in ten an odd number.
    fn lots(&mut self, book: usize) -> u32 {
        let draw = self.rng.next_u64();
        let (kind, rest) = (scaled((draw >> 32) as u32, 10), draw as u32);
        let units = match kind {
            0..7 => 100,
            7 => 200,
            8 => 300 + 100 * scaled(rest, 8),
            _ => 1 + scaled(rest, 99),
        };
        let b = &self.books[book];
        (u64::from(units) / b.lot).clamp(1, b.lots_max) as u32
    }
}

impl Book {
    fn new(instrument: &Instrument, rng: &mut Xoshiro256PlusPlus) -> Self {
        let tick = u64::from(instrument.tick);
        let price_max = instrument.price_max.ticks().min((PRICE_E4_MAX / tick) as i64).max(1);
        let lot = u64::from(instrument.lot);
        let lots_max = instrument.quantity_max.lots().min((UNITS_BELOW - 1) / lot).max(1);
        let mid = rng.random_range(1_000..50_000_i64).min(price_max / 2).max(1);
        Self {
            mid,
            low: (mid - mid / 8).max(1),
            high: mid + mid / 8,
            price_max,
            lots_max,
            tick,
            lot,
            born: 0,
            due: NONE,
            recent: [NONE; RECENT],
        }
    }

    /// `1 <= price <= price_max`, whose product with the tick is at most [`PRICE_E4_MAX`] or one tick.
    fn price_e4(&self, price: i64) -> u64 {
        price as u64 * self.tick
    }

    /// `lots <= lots_max`, whose product with the lot is below [`UNITS_BELOW`] or one lot.
    fn units(&self, lots: u32) -> u32 {
        (u64::from(lots) * self.lot) as u32
    }
}

/// A draw of 32 bits, scaled to `0..bound`.
fn scaled(draw: u32, bound: u32) -> u32 {
    ((u64::from(draw) * u64::from(bound)) >> 32) as u32
}

/// Lifetimes by quantile: log-uniform in 1..=9 for the first half, 10..=119 up to nine tenths, then up to the
/// calendar's last day.
fn lifetimes(days: u32) -> Vec<u16> {
    (0..LIFETIMES)
        .map(|i| {
            let q = (i as f64 + 0.5) / LIFETIMES as f64;
            let (low, high, part) = if q < 0.5 {
                (1.0, 9.0, q / 0.5)
            } else if q < 0.9 {
                (9.5, 119.0, (q - 0.5) / 0.4)
            } else {
                (119.5, f64::from(days - 1), (q - 0.9) / 0.1)
            };
            (low * f64::powf(high / low, part)).round() as u16
        })
        .collect()
}

/// Instruments in cents, for tests.
#[cfg(test)]
pub(crate) fn instruments(count: u32) -> Vec<Instrument> {
    (0..count)
        .map(|i| Instrument {
            id: domain::InstrumentId(i),
            symbol: domain::Symbol::new(&format!("S{i}")).unwrap(),
            tick: 100,
            lot: 1,
            quantity_max: domain::Quantity(999_999),
            price_max: domain::Price::new(19_999_999).unwrap(),
            bounds: domain::OrderBounds::NONE,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use domain::{Price, Quantity};

    use super::*;

    fn stream(instruments: &[Instrument], sessions: usize, seed: u64, count: usize) -> Vec<Request> {
        let mut workload = Workload::new(instruments, sessions, seed);
        (0..count).map(|i| workload.next(i * 7 % instruments.len())).collect()
    }

    #[test]
    fn one_seed_one_stream() {
        let instruments = instruments(20);
        assert_eq!(stream(&instruments, 4, 11, 20_000), stream(&instruments, 4, 11, 20_000));
        assert_ne!(stream(&instruments, 4, 11, 1_000), stream(&instruments, 4, 12, 1_000));
    }

    /// Every request is one that a client with a good memory could make: numbers ascend, only open orders are
    /// named, and nothing is asked of an order after its cancel.
    #[test]
    fn requests_name_open_orders_only() {
        let seed = seeded::seed();
        for (books, sessions, count) in [(1, 1, 200_000), (3, 2, 100_000), (1_500, 8, 1_000_000)] {
            let instruments = instruments(books);
            let mut open: HashMap<(usize, Number), u32> = HashMap::new();
            let mut last = vec![0; sessions];
            for request in stream(&instruments, sessions, seed, count) {
                let key = (request.session, request.number);
                if let Ask::Enter { .. } | Ask::Replace { .. } = request.ask {
                    assert_eq!(request.number, last[request.session] + 1);
                    last[request.session] = request.number;
                }
                match request.ask {
                    Ask::Enter { price_e4, quantity, immediate, .. } => {
                        assert!(price_e4 > 0 && price_e4 <= PRICE_E4_MAX && price_e4.is_multiple_of(100));
                        assert!(quantity > 0 && u64::from(quantity) < UNITS_BELOW);
                        if !immediate {
                            open.insert(key, quantity);
                        }
                    }
                    Ask::Reduce { total } => {
                        let size = open.get_mut(&key).expect("open");
                        assert!(0 < total && total < *size);
                        *size = total;
                    }
                    Ask::Cancel => {
                        open.remove(&key).expect("open");
                    }
                    Ask::Replace { original, quantity, .. } => {
                        assert_eq!(open.remove(&(request.session, original)), Some(quantity));
                        open.insert(key, quantity);
                    }
                }
                assert!(open.len() <= sessions * orders_per_session(sessions, instruments.len()) / 4 * 3);
            }
        }
    }

    #[test]
    fn the_mix_is_that_of_real_flow() {
        for books in [1, 100] {
            let requests = stream(&instruments(books), 4, 3, 400_000);
            let (mut adds, mut cancels, mut changes, mut immediates) = (0, 0, 0, 0);
            for request in &requests[100_000..] {
                match request.ask {
                    Ask::Enter { immediate: false, .. } => adds += 1,
                    Ask::Enter { .. } => immediates += 1,
                    Ask::Cancel => cancels += 1,
                    Ask::Reduce { .. } | Ask::Replace { .. } => changes += 1,
                }
            }
            let percent = |n: i32| f64::from(n) / 3_000.0;
            assert!((44.5..50.0).contains(&percent(adds)), "{books} books: adds {}", percent(adds));
            assert!((40.0..46.5).contains(&percent(cancels)), "{books} books: cancels {}", percent(cancels));
            assert!((4.0..6.0).contains(&percent(changes)), "{books} books: changes {}", percent(changes));
            assert!((4.3..5.5).contains(&percent(immediates)), "{books} books: IOC {}", percent(immediates));
        }
    }

    #[test]
    fn half_of_the_orders_die_young() {
        let mut born = HashMap::new();
        let mut births = 0_u32;
        let mut ages = vec![];
        for request in stream(&instruments(1), 4, 3, 300_000) {
            let key = (request.session, request.number);
            match request.ask {
                Ask::Enter { immediate: false, .. } => {
                    births += 1;
                    born.insert(key, births);
                }
                // A replaced order is not dead; its age is not looked at.
                Ask::Replace { original, .. } => {
                    born.remove(&(request.session, original));
                }
                Ask::Cancel => ages.extend(born.remove(&key).map(|b| births - b)),
                _ => {}
            }
        }
        // Orders that their owner never cancels leave the ring of orders much later; an exchange would fill them.
        ages.retain(|&age| age < 10_000);
        ages.sort_unstable();
        let at = |part: f64| ages[(ages.len() as f64 * part) as usize];
        assert!((7..=12).contains(&at(0.5)), "{}", at(0.5));
        assert!((90..=140).contains(&at(0.9)), "{}", at(0.9));
    }

    #[test]
    fn instruments_with_narrow_limits_are_respected() {
        let narrow = Instrument {
            lot: 50,
            quantity_max: Quantity(3),
            price_max: Price::new(5).unwrap(),
            ..instruments(1)[0]
        };
        for request in stream(&[narrow], 1, 1, 10_000) {
            if let Ask::Enter { price_e4, quantity, .. } | Ask::Replace { price_e4, quantity, .. } =
                request.ask
            {
                assert!(narrow.price_from_e4(price_e4).is_some(), "{price_e4}");
                assert!(narrow.quantity_from_units(quantity.into()).is_some(), "{quantity}");
            }
        }
    }
}
