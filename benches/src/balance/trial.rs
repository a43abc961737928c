//! One run of one arm: a new runtime, warmed up, then measured.

use std::{thread, time::Duration};

use engine::{
    balance::BalanceMode,
    book::Book,
    runtime::{BalanceStats, Idle, Runtime, RuntimeConfig, ShardStats},
};

use super::{
    admission::Bounds,
    arms::Judged,
    crowd::{Class, Crowd, HOT, HotBook},
    paced::{Pace, Paced},
    quiet::Quiet,
    seat::{Layout, nanos, pause, run, wake},
    workload::{COMMAND_SLOTS, SHARDS, Workload},
};
use crate::clock::quantile;

/// Slots of an event ring.
pub const EVENT_SLOTS: usize = 1 << 12;
/// Commands under way while it warms up, and when a capacity is measured.
pub const WINDOW: usize = 2_048;
/// No run takes so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What one run showed.
#[derive(Clone, Debug)]
pub struct Trial {
    /// From due to executed and seen by the front, in nanoseconds: median, 99th, 99.9th percentile, longest.
    pub latency: [u64; 4],
    /// From due to routed, 99th percentile, in nanoseconds: what the front adds.
    pub late_p99: u64,
    /// From the start to the last command executed, in nanoseconds.
    pub finish: u64,
    /// From the start to the last command due, in nanoseconds.
    pub span: u64,
    /// Commands.
    pub commands: u64,
    /// Time inside the front's turns, of the time that both workers had.
    pub front_share: f64,
    /// Turns that the main thread had to take.
    pub starved: u64,
    /// Turns that found a ring full.
    pub full: u64,
    /// What the runtime says of its shards.
    pub shards: Vec<ShardStats>,
    /// What the runtime says of balancing.
    pub balance: BalanceStats,
    /// What disturbed it, if something did.
    pub disturbed: Option<&'static str>,
}

impl Trial {
    /// Commands a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.commands as f64 * 1e9 / self.finish.max(1) as f64
    }

    /// 1 when the last command was executed when it was due.
    #[must_use]
    pub fn finish_over_span(&self) -> f64 {
        self.finish as f64 / self.span.max(1) as f64
    }

    /// What a command takes of a worker's time, in nanoseconds, when `workers` had no pause but for the front's turns;
    /// `shared` when they took those.
    #[must_use]
    pub fn service(&self, workers: f64, shared: bool) -> f64 {
        // A worker that is idle takes the turns, if there is one.
        let front = if shared && workers > 1.0 { self.front_share * f64::from(SHARDS) } else { 0.0 };
        (workers - front) * self.finish as f64 / self.commands.max(1) as f64
    }
}

/// The runtime of an arm, its rings and caches warm.
///
/// # Errors
/// When it does not start or does not get through.
fn warmed(
    layout: Layout,
    workload: &Workload,
    mode: BalanceMode,
    books: Vec<Book>,
) -> Result<Runtime, String> {
    let config = RuntimeConfig {
        idle: Idle::Spin,
        cores: layout.workers(usize::from(SHARDS)),
        shared_cores: false,
        command_slots: COMMAND_SLOTS,
        event_slots: EVENT_SLOTS,
        inline_max: 0,
        balance: mode,
        clock: nanos,
        pause: Some(pause),
        ..RuntimeConfig::new(workload.shape.placement.clone())
    };
    let mut runtime = Runtime::resume(&config, &wake(), books).map_err(|error| error.to_string())?;
    touch(&mut runtime, workload);
    let feed = Paced::new(&workload.warm, Pace::Closed(WINDOW));
    Ok(run(layout, runtime, feed, PATIENCE)?.runtime)
}

/// Sends commands that do nothing through every slot of the command rings, so that no page of them is new later.
fn touch(runtime: &mut Runtime, workload: &Workload) {
    for command in workload.touch.iter() {
        while !runtime.accepts_command(&command.command) {
            runtime.publish();
            thread::yield_now();
        }
        runtime.route(&command);
    }
    runtime.publish();
    while !runtime.is_quiescent() {
        thread::yield_now();
    }
}

/// Runs an arm once.
///
/// # Errors
/// When a command is lost, or a book is not what one thread makes of it.
pub fn trial(
    layout: Layout,
    workload: &Workload,
    mode: BalanceMode,
    pace: Pace,
    quiet: &mut Quiet,
) -> Result<Trial, String> {
    let runtime = warmed(layout, workload, mode, workload.books())?;
    let before = quiet.before();
    let ran = run(layout, runtime, Paced::new(&workload.commands, pace), PATIENCE)?;
    let disturbed = quiet.after(&before);
    let (shards, balance) = (ran.runtime.stats(), ran.runtime.balance_stats());
    let paced = &ran.feed;
    let (finish, span) = (paced.finish, paced.span());
    let sorted = |values: &[u64]| {
        let mut values = values.to_vec();
        values.sort_unstable();
        values
    };
    let (latency, late) = (sorted(&paced.latency), sorted(&paced.late));
    let trial = Trial {
        latency: [0.5, 0.99, 0.999, 1.0].map(|part| quantile(&latency, part)),
        late_p99: quantile(&late, 0.99),
        finish,
        span,
        commands: latency.len() as u64,
        front_share: ran.front_nanos as f64 / (finish.max(1) as f64 * f64::from(SHARDS)),
        starved: ran.starved,
        full: paced.full,
        shards,
        balance,
        disturbed,
    };
    workload.check(&ran.runtime.finish())?;
    Ok(trial)
}

impl Judged for Trial {
    fn disturbed(&self) -> Option<&'static str> {
        self.disturbed
    }
}

/// What one run with a crowd showed, of requests that arrived while it was there.
#[derive(Clone, Debug)]
pub struct CrowdTrial {
    /// Cancels in the hot book, from arrival to executed: median, 99th percentile, longest, in nanoseconds.
    pub cancels: [u64; 3],
    /// Everything else in the hot book that was not refused; zeros when all was.
    pub others: [u64; 3],
    /// Requests for other books.
    pub calm: [u64; 3],
    /// Of the hot book's requests other than cancels, those that were refused.
    pub refused_share: f64,
    /// From when the crowd had gone until all that had arrived by then was answered, in nanoseconds.
    pub recovery: u64,
    /// Commands sequenced, every one of them executed once.
    pub sequenced: u64,
    /// Time inside the front's turns, of the time that both workers had.
    pub front_share: f64,
    /// What disturbed it, if something did.
    pub disturbed: Option<&'static str>,
}

impl Judged for CrowdTrial {
    fn disturbed(&self) -> Option<&'static str> {
        self.disturbed
    }
}

/// Runs an arm with a crowd once. `workload` has no command for the hot book.
///
/// # Errors
/// When a command is lost.
#[allow(clippy::too_many_arguments)] // each is a dimension of the arm
pub fn crowd_trial(
    layout: Layout,
    workload: &Workload,
    mode: BalanceMode,
    gaps: (f64, f64),
    bounds: Bounds,
    long: u32,
    seed: u64,
    quiet: &mut Quiet,
) -> Result<CrowdTrial, String> {
    let mut books = workload.books();
    let (book, hot) = HotBook::new(seed);
    books[HOT.0 as usize] = book;
    let runtime = warmed(layout, workload, mode, books)?;
    let before = quiet.before();
    let begun = nanos();
    let crowd = Crowd::new(&workload.commands, gaps, bounds, long, hot);
    let ran = run(layout, runtime, crowd, PATIENCE)?;
    let took = nanos() - begun;
    let disturbed = quiet.after(&before);
    let crowd = &ran.feed;
    let ends = |class| {
        let seen = crowd.seen(class);
        let of = |part| if seen.executed.is_empty() { 0 } else { quantile(&seen.executed, part) };
        ([0.5, 0.99, 1.0].map(of), seen)
    };
    let ((cancels, _), (others, refused), (calm, _)) =
        (ends(Class::Cancels), ends(Class::Others), ends(Class::Calm));
    let asked = refused.refused + refused.executed.len() as u64;
    let trial = CrowdTrial {
        cancels,
        others,
        calm,
        refused_share: refused.refused as f64 / asked.max(1) as f64,
        recovery: crowd.recovery(),
        sequenced: crowd.sequenced(),
        front_share: ran.front_nanos as f64 / (took.max(1) as f64 * f64::from(SHARDS)),
        disturbed,
    };
    let books = ran.runtime.finish();
    let applied: u64 = books.iter().map(|book| book.counters().commands).sum();
    let expected = workload.prelude() + HotBook::COMMANDS + trial.sequenced;
    if applied == expected {
        Ok(trial)
    } else {
        Err(format!("crowd: the books have applied {applied} commands of {expected}"))
    }
}
