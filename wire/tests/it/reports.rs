//! Reports of the exchange, as an OUCH client gets them.

use std::collections::BTreeSet;

use domain::{
    CancelReason, ClientOrderId, ClientRef, Display, Echo, Execution, Instructions, Instrument, InstrumentId,
    Liquidity, Nanos, OrderId, OrderType, PostOnly, Price, Quantity, RejectReason, Report, ReportKind,
    SelfTrade, SelfTradePolicy, Sequence, SessionId, Side, Symbol, SystemCode, TimeInForce, TradeId, Trigger,
};
use wire::ouch::outbound::{
    Accepted, AccountQueryResponse, AiqCanceled, CancelReject, Canceled, Executed, MassCanceled, Modified,
    Rejected, Replaced, SystemEvent,
};
use wire::ouch::{Appendage, EncodeError, Outbound, TagValue, codes, encode_report, min_quantity};

/// A nanosecond before noon, some days after the epoch.
const TIME: Nanos = Nanos(20_000 * Nanos::PER_DAY + Nanos::PER_DAY / 2 - 1);
const NOON: u64 = Nanos::PER_DAY / 2 - 1;

const ECHO: Echo = Echo { side: b'T', display: b'A', capacity: b'P', intermarket_sweep: b'N', cross: b'N' };

/// Cents, lots of 10.
fn instrument() -> Instrument {
    Instrument {
        id: InstrumentId(7),
        symbol: Symbol::new("ABC").expect("valid"),
        tick: 100,
        lot: 10,
        quantity_max: Quantity(u64::from(u32::MAX)),
        price_max: Price::new(19_999_999).expect("valid"),
        bounds: domain::OrderBounds::NONE,
    }
}

fn order() -> OrderId {
    OrderId::new(InstrumentId(7), 42)
}

fn price(ticks: i64) -> Price {
    Price::new(ticks).expect("valid")
}

fn report(kind: ReportKind) -> Report {
    Report {
        session: SessionId(1),
        number: 1,
        sequence: Sequence(9),
        instrument: Some(InstrumentId(7)),
        index: 0,
        nanos: TIME,
        kind,
    }
}

fn accepted(order_type: OrderType, time_in_force: TimeInForce, ticks: i64, lots: u64) -> ReportKind {
    ReportKind::Accepted {
        client_ref: ClientRef(5),
        order: order(),
        order_type,
        time_in_force,
        price: price(ticks),
        quantity: Quantity(lots),
        instructions: None,
        echo: ECHO,
        client_order_id: ClientOrderId::new(b"ABCDEFGHIJKLMNOPQRST").expect("valid"),
    }
}

fn replaced(time_in_force: TimeInForce, ticks: i64, lots: u64) -> ReportKind {
    ReportKind::Replaced {
        original: ClientRef(4),
        client_ref: ClientRef(5),
        order: order(),
        order_type: OrderType::Limit,
        time_in_force,
        price: price(ticks),
        quantity: Quantity(lots),
        instructions: None,
        echo: ECHO,
        client_order_id: ClientOrderId::new(b"NEW").expect("valid"),
    }
}

fn bytes(kind: ReportKind) -> Vec<u8> {
    let mut out = Vec::new();
    encode_report(&report(kind), Some(&instrument()), &mut out).expect("sayable");
    out
}

fn error(kind: ReportKind, instrument: Option<&Instrument>) -> EncodeError {
    let mut out = b"before".to_vec();
    let error = encode_report(&report(kind), instrument, &mut out).expect_err("not sayable");
    assert_eq!(out, b"before", "an error leaves no trace");
    error
}

#[test]
fn every_report_says_what_it_knows() {
    let accepted_message = Accepted {
        timestamp: NOON,
        user_ref: 5,
        side: b'T',
        quantity: 30,
        symbol: *b"ABC     ",
        price: 1_234_500,
        time_in_force: b'0',
        display: b'A',
        order_reference: order().0,
        capacity: b'P',
        intermarket_sweep: b'N',
        cross: b'N',
        state: b'L',
        client_order_id: *b"ABCDEFGHIJKLMN",
        appendage: Appendage::EMPTY,
    };
    let trade = TradeId::new(InstrumentId(7), 3);
    let whole = min_quantity(30);
    let whole = Appendage::decode(&whole).expect("valid");
    let replaced_message = Replaced {
        timestamp: NOON,
        original: 4,
        user_ref: 5,
        side: b'T',
        quantity: 30,
        symbol: *b"ABC     ",
        price: 1_234_500,
        time_in_force: b'G',
        display: b'A',
        order_reference: order().0,
        capacity: b'P',
        intermarket_sweep: b'N',
        cross: b'N',
        state: b'L',
        client_order_id: *b"NEW           ",
        appendage: Appendage::EMPTY,
    };
    let limit = |tif| accepted(OrderType::Limit, tif, 12_345, 3);
    let table = [
        (
            ReportKind::System(SystemCode::StartOfDay),
            Outbound::SystemEvent(SystemEvent { timestamp: NOON, event: b'S' }),
        ),
        (
            ReportKind::System(SystemCode::EndOfDay),
            Outbound::SystemEvent(SystemEvent { timestamp: NOON, event: b'E' }),
        ),
        (limit(TimeInForce::Day), Outbound::Accepted(accepted_message)),
        (
            limit(TimeInForce::GoodTillCancel),
            Outbound::Accepted(Accepted { time_in_force: b'G', ..accepted_message }),
        ),
        (
            limit(TimeInForce::ImmediateOrCancel),
            Outbound::Accepted(Accepted { time_in_force: b'3', ..accepted_message }),
        ),
        (
            limit(TimeInForce::FillOrKill),
            Outbound::Accepted(Accepted { time_in_force: b'3', appendage: whole, ..accepted_message }),
        ),
        // A market order's price has no meaning, and is not looked at.
        (
            accepted(OrderType::Market, TimeInForce::Day, -1, 3),
            Outbound::Accepted(Accepted { price: 0x7FFF_FFFF, ..accepted_message }),
        ),
        (replaced(TimeInForce::GoodTillCancel, 12_345, 3), Outbound::Replaced(replaced_message)),
        (
            replaced(TimeInForce::FillOrKill, 12_345, 3),
            Outbound::Replaced(Replaced { time_in_force: b'3', appendage: whole, ..replaced_message }),
        ),
        (
            ReportKind::Canceled {
                client_ref: ClientRef(5),
                order: order(),
                quantity: Quantity(2),
                reason: CancelReason::Requested,
            },
            Outbound::Canceled(Canceled { timestamp: NOON, user_ref: 5, quantity: 20, reason: b'U' }),
        ),
        (
            ReportKind::Executed {
                client_ref: ClientRef(5),
                order: order(),
                trade,
                price: price(12_345),
                quantity: Quantity(1),
                leaves: Quantity(2),
                liquidity: Liquidity::Removed,
            },
            Outbound::Executed(Executed {
                timestamp: NOON,
                user_ref: 5,
                quantity: 10,
                price: 1_234_500,
                liquidity: b'R',
                match_number: trade.0,
                appendage: Appendage::EMPTY,
            }),
        ),
        (
            ReportKind::Rejected {
                client_ref: ClientRef(5),
                reason: RejectReason::InvalidPrice,
                client_order_id: ClientOrderId::BLANK,
            },
            Outbound::Rejected(Rejected {
                timestamp: NOON,
                user_ref: 5,
                reason: 0x1D,
                client_order_id: [b' '; 14],
            }),
        ),
        (
            ReportKind::Modified {
                client_ref: ClientRef(5),
                order: order(),
                quantity: Quantity(2),
                side_code: b'E',
            },
            Outbound::Modified(Modified { timestamp: NOON, user_ref: 5, side: b'E', quantity: 20 }),
        ),
        (
            ReportKind::AccountQuery { next: ClientRef(6) },
            Outbound::AccountQueryResponse(AccountQueryResponse { timestamp: NOON, next_user_ref: 6 }),
        ),
        (
            ReportKind::Decremented {
                client_ref: ClientRef(5),
                order: order(),
                quantity: Quantity(2),
                leaves: Quantity(1),
                price: price(12_345),
                liquidity: Liquidity::Removed,
            },
            Outbound::AiqCanceled(AiqCanceled {
                timestamp: NOON,
                user_ref: 5,
                quantity: 20,
                reason: b'Q',
                prevented: 20,
                price: 1_234_500,
                liquidity: b'R',
                strategy: b'D',
            }),
        ),
        (
            ReportKind::CancelRejected {
                client_ref: ClientRef(5),
                order: order(),
                reason: RejectReason::UnknownOrder,
            },
            Outbound::CancelReject(CancelReject { timestamp: NOON, user_ref: 5 }),
        ),
        (
            ReportKind::MassCanceled { client_ref: ClientRef(6), canceled: 7 },
            Outbound::MassCanceled(MassCanceled {
                timestamp: NOON,
                user_ref: 6,
                symbol: *b"ABC     ",
                canceled: 7,
            }),
        ),
    ];
    for (kind, message) in table {
        assert_eq!(Outbound::decode(&bytes(kind)), Ok(message), "{kind:?}");
    }
}

#[test]
fn a_restated_order_says_what_is_new() {
    let (client_ref, order, leaves) = (ClientRef(5), order(), Quantity(9));
    let table = [
        (
            ReportKind::Restated { client_ref, order, price: price(12_345), leaves },
            (b'P', TagValue::DisplayPrice(1_234_500)),
        ),
        (
            ReportKind::Refreshed { client_ref, order, shown: Quantity(3), leaves },
            (b'R', TagValue::DisplayQuantity(30)),
        ),
        (
            ReportKind::Triggered { client_ref, order, price: price(12_346) },
            (b'T', TagValue::StopPrice(1_234_600)),
        ),
    ];
    for (kind, (reason, option)) in table {
        let bytes = bytes(kind);
        let Ok(Outbound::Restated(message)) = Outbound::decode(&bytes) else { panic!("{kind:?}") };
        assert_eq!((message.timestamp, message.user_ref, message.reason), (NOON, 5, reason));
        assert_eq!(message.appendage.iter().collect::<Vec<_>>(), [option]);
    }
    let instrument = instrument();
    let refreshed = |shown| ReportKind::Refreshed { client_ref, order, shown: Quantity(shown), leaves };
    let too_much = u64::from(u32::MAX) / 10 + 1;
    assert_eq!(error(refreshed(too_much), Some(&instrument)), EncodeError::Quantity(Quantity(too_much)));
    let triggered = ReportKind::Triggered { client_ref, order, price: price(-1) };
    assert_eq!(error(triggered, Some(&instrument)), EncodeError::Price(price(-1)));
}

#[test]
fn an_order_that_is_in_says_what_it_asked_for() {
    let group = |own| codes::group(SessionId(3), own).expect("a group");
    let self_trade = |policy| Some(SelfTrade { group: group(9), policy });
    let none = Instructions::NONE;
    // Seconds are counted from before the order got its place, and are whole all the same.
    let expires = Nanos(TIME.0 + 90_000_000_000 - 7);
    let table: Vec<(OrderType, TimeInForce, Instructions, Vec<TagValue<'_>>)> = vec![
        (OrderType::Limit, TimeInForce::Day, none, vec![]),
        (OrderType::Limit, TimeInForce::FillOrKill, none, vec![TagValue::MinQuantity(30)]),
        (OrderType::MarketToLimit, TimeInForce::Day, none, vec![TagValue::MarketToLimit(b'Y')]),
        (
            OrderType::Limit,
            TimeInForce::GoodTillDate,
            Instructions {
                trigger: Trigger::Stop(price(12_346)),
                execution: Execution::Minimum(Quantity(2)),
                self_trade: self_trade(SelfTradePolicy::Decrement),
                expires,
                ..none
            },
            vec![
                TagValue::MinQuantity(20),
                TagValue::ExpireTime(90),
                TagValue::GroupId(9),
                TagValue::SelfTradePolicy(b'D'),
                TagValue::StopPrice(1_234_600),
            ],
        ),
        (
            OrderType::Limit,
            TimeInForce::Day,
            Instructions {
                display: Display::Iceberg { peak: Quantity(2), spread: 1, seed: 77 },
                execution: Execution::PostOnly(PostOnly::Slide),
                self_trade: self_trade(SelfTradePolicy::CancelNewest),
                ..none
            },
            vec![
                TagValue::PostOnly(b'S'),
                TagValue::MaxFloor(20),
                TagValue::RandomReserves(10),
                TagValue::GroupId(9),
                TagValue::SelfTradePolicy(b'N'),
            ],
        ),
        (
            OrderType::Market,
            TimeInForce::Day,
            Instructions {
                trigger: Trigger::Trailing { ticks: 3 },
                display: Display::Hidden,
                execution: Execution::AllOrNone,
                ..none
            },
            vec![TagValue::AllOrNone(b'Y'), TagValue::TrailingDistance(300)],
        ),
    ];
    for (of_type, tif, what, options) in table {
        let (mut entered, mut new) = (accepted(of_type, tif, 12_345, 3), replaced(tif, 12_345, 3));
        if let (
            ReportKind::Accepted { instructions, .. },
            ReportKind::Replaced { instructions: others, order_type, .. },
        ) = (&mut entered, &mut new)
        {
            let given = (what != none).then_some(what);
            (*instructions, *others, *order_type) = (given, given, of_type);
        }
        for kind in [entered, new] {
            let bytes = bytes(kind);
            let appendage = match Outbound::decode(&bytes) {
                Ok(Outbound::Accepted(message)) => message.appendage,
                Ok(Outbound::Replaced(message)) => message.appendage,
                other => panic!("{other:?}"),
            };
            assert_eq!(appendage.iter().collect::<Vec<_>>(), options, "{kind:?}");
        }
    }
    // What has no room on the wire.
    let with = |what| {
        let mut kind = accepted(OrderType::Limit, TimeInForce::Day, 12_345, 3);
        if let ReportKind::Accepted { instructions, .. } = &mut kind {
            *instructions = Some(what);
        }
        error(kind, Some(&instrument()))
    };
    let ticks = u64::MAX / 100 + 1;
    assert_eq!(
        with(Instructions { trigger: Trigger::Trailing { ticks }, ..none }),
        EncodeError::Distance { ticks }
    );
    let peak = Quantity(u64::from(u32::MAX));
    assert_eq!(
        with(Instructions { display: Display::Iceberg { peak, spread: 0, seed: 0 }, ..none }),
        EncodeError::Quantity(peak)
    );
}

#[test]
fn options_letters_and_groups_go_both_ways() {
    for code in 0..=u8::MAX {
        match codes::post_only(code) {
            Some(Some(what)) => assert_eq!(codes::post_only_code(what), code),
            Some(None) => assert_eq!(code, b'N'),
            None => assert!(!b"NPS".contains(&code)),
        }
        match codes::self_trade_policy(code) {
            Some(policy) => assert_eq!(codes::self_trade_policy_code(policy), code),
            None => assert!(!b"NOBD".contains(&code)),
        }
    }
    assert_eq!((codes::group(SessionId(7), 0), codes::group(SessionId(65_536), 1)), (None, None));
    let groups: Vec<_> = [(0, 1), (0, 2), (1, 1), (65_535, 65_535)]
        .map(|(session, own)| codes::group(SessionId(session), own).expect("a group"))
        .into();
    assert_eq!(groups.iter().collect::<BTreeSet<_>>().len(), 4);
    assert_eq!(groups.iter().map(|group| codes::own_group(*group)).collect::<Vec<_>>(), [1, 2, 1, 65_535]);
}

#[test]
fn some_reports_need_no_instrument() {
    let table = [
        ReportKind::System(SystemCode::StartOfDay),
        ReportKind::Rejected {
            client_ref: ClientRef(5),
            reason: RejectReason::UnknownInstrument,
            client_order_id: ClientOrderId::BLANK,
        },
        ReportKind::AccountQuery { next: ClientRef(6) },
    ];
    for kind in table {
        let mut out = Vec::new();
        let report = Report { instrument: None, ..report(kind) };
        assert_eq!(encode_report(&report, None, &mut out), Ok(()));
        assert_eq!(out, bytes(kind));
    }
}

#[test]
fn the_wrong_instrument_is_an_error() {
    let kind = accepted(OrderType::Limit, TimeInForce::Day, 12_345, 3);
    let expected = Some(InstrumentId(7));
    assert_eq!(error(kind, None), EncodeError::Instrument { expected, found: None });
    let other = Instrument { id: InstrumentId(8), ..instrument() };
    let found = Some(InstrumentId(8));
    assert_eq!(error(kind, Some(&other)), EncodeError::Instrument { expected, found });
}

#[test]
fn what_ouch_cannot_say_is_an_error() {
    let i = Some(instrument());
    let limit = |ticks, lots| accepted(OrderType::Limit, TimeInForce::Day, ticks, lots);
    // The last price below 200,000.0000, and the first that would read as "market".
    assert_eq!(bytes(limit(19_999_999, 1))[26..34], 1_999_999_900u64.to_be_bytes());
    assert_eq!(error(limit(20_000_000, 1), i.as_ref()), EncodeError::Price(price(20_000_000)));
    assert_eq!(error(limit(-1, 1), i.as_ref()), EncodeError::Price(price(-1)));
    assert_eq!(error(limit(i64::MAX - 1, 1), i.as_ref()), EncodeError::Price(Price::MAX));
    let most = u64::from(u32::MAX) / 10;
    assert_eq!(bytes(limit(1, most))[14..18], (u32::MAX / 10 * 10).to_be_bytes());
    assert_eq!(error(limit(1, most + 1), i.as_ref()), EncodeError::Quantity(Quantity(most + 1)));
    assert_eq!(error(limit(1, u64::MAX), i.as_ref()), EncodeError::Quantity(Quantity(u64::MAX)));
    assert_eq!(
        error(replaced(TimeInForce::Day, 20_000_000, 1), i.as_ref()),
        EncodeError::Price(price(20_000_000))
    );

    // A trade above 200,000.0000 is said as it is: executions have no market price.
    let executed = |ticks| ReportKind::Executed {
        client_ref: ClientRef(5),
        order: order(),
        trade: TradeId::new(InstrumentId(7), 3),
        price: price(ticks),
        quantity: Quantity(1),
        leaves: Quantity(2),
        liquidity: Liquidity::Added,
    };
    assert_eq!(bytes(executed(20_000_000))[17..25], 2_000_000_000u64.to_be_bytes());
    assert_eq!(error(executed(-1), i.as_ref()), EncodeError::Price(price(-1)));
}

#[test]
fn text_that_is_none_is_an_error() {
    let i = instrument();
    let bad = |kind| error(kind, Some(&i));
    let ReportKind::Accepted { client_ref, order, order_type, time_in_force, price, quantity, .. } =
        accepted(OrderType::Limit, TimeInForce::Day, 1, 1)
    else {
        unreachable!()
    };
    let client_order_id = ClientOrderId::BLANK;
    let echo = Echo { cross: 0, ..ECHO };
    let kind = ReportKind::Accepted {
        client_ref,
        order,
        order_type,
        time_in_force,
        price,
        quantity,
        instructions: None,
        echo,
        client_order_id,
    };
    assert_eq!(bad(kind), EncodeError::Text { field: "cross", found: 0 });
    let client_order_id = ClientOrderId([0xFF; 20]);
    let kind = ReportKind::Rejected { client_ref, reason: RejectReason::InvalidSide, client_order_id };
    assert_eq!(bad(kind), EncodeError::Text { field: "client_order_id", found: 0xFF });
    let kind = ReportKind::Modified { client_ref, order, quantity, side_code: b'\n' };
    assert_eq!(bad(kind), EncodeError::Text { field: "side", found: b'\n' });
}

#[test]
fn every_reject_has_a_code_of_its_own() {
    let codes: BTreeSet<u16> = RejectReason::ALL.into_iter().map(codes::reject_reason).collect();
    assert_eq!(codes.len(), RejectReason::ALL.len());
    assert!(codes.iter().all(|c| (0x01..=0x2A).contains(c)), "all are codes of OUCH 5.0");
}

#[test]
fn cancel_reasons_have_their_letters() {
    let letters: Vec<u8> = CancelReason::ALL.into_iter().map(codes::cancel_reason).collect();
    assert_eq!(letters, b"UIIIEZQITUS");
}

#[test]
fn times_in_force_and_sides_go_both_ways() {
    for code in 0..=u8::MAX {
        let wanted = match code {
            b'0' => Some(TimeInForce::Day),
            b'3' => Some(TimeInForce::ImmediateOrCancel),
            b'6' => Some(TimeInForce::GoodTillDate),
            b'G' => Some(TimeInForce::GoodTillCancel),
            _ => None,
        };
        assert_eq!(codes::time_in_force(code), wanted, "{code:#x}");
        if let Some(time_in_force) = wanted {
            assert_eq!(codes::time_in_force_code(time_in_force), code);
        }
    }
    assert_eq!(codes::time_in_force_code(TimeInForce::FillOrKill), b'3');
    for code in 0..=u8::MAX {
        let wanted = match code {
            b'B' => Some(Side::Buy),
            b'S' | b'T' | b'E' => Some(Side::Sell),
            _ => None,
        };
        assert_eq!(codes::side(code), wanted);
    }
    assert_eq!(codes::order_type(1_999_999_999), OrderType::Limit);
    assert_eq!(codes::order_type(2_000_000_000), OrderType::Market);
    assert_eq!(codes::order_type(0x7FFF_FFFF), OrderType::Market);
    assert_eq!(codes::order_type(u64::MAX), OrderType::Market);
}
