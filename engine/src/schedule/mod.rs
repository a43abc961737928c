//! Which thread runs which book next: shards' queues, and books that wait in mailboxes for whoever has time.
//!
//! ```text
//!   sequencer ──▶ ring ──┬── straight from the ring, a batch at a time ──▶ the home's worker
//!                        └── mailbox of each book ──▶ ready, oldest first ──▶ the home's worker, or a thief
//! ```
//!
//! Every shard has a [`Queue`] behind a [`Lock`](lock::Lock): the reading end of its ring and the mailboxes of its
//! books. Whoever takes work from it locks it for some nanoseconds, and holds no lock while it runs books. What keeps
//! two threads from one book, and each book's commands in order:
//!
//! 1. Commands leave the ring in order, under the lock. A book without a mailbox has nothing anywhere but in the ring
//!    and, if it is among the claimed, in the hands of the home's worker.
//! 2. The home's worker claims a batch of ring items and runs them where they lie. While it does, the books of the
//!    batch are in its hands. Nobody knows which books these are, and nobody needs to, until a thief comes.
//! 3. A thief with the lock looks for the book that has the most commands waiting in the ring, and takes those out of
//!    their turn into a mailbox of which it is the holder; the others stay where they are, and the home goes on with
//!    them straight from the ring. If the home shows no progress, the thief looks through the claimed items instead,
//!    opens a mailbox, marked as held, for each of their books, and moves all that lies behind them from the ring into
//!    mailboxes. So no command is stranded behind a long one, whatever its home is doing, and the home is not asked.
//! 4. A mailbox that is ready is taken by one thread, with all that is in it; what comes meanwhile waits in it. When
//!    the thread gives the book back, an empty mailbox is closed, and another is ready again.
//! 5. When the home's worker ends its batch, it does the same with each mailbox that was opened for it.
//!
//! So with nobody hungry the cost is one uncontended lock a batch, and a book that is run by others for a while needs
//! no help from its home.
//!
//! **Homes** change at the sequencer, between two commands: [`Item::Depart`] is the last in the old ring,
//! [`Item::Arrive`] the first in the new. The old home hands the book over when all before `Depart` has run; what the
//! new home finds for it earlier waits in a mailbox that is not ready yet.
//!
//! **Commands for all books** ([`Item::All`]) are numbered. Each shard puts them into its books' mailboxes a few books
//! at a time, so nothing is stranded behind those either, and a book that has a command of its own, or leaves, before
//! its turn gets them first. Each book counts them, and a number that is not the next is a panic, as it is with its
//! own commands.
//!
//! **Events** of one book may be said by several threads in turn. Whoever runs a book that another thread ran before
//! says first what must be taken before it ([`Executor::order_after`]).

pub(crate) mod lock;
#[cfg(all(test, loom))]
mod loom_tests;
mod mailbox;
#[cfg(all(test, any(loom, shuttle)))]
mod model;
pub(crate) mod mutation;
mod queue;
#[cfg(all(test, shuttle))]
mod shuttle_tests;
mod slots;
mod tags;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

pub(crate) use self::{
    mailbox::{Handed, Parcel},
    queue::{Glance, LOOK_THROUGH, Queue, Theft, Work},
    slots::{Executor, Slots},
    tags::Tags,
};

/// What goes through a shard's ring.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<C> {
    /// A command for one book.
    One {
        /// The book.
        book: u32,
        /// Its number among those of its book, from 1.
        number: u64,
        /// The command.
        command: C,
    },
    /// A command for every book that lives here.
    All {
        /// Its number among those for all books, from 1.
        number: u32,
        /// The command.
        command: C,
    },
    /// The book lives elsewhere from here on.
    Depart {
        /// The book.
        book: u32,
        /// The shard where it will live.
        to: u16,
        /// How often it has moved, this move counted.
        epoch: u32,
    },
    /// The book lives here from here on.
    Arrive {
        /// The book.
        book: u32,
        /// The same as in its departure.
        epoch: u32,
        /// When the route changed, in nanoseconds.
        nanos: u64,
    },
}

impl<C> Item<C> {
    /// The book that a plain command is for.
    #[inline]
    pub(crate) const fn book(&self) -> Option<u32> {
        match self {
            Self::One { book, .. } => Some(*book),
            _ => None,
        }
    }
}
