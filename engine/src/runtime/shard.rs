//! A shard: the books that one worker owns, the ring that feeds them and the ring that takes what they say.
//!
//! A shard never waits. When its event ring is full it keeps what it could not pass on, takes no further command,
//! and says that it is blocked; nothing is dropped or reordered.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::{Command, Event, Events, InstrumentId, Sequence, Sequenced};

use crate::{
    book::Book,
    hash::{EventHash, StateHash, book_hash},
    runtime::ring::{Consumer, Producer},
};

/// Where a shard's events go.
pub(crate) enum Sink {
    /// To the front, through a ring.
    Ring(Producer<Event>),
    /// Into a hash for each book; the events themselves are dropped. For replay.
    Hash,
}

/// A book and what its shard knows of it.
struct Owned {
    book: Book,
    /// The last command that the book has seen; commands arrive in rising order, whatever the scheduling.
    last: Sequence,
    /// Over every event since the book was made, when the sink asks for it.
    events: EventHash,
}

/// What a shard has done, for anyone to read while it works.
#[derive(Debug, Default)]
pub(crate) struct ShardCounters {
    /// Commands executed.
    pub(crate) commands: AtomicU64,
    /// Of those, executed by the front because the worker slept.
    pub(crate) inline: AtomicU64,
    /// Events said.
    pub(crate) events: AtomicU64,
    /// Times that the event ring was full.
    pub(crate) blocked: AtomicU64,
    /// Times that the worker went to sleep.
    pub(crate) sleeps: AtomicU64,
}

/// What one call of [`Shard::run`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Commands executed.
    pub(crate) commands: usize,
    /// Whether events were passed on.
    pub(crate) events: bool,
    /// Whether it stopped because the event ring is full.
    pub(crate) blocked: bool,
}

/// The books of one worker. Whoever holds it executes; the runtime keeps it behind a lock that its worker holds
/// while it is awake.
pub(crate) struct Shard {
    commands: Consumer<Sequenced<Command>>,
    sink: Sink,
    /// By instrument index; `None` where the book lives elsewhere.
    books: Vec<Option<Box<Owned>>>,
    events: Events,
    /// Events of `events` that have been passed on. `passed <= events.len()`.
    passed: usize,
}

impl Shard {
    pub(crate) fn new(
        commands: Consumer<Sequenced<Command>>,
        sink: Sink,
        instruments: u32,
        own: Vec<Book>,
    ) -> Self {
        let mut books: Vec<_> = (0..instruments).map(|_| None).collect();
        for book in own {
            let place = book.instrument().0 as usize;
            let last = book.last_sequence();
            books[place] = Some(Box::new(Owned { book, last, events: EventHash::default() }));
        }
        Self { commands, sink, books, events: Events::new(), passed: 0 }
    }

    /// Executes up to `max` commands.
    pub(crate) fn run(&mut self, max: usize, counters: &ShardCounters) -> Progress {
        let mut progress = Progress { commands: 0, events: false, blocked: false };
        progress.blocked = !self.pass_on(&mut progress.events);
        let mut said = 0;
        while !progress.blocked && progress.commands < max {
            let Some(command) = self.commands.pop() else { break };
            self.execute(&command);
            progress.commands += 1;
            said += self.events.as_slice().len() as u64;
            progress.blocked = !self.pass_on(&mut progress.events);
        }
        if let Sink::Ring(ring) = &mut self.sink {
            ring.publish();
        }
        if progress.commands > 0 {
            self.commands.release();
            counters.events.fetch_add(said, Ordering::Relaxed);
        }
        if progress.blocked {
            counters.blocked.fetch_add(1, Ordering::Relaxed);
        }
        if progress.commands > 0 {
            // Release, and after the events were published: who sees these commands done sees their events too,
            // but for those that a full ring holds back, which `blocked` tells.
            counters.commands.fetch_add(progress.commands as u64, Ordering::Release);
        }
        progress
    }

    fn execute(&mut self, command: &Sequenced<Command>) {
        if let Some(instrument) = command.command.instrument() {
            let owned = self.books[instrument.0 as usize].as_mut().expect("the book lives on this shard");
            owned.apply(command, &mut self.events);
        } else if command.command.is_market_wide() {
            for owned in self.books.iter_mut().flatten() {
                owned.apply(command, &mut self.events);
            }
        }
    }

    /// Passes on what the books have said. False when the ring is full before everything has gone.
    #[inline]
    fn pass_on(&mut self, any: &mut bool) -> bool {
        match &mut self.sink {
            Sink::Ring(ring) => {
                for event in &self.events.as_slice()[self.passed..] {
                    if ring.push(*event).is_err() {
                        return false;
                    }
                    self.passed += 1;
                    *any = true;
                }
            }
            Sink::Hash => {
                for event in self.events.as_slice() {
                    let owned =
                        self.books[event.instrument.0 as usize].as_mut().expect("an own book's event");
                    owned.events.update(event);
                }
            }
        }
        self.events.clear();
        self.passed = 0;
        true
    }

    /// The hash of every own book, by instrument index, with its event hash.
    pub(crate) fn hashes(&self) -> Vec<BookHashes> {
        self.books
            .iter()
            .flatten()
            .map(|owned| BookHashes {
                instrument: owned.book.instrument(),
                commands: owned.book.counters().commands,
                state: book_hash(&owned.book),
                events: owned.events,
            })
            .collect()
    }

    /// The books, given up.
    pub(crate) fn into_books(self) -> impl Iterator<Item = Book> {
        self.books.into_iter().flatten().map(|owned| owned.book)
    }
}

impl Owned {
    #[inline]
    fn apply(&mut self, command: &Sequenced<Command>, events: &mut Events) {
        assert!(command.sequence > self.last, "a book's commands arrive in sequence");
        self.last = command.sequence;
        self.book.apply(command, events);
    }
}

/// What a book's state and events hash to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookHashes {
    /// The book.
    pub instrument: InstrumentId,
    /// Commands that it has applied.
    pub commands: u64,
    /// Everything that it holds.
    pub state: StateHash,
    /// Everything that it has said; the initial value unless the runtime hashes events.
    pub events: EventHash,
}
