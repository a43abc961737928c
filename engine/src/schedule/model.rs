//! A small floor for loom and shuttle to schedule: toy books behind the real locks, queues, slots, rings and parking,
//! with a sequencer and workers that take the steps of the runtime's.

use std::{
    collections::VecDeque,
    process::Command,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

#[cfg(loom)]
use loom::sync::{Condvar, Mutex};
#[cfg(shuttle)]
use shuttle::sync::{Condvar, Mutex};

use super::{
    Executor, Glance, Handed, Item, Parcel, Queue, Slots, Tags, Theft, Work,
    lock::Lock,
    mutation::{Mutation, VARIABLE, is},
};
use crate::{
    runtime::{
        Parking,
        ring::{Claimed, Probe, Producer, Reader, ring},
    },
    sync::{Arc, AtomicUsize, Ordering, yield_now},
};

/// What a book is to note: its own commands by their number, those for all by their number, negative.
pub(super) type Note = i64;

/// What a toy book has noted.
#[derive(Debug)]
pub(super) struct Toy {
    book: u32,
    noted: Vec<i64>,
    /// loom sees by itself who is in the cell; for shuttle this says that somebody is.
    busy: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
enum Said {
    Noted { book: u32, what: i64 },
    After { outlet: u16, position: u64 },
}

/// Where a worker's books speak. Its front is the number of what was taken from it.
#[derive(Debug, Default)]
struct Outlet {
    said: VecDeque<Said>,
    position: u64,
    run: usize,
}

impl Outlet {
    fn say(&mut self, said: Said) {
        self.said.push_back(said);
        self.position += 1;
    }
}

impl Executor<Toy, Note> for Outlet {
    fn run(&mut self, toy: &mut Toy, what: &Note) {
        assert!(!toy.busy.swap(true, Relaxed), "book {} is in two hands", toy.book);
        if cfg!(shuttle) {
            yield_now();
        }
        toy.noted.push(*what);
        self.run += 1;
        self.say(Said::Noted { book: toy.book, what: *what });
        toy.busy.store(false, Relaxed);
    }

    fn order_after(&mut self, outlet: u16, position: u64) {
        self.say(Said::After { outlet, position });
    }

    fn position(&self) -> u64 {
        self.position
    }
}

/// Where a thread sleeps until it is called, or not at all if it has been called already. Not loom's own parking, which
/// forgets a call that comes while the thread yields.
#[derive(Default)]
struct Bed {
    called: Mutex<bool>,
    call: Condvar,
}

impl Bed {
    fn sleep(&self) {
        let mut called = self.called.lock().unwrap();
        while !core::mem::take(&mut *called) {
            called = self.call.wait(called).unwrap();
        }
    }

    fn call(&self) {
        *self.called.lock().unwrap() = true;
        self.call.notify_one();
    }
}

struct Shard {
    queue: Lock<Queue<Note>>,
    glance: Glance,
    parking: Parking,
    bed: Bed,
    commands: Probe<Item<Note>>,
    tags: Tags,
}

/// What the workers share.
pub(super) struct Floor {
    slots: Slots<Toy>,
    shards: Vec<Shard>,
    /// Runs of commands that are to come.
    left: AtomicUsize,
    /// Ring items claimed at a time.
    batch: usize,
}

impl Floor {
    fn wake(&self, at: usize) {
        let Shard { parking, bed, .. } = &self.shards[at];
        if parking.must_wake() {
            bed.call();
        }
    }

    fn has_work(&self, at: usize) -> bool {
        self.shards[at].queue.with(|queue| queue.has_work(&self.slots))
    }

    /// What the rule that thieves go by asks: a short backlog is left to its home, which must be awake then.
    fn is_worth_a_theft(&self, at: usize) -> bool {
        const WAITING_MIN: usize = 3;
        let Shard { glance, commands, .. } = &self.shards[at];
        let waiting = commands.published().wrapping_sub(glance.taken());
        glance.ready() > 0 || (waiting >= WAITING_MIN && waiting <= commands.slots())
    }

    /// Whether everything published to a shard has been run: what the front asks.
    fn is_settled(&self, at: usize) -> bool {
        let shard = &self.shards[at];
        shard.commands.is_empty() && shard.glance.is_settled()
    }
}

/// A ring's writing end, with what its items are for.
pub(super) struct Tagged {
    ring: Producer<Item<Note>>,
    tags: Tags,
}

impl Tagged {
    fn room(&mut self) -> usize {
        self.ring.room()
    }

    fn publish(&mut self) -> bool {
        self.ring.publish()
    }

    fn push(&mut self, item: Item<Note>) {
        self.tags.set(self.ring.position(), item.book());
        self.ring.push(item).expect("room");
    }
}

/// Routes commands, and keeps account of what each book must note.
pub(super) struct Sequencer {
    floor: Arc<Floor>,
    rings: Vec<Tagged>,
    homes: Vec<usize>,
    numbers: Vec<u64>,
    epochs: Vec<u32>,
    alls: u32,
    expected: Vec<Vec<i64>>,
}

impl Sequencer {
    /// Whether something can be put into the ring of this book's home.
    #[cfg(shuttle)]
    pub(super) fn accepts(&mut self, book: u32) -> bool {
        self.rings[self.homes[book as usize]].room() > 0
    }

    /// Whether something can be put into every ring.
    #[cfg(shuttle)]
    pub(super) fn accepts_all(&mut self) -> bool {
        self.rings.iter_mut().all(|ring| ring.room() > 0)
    }

    pub(super) fn route(&mut self, book: u32) {
        let at = book as usize;
        self.numbers[at] += 1;
        let number = self.numbers[at];
        let command = i64::try_from(number).unwrap();
        self.rings[self.homes[at]].push(Item::One { book, number, command });
        self.expected[at].push(command);
    }

    pub(super) fn route_all(&mut self) {
        self.alls += 1;
        let command = -i64::from(self.alls);
        for ring in &mut self.rings {
            ring.push(Item::All { number: self.alls, command });
        }
        self.expected.iter_mut().for_each(|expected| expected.push(command));
    }

    /// Changes a book's home; false when there is no room, or it is there.
    pub(super) fn migrate(&mut self, book: u32, to: usize) -> bool {
        let at = book as usize;
        let from = self.homes[at];
        if from == to || self.rings[from].room() == 0 || self.rings[to].room() == 0 {
            return false;
        }
        self.epochs[at] += 1;
        let (epoch, new) = (self.epochs[at], u16::try_from(to).unwrap());
        self.rings[from].push(Item::Depart { book, to: new, epoch });
        self.rings[to].push(Item::Arrive { book, epoch, nanos: 0 });
        self.homes[at] = to;
        true
    }

    /// Makes everything routed visible.
    #[cfg(loom)]
    pub(super) fn publish(&mut self) {
        self.rings.iter_mut().for_each(|ring| {
            ring.publish();
        });
    }

    /// The same, and wakes whom it concerns.
    pub(super) fn publish_and_wake(&mut self) {
        for at in 0..self.rings.len() {
            if self.rings[at].publish() {
                self.floor.wake(at);
            }
        }
    }

    /// Runs what is left when the threads are gone, and checks that each book has noted everything once and in order,
    /// and is heard so by who takes the outlets' events by the rules.
    pub(super) fn check(self, mut workers: Vec<Worker>) -> Seen {
        let Self { floor, rings, expected, epochs, .. } = self;
        while workers.iter_mut().any(|worker| worker.run_own(usize::MAX)) {}
        assert!((0..floor.shards.len()).all(|at| floor.is_settled(at)), "everything is run in the end");
        let mut seen = Seen { schedules: 1, ..Seen::default() };
        workers.iter().for_each(|worker| seen.add(&worker.seen));
        assert_eq!(seen.arrived, epochs.iter().sum::<u32>() as usize, "every move arrives once");
        let mut outlets: Vec<Outlet> = workers.into_iter().map(|worker| worker.outlet).collect();
        let mut taken = vec![0; outlets.len()];
        let mut heard = vec![Vec::new(); expected.len()];
        let mut any = true;
        while core::mem::take(&mut any) {
            for at in 0..outlets.len() {
                while let Some(said) = outlets[at].said.front().copied() {
                    match said {
                        Said::After { outlet, position } if taken[usize::from(outlet)] < position => break,
                        Said::After { .. } => {}
                        Said::Noted { book, what } => heard[book as usize].push(what),
                    }
                    outlets[at].said.pop_front();
                    taken[at] += 1;
                    any = true;
                }
            }
        }
        assert!(outlets.iter().all(|outlet| outlet.said.is_empty()), "nothing waits for what never comes");
        drop(rings);
        let floor = Arc::try_unwrap(floor).unwrap_or_else(|_| panic!("the threads are gone"));
        let noted: Vec<Vec<i64>> = floor.slots.into_books().map(|toy| toy.noted).collect();
        assert_eq!(noted, expected, "each book has run what it was sent");
        assert_eq!(heard, expected, "and is heard in that order");
        seen
    }
}

/// What happened, in one schedule or in many.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) schedules: usize,
    /// Commands run straight from a ring.
    pub(super) claimed: usize,
    /// Parcels run at home, and by thieves.
    pub(super) at_home: usize,
    pub(super) stolen: usize,
    /// Books that came to a new home.
    pub(super) arrived: usize,
    pub(super) slept: usize,
}

impl Seen {
    pub(super) fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.claimed += other.claimed;
        self.at_home += other.at_home;
        self.stolen += other.stolen;
        self.arrived += other.arrived;
        self.slept += other.slept;
    }
}

/// A worker, with the steps of the runtime's.
pub(super) struct Worker {
    me: usize,
    floor: Arc<Floor>,
    reader: Reader<Item<Note>>,
    outlet: Outlet,
    parcels: Vec<Parcel<Note>>,
    handed: Vec<Handed>,
    seen: Seen,
}

impl Worker {
    /// Takes what there is of its own, at most so often. Says whether there was anything.
    pub(super) fn run_own(&mut self, turns: usize) -> bool {
        let Self { me, floor, reader, outlet, parcels, handed, seen } = self;
        let floor = Arc::clone(floor);
        let shard = &floor.shards[*me];
        let mut claimed: Option<Claimed> = None;
        let mut any = false;
        let mut turn = 0;
        loop {
            let position = outlet.position;
            let work = shard.queue.with(|queue| {
                if let Some(claimed) = claimed.take() {
                    queue.end_claim(&floor.slots, claimed, position);
                }
                queue.end_parcels(&floor.slots, *me as u16, parcels);
                let work = if turn == turns {
                    Work::Nothing
                } else {
                    queue.next(&floor.slots, floor.batch, parcels, || 0)
                };
                queue.take_handed(handed);
                queue.show(&shard.glance);
                work
            });
            any |= tell(handed, &floor, seen);
            match work {
                Work::Nothing => break,
                Work::Claimed(batch) => {
                    floor.slots.run_claimed(*me as u16, reader, &batch, outlet);
                    seen.claimed += batch.len();
                    claimed = Some(batch);
                }
                Work::Parcels => {
                    seen.at_home += parcels.len();
                    parcels.iter_mut().for_each(|parcel| floor.slots.run_parcel(*me as u16, parcel, outlet));
                }
            }
            any = true;
            turn += 1;
        }
        any
    }

    /// Takes some books of another shard, runs what they have, gives them back: whatever waits if `all`, else the book
    /// that has most in the ring, or what is ready. Says whether there were any.
    pub(super) fn steal(&mut self, victim: usize, books: usize, all: bool) -> bool {
        let Self { me, floor, outlet, parcels, handed, seen, .. } = self;
        let shard = &floor.shards[victim];
        let from = shard.glance.taken();
        let waiting = shard.commands.published().wrapping_sub(from).min(shard.commands.slots());
        let busiest = shard.tags.busiest(from, waiting, |book| floor.slots.mailbox(book).is_none());
        let book = if all { None } else { busiest.map(|(book, _)| book) };
        let theft = Theft { thief: *me as u16, books, least: 1, all, book };
        let taken = shard.queue.try_with(|queue| {
            queue.steal(&floor.slots, theft, parcels, || 0);
            queue.take_handed(handed);
            queue.show(&shard.glance);
        });
        tell(handed, floor, seen);
        if taken.is_none() || parcels.is_empty() {
            return false;
        }
        seen.stolen += parcels.len();
        parcels.iter_mut().for_each(|parcel| floor.slots.run_parcel(*me as u16, parcel, outlet));
        let has_work = shard.queue.with(|queue| {
            queue.end_parcels(&floor.slots, *me as u16, parcels);
            let has_work = queue.has_work(&floor.slots);
            queue.take_handed(handed);
            queue.show(&shard.glance);
            has_work
        });
        tell(handed, floor, seen);
        if has_work && !is(Mutation::ThiefWakesNobody) {
            floor.wake(victim);
        }
        true
    }

    /// Takes from another shard once, and wakes all when that was the last there is to run.
    #[cfg(loom)]
    pub(super) fn help(&mut self, victim: usize) {
        self.steal(victim, 1, true);
        self.account();
    }

    /// Counts what was run. Who runs the last wakes all, to go home.
    fn account(&mut self) {
        let run = core::mem::take(&mut self.outlet.run);
        if run > 0 && self.floor.left.fetch_sub(run, Ordering::Relaxed) == run {
            (0..self.floor.shards.len()).for_each(|at| self.floor.wake(at));
        }
    }

    /// Runs its own, then others' books, and sleeps when there is nothing, until everything has been run.
    pub(super) fn work(&mut self, victims: &[usize]) {
        let floor = Arc::clone(&self.floor);
        let Shard { parking, bed, .. } = &floor.shards[self.me];
        loop {
            let mut any = self.run_own(usize::MAX);
            if !any {
                any = victims.iter().any(|victim| {
                    floor.is_worth_a_theft(*victim)
                        && (self.steal(*victim, 1, false) || self.steal(*victim, 1, true))
                });
            }
            self.account();
            if any {
                continue;
            }
            parking.announce();
            if !floor.has_work(self.me) {
                if floor.left.load(Ordering::Relaxed) == 0 {
                    return;
                }
                self.seen.slept += 1;
                bed.sleep();
            }
            parking.retract();
        }
    }
}

/// Tells whom it concerns what has happened to homes. Says whether there was anything.
fn tell(handed: &mut Vec<Handed>, floor: &Floor, seen: &mut Seen) -> bool {
    let any = !handed.is_empty();
    for handed in handed.drain(..) {
        match handed {
            Handed::Over(to) if !is(Mutation::HandOverWakesNobody) => floor.wake(usize::from(to)),
            Handed::Over(_) => {}
            Handed::In { .. } => seen.arrived += 1,
        }
    }
    any
}

/// How many schedules a fault may hide in. shuttle draws them: of the faults here the shyest shows once in 1,500 or so,
/// and no run may miss it. loom goes through all of its own.
const SCHEDULES_WITH_FAULT: usize = 100_000;

/// Runs a test with a fault put in: it must fail, and say one of these. In a process of its own, because loom's objects
/// cannot be dropped while a model unwinds, which aborts.
pub(super) fn must_fail(module: &str, test: &str, mutation: Mutation, expected: &[&str]) {
    let (_, module) = module.split_once("::").expect("the crate first");
    let run = Command::new(std::env::current_exe().unwrap())
        .args([&format!("{module}::{test}"), "--exact", "--nocapture"])
        .env(VARIABLE, format!("{mutation:?}"))
        .env("ITERATIONS", SCHEDULES_WITH_FAULT.to_string())
        .env_remove("SEED")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success(), "{test} did not notice {mutation:?}");
    assert!(expected.iter().any(|expected| said.contains(expected)), "{test} with {mutation:?}: {said}");
}

/// Words that say that a command was lost or came too early.
pub(super) const LOST: &[&str] = &["each book has run what it was sent", ": command "];

/// A floor where book `i` lives on shard `homes[i]`, and `left` runs of commands are to come.
pub(super) fn floor(
    shards: usize,
    homes: &[usize],
    ring_slots: usize,
    batch: usize,
    left: usize,
) -> (Sequencer, Vec<Worker>) {
    let books = 0..u32::try_from(homes.len()).unwrap();
    let mut rings = Vec::new();
    let mut readers = Vec::new();
    let shards = (0..shards)
        .map(|at| {
            let (tx, rx) = ring(ring_slots);
            let tags = Tags::new(tx.slots());
            readers.push(rx.reader());
            let members = books.clone().filter(|book| homes[*book as usize] == at);
            let shard = Shard {
                queue: Lock::new(Queue::new(at as u16, rx, tags.clone(), members)),
                glance: Glance::default(),
                parking: Parking::new(),
                bed: Bed::default(),
                commands: tx.probe(),
                tags: tags.clone(),
            };
            rings.push(Tagged { ring: tx, tags });
            shard
        })
        .collect();
    let toy = |book| Toy { book, noted: Vec::new(), busy: AtomicBool::new(false) };
    let floor =
        Arc::new(Floor { slots: Slots::new(books.map(toy)), shards, left: AtomicUsize::new(left), batch });
    let workers = readers
        .into_iter()
        .enumerate()
        .map(|(me, reader)| Worker {
            me,
            floor: Arc::clone(&floor),
            reader,
            outlet: Outlet::default(),
            parcels: Vec::new(),
            handed: Vec::new(),
            seen: Seen::default(),
        })
        .collect();
    let sequencer = Sequencer {
        floor,
        rings,
        homes: homes.to_vec(),
        numbers: vec![0; homes.len()],
        epochs: vec![0; homes.len()],
        alls: 0,
        expected: vec![Vec::new(); homes.len()],
    };
    (sequencer, workers)
}
