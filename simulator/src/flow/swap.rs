//! Hot swaps: the ten hottest books change places with ten others, again and again.

use rand::RngExt;
use rand_distr::{Distribution, weighted::WeightedAliasIndex};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::HOT_SET;

/// Ranks by weight, whose books change.
#[derive(Debug)]
pub(super) struct Swap {
    ranks: WeightedAliasIndex<f64>,
    nanos: u64,
    swapped: u64,
}

impl Swap {
    pub(super) fn new(ranks: WeightedAliasIndex<f64>, nanos: u64) -> Self {
        Self { ranks, nanos, swapped: 0 }
    }

    /// The rank of the next burst, after the swaps that are due by then.
    pub(super) fn rank(&mut self, at: u64, by_rank: &mut [u32], rng: &mut Xoshiro256PlusPlus) -> usize {
        while self.swapped < at / self.nanos {
            self.swapped += 1;
            let hot = HOT_SET.min(by_rank.len() / 2);
            for rank in 0..hot {
                let other = rng.random_range(hot..by_rank.len());
                by_rank.swap(rank, other);
            }
        }
        self.ranks.sample(rng)
    }
}
