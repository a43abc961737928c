//! Many books, and commands for them in batches.
//!
//! A book that has not been used for a while is not in the processor's caches, and a command walks through it from
//! line to line: header, table of numbers, order, neighbours and level. A batch knows what comes, so it asks for
//! each of these lines some commands ahead, stage by stage, each stage reading only what an earlier one has asked
//! for. No stage branches on what a command is, for a branch there would be mispredicted as often as the one it
//! is meant to save. One hot book gains nothing by it and pays for it, so then it is left out.

use domain::{Command, EventSink, InstrumentId, Price, Sequenced, Side};

use super::side::key_of;
use super::{Book, HOT};
use crate::prefetch::prefetch;

/// From so many books on the caches cannot hold them all.
pub(crate) const BOOKS_MIN: usize = 256;

/// Commands between a stage and the next.
const AHEAD: usize = 4;

/// Books by instrument.
#[derive(Debug, Default)]
pub struct Books {
    books: Vec<Option<Box<Book>>>,
    /// How many there are.
    len: usize,
}

impl Books {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { books: Vec::new(), len: 0 }
    }

    /// Takes a book in; gives back the one that was there.
    pub fn insert(&mut self, book: Book) -> Option<Book> {
        let at = book.instrument().0 as usize;
        if self.books.len() <= at {
            self.books.resize_with(at + 1, || None);
        }
        let old = self.books[at].replace(Box::new(book));
        self.len += usize::from(old.is_none());
        old.map(|old| *old)
    }

    /// Gives a book away.
    pub fn remove(&mut self, instrument: InstrumentId) -> Option<Book> {
        let old = self.books.get_mut(instrument.0 as usize)?.take();
        self.len -= usize::from(old.is_some());
        old.map(|old| *old)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, instrument: InstrumentId) -> Option<&Book> {
        self.books.get(instrument.0 as usize)?.as_deref()
    }

    /// All of them, by instrument.
    pub fn iter(&self) -> impl Iterator<Item = &Book> {
        self.books.iter().flatten().map(|book| &**book)
    }

    /// All of them, given up, by instrument.
    pub fn into_books(self) -> impl Iterator<Item = Book> {
        self.books.into_iter().flatten().map(|book| *book)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Applies a command to its own book, a market-wide one to all, by instrument.
    ///
    /// # Panics
    /// When it is for a book that is not here, and as [`Book::apply`].
    #[inline]
    pub fn apply<S: EventSink>(&mut self, command: &Sequenced<Command>, events: &mut S) {
        if let Some(instrument) = command.command.instrument() {
            let book = self.books[instrument.0 as usize].as_mut().expect("the book is here");
            book.apply(command, events);
        } else if command.command.is_market_wide() {
            for book in self.books.iter_mut().flatten() {
                book.apply(command, events);
            }
        }
    }

    /// Applies commands in order, as [`apply`](Self::apply) does with each.
    ///
    /// # Panics
    /// As [`apply`](Self::apply).
    pub fn apply_batch<S: EventSink>(&mut self, commands: &[Sequenced<Command>], events: &mut S) {
        if !self.look_ahead(commands) {
            for command in commands {
                self.apply(command, events);
            }
            return;
        }
        for (at, command) in commands.iter().take(4 * AHEAD).enumerate() {
            self.ask(Stage::Header, &command.command);
            if at < 3 * AHEAD {
                self.ask(Stage::Slot, &command.command);
            }
        }
        let last = commands.len() - 1;
        for (at, command) in commands.iter().enumerate() {
            // Past the end the last command is asked for again: cheaper than a branch.
            let later = |stages: usize| &commands[(at + stages * AHEAD).min(last)].command;
            self.ask(Stage::Neighbours, later(1));
            self.ask(Stage::Cell, later(2));
            self.ask(Stage::Slot, later(3));
            self.ask(Stage::Header, later(4));
            self.apply(command, events);
        }
    }

    /// Whether it pays to look ahead in this batch.
    #[inline]
    fn look_ahead(&self, commands: &[Sequenced<Command>]) -> bool {
        let instrument = |command: Option<&Sequenced<Command>>| {
            command.map_or(0, |command| command.command.names().instrument().0)
        };
        self.len >= BOOKS_MIN && instrument(commands.first()) != instrument(commands.last())
    }

    /// Asks for what a later command needs.
    #[inline(always)]
    fn ask(&self, stage: Stage, command: &Command) {
        if let Some(Some(book)) = self.books.get(command.names().instrument().0 as usize) {
            book.ask(stage, command);
        }
    }
}

/// What is asked for; each needs that the one before has arrived.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    Header,
    Slot,
    Cell,
    Neighbours,
}

impl Book {
    /// Asks for what a later command of this book needs.
    #[inline(always)]
    pub(crate) fn ask(&self, stage: Stage, command: &Command) {
        let order = command.names();
        match stage {
            Stage::Header => self.ask_for_header(),
            Stage::Slot => self.ask_for_slot(order.number(), command.enters()),
            Stage::Cell => self.ask_for_cell(order.number(), command.enters()),
            Stage::Neighbours => self.ask_for_neighbours(order.number(), command.enters()),
        }
    }

    /// The lines that every command needs.
    #[inline(always)]
    fn ask_for_header(&self) {
        let start = core::ptr::from_ref(self).cast::<u8>();
        for line in HOT {
            prefetch(start.wrapping_add(line));
        }
    }

    /// The slot of the order's number, or of the level that it enters at; and the cell that a new order gets.
    #[inline(always)]
    fn ask_for_slot(&self, number: u64, enters: Option<(Side, Price)>) {
        let of_number = self.numbers.address(number);
        let of_level =
            enters.map(|(side, price)| self.sides[side as usize].window().address(key_of(side, price)));
        prefetch(of_level.unwrap_or(of_number));
        prefetch(self.cells.next_address());
    }

    /// The order, or the level that it enters at.
    #[inline(always)]
    fn ask_for_cell(&self, number: u64, enters: Option<(Side, Price)>) {
        prefetch(self.cells.address(self.guess(number, enters)));
    }

    /// The cells that are linked to it: an order's neighbours and level, or the last order of the level.
    #[inline(always)]
    fn ask_for_neighbours(&self, number: u64, enters: Option<(Side, Price)>) {
        let (prev, next, level) = self.cells.links(self.guess(number, enters));
        prefetch(self.cells.address(prev));
        prefetch(self.cells.address(next));
        prefetch(self.cells.address(level));
    }

    #[inline(always)]
    fn guess(&self, number: u64, enters: Option<(Side, Price)>) -> u32 {
        let of_number = self.numbers.guess(number);
        let of_level =
            enters.map(|(side, price)| self.sides[side as usize].window().guess(key_of(side, price)));
        of_level.unwrap_or(of_number)
    }
}
