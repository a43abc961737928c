//! One page.
use crate::Outcome;
pub(crate) fn page(outcome: &Outcome) -> String {
    outcome.table()
}
