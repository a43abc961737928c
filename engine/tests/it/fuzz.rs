//! A smoke run of what a fuzzer would call: random bytes as commands, some of them repeated or copied from elsewhere in
//! the stream, so that orders meet orders like them. `SEED=` replays, `ITERATIONS=` sets how many streams.

use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;

#[test]
fn random_bytes_are_the_same_commands_to_both_books() {
    let seed = seeded::seed();
    let mut random = Xoshiro256StarStar::seed_from_u64(seed);
    let usual = if cfg!(debug_assertions) { 1_500 } else { 20_000 };
    // At most: other smoke tests take a million inputs, which are shorter.
    let streams = seeded::number("ITERATIONS").map_or(usual, |iterations| iterations / 20);
    for _ in 0..streams {
        let mut bytes = vec![0; random.random_range(1..512)];
        random.fill_bytes(&mut bytes);
        for _ in 0..random.random_range(0..8) {
            let (length, to) = (random.random_range(0..64), random.random_range(0..bytes.len()));
            let from = random.random_range(0..bytes.len());
            let length = length.min(bytes.len() - from.max(to));
            bytes.copy_within(from..from + length, to);
        }
        engine::fuzz::commands(&bytes);
    }
}
