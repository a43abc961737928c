//! Order books: nanoseconds of processor time for a command, with events.
//!
//! A repeat takes new books, fills them, and then applies the measured commands, which lie ready in memory. Inside the
//! clock: reading the command, finding its book by index, [`Book::apply`], and clearing the events. Outside: making the
//! commands, filling the books, hashing. Every repeat must end in the state that a run beforehand ended in.

use std::{hint::black_box, process::ExitCode};

use benches::{
    args::Args,
    clock::{Spread, ns_each, thread_time},
    flow::{Plan, Stream},
    report::Report,
};
use domain::{Command, Events, Sequenced};
use engine::{
    book::Book,
    hash::{EventHash, StateHash, book_hash},
    runtime::{cores, pin_current_thread},
};
use serde_json::json;

/// What the engine must say and hold, whatever its speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Truth {
    events: u64,
    state: StateHash,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let commands = args.pick(2_000_000, 50_000);
    let repeats = args.pick(7, 2);
    let mut report = Report::start(
        "book",
        &args,
        &format!(
            "{commands} commands (48% add, 42% cancel, 5% reduce, 5% crossing immediate) of {} bytes, prepared in \
             memory; books by Zipf(1), filled beforehand",
            size_of::<Sequenced<Command>>()
        ),
        "this thread's processor time over read, find the book, apply with events, clear; median [low..high] of \
         repeats, each on new books; \"read\" is a pass that only reads the same commands",
    );
    let core = pin_current_thread(cores().last().copied());
    println!("  pin:      {core}\n");
    println!(
        "{:>6} {:>9} {:>24} {:>6} {:>9} {:>9} {:>16} {:>16} {:>16}",
        "books", "resting", "ns/command", "read", "events", "trades", "stream", "events", "state"
    );
    for books in [1, 100, 1_000, 10_000] {
        // Tests run it too, unoptimised: a few books show that it works.
        if (books > 100 && !args.bench) || !args.wants(&books.to_string()) {
            continue;
        }
        let plan = Plan { books, commands, seed: args.seed };
        let stream = Stream::new(&plan);
        let (truth, event_hash) = truth(&plan, &stream);
        assert_eq!(truth.events, stream.mix.events, "the plan and the books disagree");
        let times: Vec<f64> = (0..repeats).map(|_| repeat(&plan, &stream, truth)).collect();
        let spread = Spread::of(&times);
        let read = read(&stream);
        println!(
            "{books:>6} {:>9} {:>24} {read:>6.1} {:>9} {:>9} {:016x} {event_hash} {}",
            stream.resting,
            format!("{:.1} [{:.1}..{:.1}]", spread.median, spread.low, spread.high),
            truth.events,
            stream.mix.trades,
            stream.hash,
            truth.state,
        );
        report.row(json!({
            "books": books,
            "resting": stream.resting,
            "ns": { "median": spread.median, "low": spread.low, "high": spread.high },
            "read_ns": read,
            "events": truth.events,
            "trades": stream.mix.trades,
            "mix": { "adds": stream.mix.adds, "cancels": stream.mix.cancels, "reductions": stream.mix.reductions,
                     "immediate": stream.mix.immediate },
            "stream_hash": format!("{:016x}", stream.hash),
            "event_hash": event_hash.to_string(),
            "state_hash": truth.state.to_string(),
        }));
    }
    match report.finish(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs it once without a clock.
fn truth(plan: &Plan, stream: &Stream) -> (Truth, EventHash) {
    let mut books = filled(plan, stream);
    let mut hashes = vec![EventHash::default(); books.len()];
    let mut said = Events::new();
    let mut events = 0;
    for command in &stream.commands {
        let book = index(command);
        said.clear();
        books[book].apply(command, &mut said);
        events += said.as_slice().len() as u64;
        for event in said.as_slice() {
            hashes[book].update(event);
        }
    }
    let event_hash = hashes.into_iter().fold(EventHash::default(), EventHash::combine);
    (Truth { events, state: state(&books) }, event_hash)
}

/// Nanoseconds a command of one measured pass.
fn repeat(plan: &Plan, stream: &Stream, truth: Truth) -> f64 {
    let mut books = filled(plan, stream);
    let mut said = Events::new();
    let mut events = 0;
    let before = thread_time();
    for command in &stream.commands {
        books[index(command)].apply(command, &mut said);
        events += said.as_slice().len() as u64;
        said.clear();
    }
    let took = thread_time() - before;
    assert_eq!(Truth { events, state: state(&books) }, truth, "this repeat went another way");
    ns_each(took, stream.commands.len() as u64)
}

/// Nanoseconds a command of a pass that only reads.
fn read(stream: &Stream) -> f64 {
    let before = thread_time();
    let mut sum = 0_u64;
    for command in &stream.commands {
        sum = sum.wrapping_add(command.nanos.0 ^ index(command) as u64);
    }
    black_box(sum);
    ns_each(thread_time() - before, stream.commands.len() as u64)
}

fn filled(plan: &Plan, stream: &Stream) -> Vec<Book> {
    let mut books = Stream::books(plan);
    let mut said = Events::new();
    for command in &stream.fill {
        books[index(command)].apply(command, &mut said);
        said.clear();
    }
    books
}

fn index(command: &Sequenced<Command>) -> usize {
    command.command.instrument().expect("every command of the stream is for a book").0 as usize
}

fn state(books: &[Book]) -> StateHash {
    books.iter().map(book_hash).fold(StateHash::default(), StateHash::combine)
}
