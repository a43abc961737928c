//! What a run measured.

use core::time::Duration;

use client::soup::MessageLog;

use crate::{
    Config, Mode,
    latency::Latency,
    lobster::{Agreement, Rows},
    tracker::Counts,
};

/// The generator was late when one request in a hundred was sent this long after it was due, in nanoseconds.
pub(crate) const LATE: u64 = 1_000_000;

/// What a run measured.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was asked.
    pub config: Config,
    /// What was sent and answered, without the clean-up.
    pub counts: Counts,
    /// Latencies, in nanoseconds.
    pub latency: Latency,
    /// From the start to the last request sent.
    pub sending: Duration,
    /// From the start to when the last request sent was due; the same as `sending` in a closed loop.
    pub planned: Duration,
    /// From the start to the last answer read.
    pub answering: Duration,
    /// Processor time of the generator's thread, from the start to the last answer.
    pub processor: Duration,
    /// How often a request had to wait for room: in a socket's buffer, or for an old order's answer.
    pub stalls: u64,
    /// What was sent and answered over time.
    pub series: Series,
    /// What became of a recording's rows, and how far the fills agree with it.
    pub recording: Option<(Rows, Agreement)>,
    /// What should be known before the numbers are believed.
    pub warnings: Vec<String>,
    /// Each session's messages, when [`Config::keep_log`] asked for them.
    pub logs: Vec<MessageLog>,
    /// Orders that still rested and were canceled after the measurement; `None` when that was not asked or did not
    /// end well.
    pub cleaned_up: Option<u64>,
    /// Where it ran.
    pub machine: Machine,
}

/// Where a run ran.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Processors that the generator may use.
    pub cores: usize,
    /// The processor's name, as far as the system tells.
    pub processor: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let processor = std::fs::read_to_string("/proc/cpuinfo")
            .ok()
            .and_then(|text| {
                let line = text.lines().find(|line| line.starts_with("model name"))?;
                line.split_once(':').map(|(_, name)| name.trim().to_owned())
            })
            .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        Self { cores, processor }
    }
}

/// What was sent and answered over time, at even intervals.
#[derive(Clone, Debug)]
pub struct Series {
    /// Nanoseconds between two points.
    pub interval: u64,
    /// At most [`Self::POINTS_MAX`]; the last one may cover less than an interval.
    pub points: Vec<Point>,
    /// When it was last told.
    noted: u64,
}

/// One interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// Requests sent in it.
    pub sent: u64,
    /// Requests answered in it, superfluous ones included.
    pub done: u64,
}

impl Series {
    /// The most points that are kept; then the interval doubles.
    pub const POINTS_MAX: usize = 2_048;
    /// The first interval, in nanoseconds.
    pub(crate) const INTERVAL: u64 = 250_000_000;

    pub(crate) fn new() -> Self {
        Self { interval: Self::INTERVAL, points: Vec::with_capacity(Self::POINTS_MAX), noted: 0 }
    }

    /// Until `now`, `sent` requests were sent in all and `done` answered. What came since the last call counts for
    /// the interval in the middle: calls come a little after an interval's end.
    pub(crate) fn note(&mut self, now: u64, sent: u64, done: u64) {
        while now / self.interval >= Self::POINTS_MAX as u64 {
            self.points = self
                .points
                .chunks(2)
                .map(|pair| Point {
                    sent: pair.iter().map(|p| p.sent).sum(),
                    done: pair.iter().map(|p| p.done).sum(),
                })
                .collect();
            self.interval *= 2;
        }
        let at = (self.noted.midpoint(now) / self.interval) as usize;
        self.noted = now;
        if self.points.len() <= at {
            self.points.resize(at + 1, Point::default());
        }
        let (old_sent, old_done) = self.points.iter().fold((0, 0), |(s, d), p| (s + p.sent, d + p.done));
        self.points[at].sent += sent.saturating_sub(old_sent);
        self.points[at].done += done.saturating_sub(old_done);
    }
}

impl Outcome {
    /// Requests a second that were sent.
    #[must_use]
    pub fn sent_rate(&self) -> f64 {
        rate(self.counts.sent(), self.sending)
    }

    /// Requests a second that were done with: answered, or superfluous.
    #[must_use]
    pub fn done_rate(&self) -> f64 {
        rate(self.counts.answered + self.counts.superfluous, self.answering)
    }

    /// Processor nanoseconds of the generator for each request.
    #[must_use]
    pub fn processor_ns_per_order(&self) -> f64 {
        self.processor.as_nanos() as f64 / self.counts.sent().max(1) as f64
    }

    /// Says what should be known before the numbers are believed.
    pub(crate) fn judge(&mut self) {
        let counts = &self.counts;
        let mut warnings = vec![];
        if let Mode::OpenLoop { rate: asked } = self.config.mode {
            let late = self.latency.lateness.value_at_quantile(0.99);
            if late > LATE {
                warnings.push(format!(
                    "the generator itself was late: one request in a hundred was sent more than {} after it was \
                     due; give it a core of its own and spin, or ask for less",
                    crate::report::duration(late)
                ));
            }
            // No due request is left out, so falling short shows as taking longer than planned.
            let achieved = self.sent_rate();
            if self.sending.as_secs_f64() > self.planned.as_secs_f64() * 1.01
                && self.sending - self.planned > Duration::from_nanos(LATE)
            {
                warnings.push(format!(
                    "{achieved:.0} orders/s were achieved of the {asked} asked: the exchange or the generator is \
                     saturated, and latencies are those of a growing queue"
                ));
            }
        }
        if counts.in_flight() > 0 {
            warnings.push(format!(
                "{} requests had no answer {} after the last one that came; they are in no latency",
                counts.in_flight(),
                crate::report::duration(u64::try_from(self.config.drain.as_nanos()).unwrap_or(u64::MAX))
            ));
        }
        if counts.unexpected > 0 {
            warnings.push(format!(
                "{} messages answered nothing that was asked; is someone else using these sessions?",
                counts.unexpected
            ));
        }
        let rejects = counts.rejects.total();
        if rejects * 100 > counts.sent() {
            warnings.push(format!("{rejects} of {} requests were rejected", counts.sent()));
        }
        self.warnings = warnings;
    }
}

fn rate(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_a_bounded_series() {
        let mut series = Series::new();
        let mut sent = 0;
        for i in 1..20_000_u64 {
            sent += 10;
            series.note(i * Series::INTERVAL, sent, sent - 3);
        }
        assert!(series.points.len() <= Series::POINTS_MAX);
        assert_eq!(series.points.iter().map(|p| p.sent).sum::<u64>(), sent);
        assert_eq!(series.points.iter().map(|p| p.done).sum::<u64>(), sent - 3);
        assert_eq!(series.interval, Series::INTERVAL * 16);
    }
}
