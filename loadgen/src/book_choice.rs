//! Which book the next order is for: the profile at work.

use core::time::Duration;

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
    /// The book of the latest eruption.
    erupted: Option<u32>,
}

/// When hot books change places with others.
#[derive(Debug)]
struct Swap {
    /// Nanoseconds; above 0.
    period: u64,
    /// How often they have.
    done: u64,
}

impl Swap {
    fn each(period: Duration) -> Self {
        Self { period: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX).max(1), done: 0 }
    }

    /// Whether a period has ended by now; however many have, it is one change.
    fn is_due(&mut self, now: u64) -> bool {
        let turns = now / self.period;
        let due = turns > self.done;
        self.done = self.done.max(turns);
        due
    }
}

#[derive(Debug)]
enum Rule {
    Uniform,
    /// Ranks by weight, in constant time (Walker's alias method).
    Ranked(WeightedAliasIndex<f64>),
    /// Rank 0 when a draw of 32 bits is below the bound.
    Hot {
        below: u64,
        swap: Option<Swap>,
    },
    Swapping {
        ranks: WeightedAliasIndex<f64>,
        swap: Swap,
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
            Profile::Hot { percent, period } => {
                // A float is fine here: it decides a share of made-up load, and the same for every machine.
                Rule::Hot { below: (percent / 100.0 * 4_294_967_296.0) as u64, swap: period.map(Swap::each) }
            }
            Profile::HotSwap { period } => {
                Rule::Swapping { ranks: zipf(books, 1.0), swap: Swap::each(period) }
            }
            Profile::Burst => Rule::Ranked(zipf(books, 1.0)),
        };
        let erupts = matches!(profile, Profile::Burst);
        Self { rng, by_rank, rule, erupts, eruptions: 0, erupted: None }
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
            Rule::Hot { below, swap } => {
                if books > 1 && swap.as_mut().is_some_and(|swap| swap.is_due(now)) {
                    let other = self.rng.random_range(1..books);
                    self.by_rank.swap(0, other);
                }
                if u64::from(self.rng.next_u32()) < *below || books == 1 {
                    0
                } else {
                    self.rng.random_range(1..books)
                }
            }
            Rule::Swapping { ranks, swap } => {
                if swap.is_due(now) {
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

    /// Whether a book is in the hot set, as of the last choice.
    pub(crate) fn is_hot(&self, book: usize) -> bool {
        let has = |books: &[u32]| books.iter().any(|hot| *hot as usize == book);
        match &self.rule {
            Rule::Uniform => false,
            Rule::Ranked(_) if self.erupts => has(self.erupted.as_slice()),
            Rule::Ranked(_) | Rule::Hot { .. } => has(&self.by_rank[..1]),
            Rule::Swapping { .. } => has(&self.by_rank[..HOT_SET.min(self.by_rank.len() / 2)]),
        }
    }

    /// A cold name, and how it erupts: ranks of the lower half.
    pub(crate) fn erupt(&mut self) -> Eruption {
        let books = self.by_rank.len();
        let book = self.by_rank[self.rng.random_range(books / 2..books)];
        self.erupted = Some(book);
        self.eruptions += 1;
        let (orders, span) = if self.eruptions.is_multiple_of(LONG_ONE_IN) {
            (self.rng.random_range(LONG_ERUPTION.0), LONG_ERUPTION.1)
        } else {
            SHORT_ERUPTION
        };
        Eruption { book: book as usize, orders, span }
    }
}

/// Ranks 1 to `books` by weight 1 / rank^exponent.
fn zipf(books: usize, exponent: f64) -> WeightedAliasIndex<f64> {
    let weights = (1..=books).map(|rank| (rank as f64).powf(-exponent)).collect();
    WeightedAliasIndex::new(weights).expect("weights are positive and finite")
}

#[cfg(test)]
mod tests {
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
        let counts = counts(Profile::Hot { percent: 70.0, period: None }, 100, 100_000);
        assert!((69_000..=71_000).contains(&counts[0]), "{}", counts[0]);
        assert!(counts[1] < 500, "{}", counts[1]);
        assert_eq!(self::counts(Profile::Hot { percent: 70.0, period: None }, 1, 10), [10]);
        assert_eq!(self::counts(Profile::Hot { percent: 100.0, period: None }, 3, 10), [10, 0, 0]);
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
    fn the_hot_book_is_another_one_each_period() {
        let period = Some(Duration::from_millis(100));
        let mut choice = BookChoice::new(Profile::Hot { percent: 80.0, period }, 64, 3);
        let mut hottest = vec![];
        for window in 0..5 {
            let mut counts = [0; 64];
            for i in 0..10_000 {
                let book = choice.choose(window * 100_000_000 + i * 10_000);
                counts[book] += 1;
            }
            let hot = (0..64).max_by_key(|book| counts[*book]).unwrap();
            assert!((7_800..=8_200).contains(&counts[hot]), "{}", counts[hot]);
            assert!((0..64).all(|book| choice.is_hot(book) == (book == hot)));
            assert_ne!(hottest.last(), Some(&hot));
            hottest.push(hot);
        }
        // One book cannot change places.
        let mut alone = BookChoice::new(Profile::Hot { percent: 80.0, period }, 1, 3);
        assert_eq!((alone.choose(0), alone.choose(1_000_000_000), alone.is_hot(0)), (0, 0, true));
    }

    #[test]
    fn the_hot_set_is_what_the_profile_makes_hot() {
        let hot = |profile: Profile| {
            let mut choice = BookChoice::new(profile, 100, 3);
            choice.choose(0);
            let hot: Vec<_> = (0..100).filter(|book| choice.is_hot(*book)).collect();
            (hot.len(), choice)
        };
        assert_eq!(hot(Profile::Calm).0, 0);
        assert_eq!(hot(Profile::Zipf { exponent: 1.0 }).0, 1);
        assert_eq!(hot(Profile::HotSwap { period: Duration::from_secs(1) }).0, HOT_SET);
        let (before, mut burst) = hot(Profile::Burst);
        assert_eq!(before, 0);
        let erupted = burst.erupt().book;
        assert!((0..100).all(|book| burst.is_hot(book) == (book == erupted)));
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
        for profile in [Profile::Calm, Profile::Burst, Profile::Hot { percent: 20.0, period: None }] {
            let run = |seed| {
                let mut choice = BookChoice::new(profile, 300, seed);
                (0..1_000).map(|i| choice.choose(i)).collect::<Vec<_>>()
            };
            assert_eq!(run(5), run(5));
            assert_ne!(run(5), run(6));
        }
    }
}
