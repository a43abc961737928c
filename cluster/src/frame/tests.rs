//! Layouts that never change, and bytes from strangers.

use rand::{Rng, RngExt};

use super::*;
use crate::{fuzz, random::generator};

fn history(rng: &mut impl Rng) -> History {
    let mut history = History::new();
    let (mut epoch, mut position) = (0, 0);
    for _ in 0..rng.random_range(0..=History::MAX) {
        epoch += rng.random_range(1..5);
        history.begin(EpochStart { epoch: Epoch(epoch), position: Position(position) }).expect("in order");
        position += rng.random_range(1..1_000u64) * 8;
    }
    if rng.random() { history.beginning_within() } else { history }
}

fn position(rng: &mut impl Rng) -> Position {
    Position(rng.random_range(0..1u64 << 40) * 8)
}

fn mark(rng: &mut impl Rng) -> Mark {
    Mark { position: position(rng), chain: rng.random() }
}

/// Any message, every kind as likely.
fn message<'a>(rng: &mut impl Rng, payload: &'a [u8]) -> Message<'a> {
    let epoch = Epoch(rng.random_range(0..9));
    match rng.random_range(0..13) {
        0 => Message::Hello(Hello {
            node: NodeId(rng.random()),
            cluster: rng.random::<bool>().then(|| ClusterId(rng.random())),
            end: mark(rng),
            promised: epoch,
            complete: rng.random(),
            ring_bytes: rng.random(),
            segment_bytes: rng.random(),
            history: history(rng),
        }),
        1 => Message::Welcome(Welcome {
            cluster: ClusterId(rng.random()),
            epoch,
            ring_bytes: rng.random(),
            segment_bytes: rng.random(),
            committed: position(rng),
            start: match rng.random_range(0..3) {
                0 => Start::Continue { at: mark(rng) },
                1 => Start::Truncate { to: mark(rng) },
                _ => {
                    let (a, b) = (mark(rng), mark(rng));
                    let (from, mark) = if a.position <= b.position { (a, b) } else { (b, a) };
                    Start::Snapshot { mark, from, length: rng.random_range(1..=u64::MAX) }
                }
            },
            history: history(rng),
        }),
        2 => {
            let durable = position(rng);
            let received = Position(durable.0 + rng.random_range(0..9) * 8);
            Message::Ack(Ack { epoch, received, durable, echo_nanos: rng.random() })
        }
        3 => Message::Batch(Batch { at: position(rng), epoch, bytes: payload }),
        4 => Message::SnapshotPiece(SnapshotPiece { epoch, offset: rng.random(), bytes: payload }),
        5 => {
            let durable = position(rng);
            let committed = Position(durable.0 + rng.random_range(0..9) * 8);
            Message::Heartbeat(Heartbeat { epoch, committed, durable, sent_nanos: rng.random() })
        }
        6 => Message::Prepare { epoch },
        7 => Message::Ready { epoch, durable: position(rng) },
        8 => Message::HandOver(HandOver { epoch, next: Epoch(epoch.0 + 1), at: mark(rng) }),
        9 => Message::Taken { epoch },
        10 => Message::Compare(Compare { epoch, at: mark(rng), state: rng.random() }),
        11 => Message::Compared { epoch, state: rng.random::<bool>().then(|| rng.random()) },
        _ => Message::Refused(Refused {
            reason: Reason::from_u32(rng.random_range(1..=11)).expect("a reason"),
            promised: epoch,
            text: (0..rng.random_range(0..=TEXT_BYTES_MAX))
                .map(|_| char::from(rng.random_range(b' '..=b'~')))
                .collect(),
        }),
    }
}

#[test]
fn what_is_encoded_is_decoded_however_it_arrives() {
    let mut rng = generator();
    for _ in 0..2_000 {
        let payload: Vec<u8> = (0..rng.random_range(1..300)).map(|_| rng.random()).collect();
        let message = message(&mut rng, &payload);
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let length = bytes.len();
        if !matches!(message, Message::Batch(_) | Message::SnapshotPiece(_)) {
            assert!(length <= GREETING_BYTES_MAX, "{} bytes: {message:?}", length);
            assert_eq!(message.clone().into_owned(), Some(message.clone()));
        }
        for cut in 0..length {
            assert_eq!(decode(&bytes[..cut], 300), Ok(None), "{cut} of {length} bytes of {message:?}");
        }
        bytes.extend_from_slice(&payload);
        assert_eq!(decode(&bytes, 300), Ok(Some((message, length))));
    }
}

#[test]
fn bent_messages_do_no_harm() {
    let mut rng = generator();
    for _ in 0..seeded::iterations(30_000) {
        let payload: Vec<u8> = (0..rng.random_range(1..40)).map(|_| rng.random()).collect();
        let mut bytes = Vec::new();
        message(&mut rng, &payload).encode(&mut bytes);
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..5) {
                0 => bytes[at] ^= 1 << rng.random_range(0..8),
                1 => bytes[at] = rng.random(),
                2 => bytes.truncate(at.max(1)),
                3 => bytes.insert(at, rng.random()),
                _ => {
                    let length = match rng.random_range(0..3) {
                        0 => u32::MAX,
                        1 => rng.random_range(0..300),
                        _ => bytes.len().saturating_sub(4) as u32,
                    };
                    if let Some(field) = bytes.first_chunk_mut() {
                        *field = length.to_le_bytes();
                    }
                }
            }
        }
        fuzz::frame(&bytes, rng.random_range(0..100));
    }
}

#[test]
fn noise_does_no_harm() {
    let mut rng = generator();
    for _ in 0..seeded::iterations(30_000) {
        let mut bytes: Vec<u8> = (0..rng.random_range(0..200)).map(|_| rng.random()).collect();
        if bytes.len() >= HEADER_BYTES && rng.random::<bool>() {
            // Past the header, so that the fields are looked at.
            let length = (bytes.len() - 4) as u32;
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            bytes[4] = rng.random_range(0..15);
            bytes[5..8].fill(0);
        }
        fuzz::frame(&bytes, 100);
    }
}

#[test]
fn a_length_beyond_the_bound_is_refused_before_anything_comes() {
    let mut bytes = Vec::new();
    Message::Batch(Batch { at: Position(8), epoch: Epoch(1), bytes: &[7; 101] }).encode(&mut bytes);
    assert!(decode(&bytes[..HEADER_BYTES], 101).is_ok());
    let too_long = Err(FrameError::Length { kind: 4, found: 125, min: 25, max: 124 });
    assert_eq!(decode(&bytes[..HEADER_BYTES], 100), too_long);
    // Before a peer is known no batch at all.
    assert!(matches!(decode(&bytes[..HEADER_BYTES], 0), Err(FrameError::Length { .. })));
    assert_eq!(decode(&[0; HEADER_BYTES], 100), Err(FrameError::Kind(0)));
}

#[test]
fn a_hello_of_another_version_is_told_from_nonsense() {
    let mut bytes = Vec::new();
    let hello = Hello {
        node: NodeId(1),
        cluster: None,
        end: Mark { position: Position(0), chain: 0 },
        promised: Epoch(0),
        complete: true,
        ring_bytes: 0,
        segment_bytes: 0,
        history: History::new(),
    };
    Message::Hello(hello).encode(&mut bytes);
    bytes[HEADER_BYTES] = 9;
    assert_eq!(decode(&bytes, 0), Err(FrameError::Version(9)));
}

#[test]
fn the_bytes_are_those_that_are_documented() {
    let hex = |message: &Message<'_>| {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let ack =
        Ack { epoch: Epoch(3), received: Position(0x120), durable: Position(0x100), echo_nanos: 0x0102_0304 };
    assert_eq!(
        hex(&Message::Ack(ack)),
        "24000000 03 000000 03000000 00000000 2001000000000000 0001000000000000 0403020100000000"
            .replace(' ', "")
    );
    assert_eq!(
        hex(&Message::Batch(Batch { at: Position(0x40), epoch: Epoch(2), bytes: b"abc" })),
        "17000000 04 000000 02000000 00000000 4000000000000000 616263".replace(' ', "")
    );
    let at = Mark { position: Position(0x40), chain: 0xC0FF_EE00 };
    assert_eq!(
        hex(&Message::Compare(Compare { epoch: Epoch(3), at, state: 0xAB })),
        "24000000 0c 000000 03000000 00000000 4000000000000000 00eeffc000000000 ab00000000000000"
            .replace(' ', "")
    );
    assert_eq!(
        hex(&Message::Compared { epoch: Epoch(3), state: Some(0xAB) }),
        "14000000 0d 000000 03000000 01000000 ab00000000000000".replace(' ', "")
    );
    let history = History::from_starts([EpochStart { epoch: Epoch(1), position: Position(0) }]).expect("one");
    let hello = Hello {
        node: NodeId(2),
        cluster: Some(ClusterId(0xAB)),
        end: Mark { position: Position(0x200), chain: 0xC0FF_EE00 },
        promised: Epoch(1),
        complete: true,
        ring_bytes: 0x1_0000,
        segment_bytes: 0x10_0000,
        history,
    };
    assert_eq!(
        hex(&Message::Hello(hello)),
        "5c000000 01 000000 02000000 03000000 0200000000000000 ab000000000000000000000000000000
         0002000000000000 00eeffc000000000 0000010000000000 0000100000000000 01000000 01000000
         0000000000000000 01000000 00000000"
            .replace([' ', '\n'], "")
    );
    let mut header = Vec::new();
    encode_batch_header(&mut header, Position(0x40), Epoch(2), 3);
    let mut whole = Vec::new();
    Message::Batch(Batch { at: Position(0x40), epoch: Epoch(2), bytes: b"abc" }).encode(&mut whole);
    assert_eq!([&header[..], b"abc"].concat(), whole);
}
