//! Books, who gets how much, and commands.
//!
//! The flow is [`Stream`]'s: orders, cancels, reductions and immediate orders for small books, and to each so many of
//! them a long command: a mass cancel for a session that has no orders, which looks at every order of the book and changes
//! nothing. With one, a command takes about 0.6 us on the machine that docs/benchmarks.md names: enough that the
//! front's turns, where it has no core of its own, are a small part of the load. A book (160 orders) takes some 12 KiB, so
//! one that another core has used is read again in some microseconds.

use std::sync::Arc;

use domain::{Command, Events, InstrumentId, Nanos, Sequence, Sequenced, SessionId, ShardId};
use engine::{
    book::{Book, Books},
    hash::{StateHash, book_hash},
    runtime::{Placement, PlacementPolicy},
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::packed::{PackedRun, look_at_all};
use crate::{
    clock::{ns_each, thread_time},
    flow::{Phase, Stream},
};

/// How many books.
pub const BOOKS: usize = 64;
/// Orders that rest in each.
const RESTING: usize = 160;
/// A session that has no orders.
pub(crate) const NOBODY: SessionId = SessionId(1_000);
/// Commands before what is measured, spread evenly: caches, rings and pages get warm, no shard is hotter than another.
/// A debug build checks every book at every command, and its times mean nothing.
const WARM: usize = if cfg!(debug_assertions) { 500 } else { 12_000 };
/// Commands that do nothing: more than there are slots in all command rings.
const TOUCH: usize = if cfg!(debug_assertions) { 500 } else { COMMAND_SLOTS * SHARDS as usize * 5 / 4 };
/// Slots of a command ring: room for the backlog of a shard that gets 90% of the load for 2 ms, and few enough to stay in a
/// cache. Where there is no room, the front holds back the other shard's commands, too, and that is counted.
pub const COMMAND_SLOTS: usize = 1 << 13;
/// Shards.
pub const SHARDS: u16 = 2;

/// How commands are spread over books, and books over shards.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What a reader calls it.
    pub name: &'static str,
    /// By book.
    pub shares: Vec<f64>,
    /// By book, while it warms up: no shard gets more than others.
    pub warm: Vec<f64>,
    /// Where books live at first.
    pub placement: Placement,
}

impl Shape {
    /// Every book alike.
    #[must_use]
    pub fn even() -> Self {
        Self::split("50/50", 0.5)
    }

    /// So much for the books of shard 0, the rest for those of shard 1; alike within each.
    #[must_use]
    pub fn split(name: &'static str, hot: f64) -> Self {
        let placement = Placement::new(PlacementPolicy::RoundRobin, BOOKS as u32, SHARDS);
        let share = |book: InstrumentId| if placement.shard_of(book).0 == 0 { hot } else { 1.0 - hot };
        let shares = (0..BOOKS as u32).map(|book| share(InstrumentId(book))).collect();
        Self { name, shares, warm: vec![1.0; BOOKS], placement }
    }

    /// Zipf's law with exponent 1, and the books spread by such a hash that shard 0 gets about 71%.
    ///
    /// # Panics
    /// Never: one salt in some hundred gives that.
    #[must_use]
    pub fn zipf() -> Self {
        let shares: Vec<f64> = (1..=BOOKS).map(|rank| 1.0 / rank as f64).collect();
        let all: f64 = shares.iter().sum();
        let placement = (0_u64..10_000)
            .map(|salt| {
                let mut rng = Xoshiro256PlusPlus::seed_from_u64(salt);
                let mut placement = Placement::new(PlacementPolicy::RoundRobin, BOOKS as u32, SHARDS);
                for book in 0..BOOKS as u32 {
                    placement.set(InstrumentId(book), ShardId(rng.random_range(0..SHARDS)));
                }
                placement
            })
            .find(|placement| {
                let hot: f64 = placement.books_of(ShardId(0)).map(|book| shares[book.0 as usize]).sum();
                (0.705..0.715).contains(&(hot / all))
            })
            .expect("one of so many");
        Self { name: "zipf 1.0, hashed 71/29", shares, warm: vec![1.0; BOOKS], placement }
    }

    /// One book.
    #[must_use]
    pub fn one() -> Self {
        let mut shape = Self::split("one book", 0.5);
        shape.shares = vec![0.0; BOOKS];
        shape.shares[0] = 1.0;
        shape
    }

    /// Every book alike, but for the first, which gets nothing.
    #[must_use]
    pub fn all_but_one() -> Self {
        let mut shape = Self::even();
        shape.name = "all but one book";
        shape.shares[0] = 0.0;
        shape.warm[0] = 0.0;
        shape
    }
}

/// Commands of one shape.
#[derive(Debug)]
pub struct Workload {
    /// Its shape.
    pub shape: Shape,
    /// New orders, for books that no runtime has yet.
    fill: Vec<Sequenced<Command>>,
    /// For each book in turn, doing nothing: more than there are slots in all command rings.
    pub touch: PackedRun,
    /// Evenly spread, not measured.
    pub warm: Arc<PackedRun>,
    /// What is measured.
    pub commands: Arc<PackedRun>,
    /// What the books must be in the end, by instrument; from a run on one thread.
    expected: Vec<StateHash>,
}

impl Workload {
    /// So many commands of this shape, with a long one to each `long` others.
    ///
    /// # Panics
    /// Never: shapes have shares.
    #[must_use]
    pub fn new(shape: Shape, commands: usize, long: u32, seed: u64) -> Self {
        let phases =
            [Phase { shares: &shape.warm, commands: WARM }, Phase { shares: &shape.shares, commands }];
        let mut parts = Stream::of_phases(RESTING, &phases, seed).into_iter();
        let mut part = || parts.next().expect("the fill, and one for each phase");
        let (mut fill, warm, measured) = (part(), part(), part());
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(!seed);
        let mut last = 0;
        number(&mut fill, &mut last);
        let advance = |n: usize| Command::Advance(InstrumentId((n % BOOKS) as u32));
        let mut touch: Vec<_> = (0..TOUCH)
            .map(|n| Sequenced { sequence: Sequence(0), nanos: Nanos(0), command: advance(n) })
            .collect();
        number(&mut touch, &mut last);
        let mut long = |commands: Vec<Sequenced<Command>>, keep: usize| {
            let mut all = Vec::with_capacity(commands.len());
            for command in commands {
                let book = command.command.instrument().expect("the flow's are all for a book");
                if rng.random_range(0..long) == 0 {
                    all.push(Sequenced { command: look_at_all(book), ..command });
                }
                all.push(command);
            }
            all.truncate(keep);
            number(&mut all, &mut last);
            all
        };
        let (warm, measured) = (long(warm, usize::MAX), long(measured, commands));
        let mut workload = Self {
            shape,
            fill,
            touch: PackedRun::new(&touch),
            warm: Arc::new(PackedRun::new(&warm)),
            commands: Arc::new(PackedRun::new(&measured)),
            expected: Vec::new(),
        };
        workload.expected = workload.reference();
        workload
    }

    /// The books as the measured runtimes get them.
    #[must_use]
    pub fn books(&self) -> Vec<Book> {
        self.filled().into_books().collect()
    }

    /// Commands that all books but the first get before what is measured, and the first gets besides its fill.
    #[must_use]
    pub fn prelude(&self) -> u64 {
        let first = InstrumentId(0);
        let fill = self.fill.iter().filter(|command| command.command.instrument() != Some(first)).count();
        (fill + self.touch.len() + self.warm.len()) as u64
    }

    fn filled(&self) -> Books {
        let mut books = Books::new();
        for book in 0..BOOKS as u32 {
            books.insert(Book::new(InstrumentId(book)));
        }
        let mut said = Events::new();
        for command in &self.fill {
            books.apply(command, &mut said);
            said.clear();
        }
        books
    }

    /// Processor time that one thread takes for a measured command, in nanoseconds: the books, and events into a list.
    #[must_use]
    pub fn alone(&self) -> f64 {
        let mut books = self.filled();
        let mut said = Events::new();
        for command in self.touch.iter().chain(self.warm.iter()) {
            books.apply(&command, &mut said);
            said.clear();
        }
        let measured: Vec<_> = self.commands.iter().collect();
        let before = thread_time();
        for batch in measured.chunks(64) {
            books.apply_batch(batch, &mut said);
            said.clear();
        }
        ns_each(thread_time() - before, self.commands.len() as u64)
    }

    fn reference(&self) -> Vec<StateHash> {
        let mut books = self.filled();
        let mut said = Events::new();
        for command in self.touch.iter().chain(self.warm.iter()).chain(self.commands.iter()) {
            books.apply(&command, &mut said);
            said.clear();
        }
        books.iter().map(book_hash).collect()
    }

    /// Holds books against what one thread made of the same commands.
    ///
    /// # Errors
    /// When one differs.
    pub fn check(&self, books: &[Book]) -> Result<(), String> {
        let same = books.iter().map(book_hash).eq(self.expected.iter().copied());
        if same {
            Ok(())
        } else {
            Err(format!("{}: books are not what one thread makes of them", self.shape.name))
        }
    }
}

/// Numbers commands in the order in which they stand, behind `last`, a microsecond apart.
fn number(commands: &mut [Sequenced<Command>], last: &mut u64) {
    for command in commands {
        *last += 1;
        command.sequence = Sequence(*last);
        command.nanos = Nanos(1_700_000_000_000_000_000 + *last * 1_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_what_their_names_say() {
        for (shape, hot) in [
            (Shape::even(), 0.5),
            (Shape::split("90/10", 0.9), 0.9),
            (Shape::zipf(), 0.71),
            (Shape::one(), 1.0),
        ] {
            let workload = Workload::new(shape, 4_000, 16, 5);
            assert_eq!(workload.commands.len(), 4_000);
            let on_hot = |command: &Sequenced<Command>| {
                let book = command.command.instrument().expect("each is for a book");
                workload.shape.placement.shard_of(book) == ShardId(0)
            };
            let share = workload.commands.iter().filter(on_hot).count() as f64 / 4_000.0;
            assert!((share - hot).abs() < 0.04, "{}: {share}", workload.shape.name);
            let warm = workload.warm.iter().filter(on_hot).count() as f64 / workload.warm.len() as f64;
            assert!((0.3..0.7).contains(&warm), "{}: {warm}", workload.shape.name);
        }
    }
}
