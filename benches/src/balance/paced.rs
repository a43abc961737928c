//! Commands that arrive when they are due, and how long each took.

use std::sync::Arc;

use engine::runtime::Runtime;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{
    packed::PackedRun,
    seat::{Feed, Next, nanos},
};

/// Commands routed in one turn, at most: then they are published.
const ROUTED_MAX: usize = 256;
/// Events taken from each shard in one turn, at most.
const DRAINED_MAX: usize = 1_024;
/// Until the first command, in nanoseconds: the thread that starts it all goes to sleep.
pub const LEAD_IN: u64 = 300_000;

/// When commands arrive.
#[derive(Clone, Debug)]
pub enum Pace {
    /// Whenever fewer than so many are under way.
    Closed(usize),
    /// At these times, in nanoseconds from the start, ascending.
    Open(Arc<[u64]>),
}

impl Pace {
    /// A Poisson process: so many arrivals, `gap` nanoseconds apart on average.
    #[must_use]
    pub fn poisson(arrivals: usize, gap: f64, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self::Open(poisson(&mut rng, gap).take(arrivals).collect())
    }
}

/// Times of a Poisson process, in nanoseconds, `gap` apart on average.
pub(crate) fn poisson<R: Rng>(rng: &mut R, gap: f64) -> impl Iterator<Item = u64> {
    let mut at = 0.0;
    std::iter::repeat_with(move || {
        let wait: f64 = Exp1.sample(rng);
        at += wait * gap;
        at as u64
    })
}

/// Commands and their times.
pub struct Paced {
    commands: Arc<PackedRun>,
    pace: Pace,
    start: u64,
    /// The next to be routed.
    next: usize,
    /// How many have been seen executed.
    executed: usize,
    /// By command: from when it was due until the front has taken its first event, in nanoseconds. In a closed loop it
    /// is due when it is routed.
    pub latency: Vec<u64>,
    /// By command: from when it was due until it was routed, in nanoseconds.
    pub late: Vec<u64>,
    /// When the last was seen executed, in nanoseconds from the start.
    pub finish: u64,
    /// Turns that found no room in a ring.
    pub full: u64,
}

impl Paced {
    /// All of `commands`, at this pace.
    #[must_use]
    pub fn new(commands: &Arc<PackedRun>, pace: Pace) -> Self {
        let count = commands.len();
        Self {
            commands: Arc::clone(commands),
            pace,
            start: 0,
            next: 0,
            executed: 0,
            latency: vec![u64::MAX; count],
            late: vec![0; count],
            finish: 0,
            full: 0,
        }
    }

    /// From the start until the last command is due, in nanoseconds; in a closed loop until the last was executed.
    #[must_use]
    pub fn span(&self) -> u64 {
        match &self.pace {
            Pace::Closed(_) => self.finish,
            Pace::Open(due) => due.last().copied().unwrap_or(0),
        }
    }

    /// When the next command is due, if it is time.
    fn due(&self, now: u64) -> Option<u64> {
        match &self.pace {
            Pace::Closed(window) => (self.next - self.executed < *window).then_some(now),
            Pace::Open(due) => Some(self.start + due[self.next]).filter(|due| *due <= now),
        }
    }
}

impl Feed for Paced {
    fn turn(&mut self, runtime: &mut Runtime, now: u64) -> Next {
        if self.start == 0 {
            self.start = now + LEAD_IN;
        }
        if now < self.start {
            return Next::Soon;
        }
        let before = self.next;
        while self.next < self.commands.len() && self.next - before < ROUTED_MAX {
            let Some(due) = self.due(now) else { break };
            let command = self.commands.get(self.next);
            if !runtime.accepts_command(&command.command) {
                self.full += 1;
                break;
            }
            runtime.route(&command);
            self.latency[self.next] = due;
            self.late[self.next] = now - due;
            self.next += 1;
        }
        if self.next > before {
            runtime.publish();
        }
        let first = self.commands.first().0;
        let seen = nanos();
        runtime.drain(DRAINED_MAX, |event| {
            // Every command of the workload says at least one.
            if event.index == 0 {
                let latency = &mut self.latency[(event.sequence.0 - first) as usize];
                *latency = seen - *latency;
                self.executed += 1;
            }
            true
        });
        runtime.tick(seen);
        if self.executed < self.commands.len() {
            return Next::Soon;
        }
        self.finish = seen - self.start;
        Next::Never
    }
}

/// A seed of its own for each part of a run.
#[must_use]
pub fn seed_of(seed: u64, part: u64) -> u64 {
    Xoshiro256PlusPlus::seed_from_u64(seed ^ part.rotate_left(32)).random()
}
