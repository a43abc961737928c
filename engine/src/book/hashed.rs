//! Books on one thread that hash what they say: for whoever executes commands a second time.

use domain::{Command, EventKind, EventSink, InstrumentId, Nanos, NextEvent, Sequence, Sequenced};

use super::{BOOKS_MIN, Book, Books};
use crate::hash::{EventHash, StateHash, book_hash};

/// What a book's state and events hash to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookHashes {
    /// The book.
    pub instrument: InstrumentId,
    /// Commands that it has applied.
    pub commands: u64,
    /// Everything that it holds.
    pub state: StateHash,
    /// Everything that it has said.
    pub events: EventHash,
}

/// Books by instrument, and a hash of what each has said. The events themselves are dropped.
#[derive(Debug, Default)]
pub struct HashedBooks {
    books: Books,
    said: Said,
}

impl HashedBooks {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a book that has said nothing yet.
    ///
    /// # Panics
    /// When there is one of this instrument.
    pub fn insert(&mut self, book: Book) {
        let at = book.instrument().0 as usize;
        if self.said.hashes.len() <= at {
            self.said.hashes.resize(at + 1, EventHash::default());
        }
        assert!(self.books.insert(book).is_none(), "one book for each instrument");
    }

    /// Whether commands are best applied in batches, which are copied but can be looked ahead in: with many books.
    #[must_use]
    pub const fn wants_batches(&self) -> bool {
        self.books.len() >= BOOKS_MIN
    }

    /// Applies a command to its own book, a market-wide one to all.
    ///
    /// # Panics
    /// As [`Books::apply`].
    #[inline]
    pub fn apply(&mut self, command: &Sequenced<Command>) {
        self.books.apply(command, &mut self.said);
    }

    /// Applies commands in order, as [`apply`](Self::apply) does with each.
    ///
    /// # Panics
    /// As [`Books::apply`].
    pub fn apply_batch(&mut self, commands: &[Sequenced<Command>]) {
        self.books.apply_batch(commands, &mut self.said);
    }

    /// How many events they have said.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.said.events
    }

    /// The hashes of each, by instrument.
    #[must_use]
    pub fn hashes(&self) -> Vec<BookHashes> {
        let hashes = |book: &Book| BookHashes {
            instrument: book.instrument(),
            commands: book.counters().commands,
            state: book_hash(book),
            events: self.said.hashes[book.instrument().0 as usize],
        };
        self.books.iter().map(hashes).collect()
    }
}

/// Where they speak.
#[derive(Debug, Default)]
struct Said {
    next: NextEvent,
    /// By instrument, as far as there are books.
    hashes: Vec<EventHash>,
    events: u64,
}

impl EventSink for Said {
    #[inline(always)]
    fn begin(&mut self, sequence: Sequence, nanos: Nanos, instrument: InstrumentId) {
        self.next = NextEvent::first(sequence, nanos, instrument);
    }

    #[inline(always)]
    fn push(&mut self, kind: EventKind) {
        let event = self.next.take(kind);
        self.hashes[event.instrument.0 as usize].update(&event);
        self.events += 1;
    }
}
