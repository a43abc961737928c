//! What came of a simulation.

use hdrhistogram::Histogram;

/// Latencies and counts of one run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// From arrival to the end of execution, in nanoseconds.
    pub latency: Histogram<u64>,
    /// The sum of waits (latency less service), in nanoseconds.
    pub waited: u128,
    /// Commands executed, those that are not measured included.
    pub executed: u64,
    /// Times that a worker took books from another shard.
    pub steals: u64,
    /// Commands that thieves executed.
    pub stolen: u64,
    /// Commands taken out of rings into mailboxes.
    pub published: u64,
    /// Changes of home.
    pub moves: u64,
    /// Changes of home before the clock started.
    pub moves_before: u64,
    /// Refills of a cache with a book.
    pub refills: u64,
    /// Time that workers were busy, in nanoseconds.
    pub busy: u64,
    /// Periods for which moves were frozen.
    pub frozen: u64,
    /// When the last command arrived, in nanoseconds.
    pub span: u64,
    /// When the last command was done, in nanoseconds.
    pub finish: u64,
}

impl Outcome {
    pub(crate) fn new() -> Self {
        Self {
            latency: Histogram::new(3).expect("three digits"),
            waited: 0,
            executed: 0,
            steals: 0,
            stolen: 0,
            published: 0,
            moves: 0,
            moves_before: 0,
            refills: 0,
            busy: 0,
            frozen: 0,
            span: 0,
            finish: 0,
        }
    }

    /// A percentile of latency, in nanoseconds: 0.99 for the 99th.
    #[must_use]
    pub fn quantile(&self, part: f64) -> u64 {
        self.latency.value_at_quantile(part)
    }

    /// The 99th percentile of latency, in nanoseconds.
    #[must_use]
    pub fn p99(&self) -> u64 {
        self.quantile(0.99)
    }

    /// The mean wait, in nanoseconds.
    #[must_use]
    pub fn mean_wait(&self) -> f64 {
        self.waited as f64 / self.latency.len().max(1) as f64
    }

    #[inline]
    pub(crate) fn record(&mut self, arrived: u64, service: u64, done: u64, measured: bool) {
        self.executed += 1;
        self.finish = self.finish.max(done);
        if measured {
            let latency = done - arrived;
            self.waited += u128::from(latency - service);
            self.latency.record(latency).expect("a histogram that grows takes any latency");
        }
    }
}
