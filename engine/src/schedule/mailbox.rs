//! Mailboxes: commands of one book that have left the ring.

use crate::schedule::Item;

/// Where a mailbox stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody has the book; it waits for whoever has time.
    Ready,
    /// Somebody has the book.
    Held,
    /// The book is still at its old home.
    Awaited,
}

/// A book's commands between ring and execution.
#[derive(Debug)]
pub(super) struct Mailbox<C> {
    pub(super) book: u32,
    pub(super) stage: Stage,
    /// [`Item::One`] and [`Item::All`], in order.
    pub(super) items: Vec<Item<C>>,
    /// When the first of them came, in nanoseconds.
    pub(super) since: u64,
    /// Where the book goes when this is empty, and its epoch there.
    pub(super) departs: Option<(u16, u32)>,
    /// While awaited: the epoch that it comes with, when its route changed, and the last command for all that it has
    /// had, here or on its way.
    pub(super) arrival: Arrival,
}

/// What is known of a book that is awaited.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrival {
    pub(super) epoch: u32,
    pub(super) nanos: u64,
    /// Commands for all that had come when it was announced, which its old home sees to.
    pub(super) alls_before: u32,
    /// Those that it has been given, here included.
    pub(super) alls: u32,
}

/// The most commands that a mailbox holds; then the ring waits. Few in tests, so that it happens there.
pub(super) const MAILBOX_MAX: usize = if cfg!(any(loom, shuttle)) {
    2
} else if cfg!(test) {
    8
} else {
    1_024
};

/// A shard's mailboxes. Closed ones keep their memory for the next book.
#[derive(Debug)]
pub(super) struct Mailboxes<C> {
    boxes: Vec<Mailbox<C>>,
    free: Vec<u32>,
    /// Memory of parcels that have been run.
    spares: Vec<Vec<Item<C>>>,
}

impl<C> Mailboxes<C> {
    pub(super) const fn new() -> Self {
        Self { boxes: Vec::new(), free: Vec::new(), spares: Vec::new() }
    }

    /// How many are open.
    pub(super) fn open_count(&self) -> usize {
        self.boxes.len() - self.free.len()
    }

    pub(super) fn open(&mut self, book: u32, stage: Stage, since: u64) -> u32 {
        if let Some(index) = self.free.pop() {
            let mailbox = self.get(index);
            mailbox.book = book;
            mailbox.stage = stage;
            mailbox.since = since;
            return index;
        }
        self.boxes.push(Mailbox {
            book,
            stage,
            items: Vec::new(),
            since,
            departs: None,
            arrival: Arrival::default(),
        });
        // As many as books that are not plain, which a u32 numbers.
        (self.boxes.len() - 1) as u32
    }

    pub(super) fn close(&mut self, index: u32) {
        let mailbox = self.get(index);
        debug_assert!(mailbox.items.is_empty(), "closed mailboxes are empty");
        mailbox.departs = None;
        mailbox.arrival = Arrival::default();
        self.free.push(index);
    }

    /// Memory for a mailbox whose items are taken away as they are.
    pub(super) fn spare(&mut self) -> Vec<Item<C>> {
        self.spares.pop().unwrap_or_default()
    }

    /// Takes back what [`spare`](Self::spare) gave, in exchange as it were.
    pub(super) fn keep(&mut self, emptied: Vec<Item<C>>) {
        debug_assert!(emptied.is_empty(), "run to its end");
        self.spares.push(emptied);
    }

    #[inline]
    pub(super) fn get(&mut self, index: u32) -> &mut Mailbox<C> {
        &mut self.boxes[index as usize]
    }
}

/// A book with all that its mailbox held, in the hands of a thread.
#[derive(Debug)]
pub(crate) struct Parcel<C> {
    /// The book.
    pub(crate) book: u32,
    /// Its commands, in order; none once they have been run.
    pub(crate) items: Vec<Item<C>>,
    /// How many of them are its own.
    pub(crate) commands: u32,
    /// When the first of them left the ring, in nanoseconds.
    pub(crate) since: u64,
    /// The shard where it lives.
    pub(crate) home: u16,
    /// What the home's worker has said that may be about this book: everything up to here.
    pub(crate) after: u64,
    pub(super) mailbox: u32,
}

/// What happened to homes while a queue was at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// A book was handed over to this shard, which may sleep.
    Over(u16),
    /// A book has arrived.
    In {
        /// The book.
        book: u32,
        /// Commands that waited for it.
        commands: u32,
        /// When its route changed, in nanoseconds.
        since: u64,
    },
}
