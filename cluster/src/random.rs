//! Seeds of the tests: printed, and taken from `SEED` when it is set.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// The generator of one test: `SEED` when it is set, else the same in every run.
pub(crate) fn generator() -> Xoshiro256PlusPlus {
    let seed = number("SEED").unwrap_or(0x5EA1_ED0F_FEED_5EED);
    println!("SEED={seed}");
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// How many rounds: `ITERATIONS`, or as many as said.
pub(crate) fn iterations(default: u64) -> u64 {
    number("ITERATIONS").unwrap_or(default)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number: {text}")))
}
