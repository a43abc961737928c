//! Other people's order books on the flow of the book benchmark.
//!
//! Inside the clock, as for ours: reading the records, making whatever the peer takes, executing. Fills are read where
//! the peer gives them. Each peer is said to fill as the slow matcher does, or why it cannot.
#![forbid(unsafe_code)]

mod lobster_book;
mod orderbook_rs_book;

use std::path::PathBuf;

use benches::{
    clock::{Spread, ns_each, thread_time},
    machine::Machine,
    workload::{Fills, Record, Workload, equity, interleaved},
};
use clap::Parser;

/// The command line.
#[derive(Parser, Debug)]
#[command(about = "Other order books on our benchmark's flow; docs/benchmarks.md says more")]
struct Options {
    /// PWL1 files; without any, a flow for one book and one for 1,000 books is made, and one shaped on equities.
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Commands of a flow that is made.
    #[arg(long, default_value_t = 1_000_000)]
    commands: usize,
    /// What it is drawn from.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Runs of each, in turns.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
}

/// Books of another make.
trait Peer {
    /// Its name.
    const NAME: &'static str;
    /// Why its fills cannot be those of price-time priority with reductions in place, if they cannot.
    const DIFFERS: Option<&'static str>;
    /// So many empty books.
    fn new(books: u32) -> Self;
    /// Does what a record asks; of a reduction, the quantity is what shall be open.
    fn play(&mut self, record: &Record, fills: &mut Fills);
}

/// Nanoseconds a command, and what was filled.
fn played<P: Peer>(workload: &Workload) -> (f64, Fills) {
    let mut books = P::new(workload.books);
    let mut fills = Fills::default();
    for record in &workload.fill {
        books.play(record, &mut fills);
    }
    let before = thread_time();
    for record in &workload.commands {
        books.play(record, &mut fills);
    }
    (ns_each(thread_time() - before, workload.commands.len() as u64), fills)
}

/// One peer's runs on one workload.
struct Runs {
    name: &'static str,
    differs: Option<&'static str>,
    play: fn(&Workload) -> (f64, Fills),
    ns: Vec<f64>,
    fills: Fills,
}

impl Runs {
    fn of<P: Peer>() -> Self {
        Self {
            name: P::NAME,
            differs: P::DIFFERS,
            play: played::<P>,
            ns: Vec::new(),
            fills: Fills::default(),
        }
    }
}

fn main() -> Result<(), String> {
    let options = Options::parse();
    println!("peers: {}", Machine::here());
    println!("  clock: this thread's processor time a command, median [low..high] of {}\n", options.repeats);
    let made = |name: &str, workload| Ok((name.to_owned(), workload));
    let workloads: Vec<Result<(String, Workload), String>> = if options.file.is_empty() {
        vec![
            made("interleaved-1", interleaved::make(1, options.commands, options.seed)),
            made("interleaved-1000", interleaved::make(1_000, options.commands, options.seed)),
            made("equity-1", equity::make(1, options.commands, options.seed)),
        ]
    } else {
        options.file.iter().map(|path| Ok((path.display().to_string(), Workload::read(path)?))).collect()
    };
    for workload in workloads {
        let (name, workload) = workload?;
        let expected = workload.fills;
        // Checks the records too; the copy keeps what shall be open in the reductions.
        let _ = workload.clone().checked()?;
        let mut peers = [Runs::of::<lobster_book::Books>(), Runs::of::<orderbook_rs_book::Books>()];
        for _ in 0..options.repeats.max(1) {
            for peer in &mut peers {
                let (ns, fills) = (peer.play)(&workload);
                peer.ns.push(ns);
                peer.fills = fills;
            }
        }
        for peer in &peers {
            let Spread { low, median, high } = Spread::of(&peer.ns);
            let verdict = match peer.differs {
                _ if peer.fills == expected => "fills as expected".to_owned(),
                Some(why) => {
                    format!("{} fills where {} are expected: {why}", peer.fills.trades, expected.trades)
                }
                None => format!("WRONG: {:?}, expected {expected:?}", peer.fills),
            };
            println!("{name:<18} {:<13} {median:>8.1} [{low:.1}..{high:.1}] ns  {verdict}", peer.name);
        }
    }
    Ok(())
}
