//! `exchange replay`: a journal through new books.
//!
//! Any number of shards gives the same state hash and, book by book, the same event hash. The journal is read by one
//! thread and matched by the shards.

use std::{sync::Arc, time::Instant};

use domain::{Command, Instrument, Sequence};
use engine::{
    hash::EventHash,
    runtime::{BookHashes, Placement, PlacementPolicy, Runtime, RuntimeConfig, Wake},
};
use journal::Reader;
use serde_json::json;

use crate::{
    cli,
    front::combined,
    recovery::{from_its_start, is_definition},
    say::say,
};

/// Commands routed before the shards are shown them.
const BATCH: u64 = 256;

/// Nobody waits for a replay's events.
struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// What a replay found.
pub(crate) struct Replayed {
    pub(crate) instruments: Vec<Instrument>,
    pub(crate) books: Vec<BookHashes>,
    pub(crate) commands: u64,
    pub(crate) events: u64,
    pub(crate) last_sequence: Sequence,
    pub(crate) seconds: f64,
}

/// Runs a journal through new books on so many shards.
pub(crate) fn replay_dir(dir: &std::path::Path, shards: u16) -> Result<Replayed, String> {
    replay_first(dir, shards, u64::MAX)
}

/// Runs the first so many commands of a journal through new books.
pub(crate) fn replay_first(
    dir: &std::path::Path,
    shards: u16,
    commands_max: u64,
) -> Result<Replayed, String> {
    let started = Instant::now();
    let reader = Reader::open(dir).map_err(|error| error.to_string())?;
    from_its_start(dir, &reader)?;
    // Instruments are defined when an exchange starts, so as a rule all of them before the first order. A journal
    // of which that is not true is read once more.
    let mut instruments = definitions(&reader, Extent::BeforeOrders)?;
    let mut done = run(&reader, &instruments, shards, commands_max)?;
    if done.is_none() {
        instruments = definitions(&reader, Extent::All)?;
        done = run(&reader, &instruments, shards, commands_max)?;
    }
    let done = done.ok_or("an instrument is defined that the journal did not define a moment ago")?;
    Ok(Replayed { instruments, seconds: started.elapsed().as_secs_f64(), ..done })
}

/// Runs the commands through new books of these instruments; `None` when the journal defines another one.
fn run(
    reader: &Reader,
    instruments: &[Instrument],
    shards: u16,
    commands_max: u64,
) -> Result<Option<Replayed>, String> {
    let count = u32::try_from(instruments.len()).map_err(|error| error.to_string())?;
    let placement = Placement::new(PlacementPolicy::RoundRobin, count, shards);
    let shared_cores = usize::from(shards) + 1 > engine::runtime::cores().len();
    let config = RuntimeConfig {
        hash_events: true,
        inline_max: 0,
        shared_cores,
        command_slots: 16_384,
        ..RuntimeConfig::new(placement)
    };
    let wake: Arc<dyn Wake> = Arc::new(NoWake);
    let mut runtime = Runtime::start(&config, &wake).map_err(|error| error.to_string())?;
    let mut commands = 0;
    let mut last_sequence = Sequence::default();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        if !record.kind.is_command() {
            continue;
        }
        if commands == commands_max {
            break;
        }
        let command =
            record.command().map_err(|error| format!("at position {}: {error}", record.position))?;
        if let Command::DefineInstrument(instrument) = &command.command
            && instrument.id.0 >= count
        {
            return Ok(None);
        }
        let instrument = command.command.instrument();
        if let Some(id) = instrument
            && id.0 >= count
        {
            return Err(format!("at position {}: instrument {id} was never defined", record.position));
        }
        while !runtime.accepts_command(&command.command) {
            runtime.publish();
            std::thread::yield_now();
        }
        runtime.route(&command);
        commands += 1;
        last_sequence = command.sequence;
        if commands % BATCH == 0 {
            runtime.publish();
        }
    }
    runtime.publish();
    while !runtime.is_quiescent() {
        std::thread::yield_now();
    }
    let events = runtime.stats().iter().map(|shard| shard.events).sum();
    let books = runtime.hashes();
    Ok(Some(Replayed { instruments: Vec::new(), books, commands, events, last_sequence, seconds: 0.0 }))
}

/// How much of a journal is looked through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Up to the first command that defines nothing.
    BeforeOrders,
    All,
}

/// What the journal defines. The records are judged in the pass behind this, beside the books at work.
fn definitions(reader: &Reader, extent: Extent) -> Result<Vec<Instrument>, String> {
    let mut instruments = Vec::new();
    for record in reader.records_unjudged() {
        // What is wrong there is named by the pass that judges.
        let Ok(record) = record else { break };
        if !is_definition(record.kind) {
            if extent == Extent::BeforeOrders && record.kind.is_command() {
                break;
            }
            continue;
        }
        let command =
            record.command().map_err(|error| format!("at position {}: {error}", record.position))?.command;
        if let Command::DefineInstrument(instrument) = command {
            instruments.push(instrument);
        }
    }
    Ok(instruments)
}

impl Replayed {
    pub(crate) fn events_hash(&self) -> EventHash {
        self.books.iter().fold(EventHash::default(), |sum, book| sum.combine(book.events))
    }
}

/// The command.
pub(crate) fn replay(args: &cli::Replay) -> Result<(), String> {
    let replayed = replay_dir(&args.data, args.shards)?;
    let state = combined(&replayed.books);
    let symbol = |book: &BookHashes| {
        replayed.instruments.get(book.instrument.0 as usize).map(|i| i.symbol.to_string()).unwrap_or_default()
    };
    let per_second = replayed.commands as f64 / replayed.seconds.max(1e-9);
    if args.json {
        let books: Vec<_> = replayed
            .books
            .iter()
            .filter(|_| args.per_instrument)
            .map(|book| {
                json!({
                    "symbol": symbol(book),
                    "commands": book.commands,
                    "state": book.state.to_string(),
                    "events": format!("{:016x}", book.events.0),
                })
            })
            .collect();
        say!(
            "{}",
            json!({
                "commands": replayed.commands,
                "events": replayed.events,
                "last_sequence": replayed.last_sequence.0,
                "shards": args.shards,
                "seconds": replayed.seconds,
                "commands_per_second": per_second,
                "state": state.to_string(),
                "events_hash": format!("{:016x}", replayed.events_hash().0),
                "books": books,
            })
        );
        return Ok(());
    }
    if args.per_instrument {
        say!("{:<8} {:>12} {:>18} {:>18}", "symbol", "commands", "state", "events");
        for book in &replayed.books {
            say!(
                "{:<8} {:>12} {:>18} {:>18}",
                symbol(book),
                book.commands,
                book.state.to_string(),
                format!("{:016x}", book.events.0)
            );
        }
    }
    say!(
        "replayed {} commands ({} events) on {} shards in {:.3} s: {per_second:.0} commands/s",
        replayed.commands,
        replayed.events,
        args.shards,
        replayed.seconds
    );
    say!("events {:016x}", replayed.events_hash().0);
    say!("state {state}");
    Ok(())
}
