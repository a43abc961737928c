//! Beside a shard's ring: which book each item is for, sixteen to a cache line, so that a thief can look through a
//! backlog without touching the commands.
//!
//! The sequencer writes a tag before it publishes the item, and whoever holds the queue's lock changes it while the item
//! is ahead of what has been taken; the ring's own order makes both visible.

use crate::sync::{Arc, AtomicU32, Ordering};

/// Not a command for one book: it must be met in its turn.
const ODD: u32 = u32::MAX;
/// The item has been taken out of its turn.
const TAKEN: u32 = u32::MAX - 1;

/// What is said of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// A command for this book.
    Book(u32),
    /// Anything else.
    Odd,
    /// A command that has been taken out of its turn.
    Taken,
}

/// The tags of a ring's slots.
#[derive(Clone, Debug)]
pub(crate) struct Tags(Arc<Box<[AtomicU32]>>);

impl Tags {
    /// For a ring of so many slots, which is a power of two.
    pub(crate) fn new(slots: usize) -> Self {
        assert!(slots.is_power_of_two(), "as the ring has them");
        Self(Arc::new((0..slots).map(|_| AtomicU32::new(ODD)).collect()))
    }

    #[inline]
    fn at(&self, position: usize) -> &AtomicU32 {
        &self.0[position & (self.0.len() - 1)]
    }

    /// The item that is pushed at this position is for this book, or for none. Before it is published.
    #[inline]
    pub(crate) fn set(&self, position: usize, book: Option<u32>) {
        self.at(position).store(book.unwrap_or(ODD), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn get(&self, position: usize) -> Tag {
        match self.at(position).load(Ordering::Relaxed) {
            ODD => Tag::Odd,
            TAKEN => Tag::Taken,
            book => Tag::Book(book),
        }
    }

    /// The book that has the most of so many items from a position on, as far as one may see without a lock, with how
    /// many; of those that `may` be taken.
    pub(crate) fn busiest(
        &self,
        from: usize,
        items: usize,
        may: impl FnMut(u32) -> bool,
    ) -> Option<(u32, u32)> {
        let mut tally = Tally::new();
        for at in 0..items {
            match self.get(from.wrapping_add(at)) {
                Tag::Book(book) => tally.count(book),
                Tag::Taken => {}
                Tag::Odd => break,
            }
        }
        tally.most(may)
    }

    /// The places of a book's items among so many from a position on.
    pub(crate) fn places(&self, book: u32, from: usize, items: usize) -> impl Iterator<Item = usize> {
        let positions = (0..items).map(move |at| from.wrapping_add(at));
        positions.filter(move |position| self.get(*position) == Tag::Book(book))
    }

    pub(super) fn take(&self, position: usize) {
        self.at(position).store(TAKEN, Ordering::Relaxed);
    }
}

/// Counts books in a short row of tags, without memory of its own to be had: the first of some that share a place wins.
struct Tally {
    counts: [(u32, u32); Self::PLACES],
}

impl Tally {
    const PLACES: usize = 256;

    const fn new() -> Self {
        Self { counts: [(ODD, 0); Self::PLACES] }
    }

    fn count(&mut self, book: u32) {
        let (first, count) = &mut self.counts[book as usize % Self::PLACES];
        if *count == 0 {
            *first = book;
        }
        *count += u32::from(*first == book);
    }

    /// The book with the most, of those that `may` be taken; the one with the smallest place of several.
    fn most(&self, mut may: impl FnMut(u32) -> bool) -> Option<(u32, u32)> {
        let mut most = None;
        for &(book, count) in &self.counts {
            if count > most.map_or(0, |(_, most)| most) && may(book) {
                most = Some((book, count));
            }
        }
        most
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_book_with_the_most_is_found() {
        let mut tally = Tally::new();
        assert_eq!(tally.most(|_| true), None);
        for book in [3, 5, 5, 9, 5, 9, 1_000_000] {
            tally.count(book);
        }
        assert_eq!(tally.most(|_| true), Some((5, 3)));
        assert_eq!(tally.most(|book| book != 5), Some((9, 2)));
    }

    #[test]
    fn tags_say_what_was_set() {
        let tags = Tags::new(4);
        tags.set(5, Some(7));
        assert_eq!((tags.get(5), tags.get(6)), (Tag::Book(7), Tag::Odd));
        tags.take(5);
        assert_eq!(tags.get(1), Tag::Taken, "the same slot");
        tags.set(1, None);
        assert_eq!(tags.get(1), Tag::Odd);
    }
}
