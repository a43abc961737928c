//! Idle workers take backlog and give books back: for bursts. No home ever changes.

use crate::balance::{Decision, Metrics, Policy, Tuning, threshold::Threshold};

/// Says when to steal, by the measured load.
#[derive(Debug)]
pub struct Steal {
    threshold: Threshold,
}

impl Steal {
    /// With these numbers.
    #[must_use]
    pub fn new(tuning: &Tuning) -> Self {
        Self { threshold: Threshold::new(tuning) }
    }
}

impl Policy for Steal {
    fn decide(&mut self, metrics: &Metrics<'_>, decision: &mut Decision) {
        self.threshold.observe(metrics);
        decision.steal = Some(self.threshold.rule());
    }
}
