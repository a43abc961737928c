//! Payloads byte for byte, and what becomes of bytes that are none.

use core::num::NonZeroU32;

use domain::{
    AccountId, BookScopedId, ClientOrderId, ClientRef, Command, Display, Echo, EnterOrder, EnterSpecial,
    Epoch, Execution, Instructions, Instrument, InstrumentId, Liquidity, MassCancel, Nanos, OrderBounds,
    OrderId, OrderType, Owner, PostOnly, Price, Quantity, RejectReason, ReplaceOrder, ReplacePriority,
    ReplaceSpecial, Report, ReportKind, SelfTrade, SelfTradePolicy, Sequence, SessionId, Side, Symbol,
    TimeInForce, Trigger,
};

use super::{
    command::{decode, encode, order_instrument, shape},
    report::PackedReport,
};
use crate::error::DecodeError;
use crate::record::RecordKind;

/// Numbers with their widths in bytes, one behind the other.
fn concat(fields: &[(i128, usize)]) -> Vec<u8> {
    fields.iter().flat_map(|(number, bytes)| number.to_le_bytes()[..*bytes].to_vec()).collect()
}

fn price(ticks: i64) -> Price {
    Price::new(ticks).expect("no sentinel")
}

fn enter() -> EnterOrder {
    EnterOrder {
        order: OrderId::new(InstrumentId(1), 2),
        owner: Owner { session: SessionId(5), client_ref: ClientRef(6) },
        account: AccountId(7),
        side: Side::Sell,
        order_type: OrderType::MarketToLimit,
        time_in_force: TimeInForce::GoodTillDate,
        price: price(-3),
        quantity: Quantity(4),
        client_order_id: ClientOrderId(*b"ABCDEFGHIJKLMNOPQRST"),
        echo: Echo { side: b'S', display: b'Y', capacity: b'P', intermarket_sweep: b'N', cross: b'C' },
    }
}

/// What [`enter`] is, written out.
fn enter_bytes() -> Vec<u8> {
    let numbers = [(1 << 44 | 2, 8), (-3, 8), (4, 8), (5, 4), (6, 4), (7, 4), (1, 1), (2, 1), (4, 1)];
    [concat(&numbers), b"SYPNCABCDEFGHIJKLMNOPQRST".to_vec()].concat()
}

fn replace() -> ReplaceOrder {
    let EnterOrder { owner, echo, client_order_id, .. } = enter();
    ReplaceOrder {
        order: OrderId::new(InstrumentId(1), 2),
        original: ClientRef(9),
        new_order: OrderId::new(InstrumentId(1), 3),
        owner,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Day,
        price: price(8),
        total: Quantity(10),
        priority: ReplacePriority::Lose,
        client_order_id,
        echo,
    }
}

fn replace_bytes() -> Vec<u8> {
    let numbers =
        [(1 << 44 | 2, 8), (1 << 44 | 3, 8), (8, 8), (10, 8), (9, 4), (5, 4), (6, 4), (0, 1), (0, 1)];
    [concat(&numbers), b"SYPNCABCDEFGHIJKLMNOPQRST".to_vec(), vec![0]].concat()
}

/// Instructions, and the 48 bytes that they are.
fn instructions() -> Vec<(Instructions, Vec<u8>)> {
    let none = Instructions::NONE;
    let group = NonZeroU32::new(0x0A0B_0C0D).expect("not zero");
    let self_trade = |policy| Some(SelfTrade { group, policy });
    let iceberg = Display::Iceberg { peak: Quantity(11), spread: 12, seed: 13 };
    // Trigger value, peak, minimum, expires, spread, seed, group; trigger, display, execution, policy.
    let bytes = |words: [i128; 4], halves: [i128; 3], codes: [i128; 4]| {
        let fields = words.map(|n| (n, 8)).into_iter().chain(halves.map(|n| (n, 4)));
        concat(&fields.chain(codes.map(|n| (n, 1))).collect::<Vec<_>>())
    };
    let group_number = i128::from(group.get());
    vec![
        (none, bytes([0; 4], [0; 3], [0; 4])),
        (
            Instructions { trigger: Trigger::Stop(price(-9)), expires: Nanos(14), ..none },
            bytes([-9, 0, 0, 14], [0; 3], [1, 0, 0, 0]),
        ),
        (
            Instructions { trigger: Trigger::Trailing { ticks: u64::MAX }, display: Display::Hidden, ..none },
            bytes([-1, 0, 0, 0], [0; 3], [2, 2, 0, 0]),
        ),
        (
            Instructions {
                display: iceberg,
                execution: Execution::Minimum(Quantity(15)),
                self_trade: self_trade(SelfTradePolicy::Decrement),
                ..none
            },
            bytes([0, 11, 15, 0], [12, 13, group_number], [0, 1, 1, 3]),
        ),
        (
            Instructions {
                execution: Execution::AllOrNone,
                self_trade: self_trade(SelfTradePolicy::CancelNewest),
                ..none
            },
            bytes([0; 4], [0, 0, group_number], [0, 0, 2, 0]),
        ),
        (
            Instructions {
                execution: Execution::PostOnly(PostOnly::Reject),
                self_trade: self_trade(SelfTradePolicy::CancelOldest),
                ..none
            },
            bytes([0; 4], [0, 0, group_number], [0, 0, 3, 1]),
        ),
        (
            Instructions {
                execution: Execution::PostOnly(PostOnly::Slide),
                self_trade: self_trade(SelfTradePolicy::CancelBoth),
                ..none
            },
            bytes([0; 4], [0, 0, group_number], [0, 0, 4, 2]),
        ),
    ]
}

fn instrument(bounds: OrderBounds) -> Instrument {
    Instrument {
        id: InstrumentId(3),
        symbol: Symbol::new("ABC").expect("a symbol"),
        tick: 4,
        lot: 5,
        quantity_max: Quantity(6),
        price_max: price(7),
        bounds,
    }
}

/// Commands with their detail and payload, written out from `docs/journal-format.md`.
fn commands() -> Vec<(Command, RecordKind, [u8; 3], Vec<u8>)> {
    let owner = Owner { session: SessionId(5), client_ref: ClientRef(6) };
    let all = MassCancel { owner, instrument: None, session: None, account: None, side: None };
    let instrument_bytes =
        [b"ABC     ".to_vec(), concat(&[(6, 8), (7, 8), (3, 4), (4, 4), (5, 4), (0, 4)])].concat();
    let bounds = OrderBounds { quantity_min: Quantity(2), notional_min: 8, notional_max: 42 };
    let mut list = vec![
        (Command::Enter(enter()), RecordKind::Enter, [0; 3], enter_bytes()),
        (Command::Replace(replace()), RecordKind::Replace, [1, 0, 0], replace_bytes()),
        (
            Command::DefineInstrument(instrument(OrderBounds::NONE)),
            RecordKind::DefineInstrument,
            [0; 3],
            instrument_bytes.clone(),
        ),
        (
            Command::DefineInstrument(instrument(bounds)),
            RecordKind::DefineInstrument,
            [0; 3],
            [instrument_bytes, concat(&[(2, 8), (8, 8), (42, 8)])].concat(),
        ),
        (
            Command::MassCancel(all),
            RecordKind::MassCancel,
            [0; 3],
            concat(&[(5, 4), (6, 4), (0, 4), (0, 4), (0, 4), (0, 4)]),
        ),
        (
            Command::MassCancel(MassCancel {
                instrument: Some(InstrumentId(0)),
                side: Some(Side::Sell),
                ..all
            }),
            RecordKind::MassCancel,
            [9, 1, 0],
            concat(&[(5, 4), (6, 4), (0, 4), (0, 4), (0, 4), (0, 4)]),
        ),
        (
            Command::MassCancel(MassCancel {
                owner,
                instrument: Some(InstrumentId(21)),
                session: Some(SessionId(22)),
                account: Some(AccountId(23)),
                side: Some(Side::Buy),
            }),
            RecordKind::MassCancel,
            [15, 0, 0],
            concat(&[(5, 4), (6, 4), (21, 4), (22, 4), (23, 4), (0, 4)]),
        ),
        (Command::Advance(InstrumentId(24)), RecordKind::Advance, [0; 3], concat(&[(24, 4), (0, 4)])),
        (Command::EpochStart(Epoch(7)), RecordKind::EpochStart, [0; 3], concat(&[(7, 4), (0, 4)])),
    ];
    for (instructions, bytes) in instructions() {
        list.push((
            Command::EnterSpecial(EnterSpecial { enter: enter(), instructions }),
            RecordKind::EnterSpecial,
            [0; 3],
            [enter_bytes(), bytes.clone()].concat(),
        ));
        list.push((
            Command::ReplaceSpecial(ReplaceSpecial { replace: replace(), instructions }),
            RecordKind::ReplaceSpecial,
            [1, 0, 0],
            [replace_bytes(), bytes].concat(),
        ));
    }
    list
}

#[test]
fn payloads_are_the_documented_bytes() {
    for (command, kind, detail, bytes) in commands() {
        let (shaped, length) = shape(&command);
        assert_eq!((shaped, length), (kind, bytes.len()), "{command:?}");
        let mut payload = vec![0xEE; length];
        assert_eq!(encode(&command, &mut payload), detail, "{command:?}");
        assert_eq!(payload, bytes, "{command:?}");
        assert_eq!(decode(kind, detail, &bytes), Ok(command));
        let about_an_order = !matches!(command, Command::MassCancel(_) | Command::Advance(_));
        let instrument = command.instrument().filter(|_| about_an_order);
        assert_eq!(order_instrument(kind, &bytes), instrument, "{command:?}");
    }
}

/// Reports of special orders with their detail and what stands behind the common part, from the same document.
fn special_reports() -> Vec<(ReportKind, RecordKind, [u8; 3], Vec<u8>)> {
    let (client_ref, order) = (ClientRef(6), OrderId::new(InstrumentId(1), 2));
    let (quantity, leaves, price) = (Quantity(7), Quantity(8), price(-9));
    let id = (1 << 44 | 2, 8);
    vec![
        (
            ReportKind::Restated { client_ref, order, price, leaves },
            RecordKind::ReportRestated,
            [0; 3],
            concat(&[id, (-9, 8), (8, 8)]),
        ),
        (
            ReportKind::Refreshed { client_ref, order, shown: quantity, leaves },
            RecordKind::ReportRefreshed,
            [0; 3],
            concat(&[id, (7, 8), (8, 8)]),
        ),
        (
            ReportKind::Triggered { client_ref, order, price },
            RecordKind::ReportTriggered,
            [0; 3],
            concat(&[id, (-9, 8)]),
        ),
        (
            ReportKind::Decremented {
                client_ref,
                order,
                quantity,
                leaves,
                price,
                liquidity: Liquidity::Removed,
            },
            RecordKind::ReportDecremented,
            [1, 0, 0],
            concat(&[id, (7, 8), (8, 8), (-9, 8)]),
        ),
        (
            ReportKind::CancelRejected { client_ref, order, reason: RejectReason::ALL[7] },
            RecordKind::ReportCancelRejected,
            [RejectReason::ALL[7] as u8, 0, 0],
            concat(&[id]),
        ),
        (
            ReportKind::MassCanceled { client_ref, canceled: 10 },
            RecordKind::ReportMassCanceled,
            [0; 3],
            concat(&[(10, 4), (0, 4)]),
        ),
    ]
}

#[test]
fn reports_of_special_orders_are_the_documented_bytes() {
    for (kind, record, detail, rest) in special_reports() {
        let report = Report {
            session: SessionId(5),
            number: 11,
            sequence: Sequence(12),
            instrument: Some(InstrumentId(1)),
            index: 13,
            nanos: Nanos(14),
            kind,
        };
        let bytes = [concat(&[(5, 4), (1, 4), (13, 4), (6, 4), (11, 8)]), rest].concat();
        let packed = PackedReport::of(&report);
        assert_eq!((packed.kind, packed.detail, &packed.payload), (record as u8, detail, &bytes), "{kind:?}");
        assert_eq!(packed.report(), Ok(report));
        // Whatever one byte says: an error, or another report of just these bytes.
        for at in 0..bytes.len() + 3 {
            for value in 0..=u8::MAX {
                let mut other = packed.clone();
                let byte = if at < 3 { &mut other.detail[at] } else { &mut other.payload[at - 3] };
                if *byte == value {
                    continue;
                }
                *byte = value;
                if let Ok(read) = other.report() {
                    assert_ne!(read, report);
                    assert_eq!(PackedReport::of(&read), other, "{read:?}");
                }
            }
        }
        for length in 0..bytes.len() {
            let short = PackedReport { payload: bytes[..length].to_vec(), ..packed.clone() };
            assert!(short.report().is_err(), "{kind:?} of {length} bytes");
        }
    }
}

/// Whatever one byte says: an error, or another command that encodes to just these bytes.
#[test]
fn a_changed_byte_is_an_error_or_another_command() {
    let mut errors = 0;
    for (command, kind, detail, bytes) in commands() {
        for at in 0..bytes.len() + 3 {
            for value in 0..=u8::MAX {
                let (mut detail, mut bytes) = (detail, bytes.clone());
                let byte = if at < 3 { &mut detail[at] } else { &mut bytes[at - 3] };
                if *byte == value {
                    continue;
                }
                *byte = value;
                match decode(kind, detail, &bytes) {
                    Err(_) => errors += 1,
                    Ok(other) => {
                        assert_ne!(other, command);
                        let mut again = vec![0xEE; bytes.len()];
                        assert_eq!(shape(&other), (kind, bytes.len()), "{other:?}");
                        assert_eq!((encode(&other, &mut again), again), (detail, bytes), "{other:?}");
                    }
                }
            }
        }
        for length in (0..bytes.len()).chain([bytes.len() + 8]) {
            let other = [bytes.clone(), vec![0; 8]].concat();
            // An instrument has two lengths.
            if kind != RecordKind::DefineInstrument || length != 40 {
                assert!(decode(kind, detail, &other[..length]).is_err(), "{kind:?} of {length} bytes");
            }
        }
    }
    assert!(errors > 10_000, "{errors} errors");
}

#[test]
fn what_is_impossible_is_named() {
    let wrong = |command: Command, at: usize, new: &[u8], field: &str| {
        let (kind, length) = shape(&command);
        let mut bytes = vec![0; length];
        let detail = encode(&command, &mut bytes);
        bytes[at..at + new.len()].copy_from_slice(new);
        match decode(kind, detail, &bytes) {
            Err(DecodeError::Value { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    };
    let special = |instructions| Command::EnterSpecial(EnterSpecial { enter: enter(), instructions });
    let plain = special(Instructions::NONE);
    let stop = special(Instructions { trigger: Trigger::Stop(price(1)), ..Instructions::NONE });
    wrong(plain, 36, &[2], "side");
    wrong(plain, 37, &[3], "order type");
    wrong(plain, 38, &[5], "time in force");
    wrong(plain, 64, &[1], "trigger value");
    wrong(plain, 72, &[1], "peak");
    wrong(plain, 80, &[1], "minimum");
    wrong(plain, 96, &[1], "spread");
    wrong(plain, 100, &[1], "seed");
    wrong(plain, 108, &[3], "trigger");
    wrong(plain, 109, &[3], "display");
    wrong(plain, 110, &[5], "execution");
    wrong(plain, 111, &[4], "self-trade policy");
    // A policy of no group.
    wrong(plain, 111, &[1], "self-trade policy");
    wrong(stop, 64, &i64::MAX.to_le_bytes(), "trigger price");
    wrong(stop, 64, &i64::MIN.to_le_bytes(), "trigger price");
    wrong(Command::Advance(InstrumentId(0)), 0, &BookScopedId::INSTRUMENTS_MAX.to_le_bytes(), "instrument");
    // The long form of an instrument that has no bounds.
    let bounds = OrderBounds { quantity_min: Quantity(2), ..OrderBounds::NONE };
    wrong(Command::DefineInstrument(instrument(bounds)), 40, &[1], "bounds");
    // The smallest order above the largest.
    wrong(Command::DefineInstrument(instrument(bounds)), 40, &[7], "instrument");
}
