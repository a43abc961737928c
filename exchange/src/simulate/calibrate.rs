//! What things cost on this machine: the simulator's only link to it.
//!
//! The book is the real one. Its flow is made up to be like that of a liquid name: 48 of 100 commands enter an order
//! within twenty ticks of the middle, 46 cancel one of the last 128, 6 take what lies at the other side. What comes of it
//! is dropped, so no ring and no journal is in these times.

use std::{
    collections::VecDeque,
    hint,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use domain::{
    AccountId, CancelOrder, CancelReason, ClientOrderId, ClientRef, Command, Echo, EnterOrder, EventKind,
    EventSink, InstrumentId, Nanos, OrderId, OrderType, Owner, Price, Quantity, Sequence, Sequenced,
    SessionId, Side, TimeInForce,
};
use engine::{book::Book, runtime::ring::ring};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::json;
use simulator::Costs;

use crate::{cli, say::say};

/// Books of the flow.
const BOOKS: u32 = 64;
/// Orders that rest in each book before the clock starts.
const RESTING: u32 = 500;
/// Commands for one book in a row, which is also what a turn of the exchange of a book holds.
const ROW: usize = 16;
/// The middle of the prices, in ticks.
const MIDDLE: i64 = 100_000;

/// Counts events, so that nothing of a book's work is for nothing.
#[derive(Default)]
struct Counter(u64);

impl EventSink for Counter {
    fn begin(&mut self, _: Sequence, _: Nanos, _: InstrumentId) {}

    fn push(&mut self, kind: EventKind) {
        self.0 += 1;
        hint::black_box(&kind);
    }
}

/// Makes commands for one book.
struct Maker {
    instrument: InstrumentId,
    number: u64,
    recent: VecDeque<(OrderId, Owner)>,
}

impl Maker {
    fn new(instrument: InstrumentId) -> Self {
        Self { instrument, number: 0, recent: VecDeque::new() }
    }

    fn enter(&mut self, rng: &mut Xoshiro256PlusPlus, takes: bool) -> Command {
        self.number += 1;
        let order = OrderId::new(self.instrument, self.number);
        let owner = Owner { session: SessionId(0), client_ref: ClientRef(self.number as u32) };
        let side = if rng.random() { Side::Buy } else { Side::Sell };
        let away = if takes { -25 } else { rng.random_range(1..=20) };
        let ticks = if side == Side::Buy { MIDDLE - away } else { MIDDLE + away };
        if !takes {
            self.recent.push_back((order, owner));
        }
        Command::Enter(EnterOrder {
            order,
            owner,
            price: Price::new(ticks).expect("far from the ends of the scale"),
            quantity: Quantity(100),
            account: AccountId(0),
            side,
            order_type: OrderType::Limit,
            time_in_force: if takes { TimeInForce::ImmediateOrCancel } else { TimeInForce::Day },
            echo: Echo { side: b'B', display: b'Y', capacity: b'A', intermarket_sweep: b'N', cross: b'N' },
            client_order_id: ClientOrderId::default(),
        })
    }

    fn next(&mut self, rng: &mut Xoshiro256PlusPlus) -> Command {
        match rng.random_range(0..100) {
            0..46 if self.recent.len() > 128 => {
                let index = rng.random_range(self.recent.len() - 128..self.recent.len());
                let (order, owner) = self.recent.remove(index).expect("it is within");
                Command::Cancel(CancelOrder { order, owner, reason: CancelReason::Requested })
            }
            46..52 => self.enter(rng, true),
            _ => self.enter(rng, false),
        }
    }
}

/// A flow: what fills the books, and what is measured. Sequences go up.
struct Commands {
    rng: Xoshiro256PlusPlus,
    makers: Vec<Maker>,
    sequence: u64,
}

impl Commands {
    fn new(books: u32, seed: u64) -> Self {
        let makers = (0..books).map(|book| Maker::new(InstrumentId(book))).collect();
        Self { rng: Xoshiro256PlusPlus::seed_from_u64(seed), makers, sequence: 0 }
    }

    fn sequenced(&mut self, command: Command) -> Sequenced<Command> {
        self.sequence += 1;
        Sequenced { sequence: Sequence(self.sequence), nanos: Nanos(self.sequence), command }
    }

    fn filling(&mut self) -> Vec<Sequenced<Command>> {
        let mut all = Vec::new();
        for book in 0..self.makers.len() {
            for _ in 0..RESTING {
                let command = self.makers[book].enter(&mut self.rng, false);
                all.push(self.sequenced(command));
            }
        }
        all
    }

    fn flow(&mut self, count: usize) -> Vec<Sequenced<Command>> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            let book = self.rng.random_range(0..self.makers.len());
            for _ in 0..ROW {
                let command = self.makers[book].next(&mut self.rng);
                all.push(self.sequenced(command));
            }
        }
        all
    }
}

fn apply(books: &mut [Book], commands: &[Sequenced<Command>], events: &mut Counter) {
    for command in commands {
        let book = command.command.instrument().expect("commands of one book");
        books[book.0 as usize].apply(command, events);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Nanoseconds for each of so many.
fn each(begin: Instant, count: usize) -> f64 {
    begin.elapsed().as_nanos() as f64 / count as f64
}

/// The mean service time of a command.
fn service(seed: u64, count: usize) -> f64 {
    let runs = (0..5).map(|_| {
        let mut commands = Commands::new(BOOKS, seed);
        let (filling, flow) = (commands.filling(), commands.flow(count));
        let mut books: Vec<Book> = (0..BOOKS).map(|book| Book::new(InstrumentId(book))).collect();
        let mut events = Counter::default();
        apply(&mut books, &filling, &mut events);
        let begin = Instant::now();
        apply(&mut books, &flow, &mut events);
        let nanos = each(begin, flow.len());
        assert!(events.0 as usize >= flow.len(), "each command says something");
        nanos
    });
    median(runs.collect())
}

/// Waits for a turn; yields now and then, because there may be one core only.
fn wait_for(turn: &AtomicU64, mine: impl Fn(u64) -> bool) {
    let mut spins = 0_u32;
    while !mine(turn.load(Ordering::Acquire)) {
        spins += 1;
        if spins.is_multiple_of(4_096) {
            thread::yield_now();
        }
        hint::spin_loop();
    }
}

/// Nanoseconds of a turn of `ROW` commands in one book, the median, when `threads` threads take turns.
fn turn(seed: u64, turns: usize, threads: u64) -> f64 {
    let mut commands = Commands::new(1, seed);
    let (filling, flow) = (commands.filling(), commands.flow(turns * ROW));
    let mut books = vec![Book::new(InstrumentId(0))];
    apply(&mut books, &filling, &mut Counter::default());
    let books = Arc::new(Mutex::new(books));
    let (flow, turn) = (Arc::new(flow), Arc::new(AtomicU64::new(0)));
    let workers = (0..threads).map(|me| {
        let (books, flow, turn) = (Arc::clone(&books), Arc::clone(&flow), Arc::clone(&turn));
        thread::spawn(move || {
            let mut times = Vec::new();
            let mut events = Counter::default();
            for (number, row) in flow.chunks_exact(ROW).enumerate() {
                if number as u64 % threads != me {
                    continue;
                }
                wait_for(&turn, |now| now == number as u64);
                let mut books = books.lock().expect("no worker panics");
                let begin = Instant::now();
                apply(&mut books, row, &mut events);
                times.push(begin.elapsed().as_nanos() as f64);
                drop(books);
                turn.store(number as u64 + 1, Ordering::Release);
            }
            times
        })
    });
    // All start before the first is waited for.
    let workers: Vec<_> = workers.collect();
    let times = workers.into_iter().flat_map(|worker| worker.join().expect("no worker panics"));
    median(times.collect())
}

/// A cache line to another thread and back: the median of some batches, because others may take a core for a while.
fn round_trip(batches: u64) -> f64 {
    const BATCH: u64 = 16;
    let count = batches * BATCH;
    let ball = Arc::new(AtomicU64::new(0));
    let other = {
        let ball = Arc::clone(&ball);
        thread::spawn(move || {
            for n in 0..count {
                wait_for(&ball, |now| now == 2 * n + 1);
                ball.store(2 * n + 2, Ordering::Release);
            }
        })
    };
    let times = (0..batches).map(|batch| {
        let begin = Instant::now();
        for n in batch * BATCH..(batch + 1) * BATCH {
            ball.store(2 * n + 1, Ordering::Release);
            wait_for(&ball, |now| now == 2 * n + 2);
        }
        each(begin, BATCH as usize)
    });
    let nanos = median(times.collect());
    other.join().expect("no worker panics");
    nanos
}

/// Taking and giving back a token that nobody else wants.
fn claim(count: usize) -> f64 {
    let token = AtomicU64::new(0);
    let begin = Instant::now();
    for _ in 0..count {
        let taken = hint::black_box(&token).compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire);
        assert!(taken.is_ok(), "nobody else takes it");
        token.store(0, Ordering::Release);
    }
    each(begin, count)
}

/// A command through a ring in batches, read where it lies, both ends on this thread and all of it in its cache.
fn ring_hop(flow: &[Sequenced<Command>], batches: usize) -> f64 {
    let (mut producer, mut consumer) = ring(2 * ROW);
    let begin = Instant::now();
    for _ in 0..batches {
        for command in &flow[..ROW] {
            assert!(producer.push(*command).is_ok(), "it is empty before each batch");
        }
        producer.publish();
        let read = hint::black_box(consumer.readable(ROW)).len();
        consumer.take(read);
        consumer.release();
    }
    each(begin, batches * ROW)
}

/// A command into a mailbox and out of it, all of it in this thread's cache.
fn mailbox_hop(flow: &[Sequenced<Command>], batches: usize) -> f64 {
    let mut mailbox: VecDeque<Sequenced<Command>> = VecDeque::with_capacity(ROW);
    let begin = Instant::now();
    for _ in 0..batches {
        mailbox.extend(hint::black_box(&flow[..ROW]));
        for command in mailbox.drain(..) {
            hint::black_box(&command);
        }
    }
    each(begin, batches * ROW)
}

/// The command.
pub(super) fn calibrate(args: &cli::Simulate) -> Result<(), String> {
    let scale = if args.quick { 20 } else { 1 };
    let (count, turns) = (400_000 / scale, 40_000 / scale);
    let flow = Commands::new(BOOKS, args.seed).flow(ROW);
    let service = service(args.seed, count);
    let (alone, apart) = (turn(args.seed, turns, 1), turn(args.seed, turns, 2));
    let refill = (apart - alone).max(0.0);
    let line = round_trip(12_000 / scale as u64);
    let (claim, ring, mailbox) =
        (claim(count), ring_hop(&flow, count / ROW), mailbox_hop(&flow, count / ROW));
    let nanos = |value: f64| value.round() as u64;
    let costs = Costs {
        service_nanos: nanos(service).max(1),
        scheduling_nanos: nanos(ring + claim / f64::from(args.batch)),
        // A look at the victim and the token that is taken from it, each a line that the victim had.
        steal_nanos: nanos(2.0 * line + claim),
        publish_nanos: nanos(mailbox),
        refill_nanos: nanos(refill),
        ..Costs::default()
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let remark = match (cores, cfg!(debug_assertions)) {
        (_, true) => "NOT OPTIMISED: the numbers mean nothing",
        (1, _) => "one core: what passes between cores passes between threads of one here",
        _ => "measure on a machine that does nothing else",
    };
    if let Some(file) = &args.save {
        super::write(file, &format!("# {cores} cores, seed {}; {remark}\n{}", args.seed, costs.to_file()))?;
    }
    if args.json {
        say!(
            "{}",
            json!({ "cores": cores, "seed": args.seed, "remark": remark, "command_nanos": service,
                    "ring_nanos": ring, "claim_nanos": claim, "mailbox_nanos": mailbox, "line_nanos": line,
                    "turn_alone_nanos": alone, "turn_apart_nanos": apart,
                    "costs": costs.to_file().lines().map(str::to_owned).collect::<Vec<_>>() })
        );
        return Ok(());
    }
    say!("{cores} cores; {remark}");
    say!("{BOOKS} books with {RESTING} orders each, {count} commands, {ROW} in a row, seed {}", args.seed);
    for (value, what) in [
        (service, "a command in its book, mean; median of 5 runs"),
        (ring, "a command through a ring in batches, both ends on one thread"),
        (claim, "a token taken and given back, nobody else wanting it"),
        (mailbox, "a command into a mailbox and out"),
        (line, "a cache line to another thread and back; median"),
        (alone, "a row of commands in a book that this thread ran before; median"),
        (apart, "the same in a book that another thread ran before; median"),
    ] {
        say!("{value:10.1} ns  {what}");
    }
    say!("\n{}", costs.to_file().trim_end());
    Ok(())
}
