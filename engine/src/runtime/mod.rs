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
//! Which thread runs which book at which moment is the business of `schedule`, and where books live
//! and when they are stolen that of [`balance`](crate::balance); here are the threads.
//!
//! Absent here: any clock; who wants balancing lends one.

mod balancing;
mod floor;
mod idle;
mod lane;
mod outlet;
mod parking;
mod pin;
pub mod ring;
mod stats;
mod worker;

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crossbeam_channel::{Sender, bounded, unbounded};
use domain::{Command, Event, InstrumentId, Sequenced, ShardId};

use crate::balance::{BalanceMode, Hints, Tuning};
pub use crate::balance::{Placement, PlacementPolicy};

use self::{
    balancing::Balancing,
    floor::{Counters, Floor, Shard, SharedRule},
    lane::Lane,
    outlet::{Outlet, Said},
    ring::Consumer,
    worker::{Control, Worker, WorkerSetup},
};
pub use self::{
    idle::{Backoff, Idle, Step},
    parking::Parking,
    pin::{PinOutcome, cores, pin_current_thread},
    stats::{BalanceStats, HotBook, ShardStats},
    worker::{BookState, Wake},
};
use crate::{
    book::{Book, BookImage},
    schedule::{Glance, Item, Queue, Slots, Tags, lock::Lock},
};

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
    /// What may happen to where books run.
    pub balance: BalanceMode,
    /// The numbers that balancing runs by.
    pub tuning: Tuning,
    /// Where books must live, whatever the load. The placement keeps them already.
    pub hints: Hints,
    /// For each shard, which of the machine's shared caches its core uses, by any number: stealing stays within one.
    /// Shards beyond its end share a cache with all others.
    pub domains: Vec<u16>,
    /// The time, in nanoseconds since any fixed moment, the same for all threads: for measuring who is busy. Nothing
    /// that a book says depends on it.
    pub clock: fn() -> u64,
    /// Called by every worker between two batches, with nothing in hand: where the front has no core, a benchmark takes
    /// its turns there.
    pub pause: Option<fn()>,
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
            balance: BalanceMode::Off,
            tuning: Tuning::default(),
            hints: Hints::default(),
            domains: Vec::new(),
            clock: || 0,
            pause: None,
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

/// Where one book's commands go.
#[derive(Clone, Copy, Debug, Default)]
struct Route {
    /// Commands routed to it so far.
    number: u64,
    /// Of those, since the policy was asked last.
    arrivals: u32,
    /// How often its home has changed.
    epoch: u32,
    home: u16,
}

/// Worker threads and the front's ends of their rings.
pub struct Runtime {
    lanes: Vec<Lane>,
    /// By shard: what its books say.
    events: Vec<Consumer<Said>>,
    floor: Arc<Floor>,
    /// By book.
    routes: Vec<Route>,
    /// Commands for all books so far.
    alls: u32,
    balancing: Balancing,
    inline_max: usize,
    pins: Vec<PinOutcome>,
}

/// Ring items that a worker claims at a time: many make the lock cheap, few leave more to thieves.
const BATCH: usize = 16;
/// The same when nobody steals, or when books are so many that looking ahead pays.
const BATCH_ALONE: usize = 64;
/// Balance events that a worker keeps for the front.
const NOTES: usize = 1_024;

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
        let instruments = placement.instruments() as usize;
        let shards = usize::from(placement.shards());
        let mut given: Vec<Option<Book>> = (0..instruments).map(|_| None).collect();
        for book in books {
            let instrument = book.instrument();
            let before = given[instrument.0 as usize].replace(book);
            assert!(before.is_none(), "one book for {instrument}");
        }
        let books = given.into_iter().enumerate().map(|(index, book)| {
            // As many as the placement has, which numbers them with a u32.
            book.unwrap_or_else(|| Book::new(InstrumentId(index as u32)))
        });
        let (mut lanes, mut events, mut floor_shards) = (Vec::new(), Vec::new(), Vec::new());
        let mut receivers = Vec::new();
        for id in (0..placement.shards()).map(ShardId) {
            let (commands, consumer) = ring::ring(config.command_slots);
            let tags = Tags::new(commands.slots());
            let (said, said_out) = ring::ring(config.event_slots);
            let probe = said.probe();
            let (notes, notes_out) = ring::ring(NOTES);
            let outlet = Outlet::new(said, shards, instruments);
            let worker = Worker::new(id, outlet, consumer.reader(), notes, shards);
            let members = placement.books_of(id).map(|book| book.0);
            floor_shards.push(Shard {
                glance: Glance::default(),
                worker: Mutex::new(worker),
                parking: Parking::new(),
                thread: OnceLock::new(),
                blocked: AtomicBool::new(false),
                stalled: AtomicBool::new(false),
                counters: Counters::default(),
                commands: commands.probe(),
                tags: tags.clone(),
                events: probe,
                reserved: config.hints.reserved.contains(&id),
                domain: config.domains.get(usize::from(id.0)).copied().unwrap_or_default(),
                queue: Lock::new(Queue::new(id.0, consumer, tags.clone(), members)),
            });
            let (control, receiver) = unbounded();
            receivers.push(receiver);
            let books = placement.books_of(id).count();
            lanes.push(Lane::new(commands, tags, notes_out, control, books as u32));
            events.push(said_out);
        }
        let alone = shards == 1 || !config.balance.steals() || config.shared_cores;
        let floor = Arc::new(Floor {
            slots: Slots::new(books),
            shards: floor_shards.into_boxed_slice(),
            rule: SharedRule::default(),
            batch: if alone || instruments / shards >= crate::book::BOOKS_MIN { BATCH_ALONE } else { BATCH },
            clock: config.clock,
            pause: config.pause,
            any_stalled: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            notes_lost: AtomicU64::new(0),
        });
        let (pinned, outcomes) = unbounded();
        for (at, (lane, control)) in lanes.iter_mut().zip(receivers).enumerate() {
            let id = ShardId(at as u16);
            let setup = WorkerSetup {
                id,
                idle: config.idle,
                shared_cores: config.shared_cores,
                core: config.cores.get(at).copied(),
                control,
                pinned: pinned.clone(),
            };
            let thread = worker::spawn(setup, Arc::clone(&floor), Arc::clone(wake))
                .map_err(|error| StartError::Spawn(id, error))?;
            // Set once: here.
            let _ = floor.shards[at].thread.set(thread.thread().clone());
            lane.thread = Some(thread);
        }
        let mut pins = vec![PinOutcome::Unpinned; lanes.len()];
        for _ in 0..lanes.len() {
            let (id, outcome) = outcomes.recv().map_err(|_| StartError::WorkerLost)?;
            pins[usize::from(id.0)] = outcome;
        }
        let route =
            |book: usize| Route { home: placement.shard_of(InstrumentId(book as u32)).0, ..Route::default() };
        let routes = (0..instruments).map(route).collect();
        let balancing = Balancing::new(config, placement, &floor);
        Ok(Self { lanes, events, floor, routes, alls: 0, balancing, inline_max: config.inline_max, pins })
    }

    /// What came of pinning each worker.
    #[must_use]
    pub fn pins(&self) -> &[PinOutcome] {
        &self.pins
    }

    /// Whether the ring of this book's shard has room for a command.
    #[inline]
    pub fn accepts(&mut self, instrument: InstrumentId) -> bool {
        let home = self.routes[instrument.0 as usize].home;
        self.lanes[usize::from(home)].commands.room() > 0
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
            let route = &mut self.routes[instrument.0 as usize];
            route.number += 1;
            if route.arrivals == 0 {
                self.balancing.touched.push(instrument);
            }
            route.arrivals = route.arrivals.saturating_add(1);
            let item = Item::One { book: instrument.0, number: route.number, command: *command };
            self.lanes[usize::from(route.home)].route(item);
        } else if command.command.is_market_wide() {
            self.alls += 1;
            for lane in &mut self.lanes {
                lane.route(Item::All { number: self.alls, command: *command });
            }
        }
    }

    /// Makes routed commands visible; wakes workers that sleep, or executes a short backlog in their place.
    pub fn publish(&mut self) {
        let Self { lanes, floor, balancing, inline_max, .. } = self;
        for (at, lane) in lanes.iter_mut().enumerate() {
            if lane.commands.publish() {
                lane.serve(floor, at, *inline_max);
                balancing.call_for_help(floor, at, lane);
            }
        }
    }

    /// Takes up to `max` events from each worker and hands them on, each book's in its order. Returns how many.
    /// Stops early when `take` says so; the event that it was called with has been taken.
    pub fn drain(&mut self, max: usize, mut take: impl FnMut(&Event) -> bool) -> usize {
        let mut total = 0;
        loop {
            let before = total;
            let mut held_up = false;
            for at in 0..self.lanes.len() {
                let drained = self.drain_lane(at, max, &mut take);
                total += drained.events;
                held_up |= drained.held_up;
                if drained.stopped {
                    return total;
                }
            }
            // What held one up may have been taken from another since.
            if !held_up || total == before {
                return total;
            }
        }
    }

    fn drain_lane(&mut self, at: usize, max: usize, take: &mut impl FnMut(&Event) -> bool) -> Drained {
        let Self { lanes, events, floor, .. } = self;
        let events = &mut events[at];
        let mut drained = Drained::default();
        let mut items = 0;
        'lane: while drained.events < max {
            let said = events.readable(max - drained.events);
            if said.is_empty() {
                break;
            }
            let mut read = 0;
            for said in said {
                match said {
                    Said::Event(event) => {
                        read += 1;
                        drained.events += 1;
                        if !take(event) {
                            drained.stopped = true;
                            break;
                        }
                    }
                    Said::After { outlet, position } => {
                        if lanes[usize::from(*outlet)].taken < *position {
                            drained.held_up = true;
                            break;
                        }
                        read += 1;
                    }
                }
            }
            events.take(read);
            items += read;
            if drained.stopped || drained.held_up {
                break 'lane;
            }
        }
        if items > 0 {
            events.release();
            lanes[at].taken += items as u64;
            // Room first, then the look, with the fence between them that `Parking` asks for.
            let shard = &floor.shards[at];
            if shard.parking.is_announced() && shard.blocked.load(Ordering::Acquire) {
                floor.wake(at);
            }
        }
        drained
    }

    /// Whether there are events to drain.
    #[must_use]
    pub fn has_events(&self) -> bool {
        self.floor.shards.iter().any(|shard| shard.events.has_items())
    }

    /// Whether every routed command has been executed and every event drained.
    #[must_use]
    pub fn is_quiescent(&self) -> bool {
        self.is_settled() && !self.has_events()
    }

    fn is_settled(&self) -> bool {
        // A panic of a worker leaves what it had in hand unsettled for ever.
        assert!(!self.floor.dead.load(Ordering::Acquire), "a shard's thread died");
        let mut lanes = self.lanes.iter().enumerate();
        lanes.all(|(at, lane)| lane.commands.is_published() && self.floor.is_settled(at))
    }

    /// How many commands of this book have been routed and not executed yet; never too few.
    #[inline]
    pub fn outstanding(&mut self, instrument: InstrumentId) -> u64 {
        let route = &self.routes[instrument.0 as usize];
        route.number - self.floor.slots.executed(instrument.0)
    }

    /// What each shard has done.
    #[must_use]
    pub fn stats(&self) -> Vec<ShardStats> {
        self.lanes.iter().zip(&self.floor.shards).map(|(lane, shard)| lane.stats(shard)).collect()
    }

    /// Hashes every book, by instrument index.
    ///
    /// # Panics
    /// When not everything routed has been executed: call it when the runtime [is quiescent](Self::is_quiescent).
    #[must_use]
    pub fn hashes(&self) -> Vec<BookState> {
        let mut all = self.ask_all(Control::Hash);
        all.sort_by_key(|book| book.instrument);
        all
    }

    /// Shows every book, by instrument index.
    ///
    /// # Panics
    /// As [`hashes`](Self::hashes).
    #[must_use]
    pub fn images(&self) -> Vec<BookImage> {
        let mut all = self.ask_all(Control::Show);
        all.sort_by_key(|book| book.header.instrument);
        all
    }

    /// Asks every worker, and waits for the answers.
    fn ask_all<T>(&self, question: impl Fn(Sender<Vec<T>>) -> Control) -> Vec<T> {
        assert!(self.is_settled(), "books are shown of one moment: when everything has been executed");
        let replies: Vec<_> = self
            .lanes
            .iter()
            .map(|lane| {
                let (reply, answer) = bounded(1);
                lane.ask(question(reply));
                answer
            })
            .collect();
        replies.into_iter().flat_map(|answer| answer.recv().expect("a worker answers")).collect()
    }

    /// Stops the workers and gives up the books, by instrument index. Commands not yet executed stay undone.
    #[must_use]
    pub fn finish(mut self) -> Vec<Book> {
        self.stop();
        let floor = Arc::clone(&self.floor);
        drop(self);
        let floor = Arc::into_inner(floor).expect("the workers are gone");
        floor.slots.into_books().collect()
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

/// What came of draining one lane.
#[derive(Default)]
struct Drained {
    events: usize,
    /// The caller has had enough.
    stopped: bool,
    /// What comes next must wait for another lane.
    held_up: bool,
}
