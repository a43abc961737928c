//! Runs without a fault of ours must hold; runs with one must not.

use std::time::{Duration, Instant, SystemTime};

use super::*;

/// The fault that the environment asks for.
fn wanted() -> Option<Mutation> {
    let name = std::env::var("MUTATION").ok()?;
    let found = ALL.into_iter().find(|mutation| format!("{mutation:?}") == name);
    Some(found.unwrap_or_else(|| panic!("MUTATION must be one of {ALL:?}: {name}")))
}

const ALL: [Mutation; 10] = [
    Mutation::AckBeforeDurable,
    Mutation::MissingFence,
    Mutation::LostTruncation,
    Mutation::WrongEpochCheck,
    Mutation::SkippedDirectorySync,
    Mutation::LeaseFromReply,
    Mutation::AloneBeforeRecorded,
    Mutation::ForgetsWhatWasLost,
    Mutation::VerbatimSeals,
    Mutation::CutWithoutIntent,
];

/// One run; a panic is a failure of the run as well.
fn attempt(seed: u64, mutation: Option<Mutation>, trace: bool) -> Result<Coverage, String> {
    std::panic::catch_unwind(|| run(seed, mutation, trace)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into())).unwrap_or_default())
    })
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_told_twice() {
    if let Some(seed) = seeded::given() {
        println!("SEED={seed}");
        let coverage = attempt(seed, wanted(), true).unwrap_or_else(|what| panic!("SEED={seed}: {what}"));
        println!("{:#?}", coverage);
        return;
    }
    let runs = seeded::number("RUNS").unwrap_or(if cfg!(debug_assertions) { 200 } else { 3_000 });
    let soak = seeded::number("SOAK").map(|minutes| Duration::from_secs(60 * minutes));
    let begin = Instant::now();
    // A soak begins somewhere new each time; every seed that fails is printed.
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let first = if soak.is_some() { since_1970.as_nanos() as u64 } else { 1 };
    let mut all = Coverage::default();
    let mut done = 0;
    while soak.map_or(done < runs, |time| begin.elapsed() < time) {
        let seed = first.wrapping_add(done);
        let coverage = attempt(seed, wanted(), false).unwrap_or_else(|what| panic!("SEED={seed}: {what}"));
        all.add(&coverage);
        done += 1;
    }
    println!("{done} runs from SEED={first}: {:?}", all.fields());
    let rare = ["cuts finished by recovery", "hand-overs"];
    for (what, times) in all.fields() {
        let enough = if rare.contains(&what) { 1_000 } else { 100 };
        assert!(times > 0 || done < enough, "none of {done} runs has seen any {what}");
    }
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    for seed in 1..20 {
        assert_eq!(run(seed, None, true), run(seed, None, true), "SEED={seed}");
    }
}

/// The first of a thousand seeds that finds the fault.
fn is_found(mutation: Mutation) {
    let found =
        (1..=1_000).find_map(|seed| attempt(seed, Some(mutation), false).err().map(|what| (seed, what)));
    let (seed, what) = found.unwrap_or_else(|| panic!("{mutation:?} is not found by a thousand seeds"));
    println!("{mutation:?} is found by SEED={seed}: {what}");
}

#[test]
fn what_is_called_durable_before_it_is_is_found() {
    is_found(Mutation::AckBeforeDurable);
}

#[test]
fn a_missing_fence_is_found() {
    is_found(Mutation::MissingFence);
}

#[test]
fn a_lost_truncation_is_found() {
    is_found(Mutation::LostTruncation);
}

#[test]
fn an_epoch_that_is_not_compared_is_found() {
    is_found(Mutation::WrongEpochCheck);
}

#[test]
fn a_directory_that_is_not_synced_is_found() {
    is_found(Mutation::SkippedDirectorySync);
}

#[test]
fn a_lease_that_is_counted_from_the_reply_is_found() {
    is_found(Mutation::LeaseFromReply);
}

#[test]
fn who_runs_alone_before_it_is_on_record_is_found() {
    is_found(Mutation::AloneBeforeRecorded);
}

#[test]
fn who_forgets_what_was_lost_is_found() {
    is_found(Mutation::ForgetsWhatWasLost);
}

#[test]
fn seals_that_speak_of_another_disk_are_found() {
    is_found(Mutation::VerbatimSeals);
}

#[test]
fn a_cut_that_nobody_can_finish_is_found() {
    is_found(Mutation::CutWithoutIntent);
}

#[test]
fn a_planned_switch_takes_less_than_two_hundred_milliseconds() {
    // Of simulated time, with nothing in its way: from the operator's word until the other node takes orders.
    let mut longest = 0;
    for seed in 1..=100 {
        let nanos =
            world::World::new(seed, true).switch().unwrap_or_else(|what| panic!("SEED={seed}: {what}"));
        assert!(nanos < 200_000_000, "SEED={seed}: {} ms", nanos / 1_000_000);
        longest = longest.max(nanos);
    }
    println!("the longest of 100 takes {} ms", longest / 1_000_000);
}
