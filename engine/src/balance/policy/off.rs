//! No balancing: the placement at start stays.

use crate::balance::{Decision, Metrics, Policy};

/// Decides nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Off;

impl Policy for Off {
    fn decide(&mut self, _metrics: &Metrics<'_>, _decision: &mut Decision) {}
}
