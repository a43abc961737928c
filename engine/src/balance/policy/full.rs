//! Both: idle workers steal for bursts, and homes change for load that stays.

use super::{Migrate, Steal};
use crate::balance::{Decision, Hints, Metrics, Policy, Tuning};

/// Decides moves by arrivals, and when to steal by the measured load.
#[derive(Debug)]
pub struct Full {
    migrate: Migrate,
    steal: Steal,
}

impl Full {
    /// With these numbers, and these hints as the placement was made with.
    #[must_use]
    pub fn new(tuning: Tuning, hints: &Hints) -> Self {
        Self { migrate: Migrate::new(tuning, hints), steal: Steal::new(&tuning) }
    }
}

impl Policy for Full {
    fn decide(&mut self, metrics: &Metrics<'_>, decision: &mut Decision) {
        self.migrate.decide(metrics, decision);
        self.steal.decide(metrics, decision);
    }
}
