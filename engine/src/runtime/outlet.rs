//! Where a shard's events go.

use domain::{Event, EventKind, EventSink, InstrumentId, Nanos, Sequence};

use crate::{hash::EventHash, runtime::ring::Producer};

/// Takes what the books of a shard say.
pub(crate) struct Outlet {
    sink: Sink,
    /// Where and when the next event happens; its kind is none of these.
    next: Next,
    /// Events since [`publish`](Self::publish).
    said: u64,
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
    Ring { ring: Producer<Event>, waiting: Vec<Event>, passed: usize },
    /// Into a hash for each book, by instrument; the events themselves are dropped. For replay.
    Hash(Vec<EventHash>),
}

impl Outlet {
    fn new(sink: Sink) -> Self {
        Self { sink, next: Next::default(), said: 0 }
    }

    /// Events go through this ring.
    pub(crate) fn to_ring(ring: Producer<Event>) -> Self {
        Self::new(Sink::Ring { ring, waiting: Vec::new(), passed: 0 })
    }

    /// Events are hashed; so many instruments.
    pub(crate) fn to_hash(instruments: u32) -> Self {
        Self::new(Sink::Hash(vec![EventHash::default(); instruments as usize]))
    }

    /// Passes on what has waited. False when the ring is full before everything has gone.
    #[inline]
    pub(crate) fn pass_on(&mut self) -> bool {
        let Sink::Ring { ring, waiting, passed } = &mut self.sink else { return true };
        while let Some(event) = waiting.get(*passed) {
            if ring.push(*event).is_err() {
                return false;
            }
            *passed += 1;
        }
        waiting.clear();
        *passed = 0;
        true
    }

    /// Makes what has been passed on visible. Says how much was said since the last time, and whether anything has
    /// become visible.
    pub(crate) fn publish(&mut self) -> (u64, bool) {
        let visible = match &mut self.sink {
            Sink::Ring { ring, .. } => ring.publish(),
            Sink::Hash(_) => false,
        };
        (core::mem::take(&mut self.said), visible)
    }

    /// Over every event of a book so far; the initial value unless events are hashed.
    pub(crate) fn event_hash(&self, instrument: InstrumentId) -> EventHash {
        match &self.sink {
            Sink::Ring { .. } => EventHash::default(),
            Sink::Hash(hashes) => hashes[instrument.0 as usize],
        }
    }
}

impl EventSink for Outlet {
    #[inline(always)]
    fn begin(&mut self, sequence: Sequence, nanos: Nanos, instrument: InstrumentId) {
        self.next = Next { sequence, nanos, instrument, index: 0 };
    }

    #[inline(always)]
    fn push(&mut self, kind: EventKind) {
        let Next { sequence, nanos, instrument, index } = self.next;
        let event = Event { sequence, nanos, instrument, index, kind };
        // A command says fewer than 2^32 events: each needs an order, which needs a cell.
        self.next.index = index.wrapping_add(1);
        self.said += 1;
        match &mut self.sink {
            Sink::Ring { ring, waiting, .. } => {
                if !waiting.is_empty() || ring.push(event).is_err() {
                    waiting.push(event);
                }
            }
            Sink::Hash(hashes) => hashes[instrument.0 as usize].update(&event),
        }
    }
}
