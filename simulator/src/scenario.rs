//! What is simulated.

use engine::balance::{BalanceMode, PlacementPolicy, Tuning};

use crate::{Bursts, Costs, Flow, ServiceShape, Shape};

/// The load that a machine is put under.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Cores that run books.
    pub cores: u16,
    /// Books.
    pub books: u32,
    /// How commands are spread over books and time.
    pub shape: Shape,
    /// The mean load, as a part of what the ideal can carry at most: `min(cores, 1 / p1) / E[S]`, p1 being the hottest
    /// book's share of a Zipf or hot flow; `cores / E[S]` where what is hot changes.
    pub load: f64,
    /// How commands come in bursts.
    pub bursts: Bursts,
    /// Commands that arrive.
    pub commands: u64,
    /// The distribution of service times.
    pub service: ServiceShape,
    /// What all else costs.
    pub costs: Costs,
    /// Everything random.
    pub seed: u64,
}

impl Scenario {
    /// 8 cores, 1,000 books, Zipf 1, at 80%.
    #[must_use]
    pub fn new(cores: u16, books: u32, shape: Shape, load: f64) -> Self {
        Self {
            cores,
            books: shape.books().unwrap_or(books),
            shape,
            load,
            bursts: Bursts::of_one_book(16.0),
            commands: 2_000_000,
            service: ServiceShape::default(),
            costs: Costs::default(),
            seed: 1,
        }
    }

    /// How many cores' worth of work there can be at most.
    #[must_use]
    pub fn width(&self) -> f64 {
        let cores = f64::from(self.cores);
        match &self.shape {
            // Which book is hot changes, so no single one limits the whole run.
            Shape::Equities(_) => cores,
            shape => cores.min(shape.hottest_share(self.books).recip()),
        }
    }

    /// The mean rate of arrivals, in commands for each nanosecond.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.load * self.width() / self.costs.service_nanos as f64
    }
}

/// How a machine answers it.
#[derive(Clone, Copy, Debug)]
pub struct Arm {
    /// The name in tables.
    pub name: &'static str,
    /// Where books live at first.
    pub placement: PlacementPolicy,
    /// Whether the placement knows the rates of books, over the whole run.
    pub knows_rates: bool,
    /// What may happen to where books run.
    pub balance: BalanceMode,
    /// The numbers of the policy.
    pub tuning: Tuning,
    /// Commands that a worker claims from its own ring at a time.
    pub batch: u32,
    /// Commands that a thief takes out of a ring at a time.
    pub publish: u32,
    /// Periods for which the policy watches the flow, and decides, before the clock starts.
    pub warm_up: u32,
}

impl Arm {
    /// A policy by its name, with numbers that are tried by default.
    #[must_use]
    pub fn new(name: &'static str, placement: PlacementPolicy, balance: BalanceMode) -> Self {
        Self {
            name,
            placement,
            knows_rates: matches!(placement, PlacementPolicy::Lpt | PlacementPolicy::Weighted),
            balance,
            tuning: Tuning::default(),
            batch: 16,
            publish: 256,
            warm_up: 50,
        }
    }
}

impl Scenario {
    /// The flow of this scenario.
    pub(crate) fn flow(&self) -> Flow {
        self.flow_of(self.seed)
    }

    /// Another flow with the same hot books: what was before the clock started.
    pub(crate) fn flow_before(&self) -> Flow {
        self.flow_of(!self.seed)
    }

    fn flow_of(&self, seed: u64) -> Flow {
        Flow::new(&self.shape, self.books, self.rate(), self.bursts, self.seed, seed)
    }

    /// The first command that is measured: those before fill the machine.
    pub(crate) fn measured_from(&self) -> u64 {
        self.commands / 20
    }
}
