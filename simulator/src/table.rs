//! The table: 72 machines, each at three loads and at the most it carries.

use std::{
    num::NonZero,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{Arm, Outcome, Scenario, Shape, ideal, simulate};

/// Loads of the table, as parts of what the ideal can carry at most.
pub const LOADS: [f64; 3] = [0.5, 0.8, 0.95];
/// Cores of the table.
pub const CORES: [u16; 6] = [2, 4, 8, 16, 32, 64];
/// Books of the table.
pub const BOOKS: [u32; 3] = [100, 1_000, 10_000];
/// Zipf exponents of the table.
pub const EXPONENTS: [f64; 4] = [0.0, 0.8, 1.0, 1.2];
/// The p99 at which the load that is carried is measured, in nanoseconds.
pub const CARRIED_P99: u64 = 50_000;

/// One machine of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Cores.
    pub cores: u16,
    /// Books.
    pub books: u32,
    /// Zipf's s.
    pub exponent: f64,
}

/// The machines of the table.
#[must_use]
pub fn machines(quick: bool) -> Vec<Machine> {
    let mut machines = Vec::new();
    for cores in CORES {
        for books in BOOKS {
            for exponent in EXPONENTS {
                machines.push(Machine { cores, books, exponent });
            }
        }
    }
    let mut index = 0;
    // One in six, of every kind.
    machines.retain(|_| {
        index += 1;
        !quick || index % 7 == 1
    });
    machines
}

/// What a machine did with one policy, and what the ideal did.
#[derive(Clone, Debug)]
pub struct Row {
    /// The machine.
    pub machine: Machine,
    /// The ideal's p99 at each load, in nanoseconds.
    pub ideal_p99: [u64; LOADS.len()],
    /// The p99 of each arm at each load, in nanoseconds.
    pub p99: Vec<[u64; LOADS.len()]>,
    /// The load that the ideal carries, as a part of what it can carry at most, if asked for.
    pub ideal_carried: Option<f64>,
    /// The load that each arm carries, if asked for.
    pub carried: Vec<f64>,
}

/// How a table is made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What all scenarios have in common: seed, costs, bursts, commands.
    pub base: Scenario,
    /// The policies.
    pub arms: Vec<Arm>,
    /// Whether to look for the load carried as well, which takes three times as long.
    pub carried: bool,
    /// The machines.
    pub machines: Vec<Machine>,
    /// Threads to work with. The result does not depend on it.
    pub threads: NonZero<usize>,
}

impl Plan {
    /// Works the plan off. `progress` is told of each machine that is done.
    #[must_use]
    pub fn run(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Vec<Row> {
        let next = AtomicUsize::new(0);
        let done = AtomicUsize::new(0);
        let rows = Mutex::new(vec![None; self.machines.len()]);
        thread::scope(|scope| {
            for _ in 0..self.threads.get() {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(machine) = self.machines.get(index) else { return };
                        let row = self.row(*machine);
                        rows.lock().expect("no worker panics")[index] = Some(row);
                        progress(done.fetch_add(1, Ordering::Relaxed) + 1, self.machines.len());
                    }
                });
            }
        });
        rows.into_inner().expect("no worker panics").into_iter().flatten().collect()
    }

    fn scenario(&self, machine: Machine, load: f64) -> Scenario {
        Scenario {
            cores: machine.cores,
            books: machine.books,
            shape: Shape::Zipf(machine.exponent),
            load,
            ..self.base.clone()
        }
    }

    fn row(&self, machine: Machine) -> Row {
        let at = |load| self.scenario(machine, load);
        let ideal_p99 = LOADS.map(|load| ideal(&at(load)).p99());
        let p99 = self.arms.iter().map(|arm| LOADS.map(|load| simulate(&at(load), arm).p99())).collect();
        let (mut ideal_carried, mut carried) = (None, Vec::new());
        if self.carried {
            ideal_carried = Some(carries(|load| ideal(&at(load))));
            carried = self.arms.iter().map(|arm| carries(|load| simulate(&at(load), arm))).collect();
        }
        Row { machine, ideal_p99, p99, ideal_carried, carried }
    }
}

/// The greatest load with a p99 of at most [`CARRIED_P99`], by halving the interval, to 1/256.
fn carries(run: impl Fn(f64) -> Outcome) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while high - low > 1.0 / 256.0 {
        let middle = f64::midpoint(low, high);
        if run(middle).p99() <= CARRIED_P99 { low = middle } else { high = middle }
    }
    low
}

/// The median and the greatest, or least, of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle; of an even number the mean of the two in the middle.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of some numbers.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (count, last) = (values.len(), values.len() - 1);
        let median = f64::midpoint(values[last / 2], values[count / 2]);
        Self { min: values[0], median, max: values[last] }
    }
}

/// What a table says of one policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// p99 over the ideal's, at each load.
    pub p99: [Spread; LOADS.len()],
    /// Load carried over the ideal's.
    pub carried: Option<Spread>,
}

/// Sums up the column of an arm.
#[must_use]
pub fn summary(rows: &[Row], arm: usize) -> Summary {
    let p99 = std::array::from_fn(|load| {
        Spread::of(rows.iter().map(|row| row.p99[arm][load] as f64 / row.ideal_p99[load] as f64).collect())
    });
    let carried: Option<Vec<f64>> =
        rows.iter().map(|row| row.ideal_carried.map(|ideal| row.carried[arm] / ideal)).collect();
    Summary { p99, carried: carried.map(Spread::of) }
}
