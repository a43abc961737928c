//! How much each unit and each shard is asked for: arrivals, smoothed.
//!
//! A unit's rate is an exponentially weighted sum: each period `r = r f + a`, with `f = 2^(-1/h)` for a half-life of
//! `h` periods. Nothing happens to a unit without arrivals: what it lost meanwhile, `f^k` for `k` periods, is taken off
//! when it is next touched, so a period costs its touched books and its shards, not all books. The sum of a shard loses
//! the same share, so that sums and units agree but for rounding.
//!
//! A book that turns hot would need several half-lives to be seen. When a period's arrivals are farther from what was
//! expected than bursts explain, the past is forgotten and the period itself is taken for the rate. For arrivals in
//! bursts of geometric size with mean b, a count of mean m has the variance m (2b - 1) (compound Poisson).
//!
//! Integers throughout: rates in 2^-16 commands, factors in 2^-32.

use domain::{InstrumentId, ShardId};

use super::{BookLoad, Placement, Tuning, Unit};

/// One command, as a rate.
const COMMAND: u64 = 1 << 16;
/// The mean burst that is taken for normal.
const BURST_MEAN: u64 = 16;
/// How many standard deviations are more than bursts explain.
const SURPRISE: u64 = 6;
/// The half-life of burst scores, in half-lives of rates.
const SCORE_LIVES: u32 = 128;

/// What is known of a unit.
#[derive(Clone, Copy, Debug, Default)]
struct UnitRate {
    /// Decayed to `period`.
    rate: u64,
    /// What bursts have brought, decayed more slowly.
    score: u64,
    /// Arrivals within `period`.
    arrived: u32,
    /// When it was last touched; 0 for never.
    period: u64,
    /// The period of its last move; 0 for never.
    moved: u64,
    /// The shard in whose sum it is.
    home: u16,
}

/// Rates of all units and shards.
#[derive(Debug, Default)]
pub(super) struct Rates {
    units: Vec<UnitRate>,
    /// Of each shard, the sum of its units' weights.
    shards: Vec<u64>,
    touched: Vec<Unit>,
    /// Units that were to move in the last period: whether they did is seen in the next.
    moving: Vec<Unit>,
    /// The present period, from 1.
    period: u64,
    decay: Decay,
    score_decay: Decay,
    predict: bool,
}

impl Rates {
    pub(super) fn new(tuning: &Tuning) -> Self {
        let half_life = tuning.periods(tuning.half_life_nanos);
        Self {
            decay: Decay::half_life(half_life),
            score_decay: Decay::half_life(half_life.saturating_mul(SCORE_LIVES)),
            predict: tuning.predict,
            ..Self::default()
        }
    }

    /// Takes in what arrived in the last `periods` periods.
    pub(super) fn observe(&mut self, books: &[BookLoad], placement: &Placement, periods: u64) {
        // Allocates at the first period only: neither books nor shards become more.
        self.units.resize(placement.instruments() as usize, UnitRate::default());
        self.shards.resize(usize::from(placement.shards()), 0);
        self.period += periods;
        for sum in &mut self.shards {
            *sum = self.decay.of(*sum, periods);
        }
        while let Some(unit) = self.moving.pop() {
            self.follow(unit, placement.shard_of(InstrumentId(unit.0)));
        }
        self.touched.clear();
        for book in books.iter().filter(|book| book.arrivals > 0) {
            let unit = placement.unit_of(book.book);
            self.follow(unit, placement.shard_of(book.book));
            let known = &mut self.units[unit.0 as usize];
            if known.period != self.period {
                self.touched.push(unit);
                let gone = self.period - known.period;
                known.rate = self.decay.of(known.rate, gone);
                known.score = self.score_decay.of(known.score, gone);
                known.period = self.period;
                known.arrived = 0;
            }
            known.arrived = known.arrived.saturating_add(book.arrivals);
        }
        let even = self.total() / self.shards.len() as u64;
        for unit in &self.touched {
            let known = &mut self.units[unit.0 as usize];
            let before = if self.predict { known.rate + known.score } else { known.rate };
            let arrived = u64::from(known.arrived) * COMMAND;
            let expected = self.decay.lost(known.rate, periods);
            let off = arrived.abs_diff(expected);
            // Compared in whole commands, squared.
            let (off_commands, expected_commands) = (off / COMMAND, expected / COMMAND + 1);
            let noise = SURPRISE * SURPRISE * (2 * BURST_MEAN - 1) * expected_commands;
            // What is little for a shard may be smoothed.
            let matters = off > self.decay.lost(even, periods) / 8;
            if matters && off_commands.saturating_mul(off_commands) > noise {
                known.rate = self.decay.steady(arrived, periods);
                known.score = known.score.saturating_add(arrived.saturating_sub(expected));
            } else {
                known.rate += arrived;
            }
            let after = if self.predict { known.rate + known.score } else { known.rate };
            let sum = &mut self.shards[usize::from(known.home)];
            *sum = (*sum + after).saturating_sub(before);
        }
    }

    /// Counts a unit's weight where the unit now lives.
    pub(super) fn follow(&mut self, unit: Unit, home: ShardId) {
        let known = self.units[unit.0 as usize];
        if known.home != home.0 {
            let weight = self.weight(unit);
            let old = &mut self.shards[usize::from(known.home)];
            *old = old.saturating_sub(weight);
            self.shards[usize::from(home.0)] += weight;
            self.units[unit.0 as usize].home = home.0;
        }
    }

    /// Units with arrivals in the last period, in the order of their first.
    pub(super) fn touched(&self) -> &[Unit] {
        &self.touched
    }

    /// What a unit weighs now: its rate, and its burst score where bursts are foreseen.
    pub(super) fn weight(&self, unit: Unit) -> u64 {
        let known = &self.units[unit.0 as usize];
        let gone = self.period - known.period;
        let score = if self.predict { self.score_decay.of(known.score, gone) } else { 0 };
        self.decay.of(known.rate, gone) + score
    }

    /// What shards weigh.
    pub(super) fn shards(&self) -> &[u64] {
        &self.shards
    }

    /// What all shards weigh together.
    pub(super) fn total(&self) -> u64 {
        self.shards.iter().sum()
    }

    /// The weight of so many commands each period, for ever.
    pub(super) fn steady(&self, commands: u32) -> u64 {
        self.decay.steady(u64::from(commands) * COMMAND, 1)
    }

    /// The present period.
    pub(super) fn period(&self) -> u64 {
        self.period
    }

    /// Notes that a unit moves now.
    pub(super) fn moves(&mut self, unit: Unit) {
        self.units[unit.0 as usize].moved = self.period;
        self.moving.push(unit);
    }

    /// Whether a unit has moved within so many periods.
    pub(super) fn moved_within(&self, unit: Unit, periods: u64) -> bool {
        let moved = self.units[unit.0 as usize].moved;
        moved != 0 && self.period - moved < periods
    }
}

/// Exponential decay by whole periods.
#[derive(Clone, Copy, Debug, Default)]
struct Decay {
    /// What is left after 1, 2, 4, .. periods, in 2^-32.
    powers: [u64; 16],
}

impl Decay {
    /// Half is left after so many periods.
    ///
    /// `2^(-1/h)` is found by halving the interval: the largest factor whose h-th power is at most a half.
    fn half_life(periods: u32) -> Self {
        let h = periods.clamp(1, 1 << 14);
        let (mut low, mut high) = (0_u64, 1_u64 << 32);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if power(middle, h) <= 1 << 31 { low = middle } else { high = middle }
        }
        let mut powers = [low; 16];
        for i in 1..powers.len() {
            powers[i] = times(powers[i - 1], powers[i - 1]);
        }
        Self { powers }
    }

    /// What is left of a value after so many periods.
    fn of(&self, mut value: u64, mut periods: u64) -> u64 {
        for power in &self.powers {
            if periods == 0 || value == 0 {
                return value;
            }
            if periods & 1 == 1 {
                value = times(value, *power);
            }
            periods >>= 1;
        }
        if periods == 0 { value } else { 0 }
    }

    /// What is lost of a steady rate within so many periods, which is what is expected to arrive in them. The rate has
    /// been decayed by these periods already.
    fn lost(&self, left: u64, periods: u64) -> u64 {
        let kept = self.of(1 << 32, periods).max(1);
        u64::try_from((u128::from(left) * u128::from((1_u64 << 32) - kept)) / u128::from(kept))
            .unwrap_or(u64::MAX)
    }

    /// The rate that `arrived` commands in each stretch of so many periods come to: `a / (1 - f^k)`.
    fn steady(&self, arrived: u64, periods: u64) -> u64 {
        let lost = ((1_u64 << 32) - self.of(1 << 32, periods)).max(1);
        u64::try_from((u128::from(arrived) << 32) / u128::from(lost)).unwrap_or(u64::MAX)
    }
}

/// A value times a factor in 2^-32.
fn times(value: u64, factor: u64) -> u64 {
    // Below 2^64, because the factor is at most 1.
    ((u128::from(value) * u128::from(factor)) >> 32) as u64
}

fn power(factor: u64, exponent: u32) -> u64 {
    (0..exponent).fold(1 << 32, |product, _| times(product, factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::PlacementPolicy;

    fn loads(loads: &[(u32, u32)]) -> Vec<BookLoad> {
        loads.iter().map(|&(book, arrivals)| BookLoad { book: InstrumentId(book), arrivals }).collect()
    }

    #[test]
    fn half_is_left_after_a_half_life() {
        for h in [1, 2, 8, 100, 1_000] {
            let decay = Decay::half_life(h);
            let left = decay.of(1 << 40, h.into());
            assert!(left.abs_diff(1 << 39) < 1 << 24, "{h}: {left}");
            assert_eq!(decay.of(1 << 40, u64::MAX), 0, "{h}");
        }
    }

    #[test]
    fn a_steady_rate_is_what_steady_arrivals_come_to() {
        let tuning = Tuning::default();
        let placement = Placement::new(PlacementPolicy::RoundRobin, 4, 2);
        let mut rates = Rates::new(&tuning);
        for _ in 0..200 {
            rates.observe(&loads(&[(0, 1_000), (1, 500)]), &placement, 1);
        }
        let steady = rates.steady(1_000);
        assert!(rates.weight(Unit(0)).abs_diff(steady) < steady / 1_000);
        assert_eq!(rates.shards()[0].abs_diff(rates.weight(Unit(0))) * 1_000 / steady, 0);
        assert!(rates.shards()[1].abs_diff(steady / 2) < steady / 1_000);
    }

    #[test]
    fn sums_follow_units_that_nobody_touches() {
        let mut placement = Placement::new(PlacementPolicy::RoundRobin, 4, 2);
        let mut rates = Rates::new(&Tuning::default());
        rates.observe(&loads(&[(0, 1_000), (2, 3_000), (1, 10)]), &placement, 1);
        for _ in 0..5 {
            rates.observe(&loads(&[(1, 10)]), &placement, 1);
        }
        let together = rates.weight(Unit(0)) + rates.weight(Unit(2));
        assert!(rates.shards()[0].abs_diff(together) <= 16, "{} {together}", rates.shards()[0]);
        placement.set(InstrumentId(2), ShardId(1));
        rates.follow(Unit(2), ShardId(1));
        assert!(rates.shards()[0].abs_diff(rates.weight(Unit(0))) <= 16);
    }

    #[test]
    fn a_jump_is_believed_at_once_and_a_burst_is_not() {
        let placement = Placement::new(PlacementPolicy::RoundRobin, 2, 2);
        let mut rates = Rates::new(&Tuning { half_life_nanos: 8_000_000, ..Tuning::default() });
        for _ in 0..100 {
            rates.observe(&loads(&[(0, 1_000), (1, 1_000)]), &placement, 1);
        }
        rates.observe(&loads(&[(0, 1_100), (1, 5_000)]), &placement, 1);
        let (calm, hot) = (rates.weight(Unit(0)), rates.weight(Unit(1)));
        assert!(calm < rates.steady(1_020), "a tenth more is smoothed");
        assert!(hot.abs_diff(rates.steady(5_000)) < rates.steady(50), "five times as much is a new rate");
        rates.observe(&loads(&[(0, 1_000), (1, 10)]), &placement, 1);
        assert!(rates.weight(Unit(1)) < rates.steady(50), "and what has gone cold is cold at once");
    }

    #[test]
    fn skipped_periods_count() {
        let placement = Placement::new(PlacementPolicy::RoundRobin, 2, 1);
        let mut each = Rates::new(&Tuning::default());
        let mut late = Rates::new(&Tuning::default());
        each.observe(&loads(&[(0, 4_000)]), &placement, 1);
        late.observe(&loads(&[(0, 4_000)]), &placement, 1);
        for _ in 0..8 {
            each.observe(&loads(&[(1, 1)]), &placement, 1);
        }
        late.observe(&loads(&[(1, 8)]), &placement, 8);
        let (each, late) = (each.weight(Unit(0)), late.weight(Unit(0)));
        assert!(each.abs_diff(late) <= 16, "{each} {late}");
    }
}
