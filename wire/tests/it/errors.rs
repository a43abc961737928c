//! All that can be wrong with an OUCH message.

use wire::ouch::{Appendage, AppendageFault, DecodeError, Inbound, Outbound};

/// One message with a 2-byte length and an appendage, or without.
struct Shape {
    kind: u8,
    name: &'static str,
    len: usize,
    appendage: bool,
    /// Text fields: name, offset, length.
    text: &'static [(&'static str, usize, usize)],
}

const INBOUND: &[Shape] = &[
    Shape {
        kind: b'O',
        name: "EnterOrder",
        len: 47,
        appendage: true,
        text: &[
            ("side", 5, 1),
            ("symbol", 10, 8),
            ("time_in_force", 26, 1),
            ("display", 27, 1),
            ("capacity", 28, 1),
            ("intermarket_sweep", 29, 1),
            ("cross", 30, 1),
            ("client_order_id", 31, 14),
        ],
    },
    Shape {
        kind: b'U',
        name: "ReplaceOrder",
        len: 40,
        appendage: true,
        text: &[
            ("time_in_force", 21, 1),
            ("display", 22, 1),
            ("intermarket_sweep", 23, 1),
            ("client_order_id", 24, 14),
        ],
    },
    Shape { kind: b'X', name: "CancelOrder", len: 9, appendage: false, text: &[] },
    Shape { kind: b'M', name: "ModifyOrder", len: 10, appendage: false, text: &[("side", 5, 1)] },
    Shape {
        kind: b'L',
        name: "MassCancel",
        len: 14,
        appendage: false,
        text: &[("symbol", 5, 8), ("side", 13, 1)],
    },
    Shape { kind: b'Q', name: "AccountQuery", len: 1, appendage: false, text: &[] },
];

const OUTBOUND: &[Shape] = &[
    Shape { kind: b'S', name: "SystemEvent", len: 10, appendage: false, text: &[("event", 9, 1)] },
    Shape {
        kind: b'A',
        name: "Accepted",
        len: 64,
        appendage: true,
        text: &[
            ("side", 13, 1),
            ("symbol", 18, 8),
            ("time_in_force", 34, 1),
            ("display", 35, 1),
            ("capacity", 44, 1),
            ("intermarket_sweep", 45, 1),
            ("cross", 46, 1),
            ("state", 47, 1),
            ("client_order_id", 48, 14),
        ],
    },
    Shape {
        kind: b'U',
        name: "Replaced",
        len: 68,
        appendage: true,
        text: &[
            ("side", 17, 1),
            ("symbol", 22, 8),
            ("time_in_force", 38, 1),
            ("display", 39, 1),
            ("capacity", 48, 1),
            ("intermarket_sweep", 49, 1),
            ("cross", 50, 1),
            ("state", 51, 1),
            ("client_order_id", 52, 14),
        ],
    },
    Shape { kind: b'C', name: "Canceled", len: 18, appendage: false, text: &[("reason", 17, 1)] },
    Shape {
        kind: b'D',
        name: "AiqCanceled",
        len: 32,
        appendage: false,
        text: &[("reason", 17, 1), ("liquidity", 30, 1), ("strategy", 31, 1)],
    },
    Shape { kind: b'E', name: "Executed", len: 36, appendage: true, text: &[("liquidity", 25, 1)] },
    Shape {
        kind: b'B',
        name: "BrokenTrade",
        len: 36,
        appendage: false,
        text: &[("reason", 21, 1), ("client_order_id", 22, 14)],
    },
    Shape { kind: b'J', name: "Rejected", len: 29, appendage: false, text: &[("client_order_id", 15, 14)] },
    Shape { kind: b'P', name: "CancelPending", len: 13, appendage: false, text: &[] },
    Shape { kind: b'I', name: "CancelReject", len: 13, appendage: false, text: &[] },
    Shape { kind: b'T', name: "PriorityUpdate", len: 30, appendage: false, text: &[("display", 21, 1)] },
    Shape { kind: b'M', name: "Modified", len: 18, appendage: false, text: &[("side", 13, 1)] },
    Shape { kind: b'R', name: "Restated", len: 16, appendage: true, text: &[("reason", 13, 1)] },
    Shape { kind: b'L', name: "MassCanceled", len: 25, appendage: false, text: &[("symbol", 13, 8)] },
    Shape { kind: b'Q', name: "AccountQueryResponse", len: 13, appendage: false, text: &[] },
];

/// A valid message of this shape: letters in its text, zeros in its numbers.
fn blank(shape: &Shape) -> Vec<u8> {
    let mut message = vec![0; shape.len];
    message[0] = shape.kind;
    for (_, at, len) in shape.text {
        message[*at..at + len].fill(b'A');
    }
    message
}

fn check(shapes: &[Shape], decode: impl Fn(&[u8]) -> Result<(), DecodeError>) {
    let mut kinds: Vec<u8> = shapes.iter().map(|s| s.kind).collect();
    kinds.sort_unstable();
    assert_eq!(decode(b""), Err(DecodeError::Empty));
    for found in 0..=u8::MAX {
        let unknown = decode(&[found]) == Err(DecodeError::UnknownType { found });
        assert_eq!(unknown, !kinds.contains(&found), "{found:#x}");
    }
    for shape in shapes {
        let Shape { name: message, len, .. } = *shape;
        assert_eq!(decode(&blank(shape)), Ok(()), "{message}");
        for found in (1..=len + 8).filter(|&l| l != len) {
            let mut bytes = blank(shape);
            bytes.resize(found, 0);
            let error = DecodeError::Length { message, expected: len, found };
            assert_eq!(decode(&bytes), Err(error), "{message}");
        }
        for &(field, start, width) in shape.text {
            for at in start..start + width {
                for found in [0, 0x1F, 0x7F, 0x80, 0xFF] {
                    let mut bytes = blank(shape);
                    bytes[at] = found;
                    assert_eq!(decode(&bytes), Err(DecodeError::Text { message, field, found }));
                }
            }
        }
        // Every byte that is neither type, text nor length is a number's, and may be anything.
        let tail = if shape.appendage { 2 } else { 0 };
        for at in (1..len - tail).filter(|at| !shape.text.iter().any(|(_, s, w)| (*s..s + w).contains(at))) {
            let mut bytes = blank(shape);
            bytes[at] = 0xFF;
            assert_eq!(decode(&bytes), Ok(()), "{message} byte {at}");
        }
        if shape.appendage {
            let with = |announced: u16, appendage: &[u8]| {
                let mut bytes = blank(shape);
                bytes[len - 2..].copy_from_slice(&announced.to_be_bytes());
                bytes.extend_from_slice(appendage);
                decode(&bytes)
            };
            let min_quantity = [5, 3, 0, 0, 0, 10];
            assert_eq!(with(6, &min_quantity), Ok(()));
            for announced in [0, 5, 7, u16::MAX] {
                let expected = len + usize::from(announced);
                assert_eq!(
                    with(announced, &min_quantity),
                    Err(DecodeError::Length { message, expected, found: len + 6 })
                );
            }
            let fault = AppendageFault::ValueLength { tag: 3, expected: 4, found: 3 };
            assert_eq!(with(5, &[4, 3, 0, 0, 1]), Err(DecodeError::Appendage { at: 0, fault }));
        }
    }
}

#[test]
fn inbound_messages_have_their_lengths_and_texts() {
    check(INBOUND, |bytes| Inbound::decode(bytes).map(|_| ()));
}

#[test]
fn outbound_messages_have_their_lengths_and_texts() {
    check(OUTBOUND, |bytes| Outbound::decode(bytes).map(|_| ()));
}

#[test]
fn appendages_are_checked_option_by_option() {
    let fault = |bytes: &[u8]| match Appendage::decode(bytes) {
        Err(DecodeError::Appendage { at, fault }) => Some((at, fault)),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    };
    assert_eq!(fault(&[]), None);
    assert_eq!(fault(&[0]), Some((0, AppendageFault::NoTag)));
    assert_eq!(fault(&[1, 200]), None, "an unknown tag without a value");
    assert_eq!(fault(&[5]), Some((0, AppendageFault::Truncated { expected: 5, found: 0 })));
    let first = [5, 3, 0, 0, 0, 10];
    let after_first = |rest: &[u8]| fault(&[&first[..], rest].concat());
    assert_eq!(after_first(&[5, 5, 0, 0]), Some((6, AppendageFault::Truncated { expected: 5, found: 3 })));
    assert_eq!(after_first(&[0]), Some((6, AppendageFault::NoTag)));
    assert_eq!(after_first(&first), Some((6, AppendageFault::Duplicate { tag: 3 })));
    assert_eq!(after_first(&[1, 200, 1, 200]), Some((8, AppendageFault::Duplicate { tag: 200 })));
    assert_eq!(after_first(&[2, 12, 0x80]), Some((6, AppendageFault::Text { tag: 12, found: 0x80 })));
    assert_eq!(
        after_first(&[5, 2, b'A', 0, b'C', b'D']),
        Some((6, AppendageFault::Text { tag: 2, found: 0 }))
    );
    let long = vec![1; 65_536];
    assert_eq!(fault(&long), Some((0, AppendageFault::TooLong { found: 65_536 })));
}

#[test]
fn every_known_tag_has_one_length() {
    let lengths = [
        (1, 8),
        (2, 4),
        (3, 4),
        (4, 1),
        (5, 4),
        (6, 1),
        (7, 4),
        (9, 8),
        (10, 1),
        (11, 4),
        (12, 1),
        (13, 4),
        (14, 4),
        (15, 4),
        (16, 1),
        (17, 1),
        (18, 1),
        (22, 4),
        (23, 8),
        (24, 2),
        (25, 1),
        (129, 8),
        (130, 8),
        (131, 1),
        (132, 1),
        (133, 8),
        (134, 1),
    ];
    for tag in 0..=u8::MAX {
        let known = lengths.iter().find(|(t, _)| *t == tag).map(|(_, expected)| *expected);
        for found in 0..=254 {
            let mut option = vec![b'A'; found + 2];
            option[0] = found as u8 + 1;
            option[1] = tag;
            let wanted = match known {
                Some(expected) if expected != found => {
                    let fault = AppendageFault::ValueLength { tag, expected, found };
                    Err(DecodeError::Appendage { at: 0, fault })
                }
                _ => Ok(vec![tag]),
            };
            let decoded = Appendage::decode(&option).map(|a| a.iter().map(|o| o.tag()).collect::<Vec<_>>());
            assert_eq!(decoded, wanted);
        }
    }
}

#[test]
fn errors_say_what_was_found() {
    let table = [
        (Inbound::decode(b"").map(|_| ()), "an empty message"),
        (Inbound::decode(b"Z").map(|_| ()), "no message type of this side: 0x5a"),
        (Inbound::decode(b"X\0\0").map(|_| ()), "CancelOrder has 9 bytes; found 3"),
        (Inbound::decode(b"M\0\0\0\x01\xff\0\0\0\0").map(|_| ()), "ModifyOrder: side cannot hold byte 0xff"),
        (
            Appendage::decode(&[3, 3, 0, 0]).map(|_| ()),
            "appendage, byte 0: the value of tag 3 has 4 bytes; found 2",
        ),
    ];
    for (result, text) in table {
        assert_eq!(result.map_err(|e| e.to_string()), Err(text.to_string()));
    }
}
