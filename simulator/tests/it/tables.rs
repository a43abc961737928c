//! The table's machinery.

use std::num::NonZero;

use engine::balance::{BalanceMode, PlacementPolicy};
use simulator::{
    Arm, Scenario, Shape,
    table::{Plan, Spread, machines, summary},
};

fn plan(threads: usize) -> Plan {
    let mut base = Scenario::new(1, 1, Shape::Zipf(0.0), 0.5);
    base.commands = 50_000;
    Plan {
        base,
        arms: vec![
            Arm::new("static", PlacementPolicy::Hash, BalanceMode::Off),
            Arm::new("full", PlacementPolicy::Hash, BalanceMode::Full),
        ],
        carried: true,
        machines: machines(true),
        threads: NonZero::new(threads).expect("threads"),
    }
}

#[test]
fn there_are_72_machines_and_a_quick_table_has_every_kind() {
    assert_eq!(machines(false).len(), 72);
    let quick = machines(true);
    assert!((10..=14).contains(&quick.len()));
    for cores in simulator::table::CORES {
        assert!(quick.iter().any(|machine| machine.cores == cores));
    }
    for exponent in simulator::table::EXPONENTS {
        assert!(quick.iter().any(|machine| (machine.exponent - exponent).abs() < 1e-9));
    }
}

#[test]
fn threads_change_nothing_and_balancing_shows() {
    let (one, two) = (plan(1).run(&|_, _| ()), plan(2).run(&|_, _| ()));
    assert_eq!(format!("{one:?}"), format!("{two:?}"));
    let (still, full) = (summary(&one, 0), summary(&one, 1));
    assert!(full.p99[1].max < still.p99[1].max);
    assert!(full.carried.expect("asked for").min > still.carried.expect("asked for").min);
}

#[test]
fn the_median_of_an_even_number_lies_between() {
    assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]), Spread { min: 1.0, median: 2.5, max: 4.0 });
}
