//! Homes change by measured load: for skew that stays.

use crate::balance::{
    Decision, Hints, Metrics, Policy, Tuning,
    budget::Budget,
    evacuate::{Evacuation, send_home},
    freeze::Freeze,
    hints::Bonds,
    rates::Rates,
    rebalance::{Means, Rebalance},
    threshold::Threshold,
};

/// Decides moves, by arrivals.
#[derive(Debug)]
pub struct Migrate {
    tuning: Tuning,
    hints: Hints,
    /// The hints as they bind the units of the placement, known from the first period on.
    bonds: Option<Bonds>,
    rates: Rates,
    budget: Budget,
    freeze: Freeze,
    rebalance: Rebalance,
    evacuation: Evacuation,
    threshold: Threshold,
}

impl Migrate {
    /// With these numbers, and these hints as the placement was made with.
    #[must_use]
    pub fn new(tuning: Tuning, hints: &Hints) -> Self {
        Self {
            tuning,
            hints: hints.clone(),
            bonds: None,
            rates: Rates::new(&tuning),
            budget: Budget::new(&tuning),
            freeze: Freeze::new(&tuning),
            rebalance: Rebalance::default(),
            evacuation: Evacuation::default(),
            threshold: Threshold::new(&tuning),
        }
    }
}

impl Policy for Migrate {
    fn decide(&mut self, metrics: &Metrics<'_>, decision: &mut Decision) {
        self.threshold.observe(metrics);
        let nominal = self.tuning.period_nanos.max(1);
        let periods = (metrics.period_nanos.saturating_add(nominal / 2) / nominal).max(1);
        self.rates.observe(metrics.books, metrics.placement, periods);
        self.budget.pass(metrics.period_nanos);
        let bonds = self.bonds.get_or_insert_with(|| {
            // Hints that the placement would refuse bind nothing: whoever starts a runtime makes the placement first.
            Bonds::new(&self.hints, metrics.placement).unwrap_or_default()
        });
        let until = self.freeze.observe(metrics.now_nanos, &self.rates);
        decision.frozen_until = until;
        // A freeze stops what follows load, not what must leave or return.
        self.evacuation.run(metrics, bonds, &mut self.rates, &mut self.budget, decision);
        send_home(metrics, bonds, &mut self.rates, &mut self.budget, decision);
        let mut means = Means {
            tuning: &self.tuning,
            bonds,
            rates: &mut self.rates,
            budget: &mut self.budget,
            freeze: &mut self.freeze,
            busy: self.threshold.load(),
        };
        self.rebalance.run(metrics, &mut means, until.is_some(), decision);
    }
}
