//! Books that change at random, what is told of them, and what somebody who is told has then.

use std::{collections::BTreeMap, sync::Arc};

use domain::{Events, Instrument, InstrumentId, Nanos, OrderBounds, Price, Quantity, Side, Symbol};
use door::Waker;
use feed::{Market, Seen, Terms, Watcher as _, may_be_silent};
use gateway::Instruments;
use mio::{Poll, Token};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use wire::fix::{
    Checker, Fields, Frame, TimePrecision, Writer,
    dictionary::{Dictionary, FIX44, FIX50SP2},
    frame,
};

use crate::{
    book::Book,
    channel::Channels,
    entries::{Part, Trades, snapshot},
    handover::{Leaves, Takes, handover},
    request::{DEPTH_MAX, Types},
};

fn generator() -> Xoshiro256PlusPlus {
    let seed = std::env::var("SEED").map_or(0xD0_0D1E, |seed| seed.parse().expect("SEED is a number"));
    println!("SEED={seed}");
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// Levels by price in ten-thousandths: units, and orders.
type Levels = BTreeMap<i64, (u64, u64)>;

/// What a client makes of what it is told.
#[derive(Default)]
struct View {
    sides: [Levels; 2],
    trades: Vec<u64>,
    number: u64,
    /// An entry's number was not one above the last one's.
    gaps: u64,
}

/// A version, and how it tells of trades.
const VERSIONS: [(&Dictionary, Trades); 2] = [(&FIX44, Trades::Entry), (&FIX50SP2, Trades::Trade)];

/// An entry: its fields by tag.
type Entry = BTreeMap<u32, Vec<u8>>;

/// A message with these fields, checked by the dictionary; its entries.
fn entries(dictionary: &'static Dictionary, msg_type: &str, first: u32, body: &[u8]) -> Vec<Entry> {
    let mut out = Vec::new();
    let mut writer = Writer::new(TimePrecision::Millis);
    let mut message = writer.begin(&mut out, dictionary.begin_string.as_bytes(), msg_type.as_bytes());
    message.number(34, 1).text(49, b"V").time(52, Nanos(0)).text(56, b"C").fields(body);
    message.end();
    let Ok(Frame::Message(message, _)) = frame(&out, out.len()) else { panic!("no message") };
    let mut checker = Checker::default();
    checker
        .check(dictionary, &message)
        .unwrap_or_else(|fault| panic!("{fault:?}: {}", String::from_utf8_lossy(body).replace('\x01', "|")));
    let mut entries: Vec<Entry> = Vec::new();
    for field in Fields::new(body).skip_while(|field| field.tag != 268).skip(1) {
        if field.tag == first {
            entries.push(Entry::new());
        }
        entries.last_mut().expect("an entry").insert(field.tag, field.value.to_vec());
    }
    entries
}

fn number(entry: &Entry, tag: u32) -> u64 {
    std::str::from_utf8(&entry[&tag]).unwrap().parse().unwrap()
}

fn e4(entry: &Entry) -> i64 {
    wire::fix::value::decimal(&entry[&270]).unwrap()
}

impl View {
    fn trade(&mut self, entry: &Entry) {
        let tag = if entry.contains_key(&1003) { 1003 } else { 278 };
        self.trades.push(number(entry, tag));
    }

    fn take_snapshot(&mut self, dictionary: &'static Dictionary, body: &[u8]) {
        self.sides = Default::default();
        self.number = Fields::new(body)
            .find(|field| field.tag == 83)
            .map(|field| std::str::from_utf8(field.value).unwrap().parse().unwrap())
            .unwrap_or_default();
        for entry in entries(dictionary, "W", 269, body) {
            match entry[&269][0] {
                b'2' => self.trade(&entry),
                side => {
                    let side = usize::from(side - b'0');
                    let level = (number(&entry, 271), number(&entry, 346));
                    assert!(self.sides[side].insert(e4(&entry), level).is_none(), "a level twice");
                }
            }
        }
    }

    fn take_change(&mut self, dictionary: &'static Dictionary, part: &Part) {
        let mut body = format!("262=r\x01268={}\x01", part.count).into_bytes();
        body.extend_from_slice(&part.fields);
        for entry in entries(dictionary, "X", 279, &body) {
            self.gaps += u64::from(number(&entry, 83) != self.number + 1);
            self.number = number(&entry, 83);
            if entry[&269] == b"2" {
                self.trade(&entry);
                continue;
            }
            let side = &mut self.sides[usize::from(entry[&269][0] - b'0')];
            match entry[&279][0] {
                b'0' => {
                    let level = (number(&entry, 271), number(&entry, 346));
                    assert!(side.insert(e4(&entry), level).is_none(), "new, and there already");
                }
                b'1' => {
                    let level = (number(&entry, 271), number(&entry, 346));
                    let before = side.insert(e4(&entry), level);
                    assert!(before.is_some_and(|before| before != level), "changed to what it was");
                }
                b'2' => assert!(side.remove(&e4(&entry)).is_some(), "gone, and never there"),
                other => panic!("{other}"),
            }
        }
    }

    /// Holds it against the best levels of a market.
    fn compare(&self, market: &Market, instrument: &Instrument, depth: usize, types: Types) {
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
            assert_eq!(self.sides[side as usize], should_be, "{side:?}, {depth} levels");
        }
    }
}

/// Somebody who watches.
struct Watching {
    depth: usize,
    types: Types,
    version: usize,
    view: View,
    /// It is not told of changes until it has a snapshot.
    is_behind: bool,
    /// It has been behind.
    was_behind: bool,
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
            let view = View::default();
            let types = Types(types);
            floor.watching.push(Watching { depth, types, version, view, is_behind: true, was_behind: false });
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
        let trades = watching.view.trades.len();
        watching.view.take_snapshot(dictionary, &body);
        // The last one, which it may have had.
        watching.view.trades.truncate(trades);
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
                let (dictionary, version) = VERSIONS[watching.version];
                let parts = changes.parts(watching.types, version);
                parts.iter().for_each(|part| watching.view.take_change(dictionary, part));
            });
        }
        for at in 0..self.watching.len() {
            if self.watching[at].is_behind && rng.random() {
                self.show(at);
            }
            if !self.watching[at].is_behind {
                let Watching { depth, types, .. } = self.watching[at];
                self.watching[at].view.compare(&self.market, &instrument, depth, types);
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
                assert_eq!(watching.view.gaps, 0, "numbers have gaps where nothing was left out");
                if watching.types.has(Types::TRADES) {
                    assert_eq!(watching.view.trades, trades);
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
            let Watching { types, version, view, .. } = &mut watching[at];
            let (dictionary, version) = VERSIONS[*version];
            if changes.has(*types) {
                changes.parts(*types, version).iter().for_each(|part| view.take_change(dictionary, part));
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
    for Watching { types, view, .. } in &floor.watching {
        let (gaps, number) = if types.has(Types::TRADES) { (1, most + more + 1) } else { (0, 0) };
        assert_eq!((view.gaps, view.number), (gaps, number));
    }
}
