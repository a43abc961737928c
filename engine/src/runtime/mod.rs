//! Threads that run books.
//!
//! ```text
//!  front ── route ──▶ ring ──▶ shard 0 (worker thread) ──▶ ring ──▶ front: drain
//!                  └▶ ring ──▶ shard 1                 ──▶ ring ──▶
//! ```
//!
//! The front is one thread: it routes sequenced commands, in sequence, and drains events. Per book, commands and
//! events keep their order; between books there is none. A full ring is seen before a command is sequenced
//! ([`Runtime::accepts`]); after that nothing is refused or dropped.
//!
//! Absent here: stealing and migration (the placement is fixed at start), and any clock.

mod idle;
mod outlet;
mod parking;
mod pin;
pub mod ring;
mod shard;
mod stats;
mod worker;

use std::{
    fmt,
    sync::{
        Arc, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use crossbeam_channel::{Sender, bounded, unbounded};
use domain::{Command, Event, InstrumentId, Sequenced, ShardId};

use crate::balance::{BalanceEvent, BalanceMode, Hints, Unit, Why};
pub use crate::balance::{Placement, PlacementPolicy};

pub use self::{
    idle::{Backoff, Idle, Step},
    parking::Parking,
    pin::{PinOutcome, cores, pin_current_thread},
    shard::BookHashes,
    stats::{BalanceStats, HotBook, ShardStats},
    worker::Wake,
};
use self::{
    outlet::Outlet,
    ring::{Consumer, Producer},
    shard::{Shard, ShardCounters},
    worker::{Control, Shared, WorkerSetup},
};
use crate::book::Book;

/// How the runtime is set up.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Which book lives where, and how many shards there are.
    pub placement: Placement,
    /// What workers do when there is nothing to do.
    pub idle: Idle,
    /// The core of each shard's worker; shards beyond its end are not pinned.
    pub cores: Vec<usize>,
    /// More threads than cores: spinning threads yield.
    pub shared_cores: bool,
    /// Slots of each command ring.
    pub command_slots: usize,
    /// Slots of each event ring.
    pub event_slots: usize,
    /// The longest backlog that the front executes itself when a worker sleeps; 0 for never.
    pub inline_max: usize,
    /// Hash every event and pass none on: for replay.
    pub hash_events: bool,
    /// What may happen to where books run.
    pub balance: BalanceMode,
    /// Where books must live, whatever the load.
    pub hints: Hints,
    /// For each shard, which of the machine's shared caches its core uses, by any number: stealing stays within one.
    /// Shards beyond its end share a cache with all others.
    pub domains: Vec<u16>,
    /// The time, in nanoseconds since any fixed moment, the same for all threads: for measuring who is busy. Nothing
    /// that a book says depends on it.
    pub clock: fn() -> u64,
}

impl RuntimeConfig {
    /// The defaults for this placement.
    #[must_use]
    pub fn new(placement: Placement) -> Self {
        Self {
            placement,
            idle: Idle::default(),
            cores: Vec::new(),
            shared_cores: false,
            command_slots: 4_096,
            event_slots: 8_192,
            inline_max: 64,
            hash_events: false,
            balance: BalanceMode::Off,
            hints: Hints::default(),
            domains: Vec::new(),
            clock: || 0,
        }
    }
}

/// Why the runtime did not start.
#[derive(Debug)]
pub enum StartError {
    /// The system gave no thread for this shard.
    Spawn(ShardId, std::io::Error),
    /// A worker died before it said that it runs.
    WorkerLost,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn(shard, error) => write!(f, "no thread for shard {shard}: {error}"),
            Self::WorkerLost => f.write_str("a shard's thread died while starting"),
        }
    }
}

impl std::error::Error for StartError {}

/// The front's side of one shard.
struct Lane {
    commands: Producer<Sequenced<Command>>,
    /// `None` when events do not leave the shard.
    events: Option<Consumer<Event>>,
    shared: Arc<Shared>,
    control: Sender<Control>,
    thread: Option<JoinHandle<()>>,
    /// Commands routed to it.
    routed: u64,
}

/// Worker threads and the front's ends of their rings.
pub struct Runtime {
    lanes: Vec<Lane>,
    placement: Placement,
    inline_max: usize,
    pins: Vec<PinOutcome>,
}

impl Runtime {
    /// Starts the workers. `wake` is called from their threads when there are events to drain.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(config: &RuntimeConfig, wake: &Arc<dyn Wake>) -> Result<Self, StartError> {
        Self::resume(config, wake, Vec::new())
    }

    /// The same with books that go on; those of the placement that are not among them begin empty.
    ///
    /// # Errors
    /// When the system gives no thread.
    ///
    /// # Panics
    /// When a book is not in the placement, or there twice.
    pub fn resume(
        config: &RuntimeConfig,
        wake: &Arc<dyn Wake>,
        books: Vec<Book>,
    ) -> Result<Self, StartError> {
        let placement = config.placement.clone();
        let mut given: Vec<Option<Book>> = (0..placement.instruments()).map(|_| None).collect();
        for book in books {
            let instrument = book.instrument();
            let before = given[instrument.0 as usize].replace(book);
            assert!(before.is_none(), "one book for {instrument}");
        }
        let (pinned, outcomes) = unbounded();
        let mut lanes = Vec::new();
        for id in (0..placement.shards()).map(ShardId) {
            let book_of = |id: InstrumentId| given[id.0 as usize].take().unwrap_or_else(|| Book::new(id));
            let books = placement.books_of(id).map(book_of).collect();
            let (commands, consumer) = ring::ring(config.command_slots);
            let (outlet, events, probe) = if config.hash_events {
                (Outlet::to_hash(placement.instruments()), None, None)
            } else {
                let (producer, consumer) = ring::ring(config.event_slots);
                let probe = producer.probe();
                (Outlet::to_ring(producer), Some(consumer), Some(probe))
            };
            let shared = Arc::new(Shared {
                shard: std::sync::Mutex::new(Shard::new(consumer, outlet, books)),
                parking: Parking::new(),
                blocked: AtomicBool::new(false),
                counters: ShardCounters::default(),
                commands: commands.probe(),
                events: probe,
            });
            let (control, receiver) = unbounded();
            let setup = WorkerSetup {
                id,
                idle: config.idle,
                shared_cores: config.shared_cores,
                core: config.cores.get(usize::from(id.0)).copied(),
                control: receiver,
                pinned: pinned.clone(),
            };
            let thread = worker::spawn(setup, Arc::clone(&shared), Arc::clone(wake))
                .map_err(|error| StartError::Spawn(id, error))?;
            lanes.push(Lane { commands, events, shared, control, thread: Some(thread), routed: 0 });
        }
        let mut pins = vec![PinOutcome::Unpinned; lanes.len()];
        for _ in 0..lanes.len() {
            let (id, outcome) = outcomes.recv().map_err(|_| StartError::WorkerLost)?;
            pins[usize::from(id.0)] = outcome;
        }
        Ok(Self { lanes, placement, inline_max: config.inline_max, pins })
    }

    /// What came of pinning each worker.
    #[must_use]
    pub fn pins(&self) -> &[PinOutcome] {
        &self.pins
    }

    /// Whether the ring of this book's shard has room for a command.
    #[inline]
    pub fn accepts(&mut self, instrument: InstrumentId) -> bool {
        let shard = self.placement.shard_of(instrument);
        self.lanes[usize::from(shard.0)].commands.room() > 0
    }

    /// Whether this command finds room wherever [`route`](Self::route) puts it.
    #[inline]
    pub fn accepts_command(&mut self, command: &Command) -> bool {
        match command.instrument() {
            Some(instrument) => self.accepts(instrument),
            None => !command.is_market_wide() || self.lanes.iter_mut().all(|lane| lane.commands.room() > 0),
        }
    }

    /// Hands a command to its shard, or to all. Not visible to them before [`publish`](Self::publish).
    ///
    /// # Panics
    /// When the ring is full: the caller asks before it sequences.
    #[inline]
    pub fn route(&mut self, command: &Sequenced<Command>) {
        if let Some(instrument) = command.command.instrument() {
            let shard = self.placement.shard_of(instrument);
            self.lanes[usize::from(shard.0)].route(command);
        } else if command.command.is_market_wide() {
            for lane in &mut self.lanes {
                lane.route(command);
            }
        }
    }

    /// Makes routed commands visible; wakes workers that sleep, or executes a short backlog in their place.
    pub fn publish(&mut self) {
        for lane in &mut self.lanes {
            if lane.commands.publish() {
                lane.serve(self.inline_max);
            }
        }
    }

    /// Takes up to `max` events from each shard and hands them on, each shard's in its order. Returns how many.
    /// Stops early when `take` says so; the event that it was called with has been taken.
    pub fn drain(&mut self, max: usize, mut take: impl FnMut(&Event) -> bool) -> usize {
        let mut taken = 0;
        for lane in &mut self.lanes {
            let Some(events) = &mut lane.events else { continue };
            let mut from_lane = 0;
            let mut go_on = true;
            while go_on && from_lane < max {
                let Some(event) = events.pop() else { break };
                from_lane += 1;
                go_on = take(&event);
            }
            if from_lane > 0 {
                events.release();
                taken += from_lane;
                if lane.shared.blocked.load(Ordering::Acquire) {
                    lane.wake();
                }
            }
            if !go_on {
                break;
            }
        }
        taken
    }

    /// Whether there are events to drain.
    #[must_use]
    pub fn has_events(&self) -> bool {
        self.lanes.iter().any(|lane| lane.shared.events.as_ref().is_some_and(ring::Probe::has_items))
    }

    /// Whether every routed command has been executed and every event drained.
    #[must_use]
    pub fn is_quiescent(&self) -> bool {
        self.lanes.iter().all(Lane::is_done) && !self.has_events()
    }

    /// Looks at the load and lets the policy decide, if its period is over. Call it every turn; `now_nanos` comes from
    /// the clock that the caller uses for this all the time.
    pub fn tick(&mut self, now_nanos: u64) {
        let _ = now_nanos;
    }

    /// Asks for another home for a unit; false when it lives there already, is under way, or finds no room.
    pub fn move_unit(&mut self, unit: Unit, to: ShardId, why: Why) -> bool {
        let _ = (unit, to, why);
        false
    }

    /// Hands on what balancing has done since the last call.
    pub fn take_balance_events(&mut self, take: impl FnMut(&BalanceEvent)) {
        let _ = take;
    }

    /// How many commands of this book have been routed and not executed yet; never too few.
    pub fn outstanding(&mut self, instrument: InstrumentId) -> u64 {
        let shard = self.placement.shard_of(instrument);
        self.lanes[usize::from(shard.0)].commands.len() as u64
    }

    /// How the load is spread, and what balancing does about it.
    #[must_use]
    pub fn balance_stats(&self) -> BalanceStats {
        BalanceStats::default()
    }

    /// What each shard has done.
    #[must_use]
    pub fn stats(&self) -> Vec<ShardStats> {
        self.lanes.iter().map(Lane::stats).collect()
    }

    /// Hashes every book, between two commands of its shard, by instrument index. For a hash of one moment, call it
    /// when the runtime [is quiescent](Self::is_quiescent).
    #[must_use]
    pub fn hashes(&mut self) -> Vec<BookHashes> {
        let replies: Vec<_> = self
            .lanes
            .iter()
            .map(|lane| {
                let (reply, answer) = bounded(1);
                lane.ask(Control::Hash(reply));
                answer
            })
            .collect();
        let mut all: Vec<_> =
            replies.into_iter().flat_map(|answer| answer.recv().expect("a worker answers")).collect();
        all.sort_by_key(|hashes| hashes.instrument);
        all
    }

    /// Stops the workers and gives up the books, by instrument index. Commands not yet executed stay undone.
    #[must_use]
    pub fn finish(mut self) -> Vec<Book> {
        self.stop();
        let mut books: Vec<_> = std::mem::take(&mut self.lanes)
            .into_iter()
            .filter_map(|lane| Arc::into_inner(lane.shared))
            .flat_map(|shared| {
                shared.shard.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).into_books()
            })
            .collect();
        books.sort_by_key(Book::instrument);
        books
    }

    fn stop(&mut self) {
        for lane in &self.lanes {
            lane.ask(Control::Stop);
        }
        for lane in &mut self.lanes {
            if let Some(thread) = lane.thread.take() {
                // A worker that panicked has said so on standard error already.
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Lane {
    #[inline]
    fn route(&mut self, command: &Sequenced<Command>) {
        assert!(self.commands.push(*command).is_ok(), "room was asked for before sequencing");
        self.routed += 1;
    }

    /// After publishing: nothing to do for a worker that is awake; a sleeping one is woken, or stood in for.
    fn serve(&mut self, inline_max: usize) {
        if !self.shared.parking.is_announced() {
            return;
        }
        if self.commands.len() <= inline_max {
            match self.shared.shard.try_lock() {
                Ok(mut shard) => {
                    let progress = self.shared.run(&mut shard, inline_max);
                    self.shared.counters.inline.fetch_add(progress.commands as u64, Ordering::Relaxed);
                    return;
                }
                // Its worker is just going to sleep or just awake: wake it for sure.
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Poisoned(_)) => panic!("shard thread died"),
            }
        }
        self.wake();
    }

    fn wake(&self) {
        if self.shared.parking.must_wake() {
            self.unpark();
        }
    }

    fn ask(&self, control: Control) {
        // The receiver lives as long as the worker; a worker that is gone needs no asking.
        let _ = self.control.send(control);
        self.unpark();
    }

    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    fn is_done(&self) -> bool {
        self.shared.counters.commands.load(Ordering::Acquire) == self.routed
            && !self.shared.blocked.load(Ordering::Acquire)
    }

    fn stats(&self) -> ShardStats {
        use Ordering::Relaxed;
        let counters = &self.shared.counters;
        ShardStats {
            commands: counters.commands.load(Relaxed),
            inline: counters.inline.load(Relaxed),
            events: counters.events.load(Relaxed),
            arrived: self.routed,
            depth: self.shared.commands.len(),
            blocked: counters.blocked.load(Relaxed),
            sleeps: counters.sleeps.load(Relaxed),
            ..ShardStats::default()
        }
    }
}
