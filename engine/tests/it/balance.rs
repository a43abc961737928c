//! Where a book runs must not show: the same commands give each book the same events, byte for byte and in order, and the
//! same state, whatever steals, moves and forced moves happen meanwhile, on any number of shards, with any idle policy and
//! with rings so small that everybody waits for everybody.
//!
//! Every event is held against what one thread made of the same commands when it is drained. `SEED=` replays a run (its
//! commands and forced moves; who steals what is up to the threads), `COMMANDS=` sets how many commands all runs get
//! together: `COMMANDS=100000000 cargo test --profile fast-tests -p engine --test it balance:: -- --nocapture` is the long
//! form.

use std::{
    collections::VecDeque,
    ops::AddAssign,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use domain::{
    AccountId, ClientRef, Command, Event, Events, InstrumentId, MassCancel, Nanos, OrderId, Owner, Sequence,
    Sequenced, SessionId, ShardId,
};
use engine::{
    balance::{BalanceEvent, BalanceMode, Placement, PlacementPolicy, Unit, Why},
    book::Book,
    hash::book_hash,
    runtime::{Idle, Runtime, RuntimeConfig, Wake},
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;

use crate::flow::{Flow, SPECIAL_STYLES, STYLES};

/// How many books.
const BOOKS: u32 = 24;
/// One command in so many is for all books.
const MARKET_WIDE: u32 = 300;
/// Waits in a row without any progress: then something is stuck for ever.
const STUCK: u64 = 50_000_000;

/// Whether the runtime balances: then runs in which nothing moved or nothing was stolen prove nothing, and fail.
const BALANCES: bool = true;

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// A time for the runtime that passes with each look at it, a microsecond a look.
fn clock() -> u64 {
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    LOOKS.fetch_add(1_000, Ordering::Relaxed)
}

/// Random commands for many books, and what one thread makes of them.
struct Market {
    rng: Xoshiro256StarStar,
    flows: Vec<Flow>,
    books: Vec<Book>,
    said: Events,
    /// By book, events that have been said here and not drained there.
    expected: Vec<VecDeque<Event>>,
    sequence: u64,
    nanos: Nanos,
    /// The book that gets most, and for how many more commands.
    hot: (usize, u32),
    /// A book is the hot one for at most so many commands.
    swap_max: u32,
    /// Of a hundred commands, so many are for the hot book.
    hot_percent: u32,
}

impl Market {
    fn new(seed: u64, swap_max: u32, hot_percent: u32) -> Self {
        let styles: Vec<_> = STYLES.iter().chain(&SPECIAL_STYLES).copied().collect();
        Self {
            rng: Xoshiro256StarStar::seed_from_u64(seed),
            flows: (0..BOOKS)
                .map(|book| Flow::new(seed ^ u64::from(book), styles[book as usize % styles.len()]))
                .collect(),
            books: (0..BOOKS).map(|book| Book::new(InstrumentId(book))).collect(),
            said: Events::new(),
            expected: (0..BOOKS).map(|_| VecDeque::new()).collect(),
            sequence: 0,
            nanos: Nanos(0),
            hot: (0, 0),
            swap_max,
            hot_percent,
        }
    }

    fn next(&mut self) -> Sequenced<Command> {
        if self.hot.1 == 0 {
            self.hot = (self.rng.random_range(0..BOOKS as usize), self.rng.random_range(1..=self.swap_max));
        }
        self.hot.1 -= 1;
        let is_hot = self.rng.random_range(0..100) < self.hot_percent;
        let book = if is_hot { self.hot.0 } else { self.rng.random_range(0..BOOKS as usize) };
        let of_flow = self.flows[book].next();
        self.nanos = self.nanos.max(of_flow.nanos);
        // A flow counts its orders, so what it has made is sent; what is for all books comes besides.
        let command = renamed(of_flow.command, InstrumentId(book as u32));
        self.sequenced(command)
    }

    /// Now and then, a command for all books.
    fn market_wide(&mut self) -> Option<Sequenced<Command>> {
        if self.rng.random_range(0..MARKET_WIDE) > 0 {
            return None;
        }
        let some =
            |rng: &mut Xoshiro256StarStar| (rng.random_range(0..3) > 0).then(|| rng.random_range(0..5));
        let command = if self.rng.random_range(0..4) == 0 {
            Command::EndOfDay
        } else {
            Command::MassCancel(MassCancel {
                owner: Owner { session: SessionId(1), client_ref: ClientRef(1) },
                instrument: None,
                session: some(&mut self.rng).map(SessionId),
                account: some(&mut self.rng).map(AccountId),
                side: None,
            })
        };
        Some(self.sequenced(command))
    }

    /// Numbers a command and applies it here.
    fn sequenced(&mut self, command: Command) -> Sequenced<Command> {
        self.sequence += 1;
        let command = Sequenced { sequence: Sequence(self.sequence), nanos: self.nanos, command };
        let at = command.command.instrument().map(|book| book.0 as usize);
        for book in at.map_or(0..BOOKS as usize, |at| at..at + 1) {
            self.said.clear();
            self.books[book].apply(&command, &mut self.said);
            self.flows[book].learn(self.said.as_slice());
            self.expected[book].extend(self.said.as_slice());
        }
        command
    }

    /// Holds what the runtime has said against what is next.
    fn heard(&mut self, event: &Event, what: &str) {
        let next = self.expected[event.instrument.0 as usize].pop_front();
        assert!(next.as_ref() == Some(event), "{what}: said {event:?}\ninstead of {next:?}");
    }
}

/// The same command for another instrument.
fn renamed(command: Command, to: InstrumentId) -> Command {
    let id = |order: OrderId| OrderId::new(to, order.number());
    let mut command = command;
    match &mut command {
        Command::Enter(c) => c.order = id(c.order),
        Command::EnterSpecial(c) => c.enter.order = id(c.enter.order),
        Command::Cancel(c) => c.order = id(c.order),
        Command::Reduce(c) => c.order = id(c.order),
        Command::Replace(c) => (c.order, c.new_order) = (id(c.order), id(c.new_order)),
        Command::ReplaceSpecial(c) => {
            (c.replace.order, c.replace.new_order) = (id(c.replace.order), id(c.replace.new_order));
        }
        Command::MassCancel(c) => c.instrument = c.instrument.map(|_| to),
        Command::Advance(instrument) => *instrument = to,
        Command::EndOfDay
        | Command::Rejected(_)
        | Command::DefineInstrument(_)
        | Command::DefineSession(_)
        | Command::EpochStart(_)
        | Command::FixRequest(_)
        | Command::DropCopy(_) => {}
    }
    command
}

/// What moved in some runs.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    /// Forced moves that the runtime agreed to.
    agreed: u64,
    /// Changes of home.
    moves: u64,
    /// Books taken from another shard.
    steals: u64,
    /// Migrations and steals that were told.
    told: [u64; 2],
}

impl AddAssign for Moved {
    fn add_assign(&mut self, other: Self) {
        self.agreed += other.agreed;
        self.moves += other.moves;
        self.steals += other.steals;
        for (told, more) in self.told.iter_mut().zip(other.told) {
            *told += more;
        }
    }
}

/// Runs in which nothing moved prove nothing about moving.
fn must_have_moved(mode: BalanceMode, moved: &Moved) {
    println!("balance {mode}: {moved:?}");
    if !BALANCES {
        return;
    }
    assert!(
        !mode.migrates() || (moved.agreed > 0 && moved.moves > 0 && moved.told[0] > 0),
        "{mode}: {moved:?}"
    );
    assert!(!mode.steals() || (moved.steals > 0 && moved.told[1] > 0), "{mode}: {moved:?}");
}

/// One run.
struct Run<'a> {
    config: &'a RuntimeConfig,
    /// Commands; those for all books come besides.
    commands: u64,
    seed: u64,
    /// A book is the hot one for at most so many commands.
    swap_max: u32,
    /// Of a hundred commands, so many are for the hot book.
    hot_percent: u32,
    /// Of a thousand commands, behind so many somebody asks for a move.
    forced_permille: u32,
}

/// Feeds a runtime and holds all that it says against one thread's books.
fn run(run: &Run<'_>) -> Moved {
    let Run { config, commands, seed, .. } = *run;
    let shards = config.placement.shards();
    let what = format!(
        "SEED={seed}, balance {}, {shards} shards, idle {}, rings of {} and {}",
        config.balance, config.idle, config.command_slots, config.event_slots
    );
    let wake: Arc<dyn Wake> = Arc::new(Nobody);
    let mut runtime = Runtime::start(config, &wake).unwrap();
    let mut market = Market::new(seed, run.swap_max, run.hot_percent);
    // Of its own, so that the commands are the same for all runs with this seed.
    let mut rng = Xoshiro256StarStar::seed_from_u64(!seed);
    let mut moved = Moved::default();
    let mut sent = 0;
    while sent < commands {
        let command = if let Some(command) = market.market_wide() {
            command
        } else {
            sent += 1;
            market.next()
        };
        let mut waits = 0;
        while !runtime.accepts_command(&command.command) {
            runtime.publish();
            wait(&mut runtime, &mut market, &what, &mut waits);
        }
        runtime.route(&command);
        if rng.random_range(0..8) == 0 {
            runtime.publish();
        }
        if rng.random_range(0..1_000) < run.forced_permille {
            let (unit, to) = (Unit(rng.random_range(0..BOOKS)), ShardId(rng.random_range(0..shards)));
            moved.agreed += u64::from(runtime.move_unit(unit, to, Why::Asked));
        }
        if rng.random_range(0..16) == 0 {
            runtime.tick(clock());
            listen(&mut runtime, &mut moved, &what);
        }
        if rng.random_range(0..4) == 0 {
            runtime.drain(rng.random_range(1..20), |event| {
                market.heard(event, &what);
                true
            });
        }
    }
    runtime.publish();
    let mut waits = 0;
    while !runtime.is_quiescent() {
        wait(&mut runtime, &mut market, &what, &mut waits);
    }
    listen(&mut runtime, &mut moved, &what);
    let stats = runtime.balance_stats();
    (moved.moves, moved.steals) = (stats.moves, stats.steals);
    for (hashes, book) in runtime.hashes().iter().zip(&market.books) {
        let at = book.instrument();
        assert_eq!(hashes.instrument, at, "{what}");
        assert_eq!(hashes.commands, book.counters().commands, "{what}: commands of {at}");
        assert_eq!(hashes.state, book_hash(book), "{what}: state of {at}");
        assert_eq!(market.expected[at.0 as usize].len(), 0, "{what}: events of {at} not said");
    }
    let books = runtime.finish();
    assert!(books.iter().map(book_hash).eq(market.books.iter().map(book_hash)), "{what}: books at the end");
    moved
}

/// Lets the workers work.
fn wait(runtime: &mut Runtime, market: &mut Market, what: &str, waits: &mut u64) {
    let drained = runtime.drain(64, |event| {
        market.heard(event, what);
        true
    });
    if drained > 0 {
        *waits = 0;
        return;
    }
    *waits += 1;
    assert!(*waits < STUCK, "{what}: stuck; {:?}", runtime.stats());
    runtime.tick(clock());
    thread::yield_now();
}

/// What balancing tells must make sense.
fn listen(runtime: &mut Runtime, moved: &mut Moved, what: &str) {
    runtime.take_balance_events(|event| match event {
        BalanceEvent::Migration { from, to, book, .. } => {
            assert!(from != to && book.0 < BOOKS, "{what}: {event:?}");
            moved.told[0] += 1;
        }
        BalanceEvent::Steal { home, thief, commands, book, .. } => {
            assert!(home != thief && *commands > 0 && book.0 < BOOKS, "{what}: {event:?}");
            moved.told[1] += 1;
        }
        _ => {}
    });
}

/// The number of commands that each of some runs gets.
fn share(runs: u64) -> u64 {
    let all = seeded::number("COMMANDS").unwrap_or(if cfg!(debug_assertions) { 40_000 } else { 2_000_000 });
    (all / runs).max(1)
}

fn config(
    mode: BalanceMode,
    shards: u16,
    idle: Idle,
    (command_slots, event_slots): (usize, usize),
) -> RuntimeConfig {
    RuntimeConfig {
        idle,
        command_slots,
        event_slots,
        inline_max: if command_slots > 16 { 64 } else { 3 },
        balance: mode,
        // Spinning threads yield to others; those that sleep need no telling, and may steal.
        shared_cores: idle == Idle::Spin,
        clock,
        ..RuntimeConfig::new(Placement::new(PlacementPolicy::Hash, BOOKS, shards))
    }
}

#[test]
fn steals_and_moves_do_not_show() {
    let seed = seeded::seed();
    let rings = [(1_024, 2_048), (2, 4), (16, 2)];
    let commands = share(BalanceMode::ALL.len() as u64 * 4 * Idle::ALL.len() as u64 * rings.len() as u64);
    for mode in BalanceMode::ALL {
        let mut moved = Moved::default();
        for shards in [1, 2, 4, 8] {
            for idle in Idle::ALL {
                for slots in rings {
                    let config = config(mode, shards, idle, slots);
                    moved += run(&Run {
                        config: &config,
                        commands,
                        seed,
                        swap_max: 2_000,
                        hot_percent: 50,
                        forced_permille: 30,
                    });
                }
            }
        }
        must_have_moved(mode, &moved);
    }
}

#[test]
fn an_adversary_that_swaps_the_hot_book_changes_nothing() {
    let seed = seeded::seed();
    let modes = [BalanceMode::Steal, BalanceMode::Migrate, BalanceMode::Full];
    let commands = share(modes.len() as u64 * 2 * 4);
    for mode in modes {
        let mut moved = Moved::default();
        for shards in [2, 4] {
            for slots in [(4_096, 8_192), (8, 16)] {
                let config = config(mode, shards, Idle::Backoff, slots);
                // Nobody asks for moves in half of the runs: those that happen are the policy's own.
                for forced_permille in [0, 5] {
                    let market = Run {
                        config: &config,
                        commands,
                        seed,
                        swap_max: 400,
                        hot_percent: 90,
                        forced_permille,
                    };
                    moved += run(&market);
                }
            }
        }
        must_have_moved(mode, &moved);
    }
}
