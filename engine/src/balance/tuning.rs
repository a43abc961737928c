//! The numbers that policies run by.

use super::StealRule;

/// The numbers that policies run by. The defaults are what the simulator found good over its table
/// (docs/balance-simulation.md): the optimum is flat, so none of them is worth much by itself but `books_max`, which is
/// 1 because a book that waits in a thief's hands is out of everybody's reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// How often a policy is meant to be asked, in nanoseconds. Above 0.
    pub period_nanos: u64,
    /// When to steal while at most [`load_calm`](Self::load_calm) of the time is busy.
    pub steal_calm: StealRule,
    /// When to steal while at least [`load_busy`](Self::load_busy) of the time is busy. Between the two, thresholds
    /// are in proportion.
    pub steal_busy: StealRule,
    /// Busy share of the time, in thousandths, below which stealing is cheap.
    pub load_calm: u32,
    /// Busy share of the time, in thousandths, above which stealing costs what is scarce. Above `load_calm`.
    pub load_busy: u32,
    /// After how long a book's past arrivals count half, in nanoseconds.
    pub half_life_nanos: u64,
    /// A shard may have so many thousandths more than the mean before units leave it, at most; less when the load
    /// leaves less room.
    pub slack_max: u32,
    /// The same, at least: below it differences are noise.
    pub slack_min: u32,
    /// So many thousandths of the time that is not busy are slack: a shard with more is relieved.
    pub slack_of_idle: u32,
    /// Commands in a period, smoothed, below which a unit is too cold for a move to pay.
    pub arrivals_min: u32,
    /// Changes of home in a second, at most, whatever happens.
    pub moves_per_second: u32,
    /// Changes of home that may come at once after calm: the depth of the budget.
    pub moves_burst: u32,
    /// Changes of home in a period, at most.
    pub moves_per_period: u32,
    /// A unit stays for so long after it moved, in nanoseconds.
    pub settle_nanos: u64,
    /// After so long it is asked whether a move was worth it, in nanoseconds. Above `settle_nanos`.
    pub verdict_nanos: u64,
    /// How long moves freeze at first, in nanoseconds; each further time twice as long.
    pub freeze_min_nanos: u64,
    /// How long moves freeze at most, in nanoseconds.
    pub freeze_max_nanos: u64,
    /// Spread units that have had bursts as well as load: see docs/balance-simulation.md for what it brings.
    pub predict: bool,
}

impl Tuning {
    /// A time in whole periods, at least one.
    pub(super) fn periods(&self, nanos: u64) -> u32 {
        u32::try_from(nanos / self.period_nanos.max(1)).unwrap_or(u32::MAX).max(1)
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            period_nanos: 1_000_000,
            steal_calm: StealRule { waiting_min: 4, unmoved_nanos: 5_000, books_max: 1, commands_min: 4 },
            steal_busy: StealRule { waiting_min: 64, unmoved_nanos: 10_000, books_max: 1, commands_min: 12 },
            load_calm: 700,
            load_busy: 1_000,
            half_life_nanos: 1_600_000,
            slack_max: 300,
            slack_min: 40,
            slack_of_idle: 330,
            arrivals_min: 1,
            moves_per_second: 10_000,
            moves_burst: 1_000,
            moves_per_period: 64,
            settle_nanos: 8_000_000,
            verdict_nanos: 32_000_000,
            freeze_min_nanos: 20_000_000,
            freeze_max_nanos: 10_000_000_000,
            predict: false,
        }
    }
}
