//! The machine as the runtime is built: a sequencer that routes, rings, workers that run books straight from their
//! ring, thieves that take backlog through mailboxes, and homes that change.
//!
//! Time is in whole nanoseconds, and each step of a worker is one event:
//! 1. a worker runs the oldest ready book of its own shard: its whole mailbox;
//! 2. or it claims up to a batch of commands from its ring and runs them in order. Books of the batch are in its hands
//!    until the batch ends. What belongs to a book that somebody else has in hand, or that has a mailbox, goes into the
//!    mailbox;
//! 3. or it looks at the other shards, and where the [`StealRule`] says so it takes the visible backlog out of the ring
//!    into mailboxes and then the oldest ready books, as many as the rule allows. It runs them and gives each back;
//! 4. or it is idle, and does (3) as soon as a shard's backlog is worth it.
//!
//! A thief of (3) may run a book whose home is inside a long command; it may not have books of the home's batch.
//!
//! Homes change at the sequencer, between two commands. What was sent before is executed at the old home; what comes
//! after waits at the new home until that is done.

mod book;
mod decide;
mod steal;
mod worker;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use domain::InstrumentId;
use engine::balance::{BookLoad, Decision, Hints, Placement, Policy, ShardLoad, StealRule, policy};

use self::book::{Book, Segment};
use crate::{
    Arm, Costs, Outcome, Scenario, Service,
    flow::{Burst, known_rates},
};

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A worker's step ends.
    Done(u16),
    /// A shard has shown no progress since the step with this number began its long command.
    Unmoved(u16, u64),
}

/// What a worker is about.
#[derive(Debug, Default)]
struct Worker {
    busy: bool,
    /// Counts steps, so that an event for one that has ended is known for what it is.
    step: u64,
    /// Books in hand whose commands are executed by the end of this step, with how many.
    running: Vec<(u32, u32)>,
    /// Books taken from another shard and not begun.
    taken: VecDeque<u32>,
    /// Books run so far: what makes others cold.
    visits: u64,
    /// Time busy in this period, in nanoseconds; steps count where they begin.
    busy_nanos: u64,
    /// Since when this shard has shown no progress, while its worker is in a long command.
    stuck_since: Option<u64>,
}

/// A shard's ring and its ready books.
#[derive(Debug, Default)]
struct Shard {
    ring: VecDeque<Segment>,
    /// Commands in the ring.
    waiting: u32,
    /// Ready books by the number of their first command, the oldest first.
    ready: VecDeque<(u64, u32)>,
    /// Commands sent to it in this period.
    arrived: u64,
    /// Commands sent to it and not done.
    outstanding: u64,
}

/// All of it.
struct Machine {
    costs: Costs,
    batch: u32,
    publish: u32,
    service: Service,
    measured_from: u64,
    books: Vec<Book>,
    shards: Vec<Shard>,
    workers: Vec<Worker>,
    /// Workers that do nothing, a bit each.
    idle: u128,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    /// Numbers events, so that those of one moment come in the order in which they were made.
    event_number: u64,
    now: u64,
    /// The policy's time when the clock started.
    epoch: u64,
    rule: Option<StealRule>,
    /// Where the choice of an idle worker goes on.
    next_thief: u16,
    policy: Box<dyn Policy>,
    placement: Placement,
    touched: Vec<u32>,
    loads: Vec<BookLoad>,
    shard_loads: Vec<ShardLoad>,
    decision: Decision,
    outcome: Outcome,
}

/// The most cores that a machine can have.
pub const CORES_MAX: u16 = 128;

/// Runs a scenario on a machine with this policy.
///
/// # Panics
/// When there are no cores, or more than [`CORES_MAX`].
#[must_use]
pub fn simulate(scenario: &Scenario, arm: &Arm) -> Outcome {
    assert!((1..=CORES_MAX).contains(&scenario.cores), "1 to {CORES_MAX} cores");
    let mut machine = Machine::new(scenario, arm);
    machine.warm_up(scenario, arm);
    machine.run(scenario, arm.tuning.period_nanos);
    machine.outcome
}

impl Machine {
    fn new(scenario: &Scenario, arm: &Arm) -> Self {
        let rates = if arm.knows_rates {
            known_rates(&scenario.shape, scenario.books, scenario.seed)
        } else {
            vec![1; scenario.books as usize]
        };
        let hints = Hints::default();
        let placement = Placement::with(arm.placement, &rates, &hints, scenario.cores)
            .expect("without hints there is none to break");
        let books = (0..scenario.books).map(|id| Book::new(placement.shard_of(InstrumentId(id)).0)).collect();
        let cores = usize::from(scenario.cores);
        Self {
            costs: scenario.costs,
            batch: arm.batch,
            publish: arm.publish,
            service: Service::new(scenario.service, scenario.costs.service_nanos, scenario.seed),
            measured_from: scenario.measured_from(),
            books,
            shards: (0..cores).map(|_| Shard::default()).collect(),
            workers: (0..cores).map(|_| Worker::default()).collect(),
            idle: u128::MAX >> (128 - cores),
            events: BinaryHeap::new(),
            event_number: 0,
            now: 0,
            epoch: 0,
            rule: None,
            next_thief: 0,
            policy: policy(arm.balance, arm.tuning, &hints),
            placement,
            touched: Vec::new(),
            loads: Vec::new(),
            shard_loads: vec![ShardLoad::default(); cores],
            decision: Decision::default(),
            outcome: Outcome::new(),
        }
    }

    fn run(&mut self, scenario: &Scenario, period: u64) {
        let mut flow = scenario.flow();
        let mut arrived = 0;
        let mut next = flow.next_burst();
        let mut tick = period;
        loop {
            let event = self.events.peek().map(|Reverse((at, ..))| *at);
            let arrival = (arrived < scenario.commands).then_some(next.at);
            let Some(first) = event.into_iter().chain(arrival).min() else { break };
            if tick <= first {
                self.now = tick;
                self.decide(period);
                tick += period;
            } else if event == Some(first) {
                let Some(Reverse((at, _, event))) = self.events.pop() else { unreachable!("it was there") };
                self.now = at;
                match event {
                    Event::Done(core) => self.done(core),
                    Event::Unmoved(shard, step) => self.unmoved(shard, step),
                }
            } else {
                self.now = next.at;
                self.arrive(next, arrived);
                arrived += u64::from(next.commands);
                self.outcome.span = next.at;
                next = flow.next_burst();
            }
        }
        assert_eq!(self.outcome.executed, arrived, "each command is executed once");
        assert!(self.books.iter().all(|book| book.outstanding == 0 && book.mailbox.is_empty()));
    }

    /// The sequencer routes a burst.
    fn arrive(&mut self, burst: Burst, first: u64) {
        let Burst { at, book: id, commands: count } = burst;
        let segment = Segment { at, first, book: id, count };
        let book = &mut self.books[id as usize];
        if book.arrivals == 0 {
            self.touched.push(id);
        }
        book.arrivals += count;
        let home = book.route;
        let moving = book.is_moving();
        if moving {
            book.stash.push_back(segment);
        } else {
            book.outstanding += count;
        }
        let shard = &mut self.shards[usize::from(home)];
        shard.arrived += u64::from(count);
        shard.outstanding += u64::from(count);
        if !moving {
            shard.ring.push_back(segment);
            shard.waiting += count;
            self.call(home);
        }
    }

    /// A shard has something to do: its own worker comes if it is idle, and others if it is worth it.
    fn call(&mut self, shard: u16) {
        if self.is_idle(shard) {
            self.begin(shard);
        }
        while self.idle != 0 && self.is_worth(shard) {
            let thief = self.next_idle();
            self.begin(thief);
            if self.is_idle(thief) {
                // It saw what others had seen and found nothing to take.
                break;
            }
        }
    }

    fn is_idle(&self, core: u16) -> bool {
        self.idle >> core & 1 == 1
    }

    /// An idle worker: each in turn.
    fn next_idle(&mut self) -> u16 {
        let from = self.idle & (u128::MAX << self.next_thief);
        let idle = if from == 0 { self.idle } else { from };
        let core = idle.trailing_zeros() as u16;
        self.next_thief = (core + 1) % self.workers.len() as u16;
        core
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.event_number += 1;
        self.events.push(Reverse((at, self.event_number, event)));
    }

    /// A step of a worker takes until `end`.
    fn occupy(&mut self, core: u16, end: u64) {
        let nanos = end - self.now;
        let worker = &mut self.workers[usize::from(core)];
        worker.busy = true;
        worker.busy_nanos += nanos;
        self.outcome.busy += nanos;
        self.idle &= !(1 << core);
        self.schedule(end, Event::Done(core));
    }

    /// Puts a book among its shard's ready ones, if it has commands and nobody has it.
    fn make_ready(&mut self, id: u32) {
        let book = &mut self.books[id as usize];
        if book.ready || book.holder != book::NOBODY {
            return;
        }
        if let Some(head) = book.mailbox.front() {
            book.ready = true;
            let ready = &mut self.shards[usize::from(book.shard)].ready;
            // Mostly the youngest, so the search from the back is short.
            let place =
                ready.iter().rposition(|(first, _)| *first < head.first).map_or(0, |before| before + 1);
            ready.insert(place, (head.first, id));
        }
    }
}
