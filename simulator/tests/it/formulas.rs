//! The event engine against queueing theory.

use engine::balance::{BalanceMode, PlacementPolicy, StealRule};
use simulator::{
    Arm, Bursts, Costs, Scenario, Service, ServiceShape, Shape,
    analytic::{batch_mg1_wait, mg1_wait, mmc_wait},
    ideal, simulate,
};

/// What nothing costs but service.
fn free(service_nanos: u64) -> Costs {
    Costs {
        service_nanos,
        scheduling_nanos: 0,
        steal_nanos: 0,
        publish_nanos: 0,
        refill_nanos: 0,
        warm_books: 0,
    }
}

/// Single commands for so many books that hardly two meet.
fn single(cores: u16, load: f64, service: ServiceShape) -> Scenario {
    let books = 100_000;
    Scenario {
        bursts: Bursts::of_one_book(1.0),
        commands: 4_000_000,
        service,
        costs: free(2_350),
        ..Scenario::new(cores, books, Shape::Zipf(0.0), load)
    }
}

/// Stealing whatever waits, at once: a machine without waste.
fn eager() -> Arm {
    let mut arm = Arm::new("eager", PlacementPolicy::Hash, BalanceMode::Steal);
    let rule = StealRule { waiting_min: 1, unmoved_nanos: 1, books_max: 1, commands_min: 1 };
    (arm.tuning.steal_calm, arm.tuning.steal_busy) = (rule, rule);
    arm.batch = 1;
    arm
}

fn within(got: f64, expected: f64, percent: f64, what: &str) {
    let off = (got / expected - 1.0) * 100.0;
    assert!(off.abs() < percent, "{what}: a mean wait of {got:.1} ns for {expected:.1} ns, {off:+.2}%");
}

#[test]
fn the_ideal_waits_as_erlang_says() {
    for (cores, load) in [(2, 0.7), (4, 0.7), (16, 0.8)] {
        let scenario = single(cores, load, ServiceShape::Exponential);
        let expected = mmc_wait(cores.into(), load, 2_350.0);
        within(ideal(&scenario).mean_wait(), expected, 1.0, &format!("{cores} cores at {load}"));
    }
}

#[test]
fn the_machine_waits_as_erlang_says_when_nothing_costs_and_idle_workers_take_all() {
    for (cores, load) in [(2, 0.7), (4, 0.7)] {
        let scenario = single(cores, load, ServiceShape::Exponential);
        let expected = mmc_wait(cores.into(), load, 2_350.0);
        within(simulate(&scenario, &eager()).mean_wait(), expected, 1.0, &format!("{cores} cores at {load}"));
    }
}

/// The mean and the mean square of what the commands of a run take: a Pareto tail is so rare that a run has more or less
/// of it than the distribution says.
fn moments(shape: ServiceShape, scenario: &Scenario) -> (f64, f64) {
    let service = Service::new(shape, scenario.costs.service_nanos, scenario.seed);
    let times = (0..scenario.commands).map(|command| service.nanos(command) as f64);
    let (sum, squares) = times.fold((0.0, 0.0), |(sum, squares), t| (sum + t, squares + t * t));
    (sum / scenario.commands as f64, squares / scenario.commands as f64)
}

/// A build that is not optimised takes so many times fewer commands here, and is content with a mean that is as many times less
/// certain as that makes it: twice.
const LESS: u64 = if cfg!(debug_assertions) { 4 } else { 1 };

#[test]
fn one_core_waits_as_pollaczek_and_khinchine_say() {
    for shape in [ServiceShape::Exponential, ServiceShape::Pareto] {
        let mut scenario = single(1, 0.7, shape);
        scenario.commands = 20_000_000 / LESS;
        let percent = 2.0 * (LESS as f64).sqrt();
        let (mean, square) = moments(shape, &scenario);
        let off = Arm::new("off", PlacementPolicy::Hash, BalanceMode::Off);
        let expected = mg1_wait(0.7 / 2_350.0, mean, square);
        within(simulate(&scenario, &off).mean_wait(), expected, percent, &format!("{shape:?}"));
        scenario.bursts = Bursts::of_one_book(16.0);
        let expected = batch_mg1_wait(0.7 / 2_350.0 / 16.0, 16.0, mean, square);
        within(simulate(&scenario, &off).mean_wait(), expected, percent, &format!("{shape:?} in bursts"));
    }
}
