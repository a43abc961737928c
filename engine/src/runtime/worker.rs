//! A worker: the thread of one shard.
//!
//! 1. It takes work from its shard's queue, and when there is none, from others' ([`Worker::run_own`],
//!    [`Worker::steal`]), until there is nothing to do, backing off as its idle policy says.
//! 2. Before it sleeps it lets go of its lock, announces itself, and looks once more ([`Parking`]).
//! 3. While it sleeps, the front may take the lock and be this worker for a short backlog: at low load that saves two
//!    thread hops, and with more threads than cores it saves the wait for a core. The books cannot tell.
//! 4. Control messages (hash, stop) are handled between commands, by the worker, in the order sent.
//!
//! A worker never waits for anybody. When its event ring is full it keeps what it could not pass on (what one batch has
//! said, at most), takes nothing further, and says that it is blocked; nothing is dropped or reordered.
//!
//! [`Parking`]: crate::runtime::Parking

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
};

use crossbeam_channel::{Receiver, Sender};
use domain::{Command, InstrumentId, Sequenced, ShardId};

use crate::{
    balance::{Backlog, BalanceEvent, Why},
    book::{Book, BookImage},
    hash::{StateHash, book_hash},
    runtime::{
        floor::Floor,
        idle::{Backoff, Idle, Step},
        outlet::Outlet,
        pin::{PinOutcome, pin_current_thread},
        ring::{Claimed, Producer, Reader},
    },
    schedule::{Executor, Handed, Item, LOOK_THROUGH, Parcel, Theft, Work},
};

/// Called when books have said something, from a worker's thread. Must be cheap when nobody sleeps.
pub trait Wake: Send + Sync {
    /// The front has events to take.
    fn wake(&self);
}

/// What the front asks of a worker.
pub(crate) enum Control {
    /// Hash every book of the shard; nobody has one in hand.
    Hash(Sender<Vec<BookState>>),
    /// Show every book of the shard; nobody has one in hand.
    Show(Sender<Vec<BookImage>>),
    /// Stop between two commands.
    Stop,
}

/// What a book's state hashes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookState {
    /// The book.
    pub instrument: InstrumentId,
    /// Commands that it has applied.
    pub commands: u64,
    /// Everything that it holds.
    pub state: StateHash,
}

/// What a worker tells the front of balancing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Note {
    /// As it stands.
    Event(BalanceEvent),
    /// A book has arrived at its new home.
    Arrived { book: InstrumentId, commands: u32, still_nanos: u64 },
}

/// What one call did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Commands executed.
    pub(crate) commands: usize,
    /// Whether events were passed on.
    pub(crate) events: bool,
    /// Whether books were found to be taken elsewhere, or anything else was done but commands.
    pub(crate) other: bool,
}

impl Progress {
    fn any(self) -> bool {
        self.commands > 0 || self.events || self.other
    }
}

/// Who runs books for a shard. Whoever holds it acts for it; the runtime keeps it behind a lock that its thread holds
/// while it is awake.
pub(crate) struct Worker {
    me: ShardId,
    outlet: Outlet,
    reader: Reader<Item<Sequenced<Command>>>,
    parcels: Vec<Parcel<Sequenced<Command>>>,
    handed: Vec<Handed>,
    notes: Producer<Note>,
    /// Where it looks for work next.
    victim: usize,
    /// By shard: how far its ring had been taken when it was seen last, and since when, in nanoseconds.
    seen: Vec<(usize, u64)>,
}

/// Commands run between two looks at the control channel, and between two calls to a front that may sleep.
const TURN: usize = 64;
/// Looks at the own shard for each look at others: a look takes a line from who works there.
const LOOKS: u32 = 4;
/// Room for notes that thefts leave to arrivals.
const KEPT_FOR_ARRIVALS: usize = 256;

impl Worker {
    pub(crate) fn new(
        me: ShardId,
        outlet: Outlet,
        reader: Reader<Item<Sequenced<Command>>>,
        notes: Producer<Note>,
        shards: usize,
    ) -> Self {
        Self {
            me,
            outlet,
            reader,
            parcels: Vec::new(),
            handed: Vec::new(),
            notes,
            victim: usize::from(me.0),
            seen: vec![(0, 0); shards],
        }
    }

    /// Runs up to `max` commands, and what begins before that, of the own shard.
    pub(crate) fn run_own(&mut self, floor: &Floor, max: usize) -> Progress {
        let shard = &floor.shards[usize::from(self.me.0)];
        let mut progress = Progress::default();
        let mut claimed: Option<Claimed> = None;
        let mut blocked = !self.outlet.pass_on();
        loop {
            let stop = blocked || progress.commands >= max;
            if stop && claimed.is_none() && self.parcels.is_empty() {
                break;
            }
            // What was said is visible before its commands count as done.
            progress.events |= self.publish(floor);
            shard.blocked.store(blocked, Ordering::Release);
            if let Some(pause) = floor.pause {
                self.end(floor, &mut claimed);
                pause();
            }
            let (parcels, position) = (&mut self.parcels, self.outlet.position());
            let work = shard.queue.with(|queue| {
                if let Some(claimed) = claimed.take() {
                    queue.end_claim(&floor.slots, claimed, position);
                }
                queue.end_parcels(&floor.slots, self.me.0, parcels);
                // In the same breath, so that no thief takes a book that its home has just put down.
                let work = if stop {
                    Work::Nothing
                } else {
                    queue.next(&floor.slots, floor.batch, parcels, floor.clock)
                };
                queue.take_handed(&mut self.handed);
                queue.show(&shard.glance);
                work
            });
            if !self.handed.is_empty() {
                progress.other = true;
                self.tell_handed(floor);
            }
            match work {
                Work::Nothing => break,
                Work::Claimed(batch) => {
                    floor.slots.run_claimed(self.me.0, &self.reader, &batch, &mut self.outlet);
                    progress.commands += batch.len();
                    claimed = Some(batch);
                }
                Work::Parcels => progress.commands += self.run_parcels(floor),
            }
            blocked = !self.outlet.pass_on();
        }
        progress.events |= self.publish(floor);
        shard.blocked.store(blocked, Ordering::Release);
        if blocked {
            shard.counters.blocked.fetch_add(1, Ordering::Relaxed);
        }
        if progress.commands > 0 {
            shard.counters.commands.fetch_add(progress.commands as u64, Ordering::Relaxed);
        }
        shard.counters.beat();
        progress
    }

    /// Ends what is in hand without taking anything else.
    fn end(&mut self, floor: &Floor, claimed: &mut Option<Claimed>) {
        if claimed.is_none() && self.parcels.is_empty() {
            return;
        }
        let shard = &floor.shards[usize::from(self.me.0)];
        let (parcels, position) = (&mut self.parcels, self.outlet.position());
        shard.queue.with(|queue| {
            if let Some(claimed) = claimed.take() {
                queue.end_claim(&floor.slots, claimed, position);
            }
            queue.end_parcels(&floor.slots, self.me.0, parcels);
            queue.take_handed(&mut self.handed);
            queue.show(&shard.glance);
        });
    }

    /// Runs some books of a shard that has more than its worker can do, if there is one.
    pub(crate) fn steal(&mut self, floor: &Floor) -> Progress {
        let mut progress = Progress::default();
        let own = &floor.shards[usize::from(self.me.0)];
        if own.blocked.load(Ordering::Relaxed) {
            return progress;
        }
        let Some((victim, why)) = self.find_victim(floor) else { return progress };
        let shard = &floor.shards[victim];
        let all = why != Why::Backlog;
        let least = floor.rule.commands_min();
        let book = if all { None } else { self.choose_book(floor, victim, least) };
        if !all && book.is_none() && shard.glance.ready() == 0 {
            return progress;
        }
        let books = floor.rule.books_max();
        let theft = Theft { thief: self.me.0, books, least, all, book };
        let parcels = &mut self.parcels;
        let taken = shard.queue.try_with(|queue| {
            queue.steal(&floor.slots, theft, parcels, floor.clock);
            queue.take_handed(&mut self.handed);
            queue.show(&shard.glance);
        });
        if taken.is_none() {
            return progress;
        }
        if !self.handed.is_empty() {
            progress.other = true;
            self.tell_handed(floor);
        }
        if self.parcels.is_empty() {
            return progress;
        }
        self.seen[victim] = (shard.glance.taken(), 0);
        let now = (floor.clock)();
        let commands = |parcel: &Parcel<_>| parcel.items.len() as u64;
        let stolen: u64 = self.parcels.iter().map(commands).sum();
        for at in 0..self.parcels.len() {
            let parcel = &self.parcels[at];
            let event = BalanceEvent::Steal {
                book: InstrumentId(parcel.book),
                home: ShardId(parcel.home),
                thief: self.me,
                why,
                commands: parcel.items.len() as u32,
                still_nanos: now.saturating_sub(parcel.since),
            };
            self.note(floor, Note::Event(event));
        }
        self.notes.publish();
        let counters = &own.counters;
        counters.steals.fetch_add(self.parcels.len() as u64, Ordering::Relaxed);
        counters.stolen.fetch_add(stolen, Ordering::Relaxed);
        shard.counters.given.fetch_add(stolen, Ordering::Relaxed);
        progress.commands = self.run_parcels(floor);
        counters.commands.fetch_add(progress.commands as u64, Ordering::Relaxed);
        let blocked = !self.outlet.pass_on();
        progress.events = self.publish(floor);
        own.blocked.store(blocked, Ordering::Release);
        let parcels = &mut self.parcels;
        let has_work = shard.queue.with(|queue| {
            queue.end_parcels(&floor.slots, self.me.0, parcels);
            let has_work = queue.has_work(&floor.slots);
            queue.take_handed(&mut self.handed);
            queue.show(&shard.glance);
            has_work
        });
        self.tell_handed(floor);
        if has_work {
            // What came meanwhile is not ours; whose it is may have gone to sleep for want of it. What is ready may be
            // gone to another thief by now, and yet the ring go on that a full mailbox has held up.
            floor.wake(victim);
        }
        counters.beat();
        progress
    }

    /// The book that has enough waiting in the ring of a shard, if there is one. Without the lock: the home goes on
    /// meanwhile, and what it has taken by then is not there any more.
    fn choose_book(&self, floor: &Floor, victim: usize, least: usize) -> Option<u32> {
        let shard = &floor.shards[victim];
        let from = shard.glance.taken();
        let waiting = shard.commands.published().wrapping_sub(from);
        if waiting > shard.commands.slots() {
            return None;
        }
        let items = waiting.min(LOOK_THROUGH);
        let may = |book| floor.slots.mailbox(book).is_none();
        let (book, count) = shard.tags.busiest(from, items, may)?;
        if (count as usize) < least && floor.slots.warm(book, victim as u16) != self.me.0 {
            return None;
        }
        for position in shard.tags.places(book, from, items) {
            shard.commands.prefetch(position);
        }
        Some(book)
    }

    /// A shard from which to take, if any is worth it.
    fn find_victim(&mut self, floor: &Floor) -> Option<(usize, Why)> {
        let (me, shards) = (usize::from(self.me.0), &floor.shards);
        let rule = floor.rule.get();
        if rule.is_none() && !floor.any_stalled.load(Ordering::Relaxed) {
            return None;
        }
        for _ in 0..shards.len() {
            self.victim = if self.victim + 1 < shards.len() { self.victim + 1 } else { 0 };
            let (at, shard) = (self.victim, &shards[self.victim]);
            if at == me {
                continue;
            }
            let backlog = self.backlog(floor, at);
            if backlog.waiting == 0 && backlog.ready_books == 0 {
                continue;
            }
            if shard.stalled.load(Ordering::Relaxed) {
                return Some((at, Why::Stalled));
            }
            if shard.domain == shards[me].domain
                && !shards[me].reserved
                && let Some(rule) = rule
                && rule.is_worth(&backlog)
            {
                let unmoved = backlog.unmoved_nanos >= rule.unmoved_nanos;
                return Some((at, if unmoved { Why::Unmoved } else { Why::Backlog }));
            }
        }
        None
    }

    fn backlog(&mut self, floor: &Floor, at: usize) -> Backlog {
        let shard = &floor.shards[at];
        let taken = shard.glance.taken();
        let waiting = shard.commands.published().wrapping_sub(taken);
        // What was read in two looks may not fit together; then there is no hurry.
        let waiting = if waiting > shard.commands.slots() { 0 } else { waiting as u32 };
        let (before, since) = self.seen[at];
        let unmoved_nanos = if waiting == 0 || before != taken || since == 0 {
            let now = if waiting == 0 { 0 } else { (floor.clock)().max(1) };
            self.seen[at] = (taken, now);
            0
        } else {
            (floor.clock)().saturating_sub(since)
        };
        Backlog { waiting, ready_books: shard.glance.ready() as u32, unmoved_nanos }
    }

    /// Runs the parcels in hand. Returns how many commands were in them, those for all books too.
    fn run_parcels(&mut self, floor: &Floor) -> usize {
        let Self { parcels, outlet, me, .. } = self;
        let mut commands = 0;
        for parcel in parcels {
            commands += parcel.items.len();
            floor.slots.run_parcel(me.0, parcel, outlet);
        }
        commands
    }

    /// Makes what was said visible; whether there was anything.
    fn publish(&mut self, floor: &Floor) -> bool {
        let (said, visible) = self.outlet.publish();
        if said > 0 {
            floor.shards[usize::from(self.me.0)].counters.events.fetch_add(said, Ordering::Relaxed);
        }
        visible
    }

    fn tell_handed(&mut self, floor: &Floor) {
        if self.handed.is_empty() {
            return;
        }
        let mut handed = core::mem::take(&mut self.handed);
        for handed in handed.drain(..) {
            match handed {
                Handed::Over(to) => {
                    floor.wake(usize::from(to));
                }
                Handed::In { book, commands, since } => {
                    let still_nanos = (floor.clock)().saturating_sub(since);
                    let book = InstrumentId(book);
                    self.note(floor, Note::Arrived { book, commands, still_nanos });
                }
            }
        }
        self.notes.publish();
        self.handed = handed;
    }

    fn note(&mut self, floor: &Floor, note: Note) {
        // Thefts may be many; arrivals, which the front counts on, are few.
        let kept = if matches!(note, Note::Arrived { .. }) { 0 } else { KEPT_FOR_ARRIVALS };
        if self.notes.room() <= kept || self.notes.push(note).is_err() {
            floor.notes_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The hash of every book of the shard.
    fn hashes(&self, floor: &Floor) -> Vec<BookState> {
        self.of_each(floor, |book| BookState {
            instrument: book.instrument(),
            commands: book.counters().commands,
            state: book_hash(book),
        })
    }

    /// What can be said of every book of the shard.
    ///
    /// # Panics
    /// When somebody has one in hand: the front asks when everything is done.
    fn of_each<T>(&self, floor: &Floor, say: impl Fn(&Book) -> T) -> Vec<T> {
        floor.shards[usize::from(self.me.0)].queue.with(|queue| {
            let books: Vec<u32> = queue.members().collect();
            let of = |book: &u32| {
                let said = queue.look(&floor.slots, *book, &say);
                said.expect("books are asked for when nobody has one in hand")
            };
            books.iter().map(of).collect()
        })
    }
}

/// How a worker's thread runs.
pub(crate) struct WorkerSetup {
    pub(crate) id: ShardId,
    pub(crate) idle: Idle,
    /// More threads than cores.
    pub(crate) shared_cores: bool,
    pub(crate) core: Option<usize>,
    pub(crate) control: Receiver<Control>,
    pub(crate) pinned: Sender<(ShardId, PinOutcome)>,
}

pub(crate) fn spawn(
    setup: WorkerSetup,
    floor: Arc<Floor>,
    wake: Arc<dyn Wake>,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(format!("shard-{}", setup.id)).spawn(move || {
        /// A thread that ends by a panic says so: what it had in hand is lost to the books.
        struct Obituary<'a>(&'a Floor);
        impl Drop for Obituary<'_> {
            fn drop(&mut self) {
                if thread::panicking() {
                    self.0.dead.store(true, Ordering::Release);
                }
            }
        }
        let _obituary = Obituary(&floor);
        // The front waits for this answer, so a closed channel means that it is gone, and so are we soon.
        let _ = setup.pinned.send((setup.id, pin_current_thread(setup.core)));
        run(&setup, &floor, &*wake);
    })
}

fn run(setup: &WorkerSetup, floor: &Floor, wake: &dyn Wake) {
    let me = usize::from(setup.id.0);
    let shard = &floor.shards[me];
    let mut backoff = Backoff::new(setup.idle, setup.shared_cores);
    // Since when it has not been idle.
    let mut busy_since = None;
    // Looks at the own shard in a row that found nothing.
    let mut idle_looks = 0_u32;
    loop {
        let mut worker = floor.lock(me);
        loop {
            let mut progress = worker.run_own(floor, TURN);
            if !progress.any() {
                if idle_looks.is_multiple_of(LOOKS) {
                    progress = worker.steal(floor);
                }
                idle_looks = idle_looks.wrapping_add(1);
            }
            if progress.events {
                wake.wake();
            }
            match setup.control.try_recv() {
                Ok(Control::Hash(reply)) => {
                    // The asker may have given up.
                    let _ = reply.send(worker.hashes(floor));
                }
                Ok(Control::Show(reply)) => {
                    let _ = reply.send(worker.of_each(floor, BookImage::of));
                }
                Ok(Control::Stop) => return,
                Err(_) => {}
            }
            if progress.any() {
                let now = (floor.clock)();
                if let Some(since) = busy_since.replace(now) {
                    shard.counters.busy_nanos.fetch_add(now.saturating_sub(since), Ordering::Relaxed);
                }
                backoff.reset();
                idle_looks = 0;
                continue;
            }
            busy_since = None;
            if backoff.snooze() == Step::Sleep {
                break;
            }
        }
        drop(worker);
        shard.parking.announce();
        if !floor.has_work(me) && setup.control.is_empty() {
            shard.counters.sleeps.fetch_add(1, Ordering::Relaxed);
            thread::park();
        }
        shard.parking.retract();
        backoff.reset();
        // Perhaps it was woken to help.
        idle_looks = 0;
    }
}
