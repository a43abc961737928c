//! What arrives: bursts of commands, from a seed.

mod equities;
mod rates;
mod swap;

use std::{fmt, str::FromStr, sync::Arc};

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1, weighted::WeightedAliasIndex};
use rand_xoshiro::Xoshiro256PlusPlus;

use self::{equities::Equities, swap::Swap};
pub use self::{
    equities::SECOND_COMMANDS,
    rates::{SymbolRates, read_rates, synthetic_rates},
};

/// Books that change places in a hot swap.
pub const HOT_SET: usize = 10;

/// How commands are spread over books and time.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// The book of rank r has a weight of 1 / r^s.
    Zipf(f64),
    /// One book has so many percent, all others the same.
    Hot(f64),
    /// Zipf, and each `nanos` the ten hottest books change places with ten others.
    Swap {
        /// Zipf's s.
        exponent: f64,
        /// The time between two swaps.
        nanos: u64,
    },
    /// A day of US equities, with time compressed: rates of symbols, and their hot seconds.
    Equities(Arc<Vec<SymbolRates>>),
}

impl Shape {
    /// For how many books, when the shape says so.
    #[must_use]
    pub fn books(&self) -> Option<u32> {
        match self {
            Self::Equities(rates) => Some(rates.len() as u32),
            _ => None,
        }
    }

    /// The weights of ranks, the hottest first; they need not sum to 1.
    fn weights(&self, books: u32) -> Vec<f64> {
        match self {
            Self::Zipf(exponent) | Self::Swap { exponent, .. } => {
                (1..=books).map(|rank| f64::from(rank).powf(-exponent)).collect()
            }
            Self::Hot(percent) => {
                let others = (100.0 - percent) / f64::from(books.max(2) - 1);
                (0..books).map(|rank| if rank == 0 { *percent } else { others }).collect()
            }
            Self::Equities(rates) => rates.iter().map(|symbol| symbol.day as f64).collect(),
        }
    }

    /// The hottest book's share of all commands.
    #[must_use]
    pub fn hottest_share(&self, books: u32) -> f64 {
        let weights = self.weights(books);
        weights.iter().copied().fold(0.0, f64::max) / weights.iter().sum::<f64>()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zipf(exponent) => write!(f, "zipf:{exponent}"),
            Self::Hot(percent) => write!(f, "hot:{percent}%"),
            Self::Swap { exponent, nanos } => write!(f, "zipf:{exponent} swapped each {} us", nanos / 1_000),
            Self::Equities(rates) => write!(f, "us-equities, {} symbols", rates.len()),
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    /// `calm`, `zipf:S`, `hot:K%`, `hot-swap:T` with T in us or ms, or `us-equities` (of synthetic rates).
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("no profile \"{text}\": use calm, zipf:S, hot:K%, hot-swap:T (as 1ms) or us-equities");
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let number =
            |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0).ok_or_else(wrong);
        match (name, value) {
            ("calm", "") => Ok(Self::Zipf(0.0)),
            ("us-equities", "") => Ok(Self::Equities(Arc::new(synthetic_rates()))),
            ("zipf", s) => Ok(Self::Zipf(number(s)?)),
            ("hot", percent) => {
                let percent = number(percent.trim_end_matches('%'))?;
                if percent <= 100.0 { Ok(Self::Hot(percent)) } else { Err(wrong()) }
            }
            ("hot-swap", time) => {
                let (digits, unit) = time.split_at(time.find(|c: char| c.is_alphabetic()).ok_or_else(wrong)?);
                let unit = match unit {
                    "us" => 1e3,
                    "ms" => 1e6,
                    "s" => 1e9,
                    _ => return Err(wrong()),
                };
                let nanos = (number(digits)? * unit) as u64;
                if nanos == 0 { Err(wrong()) } else { Ok(Self::Swap { exponent: 1.0, nanos }) }
            }
            _ => Err(wrong()),
        }
    }
}

/// How commands come in bursts: a burst arrives at one moment, and bursts are a Poisson process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// The mean number of commands in a burst; geometric.
    pub mean: f64,
    /// The mean number in a row for one book, within a burst; geometric. At `mean`, a burst is all for one book.
    pub row_mean: f64,
}

impl Bursts {
    /// Bursts that are each for one book.
    #[must_use]
    pub const fn of_one_book(mean: f64) -> Self {
        Self { mean, row_mean: mean }
    }
}

/// Commands of one book that arrive at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// When, in nanoseconds from the start.
    pub at: u64,
    /// For which book.
    pub book: u32,
    /// How many.
    pub commands: u32,
}

/// A flow of bursts: Poisson arrivals, geometric sizes.
#[derive(Debug)]
pub struct Flow {
    rng: Xoshiro256PlusPlus,
    at: f64,
    /// Commands for each nanosecond, over all books, in the mean.
    rate: f64,
    burst: Sizes,
    /// Within a burst, so many commands in a row are for one book.
    row: Sizes,
    /// Commands of the present burst that are to come.
    left: u32,
    rule: Rule,
    /// The book that has each rank.
    by_rank: Vec<u32>,
}

#[derive(Debug)]
enum Rule {
    Even(u32),
    Ranked(WeightedAliasIndex<f64>),
    Swap(Swap),
    Equities(Equities),
}

impl Flow {
    /// `rate` is in commands for each nanosecond. `order` seeds which book has which rank, `seed` all else: flows
    /// with one order have the same hot books.
    ///
    /// # Panics
    /// When there are no books, or a rate that is not above 0.
    #[must_use]
    pub fn new(shape: &Shape, books: u32, rate: f64, bursts: Bursts, order: u64, seed: u64) -> Self {
        assert!(books > 0 && rate > 0.0, "a flow needs books and a rate");
        let by_rank = ranks(books, order);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let alias =
            || WeightedAliasIndex::new(shape.weights(books)).expect("weights are positive and finite");
        let rule = match shape {
            Shape::Zipf(s) if *s == 0.0 => Rule::Even(books),
            Shape::Zipf(_) | Shape::Hot(_) => Rule::Ranked(alias()),
            Shape::Swap { nanos, .. } => Rule::Swap(Swap::new(alias(), *nanos)),
            Shape::Equities(rates) => Rule::Equities(Equities::new(rates, rate, &mut rng)),
        };
        let (burst, row) = (Sizes::new(bursts.mean), Sizes::new(bursts.row_mean));
        Self { rng, at: 0.0, rate, burst, row, left: 0, rule, by_rank }
    }

    /// The next commands in a row for one book. A flow has no end.
    pub fn next_burst(&mut self) -> Burst {
        if self.left == 0 {
            self.left = self.burst.draw(&mut self.rng);
            let step: f64 = Exp1.sample(&mut self.rng);
            let commands = step * self.burst.mean;
            self.at = match &mut self.rule {
                Rule::Equities(equities) => equities.advance(self.at, commands, &mut self.rng),
                _ => self.at + commands / self.rate,
            };
        }
        let at = self.at as u64;
        let rank = match &mut self.rule {
            Rule::Even(books) => self.rng.random_range(0..*books) as usize,
            Rule::Ranked(ranks) => ranks.sample(&mut self.rng),
            Rule::Swap(swap) => swap.rank(at, &mut self.by_rank, &mut self.rng),
            Rule::Equities(equities) => equities.rank(&mut self.rng),
        };
        // The first row ends the burst when rows are as long as bursts.
        let one_row = self.row.mean >= self.burst.mean;
        let commands = if one_row { self.left } else { self.row.draw(&mut self.rng).min(self.left) };
        self.left -= commands;
        Burst { at, book: self.by_rank[rank], commands }
    }
}

/// Geometric sizes.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    mean: f64,
    /// 1 / ln(1 - 1/b), which makes geometric sizes of even numbers; 0 when each is 1.
    factor: f64,
}

impl Sizes {
    fn new(mean: f64) -> Self {
        assert!(mean >= 1.0, "a size is at least 1");
        Self { mean, factor: if mean > 1.0 { (1.0 - mean.recip()).ln().recip() } else { 0.0 } }
    }

    fn draw(&self, rng: &mut Xoshiro256PlusPlus) -> u32 {
        if self.factor == 0.0 {
            return 1;
        }
        // P(size > k) = (1 - 1/b)^k.
        let even: f64 = rng.random();
        1 + ((1.0 - even).ln() * self.factor) as u32
    }
}

/// Which book has which rank, by Fisher and Yates' shuffle.
fn ranks(books: u32, order: u64) -> Vec<u32> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(order ^ 0x9e37_79b9_7f4a_7c15);
    let mut by_rank: Vec<u32> = (0..books).collect();
    for i in (1..by_rank.len()).rev() {
        by_rank.swap(i, rng.random_range(0..=i));
    }
    by_rank
}

/// The rates of books that somebody knows beforehand, by index: shares of the mean flow, in millionths of a millionth.
#[must_use]
pub fn known_rates(shape: &Shape, books: u32, order: u64) -> Vec<u64> {
    let weights = shape.weights(books);
    let total: f64 = weights.iter().sum();
    let mut rates = vec![0; weights.len()];
    for (rank, book) in ranks(books, order).into_iter().enumerate() {
        rates[book as usize] = ((weights[rank] / total * 1e12) as u64).max(1);
    }
    rates
}

#[cfg(test)]
mod tests;
