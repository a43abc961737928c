//! Random interleavings of larger cases: four shards, eight books, moves, commands for all, thieves, and sleep.
//!
//! shuttle prints what failed as a schedule, and the test the seed of its commands. To replay:
//! `SEED=` (what the test printed) with `SHUTTLE_RANDOM_SEED=` (what shuttle printed), which repeats the draws of the
//! random scheduler; or `shuttle::replay(model, "schedule")` in place of `Runner::run`. `ITERATIONS=` sets how many
//! schedules are drawn.

use std::sync::Mutex;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use shuttle::{
    Config, MaxSteps, Runner,
    scheduler::{PctScheduler, RandomScheduler, Scheduler},
    thread,
};

use super::{
    model::{LOST, Seen, floor, must_fail},
    mutation::Mutation,
};
use crate::sync::yield_now;

const SHARDS: usize = 4;
const BOOKS: u32 = 8;
const ROUTED: usize = 60;

/// What the sequencer does next.
#[derive(Clone, Copy, Debug)]
enum Deed {
    One(u32),
    All,
    Move(u32, usize),
    Publish,
}

/// Deeds with sixty commands among them, and how many runs of commands they make. Half of the commands are for one
/// book.
fn deeds(seed: u64) -> (Vec<Deed>, usize) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let hot = rng.random_range(0..BOOKS);
    let any = |rng: &mut Xoshiro256PlusPlus| if rng.random() { hot } else { rng.random_range(0..BOOKS) };
    let mut deeds = Vec::new();
    let (mut routed, mut runs) = (0, 0);
    while routed < ROUTED {
        deeds.push(match rng.random_range(0..20) {
            0..12 => {
                (routed, runs) = (routed + 1, runs + 1);
                Deed::One(any(&mut rng))
            }
            12 => {
                (routed, runs) = (routed + 1, runs + BOOKS as usize);
                Deed::All
            }
            13..16 => Deed::Move(any(&mut rng), rng.random_range(0..SHARDS)),
            _ => Deed::Publish,
        });
    }
    (deeds, runs)
}

/// Runs the deeds while four workers run the books, steal from each other, and sleep.
fn model(deeds: &[Deed], runs: usize, slots: usize) -> Seen {
    let homes: Vec<usize> = (0..BOOKS as usize).map(|book| book % SHARDS).collect();
    let (mut sequencer, workers) = floor(SHARDS, &homes, slots, 3, runs);
    let threads: Vec<_> = workers
        .into_iter()
        .enumerate()
        .map(|(me, mut worker)| {
            thread::spawn(move || {
                // The last steals from nobody, so that there is one who sleeps on others' account only.
                let victims: Vec<usize> = if me + 1 == SHARDS {
                    Vec::new()
                } else {
                    (1..SHARDS).map(|by| (me + by) % SHARDS).collect()
                };
                worker.work(&victims);
                worker
            })
        })
        .collect();
    for deed in deeds {
        match *deed {
            Deed::One(book) => {
                while !sequencer.accepts(book) {
                    sequencer.publish_and_wake();
                    yield_now();
                }
                sequencer.route(book);
            }
            Deed::All => {
                while !sequencer.accepts_all() {
                    sequencer.publish_and_wake();
                    yield_now();
                }
                sequencer.route_all();
            }
            Deed::Move(book, to) => {
                sequencer.migrate(book, to);
            }
            Deed::Publish => sequencer.publish_and_wake(),
        }
    }
    sequencer.publish_and_wake();
    sequencer.check(threads.into_iter().map(|thread| thread.join().unwrap()).collect())
}

fn explore<S: Scheduler + 'static>(scheduler: impl Fn(usize) -> S, iterations: usize) {
    /// Commands are drawn anew after so many schedules.
    const EACH: usize = 100;
    let iterations = seeded::number("ITERATIONS").map_or(iterations, |given| usize::try_from(given).unwrap());
    let first = seeded::given();
    let seed = first.unwrap_or_else(seeded::seed);
    let mut all = Seen::default();
    let rounds = if first.is_some() { 1 } else { iterations.div_ceil(EACH) };
    for round in 0..rounds as u64 {
        let seed = seed.wrapping_add(round);
        println!("SEED={seed}");
        let sum = std::sync::Arc::new(Mutex::new(Seen::default()));
        let seen = std::sync::Arc::clone(&sum);
        let (deeds, runs) = deeds(seed);
        let slots = 4 << (seed % 3);
        let mut config = Config::new();
        config.silence_warnings = true;
        config.max_steps = MaxSteps::FailAfter(1_000_000);
        Runner::new(scheduler(EACH), config).run(move || {
            let seen = model(&deeds, runs, slots);
            sum.lock().unwrap().add(&seen);
        });
        all.add(&seen.lock().unwrap());
    }
    println!("{all:?}");
    assert!(all.claimed > 0 && all.at_home > 0 && all.stolen > 0 && all.slept > 0, "{all:?}");
    assert!(first.is_some() || all.arrived > 0, "{all:?}");
}

#[test]
fn books_keep_their_order_in_random_schedules() {
    explore(RandomScheduler::new, 4_000);
}

#[test]
fn books_keep_their_order_in_schedules_with_few_preemptions() {
    explore(|iterations| PctScheduler::new(5, iterations), 4_000);
}

/// shuttle's words for threads that wait for ever: all of them, or all but a sequencer that waits for room.
const STUCK: &[&str] = &["deadlock", "exceeded max_steps"];

/// A command that lies where nobody looks comes too late, or never: then all sleep who wait for it to be run.
const LOST_OR_STUCK: &[&str] = &[LOST[0], LOST[1], STUCK[0], STUCK[1]];

#[test]
fn a_mailbox_that_is_not_looked_at_again_is_noticed() {
    must_fail(
        module_path!(),
        "books_keep_their_order_in_random_schedules",
        Mutation::MailboxIsNotLookedAt,
        LOST_OR_STUCK,
    );
}

#[test]
fn a_thief_that_wakes_nobody_is_noticed() {
    must_fail(
        module_path!(),
        "books_keep_their_order_in_random_schedules",
        Mutation::ThiefWakesNobody,
        STUCK,
    );
}

#[test]
fn a_hand_over_that_wakes_nobody_is_noticed() {
    must_fail(
        module_path!(),
        "books_keep_their_order_in_random_schedules",
        Mutation::HandOverWakesNobody,
        STUCK,
    );
}
