//! A day of US equities, with time compressed.
//!
//! Real books are nowhere near a core's limit; to load many cores with this shape, its day is played faster, all
//! rates alike. What was a second then lasts a fraction of a millisecond. In each such second a symbol is hot or not:
//! * hot in one of a hundred, or in fewer when its whole day would not last for that, with a rate between its 99th
//!   percentile and its maximum, by a Pareto distribution cut off there, whose shape is such that its top quantile
//!   falls to the maximum once a day;
//! * else it has what is left of its day, evenly.
//!
//! Who is hot is drawn anew each second: rank over the day does not say who is hot now.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, weighted::WeightedAliasIndex};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::SymbolRates;

/// Seconds of a trading day.
pub(super) const SECONDS: f64 = 23_400.0;
/// Commands in a mean second of the day that the default rates are of.
pub const SECOND_COMMANDS: f64 = 8_830.0;

/// A symbol's hot seconds.
#[derive(Clone, Copy, Debug)]
struct Hot {
    /// Hot when a draw of 32 bits is below.
    below: u64,
    low: f64,
    high: f64,
    shape: f64,
}

impl Hot {
    /// The mean of the bounded Pareto distribution.
    fn mean(&self) -> f64 {
        let Self { low: l, high: h, shape: a, .. } = *self;
        if h <= l {
            return l;
        }
        let cut = (l / h).powf(a);
        // The formula has a removable gap at 1.
        let a = if (a - 1.0).abs() < 1e-6 { 1.0 + 1e-6 } else { a };
        l * a / (a - 1.0) * (1.0 - (l / h).powf(a - 1.0)) / (1.0 - cut)
    }

    fn draw(&self, even: f64) -> f64 {
        let cut = (self.low / self.high).powf(self.shape);
        self.low * (1.0 - even * (1.0 - cut)).powf(-self.shape.recip())
    }
}

/// The day, played second by second.
#[derive(Debug)]
pub(super) struct Equities {
    hot: Vec<Hot>,
    calm: WeightedAliasIndex<f64>,
    /// Commands a second of all symbols while they are not hot.
    calm_rate: f64,
    /// A second's length, in nanoseconds.
    second: f64,
    /// The present second's end, in nanoseconds.
    end: f64,
    /// Hot symbols and the sum of their rates up to each, in commands a second.
    now: Vec<(usize, f64)>,
}

impl Equities {
    /// `rate` is the mean over the day, in commands for each nanosecond.
    pub(super) fn new(rates: &[SymbolRates], rate: f64, rng: &mut Xoshiro256PlusPlus) -> Self {
        let day: f64 = rates.iter().map(|symbol| symbol.day as f64).sum();
        let second = day / SECONDS / rate;
        let mut calm = Vec::with_capacity(rates.len());
        let hot = rates.iter().map(|symbol| {
            let mean = symbol.day as f64 / SECONDS;
            let low = f64::from(symbol.second_p99).max(1.0).max(mean);
            let high = f64::from(symbol.second_max).max(low * 1.01);
            let top = |share: f64| (SECONDS * share).max(2.0).ln() / (high / low).ln();
            let mut hot = Hot { below: 0, low, high, shape: top(0.01) };
            let share = (mean / 2.0 / hot.mean()).min(0.01);
            hot.shape = top(share);
            hot.below = (share * 4_294_967_296.0) as u64;
            calm.push((mean - share * hot.mean()).max(mean / 100.0));
            hot
        });
        let hot = hot.collect();
        let calm_rate = calm.iter().sum();
        let calm = WeightedAliasIndex::new(calm).expect("rates are positive and finite");
        let mut equities = Self { hot, calm, calm_rate, second, end: 0.0, now: Vec::new() };
        equities.begin_second(rng);
        equities
    }

    fn begin_second(&mut self, rng: &mut Xoshiro256PlusPlus) {
        self.end += self.second;
        self.now.clear();
        let mut sum = 0.0;
        for (rank, hot) in self.hot.iter().enumerate() {
            if u64::from(rng.next_u32()) < hot.below {
                sum += hot.draw(rng.random());
                self.now.push((rank, sum));
            }
        }
    }

    fn hot_rate(&self) -> f64 {
        self.now.last().map_or(0.0, |(_, sum)| *sum)
    }

    /// The moment `commands` commands after `at`, through as many seconds as it takes.
    pub(super) fn advance(&mut self, mut at: f64, commands: f64, rng: &mut Xoshiro256PlusPlus) -> f64 {
        // In commands a second, and seconds.
        let mut left = commands;
        loop {
            let rate = (self.calm_rate + self.hot_rate()) / self.second;
            if at + left / rate <= self.end {
                return at + left / rate;
            }
            left -= (self.end - at) * rate;
            at = self.end;
            self.begin_second(rng);
        }
    }

    /// The symbol of the next burst.
    pub(super) fn rank(&self, rng: &mut Xoshiro256PlusPlus) -> usize {
        let point = rng.random::<f64>() * (self.calm_rate + self.hot_rate());
        if point < self.hot_rate() {
            let index = self.now.partition_point(|(_, sum)| *sum <= point);
            return self.now[index.min(self.now.len() - 1)].0;
        }
        self.calm.sample(rng)
    }
}
