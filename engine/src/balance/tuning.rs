//! The numbers that policies run by.

use super::StealRule;

/// The numbers that policies run by. The defaults are what the simulator found best over its table
/// (docs/balance-simulation.md).
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
    /// After how many periods a book's past arrivals count half.
    pub half_life_periods: u32,
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
    /// A unit stays for so many periods after it moved.
    pub settle_periods: u32,
    /// After so many periods it is asked whether a move was worth it.
    pub verdict_periods: u32,
    /// How long moves freeze at first, in nanoseconds; each further time twice as long.
    pub freeze_min_nanos: u64,
    /// How long moves freeze at most, in nanoseconds.
    pub freeze_max_nanos: u64,
    /// Spread units that have had bursts as well as load: see docs/balance-simulation.md for what it brings.
    pub predict: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            period_nanos: 1_000_000,
            steal_calm: StealRule { waiting_min: 4, unmoved_nanos: 1_000, books_max: 4 },
            steal_busy: StealRule { waiting_min: 24, unmoved_nanos: 4_000, books_max: 8 },
            load_calm: 500,
            load_busy: 800,
            half_life_periods: 8,
            slack_max: 300,
            slack_min: 20,
            slack_of_idle: 330,
            arrivals_min: 1,
            moves_per_second: 10_000,
            moves_burst: 1_000,
            moves_per_period: 64,
            settle_periods: 8,
            verdict_periods: 16,
            freeze_min_nanos: 20_000_000,
            freeze_max_nanos: 10_000_000_000,
            predict: false,
        }
    }
}
