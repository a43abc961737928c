//! What else the machine did while something was measured.
//!
//! Nothing here looks at what was measured: a run is rejected for what others did, never for its result.

use std::{
    fs,
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use crate::{clock::thread_time, process::MachineTime};

/// A thread may wait for its core for this part of a run, ...
const WAITED_PART: f64 = 0.01;
/// ... or so long, in nanoseconds, whichever is more.
const WAITED_MIN: f64 = 30_000.0;
/// How much slower than ever the calibration loop may be.
const SLOWER: f64 = 1.15;
/// Rounds of the calibration loop: about 100 us.
const ROUNDS: u64 = 60_000;

/// The machine before a run.
#[derive(Debug)]
pub struct Before {
    steal: u64,
    waited: u64,
    /// Processor time of this thread.
    own: Duration,
    at: Instant,
    loop_nanos: f64,
}

/// Judges runs, by the fastest calibration loop so far.
#[derive(Debug)]
pub struct Quiet {
    fastest: f64,
}

impl Default for Quiet {
    fn default() -> Self {
        Self::new()
    }
}

impl Quiet {
    /// Calibrates.
    #[must_use]
    pub fn new() -> Self {
        Self { fastest: (0..50).map(|_| loop_nanos()).fold(f64::MAX, f64::min) }
    }

    /// Looks at the machine before a run, whose threads exist already.
    #[must_use]
    pub fn before(&self) -> Before {
        // The better of two: the first may have waited for its core.
        let loop_nanos = loop_nanos().min(loop_nanos());
        // The system counts a wait when it is over: a worker that has waited for us until now must run first.
        thread::sleep(Duration::from_micros(500));
        let own = thread_time();
        Before { steal: MachineTime::now().steal, waited: waited(), own, at: Instant::now(), loop_nanos }
    }

    /// Looks again while the threads still exist. What disturbed the run, if something did.
    pub fn after(&mut self, before: &Before) -> Option<&'static str> {
        let took = before.at.elapsed().as_nanos() as f64;
        // While this thread runs, a worker waits for it: on no other core is there room.
        let own = (thread_time() - before.own).as_nanos() as f64;
        let waited = waited().saturating_sub(before.waited) as f64 - own;
        let stolen = MachineTime::now().steal.saturating_sub(before.steal);
        let slowest = loop_nanos().min(loop_nanos()).max(before.loop_nanos);
        self.fastest = self.fastest.min(slowest);
        if stolen > 0 {
            Some("the host took a core away")
        } else if waited > WAITED_MIN.max(WAITED_PART * took) {
            Some("a thread waited for its core")
        } else if slowest > SLOWER * self.fastest {
            Some("a core was slower than before")
        } else {
            None
        }
    }
}

/// How long the workers of this process have waited for a core, in nanoseconds, by the scheduler's own count; 0 where the
/// system does not say.
fn waited() -> u64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return 0 };
    tasks
        .filter_map(|task| {
            let path = task.ok()?.path();
            let name = fs::read_to_string(path.join("comm")).ok()?;
            if !name.starts_with("shard-") {
                return None;
            }
            let text = fs::read_to_string(path.join("schedstat")).ok()?;
            text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .sum()
}

/// A chain of multiplications: as fast as the core is.
fn loop_nanos() -> f64 {
    let before = Instant::now();
    let mut word = 1_u64;
    for round in 0..ROUNDS {
        word = black_box(word).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ round;
    }
    black_box(word);
    before.elapsed().as_nanos() as f64
}
