//! Frames cut out of bytes, however they come.

use link::{FrameTooLong, Frames};
use rand::{Rng, RngExt};

use crate::support::rng;

const MAX: u32 = 5_000;

/// All frames at the start of these bytes, cut the slow way, and what follows them.
fn naive(bytes: &[u8]) -> (Vec<Vec<u8>>, Result<(), FrameTooLong>) {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let [a, b, c, d, after @ ..] = rest {
        let length = u32::from_le_bytes([*a, *b, *c, *d]);
        if length > MAX {
            return (frames, Err(FrameTooLong { length, max: MAX }));
        }
        if after.len() < length as usize {
            break;
        }
        frames.push(after[..length as usize].to_vec());
        rest = &after[length as usize..];
    }
    (frames, Ok(()))
}

/// Pushes the bytes in random pieces, and takes what there is after each.
fn cut(bytes: &[u8], piece_max: usize, rng: &mut impl Rng) -> (Vec<Vec<u8>>, Result<(), FrameTooLong>) {
    let mut frames = Frames::new(MAX);
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rng.random_range(1..=piece_max).min(rest.len()));
        rest = after;
        frames.push(piece);
        loop {
            match frames.next() {
                Ok(Some(frame)) => found.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(frames.next(), Err(error), "it stays so");
                    return (found, Err(error));
                }
            }
        }
        assert!(frames.pending() < MAX as usize + 4, "whole frames have been taken");
    }
    (found, Ok(()))
}

#[test]
fn frames_come_out_as_they_went_in_whatever_the_pieces() {
    let mut rng = rng("frames_come_out");
    for piece_max in [1, 2, 3, 7, 100, 5_004, 100_000] {
        let mut bytes = Vec::new();
        let mut sent = Vec::new();
        for _ in 0..60 {
            let length = if rng.random_ratio(1, 8) {
                [0, 1, MAX as usize - 1, MAX as usize][rng.random_range(0..4)]
            } else {
                rng.random_range(0..400)
            };
            let mut payload = vec![0; length];
            rng.fill_bytes(&mut payload);
            Frames::encode(&payload, MAX, &mut bytes).unwrap();
            sent.push(payload);
        }
        assert_eq!(cut(&bytes, piece_max, &mut rng), (sent, Ok(())), "pieces of {piece_max}");
    }
}

#[test]
fn random_bytes_give_what_the_slow_way_gives() {
    let mut rng = rng("random_bytes_give");
    let mut too_long = 0;
    for _ in 0..2_000 {
        let mut bytes = Vec::new();
        for _ in 0..rng.random_range(0..6) {
            let mut payload = vec![0; rng.random_range(0..300)];
            rng.fill_bytes(&mut payload);
            Frames::encode(&payload, MAX, &mut bytes).unwrap();
        }
        for _ in 0..rng.random_range(0..4) {
            let at = rng.random_range(0..bytes.len().max(1));
            match rng.random_range(0..3) {
                0 if at < bytes.len() => bytes[at] = rng.random(),
                1 => bytes.insert(at, rng.random()),
                _ => bytes.truncate(at),
            }
        }
        let expected = naive(&bytes);
        too_long += u32::from(expected.1.is_err());
        assert_eq!(cut(&bytes, 50, &mut rng), expected);
    }
    assert!(too_long > 0, "some announce too much");
}

#[test]
fn a_length_above_the_bound_is_refused_before_its_bytes_come() {
    let mut frames = Frames::new(MAX);
    frames.push(&(MAX + 1).to_le_bytes()[..3]);
    assert_eq!(frames.next(), Ok(None));
    frames.push(&(MAX + 1).to_le_bytes()[3..]);
    assert_eq!(frames.next(), Err(FrameTooLong { length: MAX + 1, max: MAX }));
    let mut into = vec![1];
    assert!(Frames::encode(&[0; MAX as usize + 1], MAX, &mut into).is_err());
    assert_eq!(into, [1], "nothing was appended");
}
