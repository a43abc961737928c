//! Latency: three ways to look at the same answers.
//!
//! * **intended**: from when the request was due to when its answer was read. In an open loop this is what a
//!   client sees, stalls included.
//! * **service**: from when the request was handed to the kernel. It leaves out the time that a request waited in
//!   the generator, and so flatters an exchange that stalls; the distance between the two is the waiting.
//! * **lateness**: how long after its due time a request was handed to the kernel. It is the generator's own
//!   error: large values mean that the generator, not the exchange, was measured.
//!
//! Nanoseconds, three significant digits, up to ten minutes; longer ones count as ten minutes.

use hdrhistogram::Histogram;

/// Ten minutes, in nanoseconds.
const LONGEST: u64 = 600_000_000_000;

/// What was asked, as far as latency is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// New orders, immediate ones included.
    Enter = 0,
    /// Cancels of all that is left.
    Cancel = 1,
    /// Partial cancels and replacements.
    Change = 2,
}

/// The histograms of a run.
#[derive(Clone, Debug)]
pub struct Latency {
    /// From the due time to the answer, of new orders.
    pub enter: Histogram<u64>,
    /// From the due time to the answer, of cancels.
    pub cancel: Histogram<u64>,
    /// From the due time to the answer, of partial cancels and replacements.
    pub change: Histogram<u64>,
    /// From the due time to the answer, of requests whose book the profile made hot when they were due.
    pub hot: Histogram<u64>,
    /// From the due time to the answer, of requests for all other books.
    pub others: Histogram<u64>,
    /// From the send to the answer, of all.
    pub service: Histogram<u64>,
    /// From the due time to the send, of all.
    pub lateness: Histogram<u64>,
}

impl Latency {
    pub(crate) fn new() -> Self {
        Self {
            enter: histogram(),
            cancel: histogram(),
            change: histogram(),
            hot: histogram(),
            others: histogram(),
            service: histogram(),
            lateness: histogram(),
        }
    }

    /// From the due time to the answer, of all.
    #[must_use]
    pub fn intended(&self) -> Histogram<u64> {
        let mut all = histogram();
        for part in [&self.enter, &self.cancel, &self.change] {
            all.add(part).expect("all have the same bounds");
        }
        all
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (sum, part) in [
            (&mut self.enter, &other.enter),
            (&mut self.cancel, &other.cancel),
            (&mut self.change, &other.change),
            (&mut self.hot, &other.hot),
            (&mut self.others, &other.others),
            (&mut self.service, &other.service),
            (&mut self.lateness, &other.lateness),
        ] {
            sum.add(part).expect("all have the same bounds");
        }
    }

    /// A request was answered.
    #[inline]
    pub(crate) fn answered(&mut self, kind: Kind, hot: bool, due: u64, sent: u64, now: u64) {
        let histogram = match kind {
            Kind::Enter => &mut self.enter,
            Kind::Cancel => &mut self.cancel,
            Kind::Change => &mut self.change,
        };
        histogram.saturating_record(now.saturating_sub(due));
        let class = if hot { &mut self.hot } else { &mut self.others };
        class.saturating_record(now.saturating_sub(due));
        self.service.saturating_record(now.saturating_sub(sent));
    }

    /// A request that was due at `due` is sent `now`.
    #[inline]
    pub(crate) fn sent(&mut self, due: u64, now: u64) {
        self.lateness.saturating_record(now.saturating_sub(due));
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are constants that fit")
}
