//! Golden bytes. Those marked "judged" were read by an independent dissector; the others were written by hand from
//! the specification's offsets.

use wire::ouch::inbound::{CancelOrder, EnterOrder, MassCancel, ModifyOrder, ReplaceOrder};
use wire::ouch::outbound::{
    Accepted, AccountQueryResponse, AiqCanceled, BrokenTrade, CancelPending, CancelReject, Canceled,
    Executed, MassCanceled, Modified, PriorityUpdate, Rejected, Replaced, Restated, SystemEvent,
};
use wire::ouch::{Appendage, Inbound, Outbound, TagValue, min_quantity};
use wire::soup::{
    self, ClientPacket, LoginAccepted, LoginRejected, LoginRequest, PAYLOAD_MAX, Password, ServerPacket,
    SessionName, Username,
};

/// A client's packets, header included.
pub(crate) const FROM_CLIENT: &[(&str, &str)] = &[
    // judged
    (
        "login request",
        "002f4c414c4943452073656372657420202020202020202020202020202020202020202020202020202020202020202031",
    ),
    // judged
    (
        "enter order with MinQty",
        "0036554f0000000142000000644142432020202020000000000012d6443059504e4e4331202020202020202020202020000605030000000a",
    ),
    // judged
    (
        "replace order",
        "00295555000000010000000200000064000000000012d83830594e43322020202020202020202020200000",
    ),
    // judged
    ("cancel order", "000a55580000000200000000"),
    ("modify order", "000b554d000000025400000032"),
    ("mass cancel", "000f554c00000005414243202020202042"),
    (
        "enter order with options of our own",
        "004a554f0000000442000000004142432020202020000000007fffffff3059504e4e4334202020202020202020202020001a0981000000000012d838028359098500000000001e8480028644",
    ),
    ("account query", "00025551"),
    ("heartbeat", "000152"),
    ("logout request", "00014f"),
    ("debug", "00032b6869"),
];

/// A server's packets, header included.
pub(crate) const FROM_SERVER: &[(&str, &str)] = &[
    // judged
    ("login accepted", "001f41202032303236303130312020202020202020202020202020202020202031"),
    ("login rejected, not authorized", "00024a41"),
    ("login rejected, no such session", "00024a53"),
    ("start of day", "000b535300001f1aced9f00053"),
    // judged
    (
        "accepted",
        "0041534100001f1aced9f0010000000142000000644142432020202020000000000012d6443059000000000000004d504e4e4c43312020202020202020202020200000",
    ),
    // judged
    ("executed", "0025534500001f1aced9f0020000000100000028000000000012d6444100000000000023290000"),
    // judged
    (
        "replaced",
        "0045535500001f1aced9f0030000000100000002420000003c4142432020202020000000000012d8383059000000000000004e504e4e4c43322020202020202020202020200000",
    ),
    // judged
    ("canceled", "0013534300001f1aced9f004000000020000003c55"),
    // judged
    ("rejected", "001e534a00001f1aced9f0050000000300174333202020202020202020202020"),
    (
        "canceled by self-match prevention",
        "0021534400001f1aced9f006000000020000003c510000000a000000000012d6445231",
    ),
    ("broken trade", "0025534200001f1aced9f006000000020000000000002329534333202020202020202020202020"),
    ("cancel pending", "000e535000001f1aced9f00600000002"),
    ("cancel reject", "000e534900001f1aced9f00600000002"),
    ("priority update", "001f535400001f1aced9f00600000002000000000012d64459000000000000004e"),
    ("modified", "0013534d00001f1aced9f006000000025400000032"),
    ("restated", "0017535200001f1aced9f0060000000252000605160000000a"),
    ("mass canceled", "001a534c00001f1aced9f00600000005414243202020202000000003"),
    ("account query response", "000e535100001f1aced9f00600000004"),
    ("unsequenced", "00025551"),
    ("heartbeat", "000148"),
    ("end of session", "00015a"),
    ("debug", "00032b6869"),
];

/// Nanoseconds since midnight of the first golden message; each judged one is a nanosecond later.
const T: u64 = 0x1f1a_ced9_f000;

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex}");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [b' '; N];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// The OUCH message inside a golden packet.
fn payload(table: &[(&str, &str)], name: &str) -> Vec<u8> {
    let (_, hex) = table.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no golden {name}"));
    let bytes = bytes(hex);
    bytes[soup::HEADER_LEN..].to_vec()
}

#[test]
fn client_packets_decode_and_encode_to_the_same_bytes() {
    for (name, hex) in FROM_CLIENT {
        let bytes = bytes(hex);
        let frame = soup::frame(&bytes, PAYLOAD_MAX).expect("no fault").expect("whole");
        assert_eq!(frame.consumed, bytes.len(), "{name}");
        let packet = ClientPacket::decode(&frame).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut again = Vec::new();
        packet.encode(&mut again);
        assert_eq!(again, bytes, "{name}");
        if let ClientPacket::Unsequenced(message) = packet {
            let message = Inbound::decode(message).unwrap_or_else(|e| panic!("{name}: {e}"));
            let mut again = Vec::new();
            soup::unsequenced(&mut again, |out| message.encode(out));
            assert_eq!(again, bytes, "{name}");
        }
    }
}

#[test]
fn server_packets_decode_and_encode_to_the_same_bytes() {
    for (name, hex) in FROM_SERVER {
        let bytes = bytes(hex);
        let frame = soup::frame(&bytes, PAYLOAD_MAX).expect("no fault").expect("whole");
        assert_eq!(frame.consumed, bytes.len(), "{name}");
        let packet = ServerPacket::decode(&frame).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut again = Vec::new();
        packet.encode(&mut again);
        assert_eq!(again, bytes, "{name}");
        if let ServerPacket::Sequenced(message) = packet {
            let message = Outbound::decode(message).unwrap_or_else(|e| panic!("{name}: {e}"));
            let mut again = Vec::new();
            let written: Result<(), ()> = soup::sequenced(&mut again, |out| {
                message.encode(out);
                Ok(())
            });
            assert_eq!((written, again), (Ok(()), bytes), "{name}");
        }
    }
}

#[test]
fn logins_mean_what_they_say() {
    let mut bytes = Vec::new();
    let login = LoginRequest {
        username: Username::new("ALICE").expect("valid"),
        password: Password::new("secret").expect("valid"),
        session: SessionName::BLANK,
        sequence: 1,
    };
    login.encode(&mut bytes);
    assert_eq!(bytes[soup::HEADER_LEN..], payload(FROM_CLIENT, "login request"));
    assert_eq!(LoginRequest::decode(&bytes[soup::HEADER_LEN..]), Ok(login));

    let accepted = LoginAccepted { session: SessionName::new("20260101").expect("valid"), sequence: 1 };
    assert_eq!(LoginAccepted::decode(&payload(FROM_SERVER, "login accepted")), Ok(accepted));
    assert_eq!(
        LoginRejected::decode(&payload(FROM_SERVER, "login rejected, not authorized")),
        Ok(LoginRejected::NotAuthorized)
    );
    assert_eq!(
        LoginRejected::decode(&payload(FROM_SERVER, "login rejected, no such session")),
        Ok(LoginRejected::SessionNotAvailable)
    );
}

#[test]
fn requests_mean_what_they_say() {
    let ten = min_quantity(10);
    let table = [
        (
            "enter order with MinQty",
            Inbound::EnterOrder(EnterOrder {
                user_ref: 1,
                side: b'B',
                quantity: 100,
                symbol: padded("ABC"),
                price: 1_234_500,
                time_in_force: b'0',
                display: b'Y',
                capacity: b'P',
                intermarket_sweep: b'N',
                cross: b'N',
                client_order_id: padded("C1"),
                appendage: Appendage::decode(&ten).expect("valid"),
            }),
        ),
        (
            "replace order",
            Inbound::ReplaceOrder(ReplaceOrder {
                original: 1,
                user_ref: 2,
                quantity: 100,
                price: 1_235_000,
                time_in_force: b'0',
                display: b'Y',
                intermarket_sweep: b'N',
                client_order_id: padded("C2"),
                appendage: Appendage::EMPTY,
            }),
        ),
        ("cancel order", Inbound::CancelOrder(CancelOrder { user_ref: 2, quantity: 0 })),
        ("modify order", Inbound::ModifyOrder(ModifyOrder { user_ref: 2, side: b'T', quantity: 50 })),
        ("mass cancel", Inbound::MassCancel(MassCancel { user_ref: 5, symbol: padded("ABC"), side: b'B' })),
        ("account query", Inbound::AccountQuery),
    ];
    for (name, message) in table {
        assert_eq!(Inbound::decode(&payload(FROM_CLIENT, name)), Ok(message), "{name}");
        if let Inbound::EnterOrder(order) = message {
            assert_eq!(order.appendage.min_quantity(), Some(10));
        }
    }
    let ours = payload(FROM_CLIENT, "enter order with options of our own");
    let Ok(Inbound::EnterOrder(order)) = Inbound::decode(&ours) else { panic!("an order") };
    let options = [
        TagValue::StopPrice(1_235_000),
        TagValue::AllOrNone(b'Y'),
        TagValue::LargeQuantity(2_000_000),
        TagValue::SelfTradePolicy(b'D'),
    ];
    assert_eq!((order.quantity, order.appendage.iter().collect::<Vec<_>>()), (0, options.to_vec()));
}

#[test]
fn answers_mean_what_they_say() {
    let mut refresh = Vec::new();
    TagValue::DisplayQuantity(10).encode(&mut refresh);
    let table = [
        ("start of day", Outbound::SystemEvent(SystemEvent { timestamp: T, event: b'S' })),
        (
            "accepted",
            Outbound::Accepted(Accepted {
                timestamp: T + 1,
                user_ref: 1,
                side: b'B',
                quantity: 100,
                symbol: padded("ABC"),
                price: 1_234_500,
                time_in_force: b'0',
                display: b'Y',
                order_reference: 77,
                capacity: b'P',
                intermarket_sweep: b'N',
                cross: b'N',
                state: b'L',
                client_order_id: padded("C1"),
                appendage: Appendage::EMPTY,
            }),
        ),
        (
            "executed",
            Outbound::Executed(Executed {
                timestamp: T + 2,
                user_ref: 1,
                quantity: 40,
                price: 1_234_500,
                liquidity: b'A',
                match_number: 9001,
                appendage: Appendage::EMPTY,
            }),
        ),
        (
            "replaced",
            Outbound::Replaced(Replaced {
                timestamp: T + 3,
                original: 1,
                user_ref: 2,
                side: b'B',
                quantity: 60,
                symbol: padded("ABC"),
                price: 1_235_000,
                time_in_force: b'0',
                display: b'Y',
                order_reference: 78,
                capacity: b'P',
                intermarket_sweep: b'N',
                cross: b'N',
                state: b'L',
                client_order_id: padded("C2"),
                appendage: Appendage::EMPTY,
            }),
        ),
        (
            "canceled",
            Outbound::Canceled(Canceled { timestamp: T + 4, user_ref: 2, quantity: 60, reason: b'U' }),
        ),
        (
            "rejected",
            Outbound::Rejected(Rejected {
                timestamp: T + 5,
                user_ref: 3,
                reason: 0x17,
                client_order_id: padded("C3"),
            }),
        ),
        (
            "canceled by self-match prevention",
            Outbound::AiqCanceled(AiqCanceled {
                timestamp: T + 6,
                user_ref: 2,
                quantity: 60,
                reason: b'Q',
                prevented: 10,
                price: 1_234_500,
                liquidity: b'R',
                strategy: b'1',
            }),
        ),
        (
            "broken trade",
            Outbound::BrokenTrade(BrokenTrade {
                timestamp: T + 6,
                user_ref: 2,
                match_number: 9001,
                reason: b'S',
                client_order_id: padded("C3"),
            }),
        ),
        ("cancel pending", Outbound::CancelPending(CancelPending { timestamp: T + 6, user_ref: 2 })),
        ("cancel reject", Outbound::CancelReject(CancelReject { timestamp: T + 6, user_ref: 2 })),
        (
            "priority update",
            Outbound::PriorityUpdate(PriorityUpdate {
                timestamp: T + 6,
                user_ref: 2,
                price: 1_234_500,
                display: b'Y',
                order_reference: 78,
            }),
        ),
        (
            "modified",
            Outbound::Modified(Modified { timestamp: T + 6, user_ref: 2, side: b'T', quantity: 50 }),
        ),
        (
            "restated",
            Outbound::Restated(Restated {
                timestamp: T + 6,
                user_ref: 2,
                reason: b'R',
                appendage: Appendage::decode(&refresh).expect("valid"),
            }),
        ),
        (
            "mass canceled",
            Outbound::MassCanceled(MassCanceled {
                timestamp: T + 6,
                user_ref: 5,
                symbol: padded("ABC"),
                canceled: 3,
            }),
        ),
        (
            "account query response",
            Outbound::AccountQueryResponse(AccountQueryResponse { timestamp: T + 6, next_user_ref: 4 }),
        ),
    ];
    for (name, message) in table {
        assert_eq!(Outbound::decode(&payload(FROM_SERVER, name)), Ok(message), "{name}");
    }
}
