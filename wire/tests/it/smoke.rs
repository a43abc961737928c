//! The fuzz functions on stable: golden packets, bent in the ways that wires and attackers bend them.

use rand::{Rng, RngExt};
use wire::soup::HEADER_LEN;

use crate::feed::FEED;
use crate::goldens::{FROM_CLIENT, FROM_SERVER, bytes};
use crate::random::generator;

/// All that a fuzzer does with one input.
fn run(data: &[u8]) {
    wire::fuzz::soup_frame(data);
    wire::fuzz::soup_login(data);
    wire::fuzz::ouch_inbound(data);
    wire::fuzz::ouch_outbound(data);
    wire::fuzz::itch_message(data);
    wire::fuzz::mold_packet(data);
}

/// Bends `data` once.
fn mutate(data: &mut Vec<u8>, other: &[u8], rng: &mut impl Rng) {
    let at = rng.random_range(0..=data.len());
    match rng.random_range(0..6) {
        // a bit flips
        0 if at < data.len() => data[at] ^= 1 << rng.random_range(0..8),
        // a byte is any other
        1 if at < data.len() => data[at] = rng.random(),
        // the end is missing
        2 => data.truncate(at),
        // one message continues as another
        3 => {
            data.truncate(at);
            data.extend_from_slice(&other[rng.random_range(0..=other.len())..]);
        }
        // a length, wherever one may be, is slightly or wildly wrong
        4 if at + 2 <= data.len() => {
            let length = u16::from_be_bytes([data[at], data[at + 1]]);
            let length = match rng.random_range(0..4) {
                0 => length.wrapping_add(1),
                1 => length.wrapping_sub(1),
                2 => u16::MAX,
                _ => 0,
            };
            data[at..at + 2].copy_from_slice(&length.to_be_bytes());
        }
        // something gets in between
        _ => data.insert(at, rng.random()),
    }
}

#[test]
fn bent_golden_messages_never_break_the_codec() {
    let mut rng = generator();
    let goldens: Vec<Vec<u8>> =
        FROM_CLIENT.iter().chain(FROM_SERVER).chain(FEED).map(|(_, hex)| bytes(hex)).collect();
    for golden in &goldens {
        run(golden);
        run(golden.get(HEADER_LEN..).unwrap_or_default());
    }
    for _ in 0..seeded::iterations(50_000) {
        let mut data = goldens[rng.random_range(0..goldens.len())].clone();
        let other = &goldens[rng.random_range(0..goldens.len())];
        // Packets, and messages without their packet.
        if rng.random() {
            data.drain(..HEADER_LEN.min(data.len()));
        }
        for _ in 0..rng.random_range(1..=4) {
            mutate(&mut data, other, &mut rng);
        }
        run(&data);
    }
}

#[test]
fn noise_never_breaks_the_codec() {
    let mut rng = generator();
    for _ in 0..seeded::iterations(50_000) {
        let mut data: Vec<u8> = (0..rng.random_range(0..120)).map(|_| rng.random()).collect();
        if let Some(first) = data.first_mut() {
            // Often the type of a message, so that the noise gets past the first byte.
            *first = *b"OUXMQSACDEBJPITRWHYFG\x00".get(rng.random_range(0..22)).expect("in range");
        }
        run(&data);
    }
}
