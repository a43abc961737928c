//! The body's bytes, and what becomes of bytes that are none.

use core::num::NonZeroU32;

use domain::{
    AccountId, ClientOrderId, ClientRef, Command, Display, Echo, EnterOrder, Events, Execution, Instructions,
    Instrument, OrderType, PostOnly, Price, Protocol, Quantity, SelfTrade, SelfTradePolicy, Sequenced,
    SessionDefinition, Symbol, TimeInForce, Trigger, UserName,
};
use engine::book::{Special, Waiting};
use gateway::LiveOrder;
use journal::Position;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;

use super::{rows::OrderRow, *};

/// An instrument, its book with an order and a trade, and the session that entered both sides of it.
struct Small {
    instruments: Instruments,
    books: Vec<Book>,
    sessions: Sessions,
}

const MARKET_WIDE: MarketWide = MarketWide { commands: 0, last: Sequence(0) };

impl Small {
    fn new() -> Self {
        Self::speaking(Protocol::Ouch)
    }

    /// Of a session that speaks this.
    fn speaking(protocol: Protocol) -> Self {
        let mut instruments = Instruments::new();
        instruments.define(Instrument {
            id: InstrumentId(0),
            symbol: Symbol::new("AAA").unwrap(),
            tick: 100,
            lot: 1,
            quantity_max: Quantity(1_000),
            price_max: Price::new(5_000).unwrap(),
            bounds: domain::OrderBounds::NONE,
        });
        let (mut book, mut events) = (Book::new(InstrumentId(0)), Events::new());
        let mut sessions = Sessions::new();
        let definition =
            SessionDefinition { session: SessionId(0), user: UserName::new(b"DEV1").unwrap(), protocol };
        sessions.define(&definition);
        let mut position = 0;
        let mut log = |_: &domain::Report| {
            position += 64;
            Position(position)
        };
        let definition = Command::DefineSession(definition);
        sessions.on_command(
            &Sequenced { sequence: Sequence(2), nanos: Nanos(20), command: definition },
            &mut log,
        );
        for (number, side, lots) in [(1, Side::Sell, 5), (2, Side::Buy, 12)] {
            let enter = EnterOrder {
                order: OrderId::new(InstrumentId(0), number),
                owner: Owner { session: SessionId(0), client_ref: ClientRef(number as u32 * 10) },
                account: AccountId(3),
                side,
                order_type: OrderType::Limit,
                time_in_force: TimeInForce::GoodTillCancel,
                price: Price::new(700).unwrap(),
                quantity: Quantity(lots),
                client_order_id: ClientOrderId::new(b"mine").unwrap(),
                echo: Echo {
                    side: b'B',
                    display: b'Y',
                    capacity: b'P',
                    intermarket_sweep: b'N',
                    cross: b'N',
                },
            };
            let sequenced = Sequenced {
                sequence: Sequence(number + 2),
                nanos: Nanos(number + 30),
                command: Command::Enter(enter),
            };
            sessions.on_command(&sequenced, &mut log);
            events.clear();
            book.apply(&sequenced, &mut events);
            events.as_slice().iter().for_each(|event| sessions.on_event(event, &mut log));
        }
        Self { instruments, books: vec![book], sessions }
    }

    fn bytes(&self) -> Vec<u8> {
        let Self { instruments, books, sessions } = self;
        encode(&State { market_wide: MARKET_WIDE, instruments, books, sessions }).unwrap()
    }

    fn header(&self) -> Header {
        Header {
            version: snapshot::VERSION,
            cluster: ClusterId(1),
            mark: Mark { position: Position(4_096), chain: 7 },
            last_sequence: Sequence(4),
            last_nanos: Nanos(32),
            state: hash_of(&self.books).0,
        }
    }
}

/// Numbers with their widths in bytes, one behind the other.
fn concat(fields: &[(i128, usize)]) -> Vec<u8> {
    fields.iter().flat_map(|(number, bytes)| number.to_le_bytes()[..*bytes].to_vec()).collect()
}

/// Written out by hand from `docs/snapshot-format.md`. `traded`: what the live order has traded, in lots, and ticks times lots.
fn written(version: u32, traded: (i128, i128)) -> Vec<u8> {
    let newer = |fields: &[(i128, usize)]| if version == 1 { Vec::new() } else { concat(fields) };
    let expected = [
        concat(&[(0, 8), (0, 8), (1, 8)]),
        b"AAA     ".to_vec(),
        concat(&[(100, 4), (1, 4), (1_000, 8), (5_000, 8)]),
        newer(&[(1, 8), (0, 8), (u64::MAX.into(), 8)]),
        // Books: one; sequence, next number, seven counters, lots traded.
        concat(&[(1, 8), (4, 8), (3, 8), (2, 8), (2, 8), (0, 8), (0, 8), (0, 8), (0, 8), (1, 8), (5, 16)]),
        // The last trade, and one order with seven of its twelve lots open.
        concat(&[(1, 1), (1, 8), (700, 8), (5, 8), (1, 8)]),
        concat(&[(2, 8), (0, 4), (20, 4), (3, 4), (0, 1), (1, 1), (700, 8), (7, 8), (5, 8), (4, 8), (32, 8)]),
        // It is plain, and no stop waits.
        newer(&[(0, 1), (0, 8)]),
        // Sessions: one, with one live order and five reports in one block.
        concat(&[(1, 8)]),
        b"DEV1                ".to_vec(),
        if version < 4 { Vec::new() } else { concat(&[(1, 1)]) },
        concat(&[(20, 4), (1, 8)]),
        concat(&[(20, 4), (2, 8), (0, 1), (0, 1), (1, 1)]),
        if version < 4 { Vec::new() } else { concat(&[(0, 1)]) },
        concat(&[(700, 8), (12, 8)]),
        if version < 5 { Vec::new() } else { concat(&[(traded.0, 8), (traded.1, 8)]) },
        b"BYPNNmine                ".to_vec(),
        concat(&[(1, 8), (64, 8), (5, 8), (0, 4), (8, 4), (16, 4), (24, 4), (32, 4)]),
        // No FIX session, and nobody is told of others' orders.
        if version < 4 { Vec::new() } else { concat(&[(0, 8)]) },
        if version < 5 { Vec::new() } else { concat(&[(0, 8)]) },
        // Nothing is owed.
        if version < 3 { Vec::new() } else { concat(&[(0, 8)]) },
    ];
    expected.concat()
}

#[test]
fn the_body_has_the_documented_bytes() {
    assert_eq!(Small::new().bytes(), written(5, (5, 3_500)));
}

#[test]
fn bodies_of_older_versions_are_still_read() {
    // Sessions of that time speak what there was to speak.
    for version in [1, 2, 3, 4] {
        let protocol = if version < 4 { Protocol::PlainOuch } else { Protocol::Ouch };
        let small = Small::speaking(protocol);
        let old = Header { version, ..small.header() };
        let bytes = |version| written(version, (0, 0));
        let Loaded { market_wide, instruments, books, sessions, .. } = decode(&old, &bytes(version)).unwrap();
        let again = Small { instruments, books, sessions };
        // What orders had traded was not kept.
        let mut now = bytes(5);
        let user = now.windows(4).position(|text| text == b"DEV1").unwrap();
        now[user + 20] = protocol as u8;
        assert_eq!((market_wide, again.bytes()), (MARKET_WIDE, now));
        // Each version by its own number only.
        assert!(decode(&old, &bytes(version + 1)).is_err());
        assert!(decode(&small.header(), &bytes(version)).is_err());
    }
}

/// A FIX session of version 4 had what its orders had traded beside them.
#[test]
fn what_orders_of_fix_sessions_had_traded_is_found_where_it_was() {
    let small = Small::speaking(Protocol::Fix);
    let now = small.bytes();
    let mine = b"BYPNNmine                ";
    let order = now.windows(mine.len()).position(|text| text == mine).unwrap();
    let name = now.windows(20).rposition(|text| text == &mine[5..]).unwrap();
    let then = [
        &now[..order - 16],
        &now[order..name - 16],
        &concat(&[(1, 8), (20, 4), (5, 8), (3_500, 8), (1, 8)]),
        // Nothing between the names and what is owed.
        &now[name..now.len() - 16],
        &now[now.len() - 8..],
    ]
    .concat();
    let old = Header { version: 4, ..small.header() };
    let Loaded { instruments, books, sessions, .. } = decode(&old, &then).unwrap();
    // Since when it has had its numbers was not kept.
    assert_eq!(&now[name - 16..name - 8], [20, 0, 0, 0, 0, 0, 0, 0]);
    let mut expected = now;
    expected[name - 16..name - 8].fill(0);
    assert_eq!(Small { instruments, books, sessions }.bytes(), expected);
}

/// What is owed stands at the end, and comes back as it was.
#[test]
fn reports_that_are_owed_have_the_documented_bytes() {
    let mut small = Small::new();
    let owed = domain::Report {
        session: SessionId(0),
        number: 0,
        sequence: Sequence(4),
        instrument: Some(InstrumentId(0)),
        index: 7,
        nanos: Nanos(32),
        kind: domain::ReportKind::Canceled {
            client_ref: ClientRef(20),
            order: OrderId::new(InstrumentId(0), 2),
            quantity: Quantity(7),
            reason: domain::CancelReason::EndOfDay,
        },
    };
    let reason = domain::CancelReason::EndOfDay as i128;
    let plain = small.bytes();
    small.sessions.owe(&owed);
    let bytes = small.bytes();
    let expected = [
        plain[..plain.len() - 8].to_vec(),
        concat(&[(1, 8), (67, 1), (reason, 1), (0, 2), (4, 8), (32, 8)]),
        // The payload of a record of that kind.
        concat(&[(40, 8), (0, 4), (0, 4), (7, 4), (20, 4), (0, 8), (2, 8), (7, 8)]),
    ];
    assert_eq!(bytes, expected.concat());
    let loaded = decode(&small.header(), &bytes).unwrap();
    assert_eq!(loaded.sessions.owed().copied().collect::<Vec<_>>(), [owed]);
    let Loaded { instruments, books, sessions, .. } = loaded;
    assert_eq!(Small { instruments, books, sessions }.bytes(), bytes);

    // What nobody can be owed.
    for wrong in [
        domain::Report { session: SessionId(1), ..owed },
        domain::Report { instrument: Some(InstrumentId(1)), ..owed },
        domain::Report { sequence: Sequence(5), ..owed },
    ] {
        let mut small = Small::new();
        small.sessions.owe(&wrong);
        assert!(decode(&small.header(), &small.bytes()).is_err(), "{wrong:?}");
    }
}

/// What makes orders special, and the bytes that it is behind the order's own.
fn specials() -> Vec<(Special, Vec<u8>)> {
    let none = Instructions::NONE;
    let group = NonZeroU32::new(0x21).unwrap();
    let plain = Special {
        instructions: none,
        order_type: OrderType::Limit,
        shown: Quantity(0),
        refreshes: 0,
        waiting: Waiting::No,
    };
    let price = |ticks| Price::new(ticks).unwrap();
    // Type, trigger, display, execution, policy, waits; trigger value, peak, minimum, expiry; spread, seed, group,
    // refreshes; shown.
    let bytes = |codes: [i128; 6], words: [i128; 4], halves: [i128; 4], shown: i128, at: &[(i128, usize)]| {
        let fields = codes.map(|n| (n, 1)).into_iter().chain(words.map(|n| (n, 8)));
        let fields = fields.chain(halves.map(|n| (n, 4))).chain([(shown, 8)]);
        concat(&[(1, 1)].into_iter().chain(fields).chain(at.iter().copied()).collect::<Vec<_>>())
    };
    vec![
        (
            Special {
                instructions: Instructions {
                    display: Display::Iceberg { peak: Quantity(0x11), spread: 0x12, seed: 0x13 },
                    expires: Nanos(0x14),
                    ..none
                },
                shown: Quantity(0x15),
                refreshes: 0x16,
                ..plain
            },
            bytes([0, 0, 1, 0, 0, 0], [0, 0x11, 0, 0x14], [0x12, 0x13, 0, 0x16], 0x15, &[(0, 1)]),
        ),
        (
            Special {
                instructions: Instructions {
                    display: Display::Hidden,
                    execution: Execution::PostOnly(PostOnly::Slide),
                    self_trade: Some(SelfTrade { group, policy: SelfTradePolicy::Decrement }),
                    ..none
                },
                ..plain
            },
            bytes([0, 0, 2, 4, 3, 0], [0; 4], [0, 0, 0x21, 0], 0, &[(0, 1)]),
        ),
        (
            Special {
                instructions: Instructions { trigger: Trigger::Stop(price(-7)), ..none },
                order_type: OrderType::MarketToLimit,
                waiting: Waiting::ForTrigger(Some(price(-7))),
                ..plain
            },
            bytes([2, 1, 0, 0, 0, 1], [-7, 0, 0, 0], [0; 4], 0, &[(1, 1), (-7, 8)]),
        ),
        (
            Special {
                instructions: Instructions { trigger: Trigger::Trailing { ticks: 9 }, ..none },
                order_type: OrderType::Market,
                waiting: Waiting::ForTrigger(None),
                ..plain
            },
            bytes([1, 2, 0, 0, 0, 1], [9, 0, 0, 0], [0; 4], 0, &[(0, 1)]),
        ),
        (
            Special {
                instructions: Instructions { execution: Execution::Minimum(Quantity(5)), ..none },
                waiting: Waiting::ForTurn,
                ..plain
            },
            bytes([0, 0, 0, 1, 0, 2], [0, 0, 5, 0], [0; 4], 0, &[(0, 1)]),
        ),
        (
            Special { instructions: Instructions { execution: Execution::AllOrNone, ..none }, ..plain },
            bytes([0, 0, 0, 2, 0, 0], [0; 4], [0; 4], 0, &[(0, 1)]),
        ),
    ]
}

#[test]
fn special_orders_have_the_documented_bytes() {
    let small = Small::new();
    let order = BookImage::of(&small.books[0]).orders[0];
    let row = |order: &RestingOrder| bincode::serde::encode_to_vec(OrderRow::of(order), CODEC).unwrap();
    let plain = row(&order);
    assert_eq!(plain.last(), Some(&0));
    for (special, expected) in specials() {
        let order = RestingOrder { special: Some(special), ..order };
        let bytes = row(&order);
        assert_eq!(bytes, [&plain[..plain.len() - 1], &expected].concat(), "{special:?}");
        let (again, _): (OrderRow, _) = bincode::serde::decode_from_slice(&bytes, CODEC).unwrap();
        assert_eq!(again.order(), Some(order));
        // Whatever one byte says: nothing, or an order that is written as just these bytes.
        for at in plain.len() - 1..bytes.len() {
            for value in 0..=u8::MAX {
                let mut other = bytes.clone();
                other[at] = value;
                let Ok((found, length)) = bincode::serde::decode_from_slice::<OrderRow, _>(&other, CODEC)
                else {
                    continue;
                };
                if let Some(order) = found.order() {
                    assert_eq!(row(&order), other[..length], "byte {at} is {value}");
                }
            }
        }
    }
}

/// The stops that wait stand behind the orders that rest, and come back as they were.
#[test]
fn stops_that_wait_are_in_a_book_s_row() {
    let mut image = BookImage::of(&Small::new().books[0]);
    let order = image.orders[0];
    let special = |n: usize| Some(specials()[n].0);
    image.orders.push(RestingOrder { special: special(0), ..order });
    image.stops =
        vec![RestingOrder { special: special(4), ..order }, RestingOrder { special: special(2), ..order }];
    image.header.resting = 4;
    let bytes = bincode::serde::encode_to_vec(BookRow::of(&image), CODEC).unwrap();
    let (row, read): (BookRow, _) = bincode::serde::decode_from_slice(&bytes, CODEC).unwrap();
    assert_eq!((read, row.image(InstrumentId(0))), (bytes.len(), Some(image)));
}

#[test]
fn what_is_decoded_encodes_to_the_same() {
    let small = Small::new();
    let loaded = decode(&small.header(), &small.bytes()).unwrap();
    let Loaded { market_wide, instruments, books, sessions, .. } = loaded;
    let again = Small { instruments, books, sessions };
    assert_eq!((market_wide, again.bytes()), (MARKET_WIDE, small.bytes()));
}

#[test]
fn parts_that_do_not_fit_each_other_are_refused() {
    let small = Small::new();
    let refused = |header: &Header, bytes: &[u8], why: &str| match decode(header, bytes) {
        Ok(_) => panic!("taken, and not refused because {why}"),
        Err(error) => assert!(error.contains(why), "{error}, and not {why}"),
    };
    let header = small.header();
    refused(&Header { state: 1, ..header }, &small.bytes(), "state");
    refused(&Header { last_sequence: Sequence(3), ..header }, &small.bytes(), "ahead of the journal");
    let near = Mark { position: Position(320), chain: 7 };
    refused(&Header { mark: near, ..header }, &small.bytes(), "beyond its own position");
    refused(&header, &[&small.bytes()[..], b"more"].concat(), "says all in");
    let mut sessions = small.sessions.images().unwrap();
    sessions[0].orders.clear();
    let stranger = Small { sessions: Sessions::restore(sessions).unwrap(), ..Small::new() };
    refused(&header, &stranger.bytes(), "its session does not know it");
    let mut sessions = small.sessions.images().unwrap();
    let (client_ref, order) = sessions[0].orders[0];
    let ghost = LiveOrder { order: OrderId::new(InstrumentId(0), 1), ..order };
    sessions[0].orders.insert(0, (ClientRef(client_ref.0 - 1), ghost));
    let ghostly = Small { sessions: Sessions::restore(sessions).unwrap(), ..Small::new() };
    refused(&header, &ghostly.bytes(), "sessions know of 2");
}

/// Bytes with a good CRC and wild contents: an error, or a state, and no panic.
#[test]
fn no_bytes_are_more_than_an_error() {
    let seed = seeded::seed();
    let mut random = Xoshiro256StarStar::seed_from_u64(seed);
    let small = Small::new();
    let (header, good) = (small.header(), small.bytes());
    for length in 0..good.len() {
        assert!(decode(&header, &good[..length]).is_err(), "cut to {length}");
    }
    let mut taken = 0;
    for _ in 0..50_000 {
        let mut bytes = good.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = [0, 1, 0x7F, 0xFF, random.random()][random.random_range(0..5)];
        }
        taken += u32::from(decode(&header, &bytes).is_ok());
    }
    // Some bytes say nothing that the rest could contradict, as a client's own text.
    assert!((1..25_000).contains(&taken), "SEED={seed}: {taken} taken");
}
