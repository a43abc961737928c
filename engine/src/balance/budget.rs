//! How many homes may change: a token bucket, so that a second never sees more moves than the rate and the depth
//! together, whoever provokes them.

use super::Tuning;

/// Moves that may be made.
#[derive(Debug)]
pub(super) struct Budget {
    /// In nanomoves: so that a rate in moves a second fills it by whole numbers each nanosecond.
    filled: u64,
    depth: u64,
    per_second: u64,
    per_period: u32,
    /// Left in this period.
    left: u32,
}

/// One move.
const MOVE: u64 = 1_000_000_000;

impl Budget {
    pub(super) fn new(tuning: &Tuning) -> Self {
        let depth = u64::from(tuning.moves_burst) * MOVE;
        let (per_second, per_period) = (u64::from(tuning.moves_per_second), tuning.moves_per_period);
        Self { filled: depth, depth, per_second, per_period, left: per_period }
    }

    /// A period has passed.
    pub(super) fn pass(&mut self, nanos: u64) {
        let gained = self.per_second.saturating_mul(nanos);
        self.filled = self.filled.saturating_add(gained).min(self.depth);
        self.left = self.per_period;
    }

    /// Whether a move may be made.
    pub(super) fn has_room(&self) -> bool {
        self.left > 0 && self.filled >= MOVE
    }

    /// Takes one move, or says that none is left.
    pub(super) fn take(&mut self) -> bool {
        let room = self.has_room();
        if room {
            self.filled -= MOVE;
            self.left -= 1;
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_sees_more_than_rate_and_depth() {
        let tuning =
            Tuning { moves_per_second: 100, moves_burst: 20, moves_per_period: 7, ..Tuning::default() };
        let mut budget = Budget::new(&tuning);
        let mut taken = Vec::new();
        for _ in 0..3_000 {
            budget.pass(1_000_000);
            let mut period = 0;
            while budget.take() {
                period += 1;
            }
            taken.push(period);
        }
        assert!(taken.iter().all(|n| *n <= 7));
        for second in taken.windows(1_000) {
            assert!(second.iter().sum::<u32>() <= 120);
        }
        assert_eq!(taken[1_000..2_000].iter().sum::<u32>(), 100, "and what there is can be had");
    }
}
