//! Which book the next order is for: the profile at work.

use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, weighted::WeightedAliasIndex};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::Profile;

/// How many books a hot-swap exchanges.
const HOT_SET: usize = 10;
/// A short eruption: so many orders within a millisecond, the hottest millisecond of a symbol in a full NASDAQ
/// day.
const SHORT_ERUPTION: (u64, u64) = (300, 1_000_000);
/// A long eruption: so many orders, within a second. The hottest seconds of single symbols in that day held
/// 5,217 to 7,168 updates.
const LONG_ERUPTION: (core::ops::RangeInclusive<u64>, u64) = (2_000..=8_000, 1_000_000_000);
/// One eruption in so many is a long one.
const LONG_ONE_IN: u32 = 8;

/// A cold name's sudden activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Eruption {
    /// The book's index.
    pub(crate) book: usize,
    /// How many orders.
    pub(crate) orders: u64,
    /// Within how many nanoseconds; above 0.
    pub(crate) span: u64,
}

/// Chooses books by a profile, from a seed.
#[derive(Debug)]
pub(crate) struct BookChoice {
    rng: Xoshiro256PlusPlus,
    /// The book that holds each rank; rank 0 is the hottest. A permutation of the books.
    by_rank: Vec<u32>,
    rule: Rule,
    erupts: bool,
    eruptions: u32,
}

#[derive(Debug)]
enum Rule {
    Uniform,
    /// Ranks by weight, in constant time (Walker's alias method).
    Ranked(WeightedAliasIndex<f64>),
    /// Rank 0 when a draw of 32 bits is below the bound.
    Hot {
        below: u64,
    },
    Swapping {
        ranks: WeightedAliasIndex<f64>,
        period: u64,
        swapped: u64,
    },
}

impl BookChoice {
    /// For `books` books; at least one.
    ///
    /// # Panics
    /// When there is none, or more than 2^32.
    pub(crate) fn new(profile: Profile, books: usize, seed: u64) -> Self {
        assert!(books > 0, "a profile needs books to choose from");
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x9E37_79B9_7F4A_7C15);
        let mut by_rank: Vec<u32> = (0..u32::try_from(books).expect("books fit in 32 bits")).collect();
        for i in (1..books).rev() {
            by_rank.swap(i, rng.random_range(0..=i));
        }
        let rule = match profile {
            Profile::Calm => Rule::Uniform,
            Profile::Zipf { exponent } => Rule::Ranked(zipf(books, exponent)),
            Profile::Hot { percent } => {
                // A float is fine here: it decides a share of made-up load, and the same for every machine.
                Rule::Hot { below: (percent / 100.0 * 4_294_967_296.0) as u64 }
            }
            Profile::HotSwap { period } => Rule::Swapping {
                ranks: zipf(books, 1.0),
                period: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX).max(1),
                swapped: 0,
            },
            Profile::Burst => Rule::Ranked(zipf(books, 1.0)),
        };
        Self { rng, by_rank, rule, erupts: matches!(profile, Profile::Burst), eruptions: 0 }
    }

    /// Whether the profile has eruptions.
    pub(crate) fn erupts(&self) -> bool {
        self.erupts
    }

    /// The next book. `now` is nanoseconds since the start and decides which books are hot.
    pub(crate) fn choose(&mut self, now: u64) -> usize {
        let books = self.by_rank.len();
        let rank = match &mut self.rule {
            Rule::Uniform => self.rng.random_range(0..books),
            Rule::Ranked(ranks) => ranks.sample(&mut self.rng),
            Rule::Hot { below } => {
                if u64::from(self.rng.next_u32()) < *below || books == 1 {
                    0
                } else {
                    self.rng.random_range(1..books)
                }
            }
            Rule::Swapping { ranks, period, swapped } => {
                let turns = now / *period;
                if turns > *swapped {
                    *swapped = turns;
                    let hot = HOT_SET.min(books / 2);
                    for rank in 0..hot {
                        let other = self.rng.random_range(hot..books);
                        self.by_rank.swap(rank, other);
                    }
                }
                ranks.sample(&mut self.rng)
            }
        };
        self.by_rank[rank] as usize
    }

    /// A cold name, and how it erupts: ranks of the lower half.
    pub(crate) fn erupt(&mut self) -> Eruption {
        let books = self.by_rank.len();
        let book = self.by_rank[self.rng.random_range(books / 2..books)] as usize;
        self.eruptions += 1;
        let (orders, span) = if self.eruptions.is_multiple_of(LONG_ONE_IN) {
            (self.rng.random_range(LONG_ERUPTION.0), LONG_ERUPTION.1)
        } else {
            SHORT_ERUPTION
        };
        Eruption { book, orders, span }
    }
}

/// Ranks 1 to `books` by weight 1 / rank^exponent.
fn zipf(books: usize, exponent: f64) -> WeightedAliasIndex<f64> {
    let weights = (1..=books).map(|rank| (rank as f64).powf(-exponent)).collect();
    WeightedAliasIndex::new(weights).expect("weights are positive and finite")
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn counts(profile: Profile, books: usize, draws: usize) -> Vec<usize> {
        let mut choice = BookChoice::new(profile, books, 7);
        let mut counts = vec![0; books];
        for _ in 0..draws {
            counts[choice.choose(0)] += 1;
        }
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    }

    #[test]
    fn a_hot_book_gets_its_share() {
        let counts = counts(Profile::Hot { percent: 70.0 }, 100, 100_000);
        assert!((69_000..=71_000).contains(&counts[0]), "{}", counts[0]);
        assert!(counts[1] < 500, "{}", counts[1]);
        assert_eq!(self::counts(Profile::Hot { percent: 70.0 }, 1, 10), [10]);
        assert_eq!(self::counts(Profile::Hot { percent: 100.0 }, 3, 10), [10, 0, 0]);
    }

    #[test]
    fn zipf_ranks_have_their_frequencies() {
        let books = 1_000;
        let draws = 1_000_000;
        let counts = counts(Profile::Zipf { exponent: 1.0 }, books, draws);
        let harmonic: f64 = (1..=books).map(|r| 1.0 / r as f64).sum();
        for rank in [1, 2, 3, 5, 10, 50] {
            let expected = draws as f64 / harmonic / rank as f64;
            let got = counts[rank - 1] as f64;
            assert!((got / expected - 1.0).abs() < 0.1, "rank {rank}: {got} for {expected}");
        }
    }

    #[test]
    fn calm_is_even() {
        let counts = counts(Profile::Calm, 50, 500_000);
        assert!(counts[0] < 10_600 && counts[49] > 9_400, "{counts:?}");
    }

    #[test]
    fn hot_sets_change_with_time_only() {
        let period = Duration::from_millis(10);
        let mut choice = BookChoice::new(Profile::HotSwap { period }, 1_000, 3);
        let hot = |c: &BookChoice| c.by_rank[..HOT_SET].to_vec();
        let before = hot(&choice);
        for now in [0, 5_000_000, 9_999_999] {
            choice.choose(now);
        }
        assert_eq!(hot(&choice), before);
        choice.choose(10_000_000);
        let after = hot(&choice);
        assert!(before.iter().all(|b| !after.contains(b)), "{before:?} {after:?}");
        let mut all = choice.by_rank.clone();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1_000), "ranks stay a permutation");
    }

    #[test]
    fn eruptions_come_from_cold_names() {
        let mut choice = BookChoice::new(Profile::Burst, 1_000, 3);
        let cold = choice.by_rank[500..].to_vec();
        for n in 1..=100_u32 {
            let eruption = choice.erupt();
            assert!(cold.contains(&u32::try_from(eruption.book).unwrap()));
            if n.is_multiple_of(LONG_ONE_IN) {
                assert!((2_000..=8_000).contains(&eruption.orders));
                assert_eq!(eruption.span, 1_000_000_000);
            } else {
                assert_eq!((eruption.orders, eruption.span), (300, 1_000_000));
            }
        }
    }

    #[test]
    fn one_seed_one_choice() {
        for profile in [Profile::Calm, Profile::Burst, Profile::Hot { percent: 20.0 }] {
            let run = |seed| {
                let mut choice = BookChoice::new(profile, 300, seed);
                (0..1_000).map(|i| choice.choose(i)).collect::<Vec<_>>()
            };
            assert_eq!(run(5), run(5));
            assert_ne!(run(5), run(6));
        }
    }
}
