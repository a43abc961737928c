//! Clocks, and what to make of repeated measurements.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Processor time that the calling thread has had. What other threads do meanwhile is not in it, but for the caches
/// and the memory that they share with us.
#[must_use]
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The middle of some repeats, and how far they lay apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub low: f64,
    /// The median; of an even number, the upper of the two in the middle.
    pub median: f64,
    /// The largest.
    pub high: f64,
}

impl Spread {
    /// Of at least one value.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
        Self { low, median: sorted[sorted.len() / 2], high }
    }
}

/// The value below which `part` of the sorted values lie, by nearest rank.
///
/// # Panics
/// When there is no value.
#[must_use]
pub fn quantile(sorted: &[u64], part: f64) -> u64 {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// Nanoseconds for each of `count`.
#[must_use]
pub fn ns_each(time: Duration, count: u64) -> f64 {
    time.as_nanos() as f64 / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_and_quantiles_are_nearest_ranks() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { low: 1.0, median: 2.0, high: 3.0 });
        let values: Vec<u64> = (1..=1_000).collect();
        assert_eq!([0.5, 0.99, 0.999, 1.0].map(|part| quantile(&values, part)), [500, 990, 999, 1_000]);
        assert_eq!(quantile(&[7], 0.0), 7);
    }

    #[test]
    fn a_threads_time_never_goes_back() {
        let before = thread_time();
        assert!(thread_time() >= before);
    }
}
