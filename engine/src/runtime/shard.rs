//! A shard: the books that one worker owns, the ring that feeds them and the ring that takes what they say.
//!
//! A shard never waits. When its event ring is full it keeps what it could not pass on (what one batch has said, at
//! most), takes no further command, and says that it is blocked; nothing is dropped or reordered.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::{Command, InstrumentId, Sequenced};

use crate::{
    book::{Book, Books},
    hash::{EventHash, StateHash, book_hash},
    runtime::{outlet::Outlet, ring::Consumer},
};

/// Commands executed between two looks at the outlet; a batch that a look ahead can work with.
const BATCH: usize = 64;

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
    books: Books,
    outlet: Outlet,
}

impl Shard {
    pub(crate) fn new(commands: Consumer<Sequenced<Command>>, outlet: Outlet, own: Vec<Book>) -> Self {
        let mut books = Books::new();
        for book in own {
            books.insert(book);
        }
        Self { commands, books, outlet }
    }

    /// Executes up to `max` commands.
    pub(crate) fn run(&mut self, max: usize, counters: &ShardCounters) -> Progress {
        let mut commands = 0;
        let mut blocked = !self.outlet.pass_on();
        while !blocked && commands < max {
            let batch = self.commands.readable(BATCH.min(max - commands));
            if batch.is_empty() {
                break;
            }
            self.books.apply_batch(batch, &mut self.outlet);
            let executed = batch.len();
            commands += executed;
            self.commands.take(executed);
            blocked = !self.outlet.pass_on();
        }
        let (said, events) = self.outlet.publish();
        if commands > 0 {
            self.commands.release();
            counters.events.fetch_add(said, Ordering::Relaxed);
        }
        if blocked {
            counters.blocked.fetch_add(1, Ordering::Relaxed);
        }
        if commands > 0 {
            // Release, and after the events were published: who sees these commands done sees their events too,
            // but for those that a full ring holds back, which `blocked` tells.
            counters.commands.fetch_add(commands as u64, Ordering::Release);
        }
        Progress { commands, events, blocked }
    }

    /// The hash of every own book, by instrument index, with its event hash.
    pub(crate) fn hashes(&self) -> Vec<BookHashes> {
        self.books
            .iter()
            .map(|book| BookHashes {
                instrument: book.instrument(),
                commands: book.counters().commands,
                state: book_hash(book),
                events: self.outlet.event_hash(book.instrument()),
            })
            .collect()
    }

    /// The books, given up.
    pub(crate) fn into_books(self) -> impl Iterator<Item = Book> {
        self.books.into_books()
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
