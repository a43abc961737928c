//! Passes over a workload: what is inside a clock, and nothing else that could be outside.

use std::{
    fs,
    hint::black_box,
    path::Path,
    slice,
    time::{Duration, Instant},
};

use domain::{Command, EventSink, Events, InstrumentId, Sequenced};
use engine::book::{Book, Books};

use crate::{
    clock::{quantile, thread_time},
    workload::{
        Flow, Op, Record,
        file::Records,
        rare,
        session::{FillHash, Session},
    },
};

/// Commands made, and applied, at a time: what a shard finds in its ring when it is busy.
pub const BATCH: usize = 256;

/// A workload, and the books that get orders of rare types first.
#[derive(Clone, Copy, Debug)]
pub struct Arm<'a> {
    /// What is played.
    pub flow: &'a Flow,
    /// None for the plain arm.
    pub rare_in: &'a [InstrumentId],
}

/// Books that are full, and a session that knows their orders.
struct Ready {
    books: Books,
    session: Session,
    /// Orders of rare types.
    rare: u64,
}

/// Makes commands of records, at most a batch.
#[inline(always)]
fn make(records: &[Record], session: &mut Session, commands: &mut Vec<Sequenced<Command>>) {
    commands.clear();
    for record in records {
        session.push_command(record, commands);
    }
}

/// Makes and applies commands. Named, so that a profiler can be told to look at this and nothing else.
#[inline(never)]
fn play_measured(records: &[Record], session: &mut Session, books: &mut Books, said: &mut Events) {
    let mut commands = Vec::with_capacity(BATCH);
    for records in records.chunks(BATCH) {
        make(records, session, &mut commands);
        books.apply_batch(&commands, said);
        said.clear();
    }
}

/// Makes commands only.
#[inline(never)]
fn make_measured(records: &[Record], session: &mut Session) {
    let mut commands = Vec::with_capacity(BATCH);
    for records in records.chunks(BATCH) {
        make(records, session, &mut commands);
        black_box(&commands);
    }
}

fn play<S: EventSink>(records: &[Record], ready: &mut Ready, said: &mut S, mut after: impl FnMut(&mut S)) {
    let mut commands = Vec::with_capacity(BATCH);
    for records in records.chunks(BATCH) {
        make(records, &mut ready.session, &mut commands);
        ready.books.apply_batch(&commands, said);
        after(said);
    }
}

impl Arm<'_> {
    fn ready(&self) -> Ready {
        let workload = &self.flow.workload;
        let mut books = Books::new();
        for book in 0..workload.books {
            books.insert(Book::new(InstrumentId(book)));
        }
        let mut session = Session::new(workload.books, workload.orders);
        let mut said = Events::new();
        let rare = rare::commands(self.rare_in, &mut session);
        books.apply_batch(&rare, &mut said);
        let mut ready = Ready { books, session, rare: rare.len() as u64 };
        play(&workload.fill, &mut ready, &mut said, Events::clear);
        ready
    }

    /// What rests and what has traded must be what the slow book says, whatever the speed.
    fn check(&self, ready: &Ready) {
        let (mut trades, mut resting) = (0, 0);
        for book in 0..self.flow.workload.books {
            let book = ready.books.get(InstrumentId(book)).expect("it was put in");
            trades += book.counters().trades;
            resting +=
                u64::from(book.resting(domain::Side::Buy)) + u64::from(book.resting(domain::Side::Sell));
        }
        assert_eq!(trades, self.flow.workload.fills.trades, "trades");
        assert_eq!(resting, self.flow.resting + ready.rare, "orders that rest or wait");
    }

    /// Plays it without a clock and hears everything that is said.
    ///
    /// # Panics
    /// When a fill is not what and when the slow book says, or a command is refused.
    #[must_use]
    pub fn heard(&self) -> FillHash {
        let mut ready = self.ready();
        let mut heard = FillHash::default();
        play(&self.flow.workload.commands, &mut ready, &mut heard, |_| {});
        assert_eq!(heard.fills, self.flow.workload.fills, "fills in order");
        assert_eq!(heard.refused, 0, "refused commands");
        self.check(&ready);
        heard
    }

    /// Processor time to make and to apply all commands, with all events.
    #[must_use]
    pub fn played(&self) -> Duration {
        let mut ready = self.ready();
        let mut said = Events::new();
        let before = thread_time();
        play_measured(&self.flow.workload.commands, &mut ready.session, &mut ready.books, &mut said);
        let took = thread_time() - before;
        self.check(&ready);
        took
    }

    /// Processor time to make all commands and apply none.
    #[must_use]
    pub fn made(&self) -> Duration {
        let mut session = self.session();
        let before = thread_time();
        make_measured(&self.flow.workload.commands, &mut session);
        thread_time() - before
    }

    /// Makes all commands once, and makes and applies them once more, and looks at no clock: below a profiler there may
    /// be none.
    pub fn profiled(&self) {
        make_measured(&self.flow.workload.commands, &mut self.session());
        let mut ready = self.ready();
        play_measured(&self.flow.workload.commands, &mut ready.session, &mut ready.books, &mut Events::new());
        self.check(&ready);
    }

    /// A session that has made the commands that fill the books.
    fn session(&self) -> Session {
        let workload = &self.flow.workload;
        let mut session = Session::new(workload.books, workload.orders);
        let mut commands = Vec::with_capacity(BATCH);
        for records in workload.fill.chunks(BATCH) {
            make(records, &mut session, &mut commands);
        }
        session
    }

    /// Wall time of each single command, made outside of it, less what reading the clock takes.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        let mut ready = self.ready();
        let mut said = Events::new();
        let clock = clock_ns();
        let mut ns: Vec<u64> = Vec::with_capacity(self.flow.workload.commands.len());
        for record in &self.flow.workload.commands {
            let command = ready.session.command(record);
            let before = Instant::now();
            ready.books.apply_batch(slice::from_ref(&command), &mut said);
            let took = before.elapsed();
            said.clear();
            ns.push((took.as_nanos() as u64).saturating_sub(clock));
        }
        self.check(&ready);
        ns.sort_unstable();
        Latencies { clock, p50: quantile(&ns, 0.5), p99: quantile(&ns, 0.99), p999: quantile(&ns, 0.999) }
    }
}

/// Nanoseconds of single commands.
#[derive(Clone, Copy, Debug)]
pub struct Latencies {
    /// What reading the clock twice takes, already taken off.
    pub clock: u64,
    /// The median.
    pub p50: u64,
    /// One in a hundred is above it.
    pub p99: u64,
    /// One in a thousand is above it.
    pub p999: u64,
}

/// The median of what the clock says when nothing lies between.
fn clock_ns() -> u64 {
    let mut ns: Vec<u64> = (0..100_001)
        .map(|_| {
            let before = Instant::now();
            before.elapsed().as_nanos() as u64
        })
        .collect();
    ns.sort_unstable();
    quantile(&ns, 0.5)
}

/// Plays a file record by record, so that nothing but the books, and what is subtracted, takes memory. Gives the bytes
/// that are resident for the books at the end.
///
/// # Errors
/// When the file cannot be read.
pub fn footprint(path: &Path) -> Result<u64, String> {
    let mut records = Records::open(path)?;
    let workload = records.empty.clone();
    // Resident from here on.
    let mut session = Session::new(workload.books, workload.orders);
    let empty = resident()?;
    let mut books = Books::new();
    for book in 0..workload.books {
        books.insert(Book::new(InstrumentId(book)));
    }
    let mut said = Events::new();
    for _ in 0..records.fill + records.commands {
        let mut record = records.take()?;
        if record.op == Op::Reduce {
            let order = session.order(&record);
            let executed = books.get(order.instrument()).and_then(|book| book.executed(order));
            record.quantity += executed.ok_or("a reduction of no order")?.lots() as u32;
        }
        let command = session.command(&record);
        books.apply_batch(slice::from_ref(&command), &mut said);
        said.clear();
    }
    let full = resident()?;
    Ok(full.saturating_sub(empty))
}

/// Resident bytes of this process.
fn resident() -> Result<u64, String> {
    let text = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let kib =
        line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).ok_or("no VmRSS")?;
    Ok(kib << 10)
}
