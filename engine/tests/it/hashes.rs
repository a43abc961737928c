//! The bytes under the hashes, written out by hand from `docs/state-hash.md`, and pinned values.

use std::num::NonZeroU32;

use domain::{
    AccountId, CancelReason, ClientRef, Display, Event, EventKind, Execution, Instructions, InstrumentId,
    Liquidity, Nanos, OrderId, OrderType, Owner, PostOnly, Price, Quantity, ReduceKind, RejectReason,
    SelfTrade, SelfTradePolicy, Sequence, SessionId, Side, TimeInForce, TradeId, Trigger,
};
use engine::book::{Book, BookHeader, BookView, Counters, LastTrade, RestingOrder, Special, Waiting};
use engine::hash::{EventHash, StateHash, book_hash};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A book that is nothing but what it shows.
struct Shown {
    header: BookHeader,
    bids: Vec<RestingOrder>,
    asks: Vec<RestingOrder>,
    stops: Vec<RestingOrder>,
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

    fn visit_stops(&self, see: impl FnMut(&RestingOrder)) {
        self.stops.iter().for_each(see);
    }
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
    Shown { header, bids: vec![bid()], asks: vec![ask()], stops: Vec::new() }
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

/// What makes a plain order a special one that asks for nothing.
const NOTHING: Special = Special {
    instructions: Instructions::NONE,
    order_type: OrderType::Limit,
    shown: Quantity(0),
    refreshes: 0,
    waiting: Waiting::No,
};

fn self_trade(group: u32, policy: SelfTradePolicy) -> Option<SelfTrade> {
    Some(SelfTrade { group: NonZeroU32::new(group).expect("not zero"), policy })
}

/// A bid that is an iceberg, a hidden ask of a group, and the stops that wait: one for its turn, one for its price, one
/// for a first trade.
fn special() -> Shown {
    let Shown { header, .. } = shown();
    let with = |order: RestingOrder, special| RestingOrder { special: Some(special), ..order };
    let none = Instructions::NONE;
    let iceberg = Special {
        instructions: Instructions {
            display: Display::Iceberg { peak: Quantity(0x31), spread: 0x32, seed: 0x33 },
            expires: Nanos(0x34),
            ..none
        },
        shown: Quantity(0x35),
        refreshes: 0x36,
        ..NOTHING
    };
    let hidden = Special {
        instructions: Instructions {
            display: Display::Hidden,
            execution: Execution::PostOnly(PostOnly::Slide),
            self_trade: self_trade(0x37, SelfTradePolicy::Decrement),
            ..none
        },
        ..NOTHING
    };
    let triggered = Special {
        instructions: Instructions { execution: Execution::Minimum(Quantity(0x38)), ..none },
        order_type: OrderType::Market,
        waiting: Waiting::ForTurn,
        ..NOTHING
    };
    let stop = Special {
        instructions: Instructions { trigger: Trigger::Stop(price(-6)), ..none },
        order_type: OrderType::MarketToLimit,
        waiting: Waiting::ForTrigger(Some(price(-6))),
        ..NOTHING
    };
    let trailing = Special {
        instructions: Instructions { trigger: Trigger::Trailing { ticks: 0x39 }, ..none },
        waiting: Waiting::ForTrigger(None),
        ..NOTHING
    };
    Shown {
        header: BookHeader { resting: 5, ..header },
        bids: vec![RestingOrder { time_in_force: TimeInForce::GoodTillDate, ..with(bid(), iceberg) }],
        asks: vec![with(ask(), hidden)],
        stops: vec![with(bid(), triggered), with(bid(), stop), with(ask(), trailing)],
    }
}

#[test]
fn a_special_order_is_hashed_over_the_documented_bytes() {
    let book = special();
    let plain = Shown { bids: Vec::new(), asks: Vec::new(), stops: Vec::new(), ..special() };
    let header = concat(&[
        (1, 4),
        (3, 4),
        (11, 8),
        (12, 8),
        (1, 8),
        (2, 8),
        (3, 8),
        (4, 8),
        (5, 8),
        (6, 8),
        (7, 8),
        (8 << 64 | 9, 16),
        (raw(7), 8),
        (-3, 8),
        (10, 8),
        (5, 8),
    ]);
    assert_eq!(book_hash(&plain), StateHash(xxh3_64(&header)));
    let order = |number, side, time_in_force, price| {
        let head = [
            (raw(number), 8),
            (0x12, 4),
            (0x13, 4),
            (0x14, 4),
            (side, 1),
            (time_in_force, 1),
            (1, 1),
            (0, 1),
        ];
        [concat(&head), concat(&[(price, 8), (0x15, 8), (0x16, 8), (0x17, 8), (0x18, 8)])].concat()
    };
    // Type, trigger, display, execution, policy, waits, has a price; trigger value, peak, minimum, expiry; spread, seed,
    // group, refreshes; shown, price waited for.
    let special = |codes: [i128; 7], words: [i128; 4], halves: [i128; 4], ends: [i128; 2]| {
        let fields = codes.map(|n| (n, 1)).into_iter().chain([(0, 1)]);
        let fields = fields.chain(words.map(|n| (n, 8))).chain(halves.map(|n| (n, 4)));
        let bytes = concat(&fields.chain(ends.map(|n| (n, 8))).collect::<Vec<_>>());
        assert_eq!(bytes.len(), 72);
        bytes
    };
    let expected = [
        header,
        order(0x11, 0, 4, -2),
        special([0, 0, 1, 0, 0, 0, 0], [0, 0x31, 0, 0x34], [0x32, 0x33, 0, 0x36], [0x35, 0]),
        order(0x21, 1, 0, 5),
        special([0, 0, 2, 4, 3, 0, 0], [0; 4], [0, 0, 0x37, 0], [0; 2]),
        order(0x11, 0, 1, -2),
        special([1, 0, 0, 1, 0, 2, 0], [0, 0, 0x38, 0], [0; 4], [0; 2]),
        order(0x11, 0, 1, -2),
        special([2, 1, 0, 0, 0, 1, 1], [-6, 0, 0, 0], [0; 4], [0, -6]),
        order(0x21, 1, 0, 5),
        special([0, 2, 0, 0, 0, 1, 0], [0x39, 0, 0, 0], [0; 4], [0; 2]),
    ];
    assert_eq!(book_hash(&book), StateHash(xxh3_64(&expected.concat())));
    assert_eq!(book_hash(&book).to_string(), "5558a0a422367b15");
}

#[test]
fn everything_special_is_in_the_hash() {
    let changes: [fn(&mut Special); 24] = [
        |s| s.order_type = OrderType::Market,
        |s| s.order_type = OrderType::MarketToLimit,
        |s| s.shown = Quantity(1),
        |s| s.refreshes = 1,
        |s| s.waiting = Waiting::ForTurn,
        |s| s.waiting = Waiting::ForTrigger(None),
        |s| s.waiting = Waiting::ForTrigger(Some(price(0))),
        |s| s.waiting = Waiting::ForTrigger(Some(price(1))),
        |s| s.instructions.trigger = Trigger::Stop(price(0)),
        |s| s.instructions.trigger = Trigger::Stop(price(1)),
        |s| s.instructions.trigger = Trigger::Trailing { ticks: 1 },
        |s| s.instructions.display = Display::Hidden,
        |s| s.instructions.display = Display::Iceberg { peak: Quantity(1), spread: 0, seed: 0 },
        |s| s.instructions.display = Display::Iceberg { peak: Quantity(1), spread: 1, seed: 0 },
        |s| s.instructions.display = Display::Iceberg { peak: Quantity(1), spread: 0, seed: 1 },
        |s| s.instructions.execution = Execution::Minimum(Quantity(1)),
        |s| s.instructions.execution = Execution::AllOrNone,
        |s| s.instructions.execution = Execution::PostOnly(PostOnly::Reject),
        |s| s.instructions.execution = Execution::PostOnly(PostOnly::Slide),
        |s| s.instructions.self_trade = self_trade(1, SelfTradePolicy::CancelNewest),
        |s| s.instructions.self_trade = self_trade(1, SelfTradePolicy::CancelOldest),
        |s| s.instructions.self_trade = self_trade(2, SelfTradePolicy::CancelNewest),
        |s| s.instructions.expires = Nanos(1),
        |_| {},
    ];
    let mut hashes = vec![book_hash(&shown())];
    for change in changes {
        let mut book = shown();
        let mut special = NOTHING;
        change(&mut special);
        book.bids[0].special = Some(special);
        hashes.push(book_hash(&book));
    }
    // Where an order stands counts too.
    let mut waiting = shown();
    waiting.stops.push(bid());
    hashes.push(book_hash(&waiting));
    let all = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), all);
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
    for (kind, _) in special_kinds() {
        hash.update(&event(kind));
    }
    assert_eq!(hash.to_string(), "6ade272007dc0a4c");
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

/// The kinds that came with special orders.
fn special_kinds() -> Vec<(EventKind, Vec<u8>)> {
    let (order, owner, price) = (id(1), owner(0x43, 0x44), price(-7));
    let (quantity, leaves) = (Quantity(0x45), Quantity(0x46));
    let named = |kind, rest: &[(i128, usize)]| {
        [concat(&[(kind, 1), (raw(1), 8), (0x43, 4), (0x44, 4)]), concat(rest)].concat()
    };
    vec![
        (EventKind::Triggered { order, owner, price }, named(9, &[(-7, 8)])),
        (EventKind::Refreshed { order, owner, shown: quantity, leaves }, named(10, &[(0x45, 8), (0x46, 8)])),
        (EventKind::Restated { order, owner, price, leaves }, named(11, &[(-7, 8), (0x46, 8)])),
        (
            EventKind::Decremented { order, owner, quantity, leaves, price, liquidity: Liquidity::Added },
            named(12, &[(0x45, 8), (0x46, 8)]),
        ),
        (
            EventKind::MassCanceled { owner, canceled: 0x47 },
            concat(&[(13, 1), (0x43, 4), (0x44, 4), (0x47, 4)]),
        ),
        (EventKind::Paused { triggered: 0x48 }, concat(&[(14, 1), (0x48, 4)])),
        (
            EventKind::Canceled { order, owner, quantity, reason: CancelReason::MassCancel },
            named(4, &[(0x45, 8), (10, 1)]),
        ),
    ]
}

#[test]
fn events_are_hashed_over_the_documented_bytes() {
    let mut hash = EventHash::default();
    let mut expected = 0;
    for (kind, bytes) in kinds().into_iter().chain(special_kinds()) {
        let common = concat(&[(0x31, 8), (0x32, 8), (3, 4), (0x33, 4)]);
        expected = xxh3_64_with_seed(&[common, bytes].concat(), expected);
        hash.update(&event(kind));
        assert_eq!(hash.0, expected, "{kind:?}");
    }
}
