//! The bytes under the hashes, written out by hand from `docs/state-hash.md`, and pinned values.

use domain::{
    AccountId, CancelReason, ClientRef, Event, EventKind, InstrumentId, Nanos, OrderId, OrderType, Owner,
    Price, Quantity, ReduceKind, RejectReason, Sequence, SessionId, Side, TimeInForce, TradeId,
};
use engine::book::{Book, BookHeader, BookView, Counters, LastTrade, RestingOrder};
use engine::hash::{EventHash, StateHash, book_hash};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A book that is nothing but what it shows.
struct Shown {
    header: BookHeader,
    bids: Vec<RestingOrder>,
    asks: Vec<RestingOrder>,
}

impl BookView for Shown {
    fn header(&self) -> BookHeader {
        self.header
    }

    fn visit(&self, side: Side, see: impl FnMut(&RestingOrder)) {
        match side {
            Side::Buy => self.bids.iter().for_each(see),
            Side::Sell => self.asks.iter().for_each(see),
        }
    }

    fn visit_stops(&self, _see: impl FnMut(&RestingOrder)) {}
}

const BOOK: InstrumentId = InstrumentId(3);

fn id(number: u64) -> OrderId {
    OrderId::new(BOOK, number)
}

fn price(ticks: i64) -> Price {
    Price::new(ticks).expect("no sentinel")
}

fn owner(session: u32, client_ref: u32) -> Owner {
    Owner { session: SessionId(session), client_ref: ClientRef(client_ref) }
}

fn bid() -> RestingOrder {
    RestingOrder {
        order: id(0x11),
        owner: owner(0x12, 0x13),
        account: AccountId(0x14),
        side: Side::Buy,
        price: price(-2),
        leaves: Quantity(0x15),
        executed: Quantity(0x16),
        time_in_force: TimeInForce::GoodTillCancel,
        queued_by: Sequence(0x17),
        queued_at: Nanos(0x18),
        special: None,
    }
}

fn ask() -> RestingOrder {
    RestingOrder {
        order: id(0x21),
        side: Side::Sell,
        time_in_force: TimeInForce::Day,
        price: price(5),
        ..bid()
    }
}

fn shown() -> Shown {
    let counters = Counters {
        commands: 1,
        accepted: 2,
        replaced: 3,
        reduced: 4,
        canceled: 5,
        rejected: 6,
        trades: 7,
        traded: 8 << 64 | 9,
    };
    let last_trade = LastTrade { trade: TradeId::new(BOOK, 7), price: price(-3), quantity: Quantity(10) };
    let header = BookHeader {
        instrument: BOOK,
        last_sequence: Sequence(11),
        next_order_number: 12,
        counters,
        last_trade: Some(last_trade),
        resting: 2,
    };
    Shown { header, bids: vec![bid()], asks: vec![ask()] }
}

/// `number` as so many little-endian bytes.
fn le(number: i128, bytes: usize) -> Vec<u8> {
    number.to_le_bytes()[..bytes].to_vec()
}

/// Fields, each a number and its width in bytes, one behind the other.
fn concat(fields: &[(i128, usize)]) -> Vec<u8> {
    fields.iter().flat_map(|&(number, bytes)| le(number, bytes)).collect()
}

/// An id in the third instrument.
const fn raw(number: i128) -> i128 {
    3 << 44 | number
}

#[test]
fn the_hash_is_xxh3() {
    // The first two of the published test vectors of XXH3_64bits: no input, seed 0 and seed PRIME64.
    assert_eq!(xxh3_64(&[]), 0x2D06_8005_38D3_94C2);
    assert_eq!(xxh3_64_with_seed(&[], 0x9E37_79B1_85EB_CA8D), 0xA8A6_B918_B2F0_364A);
}

#[test]
fn a_book_is_hashed_over_the_documented_bytes() {
    let header = concat(&[
        (1, 4), // format
        (3, 4), // instrument
        (11, 8),
        (12, 8), // last sequence, next order number
        (1, 8),
        (2, 8),
        (3, 8),
        (4, 8),
        (5, 8),
        (6, 8),
        (7, 8),            // counters
        (8 << 64 | 9, 16), // traded
        (raw(7), 8),
        (-3, 8),
        (10, 8), // last trade
        (2, 8),  // resting
    ]);
    assert_eq!(header.len(), 128);
    let order = |number, side, time_in_force, price| {
        let fields = [
            (raw(number), 8),
            (0x12, 4),
            (0x13, 4),
            (0x14, 4),
            (side, 1),
            (time_in_force, 1),
            (0, 2),
            (price, 8),
            (0x15, 8),
            (0x16, 8),
            (0x17, 8),
            (0x18, 8),
        ];
        concat(&fields)
    };
    let (bid, ask) = (order(0x11, 0, 1, -2), order(0x21, 1, 0, 5));
    assert_eq!((bid.len(), ask.len()), (64, 64));
    assert_eq!(book_hash(&shown()), StateHash(xxh3_64(&[header, bid, ask].concat())));
}

#[test]
fn every_field_of_a_book_is_in_its_hash() {
    let hash = book_hash(&shown());
    let changes: [fn(&mut Shown); 24] = [
        |book| book.header.instrument.0 += 1,
        |book| book.header.last_sequence.0 += 1,
        |book| book.header.next_order_number += 1,
        |book| book.header.counters.commands += 1,
        |book| book.header.counters.accepted += 1,
        |book| book.header.counters.replaced += 1,
        |book| book.header.counters.reduced += 1,
        |book| book.header.counters.canceled += 1,
        |book| book.header.counters.rejected += 1,
        |book| book.header.counters.trades += 1,
        |book| book.header.counters.traded += 1 << 100,
        |book| book.header.last_trade = None,
        |book| book.header.resting += 1,
        |book| book.bids.clear(),
        |book| book.asks.push(bid()),
        |book| book.bids[0].owner.session.0 += 1,
        |book| book.bids[0].owner.client_ref.0 += 1,
        |book| book.bids[0].account.0 += 1,
        |book| book.asks[0].price = price(6),
        |book| book.asks[0].leaves.0 += 1,
        |book| book.asks[0].executed.0 += 1,
        |book| book.asks[0].time_in_force = TimeInForce::GoodTillCancel,
        |book| book.asks[0].queued_by.0 += 1,
        |book| book.asks[0].queued_at.0 += 1,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut book = shown();
        change(&mut book);
        assert_ne!(book_hash(&book), hash, "change {index}");
    }
}

#[test]
fn pinned_values_have_not_moved() {
    assert_eq!(book_hash(&Book::new(InstrumentId(0))).to_string(), "6488a70a75daa689");
    assert_eq!(book_hash(&Book::new(BOOK)).to_string(), "0878dbd2681304fc");
    assert_eq!(book_hash(&shown()).to_string(), "5d166cb6203a6cab");
    let mut hash = EventHash::default();
    for (kind, _) in kinds() {
        hash.update(&event(kind));
    }
    assert_eq!(hash.to_string(), "be86ff4970ffe113");
}

#[test]
fn books_combine_in_any_order() {
    let [a, b, c] = [StateHash(u64::MAX), StateHash(5), book_hash(&shown())];
    assert_eq!(a.combine(b).combine(c), c.combine(a).combine(b));
    assert_eq!(a.combine(b), StateHash(4));
    assert_eq!(a.combine(StateHash::default()), a);
    assert_eq!(EventHash(u64::MAX).combine(EventHash(5)), EventHash(4));
}

fn event(kind: EventKind) -> Event {
    Event { sequence: Sequence(0x31), nanos: Nanos(0x32), instrument: BOOK, index: 0x33, kind }
}

/// Every kind of event, with its bytes behind the common ones.
fn kinds() -> Vec<(EventKind, Vec<u8>)> {
    let (order, old, original, owner) = (id(1), id(2), ClientRef(0x42), owner(0x43, 0x44));
    let (price, quantity, leaves) = (price(-7), Quantity(0x45), Quantity(0x46));
    let owner_bytes = [(0x43, 4), (0x44, 4)];
    let [session, client_ref] = owner_bytes;
    vec![
        (
            EventKind::Accepted {
                order,
                owner,
                side: Side::Sell,
                order_type: OrderType::Market,
                time_in_force: TimeInForce::FillOrKill,
                price,
                quantity,
            },
            concat(&[(1, 1), (raw(1), 8), session, client_ref, (1, 1), (1, 1), (3, 1), (-7, 8), (0x45, 8)]),
        ),
        (
            EventKind::Rejected { order, owner, reason: RejectReason::InvalidQuantity },
            concat(&[(2, 1), (raw(1), 8), session, client_ref, (3, 1)]),
        ),
        (
            EventKind::Traded {
                trade: TradeId::new(BOOK, 9),
                price,
                quantity,
                taker_side: Side::Sell,
                maker: order,
                maker_owner: owner,
                maker_leaves: leaves,
                taker: old,
                taker_owner: Owner { session: owner.session, client_ref: original },
                taker_leaves: Quantity(0x47),
            },
            concat(&[
                (3, 1),
                (raw(9), 8),
                (-7, 8),
                (0x45, 8),
                (1, 1),
                (raw(1), 8),
                session,
                client_ref,
                (0x46, 8),
                (raw(2), 8),
                session,
                (0x42, 4),
                (0x47, 8),
            ]),
        ),
        (
            EventKind::Canceled { order, owner, quantity, reason: CancelReason::EndOfDay },
            concat(&[(4, 1), (raw(1), 8), session, client_ref, (0x45, 8), (5, 1)]),
        ),
        (
            EventKind::Reduced { order, owner, quantity, leaves, kind: ReduceKind::Cancel },
            concat(&[(5, 1), (raw(1), 8), session, client_ref, (0x45, 8), (0x46, 8), (0, 1), (0, 1)]),
        ),
        (
            EventKind::Reduced {
                order,
                owner,
                quantity,
                leaves,
                kind: ReduceKind::Modify { side_code: b'T' },
            },
            concat(&[(5, 1), (raw(1), 8), session, client_ref, (0x45, 8), (0x46, 8), (1, 1), (0x54, 1)]),
        ),
        (
            EventKind::Replaced {
                old,
                original,
                order,
                owner,
                side: Side::Sell,
                price,
                leaves,
                kept_priority: true,
            },
            concat(&[
                (6, 1),
                (raw(2), 8),
                (0x42, 4),
                (raw(1), 8),
                session,
                client_ref,
                (1, 1),
                (-7, 8),
                (0x46, 8),
                (1, 1),
            ]),
        ),
        (
            EventKind::ReplaceRejected { old, original, order, owner, reason: RejectReason::UnknownOrder },
            concat(&[(7, 1), (raw(2), 8), (0x42, 4), (raw(1), 8), session, client_ref, (8, 1)]),
        ),
        (
            EventKind::CancelRejected { order, owner, reason: RejectReason::UnknownOrder },
            concat(&[(8, 1), (raw(1), 8), session, client_ref, (8, 1)]),
        ),
    ]
}

#[test]
fn events_are_hashed_over_the_documented_bytes() {
    let mut hash = EventHash::default();
    let mut expected = 0;
    for (kind, bytes) in kinds() {
        let common = concat(&[(0x31, 8), (0x32, 8), (3, 4), (0x33, 4)]);
        expected = xxh3_64_with_seed(&[common, bytes].concat(), expected);
        hash.update(&event(kind));
        assert_eq!(hash.0, expected, "{kind:?}");
    }
}
