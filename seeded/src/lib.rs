//! What random tests share: a seed that is printed, and how long they go on.
//!
//! Unless they are told otherwise they draw the same in every run, so that what gates a change fails by that change alone.
//! `SEED=n` replays what a failure printed, `SEED=random` looks for new ones.

#![forbid(unsafe_code)]

use std::{
    env,
    hash::{BuildHasher, RandomState},
};

/// The seed where none is given.
const USUAL: u64 = 0x5EED;

/// A random test's seed: `SEED`, or the usual one. Printed, so that a failure shows how to see it again.
///
/// # Panics
/// When `SEED` is neither a number nor `random`.
#[must_use]
pub fn seed() -> u64 {
    let seed = given().unwrap_or(USUAL);
    println!("SEED={seed}");
    seed
}

/// What `SEED` says: a number, or with `random` another one each time; `None` if it is not set.
///
/// # Panics
/// When it is neither.
#[must_use]
pub fn given() -> Option<u64> {
    match env::var("SEED").as_deref() {
        Ok("random") => Some(RandomState::new().hash_one("SEED")),
        _ => number("SEED"),
    }
}

/// How many rounds: `ITERATIONS`, or as many as said.
///
/// # Panics
/// When `ITERATIONS` is no number.
#[must_use]
pub fn iterations(usual: u64) -> u64 {
    number("ITERATIONS").unwrap_or(usual)
}

/// A number from the environment; `None` if it is not set.
///
/// # Panics
/// When it is set to something else.
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number: {text}")))
}
