//! A seeded stream of commands for many books, shaped like an exchange's: 48% new orders, 42% cancels, 5% reductions,
//! 5% immediate orders that cross.
//!
//! * **Books** are chosen by Zipf's law: the book of rank `k` gets a share of 1/k, and ranks are dealt to instruments
//!   by the seed, so that hot books are not neighbours.
//! * **Lifetimes interleave**: the book of rank `k` is first filled to `10,000 / k` resting orders, at least 50, all
//!   books in one shuffled order, and is held about there. Of the cancels one half takes one of the newest orders of
//!   the book, the other any.
//! * **Prices** are dense around a middle that walks a tick at a time: half of the new orders lie within four ticks of
//!   it, a tenth up to a thousand away, and none reaches the other side. Sizes are 1 to 100 lots; immediate orders
//!   take 1 to 150 lots and meet about two resting orders.
//!
//! What traded must be known to cancel only what rests, so the plan is made beside books that execute it. Any book that
//! keeps price-time priority gives the same stream; [`Stream::hash`] tells two streams apart.

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Echo, EnterOrder, EventKind,
    Events, InstrumentId, Nanos, OrderId, OrderType, Owner, Price, Quantity, ReduceKind, ReduceOrder,
    Sequence, Sequenced, SessionId, Side, TimeInForce,
};
use engine::book::Book;
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_distr::{Distribution, weighted::WeightedAliasIndex};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Resting orders of the hottest book.
const RESTING: usize = 10_000;
/// Resting orders of the coldest.
const RESTING_MIN: usize = 50;
/// From how many of a book's newest orders every other cancel takes one.
const NEWEST: usize = 16;
/// Sessions that own the orders.
const SESSIONS: u32 = 8;
/// No place: the order does not rest.
const NOWHERE: u32 = u32::MAX;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many books; at least one.
    pub books: usize,
    /// How many commands after the books are filled.
    pub commands: usize,
    /// What everything is drawn from.
    pub seed: u64,
}

/// Some commands in a row whose books are chosen alike.
#[derive(Clone, Copy, Debug)]
pub struct Phase<'a> {
    /// By book, what part of the commands it gets, in any unit; at least one is above 0.
    pub shares: &'a [f64],
    /// How many.
    pub commands: usize,
}

/// Commands in sequence, ready to be applied.
#[derive(Debug)]
pub struct Stream {
    /// New orders that fill the books.
    pub fill: Vec<Sequenced<Command>>,
    /// What is to be measured.
    pub commands: Vec<Sequenced<Command>>,
    /// What they are made of.
    pub mix: Mix,
    /// Orders that rest behind the last command.
    pub resting: usize,
    /// A hash of sequence, side, order, price and quantity of every command.
    pub hash: u64,
}

/// What the measured commands are, and what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// New orders for the day.
    pub adds: u64,
    /// Cancels.
    pub cancels: u64,
    /// Reductions.
    pub reductions: u64,
    /// Immediate-or-cancel orders.
    pub immediate: u64,
    /// Trades.
    pub trades: u64,
    /// Events, trades included.
    pub events: u64,
}

/// An order that rests.
#[derive(Clone, Copy, Debug)]
struct Resting {
    order: OrderId,
    owner: Owner,
    /// Above 0.
    leaves: u64,
    executed: u64,
}

/// One book's traders.
#[derive(Debug)]
struct Desk {
    book: Book,
    middle: i64,
    /// How many orders should rest.
    target: usize,
    resting: Vec<Resting>,
    /// By order number: the order's place in `resting`, or [`NOWHERE`].
    places: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    Cancel,
    Reduce,
    Immediate,
}

impl Stream {
    /// Makes a stream.
    ///
    /// # Panics
    /// When there is no book, or more than an id can name.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Maker::new(plan).make(plan)
    }

    /// The same for books that get chosen shares of it, which change from phase to phase. Each book is first filled to
    /// `resting` orders and is held about there. The fill, and then the commands of each phase.
    ///
    /// # Panics
    /// When a phase has no book, or not as many as the first.
    #[must_use]
    pub fn of_phases(resting: usize, phases: &[Phase<'_>], seed: u64) -> Vec<Vec<Sequenced<Command>>> {
        let books = phases.first().map_or(0, |phase| phase.shares.len());
        let mut maker = Maker::new(&Plan { books, commands: 0, seed });
        maker.by_rank.sort_unstable();
        for desk in &mut maker.desks {
            desk.target = resting;
        }
        let mut all = vec![maker.fill()];
        for phase in phases {
            assert_eq!(phase.shares.len(), books, "every phase has the same books");
            maker.ranks = WeightedAliasIndex::new(phase.shares.to_vec()).expect("shares, not all of them 0");
            all.push(maker.commands(phase.commands));
        }
        all
    }

    /// Empty books for it.
    #[must_use]
    pub fn books(plan: &Plan) -> Vec<Book> {
        (0..).take(plan.books).map(|n| Book::new(InstrumentId(n))).collect()
    }
}

struct Maker {
    rng: Xoshiro256PlusPlus,
    ranks: WeightedAliasIndex<f64>,
    /// The book of each rank.
    by_rank: Vec<u32>,
    desks: Vec<Desk>,
    client_refs: [u32; SESSIONS as usize],
    sequence: u64,
    events: Events,
    mix: Mix,
    hash: u64,
}

impl Maker {
    fn new(plan: &Plan) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(plan.seed);
        let mut by_rank: Vec<u32> = (0..).take(plan.books).collect();
        by_rank.shuffle(&mut rng);
        // Floats choose among made-up commands here; none reaches a price or a quantity.
        let weights = (1..=plan.books).map(|rank| 1.0 / rank as f64).collect();
        let ranks = WeightedAliasIndex::new(weights).expect("at least one book, and positive weights");
        let mut desks: Vec<Desk> = Stream::books(plan)
            .into_iter()
            .map(|book| Desk {
                book,
                middle: rng.random_range(15_000..25_000),
                target: RESTING_MIN,
                resting: Vec::new(),
                places: vec![NOWHERE],
            })
            .collect();
        for (rank, &book) in (1..).zip(&by_rank) {
            desks[book as usize].target = (RESTING / rank).max(RESTING_MIN);
        }
        Self {
            rng,
            ranks,
            by_rank,
            desks,
            client_refs: [0; SESSIONS as usize],
            sequence: 0,
            events: Events::new(),
            mix: Mix::default(),
            hash: plan.seed,
        }
    }

    fn make(mut self, plan: &Plan) -> Stream {
        let fill = self.fill();
        self.mix = Mix::default();
        let commands = self.commands(plan.commands);
        let resting = self.desks.iter().map(|desk| desk.resting.len()).sum();
        Stream { fill, commands, mix: self.mix, resting, hash: self.hash }
    }

    /// New orders that bring every book to its target, all books in one shuffled order.
    fn fill(&mut self) -> Vec<Sequenced<Command>> {
        let mut order: Vec<usize> =
            (0..self.desks.len()).flat_map(|n| vec![n; self.desks[n].target]).collect();
        order.shuffle(&mut self.rng);
        order.into_iter().map(|book| self.next(book, Kind::Add)).collect()
    }

    fn commands(&mut self, count: usize) -> Vec<Sequenced<Command>> {
        (0..count)
            .map(|_| {
                let book = self.by_rank[self.ranks.sample(&mut self.rng)] as usize;
                let kind = self.kind(book);
                self.next(book, kind)
            })
            .collect()
    }

    /// What the book's next command shall be: the shares above, with adds and cancels leaning towards the target.
    fn kind(&mut self, book: usize) -> Kind {
        let desk = &self.desks[book];
        if desk.resting.is_empty() {
            return Kind::Add;
        }
        let adds = match (desk.resting.len() * 100).checked_div(desk.target) {
            Some(0..95) => 60,
            Some(95..=105) => 48,
            _ => 36,
        };
        match self.rng.random_range(0..100) {
            0..5 => Kind::Immediate,
            5..10 => Kind::Reduce,
            n if n < 10 + adds => Kind::Add,
            _ => Kind::Cancel,
        }
    }

    fn next(&mut self, book: usize, kind: Kind) -> Sequenced<Command> {
        let command = match kind {
            Kind::Add => self.add(book),
            Kind::Cancel => self.cancel(book),
            Kind::Reduce => self.reduce(book),
            Kind::Immediate => self.immediate(book),
        };
        match &command {
            Command::Enter(enter) if enter.time_in_force == TimeInForce::Day => self.mix.adds += 1,
            Command::Enter(_) => self.mix.immediate += 1,
            Command::Cancel(_) => self.mix.cancels += 1,
            _ => self.mix.reductions += 1,
        }
        self.sequence += 1;
        // A command each microsecond.
        let nanos = Nanos(1_700_000_000_000_000_000 + self.sequence * 1_000);
        let command = Sequenced { sequence: Sequence(self.sequence), nanos, command };
        self.learn(book, &command);
        self.note(&command);
        command
    }

    fn add(&mut self, book: usize) -> Command {
        if self.rng.random_range(0..64) == 0 {
            let desk = &mut self.desks[book];
            let step = if self.rng.random() { 1 } else { -1 };
            desk.middle = (desk.middle + step).clamp(10_000, 30_000);
        }
        let side = self.side();
        let reach = match self.rng.random_range(0..100) {
            0..50 => 4,
            50..75 => 16,
            75..90 => 128,
            _ => 1_000,
        };
        let away = 1 + self.rng.random_range(0..reach);
        let desk = &self.desks[book];
        // A new order waits: it does not reach the other side, even where the middle has left that behind.
        let other = desk.book.best(side.opposite()).map(|best| best.price.ticks());
        let price = match side {
            Side::Buy => (desk.middle - away).min(other.map_or(i64::MAX, |ask| ask - 1)),
            Side::Sell => (desk.middle + away).max(other.map_or(i64::MIN, |bid| bid + 1)),
        };
        let lots = self.rng.random_range(1..=100);
        self.enter(book, side, price, lots, TimeInForce::Day)
    }

    fn immediate(&mut self, book: usize) -> Command {
        let side = self.side();
        let desk = &self.desks[book];
        let there = desk
            .book
            .best(side.opposite())
            .or_else(|| desk.book.best(side))
            .map_or(desk.middle, |b| b.price.ticks());
        let through = self.rng.random_range(0..4);
        let price = if side == Side::Buy { there + through } else { there - through };
        let lots = self.rng.random_range(1..=150);
        self.enter(book, side, price, lots, TimeInForce::ImmediateOrCancel)
    }

    fn enter(
        &mut self,
        book: usize,
        side: Side,
        price: i64,
        lots: u64,
        time_in_force: TimeInForce,
    ) -> Command {
        let session = self.rng.random_range(0..SESSIONS);
        let client_ref = &mut self.client_refs[session as usize];
        *client_ref += 1;
        let desk = &self.desks[book];
        Command::Enter(EnterOrder {
            order: OrderId::new(desk.book.instrument(), desk.book.next_order_number()),
            owner: Owner { session: SessionId(session), client_ref: ClientRef(*client_ref) },
            account: AccountId(session),
            side,
            order_type: OrderType::Limit,
            time_in_force,
            price: Price::new(price).expect("the middle stays far from the ends"),
            quantity: Quantity(lots),
            client_order_id: ClientOrderId::BLANK,
            echo: Echo { side: b'B', display: b'Y', capacity: b'P', intermarket_sweep: b'N', cross: b'N' },
        })
    }

    fn cancel(&mut self, book: usize) -> Command {
        let Resting { order, owner, .. } = self.pick(book);
        Command::Cancel(CancelOrder { order, owner, reason: CancelReason::Requested })
    }

    fn reduce(&mut self, book: usize) -> Command {
        let Resting { order, owner, leaves, executed } = self.pick(book);
        if leaves == 1 {
            return Command::Cancel(CancelOrder { order, owner, reason: CancelReason::Requested });
        }
        let total = Quantity(executed + self.rng.random_range(1..leaves));
        Command::Reduce(ReduceOrder { order, owner, total, kind: ReduceKind::Cancel })
    }

    /// A resting order of the book, which has some.
    fn pick(&mut self, book: usize) -> Resting {
        let resting = &self.desks[book].resting;
        let among = if self.rng.random() { resting.len().min(NEWEST) } else { resting.len() };
        resting[resting.len() - 1 - self.rng.random_range(0..among)]
    }

    fn side(&mut self) -> Side {
        if self.rng.random() { Side::Buy } else { Side::Sell }
    }

    /// Executes the command and keeps up with what rests.
    fn learn(&mut self, book: usize, command: &Sequenced<Command>) {
        let desk = &mut self.desks[book];
        self.events.clear();
        desk.book.apply(command, &mut self.events);
        self.mix.events += self.events.as_slice().len() as u64;
        for event in self.events.as_slice() {
            match event.kind {
                EventKind::Accepted { order, owner, quantity, time_in_force, .. } => {
                    desk.places.push(NOWHERE);
                    if time_in_force.rests() {
                        desk.places[order.number() as usize] =
                            u32::try_from(desk.resting.len()).expect("a book rests fewer than 2^32 orders");
                        desk.resting.push(Resting { order, owner, leaves: quantity.lots(), executed: 0 });
                    }
                }
                EventKind::Traded { maker, maker_leaves, taker, taker_leaves, quantity, .. } => {
                    self.mix.trades += 1;
                    desk.filled(maker, quantity, maker_leaves);
                    desk.filled(taker, quantity, taker_leaves);
                }
                EventKind::Canceled { order, .. } => desk.remove(order),
                EventKind::Reduced { order, leaves, .. } => desk.filled(order, Quantity::ZERO, leaves),
                kind => unreachable!("the stream asks for nothing that leads to {kind:?}"),
            }
        }
    }

    fn note(&mut self, command: &Sequenced<Command>) {
        let (what, order, price, quantity) = match &command.command {
            Command::Enter(c) => {
                (c.side as u64 | (c.time_in_force as u64) << 8, c.order, c.price.ticks(), c.quantity)
            }
            Command::Cancel(c) => (1 << 16, c.order, 0, Quantity::ZERO),
            Command::Reduce(c) => (1 << 17, c.order, 0, c.total),
            command => unreachable!("the stream has no {command:?}"),
        };
        let price = u64::from_ne_bytes(price.to_ne_bytes());
        for word in [command.sequence.0, what, order.0, price, quantity.lots()] {
            // FNV-1a's step, on words and rotated: enough to tell two streams apart.
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(29);
        }
    }
}

impl Desk {
    /// An order of this desk has this much left; nothing when it does not rest.
    fn filled(&mut self, order: OrderId, quantity: Quantity, leaves: Quantity) {
        if leaves.is_zero() {
            self.remove(order);
        } else if let Some(resting) = self.resting.get_mut(self.places[order.number() as usize] as usize) {
            resting.leaves = leaves.lots();
            resting.executed += quantity.lots();
        }
    }

    fn remove(&mut self, order: OrderId) {
        let place = std::mem::replace(&mut self.places[order.number() as usize], NOWHERE) as usize;
        if place < self.resting.len() {
            self.resting.swap_remove(place);
            if let Some(moved) = self.resting.get(place) {
                self.places[moved.order.number() as usize] = place as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::{hash::book_hash, reference::ReferenceBook};

    use super::*;

    #[test]
    fn one_seed_one_stream() {
        let plan = Plan { books: 20, commands: 5_000, seed: 7 };
        let (one, two) = (Stream::new(&plan), Stream::new(&plan));
        assert_eq!((one.hash, &one.fill, &one.commands), (two.hash, &two.fill, &two.commands));
        assert_ne!(one.hash, Stream::new(&Plan { seed: 8, ..plan }).hash);
    }

    #[test]
    fn phases_have_the_shares_that_are_asked_for() {
        let phases = [
            Phase { shares: &[1.0, 1.0, 1.0], commands: 6_000 },
            Phase { shares: &[9.0, 1.0, 0.0], commands: 10_000 },
        ];
        let all = Stream::of_phases(100, &phases, 11);
        let of = |commands: &[Sequenced<Command>]| {
            let mut counts = [0_usize; 3];
            for command in commands {
                counts[command.command.instrument().unwrap().0 as usize] += 1;
            }
            counts
        };
        assert_eq!(of(&all[0]), [100; 3]);
        assert!(of(&all[1]).iter().all(|n| n.abs_diff(2_000) < 200), "{:?}", of(&all[1]));
        let [hot, warm, cold] = of(&all[2]);
        assert!(hot.abs_diff(9_000) < 200 && warm.abs_diff(1_000) < 200 && cold == 0, "{hot} {warm} {cold}");
    }

    #[test]
    fn the_mix_is_what_is_said() {
        for books in [1, 100] {
            let plan = Plan { books, commands: 100_000, seed: 3 };
            let stream = Stream::new(&plan);
            let mix = stream.mix;
            let percent = |n: u64| n as f64 / 1_000.0;
            assert!((45.0..51.0).contains(&percent(mix.adds)), "{books}: {mix:?}");
            assert!((39.0..45.0).contains(&percent(mix.cancels)), "{books}: {mix:?}");
            assert!((4.5..5.5).contains(&percent(mix.reductions)), "{books}: {mix:?}");
            assert!((4.5..5.5).contains(&percent(mix.immediate)), "{books}: {mix:?}");
            assert!((1.0..4.0).contains(&(mix.trades as f64 / mix.immediate as f64)), "{books}: {mix:?}");
            let filled = stream.fill.len();
            assert!(
                stream.resting * 10 > filled * 8 && stream.resting * 10 < filled * 12,
                "{}",
                stream.resting
            );
        }
    }

    #[test]
    fn the_naive_book_says_the_same() {
        let plan = Plan { books: 3, commands: 3_000, seed: 5 };
        let stream = Stream::new(&plan);
        let mut books = Stream::books(&plan);
        let mut naive: Vec<_> = books.iter().map(|book| ReferenceBook::new(book.instrument())).collect();
        let (mut said, mut expected) = (Events::new(), Events::new());
        for command in stream.fill.iter().chain(&stream.commands) {
            let book = command.command.instrument().unwrap().0 as usize;
            said.clear();
            expected.clear();
            books[book].apply(command, &mut said);
            naive[book].apply(command, &mut expected);
            assert_eq!(said.as_slice(), expected.as_slice());
        }
        for (book, naive) in books.iter().zip(&naive) {
            assert_eq!(book_hash(book), book_hash(naive));
        }
    }
}
