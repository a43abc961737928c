//! Moves that do no good stop.
//!
//! Each move made for load is looked at again some periods later. If the unit has lost more than half of what it weighed,
//! or has moved once more, the move was in vain: the load was elsewhere by then. When most of the last moves were in
//! vain, moving is a game that somebody (or the flow itself) plays with us, and it stops: for a while at first, each
//! further time for twice as long. Stealing goes on, which no flow can turn against us. A long time without another freeze
//! makes the next one short again.

use std::collections::VecDeque;

use super::{Rates, Tuning, Unit};

/// Moves looked at for a verdict on moving.
const VERDICTS: usize = 32;

/// Calm for so many times the next freeze makes it a short one again.
const CALM_FREEZES: u64 = 8;
/// But not less than this: verdicts on moves take their time.
const CALM_MIN_NANOS: u64 = 1_000_000_000;
/// Moves remembered until their verdict, at most: a sample is enough for one.
const MADE_MAX: usize = 1 << 12;

/// A move to be looked at.
#[derive(Clone, Copy, Debug)]
struct Made {
    unit: Unit,
    weight: u64,
    period: u64,
}

/// Watches moves, and stops them.
#[derive(Debug)]
pub(super) struct Freeze {
    made: VecDeque<Made>,
    /// Whether each of the last moves was in vain, newest in the lowest bit.
    verdicts: u32,
    judged: usize,
    verdict_periods: u32,
    until: Option<u64>,
    thawed_nanos: u64,
    next_nanos: u64,
    min_nanos: u64,
    max_nanos: u64,
}

impl Freeze {
    pub(super) fn new(tuning: &Tuning) -> Self {
        let settle = tuning.periods(tuning.settle_nanos);
        let periods = tuning.periods(tuning.verdict_nanos).max(settle.saturating_add(1));
        Self {
            // What a budget lets through until the verdict, so that it never grows.
            made: VecDeque::with_capacity(
                (tuning.moves_per_period as usize).saturating_mul(periods as usize + 1).min(MADE_MAX),
            ),
            verdicts: 0,
            judged: 0,
            verdict_periods: periods,
            until: None,
            thawed_nanos: 0,
            next_nanos: tuning.freeze_min_nanos,
            min_nanos: tuning.freeze_min_nanos,
            max_nanos: tuning.freeze_max_nanos.max(tuning.freeze_min_nanos),
        }
    }

    /// A move was decided.
    pub(super) fn note(&mut self, unit: Unit, rates: &Rates) {
        if self.made.len() == MADE_MAX {
            return;
        }
        self.made.push_back(Made { unit, weight: rates.weight(unit), period: rates.period() });
    }

    /// Looks at moves that are old enough, and says until when moves are frozen.
    pub(super) fn observe(&mut self, now_nanos: u64, rates: &Rates) -> Option<u64> {
        while let Some(made) = self.made.front().copied() {
            let age = rates.period() - made.period;
            if age < u64::from(self.verdict_periods) {
                break;
            }
            self.made.pop_front();
            // Moved again: its last move is younger than this one.
            let again = rates.moved_within(made.unit, age);
            let in_vain = again || rates.weight(made.unit) < made.weight / 2;
            self.verdicts = self.verdicts << 1 | u32::from(in_vain);
            self.judged = (self.judged + 1).min(VERDICTS);
        }
        if let Some(until) = self.until {
            if now_nanos < until {
                return self.until;
            }
            self.until = None;
            self.thawed_nanos = now_nanos;
            self.verdicts = 0;
            self.judged = 0;
        }
        if self.judged == VERDICTS && self.verdicts.count_ones() as usize * 2 > VERDICTS {
            let calm = now_nanos.saturating_sub(self.thawed_nanos);
            if calm > self.next_nanos.saturating_mul(CALM_FREEZES).max(CALM_MIN_NANOS) {
                self.next_nanos = self.min_nanos;
            }
            self.until = Some(now_nanos.saturating_add(self.next_nanos));
            self.next_nanos = self.next_nanos.saturating_mul(2).min(self.max_nanos);
            self.made.clear();
        }
        self.until
    }
}
