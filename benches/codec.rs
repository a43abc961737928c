//! Codecs: nanoseconds for one message, over 256 different ones that are hot in the cache.
//!
//! Inside the clock of a decode: finding the frame, its packet, and the typed message, as the gateway does. Inside the
//! clock of an encode: the sequenced packet with its message, appended to a buffer that has room. No validation by a
//! venue, no sockets.

use std::hint::black_box;

use benches::machine::Machine;
use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use domain::{
    CancelReason, ClientOrderId, ClientRef, Echo, Instrument, InstrumentId, Liquidity, Nanos, OrderId,
    OrderType, Price, Quantity, Report, ReportKind, Sequence, SessionId, Symbol, TimeInForce, TradeId,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use wire::{
    ouch::{
        Appendage, Inbound, codes, encode_report,
        inbound::{CancelOrder, EnterOrder, ReplaceOrder},
    },
    soup::{self, ClientPacket},
};

/// What the messages' numbers are drawn from.
const SEED: u64 = 42;
/// Different messages in a row.
const MESSAGES: usize = 256;
/// The longest payload that a gateway takes from a client.
const PAYLOAD_MAX: usize = 1_024;

fn decode(criterion: &mut Criterion) {
    println!("codec: {}", Machine::here());
    println!("  workload: {MESSAGES} messages of one type, fields from seed {SEED}, hot in the cache");
    println!(
        "  clock:    wall time of a pass over all {MESSAGES}; the rate is messages, ns each = 1e3 / (Melem/s)\n"
    );
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let mut group = criterion.benchmark_group("wire decode, frame to message");
    let mut case = |name: &str, mut message: Box<dyn FnMut(u32) -> Inbound<'static> + '_>| {
        let mut bytes = Vec::new();
        for n in 1..=MESSAGES as u32 {
            let message = message(n);
            soup::unsequenced(&mut bytes, |out| message.encode(out));
        }
        run_decode(&mut group, name, &bytes);
    };
    case("enter order", Box::new(|n| enter(n, &mut rng)));
    case("replace order", Box::new(|n| replace(n, &mut rng)));
    case("cancel order", Box::new(|n| Inbound::CancelOrder(CancelOrder { user_ref: n, quantity: 0 })));
    group.finish();
}

fn run_decode(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, bytes: &[u8]) {
    group.throughput(Throughput::Elements(MESSAGES as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let mut rest = black_box(bytes);
            while let Ok(Some(frame)) = soup::frame(rest, PAYLOAD_MAX) {
                rest = &rest[frame.consumed..];
                let Ok(ClientPacket::Unsequenced(message)) = ClientPacket::decode(&frame) else {
                    unreachable!("only unsequenced packets are there")
                };
                black_box(Inbound::decode(message)).expect("what was encoded decodes");
            }
        });
    });
}

fn encode(criterion: &mut Criterion) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let instrument = instrument();
    let mut group = criterion.benchmark_group("wire encode, report to frame");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    type Kind = fn(u32, &mut Xoshiro256PlusPlus) -> ReportKind;
    let cases: [(&str, Kind); 3] = [("accepted", accepted), ("executed", executed), ("canceled", canceled)];
    for (name, kind) in cases {
        let reports: Vec<Report> = (1..=MESSAGES as u32).map(|n| report(n, kind(n, &mut rng))).collect();
        let mut out = Vec::with_capacity(MESSAGES * 128);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                for report in black_box(&reports) {
                    soup::sequenced(&mut out, |out| encode_report(report, Some(&instrument), out))
                        .expect("OUCH can say it");
                }
                black_box(out.as_slice());
            });
        });
    }
    group.finish();
}

fn enter(n: u32, rng: &mut Xoshiro256PlusPlus) -> Inbound<'static> {
    Inbound::EnterOrder(EnterOrder {
        user_ref: n,
        side: if rng.random() { b'B' } else { b'S' },
        quantity: rng.random_range(1..1_000_000),
        symbol: *b"AAPL    ",
        price: rng.random_range(1..20_000_000) * 100,
        time_in_force: codes::DAY,
        display: b'Y',
        capacity: b'P',
        intermarket_sweep: b'N',
        cross: b'N',
        client_order_id: *b"ORDER000000001",
        appendage: Appendage::EMPTY,
    })
}

fn replace(n: u32, rng: &mut Xoshiro256PlusPlus) -> Inbound<'static> {
    Inbound::ReplaceOrder(ReplaceOrder {
        original: n,
        user_ref: n + 1,
        quantity: rng.random_range(1..1_000_000),
        price: rng.random_range(1..20_000_000) * 100,
        time_in_force: codes::DAY,
        display: b'Y',
        intermarket_sweep: b'N',
        client_order_id: *b"ORDER000000001",
        appendage: Appendage::EMPTY,
    })
}

fn instrument() -> Instrument {
    Instrument {
        id: InstrumentId(7),
        symbol: Symbol::new("AAPL").expect("it is a symbol"),
        tick: 100,
        lot: 1,
        quantity_max: Quantity(999_999),
        price_max: Price::new(19_999_999).expect("it is a price"),
        bounds: domain::OrderBounds::NONE,
    }
}

fn report(n: u32, kind: ReportKind) -> Report {
    Report {
        session: SessionId(1),
        number: n.into(),
        sequence: Sequence(n.into()),
        instrument: Some(InstrumentId(7)),
        index: 0,
        nanos: Nanos(1_700_000_000_000_000_000 + u64::from(n) * 1_000),
        kind,
    }
}

fn price(rng: &mut Xoshiro256PlusPlus) -> Price {
    Price::new(rng.random_range(1..19_999_999)).expect("far from the ends")
}

fn accepted(n: u32, rng: &mut Xoshiro256PlusPlus) -> ReportKind {
    ReportKind::Accepted {
        client_ref: ClientRef(n),
        order: OrderId::new(InstrumentId(7), n.into()),
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Day,
        price: price(rng),
        quantity: Quantity(rng.random_range(1..1_000_000)),
        echo: Echo { side: b'B', display: b'Y', capacity: b'P', intermarket_sweep: b'N', cross: b'N' },
        client_order_id: ClientOrderId::new(b"ORDER000000001").expect("it is a text"),
    }
}

fn executed(n: u32, rng: &mut Xoshiro256PlusPlus) -> ReportKind {
    ReportKind::Executed {
        client_ref: ClientRef(n),
        order: OrderId::new(InstrumentId(7), n.into()),
        trade: TradeId::new(InstrumentId(7), n.into()),
        price: price(rng),
        quantity: Quantity(rng.random_range(1..1_000_000)),
        leaves: Quantity(100),
        liquidity: Liquidity::Added,
    }
}

fn canceled(n: u32, rng: &mut Xoshiro256PlusPlus) -> ReportKind {
    ReportKind::Canceled {
        client_ref: ClientRef(n),
        order: OrderId::new(InstrumentId(7), n.into()),
        quantity: Quantity(rng.random_range(1..1_000_000)),
        reason: CancelReason::Requested,
    }
}

criterion_group!(codecs, decode, encode);
criterion_main!(codecs);
