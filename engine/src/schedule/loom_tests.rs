//! Every interleaving, up to a number of preemptions, of some small cases; and the same cases with a fault put in,
//! which they must find.
//!
//! A bound of `n` preemptions means: all schedules in which a thread that could go on is interrupted at most `n` times.
//! Whoever cannot go on, or yields, costs nothing.

use std::sync::Mutex;

use loom::thread;

use super::{
    model::{LOST, Seen, Worker, floor, must_fail},
    mutation::Mutation,
};
use crate::{runtime::ring::ring, schedule::lock::Lock, sync::Arc};

/// Runs a model in every schedule. Returns all that was seen in them.
fn explore(preemptions: usize, model: fn() -> Seen) -> Seen {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    let sum = std::sync::Arc::new(Mutex::new(Seen::default()));
    let all = std::sync::Arc::clone(&sum);
    builder.check(move || {
        let seen = model();
        sum.lock().unwrap().add(&seen);
    });
    let seen = core::mem::take(&mut *all.lock().unwrap());
    println!("{seen:?}");
    seen
}

/// A thread that does something with a worker and gives it back.
fn hire(mut worker: Worker, f: impl FnOnce(&mut Worker) + 'static) -> thread::JoinHandle<Worker> {
    thread::spawn(move || {
        f(&mut worker);
        worker
    })
}

fn workers<const N: usize>(workers: Vec<Worker>) -> [Worker; N] {
    workers.try_into().unwrap_or_else(|_| panic!("so many workers"))
}

/// A sequencer with three commands for two books, their home, and a thief.
fn thief() -> Seen {
    theft(true)
}

/// The same with a thief that takes one book's commands out of the ring and leaves the others to the home.
fn thief_of_one() -> Seen {
    theft(false)
}

fn theft(whatever_waits: bool) -> Seen {
    let (mut sequencer, all) = floor(2, &[0, 0], 4, 2, 0);
    let [home, thief] = workers(all);
    sequencer.route(0);
    sequencer.publish();
    let home = hire(home, |home| {
        home.run_own(2);
    });
    let thief = hire(thief, move |thief| {
        thief.steal(0, 2, whatever_waits);
    });
    sequencer.route(1);
    sequencer.route(0);
    sequencer.publish();
    sequencer.check(vec![home.join().unwrap(), thief.join().unwrap()])
}

/// A book moves with commands before and after, while its old home, its new one and a thief are at work.
fn move_() -> Seen {
    let (mut sequencer, all) = floor(3, &[0, 1], 4, 2, 0);
    let [old, new, mut thief] = workers(all);
    sequencer.route(0);
    sequencer.publish();
    let old = hire(old, |old| {
        old.run_own(2);
    });
    let new = hire(new, |new| {
        new.run_own(2);
    });
    sequencer.migrate(0, 1);
    sequencer.route(0);
    sequencer.publish();
    thief.steal(0, 1, true);
    thief.steal(1, 1, true);
    sequencer.check(vec![old.join().unwrap(), new.join().unwrap(), thief])
}

/// Commands for all books, one routed before a book moves and one after.
fn all() -> Seen {
    let (mut sequencer, all) = floor(3, &[0, 1], 8, 2, 0);
    let [old, new, mut thief] = workers(all);
    sequencer.route_all();
    sequencer.migrate(0, 1);
    sequencer.publish();
    let old = hire(old, |old| {
        old.run_own(2);
    });
    let new = hire(new, |new| {
        new.run_own(2);
    });
    sequencer.route_all();
    sequencer.route(0);
    sequencer.publish();
    thief.steal(1, 1, true);
    sequencer.check(vec![old.join().unwrap(), new.join().unwrap(), thief])
}

/// A home that sleeps when it has nothing to do, while a thief takes what it can once; more comes meanwhile.
fn sleep_beside_a_thief() -> Seen {
    let (mut sequencer, all) = floor(2, &[0], 4, 1, 3);
    let [home, thief] = workers(all);
    sequencer.route(0);
    sequencer.publish_and_wake();
    let home = hire(home, |home| home.work(&[]));
    let thief = hire(thief, |thief| thief.help(0));
    sequencer.route(0);
    sequencer.route(0);
    sequencer.publish_and_wake();
    sequencer.check(vec![home.join().unwrap(), thief.join().unwrap()])
}

/// Two homes that sleep when they have nothing to do, and a book that goes from one to the other.
fn sleep_while_a_book_moves() -> Seen {
    let (mut sequencer, all) = floor(2, &[0], 4, 1, 2);
    let [old, new] = workers(all);
    let old = hire(old, |old| old.work(&[]));
    let new = hire(new, |new| new.work(&[]));
    sequencer.route(0);
    sequencer.migrate(0, 1);
    sequencer.route(0);
    sequencer.publish_and_wake();
    sequencer.check(vec![old.join().unwrap(), new.join().unwrap()])
}

#[test]
fn home_and_thief_run_every_book_in_order() {
    let seen = explore(3, thief);
    assert!(seen.claimed > 0 && seen.at_home > 0 && seen.stolen > 0, "{seen:?}");
}

#[test]
fn what_is_taken_out_of_the_middle_of_the_ring_keeps_its_order() {
    let seen = explore(3, thief_of_one);
    assert!(seen.claimed > 0 && seen.stolen > 0, "{seen:?}");
}

#[test]
fn a_book_that_moves_keeps_its_order() {
    let seen = explore(3, move_);
    assert!(seen.claimed > 0 && seen.at_home > 0 && seen.stolen > 0, "{seen:?}");
}

#[test]
fn a_command_for_all_comes_once_to_a_book_that_moves() {
    let seen = explore(3, all);
    assert!(seen.at_home > 0 && seen.stolen > 0, "{seen:?}");
}

#[test]
fn a_home_is_woken_for_what_a_thief_leaves() {
    let seen = explore(3, sleep_beside_a_thief);
    assert!(seen.slept > 0 && seen.stolen > 0, "{seen:?}");
}

#[test]
fn a_home_is_woken_for_a_book_that_is_handed_over() {
    let seen = explore(2, sleep_while_a_book_moves);
    assert!(seen.slept > 0 && seen.claimed > 0, "{seen:?}");
}

/// Three items through two slots, by two threads that take turns at the reading end and one claim that is read beside
/// it.
fn claims() -> Seen {
    let (mut tx, rx) = ring::<usize>(2);
    let reader = rx.reader();
    let rx = Arc::new(Lock::new(rx));
    let home = {
        let rx = Arc::clone(&rx);
        thread::spawn(move || {
            let claimed = rx.with(|rx| {
                let items = rx.readable(2).len();
                (items > 0).then(|| rx.claim(items))
            });
            let Some(claimed) = claimed else { return Vec::new() };
            let items = reader.items(&claimed).to_vec();
            rx.with(|rx| rx.give_back(claimed));
            items
        })
    };
    let thief = {
        let rx = Arc::clone(&rx);
        thread::spawn(move || {
            rx.with(|rx| {
                let item = rx.pop();
                rx.release();
                item
            })
        })
    };
    let mut pushed = 0;
    for _ in 0..3 {
        pushed += usize::from(tx.push(pushed).is_ok());
        tx.publish();
    }
    let claimed = home.join().unwrap();
    let mut items: Vec<usize> = claimed.iter().copied().chain(thief.join().unwrap()).collect();
    items.sort_unstable();
    let seen =
        Seen { schedules: 1, claimed: claimed.len(), stolen: items.len() - claimed.len(), ..Seen::default() };
    rx.with(|rx| {
        while let Some(item) = rx.pop() {
            items.push(item);
        }
    });
    assert_eq!(items, (0..pushed).collect::<Vec<_>>(), "none lost, none repeated");
    seen
}

#[test]
fn claimed_slots_are_not_written_before_they_are_given_back() {
    let seen = explore(3, claims);
    assert!(seen.claimed > 0 && seen.stolen > 0, "{seen:?}");
}

/// loom's words for threads that wait for ever, and for an access that nothing orders.
const DEADLOCK: &[&str] = &["deadlock"];
const RACE: &[&str] = &["Causality violation"];

#[test]
fn a_lock_without_acquire_is_noticed() {
    must_fail(module_path!(), "home_and_thief_run_every_book_in_order", Mutation::LockIsTaken, RACE);
}

#[test]
fn a_lock_without_release_is_noticed() {
    must_fail(module_path!(), "home_and_thief_run_every_book_in_order", Mutation::LockIsFreed, RACE);
}

#[test]
fn an_epoch_without_acquire_is_noticed() {
    must_fail(module_path!(), "a_book_that_moves_keeps_its_order", Mutation::EpochIsRead, LOST);
}

#[test]
fn an_epoch_without_release_is_noticed() {
    must_fail(module_path!(), "a_book_that_moves_keeps_its_order", Mutation::EpochIsWritten, LOST);
}

#[test]
fn a_sleeper_without_a_fence_is_noticed() {
    must_fail(
        module_path!(),
        "a_home_is_woken_for_a_book_that_is_handed_over",
        Mutation::SleeperHasNoFence,
        DEADLOCK,
    );
}

#[test]
fn a_caller_without_a_fence_is_noticed() {
    must_fail(
        module_path!(),
        "a_home_is_woken_for_a_book_that_is_handed_over",
        Mutation::CallerHasNoFence,
        DEADLOCK,
    );
}

#[test]
fn a_claim_that_is_released_before_it_is_run_is_noticed() {
    must_fail(
        module_path!(),
        "claimed_slots_are_not_written_before_they_are_given_back",
        Mutation::ClaimIsReleasedEarly,
        RACE,
    );
}

#[test]
fn a_mailbox_that_is_not_looked_at_again_is_noticed() {
    must_fail(module_path!(), "home_and_thief_run_every_book_in_order", Mutation::MailboxIsNotLookedAt, LOST);
}

#[test]
fn a_thief_that_wakes_nobody_is_noticed() {
    must_fail(
        module_path!(),
        "a_home_is_woken_for_what_a_thief_leaves",
        Mutation::ThiefWakesNobody,
        DEADLOCK,
    );
}

#[test]
fn a_hand_over_that_wakes_nobody_is_noticed() {
    must_fail(
        module_path!(),
        "a_home_is_woken_for_a_book_that_is_handed_over",
        Mutation::HandOverWakesNobody,
        DEADLOCK,
    );
}
