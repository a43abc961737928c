//! On whose thread the front runs.
//!
//! An exchange gives the front a core of its own. With three cores or more so does this ([`Layout::Own`]). With two,
//! two workers have them both, and a third thread would run when the system's scheduler thinks so: every 3 ms, or 20 us
//! late by a timer, which is more than what is to be measured. So there the front has no thread ([`Layout::Floating`]):
//! its turns are taken by the workers between two batches and when they have nothing to do, where the runtime lets them
//! (`RuntimeConfig::pause`). Whoever comes by takes a turn unless another is at it: when one worker is idle, mostly that one.
//!
//! What is wrong with it: the front's work is done by cores whose work is to be measured ([`Ran::front_nanos`] says how
//! much of it), its data goes to and fro between two caches, and while both workers are in a batch nothing arrives
//! ([`Feed`]s measure how late that is). All arms have the same of it.

use std::{
    any::Any,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use engine::runtime::{Runtime, Wake, cores, pin_current_thread};

/// Between two turns, in nanoseconds. Some commands come together then, and each turn's share of passing cache lines to
/// and fro is smaller; an idle worker sees a command so much later, and an answer is seen so much later, at most.
const GAP: u64 = 1_000;
/// When nobody has taken a turn for so long, the main thread does.
const STARVED: Duration = Duration::from_millis(20);

static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// The front, while it runs without a thread.
static SEAT: Mutex<Option<Front>> = Mutex::new(None);
/// When the next turn is due; never while nobody is seated.
static NEXT: AtomicU64 = AtomicU64::new(u64::MAX);

/// Who has a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The front has one, and each worker.
    Own,
    /// Each worker has one, and the front none.
    Floating,
}

impl Layout {
    /// What this machine allows for so many shards.
    #[must_use]
    pub fn here(shards: usize) -> Self {
        if cores().len() > shards { Self::Own } else { Self::Floating }
    }

    /// The core of each worker.
    #[must_use]
    pub fn workers(self, shards: usize) -> Vec<usize> {
        let skip = usize::from(self == Self::Own);
        cores().into_iter().skip(skip).take(shards).collect()
    }

    /// What a reader should know.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "the front and each worker on a core of their own, all spinning",
            Self::Floating => {
                "each worker on a core of its own, spinning; the front on none: workers take its turns between batches"
            }
        }
    }
}

/// When the front's next turn should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Everything has been done.
    Never,
    /// Something waits for what workers do right now.
    AtOnce,
    /// There is no hurry: a front that floats waits a microsecond.
    Soon,
}

/// What the front does: it brings commands when they are due, and takes events.
pub trait Feed: Any + Send {
    /// One turn; `now` as [`nanos`].
    fn turn(&mut self, runtime: &mut Runtime, now: u64) -> Next;
}

struct Front {
    runtime: Runtime,
    feed: Box<dyn Feed>,
    main: Thread,
    turns: u64,
    nanos: u64,
    last: u64,
    done: bool,
}

/// A feed that has done everything.
pub struct Ran<F> {
    /// Still running, with nothing to do.
    pub runtime: Runtime,
    /// With what it has measured.
    pub feed: Box<F>,
    /// Turns of the front.
    pub turns: u64,
    /// Time inside them, in nanoseconds.
    pub front_nanos: u64,
    /// Turns that the main thread had to take because nobody else came by: above 0, the run shows that and not the
    /// runtime.
    pub starved: u64,
}

/// The time, in nanoseconds since the first call.
#[must_use]
pub fn nanos() -> u64 {
    BEGIN.elapsed().as_nanos() as u64
}

/// What a runtime's workers do between two batches: take the front's turn if one is due.
pub fn pause() {
    let next = NEXT.load(Ordering::Relaxed);
    // Most often there is no front to be run, and then no time to be asked for.
    if next != u64::MAX {
        let now = nanos();
        if now >= next {
            take_turn(now);
        }
    }
}

/// A front that needs no waking.
struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

/// What to hand to a runtime.
#[must_use]
pub fn wake() -> Arc<dyn Wake> {
    Arc::new(Awake)
}

/// The front's turn, on this thread, unless another thread, or this one further up, is at it.
fn take_turn(now: u64) {
    let Ok(mut seat) = SEAT.try_lock() else { return };
    let Some(front) = seat.as_mut().filter(|front| !front.done) else { return };
    match front.turn(now) {
        Next::Never => {
            NEXT.store(u64::MAX, Ordering::Relaxed);
            front.main.unpark();
        }
        Next::AtOnce => NEXT.store(front.last, Ordering::Relaxed),
        Next::Soon => NEXT.store(front.last + GAP, Ordering::Relaxed),
    }
}

impl Front {
    fn new(runtime: Runtime, feed: Box<dyn Feed>) -> Self {
        Self { runtime, feed, main: thread::current(), turns: 0, nanos: 0, last: nanos(), done: false }
    }

    fn turn(&mut self, before: u64) -> Next {
        let next = self.feed.turn(&mut self.runtime, before);
        self.done = next == Next::Never;
        self.last = nanos();
        self.turns += 1;
        self.nanos += self.last - before;
        next
    }

    fn ran<F: Feed>(self, starved: u64) -> Ran<F> {
        let Self { runtime, feed, turns, nanos, .. } = self;
        let feed: Box<dyn Any> = feed;
        let feed = feed.downcast().expect("the feed that was seated");
        Ran { runtime, feed, turns, front_nanos: nanos, starved }
    }
}

/// Runs the front until its feed has done everything.
///
/// # Errors
/// When it has not within `patience`.
///
/// # Panics
/// When another front runs, or a worker has panicked.
pub fn run<F: Feed>(layout: Layout, runtime: Runtime, feed: F, patience: Duration) -> Result<Ran<F>, String> {
    let late = || format!("not done within {patience:?}: commands are lost, or nobody runs the front");
    let end = Instant::now() + patience;
    let mut front = Front::new(runtime, Box::new(feed));
    if layout == Layout::Own {
        // Refused, it runs where the system likes: slower, and not wrong.
        let _ = pin_current_thread(cores().first().copied());
        while front.turn(nanos()) != Next::Never {
            if Instant::now() > end {
                return Err(late());
            }
        }
        return Ok(front.ran(0));
    }
    let seat = || SEAT.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(seat().replace(front).is_none(), "one front at a time");
    NEXT.store(0, Ordering::Relaxed);
    let mut starved = 0;
    loop {
        thread::park_timeout(STARVED);
        let mut seat = seat();
        let front = seat.as_mut().expect("it was seated");
        if !front.done && nanos().saturating_sub(front.last) > STARVED.as_nanos() as u64 {
            starved += 1;
            front.turn(nanos());
        }
        if front.done || Instant::now() > end {
            NEXT.store(u64::MAX, Ordering::Relaxed);
            let front = seat.take().expect("it was seated");
            drop(seat);
            return if front.done { Ok(front.ran(starved)) } else { Err(late()) };
        }
    }
}
