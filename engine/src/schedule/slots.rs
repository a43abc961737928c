//! The books, each run by whoever has it in hand.
#![allow(unsafe_code)] // books are reached without a lock; the rules of the queues say by whom

use crate::{
    runtime::ring::{Claimed, Reader},
    schedule::{
        Item, Parcel,
        mutation::{Mutation, ordering},
    },
    sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell},
};

/// No thread has said anything about a book yet.
const NOBODY: u32 = u32::MAX;

/// Runs commands on books and says what comes of it.
pub(crate) trait Executor<B, C> {
    /// Runs one command.
    fn run(&mut self, book: &mut B, command: &C);

    /// Everything that `outlet` says up to `position` comes before what this one says next.
    fn order_after(&mut self, outlet: u16, position: u64);

    /// How far this one's own outlet has come.
    fn position(&self) -> u64;

    /// Whether it pays to ask for books some commands ahead.
    fn looks_ahead(&self) -> bool {
        false
    }

    /// Asks for what a later command will need; `stage` counts down to 0 just before it runs.
    fn ask(&self, _book: &B, _command: &C, _stage: usize) {}
}

/// A book and what goes with it wherever it runs. Only the thread that has the book in hand touches it.
#[repr(C)]
struct Slot<B> {
    /// The number of its last command.
    last: AtomicU64,
    /// How far the outlet below had come when the book was last given back; the home's worker, which runs straight
    /// from its ring, does not keep it: [`Parcel::after`] says it then.
    position: AtomicU64,
    /// Which thread's outlet has said the last events of the book.
    outlet: AtomicU32,
    /// The number of its last command for all books.
    alls: AtomicU32,
    book: UnsafeCell<B>,
}

/// What the lock of the book's home guards: who may touch the book. Numbers only, so that atomics serve; they are
/// ordered by that lock and, from home to home, by `epoch`.
#[derive(Debug)]
struct Gate {
    /// Its open mailbox at its home, and 1 more; 0 for none.
    mailbox: AtomicU32,
    /// The last command for all books that is behind it or in its mailbox.
    alls: AtomicU32,
    /// How often the book has been handed over.
    epoch: AtomicU32,
    /// The worker that ran it last out of a mailbox, and 1 more; 0 if only homes have run it since it arrived.
    warm: AtomicU32,
}

/// Every book, by index.
pub(crate) struct Slots<B> {
    slots: Box<[Slot<B>]>,
    gates: Box<[Gate]>,
}

// SAFETY: a book is touched by one thread at a time: the one that has it in hand by the rules of the queues (module
// documentation of `schedule`). It gets there by a lock or by `epoch`, both of which order what threads do to it.
unsafe impl<B: Send> Sync for Slots<B> {}

impl<B> Slots<B> {
    pub(crate) fn new(books: impl IntoIterator<Item = B>) -> Self {
        let slots: Box<[Slot<B>]> = books
            .into_iter()
            .map(|book| Slot {
                last: AtomicU64::new(0),
                position: AtomicU64::new(0),
                outlet: AtomicU32::new(NOBODY),
                alls: AtomicU32::new(0),
                book: UnsafeCell::new(book),
            })
            .collect();
        let gates = slots
            .iter()
            .map(|_| Gate {
                mailbox: AtomicU32::new(0),
                alls: AtomicU32::new(0),
                epoch: AtomicU32::new(0),
                warm: AtomicU32::new(0),
            })
            .collect();
        Self { slots, gates }
    }

    /// The number of the book's last executed command, as far as this thread knows; never too high.
    #[inline]
    pub(crate) fn executed(&self, book: u32) -> u64 {
        self.slots[book as usize].last.load(Ordering::Relaxed)
    }

    /// How often the book has been handed over, with everything that was done before.
    #[inline]
    pub(crate) fn epoch(&self, book: u32) -> u32 {
        self.gates[book as usize].epoch.load(ordering(Mutation::EpochIsRead, Ordering::Acquire))
    }

    /// Looks at a book that nobody has in hand, and nobody will before `look` ends.
    ///
    /// # Safety
    /// The caller holds the lock of the book's home, and the book is in nobody's hands.
    pub(super) unsafe fn look<R>(&self, book: u32, look: impl FnOnce(&B) -> R) -> R {
        // SAFETY: the caller's.
        self.slots[book as usize].book.with(|book| look(unsafe { &*book }))
    }

    /// All books, given up.
    pub(crate) fn into_books(self) -> impl Iterator<Item = B> {
        self.slots.into_iter().map(|slot| slot.book.into_inner())
    }

    /// The mailbox of a book, for the holder of its home's lock; for others a guess.
    #[inline]
    pub(crate) fn mailbox(&self, book: u32) -> Option<u32> {
        self.gates[book as usize].mailbox.load(Ordering::Relaxed).checked_sub(1)
    }

    pub(super) fn set_mailbox(&self, book: u32, mailbox: Option<u32>) {
        self.gates[book as usize].mailbox.store(mailbox.map_or(0, |index| index + 1), Ordering::Relaxed);
    }

    /// The last command for all that the book has been given, for the holder of its home's lock.
    #[inline]
    pub(super) fn alls(&self, book: u32) -> u32 {
        self.gates[book as usize].alls.load(Ordering::Relaxed)
    }

    pub(super) fn set_alls(&self, book: u32, alls: u32) {
        self.gates[book as usize].alls.store(alls, Ordering::Relaxed);
    }

    /// The worker in whose cache the book is most likely, for the holder of its home's lock; for others a guess.
    pub(crate) fn warm(&self, book: u32, home: u16) -> u16 {
        let warm = self.gates[book as usize].warm.load(Ordering::Relaxed);
        warm.checked_sub(1).map_or(home, |worker| worker as u16)
    }

    pub(super) fn set_warm(&self, book: u32, worker: u16) {
        self.gates[book as usize].warm.store(u32::from(worker) + 1, Ordering::Relaxed);
    }

    /// Hands a book over to its next home: the holder of its old home's lock, when the book is in nobody's hands.
    /// `home_position` is how far the old home's worker has come.
    pub(super) fn hand_over(&self, book: u32, home: u16, home_position: u64, epoch: u32) {
        let slot = &self.slots[book as usize];
        if slot.outlet.load(Ordering::Relaxed) == u32::from(home) {
            slot.position.fetch_max(home_position, Ordering::Relaxed);
        }
        let gate = &self.gates[book as usize];
        debug_assert_eq!(
            gate.epoch.load(Ordering::Relaxed).wrapping_add(1),
            epoch,
            "one move after the other"
        );
        gate.warm.store(0, Ordering::Relaxed);
        gate.epoch.store(epoch, ordering(Mutation::EpochIsWritten, Ordering::Release));
    }

    /// Runs a batch straight from the ring, as the worker of its shard.
    pub(crate) fn run_claimed<C: Copy + Send, E: Executor<B, C>>(
        &self,
        me: u16,
        reader: &Reader<Item<C>>,
        claimed: &Claimed,
        executor: &mut E,
    ) {
        if executor.looks_ahead() {
            self.run_looking_ahead(me, reader, claimed, executor);
            return;
        }
        for item in reader.items(claimed) {
            // SAFETY: the items of a claim are in the hands of who has it, and so are their books (rule 2).
            unsafe { self.run_item(item, me, 0, executor) };
        }
    }

    fn run_looking_ahead<C: Copy + Send, E: Executor<B, C>>(
        &self,
        me: u16,
        reader: &Reader<Item<C>>,
        claimed: &Claimed,
        executor: &mut E,
    ) {
        /// Commands between a stage and the next, and stages.
        const AHEAD: usize = 4;
        const STAGES: usize = 4;
        let items = reader.items(claimed);
        let last = items.len() - 1;
        let ask = |executor: &E, at: usize, stage: usize| {
            if let Item::One { book, command, .. } = &items[at] {
                self.slots[*book as usize].book.with(|book| {
                    // SAFETY: as in `run_claimed`: the book is in our hands, and nothing runs on it meanwhile.
                    executor.ask(unsafe { &*book }, command, stage);
                });
            }
        };
        for at in 0..items.len().min(STAGES * AHEAD) {
            for stage in (at / AHEAD..STAGES).rev() {
                ask(executor, at, stage);
            }
        }
        for (at, item) in items.iter().enumerate() {
            for stage in (0..STAGES).rev() {
                // Past the end the last is asked for again: cheaper than a branch.
                ask(executor, (at + (stage + 1) * AHEAD).min(last), stage);
            }
            // SAFETY: as in `run_claimed`.
            unsafe { self.run_item(item, me, 0, executor) };
        }
    }

    /// Runs what a parcel holds, on any thread, and empties it.
    pub(crate) fn run_parcel<C: Copy + Send, E: Executor<B, C>>(
        &self,
        me: u16,
        parcel: &mut Parcel<C>,
        executor: &mut E,
    ) {
        let slot = &self.slots[parcel.book as usize];
        let outlet = slot.outlet.load(Ordering::Relaxed);
        if outlet == u32::from(parcel.home) {
            slot.position.fetch_max(parcel.after, Ordering::Relaxed);
        }
        for item in &parcel.items {
            // SAFETY: the book of a parcel is in the hands of who has it (rule 4).
            unsafe { self.run_item(item, me, parcel.book, executor) };
        }
        parcel.items.clear();
        slot.position.store(executor.position(), Ordering::Relaxed);
    }

    /// Runs one item; `of` is the book that a command for all is for.
    ///
    /// # Safety
    /// The caller has the item's book in hand.
    #[inline(always)]
    unsafe fn run_item<C, E: Executor<B, C>>(&self, item: &Item<C>, me: u16, of: u32, executor: &mut E) {
        let (slot, command) = match item {
            Item::One { book, number, command } => {
                let slot = &self.slots[*book as usize];
                let last = slot.last.load(Ordering::Relaxed);
                assert!(last + 1 == *number, "book {book}: command {number} after {last}");
                slot.last.store(*number, Ordering::Relaxed);
                (slot, command)
            }
            Item::All { number, command } => {
                let slot = &self.slots[of as usize];
                let last = slot.alls.load(Ordering::Relaxed);
                assert!(last + 1 == *number, "book {of}: command {number} for all after {last}");
                slot.alls.store(*number, Ordering::Relaxed);
                (slot, command)
            }
            Item::Depart { .. } | Item::Arrive { .. } => unreachable!("homes change in the queue"),
        };
        if slot.outlet.load(Ordering::Relaxed) != u32::from(me) {
            slot.change_outlet(me, |outlet, position| executor.order_after(outlet, position));
        }
        slot.book.with_mut(|book| {
            // SAFETY: the caller's.
            executor.run(unsafe { &mut *book }, command);
        });
    }
}

impl<B> Slot<B> {
    #[cold]
    fn change_outlet(&self, me: u16, order_after: impl FnOnce(u16, u64)) {
        let before = self.outlet.load(Ordering::Relaxed);
        let position = self.position.load(Ordering::Relaxed);
        self.outlet.store(u32::from(me), Ordering::Relaxed);
        self.position.store(0, Ordering::Relaxed);
        if let Ok(outlet) = u16::try_from(before) {
            order_after(outlet, position);
        }
    }
}
