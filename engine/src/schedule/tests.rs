//! Random schedules: a sequencer and some workers take their steps in any order, with every command, move and theft
//! that can happen between any two of them. What each book has run must be what it was sent, and what it said must
//! reach the sequencer in that order.

use std::collections::VecDeque;

use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{Executor, Glance, Handed, Item, Parcel, Queue, Slots, Tags, Theft, Work, mailbox::MAILBOX_MAX};
use crate::runtime::ring::{Claimed, Producer, Reader, ring};

/// What a toy book has run: numbers of its own commands, and of those for all, negative.
#[derive(Debug, Default)]
struct Toy {
    ran: Vec<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Event { book: u32, what: i64 },
    After { outlet: u16, position: u64 },
}

#[derive(Default)]
struct Outlet {
    said: VecDeque<Said>,
    count: u64,
}

impl Outlet {
    fn say(&mut self, said: Said) {
        self.said.push_back(said);
        self.count += 1;
    }
}

/// A command is its book and what the book is to note.
type Command = (u32, i64);

impl Executor<(u32, Toy), Command> for Outlet {
    fn run(&mut self, (book, toy): &mut (u32, Toy), (_, what): &Command) {
        toy.ran.push(*what);
        self.say(Said::Event { book: *book, what: *what });
    }

    fn order_after(&mut self, outlet: u16, position: u64) {
        self.say(Said::After { outlet, position });
    }

    fn position(&self) -> u64 {
        self.count
    }
}

enum Hands {
    Empty,
    Claimed(Claimed, bool),
    Parcels(usize, Vec<Parcel<Command>>, bool),
}

struct Shard {
    queue: Queue<Command>,
    glance: Glance,
    ring: Producer<Item<Command>>,
    tags: Tags,
    reader: Reader<Item<Command>>,
    outlet: Outlet,
    hands: Hands,
    /// Items of its outlet that the sequencer has taken.
    taken: u64,
}

struct Floor {
    slots: Slots<(u32, Toy)>,
    shards: Vec<Shard>,
    homes: Vec<usize>,
    numbers: Vec<u64>,
    epochs: Vec<u32>,
    alls: u32,
    expected: Vec<Vec<i64>>,
    heard: Vec<Vec<i64>>,
    arrivals: u64,
    stolen: u64,
    from_ring: u64,
}

impl Shard {
    fn push(&mut self, item: Item<Command>) {
        self.tags.set(self.ring.position(), item.book());
        self.ring.push(item).unwrap();
    }
}

impl Floor {
    fn new(shards: usize, books: u32, slots: usize) -> Self {
        let homes: Vec<usize> = (0..books as usize).map(|book| book % shards).collect();
        let make = |shard: usize| {
            let (tx, rx) = ring(slots);
            let reader = rx.reader();
            let members = (0..books).filter(|book| homes[*book as usize] == shard);
            let tags = Tags::new(slots);
            let queue = Queue::new(u16::try_from(shard).unwrap(), rx, tags.clone(), members);
            let hands = Hands::Empty;
            let (glance, outlet) = (Glance::default(), Outlet::default());
            Shard { queue, glance, ring: tx, tags, reader, outlet, hands, taken: 0 }
        };
        let shards = (0..shards).map(make).collect();
        let none = vec![Vec::new(); books as usize];
        Self {
            slots: Slots::new((0..books).map(|book| (book, Toy::default()))),
            shards,
            homes,
            numbers: vec![0; books as usize],
            epochs: vec![0; books as usize],
            alls: 0,
            expected: none.clone(),
            heard: none,
            arrivals: 0,
            stolen: 0,
            from_ring: 0,
        }
    }

    fn route(&mut self, book: u32) {
        let at = book as usize;
        let shard = &mut self.shards[self.homes[at]];
        if shard.ring.room() == 0 {
            return;
        }
        self.numbers[at] += 1;
        let number = self.numbers[at];
        let what = i64::try_from(number).unwrap();
        shard.push(Item::One { book, number, command: (book, what) });
        self.expected[at].push(what);
    }

    fn route_all(&mut self) {
        if self.shards.iter_mut().any(|shard| shard.ring.room() == 0) {
            return;
        }
        self.alls += 1;
        let what = -i64::from(self.alls);
        for shard in &mut self.shards {
            shard.push(Item::All { number: self.alls, command: (0, what) });
        }
        self.expected.iter_mut().for_each(|expected| expected.push(what));
    }

    fn migrate(&mut self, book: u32, to: usize) {
        let at = book as usize;
        let from = self.homes[at];
        if from == to || self.shards[from].ring.room() == 0 || self.shards[to].ring.room() == 0 {
            return;
        }
        self.epochs[at] += 1;
        let epoch = self.epochs[at];
        let departs = Item::Depart { book, to: u16::try_from(to).unwrap(), epoch };
        self.shards[from].push(departs);
        self.shards[to].push(Item::Arrive { book, epoch, nanos: 0 });
        self.homes[at] = to;
    }

    /// One step of a worker: take, run, or give back.
    fn step(&mut self, at: usize, victim: usize, max: usize) {
        let Self { slots, shards, .. } = self;
        let me = u16::try_from(at).unwrap();
        match core::mem::replace(&mut shards[at].hands, Hands::Empty) {
            Hands::Empty => {
                let mut parcels = Vec::new();
                let Shard { queue, glance, hands, .. } = &mut shards[victim];
                if victim == at {
                    match queue.next(slots, max, &mut parcels, || 0) {
                        Work::Nothing => {}
                        Work::Claimed(claimed) => {
                            self.from_ring += claimed.len() as u64;
                            *hands = Hands::Claimed(claimed, false);
                        }
                        Work::Parcels => *hands = Hands::Parcels(victim, parcels, false),
                    }
                    queue.show(glance);
                } else {
                    let (all, least) = (max.is_multiple_of(2), 1 + max % 3);
                    let (waiting, from) = (shards[victim].ring.probe().len(), shards[victim].glance.taken());
                    let book = shards[victim].tags.busiest(from, waiting, |_| true).map(|(book, _)| book);
                    let theft = Theft { thief: me, books: max, least, all, book };
                    let Shard { queue, glance, .. } = &mut shards[victim];
                    if queue.steal(slots, theft, &mut parcels, || 0) {
                        self.stolen += parcels.len() as u64;
                    }
                    queue.show(glance);
                    if !parcels.is_empty() {
                        shards[at].hands = Hands::Parcels(victim, parcels, false);
                    }
                }
                self.note_handed(victim);
            }
            Hands::Claimed(claimed, false) => {
                let Shard { outlet, reader, hands, .. } = &mut shards[at];
                slots.run_claimed(me, reader, &claimed, outlet);
                *hands = Hands::Claimed(claimed, true);
            }
            Hands::Claimed(claimed, true) => {
                let Shard { queue, outlet, glance, .. } = &mut shards[at];
                queue.end_claim(slots, claimed, outlet.count);
                queue.show(glance);
                self.note_handed(at);
            }
            Hands::Parcels(of, mut parcels, false) => {
                let Shard { outlet, hands, .. } = &mut shards[at];
                for parcel in &mut parcels {
                    slots.run_parcel(me, parcel, outlet);
                }
                *hands = Hands::Parcels(of, parcels, true);
            }
            Hands::Parcels(of, mut parcels, true) => {
                let Shard { queue, glance, .. } = &mut shards[of];
                queue.end_parcels(slots, me, &mut parcels);
                queue.show(glance);
                self.note_handed(of);
            }
        }
    }

    fn note_handed(&mut self, at: usize) {
        let mut handed = Vec::new();
        self.shards[at].queue.take_handed(&mut handed);
        self.arrivals += handed.iter().filter(|handed| matches!(handed, Handed::In { .. })).count() as u64;
    }

    /// The sequencer takes what was said, as far as it may.
    fn hear(&mut self, at: usize) -> bool {
        let before = self.shards[at].taken;
        while let Some(said) = self.shards[at].outlet.said.front().copied() {
            match said {
                Said::After { outlet, position } if self.shards[usize::from(outlet)].taken < position => {
                    break;
                }
                Said::After { .. } => {}
                Said::Event { book, what } => self.heard[book as usize].push(what),
            }
            self.shards[at].outlet.said.pop_front();
            self.shards[at].taken += 1;
        }
        self.shards[at].taken > before
    }

    fn is_settled(&self) -> bool {
        self.shards.iter().all(|shard| {
            shard.ring.probe().is_empty() && shard.glance.is_settled() && matches!(shard.hands, Hands::Empty)
        })
    }
}

fn random_schedule(seed: u64, steps: usize) -> (u64, u64, u64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let shards = rng.random_range(1..=4_usize);
    let books = rng.random_range(1..=70_u32);
    let slots = 1 << rng.random_range(1..=7);
    let mut floor = Floor::new(shards, books, slots);
    let hot = rng.random_range(0..books);
    // How often what happens differs from run to run.
    let weights: [u32; 4] =
        [rng.random_range(1..40), rng.random_range(0..6), rng.random_range(0..3), rng.random_range(1..40)];
    let whole: u32 = weights.iter().sum();
    for _ in 0..steps {
        let mut draw = rng.random_range(0..whole);
        let kind =
            weights.iter().position(|weight| draw.checked_sub(*weight).map(|left| draw = left).is_none());
        match kind {
            Some(0) => {
                for _ in 0..rng.random_range(1..6) {
                    let book = if rng.random() { hot } else { rng.random_range(0..books) };
                    floor.route(book);
                }
                publish(&mut floor, &mut rng);
            }
            Some(1) => {
                let book = if rng.random() { hot } else { rng.random_range(0..books) };
                floor.migrate(book, rng.random_range(0..shards));
                publish(&mut floor, &mut rng);
            }
            Some(2) => floor.route_all(),
            _ => {
                let at = rng.random_range(0..shards);
                let victim = if rng.random_range(0..3) == 0 { rng.random_range(0..shards) } else { at };
                floor.step(at, victim, rng.random_range(1..=8));
                floor.hear(rng.random_range(0..shards));
            }
        }
    }
    for shard in &mut floor.shards {
        shard.ring.publish();
    }
    for _ in 0..1_000_000 {
        if floor.is_settled() {
            break;
        }
        let at = rng.random_range(0..shards);
        let victim = if rng.random_range(0..3) == 0 { rng.random_range(0..shards) } else { at };
        floor.step(at, victim, 8);
    }
    assert!(floor.is_settled(), "everything is run in the end");
    while (0..shards).any(|at| floor.hear(at)) {}
    assert!(
        floor.shards.iter().all(|shard| shard.outlet.said.is_empty()),
        "nothing waits for what never comes"
    );
    let moves: u64 = floor.epochs.iter().map(|epoch| u64::from(*epoch)).sum();
    assert_eq!(floor.arrivals, moves, "every move arrives");
    let mut found = 0;
    for shard in &mut floor.shards {
        for book in shard.queue.members().collect::<Vec<_>>() {
            let ran = shard.queue.look(&floor.slots, book, |(_, toy)| toy.ran.len());
            assert_eq!(ran, Some(floor.expected[book as usize].len()), "book {book} is in nobody's hands");
            found += 1;
        }
    }
    assert_eq!(found, books, "each book lives at one shard");
    let ran: Vec<Vec<i64>> = floor.slots.into_books().map(|(_, toy)| toy.ran).collect();
    assert!(ran == floor.expected, "each book has run what it was sent");
    assert!(floor.heard == floor.expected, "and is heard in that order");
    (moves, floor.stolen, floor.from_ring)
}

fn publish(floor: &mut Floor, rng: &mut impl Rng) {
    for shard in &mut floor.shards {
        if rng.random_range(0..4) > 0 {
            shard.ring.publish();
        }
    }
}

#[test]
fn any_schedule_keeps_every_book_in_order() {
    let seed = seeded::seed();
    let runs = if cfg!(miri) {
        30
    } else if cfg!(debug_assertions) {
        400
    } else {
        4_000
    };
    let mut sums = (0, 0, 0);
    for run in 0..runs {
        let seed = seed.wrapping_add(run);
        let caught = std::panic::catch_unwind(|| random_schedule(seed, if cfg!(miri) { 100 } else { 3_000 }));
        let Ok((moves, stolen, from_ring)) = caught else { panic!("failed: SEED={seed} replays it first") };
        sums = (sums.0 + moves, sums.1 + stolen, sums.2 + from_ring);
    }
    assert!(sums.0 > 10 && sums.1 > 10 && sums.2 > 10, "moves, thefts and plain batches happened: {sums:?}");
}

/// Three shards, one book at the first.
fn one_book() -> Floor {
    Floor::new(3, 1, 32)
}

fn publish_all(floor: &mut Floor) {
    floor.shards.iter_mut().for_each(|shard| {
        shard.ring.publish();
    });
}

/// A home slept on a full mailbox. One thief gave it back, another took it at once, and neither saw anything ready when
/// it was done: what the ring held was left until something else came.
#[test]
fn a_ring_that_a_full_mailbox_held_up_is_work_when_the_mailbox_is_taken() {
    let mut floor = one_book();
    floor.route(0);
    publish_all(&mut floor);
    floor.step(1, 0, 8);
    (0..=MAILBOX_MAX).for_each(|_| floor.route(0));
    publish_all(&mut floor);
    floor.step(0, 0, 8);
    let has_work = |floor: &mut Floor| floor.shards[0].queue.has_work(&floor.slots);
    assert!(!has_work(&mut floor), "the mailbox is full, and a thief has the book");
    floor.step(1, 0, 8);
    floor.step(1, 0, 8);
    assert_eq!(floor.shards[0].glance.ready(), 1, "the first thief gives it back");
    floor.step(2, 0, 8);
    assert_eq!(floor.shards[0].glance.ready(), 0, "the second takes it");
    assert!(has_work(&mut floor), "and the ring can go on");
}

/// A book was to go on to a third shard before it had come to the second, which took it in with its last look before
/// it slept, and told nobody that it had handed it on.
#[test]
fn who_hands_a_book_on_while_looking_for_work_has_something_to_tell() {
    let mut floor = one_book();
    floor.route(0);
    publish_all(&mut floor);
    floor.step(0, 0, 8);
    floor.migrate(0, 1);
    floor.migrate(0, 2);
    publish_all(&mut floor);
    floor.step(1, 1, 8);
    assert!(!floor.shards[1].queue.has_work(&floor.slots), "nothing before the book comes");
    floor.step(0, 0, 8);
    floor.step(0, 0, 8);
    floor.step(0, 0, 8);
    assert_eq!(floor.slots.epoch(0), 1, "handed over to the second shard");
    assert!(floor.shards[1].queue.has_work(&floor.slots));
    assert_eq!(floor.slots.epoch(0), 2, "which hands it on in looking");
    floor.step(1, 1, 8);
    assert!(!floor.shards[1].queue.has_work(&floor.slots), "and has told so");
}

/// A worker that is stuck in a long command may have begun to bring a command for all to its books, and have nothing
/// else: that is work for a thief, and must be seen.
#[test]
fn a_command_for_all_that_is_on_its_way_can_be_seen() {
    let mut floor = Floor::new(1, 100, 8);
    floor.route_all();
    publish_all(&mut floor);
    floor.step(0, 0, 8);
    let Hands::Parcels(_, parcels, _) = &floor.shards[0].hands else { panic!("the first books are in hand") };
    let taken = parcels.len();
    let mut stolen = 0;
    let Shard { queue, glance, .. } = &mut floor.shards[0];
    while taken + stolen < 100 {
        assert!(glance.ready() > 0, "after {} of 100 books", taken + stolen);
        let mut parcels = Vec::new();
        let theft = Theft { thief: 1, books: 100, least: 1, all: true, book: None };
        assert!(queue.steal(&floor.slots, theft, &mut parcels, || 0));
        queue.show(glance);
        stolen += parcels.len();
    }
    assert_eq!(taken + stolen, 100);
}
