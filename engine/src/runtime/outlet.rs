//! Where a worker's events go, and how books speak through it.

use domain::{Command, Event, EventKind, EventSink, InstrumentId, Nanos, NextEvent, Sequence, Sequenced};

use crate::{
    book::{BOOKS_MIN, Book, Stage},
    runtime::ring::Producer,
    schedule::Executor,
};

/// What goes through a worker's event ring.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said {
    /// A book said something.
    Event(Event),
    /// What follows comes after everything that another worker said up to a position of its ring.
    After { outlet: u16, position: u64 },
}

// An event and the exception cost the same room.
const _: () = assert!(size_of::<Said>() == size_of::<Event>());

/// Takes what books say on one worker.
pub(crate) struct Outlet {
    ring: Producer<Said>,
    /// What did not fit, in order, and how much of it has been passed on since.
    waiting: Vec<Said>,
    passed: usize,
    next: NextEvent,
    /// Items put into the ring or waiting for it, ever.
    position: u64,
    /// By worker: the position up to which what we say comes after what it says.
    after: Vec<u64>,
    /// Events since [`publish`](Self::publish).
    said: u64,
    looks_ahead: bool,
}

impl Outlet {
    /// Events go through this ring; so many workers, so many books.
    pub(crate) fn new(ring: Producer<Said>, workers: usize, books: usize) -> Self {
        Self {
            ring,
            waiting: Vec::new(),
            passed: 0,
            next: NextEvent::default(),
            position: 0,
            after: vec![0; workers],
            said: 0,
            // One hot book gains nothing by it; more than the caches hold do.
            looks_ahead: books / workers >= BOOKS_MIN,
        }
    }

    /// Passes on what has waited. False when the ring is full before everything has gone.
    #[inline]
    pub(crate) fn pass_on(&mut self) -> bool {
        let Self { ring, waiting, passed, .. } = self;
        while let Some(said) = waiting.get(*passed) {
            if ring.push(*said).is_err() {
                return false;
            }
            *passed += 1;
        }
        waiting.clear();
        *passed = 0;
        true
    }

    /// Makes what has been passed on visible. Says how many events were said since the last time, and whether anything
    /// has become visible.
    pub(crate) fn publish(&mut self) -> (u64, bool) {
        (core::mem::take(&mut self.said), self.ring.publish())
    }

    #[inline(always)]
    fn put(&mut self, said: Said) {
        self.position += 1;
        if !self.waiting.is_empty() || self.ring.push(said).is_err() {
            self.waiting.push(said);
        }
    }
}

impl Executor<Book, Sequenced<Command>> for Outlet {
    #[inline(always)]
    fn run(&mut self, book: &mut Book, command: &Sequenced<Command>) {
        book.apply(command, self);
    }

    fn order_after(&mut self, outlet: u16, position: u64) {
        let after = &mut self.after[usize::from(outlet)];
        if *after < position {
            *after = position;
            self.put(Said::After { outlet, position });
        }
    }

    #[inline]
    fn position(&self) -> u64 {
        self.position
    }

    #[inline]
    fn looks_ahead(&self) -> bool {
        self.looks_ahead
    }

    #[inline(always)]
    fn ask(&self, book: &Book, command: &Sequenced<Command>, stage: usize) {
        const STAGES: [Stage; 4] = [Stage::Neighbours, Stage::Cell, Stage::Slot, Stage::Header];
        book.ask(STAGES[stage], &command.command);
    }
}

impl EventSink for Outlet {
    #[inline(always)]
    fn begin(&mut self, sequence: Sequence, nanos: Nanos, instrument: InstrumentId) {
        self.next = NextEvent::first(sequence, nanos, instrument);
    }

    #[inline(always)]
    fn push(&mut self, kind: EventKind) {
        let event = self.next.take(kind);
        self.said += 1;
        self.put(Said::Event(event));
    }
}
