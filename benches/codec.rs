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
    fix::{self, Checker, TimePrecision, Writer, dictionary::FIX44, value},
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
        instructions: None,
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

/// An order as a FIX client sends it; bars for SOHs.
fn fix_order(n: u32, rng: &mut Xoshiro256PlusPlus, out: &mut Vec<u8>) {
    let side = if rng.random() { b'1' } else { b'2' };
    let time = Nanos(1_700_000_000_000_000_000 + u64::from(n) * 1_000_000);
    let mut writer = Writer::new(TimePrecision::Millis);
    let mut message = writer.begin(out, b"FIX.4.4", b"D");
    message.text(49, b"ALICE").text(56, b"FULCRUM").number(34, n.into()).time(52, time);
    message
        .text(11, format!("ORDER{n:09}").as_bytes())
        .text(1, b"ACCOUNT1")
        .letter(21, b'1')
        .text(55, b"AAPL");
    message.letter(54, side).time(60, time).number(38, rng.random_range(1..1_000_000)).letter(40, b'2');
    message.decimal(44, rng.random_range(1..20_000_000) * 100).letter(59, b'0');
    message.end();
}

fn fix_decode(criterion: &mut Criterion) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let mut bytes = Vec::new();
    (1..=MESSAGES as u32).for_each(|n| fix_order(n, &mut rng, &mut bytes));
    println!(
        "  a FIX order is {} bytes long, the checks are all those of the session layer",
        bytes.len() / MESSAGES
    );
    let mut group = criterion.benchmark_group("FIX decode, bytes to checked fields");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    group.bench_function("new order single", |bencher| {
        let mut checker = Checker::default();
        bencher.iter(|| {
            let mut rest = black_box(bytes.as_slice());
            while let Ok(fix::Frame::Message(message, length)) = fix::frame(rest, 4_096) {
                rest = &rest[length..];
                let checked = checker.check(&FIX44, &message).expect("it is right");
                // What a gateway wants of it.
                for tag in [49, 56, 11, 55, 1] {
                    black_box(checked.get(tag));
                }
                black_box((checked.int(34), checked.letter(54), checked.letter(40), checked.letter(59)));
                black_box((checked.get(38).map(value::decimal), checked.get(44).map(value::decimal)));
            }
            assert!(rest.is_empty());
        });
    });
    group.finish();
}

fn fix_encode(criterion: &mut Criterion) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let values: Vec<(u64, i64, u64)> = (1..=MESSAGES as u64)
        .map(|n| (n, rng.random_range(1..20_000_000) * 100, rng.random_range(1..1_000_000)))
        .collect();
    let mut out = Vec::with_capacity(MESSAGES * 512);
    let mut group = criterion.benchmark_group("FIX encode, fields to bytes");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    group.bench_function("execution report", |bencher| {
        let mut writer = Writer::new(TimePrecision::Micros);
        bencher.iter(|| {
            out.clear();
            for &(n, price, quantity) in black_box(&values) {
                let time = Nanos(1_700_000_000_000_000_000 + n * 1_000_000);
                let mut message = writer.begin(&mut out, b"FIX.4.4", b"8");
                message.text(49, b"FULCRUM").text(56, b"ALICE").number(34, n).time(52, time);
                message
                    .number(37, n)
                    .number(17, n)
                    .letter(150, b'F')
                    .letter(39, b'1')
                    .text(11, b"ORDER000000001");
                message
                    .text(55, b"AAPL")
                    .letter(54, b'1')
                    .number(38, quantity)
                    .letter(40, b'2')
                    .decimal(44, price);
                message
                    .letter(59, b'0')
                    .number(32, 100)
                    .decimal(31, price)
                    .number(151, quantity)
                    .number(14, 100);
                message.decimal(6, price).time(60, time);
                message.end();
            }
            black_box(out.as_slice());
        });
    });
    group.finish();
    println!("  an execution report is {} bytes long", out.len() / MESSAGES);
}

criterion_group!(codecs, decode, encode, fix_decode, fix_encode);
criterion_main!(codecs);
