//! The policies: one for each mode.

mod drill;
mod full;
mod migrate;
mod off;
mod steal;

pub use self::{drill::Drill, full::Full, migrate::Migrate, off::Off, steal::Steal};
use super::{BalanceMode, Hints, Policy, Tuning};

/// The policy of a mode. `hints` are those that the placement was made with; what contradicts itself is refused there,
/// not here.
#[must_use]
pub fn policy(mode: BalanceMode, tuning: Tuning, hints: &Hints) -> Box<dyn Policy> {
    match mode {
        BalanceMode::Off => Box::new(Off),
        BalanceMode::Steal => Box::new(Steal::new(&tuning)),
        BalanceMode::Migrate => Box::new(Migrate::new(tuning, hints)),
        BalanceMode::Full => Box::new(Full::new(tuning, hints)),
        BalanceMode::Drill => Box::new(Drill::default()),
    }
}

#[cfg(test)]
mod tests;
