//! Books rebuilt from what is published, through losses, are those of the engine.

use domain::{Instrument, InstrumentId, Nanos, OrderBounds, Price, Quantity, Side, Symbol};
use engine::book::Book;
use feed::{
    Directory, Market, Store, Terms,
    client::{Arbiter, BookFault, Books, Heard},
    may_be_silent,
};
use rand::{Rng, RngExt};
use wire::{itch::EndOfSnapshot, mold::Header};

use crate::support::{apply, commands, generator, shown};

/// Instruments up to the one that random commands are for. A tick is 5 cents, a lot 10 units.
pub(crate) fn instruments(last: InstrumentId) -> Vec<Instrument> {
    (0..=last.0)
        .map(|index| Instrument {
            id: InstrumentId(index),
            symbol: Symbol::new(&format!("S{index}")).unwrap(),
            tick: 500,
            lot: 10,
            quantity_max: Quantity(1_000_000),
            price_max: Price::new(1_000_000).unwrap(),
            bounds: OrderBounds::NONE,
        })
        .collect()
}

/// A venue's end: a book, what is seen of it, and what is published.
struct Venue {
    book: Book,
    market: Market,
    directory: Directory,
    store: Store,
    sent: u64,
}

impl Venue {
    fn new(instrument: InstrumentId) -> Self {
        let directory = Directory::new(&instruments(instrument));
        let mut store = Store::new(*b"FIRST00001", 1 << 18);
        directory.open(Nanos(0), |message| store.push(&message));
        let market = Market::new(directory.len());
        Self { book: Book::new(instrument), market, directory, store, sent: 1 }
    }

    /// Executes commands as a front does, turns ending anywhere; all is published at the end.
    fn execute(&mut self, group: &[domain::Sequenced<domain::Command>], rng: &mut impl Rng) {
        let Self { book, market, directory, store, .. } = self;
        let mut say = |change: &feed::Change| {
            let message = directory.message(change).expect("it fits");
            store.push(&message.expect("it is published"));
        };
        for command in group {
            if let Some(terms) = Terms::of(&command.command) {
                market.on_terms(&terms);
            }
            if may_be_silent(&command.command) {
                market.on_silent(command.command.instrument(), command.sequence);
            }
            for event in apply(book, command) {
                market.on_event(&event, &mut say);
                if rng.random_range(0..40) == 0 {
                    market.turn(rng.random(), false, &mut say);
                }
            }
        }
        market.turn(true, true, &mut say);
    }

    /// What has not been sent yet, in packets.
    fn packets(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        while self.sent < self.store.next() {
            let mut data = Vec::new();
            self.sent += u64::from(self.store.pack(self.sent, u64::MAX, &mut data));
            packets.push(data);
        }
        packets
    }

    /// A snapshot's messages.
    fn snapshot(&self) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let mut say = |message: wire::itch::Message| {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            messages.push(bytes);
        };
        self.directory.open(Nanos(0), &mut say);
        for side in [Side::Buy, Side::Sell] {
            for order in self.market.orders(self.book.instrument(), side) {
                let add = self.directory.add(Nanos(0), order.order, side, order.price, order.quantity);
                say(add.expect("it fits").expect("it is published"));
            }
        }
        say(EndOfSnapshot::new(self.store.next()).into());
        messages
    }
}

/// A client's end.
#[derive(Default)]
struct Client {
    arbiter: Arbiter,
    books: Books,
    requests: u64,
    snapshots: u64,
}

impl Client {
    fn hear(&mut self, data: &[u8]) -> Heard {
        let Self { arbiter, books, .. } = self;
        arbiter.on_datagram(data, |message| _ = books.on_message(message).expect("what is said is true"))
    }

    /// Takes a snapshot, and what came meanwhile, which must be true.
    fn load(&mut self, venue: &Venue) {
        self.load_before(venue, |heard| assert_eq!(heard, Ok(()), "what is said is true"));
    }

    /// The same, with what became of each message that came meanwhile.
    fn load_before(&mut self, venue: &Venue, mut heard: impl FnMut(Result<(), BookFault>)) {
        let Self { arbiter, books, snapshots, .. } = self;
        *snapshots += 1;
        books.clear();
        let mut next = None;
        for message in venue.snapshot() {
            if let wire::itch::Message::EndOfSnapshot(end) = books.on_message(&message).expect("true") {
                next = end.sequence();
            }
        }
        let next = next.expect("a snapshot has an end");
        arbiter.begin(venue.store.session(), next, |message| heard(books.on_message(message).map(drop)));
    }

    /// Asks for what is missing until nothing is.
    fn catch_up(&mut self, venue: &Venue, rng: &mut impl Rng) {
        if let Some(heartbeat) = Some(venue.store.next()) {
            let mut data = Vec::new();
            Header { session: venue.store.session(), sequence: heartbeat, count: 0 }.encode(&mut data);
            if matches!(self.hear(&data), Heard::Another(_)) {
                self.load(venue);
            }
        }
        while let Some(missing) = self.arbiter.missing() {
            self.requests += 1;
            let mut data = Vec::new();
            if venue.store.pack(missing.sequence, u64::from(missing.count), &mut data) == 0 {
                self.load(venue);
            } else if rng.random_range(0..4) > 0 {
                // The answer may be lost, too.
                self.hear(&data);
            }
        }
    }
}

fn compare(client: &Client, venue: &Venue, context: &dyn std::fmt::Debug) {
    let instrument = venue.book.instrument();
    let published = client.books.book(instrument.0 as u16 + 1).expect("it is in the directory");
    for side in [Side::Buy, Side::Sell] {
        let is: Vec<_> =
            published.orders(side).map(|order| (order.order, order.price, order.shares)).collect();
        let should_be: Vec<_> = shown(&venue.book, side)
            .iter()
            .map(|order| (order.order.0, order.price.ticks() as u32 * 500, order.quantity.lots() as u32 * 10))
            .collect();
        assert_eq!(is, should_be, "{side:?} after {context:?}");
    }
}

#[test]
fn a_clients_book_is_the_exchanges_through_loss_and_reordering() {
    let mut rng = generator();
    let (mut lost, mut sent, mut requests, mut snapshots) = (0, 0, 0, 0);
    for _ in 0..seeded::iterations(150) {
        let (instrument, groups) = commands(&mut rng);
        let mut venue = Venue::new(instrument);
        let mut client = Client::default();
        let mut late: Vec<(usize, Vec<u8>)> = Vec::new();
        let checkpoint = rng.random_range(1..30);
        for (at, group) in groups.iter().enumerate() {
            venue.execute(group, &mut rng);
            let mut arrived: Vec<Vec<u8>> = Vec::new();
            for packet in venue.packets() {
                sent += 1;
                match rng.random_range(0..100) {
                    0 => lost += 1,
                    1..6 => late.push((at + rng.random_range(1..8), packet)),
                    _ => arrived.push(packet),
                }
            }
            late.retain(|(due, packet)| {
                let is_due = *due <= at;
                if is_due {
                    arrived.push(packet.clone());
                }
                !is_due
            });
            for packet in &arrived {
                if matches!(client.hear(packet), Heard::Another(_)) {
                    client.load(&venue);
                }
            }
            if at.is_multiple_of(checkpoint) {
                client.catch_up(&venue, &mut rng);
                compare(&client, &venue, group);
            }
        }
        client.catch_up(&venue, &mut rng);
        compare(&client, &venue, &"all");
        if client.snapshots == 1 && client.requests == 0 {
            assert_eq!(client.books.iter().filter(|(_, book)| !book.symbol.is_empty()).count(), 4);
        }
        requests += client.requests;
        snapshots += client.snapshots;
    }
    println!("{sent} packets, {lost} lost, {requests} requests, {snapshots} snapshots");
    assert!(lost > 10 && requests > 10, "{lost} lost, {requests} requests: little was tried");
}

#[test]
fn trades_are_counted_once() {
    let mut rng = generator();
    for _ in 0..seeded::iterations(100) {
        let (instrument, groups) = commands(&mut rng);
        let mut venue = Venue::new(instrument);
        let mut client = Client::default();
        client.load(&venue);
        for group in &groups {
            venue.execute(group, &mut rng);
            for packet in venue.packets() {
                client.hear(&packet);
            }
        }
        let published = client.books.book(instrument.0 as u16 + 1).expect("it is there");
        assert_eq!(u128::from(published.volume), venue.book.counters().traded * 10);
        let last = venue
            .book
            .last_trade()
            .map(|last| (last.trade.0, last.price.ticks() as u32 * 500, last.quantity.lots() as u32 * 10));
        assert_eq!(published.last.map(|last| (last.match_number, last.price, last.shares)), last);
    }
}

#[test]
fn somebody_elses_parser_reads_every_message() {
    let mut rng = generator();
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..seeded::iterations(150) {
        let (instrument, groups) = commands(&mut rng);
        let mut venue = Venue::new(instrument);
        for group in &groups {
            venue.execute(group, &mut rng);
        }
        let mut framed = Vec::new();
        let (first, next) = (venue.store.first(), venue.store.next());
        for number in first..next {
            let message = venue.store.message(number).expect("kept");
            *seen.entry(message[0] as char).or_insert(0) += 1;
            framed.extend_from_slice(&(message.len() as u16).to_be_bytes());
            framed.extend_from_slice(message);
        }
        let read: Vec<_> = itchy::MessageStream::from_reader(&framed[..])
            .map(|message| message.expect("a message of ITCH 5.0"))
            .collect();
        assert_eq!(read.len() as u64, next - first);
        for (message, number) in read.iter().zip(first..) {
            let bytes = venue.store.message(number).expect("kept");
            let locate = u16::from_be_bytes([bytes[1], bytes[2]]);
            assert_eq!((message.tag, message.stock_locate), (bytes[0], locate));
            if let itchy::Body::AddOrder(add) = &message.body {
                let price = u32::from_be_bytes([bytes[32], bytes[33], bytes[34], bytes[35]]);
                assert_eq!(add.price.raw(), price);
                assert_eq!(add.reference.to_be_bytes(), bytes[11..19]);
            }
        }
    }
    println!("{seen:?}");
    for kind in ['S', 'R', 'H', 'A', 'E', 'X', 'D', 'U', 'P'] {
        assert!(seen.contains_key(&kind), "no {kind} among {seen:?}");
    }
}

#[test]
fn a_client_takes_any_bytes() {
    let mut rng = generator();
    let (instrument, groups) = commands(&mut rng);
    let mut venue = Venue::new(instrument);
    let mut client = Client::default();
    client.load(&venue);
    let mut goldens = Vec::new();
    for group in &groups {
        venue.execute(group, &mut rng);
        goldens.extend(venue.packets());
    }
    let (mut faults, mut garbage) = (0, 0);
    for _ in 0..seeded::iterations(20_000) {
        let mut data = goldens[rng.random_range(0..goldens.len())].clone();
        for _ in 0..rng.random_range(0..4) {
            let at = rng.random_range(0..data.len());
            match rng.random_range(0..4) {
                0 => data[at] ^= 1 << rng.random_range(0..8),
                1 => data[at] = rng.random(),
                2 => data.truncate(at + 1),
                // The number of the first message is anything, the greatest often.
                _ => data
                    .iter_mut()
                    .skip(10)
                    .take(8)
                    .for_each(|byte| *byte = if rng.random() { 0xFF } else { rng.random() }),
            }
        }
        let Client { arbiter, books, .. } = &mut client;
        let heard =
            arbiter.on_datagram(&data, |message| faults += u32::from(books.on_message(message).is_err()));
        garbage += u32::from(heard == Heard::Garbage);
        if rng.random_range(0..20) == 0 {
            // What a snapshot says may be anything, too.
            let next = if rng.random_range(0..10) == 0 {
                u64::MAX
            } else {
                rng.random_range(0..=venue.store.next())
            };
            arbiter.begin(venue.store.session(), next, |message| _ = books.on_message(message));
            assert!(arbiter.missing().is_none_or(|missing| missing.count > 0));
        }
        if rng.random_range(0..200) == 0 {
            // What was kept from before may be anything.
            client.load_before(&venue, |_heard| {});
        }
    }
    assert!(faults > 0 && garbage > 100, "{faults} faults, {garbage} packets that are none");
}
