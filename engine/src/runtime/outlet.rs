//! Where a worker's events go, and how books speak through it.

use domain::{Command, Event, EventKind, EventSink, InstrumentId, Nanos, Sequence, Sequenced};

use crate::{
    book::{BOOKS_MIN, Book, Stage},
    hash::EventHash,
    runtime::ring::Producer,
    schedule::Executor,
};

/// A book, and the hash of what it has said if events are hashed.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) book: Book,
    pub(crate) hash: EventHash,
}

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
    sink: Sink,
    /// Where and when the next event happens; its kind is none of these.
    next: Next,
    /// Items put into the ring or waiting for it, ever.
    position: u64,
    /// By worker: the position up to which what we say comes after what it says.
    after: Vec<u64>,
    /// Events since [`publish`](Self::publish).
    said: u64,
    looks_ahead: bool,
}

/// An event but for its kind.
#[derive(Clone, Copy, Default)]
struct Next {
    sequence: Sequence,
    nanos: Nanos,
    instrument: InstrumentId,
    index: u32,
}

enum Sink {
    /// To the front, through a ring; what does not fit waits here, in order.
    Ring { ring: Producer<Said>, waiting: Vec<Said>, passed: usize },
    /// Into a hash that goes with each book; the events themselves are dropped. For replay.
    Hash,
}

impl Outlet {
    /// Events go through this ring, or are hashed when there is none; so many workers, so many books.
    pub(crate) fn new(ring: Option<Producer<Said>>, workers: usize, books: usize) -> Self {
        Self {
            sink: ring.map_or(Sink::Hash, |ring| Sink::Ring { ring, waiting: Vec::new(), passed: 0 }),
            next: Next::default(),
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
        let Sink::Ring { ring, waiting, passed } = &mut self.sink else { return true };
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
        let visible = match &mut self.sink {
            Sink::Ring { ring, .. } => ring.publish(),
            Sink::Hash => false,
        };
        (core::mem::take(&mut self.said), visible)
    }

    #[inline(always)]
    fn put(&mut self, said: Said) {
        self.position += 1;
        if let Sink::Ring { ring, waiting, .. } = &mut self.sink
            && (!waiting.is_empty() || ring.push(said).is_err())
        {
            waiting.push(said);
        }
    }
}

impl Executor<Seat, Sequenced<Command>> for Outlet {
    #[inline(always)]
    fn run(&mut self, seat: &mut Seat, command: &Sequenced<Command>) {
        let Seat { book, hash } = seat;
        book.apply(command, &mut Voice { outlet: self, hash });
    }

    fn order_after(&mut self, outlet: u16, position: u64) {
        let after = &mut self.after[usize::from(outlet)];
        if *after < position && matches!(self.sink, Sink::Ring { .. }) {
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
    fn ask(&self, seat: &Seat, command: &Sequenced<Command>, stage: usize) {
        const STAGES: [Stage; 4] = [Stage::Neighbours, Stage::Cell, Stage::Slot, Stage::Header];
        seat.book.ask(STAGES[stage], &command.command);
    }
}

/// One book's way to the outlet.
struct Voice<'a> {
    outlet: &'a mut Outlet,
    hash: &'a mut EventHash,
}

impl EventSink for Voice<'_> {
    #[inline(always)]
    fn begin(&mut self, sequence: Sequence, nanos: Nanos, instrument: InstrumentId) {
        self.outlet.next = Next { sequence, nanos, instrument, index: 0 };
    }

    #[inline(always)]
    fn push(&mut self, kind: EventKind) {
        let Next { sequence, nanos, instrument, index } = self.outlet.next;
        let event = Event { sequence, nanos, instrument, index, kind };
        // A command says fewer than 2^32 events: each needs an order, which needs a cell.
        self.outlet.next.index = index.wrapping_add(1);
        self.outlet.said += 1;
        match &self.outlet.sink {
            Sink::Ring { .. } => self.outlet.put(Said::Event(event)),
            Sink::Hash => self.hash.update(&event),
        }
    }
}
