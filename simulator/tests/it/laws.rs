//! What holds in every run. The machine itself asserts, in release builds too, that each command is executed once and
//! those of a book in order; here it is given occasions to fail.

use engine::balance::{BalanceMode, PlacementPolicy, StealRule};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use simulator::{Arm, Bursts, CORES_MAX, Costs, Outcome, Scenario, Shape, ideal, simulate};

fn numbers(outcome: &Outcome) -> [u64; 9] {
    let waited = outcome.waited as u64;
    let counts = [outcome.executed, outcome.steals, outcome.stolen, outcome.moves, outcome.refills];
    [
        outcome.p99(),
        waited,
        counts[0],
        counts[1],
        counts[2],
        counts[3],
        counts[4],
        outcome.busy,
        outcome.finish,
    ]
}

fn shape(name: &str) -> Shape {
    name.parse().expect("a profile")
}

#[test]
fn one_seed_one_result() {
    for mode in BalanceMode::ALL {
        let run = |seed| {
            let mut scenario = Scenario::new(8, 1_000, shape("hot-swap:1ms"), 0.8);
            (scenario.commands, scenario.seed) = (200_000, seed);
            numbers(&simulate(&scenario, &Arm::new("arm", PlacementPolicy::Hash, mode)))
        };
        assert_eq!(run(5), run(5), "{mode}");
        assert_ne!(run(5), run(6), "{mode}");
    }
}

#[test]
fn every_command_is_executed_once_and_in_order_whatever_moves() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seeded::seed());
    let (mut steals, mut moves) = (0, 0);
    for _ in 0..60 {
        let profile =
            ["calm", "zipf:1.2", "hot:60%", "hot-swap:100us", "us-equities"][rng.random_range(0..5)];
        let cores = rng.random_range(1..=CORES_MAX);
        let books = rng.random_range(1..=3_000);
        let mut scenario = Scenario::new(cores, books, shape(profile), rng.random_range(0.1..1.3));
        scenario.commands = 30_000;
        scenario.seed = rng.random();
        let mean = rng.random_range(1.0..30.0);
        scenario.bursts = Bursts { mean, row_mean: rng.random_range(1.0..=mean) };
        let cost = |rng: &mut Xoshiro256PlusPlus| [0, 1, 50, 5_000][rng.random_range(0..4)];
        scenario.costs = Costs {
            steal_nanos: cost(&mut rng),
            publish_nanos: cost(&mut rng),
            refill_nanos: cost(&mut rng),
            ..Costs::default()
        };
        let placement = PlacementPolicy::ALL[rng.random_range(0..4)];
        let mut arm = Arm::new("arm", placement, BalanceMode::ALL[rng.random_range(0..4)]);
        arm.batch = rng.random_range(1..20);
        arm.publish = rng.random_range(1..300);
        arm.warm_up = rng.random_range(0..3);
        let tuning = &mut arm.tuning;
        tuning.period_nanos = rng.random_range(1_000..100_000);
        // Moves that do no good, and many of them.
        (tuning.slack_min, tuning.slack_max, tuning.settle_nanos) = (0, rng.random_range(0..300), 0);
        (tuning.moves_per_second, tuning.moves_burst) = (10_000_000, 10_000);
        tuning.freeze_min_nanos = rng.random_range(1..100_000);
        tuning.steal_calm = StealRule {
            waiting_min: rng.random_range(1..20),
            unmoved_nanos: rng.random_range(1..10_000),
            books_max: rng.random_range(1..10),
            commands_min: rng.random_range(1..20),
        };
        tuning.predict = rng.random();
        let outcome = simulate(&scenario, &arm);
        assert!(outcome.executed >= scenario.commands);
        assert_eq!(outcome.executed, ideal(&scenario).executed, "the same flow");
        assert!(outcome.busy >= outcome.executed * 100, "service takes its time");
        (steals, moves) = (steals + outcome.steals, moves + outcome.moves);
    }
    assert!(
        steals > 1_000 && moves > 200,
        "{steals} steals and {moves} moves in all: this run tried nothing"
    );
}

#[test]
fn nobody_beats_the_ideal_in_the_mean() {
    for profile in ["calm", "zipf:1", "hot:30%"] {
        for load in [0.5, 0.9] {
            let mut scenario = Scenario::new(8, 1_000, shape(profile), load);
            scenario.commands = 300_000;
            let best = ideal(&scenario).mean_wait();
            for mode in BalanceMode::ALL {
                let arm = Arm::new("arm", PlacementPolicy::Lpt, mode);
                let got = simulate(&scenario, &arm).mean_wait();
                assert!(got > best * 0.99, "{profile} at {load}, {mode}: {got} for {best}");
            }
        }
    }
}

#[test]
fn stealing_and_moving_do_what_they_are_for() {
    let p99 = |profile: &str, mode| {
        let mut scenario = Scenario::new(8, 1_000, shape(profile), 0.8);
        scenario.commands = 1_000_000;
        simulate(&scenario, &Arm::new("arm", PlacementPolicy::Hash, mode)).p99()
    };
    for profile in ["zipf:1", "hot-swap:1ms"] {
        let (off, full) = (p99(profile, BalanceMode::Off), p99(profile, BalanceMode::Full));
        assert!(full * 10 < off, "{profile}: {full} balanced, {off} static");
    }
    let (off, migrate) = (p99("zipf:1", BalanceMode::Off), p99("zipf:1", BalanceMode::Migrate));
    assert!(migrate * 10 < off, "{migrate} {off}");
}
