//! Studies: one machine seen from several sides, and the tables of the design.

use std::num::NonZero;

use engine::balance::{BalanceMode, PlacementPolicy};

use crate::{
    Arm, Outcome, Scenario, Shape, ideal,
    report::{Cell, Chart, Report, Table},
    simulate,
    table::{LOADS, Plan, Row, Spread, machines, summary},
};

/// The policies that are compared when none is named.
#[must_use]
pub fn standard_arms() -> Vec<Arm> {
    use BalanceMode::{Full, Migrate, Off, Steal};
    vec![
        Arm::new("static hash", PlacementPolicy::Hash, Off),
        Arm::new("two choices", PlacementPolicy::Weighted, Off),
        Arm::new("lpt", PlacementPolicy::Lpt, Off),
        Arm::new("migrate", PlacementPolicy::Hash, Migrate),
        Arm::new("steal", PlacementPolicy::Hash, Steal),
        Arm::new("full", PlacementPolicy::Hash, Full),
    ]
}

/// Facts that every report of a scenario has.
fn facts(scenario: &Scenario, arms: &[Arm]) -> Vec<(&'static str, String)> {
    let bursts = scenario.bursts;
    let arm = arms.first();
    vec![
        ("costs", scenario.costs.to_string()),
        (
            "bursts",
            format!("{} commands in the mean, {} in a row for one book", bursts.mean, bursts.row_mean),
        ),
        ("commands", format!("{} a run, the first twentieth not measured", scenario.commands)),
        ("workers", arm.map_or(String::new(), |a| format!("claim {}, publish {}", a.batch, a.publish))),
        ("seed", scenario.seed.to_string()),
    ]
}

fn ratio(outcome: &Outcome, best: &Outcome) -> Cell {
    Cell::Ratio(outcome.p99() as f64 / best.p99().max(1) as f64)
}

/// One machine under one load: every policy and the ideal, and their p99 over the load.
#[must_use]
pub fn one(scenario: &Scenario, arms: &[Arm], quick: bool) -> Report {
    let best = ideal(scenario);
    let outcomes: Vec<Outcome> = arms.iter().map(|arm| simulate(scenario, arm)).collect();
    let named = || std::iter::once(("ideal", &best)).chain(arms.iter().map(|arm| arm.name).zip(&outcomes));
    let rows = named().map(|(name, outcome)| {
        let times = [0.5, 0.99, 0.999].map(|part| Cell::Nanos(outcome.quantile(part)));
        let stolen = outcome.stolen as f64 / outcome.executed as f64;
        let busy = outcome.busy as f64 / outcome.finish as f64 / f64::from(scenario.cores);
        let late = outcome.finish as f64 / outcome.span as f64;
        let mut cells = times.to_vec();
        cells.push(ratio(outcome, &best));
        cells.extend([busy, late, stolen].map(Cell::Ratio));
        let counts = [outcome.steals, outcome.moves_before, outcome.moves, outcome.refills, outcome.frozen];
        cells.extend(counts.map(Cell::Count));
        (name.to_owned(), cells)
    });
    let columns = [
        "policy",
        "p50",
        "p99",
        "p99.9",
        "p99/ideal",
        "busy",
        "finish/span",
        "stolen",
        "steals",
        "moves before",
        "moves",
        "refills",
        "frozen periods",
    ];
    let latency = Table {
        title: "Latency and what it took".into(),
        remark: "From arrival to the end of execution. Moves before: while the policy watched the flow, before the \
                 clock started."
            .into(),
        columns: columns.map(String::from).to_vec(),
        rows: rows.collect(),
    };
    let loads: &[f64] =
        if quick { &[0.5, 0.8, 0.95] } else { &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95] };
    let mut curves = vec![("ideal".to_owned(), Vec::new())];
    curves.extend(arms.iter().map(|arm| (arm.name.to_owned(), Vec::new())));
    for load in loads {
        let at = Scenario { load: *load, ..scenario.clone() };
        curves[0].1.push((*load, ideal(&at).p99() as f64));
        for (arm, curve) in arms.iter().zip(&mut curves[1..]) {
            curve.1.push((*load, simulate(&at, arm).p99() as f64));
        }
    }
    let by_load = Chart {
        title: "p99 by load".into(),
        remark: "Load as a part of what the ideal carries at most. The scale of time is logarithmic.".into(),
        axis: "load".into(),
        nanos: true,
        curves,
    };
    let by_percentile = Chart {
        title: "Latency by percentile".into(),
        remark: "The scale of time is logarithmic.".into(),
        axis: "nines: 1 is 90%, 2 is 99%, 3 is 99.9%".into(),
        nanos: true,
        curves: named()
            .map(|(name, outcome)| {
                let points = (0..=40).map(|step| f64::from(step) / 10.0);
                let value = |nines: f64| outcome.quantile(1.0 - 10_f64.powf(-nines)).max(1) as f64;
                (name.to_owned(), points.map(|nines| (nines, value(nines))).collect())
            })
            .collect(),
    };
    let mut all = facts(scenario, arms);
    all.insert(
        0,
        ("flow", format!("{} at {} of {:.1} cores' worth", scenario.shape, scenario.load, scenario.width())),
    );
    Report {
        title: format!("{} cores, {} books", scenario.cores, scenario.books),
        facts: all,
        tables: vec![latency],
        charts: vec![by_load, by_percentile],
    }
}

/// What the tables of the design are made from.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Seed, costs, bursts and commands of every run.
    pub base: Scenario,
    /// The policies.
    pub arms: Vec<Arm>,
    /// The day of US equities: read from a file, or made up.
    pub equities: Shape,
    /// One machine in seven, shorter runs, no search for the load carried.
    pub quick: bool,
    /// Threads to work with.
    pub threads: NonZero<usize>,
}

impl Tables {
    /// Makes all tables. `progress` is told of each machine of the first that is done.
    #[must_use]
    pub fn run(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Report {
        let plan = Plan {
            base: self.base.clone(),
            arms: self.arms.clone(),
            carried: !self.quick,
            machines: machines(self.quick),
            threads: self.threads,
        };
        let rows = plan.run(progress);
        Report {
            title: "Balancing, simulated".into(),
            facts: facts(&self.base, &self.arms),
            tables: vec![self.over_machines(&rows), self.swaps(), self.scheduling(), self.day()],
            charts: vec![self.sorted(&rows)],
        }
    }

    fn over_machines(&self, rows: &[Row]) -> Table {
        let mut columns = vec!["policy".to_owned()];
        for load in LOADS {
            columns.extend([format!("{:.0}%", load * 100.0), "max".to_owned()]);
        }
        if !self.quick {
            columns.extend(["carried", "min"].map(String::from));
        }
        let cells = |index: usize| {
            let summary = summary(rows, index);
            let mut cells: Vec<Cell> = summary
                .p99
                .iter()
                .flat_map(|s: &Spread| [Cell::Ratio(s.median), Cell::Ratio(s.max)])
                .collect();
            if let Some(carried) = summary.carried {
                cells.extend([Cell::Ratio(carried.median), Cell::Ratio(carried.min)]);
            }
            cells
        };
        Table {
            title: format!("p99 over the ideal's on {} machines", rows.len()),
            remark: "2 to 64 cores, 100 to 10,000 books, Zipf 0 to 1.2: the median and the greatest at each load; load \
                     carried at a p99 of 50 us over the ideal's, the median and the least."
                .into(),
            columns,
            rows: self.arms.iter().enumerate().map(|(i, arm)| (arm.name.to_owned(), cells(i))).collect(),
        }
    }

    fn swaps(&self) -> Table {
        let times = [100_000_000, 10_000_000, 1_000_000];
        let scenario = |nanos| Scenario {
            // Several swaps must fit in.
            commands: if self.quick { 600_000 } else { 12_000_000 },
            ..self.on(8, 1_000, Shape::Swap { exponent: 1.0, nanos }, 0.8)
        };
        self.beside_the_ideal(
            "Ten hottest books swapped every T",
            "p99 at T = 100, 10 and 1 ms, and over the ideal's; 8 cores, 1,000 books, Zipf 1, 80%.",
            &["100 ms", "10 ms", "1 ms"],
            &times.map(scenario),
        )
    }

    fn scheduling(&self) -> Table {
        let costs = [0, 2, 5, 20, 50, 100];
        let scenario = |scheduling_nanos| {
            let mut scenario = self.on(8, 1_000, Shape::Zipf(0.8), 0.8);
            scenario.costs.scheduling_nanos = scheduling_nanos;
            scenario
        };
        self.beside_the_ideal(
            "What scheduling may cost",
            "p99 when scheduling costs so much for each command, and over the ideal's; 8 cores, 1,000 books, Zipf 0.8, \
             80%.",
            &["0 ns", "2 ns", "5 ns", "20 ns", "50 ns", "100 ns"],
            &costs.map(scenario),
        )
    }

    fn day(&self) -> Table {
        let scenario = |load| self.on(16, 8_172, self.equities.clone(), load);
        self.beside_the_ideal(
            "A day of US equities, played faster",
            &format!("p99 at 20, 50 and 80% of 16 cores, and over the ideal's; {}.", self.equities),
            &["20%", "50%", "80%"],
            &[0.2, 0.5, 0.8].map(scenario),
        )
    }

    fn on(&self, cores: u16, books: u32, shape: Shape, load: f64) -> Scenario {
        let base = self.base.clone();
        let books = shape.books().unwrap_or(books);
        Scenario { cores, books, shape, load, ..base }
    }

    /// Each policy and the ideal on some scenarios.
    fn beside_the_ideal(&self, title: &str, remark: &str, heads: &[&str], scenarios: &[Scenario]) -> Table {
        let best: Vec<Outcome> = scenarios.iter().map(ideal).collect();
        let mut rows = Vec::new();
        for arm in &self.arms {
            let cells = scenarios.iter().zip(&best).flat_map(|(scenario, best)| {
                let outcome = simulate(scenario, arm);
                [Cell::Nanos(outcome.p99()), ratio(&outcome, best)]
            });
            rows.push((arm.name.to_owned(), cells.collect()));
        }
        let ideal = best.iter().flat_map(|best| [Cell::Nanos(best.p99()), Cell::Ratio(1.0)]).collect();
        rows.push(("ideal".to_owned(), ideal));
        let columns = heads.iter().flat_map(|head| [(*head).to_owned(), "/ideal".to_owned()]);
        Table {
            title: title.to_owned(),
            remark: remark.to_owned(),
            columns: std::iter::once("policy".to_owned()).chain(columns).collect(),
            rows,
        }
    }

    /// p99 over the ideal's at 80%, machines sorted by it.
    fn sorted(&self, rows: &[Row]) -> Chart {
        let curve = |arm: usize| {
            let mut ratios: Vec<f64> =
                rows.iter().map(|row| row.p99[arm][1] as f64 / row.ideal_p99[1] as f64).collect();
            ratios.sort_by(f64::total_cmp);
            ratios.into_iter().enumerate().map(|(index, ratio)| (index as f64 + 1.0, ratio)).collect()
        };
        Chart {
            title: "p99 over the ideal's at 80%".into(),
            remark: "Each policy's machines from best to worst. The scale is logarithmic.".into(),
            axis: "machines".into(),
            nanos: false,
            curves: self.arms.iter().enumerate().map(|(i, arm)| (arm.name.to_owned(), curve(i))).collect(),
        }
    }
}
