//! Books that change at random, what is told of them, and what somebody who is told has then.

use std::sync::Arc;

use domain::{Events, Instrument, InstrumentId, Nanos, OrderBounds, Price, Quantity, Side, Symbol};
use door::Waker;
use feed::{Market, Seen, Terms, Watcher as _, may_be_silent};
use gateway::Instruments;
use mio::{Poll, Token};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use wire::fix::{
    Checker, Frame, TimePrecision, Writer,
    dictionary::{Dictionary, FIX44, FIX50SP2},
    frame,
};

use crate::{
    book::Book,
    channel::Channels,
    entries::{Part, Trades, snapshot},
    handover::{Leaves, Takes, handover},
    request::{DEPTH_MAX, Types},
    view::{Fault, Levels, View},
};

fn generator() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seeded::seed())
}

/// A version, and how it tells of trades.
const VERSIONS: [(&Dictionary, Trades); 2] = [(&FIX44, Trades::Entry), (&FIX50SP2, Trades::Trade)];

/// That a message with these fields is one of the dictionary's.
fn check(dictionary: &'static Dictionary, msg_type: &str, body: &[u8]) {
    let mut out = Vec::new();
    let mut writer = Writer::new(TimePrecision::Millis);
    let mut message = writer.begin(&mut out, dictionary.begin_string.as_bytes(), msg_type.as_bytes());
    message.number(34, 1).text(49, b"V").time(52, Nanos(0)).text(56, b"C").fields(body);
    message.end();
    let Ok(Frame::Message(message, _)) = frame(&out, out.len()) else { panic!("no message") };
    Checker::default()
        .check(dictionary, &message)
        .unwrap_or_else(|fault| panic!("{fault:?}: {}", String::from_utf8_lossy(body).replace('\x01', "|")));
}

/// Holds a view of the book against the best levels of a market.
fn compare(view: &View, market: &Market, instrument: &Instrument, depth: usize, types: Types) {
    let book = view.book(instrument.symbol.as_str()).expect("it has been told");
    for (side, of) in [(Side::Buy, Types::BIDS), (Side::Sell, Types::OFFERS)] {
        let depth = if types.has(of) { depth } else { 0 };
        let should_be: Levels = market
            .levels(instrument.id, side)
            .take(depth)
            .map(|level| {
                let price = level.price.ticks() * i64::from(instrument.tick);
                let units = level.quantity.lots() * u64::from(instrument.lot);
                (price, (units, u64::from(level.orders)))
            })
            .collect();
        assert_eq!(book.sides[side as usize], should_be, "{side:?}, {depth} levels");
    }
}

/// Somebody who watches.
struct Watching {
    depth: usize,
    types: Types,
    version: usize,
    view: View,
    /// The trades that it was told when they happened.
    trades: Vec<u64>,
    /// An entry's number was not one above the last one's.
    gaps: u64,
    /// It is not told of changes until it has a snapshot.
    is_behind: bool,
    /// It has been behind.
    was_behind: bool,
}

impl Watching {
    fn take(&mut self, part: &Part) {
        let mut body = format!("262=r\x01268={}\x01", part.count).into_bytes();
        body.extend_from_slice(&part.fields);
        check(VERSIONS[self.version].0, "X", &body);
        match self.view.take(b"X", &body) {
            Ok(()) => {}
            Err(Fault::Gap { .. }) => self.gaps += 1,
            Err(fault) => panic!("{fault}"),
        }
        self.trades.extend(self.view.take_trades().iter().map(|trade| trade.trade));
    }
}

/// One book, what is seen of it, and those who watch.
struct Floor {
    instruments: Instruments,
    id: InstrumentId,
    market: Market,
    seen: Seen,
    leaves: Leaves,
    takes: Takes,
    book: Book,
    channels: Channels,
    watching: Vec<Watching>,
    _poll: Poll,
}

impl Floor {
    fn new(id: InstrumentId) -> Self {
        let mut instruments = Instruments::new();
        for at in 0..=id.0 {
            instruments.define(Instrument {
                id: InstrumentId(at),
                symbol: Symbol::new(&format!("S{at}")).unwrap(),
                tick: 25,
                lot: 10,
                quantity_max: Quantity(1_000_000),
                price_max: Price::new(1_000_000).unwrap(),
                bounds: OrderBounds::NONE,
            });
        }
        let poll = Poll::new().unwrap();
        let (mut leaves, takes) = handover(Arc::new(Waker::new(poll.registry(), Token(0)).unwrap()));
        let market = Market::new(id.0 as usize + 1);
        assert!(!takes.has_begun());
        leaves.on_begin(&market);
        assert!(takes.has_begun());
        let mut floor = Self {
            instruments,
            id,
            market,
            seen: Seen::default(),
            leaves,
            takes,
            book: Book::default(),
            channels: Channels::default(),
            watching: Vec::new(),
            _poll: poll,
        };
        for (depth, types, version) in [
            (DEPTH_MAX, 7, 0),
            (DEPTH_MAX, 7, 1),
            (DEPTH_MAX, 3, 0),
            (1, 3, 1),
            (3, 1, 0),
            (3, 6, 1),
            (2, 4, 0),
        ] {
            let at = floor.watching.len();
            floor.channels.watch((at, 7), id, depth, &floor.book);
            floor.watching.push(Watching {
                depth,
                types: Types(types),
                version,
                view: View::default(),
                trades: Vec::new(),
                gaps: 0,
                is_behind: true,
                was_behind: false,
            });
            floor.show(at);
        }
        floor
    }

    fn instrument(&self) -> Instrument {
        *self.instruments.get(self.id).unwrap()
    }

    /// Tells one a snapshot.
    fn show(&mut self, at: usize) {
        let instrument = self.instrument();
        let watching = &mut self.watching[at];
        let number = self.channels.number(self.id, watching.depth, watching.types);
        let (dictionary, version) = VERSIONS[watching.version];
        let mut body = Vec::new();
        let mut writer = Writer::new(TimePrecision::Millis);
        let what = (&b"r"[..], watching.depth, watching.types);
        snapshot(&mut writer.part(&mut body), &instrument, &self.book, what, version, number);
        check(dictionary, "W", &body);
        watching.view.take(b"W", &body).unwrap();
        // The last one, which it may have had.
        assert!(watching.view.take_trades().iter().all(|trade| trade.is_old));
        watching.is_behind = false;
    }

    /// Takes what was left, and tells it.
    fn publish(&mut self, rng: &mut impl Rng) {
        let instrument = self.instrument();
        let Self { takes, book, channels, watching, .. } = self;
        for (id, news) in takes.take() {
            if id != instrument.id {
                continue;
            }
            book.take(&news);
            channels.publish((&instrument, TimePrecision::Millis), book, &news, |(at, number), changes| {
                assert_eq!(number, 7);
                let watching = &mut watching[at];
                if at > 1 && rng.random_range(0..20) == 0 {
                    (watching.is_behind, watching.was_behind) = (true, true);
                }
                if watching.is_behind || !changes.has(watching.types) {
                    return;
                }
                let parts = changes.parts(watching.types, VERSIONS[watching.version].1);
                parts.iter().for_each(|part| watching.take(part));
            });
        }
        for at in 0..self.watching.len() {
            if self.watching[at].is_behind && rng.random() {
                self.show(at);
            }
            if !self.watching[at].is_behind {
                let Watching { depth, types, .. } = self.watching[at];
                compare(&self.watching[at].view, &self.market, &instrument, depth, types);
            }
        }
    }
}

#[test]
fn whoever_is_told_has_the_book_as_it_is_however_much_comes_between() {
    let mut rng = generator();
    let (mut trades, mut behind) = (Vec::new(), 0);
    for _ in 0..60 {
        let mut bytes: Vec<u8> = (0..rng.random_range(200..3_000)).map(|_| rng.random()).collect();
        bytes[0] = 0;
        let (id, stream) = engine::fuzz::command_stream(&bytes);
        let mut book = engine::book::Book::new(id);
        let mut floor = Floor::new(id);
        trades.clear();
        for group in stream {
            for command in &group {
                let Floor { market, seen, .. } = &mut floor;
                if let Some(terms) = Terms::of(&command.command) {
                    market.on_terms(&terms);
                }
                if may_be_silent(&command.command) {
                    market.on_silent(command.command.instrument(), command.sequence);
                }
                let mut events = Events::new();
                book.apply(command, &mut events);
                for event in events.as_slice() {
                    market.on_event(event, |change| seen.see(change));
                }
            }
            let Floor { market, seen, leaves, .. } = &mut floor;
            market.turn(true, true, |change| seen.see(change));
            trades.extend(seen.trades.iter().map(|trade| trade.trade.0));
            if !seen.changed.is_empty() {
                leaves.on_turn(market, seen);
            }
            seen.clear();
            // Not each turn is taken by itself.
            if rng.random() {
                floor.publish(&mut rng);
            }
        }
        floor.publish(&mut rng);
        for watching in &floor.watching {
            behind += u32::from(watching.was_behind);
            if !watching.was_behind {
                assert_eq!(watching.gaps, 0, "numbers have gaps where nothing was left out");
                if watching.types.has(Types::TRADES) {
                    assert_eq!(watching.trades, trades);
                }
            }
        }
        drop(floor.leaves);
        assert!(floor.takes.has_ended());
    }
    assert!(behind > 20, "{behind} were behind: that proves little");
}

#[test]
fn what_nobody_takes_is_no_more_than_the_books_and_trades_without_room_leave_a_gap() {
    let mut floor = Floor::new(InstrumentId(0));
    let trade = |number| feed::PublicTrade {
        instrument: InstrumentId(0),
        nanos: Nanos(1),
        trade: domain::TradeId::new(InstrumentId(0), number),
        price: Price::new(5).unwrap(),
        quantity: Quantity(1),
        taker_side: Side::Buy,
    };
    let (most, more) = (1 << 16, 10);
    let mut seen = Seen::default();
    for number in 1..=most + more {
        seen.clear();
        seen.changed.insert(InstrumentId(0));
        seen.trades.push(trade(number));
        // Prices at which nothing is shown, each another one.
        seen.prices.insert((InstrumentId(0), Side::Buy, Price::new(number as i64).unwrap()));
        floor.leaves.on_turn(&floor.market, &seen);
    }
    let news = floor.takes.take().remove(&InstrumentId(0)).unwrap();
    assert!(news.is_whole && news.levels.is_empty(), "{} levels of nothing", news.levels.len());
    assert_eq!((news.trades.len() as u64, news.trades_lost), (most, more));
    floor.book.take(&news);
    let instrument = floor.instrument();
    let Floor { channels, watching, book, leaves, takes, market, .. } = &mut floor;
    let mut publish = |news: &crate::handover::News| {
        channels.publish((&instrument, TimePrecision::Millis), book, news, |(at, _), changes| {
            let watching = &mut watching[at];
            if changes.has(watching.types) {
                let parts = changes.parts(watching.types, VERSIONS[watching.version].1);
                parts.iter().for_each(|part| watching.take(part));
            }
        });
    };
    publish(&news);
    seen.clear();
    seen.changed.insert(InstrumentId(0));
    seen.trades.push(trade(most + more + 1));
    leaves.on_turn(market, &seen);
    let news = takes.take().remove(&InstrumentId(0)).unwrap();
    publish(&news);
    for Watching { types, view, gaps, .. } in &floor.watching {
        let should_be = if types.has(Types::TRADES) { (1, most + more + 1) } else { (0, 0) };
        let number = view.book("S0").map(|book| book.number).expect("it has been told");
        assert_eq!((*gaps, number), should_be);
    }
}
