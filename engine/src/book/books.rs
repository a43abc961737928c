//! Many books, and commands for them in batches.

use domain::{Command, EventSink, InstrumentId, Sequenced};

use super::Book;

/// Books by instrument.
#[derive(Debug, Default)]
pub struct Books {
    books: Vec<Option<Box<Book>>>,
}

impl Books {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { books: Vec::new() }
    }

    /// Takes a book in; gives back the one that was there.
    pub fn insert(&mut self, book: Book) -> Option<Book> {
        let at = book.instrument().0 as usize;
        if self.books.len() <= at {
            self.books.resize_with(at + 1, || None);
        }
        self.books[at].replace(Box::new(book)).map(|old| *old)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, instrument: InstrumentId) -> Option<&Book> {
        self.books.get(instrument.0 as usize)?.as_deref()
    }

    /// Applies commands in order, each to its own book, a market-wide one to all, by instrument.
    ///
    /// # Panics
    /// When a command is for a book that is not here, and as [`Book::apply`].
    pub fn apply_batch<S: EventSink>(&mut self, commands: &[Sequenced<Command>], events: &mut S) {
        for command in commands {
            match command.command.instrument() {
                Some(instrument) => {
                    let book = self.books[instrument.0 as usize].as_mut().expect("the book is here");
                    book.apply(command, events);
                }
                None => {
                    for book in self.books.iter_mut().flatten() {
                        book.apply(command, events);
                    }
                }
            }
        }
    }
}
