//! Market data: golden messages, random ones, and the packets that they travel in.

use rand::{Rng, RngExt};
use wire::itch::{
    AddOrder, EndOfSnapshot, Message, OrderCancel, OrderDelete, OrderExecuted, OrderReplace, StockDirectory,
    SystemEvent, Timestamp, Trade, TradingAction,
};
use wire::mold::{END_OF_SESSION, HEADER_LEN, Header, Packer, Packet, PacketError};

use crate::goldens::bytes;
use crate::random::{generator, letter, text};

/// Messages of the feed, and packets of them. Those marked "judged" were read by an independent dissector and by an
/// independent parser.
pub(crate) const FEED: &[(&str, &str)] = &[
    // judged
    ("system event", "53000000000000000000014f"),
    // judged
    ("stock directory", "520001000000000000000241424320202020205120000000644e435a20504e4e314e000000004e"),
    // judged
    ("add order", "4100010000000000000003000000000000004d420000006441424320202020200012d644"),
    // judged
    ("order executed", "4500010000000000000004000000000000004d000000280000000000002329"),
    // judged
    ("order cancel", "5800010000000000000005000000000000004d0000000a"),
    // judged
    ("order replace", "5500010000000000000006000000000000004d000000000000004e000000320012d838"),
    // judged
    ("order delete", "4400010000000000000007000000000000004e"),
    // judged
    ("trade", "50000100000000000000080000000000000000420000000541424320202020200012d644000000000000232a"),
    ("trading action", "48000100000000000000094142432020202020542020202020"),
    ("end of snapshot", "472020202020202020202020202020202020203137"),
    ("heartbeat", "5345535349303030303100000000000000050000"),
    ("end of session", "534553534930303030310000000000000005ffff"),
    (
        "packet of two",
        "5345535349303030303100000000000000050002000c53000000000000000000014f00134400010000000000000007000000000000004e",
    ),
];

fn golden(name: &str) -> Vec<u8> {
    bytes(FEED.iter().find(|(known, _)| *known == name).expect("a golden message").1)
}

const STOCK: [u8; 8] = *b"ABC     ";

#[test]
fn golden_messages_mean_what_they_say() {
    let at = Timestamp::new;
    let (locate, tracking) = (1, 0);
    let cases: Vec<(&str, Message)> = vec![
        ("system event", SystemEvent { locate: 0, tracking, timestamp: at(1), event: b'O' }.into()),
        (
            "stock directory",
            StockDirectory {
                locate,
                tracking,
                timestamp: at(2),
                stock: STOCK,
                market: b'Q',
                financial_status: b' ',
                round_lot: 100,
                round_lots_only: b'N',
                classification: b'C',
                sub_type: *b"Z ",
                authenticity: b'P',
                short_sale_threshold: b'N',
                ipo: b'N',
                price_tier: b'1',
                etp: b'N',
                etp_leverage: 0,
                inverse: b'N',
            }
            .into(),
        ),
        (
            "add order",
            AddOrder {
                locate,
                tracking,
                timestamp: at(3),
                order: 77,
                side: b'B',
                shares: 100,
                stock: STOCK,
                price: 1_234_500,
            }
            .into(),
        ),
        (
            "order executed",
            OrderExecuted { locate, tracking, timestamp: at(4), order: 77, shares: 40, match_number: 9_001 }
                .into(),
        ),
        ("order cancel", OrderCancel { locate, tracking, timestamp: at(5), order: 77, shares: 10 }.into()),
        (
            "order replace",
            OrderReplace {
                locate,
                tracking,
                timestamp: at(6),
                original: 77,
                order: 78,
                shares: 50,
                price: 1_235_000,
            }
            .into(),
        ),
        ("order delete", OrderDelete { locate, tracking, timestamp: at(7), order: 78 }.into()),
        (
            "trade",
            Trade {
                locate,
                tracking,
                timestamp: at(8),
                order: 0,
                side: b'B',
                shares: 5,
                stock: STOCK,
                price: 1_234_500,
                match_number: 9_002,
            }
            .into(),
        ),
        (
            "trading action",
            TradingAction {
                locate,
                tracking,
                timestamp: at(9),
                stock: STOCK,
                state: b'T',
                reserved: b' ',
                reason: *b"    ",
            }
            .into(),
        ),
        ("end of snapshot", EndOfSnapshot::new(17).into()),
    ];
    for (name, message) in cases {
        let bytes = golden(name);
        assert_eq!(Message::decode(&bytes), Ok(message), "{name}");
        let mut again = Vec::new();
        message.encode(&mut again);
        assert_eq!(again, bytes, "{name}");
    }
    let Ok(Message::EndOfSnapshot(end)) = Message::decode(&golden("end of snapshot")) else { panic!() };
    assert_eq!(end.sequence(), Some(17));
    assert_eq!(EndOfSnapshot::new(u64::MAX).sequence(), Some(u64::MAX));
    assert_eq!(EndOfSnapshot { digits: [b' '; 20] }.sequence(), None);
    assert_eq!(EndOfSnapshot { digits: *b"99999999999999999999" }.sequence(), None);
}

/// Every message's type and length, as the specification has them.
const LENGTHS: [(u8, usize); 14] = [
    (b'S', 12),
    (b'R', 39),
    (b'H', 25),
    (b'Y', 20),
    (b'A', 36),
    (b'F', 40),
    (b'E', 31),
    (b'C', 36),
    (b'X', 23),
    (b'D', 19),
    (b'U', 35),
    (b'P', 44),
    (b'B', 19),
    (b'G', 21),
];

/// Bytes that are a message of this type, whatever it says.
fn random_message(kind: u8, length: usize, rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length).map(|_| letter(rng)).collect();
    bytes[0] = kind;
    bytes
}

#[test]
fn messages_of_every_type_survive_the_wire_and_have_one_length() {
    let mut rng = generator();
    for _ in 0..seeded::iterations(2_000) {
        for (kind, length) in LENGTHS {
            let bytes = random_message(kind, length, &mut rng);
            let message = Message::decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", kind as char));
            let mut again = vec![0xAA];
            message.encode(&mut again);
            assert_eq!((again[0], &again[1..]), (0xAA, &bytes[..]));
            for cut in 0..length {
                assert!(Message::decode(&bytes[..cut]).is_err(), "{message:?} cut at {cut}");
            }
            assert!(Message::decode(&[&bytes[..], b" "].concat()).is_err());
        }
    }
}

#[test]
fn times_have_48_bits() {
    for nanos in [0, 1, 86_399_999_999_999, (1 << 48) - 1] {
        assert_eq!(Timestamp::new(nanos).nanos(), nanos);
    }
}

#[test]
fn golden_packets_have_their_messages() {
    let session = *b"SESSI00001";
    let data = golden("packet of two");
    let packet = Packet::decode(&data).unwrap();
    assert_eq!(packet.header, Header { session, sequence: 5, count: 2 });
    let messages: Vec<_> = packet.messages().map(<[u8]>::to_vec).collect();
    assert_eq!(messages, [golden("system event"), golden("order delete")]);
    assert!(!packet.is_end());
    let data = golden("heartbeat");
    let heartbeat = Packet::decode(&data).unwrap();
    assert_eq!((heartbeat.header.count, heartbeat.messages().count(), heartbeat.is_end()), (0, 0, false));
    let data = golden("end of session");
    let end = Packet::decode(&data).unwrap();
    assert!(end.is_end() && end.header.sequence == 5 && end.messages().next().is_none());
}

#[test]
fn packets_are_whole_or_refused() {
    let data = golden("packet of two");
    for cut in 0..data.len() {
        assert!(matches!(Packet::decode(&data[..cut]), Err(PacketError::Truncated { .. })), "cut at {cut}");
    }
    let longer = [&data[..], &[0]].concat();
    assert_eq!(Packet::decode(&longer), Err(PacketError::Trailing { found: 1 }));
    let mut more = data.clone();
    more[19] = 3;
    assert_eq!(Packet::decode(&more), Err(PacketError::Truncated { expected: 2, found: 0 }));
    let mut fewer = data.clone();
    fewer[19] = 1;
    assert_eq!(Packet::decode(&fewer), Err(PacketError::Trailing { found: 21 }));
    assert_eq!(Header::decode_request(&data[..HEADER_LEN]).unwrap().count, 2);
    assert!(Header::decode_request(&data).is_err() && Header::decode_request(&data[..19]).is_err());
}

#[test]
fn what_is_packed_is_unpacked_and_no_packet_is_too_long() {
    let mut rng = generator();
    for _ in 0..seeded::iterations(1_000) {
        let session = text(&mut rng);
        let messages: Vec<Vec<u8>> = (0..rng.random_range(0..60))
            .map(|_| (0..rng.random_range(0..50)).map(|_| rng.random()).collect())
            .collect();
        let bytes_max = rng.random_range(HEADER_LEN..400);
        let (mut sequence, mut rest, mut unpacked) = (rng.random_range(1..1_000), &messages[..], Vec::new());
        while !rest.is_empty() {
            let mut data = vec![0xAA];
            let mut packer = Packer::begin(&mut data, session, sequence, bytes_max);
            let fit = rest.iter().take_while(|message| packer.push(message)).count();
            assert_eq!(usize::from(packer.end()), fit);
            assert!(fit > 0 && (data.len() - 1 <= bytes_max || fit == 1));
            let packet = Packet::decode(&data[1..]).unwrap();
            assert_eq!(packet.header, Header { session, sequence, count: fit as u16 });
            unpacked.extend(packet.messages().map(<[u8]>::to_vec));
            rest = &rest[fit..];
            sequence += fit as u64;
        }
        assert_eq!(unpacked, messages);
    }
}

#[test]
fn a_count_that_would_end_the_session_is_never_written() {
    let mut data = Vec::new();
    let mut packer = Packer::begin(&mut data, *b"SESSION   ", 1, usize::MAX);
    let fit = (0..70_000).take_while(|_| packer.push(b"")).count();
    assert_eq!(fit, usize::from(END_OF_SESSION) - 1);
    packer.end();
    assert_eq!(Packet::decode(&data).unwrap().messages().count(), fit);
}
