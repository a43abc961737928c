//! A shard's queue: what is in its ring, what is in mailboxes, and who may have it next.
//!
//! Everything here happens under the queue's lock; nothing here runs a book.
#![allow(unsafe_code)] // looks at books that are in nobody's hands, which only a queue knows

use std::collections::{BTreeSet, VecDeque};

use crate::{
    runtime::ring::{Claimed, Consumer},
    schedule::{
        Item, Slots,
        mailbox::{Arrival, Handed, MAILBOX_MAX, Mailboxes, Parcel, Stage},
        mutation::{Mutation, is},
        tags::{Tag, Tags},
    },
    sync::{AtomicU64, AtomicUsize, Ordering},
};

/// Books that get a command for all in one go.
const SWEEP: usize = 32;
/// Ready books among which one is looked for that is warm in the worker's cache.
const CHOICE: usize = 16;
/// Ring items that a thief looks through.
pub(crate) const LOOK_THROUGH: usize = 256;
/// Ring items that are no plain commands and are looked at in one go.
const ODD_MAX: usize = 64;

/// Who comes for work that is not its own, and for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theft {
    /// The shard of the worker.
    pub(crate) thief: u16,
    /// Parcels at most.
    pub(crate) books: usize,
    /// Commands that must wait for a book that is not warm in the thief's cache.
    pub(crate) least: usize,
    /// The home makes no progress: whatever waits may be taken.
    pub(crate) all: bool,
    /// The book that has much waiting in the ring, as far as the thief has seen.
    pub(crate) book: Option<u32>,
}

/// What a worker has been given.
#[derive(Debug)]
pub(crate) enum Work {
    /// Nothing is there that it could have.
    Nothing,
    /// A batch, to be run where it lies.
    Claimed(Claimed),
    /// Parcels, in the vector that it brought.
    Parcels,
}

/// What anyone may see of a queue without its lock; may be old at once. On a line of its own, so that a look does not
/// take the lock's line from who works.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Glance {
    /// Ring items taken, modulo 2^64.
    taken: AtomicUsize,
    /// Books in ready mailboxes, and 1 more while a command for all is on its way through the books.
    ready: AtomicUsize,
    /// Open mailboxes, and 1 more while a command for all is on its way through the books.
    pending: AtomicUsize,
    /// Commands that are in a mailbox or in a parcel.
    mailed: AtomicUsize,
    /// Commands that ever went through a mailbox.
    published: AtomicU64,
}

impl Glance {
    /// Ring items that have been taken so far, modulo 2^64: by this one sees progress.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Books in ready mailboxes, and 1 more while a command for all, which makes some ready, is on its way.
    pub(crate) fn ready(&self) -> usize {
        self.ready.load(Ordering::Relaxed)
    }

    /// Commands that are in a mailbox or in a parcel.
    pub(crate) fn mailed(&self) -> usize {
        self.mailed.load(Ordering::Relaxed)
    }

    /// Commands that ever went through a mailbox.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Whether nothing has left the ring without having been run. Whoever saw the ring empty first knows that all is
    /// done.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0
    }
}

/// A command for all books on its way through those of this shard.
#[derive(Debug)]
struct Sweep<C> {
    number: u32,
    command: C,
    /// The last book that it has come to.
    cursor: Option<u32>,
}

/// A shard's queue.
pub(crate) struct Queue<C> {
    shard: u16,
    ring: Consumer<Item<C>>,
    /// What its items are for.
    tags: Tags,
    /// Items that the home's worker has claimed; it has them where the ring says.
    claimed: usize,
    /// The mailboxes that have been opened for the books of the claimed; none before a thief has come.
    held: Vec<u32>,
    /// How far the home's worker had come with its events when it ended its last batch.
    position: u64,
    mailboxes: Mailboxes<C>,
    /// Mailboxes that anyone may have, oldest first.
    ready: VecDeque<u32>,
    /// Mailboxes of books that have not arrived, in the order of their announcement: a book may leave, and be announced
    /// again, before it has arrived.
    awaited: Vec<u32>,
    /// The books that live here, those awaited too, those that have departed in the ring not.
    members: BTreeSet<u32>,
    /// Commands for all that have left the ring.
    alls: u32,
    sweep: Option<Sweep<C>>,
    /// How often the first in the line was passed by.
    passed: usize,
    /// The sweep has had its turn; the ring is next.
    ring_turn: bool,
    /// Commands that went through a mailbox, and those of them that have not been run.
    published: u64,
    mailed: usize,
    handed: Vec<Handed>,
}

impl<C: Copy + Send> Queue<C> {
    /// The queue of a shard where these books live.
    pub(crate) fn new(
        shard: u16,
        ring: Consumer<Item<C>>,
        tags: Tags,
        members: impl IntoIterator<Item = u32>,
    ) -> Self {
        Self {
            shard,
            ring,
            tags,
            claimed: 0,
            held: Vec::new(),
            position: 0,
            mailboxes: Mailboxes::new(),
            ready: VecDeque::new(),
            passed: 0,
            awaited: Vec::new(),
            members: members.into_iter().collect(),
            alls: 0,
            sweep: None,
            ring_turn: false,
            published: 0,
            mailed: 0,
            handed: Vec::new(),
        }
    }

    /// The next work for the shard's own worker: ready parcels, oldest first, else a batch of at most `max` items of
    /// the ring.
    pub(crate) fn next<B>(
        &mut self,
        slots: &Slots<B>,
        max: usize,
        parcels: &mut Vec<Parcel<C>>,
        clock: fn() -> u64,
    ) -> Work {
        debug_assert_eq!(self.claimed, 0, "a worker ends its batch before it takes another");
        for _ in 0..ODD_MAX {
            self.receive(slots);
            if !self.ready.is_empty() {
                // Few, so that thieves find some; but a queue full of small parcels is not worth a lock each.
                self.take_ready(slots, self.shard, 1 + self.ready.len() / 8, parcels);
                return Work::Parcels;
            }
            if self.sweep.is_some() && !core::mem::take(&mut self.ring_turn) {
                self.ring_turn = true;
                self.sweep(slots, clock);
                continue;
            }
            let plain = self.plain(slots, max);
            if plain > 0 {
                self.claimed = plain;
                return Work::Claimed(self.ring.claim(plain));
            }
            if self.publish(slots, 1, clock) == 0 {
                if self.sweep.is_none() {
                    break;
                }
                self.ring_turn = false;
            }
        }
        Work::Nothing
    }

    /// Ends a batch. `position` is how far the worker has come with its events.
    pub(crate) fn end_claim<B>(&mut self, slots: &Slots<B>, claimed: Claimed, position: u64) {
        self.position = position;
        // In front, the first foremost: what they hold has waited for this batch.
        while let Some(mailbox) = self.held.pop() {
            self.give_back(slots, mailbox, true);
        }
        self.claimed = 0;
        self.ring.give_back(claimed);
    }

    /// Takes parcels back that a worker has run, for their memory and their books.
    pub(crate) fn end_parcels<B>(&mut self, slots: &Slots<B>, by: u16, parcels: &mut Vec<Parcel<C>>) {
        for parcel in parcels.drain(..) {
            self.mailed -= parcel.commands as usize;
            debug_assert!(parcel.items.is_empty() && parcel.home == self.shard);
            self.mailboxes.keep(parcel.items);
            slots.set_warm(parcel.book, by);
            self.give_back(slots, parcel.mailbox, false);
        }
    }

    /// Work for a thief, as parcels. Says whether there was any.
    ///
    /// A book in another cache costs its home as much as some commands when it comes back; so at least `theft.least`
    /// commands of it must wait, unless it is warm in the thief's cache.
    pub(crate) fn steal<B>(
        &mut self,
        slots: &Slots<B>,
        theft: Theft,
        parcels: &mut Vec<Parcel<C>>,
        clock: fn() -> u64,
    ) -> bool {
        self.receive(slots);
        if theft.all {
            if self.ready.is_empty() {
                if self.sweep.is_some() {
                    self.sweep(slots, clock);
                }
                self.publish(slots, LOOK_THROUGH, clock);
            }
            // Half, so that a home that comes back finds something to do.
            let half = self.ready.len().div_ceil(2);
            self.take_ready(slots, theft.thief, half.min(theft.books), parcels);
            return !parcels.is_empty();
        }
        for _ in 0..theft.books {
            let Some(index) = self.choose_to_steal(slots, theft) else { break };
            self.take_out(index, parcels);
        }
        if parcels.is_empty()
            && let Some(book) = theft.book
        {
            self.extract(slots, theft, book, parcels, clock);
        }
        !parcels.is_empty()
    }

    /// Takes a ready book out of the line that a thief may have: warm in its cache, or with enough to do.
    fn choose_to_steal<B>(&mut self, slots: &Slots<B>, theft: Theft) -> Option<u32> {
        let Self { ready, mailboxes, shard, .. } = self;
        let at = ready.iter().take(CHOICE).position(|index| {
            let mailbox = mailboxes.get(*index);
            mailbox.items.len() >= theft.least || slots.warm(mailbox.book, *shard) == theft.thief
        })?;
        self.ready.remove(at)
    }

    /// Takes the commands of one book out of the ring, out of their turn.
    fn extract<B>(
        &mut self,
        slots: &Slots<B>,
        theft: Theft,
        book: u32,
        parcels: &mut Vec<Parcel<C>>,
        clock: fn() -> u64,
    ) {
        let in_hand = self.ring.claimed_from().is_some_and(|first| {
            (0..self.claimed).any(|at| self.tags.get(first.wrapping_add(at)) == Tag::Book(book))
        });
        if in_hand || !self.members.contains(&book) || !self.is_plain(slots, book) {
            return;
        }
        let visible = self.ring.visible().min(LOOK_THROUGH);
        let from = self.ring.position();
        let Self { ring, tags, mailboxes, .. } = self;
        // What is behind anything odd must not be run before it.
        let is_command = |at: &usize| tags.get(from.wrapping_add(*at)) != Tag::Odd;
        let length = (0..visible).take_while(is_command).count();
        let count = tags.places(book, from, length).count();
        if count == 0 || (count < theft.least && slots.warm(book, self.shard) != theft.thief) {
            return;
        }
        let index = mailboxes.open(book, Stage::Held, clock());
        slots.set_mailbox(book, Some(index));
        for position in tags.places(book, from, length) {
            mailboxes.get(index).items.push(ring.ahead(position.wrapping_sub(from)));
            tags.take(position);
        }
        self.published += count as u64;
        self.mailed += count;
        self.take_out(index, parcels);
    }

    /// Gives free slots back to the ring and shows what may be seen without the lock. Call it last under the lock.
    pub(crate) fn show(&mut self, glance: &Glance) {
        // Before the slots are given back: whoever sees the ring empty then sees what is pending, too.
        let pending = self.mailboxes.open_count() + usize::from(self.sweep.is_some());
        if glance.pending.load(Ordering::Relaxed) != pending {
            glance.pending.store(pending, Ordering::Release);
        }
        self.ring.release();
        glance.taken.store(self.ring.position(), Ordering::Relaxed);
        let ready = self.ready.len() + usize::from(self.sweep.is_some());
        if glance.ready.load(Ordering::Relaxed) != ready {
            glance.ready.store(ready, Ordering::Relaxed);
        }
        if glance.mailed.load(Ordering::Relaxed) != self.mailed {
            glance.mailed.store(self.mailed, Ordering::Relaxed);
        }
        if glance.published.load(Ordering::Relaxed) != self.published {
            glance.published.store(self.published, Ordering::Relaxed);
        }
    }

    /// Whether its own worker would find something to do, be it to tell what has happened to homes.
    pub(crate) fn has_work<B>(&mut self, slots: &Slots<B>) -> bool {
        self.receive(slots);
        !self.ready.is_empty()
            || self.sweep.is_some()
            || !self.handed.is_empty()
            || self.takes_from_ring(slots)
    }

    /// What has happened to homes since the last call.
    pub(crate) fn take_handed(&mut self, handed: &mut Vec<Handed>) {
        handed.append(&mut self.handed);
    }

    /// The books that live here.
    pub(crate) fn members(&self) -> impl Iterator<Item = u32> {
        self.members.iter().copied()
    }

    /// Looks at a book that lives here and is in nobody's hands; `None` otherwise.
    pub(crate) fn look<B, R>(
        &mut self,
        slots: &Slots<B>,
        book: u32,
        look: impl FnOnce(&B) -> R,
    ) -> Option<R> {
        self.receive(slots);
        let is_here = self.claimed == 0
            && self.members.contains(&book)
            && self.awaited_mailbox(book).is_none()
            && slots.mailbox(book).is_none_or(|mailbox| self.mailboxes.get(mailbox).stage == Stage::Ready);
        // SAFETY: its home is here, nobody has its mailbox, nothing is claimed, and `self` is borrowed from the lock.
        is_here.then(|| unsafe { slots.look(book, look) })
    }

    /// How many items at the head of the ring are commands that can be run where they lie. What was taken out of its
    /// turn is passed by first.
    #[inline]
    fn plain<B>(&mut self, slots: &Slots<B>, max: usize) -> usize {
        let calm = self.mailboxes.open_count() == 0 && self.sweep.is_none();
        // The item first: the tag of one that is not visible may be of the lap before.
        while !self.ring.readable(1).is_empty() && self.tags.get(self.ring.position()) == Tag::Taken {
            self.ring.take(1);
        }
        let from = self.ring.position();
        let readable = self.ring.readable(max).len();
        let is_plain = |at: &usize| match self.tags.get(from.wrapping_add(*at)) {
            Tag::Book(book) => calm || self.is_plain(slots, book),
            Tag::Odd | Tag::Taken => false,
        };
        (0..readable).take_while(is_plain).count()
    }

    /// Moves up to `max` items from the ring into mailboxes. Returns how many.
    fn publish<B>(&mut self, slots: &Slots<B>, max: usize, clock: fn() -> u64) -> usize {
        self.mark(slots);
        let now = clock();
        let mut moved = 0;
        while moved < max {
            let Some(item) = self.ring.peek() else { break };
            if self.tags.get(self.ring.position()) == Tag::Taken {
                self.ring.take(1);
                moved += 1;
                continue;
            }
            match item {
                Item::One { book, .. } => {
                    let mailbox = self.mailbox_of(slots, book, now);
                    let mailbox = self.mailboxes.get(mailbox);
                    if mailbox.items.len() >= MAILBOX_MAX {
                        break;
                    }
                    if mailbox.items.is_empty() {
                        mailbox.since = now;
                    }
                    mailbox.items.push(item);
                    self.published += 1;
                    self.mailed += 1;
                }
                Item::All { number, command } => {
                    if self.sweep.is_some() {
                        break;
                    }
                    assert_eq!(number, self.alls + 1, "commands for all come in turn");
                    self.alls = number;
                    self.sweep = Some(Sweep { number, command, cursor: None });
                }
                Item::Depart { book, to, epoch } => self.depart(slots, book, (to, epoch), now),
                Item::Arrive { book, epoch, nanos } => self.arrive(slots, book, epoch, nanos, now),
            }
            self.ring.take(1);
            moved += 1;
        }
        moved
    }

    /// Opens a mailbox for each book that the home's worker has in hand, if that is not done.
    fn mark<B>(&mut self, slots: &Slots<B>) {
        if !self.held.is_empty() {
            return;
        }
        for at in 0..self.claimed {
            let Item::One { book, .. } = self.ring.claimed_item(at) else { continue };
            if slots.mailbox(book).is_none() {
                let mailbox = self.mailboxes.open(book, Stage::Held, 0);
                slots.set_mailbox(book, Some(mailbox));
                self.held.push(mailbox);
            }
        }
    }

    /// Whether a book that lives here has arrived, has no mailbox, and has had every command for all.
    #[inline]
    fn is_plain<B>(&mut self, slots: &Slots<B>, book: u32) -> bool {
        self.awaited_mailbox(book).is_none()
            && slots.mailbox(book).is_none()
            && self.sweep.as_ref().is_none_or(|sweep| slots.alls(book) == sweep.number)
    }

    /// The open mailbox of a book that lives here.
    fn open_mailbox<B>(&mut self, slots: &Slots<B>, book: u32) -> Option<u32> {
        self.awaited_mailbox(book).or_else(|| slots.mailbox(book))
    }

    fn awaited_mailbox(&mut self, book: u32) -> Option<u32> {
        let Self { awaited, mailboxes, .. } = self;
        awaited.iter().rev().copied().find(|mailbox| mailboxes.get(*mailbox).book == book)
    }

    /// The mailbox of a book that lives here, with every command for all in it that the book must have first. Opened
    /// ready if there is none.
    fn mailbox_of<B>(&mut self, slots: &Slots<B>, book: u32, now: u64) -> u32 {
        let mailbox = self.open_mailbox(slots, book).unwrap_or_else(|| {
            let mailbox = self.mailboxes.open(book, Stage::Ready, now);
            slots.set_mailbox(book, Some(mailbox));
            self.ready.push_back(mailbox);
            mailbox
        });
        self.catch_up(slots, mailbox);
        mailbox
    }

    /// Puts the command for all that is on its way into a mailbox, if the book has not had it.
    fn catch_up<B>(&mut self, slots: &Slots<B>, mailbox: u32) {
        let Some(Sweep { number, command, .. }) = self.sweep else { return };
        let mailbox = self.mailboxes.get(mailbox);
        let alls = if mailbox.stage == Stage::Awaited {
            core::mem::replace(&mut mailbox.arrival.alls, number)
        } else {
            let alls = slots.alls(mailbox.book);
            slots.set_alls(mailbox.book, number);
            alls
        };
        if alls < number {
            assert_eq!(alls + 1, number, "book {} has had every command for all but this", mailbox.book);
            mailbox.items.push(Item::All { number, command });
        }
    }

    /// Brings the command for all that is on its way to some more books.
    fn sweep<B>(&mut self, slots: &Slots<B>, clock: fn() -> u64) {
        let Some(Sweep { number, cursor, .. }) = self.sweep else { return };
        self.mark(slots);
        let now = clock();
        let from = cursor.map_or(0, |cursor| cursor + 1);
        let books: Vec<u32> = self.members.range(from..).take(SWEEP).copied().collect();
        for book in &books {
            let has_had = match self.awaited_mailbox(*book) {
                Some(mailbox) => self.mailboxes.get(mailbox).arrival.alls,
                None => slots.alls(*book),
            };
            if has_had < number {
                self.mailbox_of(slots, *book, now);
            }
        }
        match (books.last(), &mut self.sweep) {
            (Some(last), Some(sweep)) if books.len() == SWEEP => sweep.cursor = Some(*last),
            _ => self.sweep = None,
        }
    }

    /// The book lives elsewhere from here on.
    fn depart<B>(&mut self, slots: &Slots<B>, book: u32, departs: (u16, u32), now: u64) {
        assert!(self.members.contains(&book), "book {book} departs from where it lives");
        if self.is_plain(slots, book) {
            self.hand_over(slots, book, departs);
        } else {
            let mailbox = self.mailbox_of(slots, book, now);
            self.mailboxes.get(mailbox).departs = Some(departs);
        }
        self.members.remove(&book);
    }

    fn hand_over<B>(&mut self, slots: &Slots<B>, book: u32, (to, epoch): (u16, u32)) {
        slots.set_mailbox(book, None);
        slots.hand_over(book, self.shard, self.position, epoch);
        self.handed.push(Handed::Over(to));
    }

    /// The book lives here from here on.
    fn arrive<B>(&mut self, slots: &Slots<B>, book: u32, epoch: u32, nanos: u64, now: u64) {
        self.members.insert(book);
        if slots.epoch(book) == epoch {
            assert_eq!(slots.alls(book), self.alls, "book {book} has had every command for all");
            self.handed.push(Handed::In { book, commands: 0, since: nanos });
            return;
        }
        let mailbox = self.mailboxes.open(book, Stage::Awaited, now);
        self.mailboxes.get(mailbox).arrival =
            Arrival { epoch, nanos, alls_before: self.alls, alls: self.alls };
        self.awaited.push(mailbox);
    }

    /// Takes in awaited books that have been handed over.
    #[inline]
    fn receive<B>(&mut self, slots: &Slots<B>) {
        if !self.awaited.is_empty() {
            self.receive_arrived(slots);
        }
    }

    fn receive_arrived<B>(&mut self, slots: &Slots<B>) {
        let mut at = 0;
        while at < self.awaited.len() {
            let index = self.awaited[at];
            let mailbox = self.mailboxes.get(index);
            let (book, Arrival { epoch, nanos, alls_before, alls }) = (mailbox.book, mailbox.arrival);
            if slots.epoch(book) != epoch {
                at += 1;
                continue;
            }
            self.awaited.remove(at);
            mailbox.stage = Stage::Held;
            let commands = mailbox.items.len() as u32;
            assert_eq!(slots.alls(book), alls_before, "book {book} has had every command for all");
            slots.set_alls(book, alls);
            slots.set_mailbox(book, Some(index));
            self.handed.push(Handed::In { book, commands, since: nanos });
            self.give_back(slots, index, true);
        }
    }

    /// A book is in nobody's hands any more: on with what its mailbox holds, or with where it goes.
    fn give_back<B>(&mut self, slots: &Slots<B>, index: u32, first: bool) {
        let mailbox = self.mailboxes.get(index);
        debug_assert_eq!(mailbox.stage, Stage::Held);
        if mailbox.items.is_empty() || is(Mutation::MailboxIsNotLookedAt) {
            let (book, departs) = (mailbox.book, mailbox.departs);
            match departs {
                Some(departs) => self.hand_over(slots, book, departs),
                None => slots.set_mailbox(book, None),
            }
            self.mailboxes.close(index);
        } else {
            mailbox.stage = Stage::Ready;
            if first {
                self.ready.push_front(index);
            } else {
                self.ready.push_back(index);
            }
        }
    }

    /// Takes some ready books: those that are warm in the worker's cache before others, else the oldest.
    fn take_ready<B>(&mut self, slots: &Slots<B>, worker: u16, books: usize, parcels: &mut Vec<Parcel<C>>) {
        for _ in 0..books {
            let Some(index) = self.choose(slots, worker) else { break };
            self.take_out(index, parcels);
        }
    }

    /// Puts all that a ready mailbox holds into a parcel.
    fn take_out(&mut self, index: u32, parcels: &mut Vec<Parcel<C>>) {
        let empty = self.mailboxes.spare();
        let mailbox = self.mailboxes.get(index);
        mailbox.stage = Stage::Held;
        let is_own = |item: &&Item<C>| matches!(item, Item::One { .. });
        parcels.push(Parcel {
            book: mailbox.book,
            commands: mailbox.items.iter().filter(is_own).count() as u32,
            items: core::mem::replace(&mut mailbox.items, empty),
            since: mailbox.since,
            home: self.shard,
            after: self.position,
            mailbox: index,
        });
    }

    /// Takes one ready book out of the line.
    fn choose<B>(&mut self, slots: &Slots<B>, worker: u16) -> Option<u32> {
        let mailboxes = &mut self.mailboxes;
        let mut is_warm = |index: &u32| slots.warm(mailboxes.get(*index).book, self.shard) == worker;
        let at = self.ready.iter().take(CHOICE).position(&mut is_warm).unwrap_or(0);
        // Whoever stands first is passed by so often at most.
        let at = if self.passed >= CHOICE { 0 } else { at };
        self.passed = if at == 0 { 0 } else { self.passed + 1 };
        self.ready.remove(at)
    }

    /// Whether the ring's head can be taken now.
    fn takes_from_ring<B>(&mut self, slots: &Slots<B>) -> bool {
        let Some(item) = self.ring.peek() else { return false };
        if self.tags.get(self.ring.position()) == Tag::Taken {
            return true;
        }
        match item {
            Item::One { book, .. } => {
                let open = self.open_mailbox(slots, book);
                open.is_none_or(|mailbox| self.mailboxes.get(mailbox).items.len() < MAILBOX_MAX)
            }
            _ => true,
        }
    }
}
